"""What limits cost on the hot path: the same frames through the fast door with no limits, and with every one of them.

    uv run python bench/risk.py [--orders 200000] [--flow mix] [--rounds 7] [--seed 42]

The flow is that of `fixsim bench`, one session and one instrument; each frame is scanned, admitted, checked, recorded, matched
and reported by the kernels of the fast door, one frame at a time, with a millisecond of venue time between two frames.
`all` has every limit that there is for the session, its prices for the instrument, and what is held and open for the firm, set
so wide that nothing is refused: 3 owners to be asked, and to be kept up to date for both sides of each fill. `none` is the same
configuration with `[risk] checks = false`. The two take turns. Times are CPU time of
the one thread. Left out, equally: sealing, writing, sockets. Prints JSON.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fixsim.bench.book import Workload
from fixsim.bench.facts import facts
from fixsim.bench.kernels import machine_of
from fixsim.bench.plan import Plan
from fixsim.config import Config, Limits, Risk, load, packaged
from fixsim.engine.batch import LARGE, run_frames
from fixsim.engine.book import MORE, resume
from fixsim.engine.jit import kernel
from fixsim.errors import VenueError
from fixsim.limits import FRAME_BYTES_MAX, RATE_MAX

WIDE = Decimal(10) ** 15
#: Venue time between two frames: longer than the window in which equal orders are refused.
STEP_NS = 1_000_001

PRICES: dict[str, Any] = {
    "order_qty_max": Decimal(4_000_000_000), "collar_last_bps": 100_000, "collar_mid_bps": 100_000,
    "collar_static_bps": 100_000,
    "protection_bps": 10_000,
}  # fmt: skip
ACTIVITY: dict[str, Any] = {
    "order_notional_max": WIDE, "duplicate_window_ms": 1, "order_rate": RATE_MAX, "message_rate": RATE_MAX,
    "order_to_trade_max": 1 << 30, "short_sale": "locate",
}  # fmt: skip
HELD: dict[str, Any] = {
    "open_orders_max": 1 << 30, "open_notional_max": WIDE, "position_max": Decimal(10) ** 12, "gross_max": WIDE,
    "net_max": WIDE,
    "credit_max": WIDE, "daily_loss_max": WIDE,
}  # fmt: skip


@kernel
def frame_by_frame(m, session, octets, starts, begin, end):
    """Frames `begin` to `end`, each a little later than the one before; how many the fast door took."""
    for i in range(begin, end):
        m.tape[0]["now_ns"] += STEP_NS
        at, why = run_frames(m, session, octets, starts[i], starts[i + 1], FRAME_BYTES_MAX, 0)
        while why == LARGE and resume(m) == MORE:
            m.tape[0]["used"] = 0
        m.tape[0]["used"], m.tape[0]["count"] = 0, 0
        if at != starts[i + 1]:
            return i - begin
    return end - begin


def configured(*, checks: bool) -> Config:
    """The load configuration, with every limit there is, or with all of them switched off."""
    config = load(packaged("load.toml"))
    return replace(
        config,
        counterparties=tuple(replace(entry, firm="FIRM") for entry in config.counterparties),
        instruments=tuple(replace(entry, reference_price=Decimal(100)) for entry in config.instruments),
        risk=Risk(checks=checks),
        limits=(
            Limits("session", "*", **PRICES, **ACTIVITY, **HELD),
            Limits("firm", "FIRM", **HELD),
            Limits("instrument", "*", price_min=Decimal("0.01"), price_max=Decimal(1_000), **PRICES),
        ),
    )


def one_round(work: Workload) -> float:
    """ns of CPU time for one frame. Raises VenueError when one went to the slow door."""
    stage = work.stage(1)  # the first order makes its book, and is the slow door's
    machine = machine_of(stage)
    arguments = (machine, stage.slot(0), work.frames.octets, work.frames.starts)
    frame_by_frame(*arguments, 1, work.made.preload)
    before = time.thread_time_ns()
    taken = frame_by_frame(*arguments, work.made.preload, work.total)
    spent = time.thread_time_ns() - before
    if taken != work.operations:
        raise VenueError(f"frame {taken} of {work.operations} was not taken by the fast door")
    return spent / work.operations


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="What limits cost on the hot path.")
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--flow", default="mix")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=42)
    asked = parser.parse_args(arguments)
    works = {}
    for name, checks in (("none", False), ("all", True)):
        config = configured(checks=checks)
        plan = Plan(config, str(packaged("load.toml")), orders=asked.orders, flow=asked.flow, seed=asked.seed)
        works[name] = Workload(plan)
        one_round(Workload(replace(plan, orders=50)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(asked.rounds):
        for name, work in works.items():
            found[name].append(one_round(work))
    more = [100 * (every / none - 1) for none, every in zip(found["none"], found["all"], strict=True)]
    told = {
        "ns_per_frame": {name: [round(value) for value in sorted(values)] for name, values in found.items()},
        "median_ns": {name: round(statistics.median(values)) for name, values in found.items()},
        "more_percent": round(100 * (statistics.median(found["all"]) / statistics.median(found["none"]) - 1), 1),
        "more_percent_of_rounds": [round(value, 1) for value in sorted(more)],
        "owners": 3, "flow": asked.flow, "orders": asked.orders, "frames": works["all"].operations, "facts": facts(),
    }  # fmt: skip
    json.dump(told, sys.stdout, indent=2, default=str)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
