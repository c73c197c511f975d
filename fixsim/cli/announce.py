"""`fixsim announce`: something to say to the members."""

from typing import Annotated

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json


def announce(
    headline: Annotated[str, typer.Argument(help="Headline(148).")],
    text: Annotated[str | None, typer.Option(help="Text(58); the headline again when not given.")] = None,
    session: Annotated[str | None, typer.Option(help="Only this counterparty, also when it is away.")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Say News(B) to everybody who is logged on, or to one session."""
    answer = ask(data_dir, "announce", why, headline=headline, text=text, session=session)
    print_json(answer) if json else print("told " + (", ".join(answer["sessions"]) or "nobody: nobody is logged on"))
