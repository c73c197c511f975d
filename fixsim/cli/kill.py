"""`fixsim kill`: nobody who is named enters orders any more, and what rests of them is cancelled, until it is lifted."""

from typing import Annotated

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, Why, ask
from fixsim.cli.output import print_json, print_records


def kill(
    switch: Annotated[str, typer.Argument(metavar="on|off|show", help="Block and cancel, lift, or tell which are on.")],
    scope: Annotated[str | None, typer.Argument(metavar="[SCOPE]", help="session, firm, account, symbol or all.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="SenderCompID, firm, Account(1), Symbol(55).")] = None,
    why: Why = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
) -> None:
    """Block new orders of somebody and cancel what rests of them; cancels go through, and only `off` lifts it."""
    answer = ask(data_dir, "kill", why, switch=switch, scope=scope, name=name)
    if json:
        print_json(answer)
        return
    if switch == "on":
        print(f"{answer['cancelled']} orders cancelled")
    print_records(("scope", "name"), answer["switches"])
