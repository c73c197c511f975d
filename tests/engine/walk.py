"""A machine of a few rows, and a walk over all of it: what every table says must agree with every other.

The walk is plain Python over the tables; it calls no kernel, so that it judges them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fixsim.engine.machine import Machine, Sizes, new_machine
from fixsim.layout import LADDER_BITS, LADDER_FAN, NIL, Phase
from fixsim.limits import PRICE_TICKS_MAX

OPEN = (ord("0"), ord("1"))
SIZES = Sizes(
    orders=256, names=512, levels=128, nodes=1_024, books=2, sessions=3, echoes=8, open_orders=128, memory=50,
    name_memory=20, avg_px_decimals=6, owners=4, parties=4, duplicates=16,
)  # fmt: skip


def text(value: bytes) -> Any:
    """A text as kernels take it: uint8[n + 8], writable, as the exchange hands it over."""
    return np.frombuffer(bytearray(value + bytes(8)), np.uint8)[: len(value)]


def machine_of(**sizes: int) -> Machine:
    """An empty machine whose books have a grid and whose sessions have a name."""
    machine = new_machine(SIZES._replace(**sizes))
    for number, book in enumerate(machine.books):
        book["tick_mantissa"], book["price_decimals"], book["lot_mantissa"], book["qty_decimals"] = 1, 2, 1, 0
        book["min_lots"], book["max_lots"], book["max_price"] = 1, 1_000_000, PRICE_TICKS_MAX
        symbol = b"B%d" % number
        book["symbol_length"] = len(symbol)
        book["symbol"][: len(symbol)] = text(symbol)
    for number, session in enumerate(machine.sessions):
        names = b"49=V\x0156=S%d\x01" % number
        session["id"], session["next_in"], session["next_out"] = number + 1, 1, 1
        session["comp_ids_length"], session["venue_length"] = len(names), 1
        session["comp_ids"][: len(names)] = text(names)
    machine.core[0]["day"] = 19_724
    return machine


def empty_batch(machine: Machine) -> None:
    """Forget what was said: a test that looks at tables needs no journal."""
    machine.tape["used"], machine.tape["count"] = 0, 0


# ---------------------------------------------------------------- ladders


def key_of(side: int, price: int) -> int:
    """Lowest is best."""
    return price if side % 2 else PRICE_TICKS_MAX - price


def rungs(machine: Machine, side: int) -> tuple[list[tuple[int, int]], list[int]]:
    """(key, LEVEL row) of a side in order, and the nodes it uses."""
    ladder = machine.sides[side]
    root, height, prefix = int(ladder["root"]), int(ladder["height"]), int(ladder["prefix"])
    found: list[tuple[int, int]] = []
    nodes: list[int] = []

    def walk(node: int, height: int, prefix: int) -> None:
        nodes.append(node)
        bits = int(machine.node_bits[node])
        assert 0 < bits < 1 << LADDER_FAN, f"node {node} has children {bits:b}"
        for child in range(LADDER_FAN):
            if bits >> child & 1:
                below = int(machine.node_child[node * LADDER_FAN + child])
                key = prefix << LADDER_BITS | child
                if height == 1:
                    found.append((key, below))
                else:
                    walk(below, height - 1, key)

    if height == 0:
        assert root == NIL and prefix == 0
    else:
        assert height <= 8
        walk(root, height, prefix)
    assert len(found) == int(ladder["levels"])
    return found, nodes


# ---------------------------------------------------------------- the whole machine


def check(machine: Machine) -> None:
    """Every rule that holds between two messages."""
    levels, nodes = _check_sides(machine)
    core = machine.core[0]
    _check_rows(machine, "levels", levels, "head")
    _check_rows(machine, "nodes", nodes, None)
    orders, rows = _check_names(machine)
    _check_rows(machine, "orders", orders, "next")
    _check_rows(machine, "names", rows, "newer")
    resting = [slot for slot in orders if int(machine.orders[slot]["level"]) != NIL]
    assert all(int(machine.orders[slot]["status"]) in OPEN for slot in resting), "what rests is open"
    assert all(int(machine.orders[slot]["level"]) != NIL for slot in orders if int(machine.orders[slot]["status"]) in OPEN)
    assert sum(int(side["orders"]) for side in machine.sides) == len(resting)
    _check_sessions(machine, orders)
    for echo in range(int(core["echoes_fresh"])):
        users = sum(int(machine.orders[slot]["echo"]) == echo for slot in orders)
        assert int(machine.echoes[echo]["refs"]) == users, f"ECHO row {echo} has {users} users"


def _check_sides(machine: Machine) -> tuple[list[int], list[int]]:
    """Ladders, levels and queues; LEVEL rows and nodes in use."""
    all_levels: list[int] = []
    all_nodes: list[int] = []
    for side in range(len(machine.sides)):
        found, nodes = rungs(machine, side)
        best = int(machine.sides[side]["best"])
        assert best == (found[0][1] if found else NIL), "best is the first rung"
        orders = 0
        for key, row in found:
            level = machine.levels[row]
            assert key == key_of(side, int(level["price"]))
            orders += _check_level(machine, side, row)
        assert orders == int(machine.sides[side]["orders"])
        all_levels += [row for _, row in found]
        all_nodes += nodes
    for book in range(len(machine.books)):
        bid, ask = int(machine.sides[2 * book]["best"]), int(machine.sides[2 * book + 1]["best"])
        if bid != NIL and ask != NIL and machine.books[book]["phase"] == Phase.CONTINUOUS:
            assert int(machine.levels[bid]["price"]) < int(machine.levels[ask]["price"]), "a book is crossed"
    return all_levels, all_nodes


def _check_level(machine: Machine, side: int, row: int) -> int:
    """One queue; the orders in it."""
    level = machine.levels[row]
    slot, older, count, lots = int(level["head"]), NIL, 0, 0
    while slot != NIL:
        order = machine.orders[slot]
        assert int(order["prev"]) == older and int(order["level"]) == row and int(order["leaves"]) > 0
        market = PRICE_TICKS_MAX if side % 2 == 0 else 0
        assert (int(order["price"]) if order["ord_type"] == ord("2") else market) == int(level["price"])
        assert 2 * int(order["book"]) + (0 if order["side"] == ord("1") else 1) == side
        assert int(order["leaves"]) + int(order["cum"]) == int(order["qty"])
        assert int(order["status"]) == (ord("1") if order["cum"] else ord("0"))
        count, lots, older, slot = count + 1, lots + int(order["leaves"]), slot, int(order["next"])
        assert count <= len(machine.orders), "a queue goes round"
    assert older == int(level["tail"]) and count > 0
    assert (count, lots) == (int(level["count"]), int(level["lots"]))
    return count


def _check_rows(machine: Machine, table: str, used: list[int], link: str | None) -> None:
    """Rows in use, and rows on the free list, are all rows that were ever taken, once each."""
    core = machine.core[0]
    assert len(set(used)) == len(used) == int(core[f"{table}_used"]), f"{table}: {len(used)} rows can be reached"
    free: list[int] = []
    row = int(core[f"{table}_free"])
    while row != NIL:
        free.append(row)
        assert len(free) <= int(core[f"{table}_fresh"]), f"the free list of {table} goes round"
        row = int(machine.node_child[row * LADDER_FAN]) if link is None else int(getattr(machine, table)[row][link])
    assert sorted(used + free) == list(range(int(core[f"{table}_fresh"]))), f"{table}: a row is lost or there twice"


def rows_of(machine: Machine, name: int) -> Iterator[int]:
    """NAME rows one text takes."""
    while name != NIL:
        yield name
        name = int(machine.names[name]["more"])


def _check_names(machine: Machine) -> tuple[list[int], list[int]]:
    """The index; ORDER and NAME rows that can be reached through it."""
    index = machine.name_index
    mask = len(index) - 1
    names = [(int(entry) & mask) - 1 for entry in index if entry]
    for at, entry in enumerate(index):
        if entry:
            hashed = int(machine.names[(int(entry) & mask) - 1]["hash"])
            assert (int(entry) ^ hashed) & ~mask == 0, "the upper bits are those of the hash"
            home = hashed & mask
            while home != at:
                assert index[home] != 0, "an entry that no search can find"
                home = (home + 1) & mask
    counts: dict[int, int] = {}
    for name in names:
        order = int(machine.names[name]["order"])
        counts[order] = counts.get(order, 0) + 1
    for order, count in counts.items():
        assert int(machine.orders[order]["names"]) == count, f"ORDER row {order} has {count} names"
        assert int(machine.orders[order]["name"]) in names, "the current id of an order is known as long as the order is"
    return list(counts), [row for name in names for row in rows_of(machine, name)]


def _check_sessions(machine: Machine, orders: list[int]) -> None:
    """The queues of retired ids hold just the ids that name no open order, and open orders are counted."""
    names = [(int(entry) & (len(machine.name_index) - 1)) - 1 for entry in machine.name_index if entry]
    retired: list[int] = []
    for slot, session in enumerate(machine.sessions):
        queue: list[int] = []
        name = int(session["oldest"])
        while name != NIL:
            queue.append(name)
            assert len(queue) <= len(machine.names), "a queue of ids goes round"
            name = int(machine.names[name]["newer"])
        assert (queue[-1] if queue else NIL) == int(session["newest"])
        assert len(queue) == int(session["retired"]) <= int(machine.core[0]["name_memory"])
        own = [order for order in orders if int(machine.orders[order]["session"]) == slot]
        current = {int(machine.orders[order]["name"]) for order in own if int(machine.orders[order]["status"]) in OPEN}
        mine = {name for name in names if int(machine.orders[int(machine.names[name]["order"])]["session"]) == slot}
        assert set(queue) == mine - current
        assert int(session["open_orders"]) == len(current)
        retired += queue
    core = machine.core[0]
    assert sum(int(session["open_orders"]) for session in machine.sessions) == int(core["open_orders"])
    rows = sum(len(list(rows_of(machine, name))) for name in retired)
    assert rows == int(core["retired_rows"]) <= int(core["memory"])
