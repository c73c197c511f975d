"""`fixsim profile`: where the time of the next seconds goes, as a report."""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json
from fixsim.cli.output import print_json, say
from fixsim.errors import UsageError

SUFFIXES: Final = (".html", ".md")


def profile(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="How long to watch.")] = 10.0,
    output: Annotated[
        Path | None,
        typer.Option(help="Report to write: .html, or .md with an .svg beside it.", show_default="fixsim-profile.html"),
    ] = None,
    json: Json = False,
) -> None:
    """Take two readings of a running exchange and report the latency between them. With --json the figures are printed, and a
    report is written only where --output says so.
    """
    from fixsim.console.figures import compare
    from fixsim.console.observer import Observer
    from fixsim.console.report import curves, html, markdown

    path = output or (None if json else Path("fixsim-profile.html"))
    if path is not None and path.suffix not in SUFFIXES:
        raise UsageError(f"--output {path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    observer = Observer(data_dir)
    earlier = observer.look()
    if sys.stderr.isatty():
        say(f"watching for {seconds:g} s")
    time.sleep(seconds)
    later = observer.look()
    figures = compare(earlier, later)
    if figures["restarted"]:
        raise UsageError("the exchange was started anew meanwhile: there is nothing to compare")
    if path is not None:
        svg = curves(earlier, later)
        if path.suffix == ".md":
            beside = path.with_suffix(".svg")
            beside.write_text(svg, encoding="utf-8")
            path.write_text(markdown(figures, beside.name), encoding="utf-8")
        else:
            path.write_text(html(figures, svg), encoding="utf-8")
    if json:
        print_json(figures)
    else:
        sent = figures["latency_us"]["sent"]
        print(f"{path}: {sent['count']:,} messages, p50 {sent['p50']:g} us, p99 {sent['p99']:g} us, p99.9 {sent['p99.9']:g} us")
