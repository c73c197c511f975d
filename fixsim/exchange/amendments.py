"""Trades that are taken back or corrected afterwards: ExecutionReport 150=H and 150=G to both sides (FIX 4.4 volume 4, J.1).

What a trade was comes with the command, from where it was said; what became of it since is remembered here. Quantity that is
taken back from an order that still rests works again, in its place. Of an order that is closed it counts as cancelled: back in
the book, both sides of a busted trade would meet again.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fixsim.engine.machine import Machine
from fixsim.errors import UsageError
from fixsim.exchange.answers import OrderView, amended_report, route_fields
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.tape import Tape
from fixsim.fix.enums import MsgType, OrdStatus
from fixsim.layout import NIL
from fixsim.units import format_decimal

NEW, PARTIALLY_FILLED, FILLED, CANCELED = (
    status[0] for status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, OrdStatus.CANCELED)
)
BUY: Final = ord("1")
WORKING: Final = frozenset({NEW, PARTIALLY_FILLED})


class Trade(NamedTuple):
    """What a trade is by now: lots (0 when it was busted), price in ticks, the ExecIDs(17) that last spoke of it."""

    lots: int
    price: int
    buy_exec_id: int
    sell_exec_id: int


class Told(NamedTuple):
    """A trade as its two reports told it: SecondaryExecID(527), LastQty(32), LastPx(31), and 37 and 17 of each side."""

    match_id: int
    last_qty: str
    last_px: str
    buy_order_id: int
    buy_exec_id: int
    sell_order_id: int
    sell_exec_id: int


class Amendments:
    """Amends trades of one machine."""

    def __init__(self, machine: Machine, tape: Tape, listings: Listings, make_room: Callable[[], None]) -> None:
        self.machine, self.tape, self.listings, self.make_room = machine, tape, listings, make_room
        #: Trades that were amended, as `Trade` has them, by match id, SecondaryExecID(527). State.
        self.trades: dict[int, tuple[int, int, int, int]] = {}
        #: Told of each side: its ORDER row, and lots and price of the trade before and after.
        self.amended: Callable[[int, tuple[int, int], tuple[int, int]], None] = lambda slot, before, after: None

    def bust(self, told: Told) -> dict[str, Any]:
        """Take a trade back. Raises UsageError; nothing has changed then."""
        trade, slots = self._find(told)
        return self._amend(told.match_id, trade, slots, 0, 0)

    def correct(self, told: Told, qty: str | None, price: str | None) -> dict[str, Any]:
        """Give a trade another price, less quantity, or both; None for as it was. Raises UsageError as above."""
        trade, slots = self._find(told)
        listing = self._listing(slots)
        lots = trade.lots if qty is None else listing.lots(qty.encode())
        ticks = trade.price if price is None else listing.price_ticks(price.encode())
        if lots is None or not 0 < lots <= trade.lots:
            raise UsageError(f"quantity {qty!r} is not above 0, on the lot grid and at most what was traded")
        if ticks is None or not 0 < ticks <= listing.max_price:
            raise UsageError(f"price {price!r} is no price of {listing.symbol.decode()}")
        if (lots, ticks) == (trade.lots, trade.price):
            raise UsageError(f"trade {told.match_id} has that quantity and price")
        return self._amend(told.match_id, trade, slots, lots, ticks)

    # ---- finding

    def _find(self, told: Told) -> tuple[Trade, tuple[int, int]]:
        """The trade as it is by now, and the ORDER rows of its buy and sell sides."""
        core = self.machine.core[0]
        if told.match_id > core["match_id"] or max(told.buy_exec_id, told.sell_exec_id) > core["exec_id"]:
            raise UsageError(f"there is no trade {told.match_id} with these ExecIDs")
        slots = self._order(told.buy_order_id), self._order(told.sell_order_id)
        buy, sell = (self.machine.orders[slot] for slot in slots)
        if buy["book"] != sell["book"] or buy["side"] != BUY or sell["side"] == BUY:
            raise UsageError(f"OrderIDs {told.buy_order_id} and {told.sell_order_id} are not the two sides of a trade")
        listing = self._listing(slots)
        lots, ticks = listing.lots(told.last_qty.encode()), listing.price_ticks(told.last_px.encode())
        if not lots or not ticks or lots < 0 or ticks < 0:
            raise UsageError(f"{told.last_qty!r} at {told.last_px!r} is no trade in {listing.symbol.decode()}")
        trade = Trade(*self.trades.get(told.match_id, (lots, ticks, told.buy_exec_id, told.sell_exec_id)))
        if trade.lots == 0:
            raise UsageError(f"trade {told.match_id} was busted before")
        if any(row["cum"] < trade.lots or row["notional"] < trade.lots * trade.price for row in (buy, sell)):
            raise UsageError(f"trade {told.match_id} is more than its orders have traded")
        return trade, slots

    def _order(self, order_id: int) -> int:
        used: Any = self.machine.orders[: int(self.machine.core[0]["orders_fresh"])]
        found = np.nonzero((used["order_id"] == order_id) & (used["names"] > 0))[0]
        if not len(found):
            raise UsageError(f"OrderID {order_id} is forgotten: a closed order is remembered for the rest of its day only")
        return int(found[0])

    def _listing(self, slots: tuple[int, int]) -> Listing:
        return self.listings.of_book(int(self.machine.orders[slots[0]]["book"]))

    # ---- amending

    def _amend(self, match_id: int, trade: Trade, slots: tuple[int, int], lots: int, price: int) -> dict[str, Any]:
        exec_ids: list[int] = []
        for slot, exec_id in zip(slots, (trade.buy_exec_id, trade.sell_exec_id), strict=True):
            self.make_room()
            self._restate(slot, trade, lots, price)
            self.amended(slot, (trade.lots, trade.price), (lots, price))
            exec_ids.append(self._tell(slot, match_id, exec_id, lots, price))
        self.trades[match_id] = (lots, price, exec_ids[0], exec_ids[1])
        listing = self._listing(slots)
        return {
            "match_id": match_id,
            "symbol": listing.symbol.decode(),
            "quantity": format_decimal(lots * listing.lot_mantissa, listing.qty_decimals).decode(),
            "price": format_decimal(price * listing.tick_mantissa, listing.price_decimals).decode(),
            "order_ids": [int(self.machine.orders[slot]["order_id"]) for slot in slots],
        }

    def _restate(self, slot: int, trade: Trade, lots: int, price: int) -> None:
        row: Any = self.machine.orders[slot]
        less = trade.lots - lots
        row["cum"] -= less
        row["notional"] += lots * price - trade.lots * trade.price
        if row["level"] != NIL:
            row["leaves"] += less
            if row["level"] >= 0:
                self.machine.levels[row["level"]]["lots"] += less
            if int(row["status"]) in WORKING:
                row["status"] = PARTIALLY_FILLED if row["cum"] else NEW
        elif int(row["status"]) == FILLED and less:
            row["status"] = CANCELED

    def _tell(self, slot: int, match_id: int, refers_to: int, lots: int, price: int) -> int:
        """Say what became of the trade to one side; the ExecID(17) of the report."""
        core, row = self.machine.core[0], self.machine.orders[slot]
        core["exec_id"] += 1
        exec_id = int(core["exec_id"])
        listing = self.listings.of_book(int(row["book"]))
        last = None
        if lots:
            last = (
                format_decimal(lots * listing.lot_mantissa, listing.qty_decimals),
                format_decimal(price * listing.tick_mantissa, listing.price_decimals),
            )
        body = amended_report(OrderView.of(self.machine, slot), exec_id, refers_to, match_id, last, self.tape.venue_stamp)
        route = route_fields(self.machine, int(row["echo"]))
        self.tape.say(int(row["session"]), MsgType.EXECUTION_REPORT, route, body)
        return exec_id
