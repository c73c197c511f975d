"""What the books cost: the mix, and levels at any depth, all inside one compiled loop.

    uv run python bench/book.py [--n 1000000] [--symbols 1] [--seed 42] [--depth-operations 100000]

The mix is that of `fixsim bench`, and so is what carries it out (`fixsim.bench.kernels`): find the ClOrdID, match, queue,
remember ids; with reports rendered into the batch (`with_reports`), with the report kernel replaced by nothing (`with_ids`),
and with orders known by their rows, so that no id is looked up or kept (`matching`). `empty` is the same loop without the
book. Left out: frames, journal, sockets.

Depth: 100 and 100,000 distinct levels on one side, dense (two ticks apart) and spread over the whole price range; at the
best end, at the worst end, in the middle and at random places a level is made and taken away again, over and over. The
ratio of the two depths is the claim: below 10.

Times are CPU time of the one thread, which is what a machine that does nothing else takes. Prints JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import numba
import numpy as np

from fixsim.bench.bare import silent_book
from fixsim.bench.book import Workload, compile_all, measure_books
from fixsim.bench.facts import facts
from fixsim.bench.frames import ID_BYTES
from fixsim.bench.kernels import machine_of, make_ids, touch
from fixsim.bench.plan import Plan
from fixsim.bench.stage import Stage
from fixsim.config import load, packaged
from fixsim.engine import book as with_reports
from fixsim.engine.machine import Machine
from fixsim.layout import NIL
from fixsim.limits import PRICE_TICKS_MAX

SELL, LIMIT, DAY = ord("2"), ord("2"), ord("0")
#: Capacities of the default configuration.
ROWS, LEVELS = 1 << 20, 1 << 19


def load_plan(**asked: Any) -> Plan:
    """A plan over the load configuration."""
    config = load(packaged("load.toml"))
    capacities = replace(config.capacities, orders=ROWS, clordid_memory=ROWS, price_levels=LEVELS)
    return Plan(replace(config, capacities=capacities), str(packaged("load.toml")), **asked)


@cache
def crossed() -> Workload:
    """Orders that fill each other: behind them there is a book, and it is empty."""
    return Workload(load_plan(orders=100), "cross")


def machine() -> Machine:
    """Tables of the default capacities, one instrument, nothing resting."""
    work = crossed()
    stage = Stage(work.plan.config, work.names, 1, work.now_ns)
    touch(stage)
    stage.feed_preload(work.frames)
    return machine_of(stage)


def prices(depth: int, spread: bool) -> np.ndarray:
    """`depth` prices two or more ticks apart: around the middle of the range, or all over it."""
    step = (PRICE_TICKS_MAX - 4 * depth) // depth if spread else 2
    first = 1 + 2 * depth if spread else PRICE_TICKS_MAX // 2
    return first + step * np.arange(depth, dtype=np.int64)


def depth_driver(book: ModuleType) -> Callable[..., None]:
    """The compiled loop: at each price a level is made by a sell order, which is cancelled again."""
    enter, cancel = book.enter, book.cancel

    @numba.njit
    def drive(m, fresh, ids, first, keep):
        for i in range(fresh.size):
            m.tape[0]["used"] = 0
            at = (first + i) % 1_000_000 * ID_BYTES
            slot = np.int64(m.core[0]["orders_free"])
            if slot == NIL:
                slot = np.int64(m.core[0]["orders_fresh"])
            enter(m, 0, 0, SELL, LIMIT, DAY, fresh[i], 1, np.int64(NIL), ids, at, ID_BYTES)
            if not keep:
                cancel(m, slot, np.int64(NIL), ids, at + 1_000_000 * ID_BYTES, ID_BYTES)

    return drive


def places(resting: np.ndarray, count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Where levels are made and taken away: `count` prices between or beyond those that rest."""
    random = np.random.default_rng(seed)
    middle = len(resting) // 2
    near = min(50, middle)
    yield "best", resting[0] - 1 - random.integers(0, 50, count)
    yield "worst", resting[-1] + 1 + random.integers(0, 50, count)
    yield "middle", resting[random.integers(middle - near, middle + near, count)] + 1
    yield "random", resting[random.integers(0, len(resting), count)] + 1


def run_depth(book: ModuleType, count: int, seed: int) -> dict[str, Any]:
    """Nanoseconds of making and taking away one level at 100 and at 100,000 levels, and their ratio."""
    drive = depth_driver(book)
    ids = make_ids(2_000_000)
    drive(machine(), prices(100, False), ids, 0, False)
    found: dict[str, Any] = {}
    for spread in (False, True):
        for depth in (100, 100_000):
            resting = prices(depth, spread)
            m = machine()
            m.core["name_memory"] = 1_000
            arranged = np.random.default_rng(seed).permutation(resting)
            drive(m, arranged, ids, 1_500_000 // 2, True)
            for place, fresh in places(resting, count, seed):
                runs = []
                for _ in range(5):
                    before = time.thread_time()
                    drive(m, fresh, ids, 0, False)
                    runs.append((time.thread_time() - before) / count * 1e9)
                key = f"{'spread' if spread else 'dense'}, {place}"
                found.setdefault(key, {})[f"{depth}_levels_ns"] = round(sorted(runs)[2], 1)
    for row in found.values():
        row["ratio"] = round(row["100000_levels_ns"] / row["100_levels_ns"], 2)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--depth-operations", type=int, default=100_000)
    asked = parser.parse_args()
    plan = load_plan(orders=asked.n, symbols=asked.symbols, seed=asked.seed, rounds=5)
    report = {
        **facts(), "compile_s": round(compile_all(plan, lambda line: None), 1), "mix": measure_books(plan),
        "depth_matching": run_depth(silent_book(), asked.depth_operations, asked.seed),
        "depth_with_reports": run_depth(with_reports, asked.depth_operations, asked.seed),
    }  # fmt: skip
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
