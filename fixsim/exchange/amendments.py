"""Trades that are taken back or corrected afterwards: ExecutionReport 150=H and 150=G to both sides (FIX 4.4 volume 4, J.1).

What a trade was is read where it was said, from the journal; what became of it since is remembered here. Quantity that is
taken back from an order that still rests works again, in its place. Of an order that is closed it counts as cancelled: back in
the book, both sides of a busted trade would meet again.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fixsim.engine.machine import Machine
from fixsim.errors import FixsimError, UsageError
from fixsim.exchange.answers import OrderView, amended_report, route_fields
from fixsim.exchange.listings import Listings
from fixsim.exchange.tape import Tape
from fixsim.fix import tags
from fixsim.fix.codec import decode
from fixsim.fix.enums import ExecType, MsgType, OrdStatus
from fixsim.fix.message import Message
from fixsim.layout import NIL
from fixsim.units import format_decimal

NEW, PARTIALLY_FILLED, FILLED, CANCELED = (
    status[0] for status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED, OrdStatus.CANCELED)
)
WORKING: Final = frozenset({NEW, PARTIALLY_FILLED})


class Trade(NamedTuple):
    """What a trade is by now: lots (0 when it was busted), price in ticks, the ExecIDs(17) that last spoke of it."""

    lots: int
    price: int
    buy_exec_id: int
    sell_exec_id: int


class Side(NamedTuple):
    """One side of a trade: its ORDER row, and the ExecID(17) under which it was told."""

    slot: int
    exec_id: int


class Amendments:
    """Amends trades of one machine."""

    def __init__(
        self, machine: Machine, tape: Tape, listings: Listings, fetch: Callable[[int], bytes], make_room: Callable[[], None]
    ) -> None:
        """`fetch` gives the payload of the journal record at a position."""
        self.machine, self.tape, self.listings, self.fetch, self.make_room = machine, tape, listings, fetch, make_room
        #: Trades that were amended, as `Trade` has them, by match id, SecondaryExecID(527). State.
        self.trades: dict[int, tuple[int, int, int, int]] = {}

    def bust(self, match_id: int, positions: tuple[int, int]) -> dict[str, Any]:
        """Take a trade back, which was said in the records at `positions`. Raises UsageError; nothing has changed then."""
        trade, sides = self._find(match_id, positions)
        return self._amend(match_id, trade, sides, 0, 0)

    def correct(self, match_id: int, positions: tuple[int, int], qty: str | None, price: str | None) -> dict[str, Any]:
        """Give a trade another price, less quantity, or both; None for as it was. Raises UsageError as above."""
        trade, sides = self._find(match_id, positions)
        listing = self.listings.of_book(int(self.machine.orders[sides[0].slot]["book"]))
        lots = trade.lots if qty is None else listing.lots(qty.encode())
        ticks = trade.price if price is None else listing.price_ticks(price.encode())
        if lots is None or not 0 < lots <= trade.lots:
            raise UsageError(f"quantity {qty!r} is not above 0, on the lot grid and at most what was traded")
        if ticks is None or not 0 < ticks <= listing.max_price:
            raise UsageError(f"price {price!r} is no price of {listing.symbol.decode()}")
        if (lots, ticks) == (trade.lots, trade.price):
            raise UsageError(f"trade {match_id} has that quantity and price")
        return self._amend(match_id, trade, sides, lots, ticks)

    # ---- finding

    def _find(self, match_id: int, positions: tuple[int, int]) -> tuple[Trade, tuple[Side, Side]]:
        """The trade as it is by now, its buy side and its sell side."""
        reports = [self._report(match_id, position) for position in positions]
        buys = [report for report in reports if report.get(tags.SIDE) == b"1"]
        sells = [report for report in reports if report.get(tags.SIDE) != b"1"]
        if len(buys) != 1 or len(sells) != 1:
            raise UsageError(f"positions {positions[0]} and {positions[1]} are not the two sides of trade {match_id}")
        buy, sell = self._side(buys[0]), self._side(sells[0])
        listing = self.listings.of_book(int(self.machine.orders[buy.slot]["book"]))
        lots = listing.lots(buys[0].get(tags.LAST_QTY, b""))
        ticks = listing.price_ticks(buys[0].get(tags.LAST_PX, b""))
        assert lots is not None and ticks is not None, "we said it"
        trade = Trade(*self.trades.get(match_id, (lots, ticks, buy.exec_id, sell.exec_id)))
        if trade.lots == 0:
            raise UsageError(f"trade {match_id} was busted before")
        return trade, (buy, sell)

    def _report(self, match_id: int, position: int) -> Message:
        try:
            report = decode(self._payload(position))
        except FixsimError as error:
            raise UsageError(f"there is no report at position {position}: {error}") from error
        told = report.msg_type, report.get(tags.EXEC_TYPE), report.get(tags.SECONDARY_EXEC_ID)
        if told != (MsgType.EXECUTION_REPORT, ExecType.TRADE, b"%d" % match_id):
            raise UsageError(f"the record at position {position} does not tell trade {match_id}")
        return report

    def _payload(self, position: int) -> bytes:
        return self.tape.frame(position) if self.tape.holds(position) else self.fetch(position)

    def _side(self, report: Message) -> Side:
        order_id = report.get_int(tags.ORDER_ID) or 0
        used: Any = self.machine.orders[: int(self.machine.core[0]["orders_fresh"])]
        found = np.nonzero((used["order_id"] == order_id) & (used["names"] > 0))[0]
        if not len(found):
            raise UsageError(f"OrderID {order_id} is forgotten: a closed order is remembered for the rest of its day only")
        return Side(int(found[0]), report.get_int(tags.EXEC_ID) or 0)

    # ---- amending

    def _amend(self, match_id: int, trade: Trade, sides: tuple[Side, Side], lots: int, price: int) -> dict[str, Any]:
        exec_ids: list[int] = []
        for side, exec_id in zip(sides, (trade.buy_exec_id, trade.sell_exec_id), strict=True):
            self.make_room()
            self._restate(side.slot, trade, lots, price)
            exec_ids.append(self._tell(side.slot, match_id, exec_id, lots, price))
        self.trades[match_id] = (lots, price, exec_ids[0], exec_ids[1])
        listing = self.listings.of_book(int(self.machine.orders[sides[0].slot]["book"]))
        return {
            "match_id": match_id,
            "symbol": listing.symbol.decode(),
            "quantity": format_decimal(lots * listing.lot_mantissa, listing.qty_decimals).decode(),
            "price": format_decimal(price * listing.tick_mantissa, listing.price_decimals).decode(),
            "order_ids": [int(self.machine.orders[side.slot]["order_id"]) for side in sides],
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
