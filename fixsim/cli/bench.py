"""`fixsim bench`: what the exchange costs on this machine."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fixsim.cli.operator import Json
from fixsim.cli.output import print_json, print_table, say

WIRE_COLUMNS: Final = ("flow", "sessions", "symbols", "orders/s", "noise", "reports/s", "canned/s", "of canned")

#: What is measured of the books, from the least an operation may be.
BOOKS: Final = (("matching", "matching only"), ("with_ids", "ids as text"), ("with_reports", "ids and reports"))


class Flow(StrEnum):
    """What the orders do to each other."""

    RESTING = "resting"
    MIX = "mix"
    CROSS = "cross"


def bench(
    orders: Annotated[int, typer.Option(min=100, max=50_000_000, help="Orders and cancels of each run.")] = 200_000,
    flow: Annotated[Flow, typer.Option(help="Orders that rest, that rest, cancel and cross, or that all cross.")] = Flow.MIX,
    sessions: Annotated[int, typer.Option(min=1, max=4_000, help="Connections the load comes from.")] = 1,
    symbols: Annotated[int, typer.Option(min=1, max=1_000, help="Instruments the load is about.")] = 1,
    comprehensive: Annotated[
        bool, typer.Option("--comprehensive", help="Every flow, 1 to 1,000 sessions and symbols; takes minutes.")
    ] = False,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Only what a start takes, with and without a snapshot, warm and cold.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Times everything is measured.")] = 3,
    config: Annotated[Path | None, typer.Option(help="Configuration of the exchange; one for load is built in.")] = None,
    database_url: Annotated[
        str, typer.Option(help="Where the exchange ships to meanwhile.", metavar="URL|embedded|none")
    ] = "embedded",
    json: Json = False,
) -> None:
    """Measure wire, book, codec, journal, shipping and recovery, each beside its empty baseline, and where the time of
    one order goes. The exchange is a process of its own, started as `fixsim serve --fresh` starts it.
    """
    from fixsim.bench.plan import Plan
    from fixsim.bench.process import leave_in_order
    from fixsim.bench.run import measure, measure_alone
    from fixsim.config import load, packaged

    leave_in_order()
    path = config or packaged("load.toml")
    plan = Plan(
        load(path), str(path), orders, flow.value, sessions, symbols, rounds, comprehensive, database_url
    )  # fmt: skip
    progress = say if sys.stderr.isatty() else lambda line: None
    found = measure_alone(plan, progress) if recovery else measure(plan, progress)
    if json:
        print_json(found)
    elif recovery:
        _show_starts(found)
    else:
        _show(found)


def _show_starts(found: dict[str, Any]) -> None:
    """What a start takes."""
    parts = found["recovery"]
    shadow, snapshot = parts["shadow"], parts["snapshot"]
    print(
        f"{parts['messages']:,} messages journaled, {parts['journal_bytes'] >> 20:,} MB; shadow {shadow['records_per_s']:,} "
        f"messages/s; snapshot {snapshot['bytes'] >> 20:,} MB in {snapshot['seconds']} s\n"
    )
    busy = parts["processor_s"]
    rows = [(what, figure["median"], _noise(figure), busy[what]["median"]) for what, figure in parts["seconds"].items()]
    print_table(("start", "seconds", "noise", "of processor"), rows)


def _show(found: dict[str, Any]) -> None:
    """The figures as tables."""
    parts, machine, versions = found["parts"], found["machine"], found["versions"]
    print(
        f"{machine['processor']}, {machine['processors']} processors, {machine['system']}, Python {found['python']}, "
        f"numba {versions['numba']}, fixsim {versions['fixsim']} {found['commit'] or ''}\n"
        f"medians of {found['workload']['rounds']} rounds, noise is their range; compiled in {found['compile_s']} s before\n"
    )
    print_table(WIRE_COLUMNS, [_wire_row(cell) for cell in parts["wire"]], "Wire")
    latency = parts["latency"]
    rows = [
        (who, *(_told(latency[f"{name}_us"][at]["median"]) for at in ("p50", "p99", "p99_9", "max")))
        for who, name in (("exchange", "exchange"), ("canned acceptor", "canned"))
    ]
    print_table(("us to the acknowledgement", "p50", "p99", "p99.9", "max"), rows, "\nLatency, one order at a time")
    print_table(("part", "per second", "noise", "empty baseline"), _part_rows(parts), "\nParts")
    layers = found["layers"]
    rows = [(row["layer"], f"{row['ns']:,}", row["what"]) for row in layers["rows"]]
    rows.append(("end to end", f"{layers['end_to_end_ns']:,}", f"{layers['flow']}, one session; sum {layers['sum_ns']:,}"))
    print_table(("layer", "ns", "what"), rows, "\nWhere the time of one order goes")


def _told(value: float) -> str:
    return f"{value:,}"


def _noise(figure: dict[str, Any]) -> str:
    return f"{figure['noise_percent']:.0f} %" if figure["rounds"] > 1 else ""


def _wire_row(cell: dict[str, Any]) -> tuple[Any, ...]:
    return (
        cell["flow"], cell["sessions"], cell["symbols"], _told(cell["orders_per_s"]["median"]), _noise(cell["orders_per_s"]),
        _told(cell["reports_per_s"]["median"]), _told(cell["canned_orders_per_s"]["median"]), f"{cell['share_of_canned']:.0%}",
    )  # fmt: skip


def _part_rows(parts: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What is not wire: its rate, its noise, and the baseline beside it."""
    rows = []
    for flow, figures in parts["book"].items():
        empty = f"{_told(figures['empty_per_s']['median'])} empty loop"
        for name, what in BOOKS:
            rate = figures[f"{name}_per_s"]
            rows.append((f"book, {flow}, {what}", _told(rate["median"]), _noise(rate), empty))
    for name, what, base in (("parse", "NewOrderSingle parsed", "read"), ("encode", "ExecutionReport encoded", "copy")):
        rate, floor = parts["codec"][f"{name}_per_s"], parts["codec"][f"{base}_baseline_per_s"]
        told = f"{_told(floor['median'])} the bytes {'read once' if base == 'read' else 'copied'}"
        rows.append((f"codec, {what}", _told(rate["median"]), _noise(rate), told))
    journal = parts["journal"]
    append, bare = journal["append, durability os"], journal["baseline"]["pwrite us mean"]
    per_s = append["records"] / (append["ns per record"] * append["records"] / 1e9)
    rows.append(("journal, records", _told(round(per_s)), "", f"{append['append us p50']} us a batch, {bare} us bare write"))
    recovery = parts["recovery"]
    floor = f"{_told(recovery['read_baseline_orders_per_s']['median'])} read and checked"
    for what in ("recovered", "replayed"):
        rate = recovery[f"{what}_orders_per_s"]
        rows.append((f"journal, orders {what}", _told(rate["median"]), _noise(rate), floor))
    if "shipping" in parts:
        shipping = parts["shipping"]
        bare = f"{_told(shipping['baseline_per_s'])} bare COPY"
        rows.append(("shipping, messages", _told(shipping["messages_per_s"]), "", bare))
    return rows
