"""`fixsim top`: a running exchange, live."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json
from fixsim.cli.output import print_json


def top(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    interval: Annotated[float, typer.Option(min=0.1, max=3_600, help="Seconds between two looks.")] = 1.0,
    count: Annotated[int, typer.Option(min=0, help="End after so many intervals; 0 goes on until Ctrl-C.")] = 0,
    json: Json = False,
) -> None:
    """Watch a running exchange: rates, latency, pauses, shipping, processes. The exchange is not asked and does not notice."""
    figures = _figures(data_dir, interval, count)
    try:
        if json:
            for one in figures:
                print_json(one)
        else:
            _show(data_dir, figures)
    except KeyboardInterrupt:
        return


def _figures(data_dir: Path, interval: float, count: int) -> Iterator[dict[str, Any]]:
    from fixsim.console.figures import compare
    from fixsim.console.observer import Observer

    observer = Observer(data_dir)
    earlier = observer.look()
    made = 0
    while count == 0 or made < count:
        time.sleep(interval)
        later = observer.look()
        yield compare(earlier, later)
        earlier, made = later, made + 1


def _show(data_dir: Path, figures: Iterator[dict[str, Any]]) -> None:
    """On a terminal the view stays where it is; in a pipe one view follows the other."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        for one in figures:
            console.print(_view(data_dir, one))
        return
    with Live(console=console, auto_refresh=False, screen=False) as live:
        for one in figures:
            live.update(_view(data_dir, one), refresh=True)


def _view(data_dir: Path, one: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rates, more = one["per_second"], one["more"]
    head = Text(f"{data_dir}  {one['status']}  {one['sessions']:,} sessions  {one['open_orders']:,} open orders", style="bold")
    flow = _table(
        ["orders/s", "trades/s", "in/s", "out/s", "slow/s", "batches/s", "records/batch", "journal MB/s"],
        [
            [
                *(
                    f"{rates[name]:,.0f}"
                    for name in ("orders", "trades", "messages_in", "messages_out", "slow_frames", "batches")
                ),
                f"{one['batch_records']['mean']:,.1f}",
                f"{rates['journal_bytes'] / 1e6:,.2f}",
            ]
        ],
    )
    events = _table([*(name.replace("_", " ") for name in more)], [[f"{value:,}" for value in more.values()]])
    columns = ["count", "mean", "p50", "p95", "p99", "p99.9", "max"]
    latency = _table(
        ["us", *columns],
        [
            [name, *(f"{found[key]:,}" if key == "count" else f"{found[key]:,.1f}" for key in columns)]
            for name, found in one["latency_us"].items()
        ],
    )
    happened = {cause: found for cause, found in one["pauses"].items() if found["max_ms_since_start"]}
    pauses = _table(
        ["pauses > 1 ms", "count", "longest ever, ms"],
        [[cause, str(found["count"]), f"{found['max_ms_since_start']:,.1f}"] for cause, found in happened.items()],
    )
    uses = _table(
        ["process", "pid", "cpu %", "memory MB"],
        [
            [name, str(use["pid"]), f"{use['cpu_percent']:.1f}", f"{use['memory_bytes'] / 1e6:,.1f}"]
            for name, use in one["processes"].items()
        ],
    )
    below = Table.grid(padding=(0, 4))
    below.add_row(uses, pauses)
    shipping = one["shipping"]
    behind = "no shipper" if shipping is None else f"{shipping['lag_s']:,.1f} s, {shipping['lag_bytes'] / 1e6:,.1f} MB behind"
    foot = Text(f"journal at {one['journal_position']:,}; database: {behind}")
    return Group(head, Text(), flow, Text(), events, Text(), latency, Text(), below, Text(), foot)


def _table(columns: list[str], rows: list[list[str]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
