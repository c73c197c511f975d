"""Which layout should the hot tables have? Rows of a packed dtype, or one array per column.

    uv run python bench/layout.py

Both hold the same 80 bytes of an order. Three access patterns of a book are timed on each, on tables that fit the caches
and on one that does not: unlink a random order (touches next, prev, level, leaves), fill the oldest (leaves, cum, price)
and write a new order (every field). What a kernel call costs by the number of arrays passed is timed beside it, because
that is the price of columns.
"""

import argparse
import json
import time
from typing import NamedTuple

import numpy as np
from numba import njit

FIELDS = [("price", "<i8"), ("leaves", "<i8"), ("cum", "<i8"), ("qty", "<i8"), ("notional", "<i8"), ("order_id", "<i8"),
          ("next", "<i4"), ("prev", "<i4"), ("level", "<i4"), ("cl_ord_id", "<i4"), ("session", "<i4"), ("account", "<i4"),
          ("day", "<i4"), ("flags", "<i4")]
ROW = np.dtype(FIELDS)


class Columns(NamedTuple):
    price: np.ndarray
    leaves: np.ndarray
    cum: np.ndarray
    qty: np.ndarray
    notional: np.ndarray
    order_id: np.ndarray
    next: np.ndarray
    prev: np.ndarray
    level: np.ndarray
    cl_ord_id: np.ndarray
    session: np.ndarray
    account: np.ndarray
    day: np.ndarray
    flags: np.ndarray


@njit
def rows_work(rows, order, steps):
    total = 0
    for i in range(steps):
        slot = order[i]
        row = rows[slot]
        n, p = row["next"], row["prev"]
        rows[n]["prev"] = p
        rows[p]["next"] = n
        total += row["leaves"] + row["level"]
        row["leaves"] = total & 255
        row["cum"] += 1
        row["notional"] += row["price"]
        row["price"], row["qty"], row["order_id"] = i, i, i
        row["session"], row["account"], row["day"], row["flags"] = 1, 2, 3, 4
        row["cl_ord_id"], row["level"] = i, 7
    return total


@njit
def columns_work(t, order, steps):
    total = 0
    for i in range(steps):
        slot = order[i]
        n, p = t.next[slot], t.prev[slot]
        t.prev[n] = p
        t.next[p] = n
        total += t.leaves[slot] + t.level[slot]
        t.leaves[slot] = total & 255
        t.cum[slot] += 1
        t.notional[slot] += t.price[slot]
        t.price[slot], t.qty[slot], t.order_id[slot] = i, i, i
        t.session[slot], t.account[slot], t.day[slot], t.flags[slot] = 1, 2, 3, 4
        t.cl_ord_id[slot], t.level[slot] = i, 7
    return total


def timed(work, *arguments):
    work(*arguments)
    best = min(_once(work, *arguments) for _ in range(5))
    return best


def _once(work, *arguments):
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def call_cost(count):
    """Microseconds of one call of a kernel that is passed `count` arrays in a NamedTuple."""
    kind = NamedTuple(f"Args{count}", [(f"a{i}", np.ndarray) for i in range(count)])
    bundle = kind(*(np.zeros(4, ROW) for _ in range(count)))

    @njit
    def nothing(args):
        return args[0][0]["price"]

    nothing(bundle)
    begin = time.perf_counter()
    for _ in range(100_000):
        nothing(bundle)
    return (time.perf_counter() - begin) * 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    figures = {}
    for size in (1_000, 100_000, 2_000_000):
        order = random.integers(0, size, options.steps)
        rows = np.zeros(size, ROW)
        rows["next"], rows["prev"] = random.integers(0, size, size), random.integers(0, size, size)
        columns = Columns(*(np.ascontiguousarray(rows[name]) for name, _ in FIELDS))
        figures[f"{size} orders"] = {
            "rows ns": round(timed(rows_work, rows, order, options.steps) / options.steps * 1e9, 1),
            "columns ns": round(timed(columns_work, columns, order, options.steps) / options.steps * 1e9, 1),
        }
    figures["call us by arrays passed"] = {n: round(call_cost(n), 2) for n in (1, 12, 24, 60)}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
