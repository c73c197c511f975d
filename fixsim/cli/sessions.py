"""`fixsim sessions`: the sessions of a running exchange, shown and repaired."""

from typing import Annotated, Any, Final

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json, print_records
from fixsim.errors import UsageError

COLUMNS: Final = ("session", "state", "next_in", "next_out", "run", "open_orders")
Name = Annotated[str, typer.Argument(metavar="NAME", help="SenderCompID of the counterparty.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Sessions of a running exchange.")


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        print_records(COLUMNS, answer["sessions"])


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One session; all when not given.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """State and sequence numbers."""
    _print(ask(data_dir, "sessions.show", session=name), json)


@app.command()
def reset(name: Name, why: Why = None, data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Both sequence numbers of an offline session restart at 1."""
    _print(ask(data_dir, "sessions.reset", why, session=name), json)


@app.command("set-next")
def set_next(
    name: Name,
    next_in: Annotated[int | None, typer.Option("--in", min=1, help="MsgSeqNum expected next from it.")] = None,
    next_out: Annotated[int | None, typer.Option("--out", min=1, help="MsgSeqNum said next to it.")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Set the sequence numbers of an offline session."""
    if next_in is None and next_out is None:
        raise UsageError("say --in, --out or both")
    _print(ask(data_dir, "sessions.set-next", why, session=name, **{"in": next_in, "out": next_out}), json)


@app.command()
def disconnect(
    name: Name,
    text: Annotated[str | None, typer.Option(help="Text(58) of the Logout.")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Logout to one session."""
    _print(ask(data_dir, "sessions.disconnect", why, session=name, text=text), json)
