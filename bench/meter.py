"""What watching costs the loop: one turn's worth of the meter, each part of it, and what a reader adds.

    uv run python bench/meter.py [--turns 200000]

A turn here is one order in one batch: `woke`, the four laps of the loop, `sealed`, `turn`. The same turn without any of
them is the empty baseline. Also told: what a page of memory that is not there yet costs (the gap meter's FAULT_NS), and what
the garbage collector takes with the heap of a started exchange, before and after it is frozen. Prints JSON.
"""

import argparse
import gc
import json
import mmap
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixsim.engine.meter import add_stages, add_turns
from fixsim.feed.mapped import PageReader
from fixsim.feed.page import COUNTERS
from fixsim.gateway.collector import calm_collector, restore_collector
from fixsim.gateway.meter import FRAMES, HISTOGRAMS, READ, ROWS_MAX, SEND, STAGE_HISTOGRAMS, WIDTH, WRITE, Meter

PASSES = 5


class _Journal:
    position, segment_bytes = 64, 1 << 26


def ns_each(work: Callable[[], object], times: int) -> float:
    """The least of some passes, ns for one call of `work`."""
    best = float("inf")
    for _ in range(PASSES):
        before = time.perf_counter_ns()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter_ns() - before) / times)
    return best


def turn_of(meter: Meter, core: Any) -> Callable[[], None]:
    """One turn that takes one order, as the loop tells it."""

    def turn() -> None:
        meter.woke(0.5, False)
        meter.lap(READ)
        meter.lap(FRAMES)
        core["exec_id"] += 1
        meter.sealed(512, 2)
        meter.lap(WRITE)
        meter.lap(SEND)
        meter.turn()

    return turn


def costs(folder: Path, turns: int) -> dict[str, Any]:
    """ns per turn, whole and by part."""
    from fixsim.config import default_config
    from fixsim.engine.machine import new_machine
    from fixsim.exchange.capacity import sizes

    class _Exchange:
        def __init__(self) -> None:
            self.machine = new_machine(sizes(default_config()))
            self.links: dict[int, Any] = {}

    exchange = _Exchange()
    meter = Meter(folder, exchange, _Journal())
    core = exchange.machine.core[0]

    def empty() -> None:
        core["exec_id"] += 1

    baseline = ns_each(empty, turns)
    found = {"empty turn ns": baseline, "turn ns": ns_each(turn_of(meter, core), turns) - baseline}
    meter._close_look_ns = 1 << 62
    found["turn, timed by stage, ns"] = ns_each(turn_of(meter, core), turns) - baseline
    words, rows, stages = meter.page.words, meter._rows, meter._stages
    found["kernel, 64 turns, ns"] = ns_each(lambda: add_turns(words, HISTOGRAMS, WIDTH, rows, ROWS_MAX), turns)
    found["kernel, stages of one turn, ns"] = ns_each(lambda: add_stages(words, STAGE_HISTOGRAMS, WIDTH, stages), turns)
    found["publish, each 50 ms, ns"] = ns_each(lambda: meter._publish(0), turns // 20)
    reader = PageReader(folder / "counters", COUNTERS)
    found["a reading, in another process, us"] = ns_each(reader.read, 200) / 1e3
    meter.close()
    return {name: round(value, 1) for name, value in found.items()}


def faults() -> dict[str, Any]:
    """ns for the first touch of a page of memory, ordinary and huge."""
    size = 64 << 20
    found = {}
    for name, advice in (("4 KiB", mmap.MADV_NOHUGEPAGE), ("2 MiB", mmap.MADV_HUGEPAGE)):
        step = 4_096 if advice == mmap.MADV_NOHUGEPAGE else 2 << 20
        memory = mmap.mmap(-1, size)
        memory.madvise(advice)
        before = time.perf_counter_ns()
        for at in range(0, size, step):
            memory[at] = 1
        found[f"first touch of {name} ns"] = round((time.perf_counter_ns() - before) / (size // step))
        memory.close()
    return found


def collector() -> dict[str, Any]:
    """What one collection takes with everything imported that an exchange has imported, ms."""
    import fixsim.exchange.opening
    import fixsim.gateway.venue
    from fixsim.gateway.warmup import warm_up

    assert fixsim.exchange.opening and fixsim.gateway.venue
    warm_up()
    found: dict[str, Any] = {"objects": len(gc.get_objects())}
    gc.collect()
    for name in ("oldest generation ms", "oldest generation, frozen, ms"):
        before = time.perf_counter_ns()
        gc.collect()
        found[name] = round((time.perf_counter_ns() - before) / 1e6, 3)
        calm_collector()
    restore_collector()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = {"cost": costs(Path(folder), options.turns), "faults": faults(), "collector": collector()}
    assert threading.active_count() == 1
    print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), **result}, indent=2))


if __name__ == "__main__":
    main()
