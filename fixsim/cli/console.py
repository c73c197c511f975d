"""`fixsim console`: metrics over HTTP, against a live data directory. `fixsim serve` runs the same process itself."""

from pathlib import Path
from typing import Annotated

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR
from fixsim.cli.serve import Level


def console(
    data_dir: Annotated[Path, typer.Option(help="Data directory of the exchange.")] = DEFAULT_DATA_DIR,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 picks a free one.")] = 9879,
    full_speed: Annotated[bool, typer.Option("--full-speed", help="Run at normal priority, not at idle.")] = False,
    log_level: Annotated[Level, typer.Option(help="What is logged on stderr.")] = Level.INFO,
    json_log: Annotated[bool, typer.Option("--json-log", help="Log lines are JSON.")] = False,
) -> None:
    """Show metrics at /metrics and /health until SIGTERM or SIGINT. A pipe on standard input is a lifeline: its end ends us."""
    from fixsim.console.process import run
    from fixsim.gateway.log import LOGGER, set_up_logging

    set_up_logging(log_level.value, json_log)
    run(data_dir, port, LOGGER, idle=not full_speed)
