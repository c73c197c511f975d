"""`fixsim serve`: run the exchange."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fixsim.cli.output import say
from fixsim.errors import UsageError

if TYPE_CHECKING:
    from fixsim.config import Config


class ClockKind(StrEnum):
    """Whose time the venue keeps."""

    WALL = "wall"
    SIMULATED = "simulated"


class Level(StrEnum):
    """What is logged, and everything more important."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    config: Annotated[Path | None, typer.Option(help="Configuration file; a default is built in.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="FIX port; 0 picks a free one.")] = 9878,
    data_dir: Annotated[Path, typer.Option(help="Where journal and database live.")] = Path("fixsim-data"),
    database_url: Annotated[
        str | None, typer.Option(help="postgresql://..., embedded, or none.", metavar="URL|embedded|none")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Use a temporary data directory.")] = False,
    clock: Annotated[
        ClockKind, typer.Option(help="The venue keeps the wall's time, or one that fixsim clock drives.")
    ] = ClockKind.WALL,
    clock_start: Annotated[
        str | None,
        typer.Option(
            help="Where a simulated clock begins; where it was, or now, when not given.", metavar="2025-11-20T08:00:00"
        ),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Run a shadow: it compares every byte said, and takes snapshots.")
    ] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen beyond this machine without TLS.")] = False,
    log_level: Annotated[Level, typer.Option(help="What is logged on stderr.")] = Level.INFO,
    json_log: Annotated[bool, typer.Option("--json-log", help="Log lines are JSON.")] = False,
) -> None:
    """Run the exchange until SIGTERM or SIGINT; the line that begins with "fixsim ready" says that it takes
    connections.
    """
    from fixsim.config import default_config, load
    from fixsim.gateway.log import LOGGER, set_up_logging
    from fixsim.gateway.placement import prefer_pages

    set_up_logging(log_level.value, json_log)
    loaded = load(config) if config is not None else default_config()
    prefer_pages(loaded.process)
    from fixsim.gateway.venue import Plan
    from fixsim.gateway.venue import serve as run

    log_options = ("--log-level", log_level.value, *(["--json-log"] if json_log else []))
    url = database_of(database_url, loaded)
    start_ns = clock_start_ns(clock, clock_start)
    with _fresh_directory() if fresh else contextlib.nullcontext(data_dir) as directory:
        progress = LOGGER.info if json_log or not sys.stderr.isatty() else say
        config_path = None if config is None else config.absolute()
        plan = Plan(
            loaded, directory.absolute(), host, port, url, insecure, log_options, start_ns, config_path, shadow
        )
        run(plan, announce, progress)


def clock_start_ns(clock: ClockKind, start: str | None) -> int | None:
    """Where a simulated clock begins, 0 for where it was; None for the wall's. Raises UsageError."""
    if clock is ClockKind.WALL:
        if start is not None:
            raise UsageError("--clock-start goes with --clock simulated")
        return None
    if start is None:
        return 0
    from fixsim.cli.clock import parse_instant
    from fixsim.limits import VENUE_NS_MAX

    start_ns = parse_instant(start)
    if not 0 < start_ns <= VENUE_NS_MAX:
        raise UsageError(f"--clock-start {start}: between 1970 and 2099")
    return start_ns


@contextlib.contextmanager
def _fresh_directory() -> Iterator[Path]:
    """A temporary data directory; it is gone afterwards, and its embedded database with it."""
    path = Path(tempfile.mkdtemp(prefix="fixsim-"))
    try:
        yield path
    finally:
        _remove_database(path)
        shutil.rmtree(path, ignore_errors=True)


def _remove_database(data_dir: Path) -> None:
    if (data_dir / "postgres").exists():
        from fixsim.audit.server import Server

        Server(data_dir, create=False).remove()


def database_of(given: str | None, config: "Config") -> str:
    """What `--database-url` says, or else the configuration. Raises UsageError."""
    url = given or config.database.url
    if url not in ("embedded", "none") and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(f"--database-url {url}: expected postgresql://..., embedded or none")
    return url


def announce(line: str) -> None:
    """The ready line, which others wait for."""
    print(line, flush=True)
