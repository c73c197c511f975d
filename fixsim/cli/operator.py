"""What the operator's commands share: asking the exchange that runs on a data directory."""

from pathlib import Path
from typing import Annotated, Any

import typer

DataDir = Annotated[Path, typer.Option(help="Data directory of the running exchange.")]
Why = Annotated[str | None, typer.Option(help="Why: kept in the journal beside who.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_DATA_DIR = Path("fixsim-data")


def ask(data_dir: Path, verb: str, why: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Have the exchange carry out `verb`; arguments that are None are left out, `why` goes into the record."""
    from fixsim.gateway.control import ask as ask_exchange

    given = {name: value for name, value in arguments.items() if value is not None}
    return ask_exchange(data_dir, verb, given, why or "")
