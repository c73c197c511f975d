"""The latency report of `fixsim profile`: the same figures as Markdown with a picture beside it, or as one HTML page."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fixsim.console.latency import PERCENTILES
from fixsim.console.observer import Reading
from fixsim.console.picture import picture
from fixsim.feed.page import STAGES

#: What is measured, in the order it is shown.
MEANINGS: Final = {
    "sent": "receive to sent, once for each message",
    "turn": "the same, once for each turn of the loop",
    "read": "taking bytes from the sockets",
    "frames": "frames: codec, conversation, books, reports",
    "write": "seal and journal",
    "send": "handing bytes to the sockets",
}
Table = tuple[list[str], list[list[str]]]


def curves(earlier: Reading, later: Reading) -> str:
    """The picture of what came between two readings of one exchange."""
    before, after = earlier.exchange, later.exchange
    shown = {"sent": after["latency"]["counts"] - before["latency"]["counts"]}
    for place, stage in enumerate(STAGES):
        shown[stage] = after["stages"][place]["counts"] - before["stages"][place]["counts"]
    return picture(shown)


def tables(figures: Mapping[str, Any]) -> Iterator[tuple[str, Table]]:
    """Heading and table of each part of the report."""
    names = [f"p{percentile:g}" for percentile in PERCENTILES]
    latency = figures["latency_us"]
    rows = [
        [name, meaning, f"{latency[name]['count']:,}", *(f"{latency[name][key]:,.1f}" for key in ("mean", *names, "max"))]
        for name, meaning in MEANINGS.items()
    ]
    yield "Latency, us", (["stage", "what", "count", "mean", *names, "max"], rows)
    pauses = [
        [cause, str(found["count"]), f"{found['ms']:,.1f}"] for cause, found in figures["pauses"].items() if found["count"]
    ]
    yield "Pauses over 1 ms", (["cause", "count", "together, ms"], pauses)
    rates = [[name.replace("_", " "), f"{value:,.1f}"] for name, value in figures["per_second"].items()]
    yield "Per second", (["what", "rate"], rates)
    uses = [
        [name, f"{use['cpu_percent']:.1f}", f"{use['memory_bytes'] / 1e6:,.1f}"] for name, use in figures["processes"].items()
    ]
    yield "Processes", (["process", "processor, %", "memory, MB"], uses)


def markdown(figures: Mapping[str, Any], picture_name: str) -> str:
    """The report with a reference to its picture."""
    parts = [f"# Latency over {figures['interval_s']} s\n", f"![percentiles of each stage]({picture_name})\n"]
    for heading, (columns, rows) in tables(figures):
        parts.append(f"## {heading}")
        lines = [columns, ["---"] * len(columns), *rows]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" if rows else "None.\n")
    return "\n".join(parts)


def html(figures: Mapping[str, Any], svg: str) -> str:
    """The report with its picture inside."""
    title = f"Latency over {figures['interval_s']} s"
    head = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif;margin:2em;max-width:60em}td,th{padding:.2em .8em;text-align:left}"
        f"tr:nth-child(even){{background:#f4f4f4}}</style>\n<h1>{title}</h1>\n{svg}"
    )
    parts = [head]
    for heading, (columns, rows) in tables(figures):
        parts.append(f"<h2>{escape(heading)}</h2>")
        if not rows:
            parts.append("<p>None.</p>")
            continue
        lines = [_row("th", columns), *(_row("td", row) for row in rows)]
        parts.append("<table>\n" + "\n".join(lines) + "\n</table>")
    return "\n".join(parts) + "\n</html>\n"


def _row(tag: str, cells: list[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
