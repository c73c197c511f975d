"""`fixsim bust` and `fixsim correct`: a trade is taken back, or told anew, to both sides."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json
from fixsim.errors import UsageError

Match = Annotated[int | None, typer.Argument(metavar="[MATCH]", min=1, help="SecondaryExecID(527): both reports have it.")]
ExecId = Annotated[int | None, typer.Option(min=1, help="Instead: ExecID(17) of one of the reports.")]


def bust(
    match: Match = None, exec_id: ExecId = None, why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False
) -> None:
    """Take a trade back: 150=H to both sides."""
    answer = ask(data_dir, "bust", why, **_told(data_dir, match, exec_id))
    print_json(answer) if json else print(f"trade {answer['match_id']} in {answer['symbol']} is busted")


def correct(
    match: Match = None,
    exec_id: ExecId = None,
    quantity: Annotated[str | None, typer.Option(help="What was traded: at most what it was.")] = None,
    price: Annotated[str | None, typer.Option(help="At which price.")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Give a trade another price, less quantity, or both: 150=G to both sides."""
    if quantity is None and price is None:
        raise UsageError("say --quantity, --price or both")
    answer = ask(data_dir, "correct", why, **_told(data_dir, match, exec_id), quantity=quantity, price=price)
    if json:
        print_json(answer)
        return
    print(f"trade {answer['match_id']} in {answer['symbol']} is {answer['quantity']} @ {answer['price']}")


def _told(data_dir: Path, match: int | None, exec_id: int | None) -> dict[str, Any]:
    """The trade as the journal has it."""
    from fixsim.journal.reader import Reader
    from fixsim.journal.segments import journal_directory
    from fixsim.journal.trades import find_trade, match_of_execution

    if (match is None) == (exec_id is None):
        raise UsageError("say which trade: its match id, or --exec-id")
    reader = Reader(journal_directory(data_dir))
    return find_trade(reader, match_of_execution(reader, exec_id or 0) if match is None else match)
