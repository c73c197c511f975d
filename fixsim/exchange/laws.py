"""What must hold of every state an exchange can be in; a replay asks for it, so that a day is judged beyond its bytes."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from fixsim.engine.levels import level_price
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.market import levels, queue
from fixsim.layout import NIL, OWNERS_EACH, Phase

#: OrdStatus(39) of an order that can still trade.
OPEN: Final = frozenset({ord("0"), ord("1"), ord("9")})


def broken_laws(exchange: Exchange) -> list[str]:
    """Every law the state breaks, in words; empty for a sound state."""
    return [*_books(exchange), *_orders(exchange), *_sessions(exchange), *_owners(exchange)]


def _books(exchange: Exchange) -> Iterator[str]:
    """No book is crossed where orders meet as they come; a level is the sum of its queue, walked from old to young."""
    machine = exchange.machine
    for symbol, listing in exchange.listings.by_symbol.items():
        name, best = symbol.decode("latin-1"), []
        for side, word in enumerate(("bids", "asks")):
            before: int | None = None
            for level in levels(machine, listing.book, side):
                best += [level.price] if before is None else []
                if before is not None and (level.price >= before if side == 0 else level.price <= before):
                    yield f"{word} of {name}: {level.price} ticks stands behind {before}"
                before = level.price
                rows: list[Any] = [machine.orders[slot] for slot in queue(machine, level)]
                if (sum(int(row["leaves"]) for row in rows), len(rows)) != (level.lots, level.orders):
                    yield f"{word} of {name} at {level.price} ticks: the level is not the sum of its orders"
                if any(int(level_price(row)) != level.price or int(row["book"]) != listing.book for row in rows):
                    yield f"{word} of {name} at {level.price} ticks: an order of another price or book"
        phase = machine.books[listing.book]["phase"]
        if phase == Phase.CONTINUOUS and len(best) == 2 and best[0] >= best[1]:
            yield f"the book of {name} is crossed"


def _orders(exchange: Exchange) -> Iterator[str]:
    """An open order is what is left and what was executed; nothing rests that is closed; the counters count."""
    machine = exchange.machine
    used: Any = machine.orders[: int(exchange.core["orders_fresh"])]
    held = used[used["names"] > 0]
    resting = held[held["level"] != NIL]
    for row in resting:
        if int(row["status"]) not in OPEN or int(row["leaves"]) <= 0:
            yield f"OrderID {int(row['order_id'])} rests and is closed"
        if int(row["leaves"]) + int(row["cum"]) != int(row["qty"]):
            yield f"OrderID {int(row['order_id'])} is not what is left and what was executed"
    ids = held["order_id"]
    if len(set(ids.tolist())) != len(ids):
        yield "an OrderID is used twice"
    if len(ids) and int(ids.max()) > int(exchange.core["order_id"]):
        yield "an order has an OrderID that was not given out yet"


def _sessions(exchange: Exchange) -> Iterator[str]:
    """Open orders are counted right, by session and in all."""
    total = 0
    used: Any = exchange.machine.orders[: int(exchange.core["orders_fresh"])]
    resting = used[(used["names"] > 0) & (used["level"] != NIL)]
    for slot, member in exchange.members.by_slot.items():
        count = int((resting["session"] == slot).sum())
        total += count
        if count != int(member.row["open_orders"]):
            yield f"session {member.name.decode('latin-1')}: {int(member.row['open_orders'])} open orders counted, {count} rest"
    if total != int(exchange.core["open_orders"]):
        yield f"{int(exchange.core['open_orders'])} open orders counted, {total} rest"


def _owners(exchange: Exchange) -> Iterator[str]:
    """What is reserved for open orders is what they could still trade, for each owner and in each instrument."""
    machine, core = exchange.machine, exchange.core
    owners: Any = machine.owners[: int(core["owners_fresh"])]
    held: Any = machine.holdings[: int(core["holdings_fresh"])]
    counted, money = np.zeros(len(owners), np.int64), np.zeros((len(owners), 2), np.int64)
    lots = np.zeros((len(held), 2), np.int64)
    used: Any = machine.orders[: int(core["orders_fresh"])]
    for row in used[(used["names"] > 0) & (used["level"] != NIL) & (used["party"] != NIL)]:
        party, side, leaves = int(row["party"]), 0 if row["side"] == ord("1") else 1, int(row["leaves"])
        for place in range(OWNERS_EACH * party, OWNERS_EACH * party + int(machine.parties[party]["count"])):
            owner, holding = int(machine.party_owners[place]), int(machine.party_holdings[place])
            counted[owner] += 1
            money[owner, side] += int(row["worth"]) * leaves * int(machine.parties[party]["factor"])
            if holding != NIL:
                lots[holding, side] += leaves
    sums = (owners["open_orders"], counted), (owners["open_buy"], money[:, 0]), (owners["open_sell"], money[:, 1])
    wrong = np.flatnonzero(np.logical_or.reduce([ours != theirs for ours, theirs in sums]))
    yield from (f"{exchange.risk.names[int(owner)][1]}: what is open is counted wrong" for owner in wrong)
    for place in np.flatnonzero((held["buys"] != lots[:, 0]) | (held["sells"] != lots[:, 1])).tolist():
        owner = int(held[place]["owner"])
        yield f"{exchange.risk.names[owner][1]}: what works in an instrument is counted wrong"
