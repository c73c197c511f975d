"""Where an order stands: what trades before it does."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fixsim.engine.levels import level_price
from fixsim.exchange.answers import OrderView
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.market import Level, levels, queue
from fixsim.layout import NIL
from fixsim.units import format_decimal


@dataclass(frozen=True)
class Standing:
    """One order and its place; decimals as text. Orders and quantities ahead are 0 for one that does not rest."""

    session: str
    order_id: int
    cl_ord_id: str
    symbol: str
    side: str
    price: str
    order_qty: str
    leaves_qty: str
    cum_qty: str
    ord_status: str
    resting: bool
    #: At its own price, older.
    orders_ahead: int
    quantity_ahead: str
    #: At better prices.
    orders_better: int
    quantity_better: str
    #: At its own price, itself included.
    orders_at_price: int
    quantity_at_price: str


def find_standings(exchange: Exchange, wanted: str, session: str | None = None) -> list[Standing]:
    """The orders that `wanted` names: an OrderID(37), or any ClOrdID(11) they had, of `session` or of anybody."""
    machine, found = exchange.machine, set()
    name = wanted.encode("utf-8", "surrogateescape")
    for member in exchange.members.by_slot.values():
        row = exchange.desk.find(member, name)
        if row != NIL and (order := int(machine.names[row]["order"])) != NIL:
            found.add(order)
    if wanted.isdecimal() and len(wanted) < 19:
        used = machine.orders[: int(exchange.core["orders_fresh"])]
        found.update(int(slot) for slot in np.nonzero((used["order_id"] == int(wanted)) & (used["names"] > 0))[0])
    standings = (_standing(exchange, slot) for slot in sorted(found))
    return [standing for standing in standings if session in (None, standing.session)]


def _standing(exchange: Exchange, slot: int) -> Standing:
    machine, view = exchange.machine, OrderView.of(exchange.machine, slot)
    row: Any = machine.orders[slot]
    book: Any = machine.books[int(row["book"])]

    def quantity(lots: int) -> str:
        return format_decimal(lots * int(book["lot_mantissa"]), int(book["qty_decimals"])).decode()

    resting = int(row["level"]) >= 0
    ahead, ahead_lots, better, better_lots = _ahead(exchange, slot) if resting else (0, 0, 0, 0)
    level: Any = machine.levels[int(row["level"])] if resting else {"count": 0, "lots": 0}
    member = exchange.members.by_slot[int(row["session"])]
    return Standing(
        session=member.name.decode("latin-1"),
        order_id=view.order_id,
        cl_ord_id=view.cl_ord_id.decode("latin-1"),
        symbol=view.symbol.decode("latin-1"),
        side=view.side.decode(),
        price=view.price.decode(),
        order_qty=view.order_qty.decode(),
        leaves_qty=view.leaves_qty.decode(),
        cum_qty=view.cum_qty.decode(),
        ord_status=view.ord_status.decode(),
        resting=resting,
        orders_ahead=ahead,
        quantity_ahead=quantity(ahead_lots),
        orders_better=better,
        quantity_better=quantity(better_lots),
        orders_at_price=int(level["count"]),
        quantity_at_price=quantity(int(level["lots"])),
    )


def _ahead(exchange: Exchange, slot: int) -> tuple[int, int, int, int]:
    """(orders, lots) in front of the order at its price, and (orders, lots) at better prices."""
    machine = exchange.machine
    row: Any = machine.orders[slot]
    side = 0 if int(row["side"]) == ord("1") else 1
    better = better_lots = 0
    price = int(level_price(row))
    for level in levels(machine, int(row["book"]), side):
        if level.price == price:
            return *_in_front(exchange, level, slot), better, better_lots
        better, better_lots = better + level.orders, better_lots + level.lots
    raise AssertionError("a resting order lies on a level")


def _in_front(exchange: Exchange, level: Level, slot: int) -> tuple[int, int]:
    orders = lots = 0
    for other in queue(exchange.machine, level):
        if other == slot:
            break
        orders, lots = orders + 1, lots + int(exchange.machine.orders[other]["leaves"])
    return orders, lots
