"""How a command of `fixsim audit` asks: its usual options, and a connection of the role that may only read."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fixsim.cli.output import say
from fixsim.errors import UsageError

DEFAULT_DATA_DIR: Final = Path("fixsim-data")
#: Rows of a table when --limit is not given; --json gives all.
TABLE_ROWS: Final = 1000

DataDir = Annotated[Path, typer.Option(help="Data directory of the exchange.")]
Url = Annotated[
    str | None,
    typer.Option("--database-url", envvar="FIXSIM_DATABASE_URL", help="postgresql://... when it is not the embedded one."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Session = Annotated[str | None, typer.Option(help="CompID of the counterparty.")]
Symbol = Annotated[str | None, typer.Option(help="Symbol(55).")]
ClOrdId = Annotated[str | None, typer.Option("--cl-ord-id", help="ClOrdID(11).")]
Since = Annotated[str | None, typer.Option(help="From this time on: 2025-11-20T14:30:00.5 (UTC), a date, or 15m (ago).")]
Until = Annotated[str | None, typer.Option(help="Up to this time, left out itself.")]
Limit = Annotated[
    int | None, typer.Option(min=0, help=f"Newest rows shown; 0 for all (default: {TABLE_ROWS}, all with --json).")
]


def ask(
    data_dir: Path, url: str | None, question: Callable[[Any], Awaitable[Any]], *, note: bool = True, unmade: Any = None
) -> Any:
    """Put `question` to the database of `data_dir`, or that of `url`, over a connection of the read-only
    role. `unmade` is the answer of a database without tables; UsageError when there is no such answer.
    """
    from fixsim.audit.database import EMBEDDED, EmbeddedDatabase, open_database
    from fixsim.audit.lag import is_behind
    from fixsim.audit.queries import find_progress
    from fixsim.audit.server import READER
    from fixsim.audit.tables import prepare, revision

    database = open_database(data_dir, url or EMBEDDED, say, create=False)

    async def run() -> Any:
        await database.start()
        if isinstance(database, EmbeddedDatabase):
            await prepare(database.connect)
        connection = await database.connect(READER)
        try:
            if not isinstance(database, EmbeddedDatabase) and await revision(connection) is None:
                if unmade is not None:
                    return unmade
                raise UsageError("this database holds no fixsim tables: nothing was ever shipped to it")
            answer = await question(connection)
            if note and is_behind(data_dir, await find_progress(connection)):
                say("note: the journal holds more than the database yet; see `fixsim audit lag`")
            return answer
        finally:
            await connection.close()

    try:
        return asyncio.run(run())
    finally:
        database.leave()
