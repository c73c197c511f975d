"""`fixsim ship`: the shipper alone, against a live or a copied journal. `fixsim serve` runs the same
process itself.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fixsim.audit.process import run
from fixsim.audit.retention import Policy
from fixsim.cli.operator import ask
from fixsim.cli.output import FINDING, say

#: The command by which the exchange is told.
RETIRE: Final = "journal.retire"


def ship(
    data_dir: Annotated[Path, typer.Option(help="Where journal and database live.")] = Path("fixsim-data"),
    database_url: Annotated[
        str, typer.Option(envvar="FIXSIM_DATABASE_URL", help="embedded, none, or postgresql://user:password@host/database.")
    ] = "embedded",
    until_end: Annotated[bool, typer.Option("--until-end", help="Leave when all that is sealed is shipped.")] = False,
    full_speed: Annotated[bool, typer.Option("--full-speed", help="Run at normal priority, not at idle.")] = False,
    resend_retention: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="Retire segments older than this; 0 keeps all as they are.")
    ] = 0,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is retired, do not archive it.")] = False,
) -> None:
    """Copy a journal into Postgres and keep its hash chain, and go on as it grows. With `--database-url none` only the
    chain. A pipe on standard input is a lifeline: its end ends us.
    """

    def retire(floor: int) -> dict[str, Any]:
        return ask(data_dir, RETIRE, floor=floor)

    if not run(
        data_dir, database_url, lambda line: say(f"shipper: {line}"), until_end=until_end, idle=not full_speed,
        policy=Policy(resend_retention, not remove), ask=retire,
    ):  # fmt: skip
        raise typer.Exit(FINDING)
