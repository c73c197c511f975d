"""A latency curve as SVG: percentiles to the right, each nine as wide as the last, time upwards, both on logarithmic scales.

The curve is drawn from the page's buckets. A plotting library would be the heaviest dependency of the house for one polyline.
"""

from collections.abc import Iterable, Mapping
from html import escape
from math import log10
from typing import Any, Final

import numpy as np

from fixsim.feed.page import SLOTS, value_of

WIDTH, HEIGHT = 860, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 20, 50
#: Shown to the right: the share of values above, and its name.
NINES: Final = ((1.0, "0"), (0.1, "90"), (0.01, "99"), (0.001, "99.9"), (0.0001, "99.99"), (0.00001, "99.999"))
COLOURS: Final = ("#1b6ca8", "#c44e52", "#55a868", "#8172b2", "#ccb974", "#64b5cd")
VALUES: Final = np.array([value_of(slot + 1) - 1 for slot in range(SLOTS - 1)] + [value_of(SLOTS - 1)])


def curve_of(counts: Any) -> list[tuple[float, float]]:
    """Points (share of values above, ns) of a histogram; empty when it is."""
    total = int(counts.sum())
    if total == 0:
        return []
    below, points = 0, []
    for slot in np.flatnonzero(counts):
        value = max(1.0, float(VALUES[slot]))
        points.append((1 - below / total, value))
        below += int(counts[slot])
        # the last of them has nothing above it, which a logarithm cannot show: it ends where one value is
        points.append((max(1 - below / total, 1 / total), value))
    return points


def picture(curves: Mapping[str, Any]) -> str:
    """An SVG document of the histograms in `curves` (their counts, by name)."""
    points = {name: curve_of(counts) for name, counts in curves.items()}
    values = [value for curve in points.values() for _, value in curve] or [1_000.0, 1_000_000.0]
    least = min((share for curve in points.values() for share, _ in curve), default=0.0001)
    low, high = int(log10(min(values))), int(log10(max(values))) + 1
    nines = next((place for place, (share, _) in enumerate(NINES) if share <= least), len(NINES) - 1) or 1

    def across(share: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, -log10(share) / nines)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (log10(value) - low) / (high - low)

    lines = [*_grid(across, up, nines, range(low, high + 1)), *_curves(points, across, up)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def _grid(across: Any, up: Any, nines: int, powers: Iterable[int]) -> Iterable[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for share, name in NINES[: nines + 1]:
        x = across(share)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{name}</text>'
    for power in powers:
        y = up(10.0**power)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_time(power)}</text>'
    yield f'<text x="{(LEFT + right) / 2}" y="{bottom + 38}" text-anchor="middle">percentile</text>'


def _curves(points: Mapping[str, list[tuple[float, float]]], across: Any, up: Any) -> Iterable[str]:
    for place, (name, curve) in enumerate(points.items()):
        colour = COLOURS[place % len(COLOURS)]
        line = " ".join(f"{across(share):.1f},{up(value):.1f}" for share, value in curve)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 14 + 18 * place}" fill="{colour}">{escape(name)}</text>'


def _time(power: int) -> str:
    """10**power ns in words."""
    for step, unit in ((9, "s"), (6, "ms"), (3, "us")):
        if power >= step:
            return f"{10 ** (power - step)} {unit}"
    return f"{10**power} ns"
