"""Pictures of results, as plain SVG.

    uv run python bench/chart.py bench/results/DATE-bench.json [bench/results/DATE-peers.json ...] [--out docs/pictures]

A result of `fixsim bench --comprehensive --json` becomes `curves.svg`: throughput against sessions, symbols and resting orders.
One of `bench/peers.py` becomes `NAME.svg`: a bar for each peer. Both axes of a curve are logarithmic, so a line that is flat
within a factor of two stays in a narrow band.
"""

import argparse
import json
import math
from html import escape
from pathlib import Path
from typing import Any

WIDTH, PANEL, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 960, 320, 62, 46, 240, 190
COLOURS = ("#1f6f8b", "#d1495b", "#66a182", "#8d6a9f")
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-size:14px;font-weight:bold}.axis{stroke:#999;stroke-width:1}"
    ".grid{stroke:#ddd;stroke-width:1}"
)
Series = dict[str, list[tuple[float, float]]]


def shown(value: float) -> str:
    """1500 as 1.5 k, 2000000 as 2 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def page(width: int, height: int, parts: list[str]) -> str:
    """A whole picture."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join(
        [head, f"<style>{STYLE}</style>", f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>"]
    )


def text(x: float, y: float, what: str, anchor: str = "start", kind: str = "") -> str:
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(what)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def panel(x0: float, title: str, unit: str, series: Series) -> list[str]:
    """One plot, both axes logarithmic."""
    points = [point for found in series.values() for point in found]
    lowest, highest = (10 ** f(math.log10(edge)) for f, edge in (
        (math.floor, min(y for _, y in points)), (math.ceil, max(y for _, y in points) * 1.0001)
    ))  # fmt: skip
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    left, bottom = x0 + LEFT, TOP + PLOT_HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / first) / max(1e-9, math.log(last / first))
        return left + across * PLOT_WIDTH, bottom - math.log(y / lowest) / math.log(highest / lowest) * PLOT_HEIGHT

    parts = [text(left, TOP - 20, title, kind="title")]
    for power in range(round(math.log10(lowest)), round(math.log10(highest)) + 1):
        y = place(first, 10**power)[1]
        parts += [line(left, y, left + PLOT_WIDTH, y, "grid"), text(left - 6, y + 4, shown(10**power), "end")]
    for x in sorted({x for x, _ in points}):
        at = place(x, lowest)[0]
        parts += [line(at, bottom, at, bottom + 4, "axis"), text(at, bottom + 18, shown(x), "middle")]
    parts.append(text(left + PLOT_WIDTH / 2, bottom + 36, unit, "middle"))
    for number, (name, found) in enumerate(series.items()):
        colour, places = COLOURS[number % len(COLOURS)], [place(*point) for point in sorted(found)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(f'<rect x="{left}" y="{bottom + 46 + 18 * number}" width="12" height="12" fill="{colour}"/>')
        parts.append(text(left + 18, bottom + 56 + 18 * number, name))
    return parts


def curves(found: dict[str, Any]) -> str:
    """Throughput against what grows."""
    asked, parts = found["workload"], found["parts"]
    panels: list[str] = []
    for number, (key, other, title) in enumerate((("sessions", "symbols", "Sessions"), ("symbols", "sessions", "Symbols"))):
        mine = [cell for cell in parts["wire"] if cell["flow"] == asked["flow"] and cell[other] == asked[other]]
        series: Series = {
            "fixsim, orders/s on the wire": [(cell[key], cell["orders_per_s"]["median"]) for cell in mine],
            "canned acceptor": [(cell[key], cell["canned_orders_per_s"]["median"]) for cell in mine],
        }
        panels += panel(number * PANEL, title, f"{key}, {asked['flow']}", series)
    rows = parts["resting"]
    series = {"fixsim, orders/s on the wire": [(row["resting"], row["wire"]["orders_per_s"]["median"]) for row in rows]}
    series["books alone"] = [(row["resting"], row["matching_per_s"]["median"]) for row in rows]
    series["books with reports"] = [(row["resting"], row["with_reports_per_s"]["median"]) for row in rows]
    return page(WIDTH, TOP + PLOT_HEIGHT + 104, panels + panel(2 * PANEL, "Resting orders", "orders in the books", series))


def bars(found: dict[str, Any]) -> str:
    """Orders per second of each peer and flow; lengths are logarithmic."""
    figures = found["figures"]
    flows = [flow for flow in dict.fromkeys(what for cells in figures.values() for what in cells) if flow != "latency"]
    values = [cells[flow]["orders_per_s"]["median"] for cells in figures.values() for flow in flows if flow in cells]
    lowest, highest = 10 ** math.floor(math.log10(min(values))), max(values)
    parts, y = [text(20, 26, f"orders/s, client {found['client']}", kind="title")], 50
    for name, cells in figures.items():
        parts.append(text(20, y + 11, name))
        for number, flow in enumerate(flows):
            if flow not in cells:
                continue
            value = cells[flow]["orders_per_s"]["median"]
            width = 520 * math.log(value / lowest * 1.05) / math.log(highest / lowest * 1.05)
            parts.append(f'<rect x="190" y="{y}" width="{width:.1f}" height="13" fill="{COLOURS[number % len(COLOURS)]}"/>')
            parts.append(text(196 + width, y + 11, f"{shown(value)} {flow}"))
            y += 16
        y += 10
    return page(WIDTH, y + 10, parts)


def main() -> None:
    """Write a picture for each result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "pictures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for path in asked.results:
        found = json.loads(path.read_text())
        name = "curves" if "parts" in found else path.stem.split("-", 3)[-1]
        (asked.out / f"{name}.svg").write_text((curves(found) if "parts" in found else bars(found)) + "\n")
        print(asked.out / f"{name}.svg")


if __name__ == "__main__":
    main()
