"""What the books cost: a mix of orders and cancels, and levels at any depth, all inside one compiled loop.

    uv run python bench/book.py [--n 1000000] [--preload 5000] [--symbols 1] [--seed 42]

The mix is 45 % new orders at 50 levels on each side, 45 % cancels of a random open order, 10 % orders that cross, over
`--preload` resting orders; a cancel becomes a new order while too few rest. It is made beforehand; what is timed is one
kernel that carries it out: find the ClOrdID, match, queue, remember ids. That is done twice, with reports rendered into
the batch (`with_reports`) and with the report kernel replaced by nothing (`matching`). `empty_loop` is the same loop
without the book. Left out: frames, journal, sockets.

Depth: 100 and 100,000 distinct levels on one side, dense (two ticks apart) and spread over the whole price range; at the
best end, at the worst end, in the middle and at random places a level is made and taken away again, over and over. The
ratio of the two depths is the claim: below 10.

Times are CPU time of the one thread, which is what a machine that does nothing else takes; `wall_s` stands beside it.
Prints JSON. Compilation happens before any clock starts and is reported apart; kernels go to a cache of their own.
"""

import argparse
import atexit
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

# Two versions of one source are compiled here: they must not meet the kernels of the exchange.
os.environ["FIXSIM_KERNEL_CACHE"] = tempfile.mkdtemp(prefix="fixsim-bench-")

import numba
import numpy as np

from fixsim.engine import book as with_reports
from fixsim.engine.book import MORE
from fixsim.engine.index import find_name
from fixsim.engine.jit import kernel
from fixsim.engine.machine import Machine, Sizes, new_machine
from fixsim.engine.tape import has_tape_room
from fixsim.layout import NIL
from fixsim.limits import PRICE_TICKS_MAX

MID, LEVELS, LOTS = 10_000, 50, 100
ID_BYTES = 9
NEW, CANCEL = 0, 1
SELL, LIMIT, DAY = ord("2"), ord("2"), ord("0")


class Flow(NamedTuple):
    """Operations by row; order number i is the i-th NEW, and has ids[i] as its ClOrdID."""

    kind: np.ndarray  # uint8[n] NEW or CANCEL
    symbol: np.ndarray  # int64[n]
    side: np.ndarray  # uint8[n] Side(54)
    price: np.ndarray  # int64[n] ticks
    lots: np.ndarray  # int64[n]
    orig: np.ndarray  # int64[n] operation whose order a CANCEL is about
    ids: np.ndarray  # uint8[n x ID_BYTES] ClOrdID of each operation


def silent_book() -> ModuleType:
    """The book's module once more, its reports replaced by nothing."""
    spec = importlib.util.find_spec("fixsim.engine.book")
    assert spec is not None and spec.origin is not None
    spec = importlib.util.spec_from_file_location("fixsim.engine.silent_book", spec.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # numba's cache knows a kernel by file and line, which are the same in both
    kept, numba.config.CACHE_DIR = numba.config.CACHE_DIR, tempfile.mkdtemp(dir=os.environ["FIXSIM_KERNEL_CACHE"])
    spec.loader.exec_module(module)
    numba.config.CACHE_DIR = kept
    module.report = unsaid  # type: ignore[attr-defined]
    return module


@kernel
def unsaid(m, slot, exec_type, name, orig, route, lots, price, liquidity):
    """A report that is not written; the ExecID is used up."""
    m.core[0]["exec_id"] += 1


def machine(symbols: int, levels: int = 1 << 19) -> Machine:
    """Tables of the default capacities."""
    orders = memory = 1 << 20
    made = new_machine(
        Sizes(orders=orders + memory, names=orders + memory, levels=levels, nodes=2 * levels + 64, books=symbols, sessions=4,
              echoes=16, open_orders=orders, memory=memory, name_memory=memory // 8, avg_px_decimals=6)
    )  # fmt: skip
    names = np.frombuffer(b"49=FIXSIM\x0156=CLIENT\x01", np.uint8)
    made.sessions["id"][0], made.sessions["next_in"], made.sessions["next_out"] = 1, 1, 1
    made.sessions["comp_ids_length"], made.sessions["venue_length"] = len(names), 6
    made.sessions["comp_ids"][:, : len(names)] = names
    for book in made.books:
        book["tick_mantissa"], book["price_decimals"], book["lot_mantissa"] = 1, 2, 1
        book["min_lots"], book["max_lots"], book["max_price"], book["symbol_length"] = 1, 1 << 30, PRICE_TICKS_MAX, 6
        book["symbol"][:6] = np.frombuffer(b"SYM000", np.uint8)
    stamp = np.frombuffer(b"20260101-12:00:00.000", np.uint8)
    made.tape["stamp"][0, : len(stamp)], made.tape["stamp_length"] = stamp, len(stamp)
    return made


# ---------------------------------------------------------------- the mix


def generate(silent: ModuleType, n: int, preload: int, symbols: int, seed: int) -> Flow:
    """The mix, made by letting it happen once: what crosses and what can be cancelled depends on what rests."""
    enter, cancel = silent.enter, silent.cancel
    total = preload + n
    digits = np.char.zfill(np.arange(total).astype(f"S{ID_BYTES - 1}"), ID_BYTES - 1)
    ids = np.frombuffer(b"".join(b"O" + text for text in digits.tolist()), np.uint8).copy()
    flow = Flow(
        np.zeros(total, np.uint8), np.zeros(total, np.int64), np.zeros(total, np.uint8), np.zeros(total, np.int64),
        np.zeros(total, np.int64), np.zeros(total, np.int64), ids,
    )  # fmt: skip

    @numba.njit
    def make(m, flow, preload, symbols, seed):
        np.random.seed(seed)
        total = flow.kind.size
        slots, numbers = np.zeros(total, np.int64), np.zeros(total, np.int64)
        live, alive = np.zeros(total, np.int64), 0
        for i in range(total):
            m.tape[0]["used"] = 0
            dice = 0 if i < preload else np.random.randint(100)
            chosen = -1
            while 45 <= dice < 90 and alive > 0 and alive + 50 >= preload and chosen < 0:
                at = np.random.randint(alive)
                chosen = live[at]
                order = m.orders[slots[chosen]]
                if order["order_id"] != numbers[chosen] or order["level"] == NIL:
                    alive -= 1
                    live[at] = live[alive]
                    chosen = -1
            if chosen >= 0:
                flow.kind[i], flow.orig[i] = CANCEL, chosen
                cancel(m, slots[chosen], np.int64(NIL), flow.ids, i * ID_BYTES, ID_BYTES)
                continue
            book, buys = np.random.randint(symbols), np.random.randint(2) == 0
            bid, ask = m.sides[2 * book]["best"], m.sides[2 * book + 1]["best"]
            if dice >= 90:
                price, lots = (MID + 1, LOTS) if buys else (MID, LOTS)
                if buys and ask != NIL:
                    price = np.int64(m.levels[ask]["price"])
                if not buys and bid != NIL:
                    price = np.int64(m.levels[bid]["price"])
                lots = LOTS * (1 + np.random.randint(3))
            else:
                away = np.random.randint(LEVELS)
                price = MID - away if buys else MID + 1 + away
                if buys and ask != NIL:
                    price = min(price, np.int64(m.levels[ask]["price"]) - 1)
                if not buys and bid != NIL:
                    price = max(price, np.int64(m.levels[bid]["price"]) + 1)
                lots = LOTS * (1 + np.random.randint(10))
            flow.symbol[i], flow.side[i], flow.price[i], flow.lots[i] = book, 49 if buys else 50, price, lots
            slots[i] = m.core[0]["orders_free"] if m.core[0]["orders_free"] != NIL else m.core[0]["orders_fresh"]
            enter(m, 0, book, flow.side[i], LIMIT, DAY, price, lots, np.int64(NIL), flow.ids, i * ID_BYTES, ID_BYTES)
            numbers[i] = m.core[0]["order_id"]
            live[alive] = i
            alive += 1

    make(machine(symbols), flow, preload, symbols, seed)
    return flow


def driver(book: ModuleType) -> Callable[..., None]:
    """The compiled loop over operations `begin` to `end` of a flow."""
    enter, cancel, resume = book.enter, book.cancel, book.resume

    @numba.njit
    def drive(m, flow, begin, end):
        for i in range(begin, end):
            if not has_tape_room(m):
                m.tape[0]["used"] = 0
            if flow.kind[i] == CANCEL:
                name = find_name(m, 0, flow.ids, flow.orig[i] * ID_BYTES, ID_BYTES)
                slot = np.int64(m.names[name]["order"])
                cancel(m, slot, np.int64(NIL), flow.ids, i * ID_BYTES, ID_BYTES)
            else:
                more = enter(
                    m, 0, flow.symbol[i], flow.side[i], LIMIT, DAY, flow.price[i], flow.lots[i], np.int64(NIL), flow.ids,
                    i * ID_BYTES, ID_BYTES,
                )  # fmt: skip
                while more == MORE:
                    m.tape[0]["used"] = 0
                    more = resume(m)

    return drive


@numba.njit
def empty_loop(m, flow, begin, end):
    """Touches what the driver reads of the flow, and no book."""
    for i in range(begin, end):
        if not has_tape_room(m) or flow.kind[i] > CANCEL:
            m.tape[0]["used"] = 0
        m.core[0]["exec_id"] += flow.price[i] + flow.lots[i] + flow.ids[i * ID_BYTES] + flow.symbol[i] + flow.orig[i]


def run_mix(drive: Callable[..., None], flow: Flow, preload: int, symbols: int, rounds: int = 5) -> dict[str, Any]:
    """Operations per second over the timed part: median and range of fresh runs."""
    total = flow.kind.size
    drive(machine(symbols), flow, 0, min(total, 1_000))
    took, walls, m = [], [], machine(symbols)
    for _ in range(rounds):
        m = machine(symbols)
        drive(m, flow, 0, preload)
        before, wall = time.thread_time(), time.perf_counter()
        drive(m, flow, preload, total)
        took.append(time.thread_time() - before)
        walls.append(time.perf_counter() - wall)
    rates = sorted((total - preload) / seconds for seconds in took)
    core = m.core[0]
    return {
        "operations_per_s": round(rates[len(rates) // 2]), "lowest": round(rates[0]), "highest": round(rates[-1]),
        "ns_per_operation": round(1e9 / rates[len(rates) // 2], 1), "wall_s": round(sorted(walls)[len(walls) // 2], 3),
        "fills": int(core["match_id"]), "open_at_end": int(core["open_orders"]),
    }  # fmt: skip


# ---------------------------------------------------------------- depth


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
    digits = np.char.zfill(np.arange(2_000_000).astype(f"S{ID_BYTES - 1}"), ID_BYTES - 1)
    ids = np.frombuffer(b"".join(b"O" + text for text in digits.tolist()), np.uint8).copy()
    drive(machine(1), prices(100, False), ids, 0, False)
    found: dict[str, Any] = {}
    for spread in (False, True):
        for depth in (100, 100_000):
            resting = prices(depth, spread)
            m = machine(1)
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


def compiling() -> tuple[ModuleType, dict[str, float]]:
    """The silent book, and seconds it takes to compile the drivers with and without reports."""
    silent, seconds = silent_book(), {}
    flow = generate(silent, 100, 10, 1, 1)
    for name, book in (("matching", silent), ("with_reports", with_reports)):
        before = time.perf_counter()
        driver(book)(machine(1), flow, 0, 100)
        seconds[name] = round(time.perf_counter() - before, 1)
    return silent, seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--preload", type=int, default=5_000)
    parser.add_argument("--symbols", type=int, default=1)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--depth-operations", type=int, default=100_000)
    asked = parser.parse_args()
    atexit.register(shutil.rmtree, os.environ["FIXSIM_KERNEL_CACHE"], ignore_errors=True)
    silent, seconds = compiling()
    flow = generate(silent, asked.n, asked.preload, asked.symbols, asked.seed)
    timed = flow.kind[asked.preload :]
    drivers = {"empty_loop": empty_loop, "matching": driver(silent), "with_reports": driver(with_reports)}
    report = {
        "python": platform.python_version(), "numba": numba.__version__, "numpy": np.__version__, "cpus": os.cpu_count(),
        "compile_s": seconds,
        "mix": {"n": asked.n, "preload": asked.preload, "symbols": asked.symbols, "seed": asked.seed,
                "new": int((timed == NEW).sum()), "cancel": int((timed == CANCEL).sum())},
        **{name: run_mix(drive, flow, asked.preload, asked.symbols) for name, drive in drivers.items()},
        "depth_matching": run_depth(silent, asked.depth_operations, asked.seed),
        "depth_with_reports": run_depth(with_reports, asked.depth_operations, asked.seed),
    }  # fmt: skip
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
