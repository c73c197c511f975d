"""`fixsim shadow` and `fixsim snapshot`: the exchange once more beside itself, and its state in a file."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fixsim.cli.operator import Json
from fixsim.cli.output import print_json, say
from fixsim.cli.serve import Level, announce
from fixsim.errors import UsageError

DataDir = Annotated[Path, typer.Option(help="Data directory of the exchange, or a copy of it.")]


def shadow(
    data_dir: DataDir = Path("fixsim-data"),
    promote: Annotated[bool, typer.Option("--promote", help="Become the exchange when that is gone.")] = False,
    until_end: Annotated[bool, typer.Option("--until-end", help="Leave when all that is sealed was compared.")] = False,
    config: Annotated[Path | None, typer.Option(help="With --promote: configuration file; a default is built in.")] = None,
    host: Annotated[str, typer.Option(help="With --promote: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="With --promote: FIX port; 0 picks a free one.")] = 9878,
    database_url: Annotated[
        str | None, typer.Option(help="With --promote: where to ship to.", metavar="URL|embedded|none")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="With --promote: listen beyond it without TLS.")] = False,
    full_speed: Annotated[bool, typer.Option("--full-speed", help="Run at normal priority, not at idle.")] = False,
    log_level: Annotated[Level, typer.Option(help="What is logged on stderr.")] = Level.INFO,
    json_log: Annotated[bool, typer.Option("--json-log", help="Log lines are JSON.")] = False,
) -> None:
    """Replay a journal as it grows, compare every byte that was said, and take snapshots, until SIGTERM or SIGINT. A
    difference ends it with exit code 1. A pipe on standard input is a lifeline: its end ends us.
    """
    from fixsim.config import default_config, load
    from fixsim.gateway.log import LOGGER, set_up_logging
    from fixsim.gateway.placement import prefer_pages

    if promote and until_end:
        raise UsageError("--promote waits for the exchange to go, --until-end does not wait: choose one")
    set_up_logging(log_level.value, json_log)
    loaded = load(config) if config is not None else default_config()
    prefer_pages(loaded.process)
    from fixsim.gateway.venue import Plan
    from fixsim.gateway.warmup import compile_kernels

    progress = LOGGER.info if json_log or not sys.stderr.isatty() else say
    compile_kernels(progress)
    if promote:
        from fixsim.cli.serve import database_of
        from fixsim.shadow.promotion import stand_by

        log_options = ("--log-level", log_level.value, *(["--json-log"] if json_log else []))
        url = database_of(database_url, loaded)
        stand_by(Plan(loaded, data_dir.absolute(), host, port, url, insecure, log_options), announce, idle=not full_speed)
        return
    from fixsim.shadow.process import follow

    follow(data_dir.absolute(), LOGGER, idle=not full_speed, until_end=until_end)


def snapshot(
    data_dir: DataDir = Path("fixsim-data"),
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Longest wait for a shadow that runs.")] = 60.0,
    json: Json = False,
) -> None:
    """Take a snapshot at the present end of the journal: by the shadow that runs, or else by replaying what the newest
    snapshot lacks. The exchange may run or not; it does not notice.
    """
    from fixsim.gateway.warmup import compile_kernels
    from fixsim.shadow.request import take_snapshot

    compile_kernels(say)
    taken = take_snapshot(data_dir.absolute(), timeout_s, say)
    if json:
        print_json(asdict(taken))
    else:
        print(f"snapshot {taken.path.name} at position {taken.position}, digest {taken.digest} ({taken.by})")
