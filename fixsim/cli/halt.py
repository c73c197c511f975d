"""`fixsim halt` and `fixsim resume`: whether an instrument takes orders."""

from typing import Annotated

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json

Symbol = Annotated[str, typer.Argument(help="Symbol(55).")]


def halt(symbol: Symbol, why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Refuse new orders and replaces of an instrument; cancels go on."""
    answer = ask(data_dir, "halt", why, symbol=symbol)
    print_json(answer) if json else print(f"{symbol} is halted")


def resume(symbol: Symbol, why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """End a halt."""
    answer = ask(data_dir, "resume", why, symbol=symbol)
    trading = answer["phase"] == "continuous"
    print_json(answer) if json else print(f"{symbol} is trading" if trading else f"{symbol} is in {answer['phase']}")
