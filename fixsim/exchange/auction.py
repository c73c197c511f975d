"""Calls: what one would come to now, and what happens when it ends."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from fixsim.engine import auction as engine_auction
from fixsim.engine import book as engine_book
from fixsim.engine.machine import Machine
from fixsim.exchange.listings import Listings
from fixsim.exchange.market import levels, queue
from fixsim.layout import NIL, Phase

#: TimeInForce(59) of what is for one auction alone, by the phase that ends with it.
FOR_AUCTION: Final = {Phase.PRE_OPEN: ord("2"), Phase.OPENING_AUCTION: ord("2"), Phase.CLOSING_AUCTION: ord("7")}
#: TimeInForce(59) of what does not outlive its day: Day, at the opening, at the close.
FOR_A_DAY: Final = (ord("0"), ord("2"), ord("7"))


class Indication(NamedTuple):
    """What a call would come to: the `price` in ticks, 0 for none, and the lots that buy and that sell at it.

    Without a price `buys` and `sells` are market orders.
    """

    price: int
    buys: int
    sells: int

    @property
    def lots(self) -> int:
        """Executable volume."""
        return min(self.buys, self.sells) if self.price else 0

    @property
    def surplus(self) -> int:
        """Lots left over, negative when they sell."""
        return self.buys - self.sells


class Auctions:
    """The books of one machine as places where many meet at once."""

    def __init__(self, machine: Machine, listings: Listings, make_room: Callable[[], None], go_on: Callable[[], None]) -> None:
        """`make_room` seals the batch where it is nearly full, `go_on` seals it and begins the next."""
        self.machine = machine
        self.listings = listings
        self.make_room = make_room
        self.go_on = go_on

    def reference(self, book: int) -> int:
        """Reference price in ticks: the last trade, else the one configured, else 0."""
        last = self.last(book)
        if last:
            return last
        row = self.machine.books[book]
        symbol = row["symbol"][: row["symbol_length"]].tobytes()
        return self.listings.by_symbol[symbol].instrument.reference_price_ticks or 0

    def last(self, book: int) -> int:
        """Price of the last trade in ticks, 0 for none."""
        row = self.machine.books[book]
        return int(row["last_price"]) if row["last_lots"] else 0

    def indication(self, book: int) -> Indication:
        """What a call would come to if it ended now."""
        return Indication(*map(int, engine_auction.call_price(self.machine, book, self.reference(book))))

    def market_lots(self, book: int) -> tuple[int, int]:
        """Lots of market orders that buy, and that sell."""
        lots: Any = engine_auction.market_lots
        return int(lots(self.machine, 2 * book)), int(lots(self.machine, 2 * book + 1))

    def meet(self, book: int) -> Indication:
        """Let everything meet at the one price there is, if there is one; what it came to."""
        row = self.machine.books[book]
        found = self.indication(book)
        if found.lots:
            row["auction_price"], row["auction_lots"] = found.price, 0
            self.uncross(book, found.price)
        return found

    def uncross(self, book: int, price: int) -> None:
        """Let everything meet that can at `price` ticks."""
        while engine_auction.uncross(self.machine, book, price) == engine_auction.MORE:
            self.go_on()

    # ---- orders that run out, or wait

    def clear(self, book: int, phase: int) -> None:
        """A phase is over: market orders, and orders for its auction alone, run out."""
        table, tif = self._orders(), FOR_AUCTION.get(phase)
        for slot in self._market_orders(book):
            self._expire(slot)
        if tif is not None:
            self.expire((table["tif"] == tif) & (table["book"] == book))

    def turn_day(self, day: int) -> None:
        """The UTC date is `day` now: what instruments without a schedule have of earlier ones runs out."""
        table = self._orders()
        over = np.isin(table["tif"], FOR_A_DAY) & (table["day"] < day) | (table["until"] > 0) & (table["until"] < day)
        self.expire(over & (self.machine.books["scheduled"][table["book"]] == 0))

    def end_day(self, book: int, day: int) -> None:
        """The trading day `day` of a scheduled instrument is over: what was good until then runs out."""
        table = self._orders()
        over = np.isin(table["tif"], FOR_A_DAY) | (table["until"] > 0) & (table["until"] <= day)
        self.expire(over & (table["book"] == book))

    def expire(self, chosen: Any) -> None:
        """Expire the open ones of the `chosen` ORDER rows (a mask), in the order they were accepted."""
        for slot in self._accepted(chosen & (self._orders()["level"] != NIL)):
            self._expire(slot)

    def _expire(self, slot: int) -> None:
        self.make_room()
        engine_book.expire(self.machine, slot)

    def parked(self, book: int) -> list[int]:
        """ORDER rows that wait outside of the book, oldest first."""
        found, slot = [], int(self.machine.books[book]["parked_head"])
        while slot != NIL:
            found.append(slot)
            slot = int(self.machine.orders[slot]["next"])
        return found

    def resting(self, book: int, inst: int) -> list[int]:
        """ORDER rows in the book whose ExecInst(18) asks for `inst`, in the order they were accepted."""
        table = self._orders()
        return self._accepted((table["inst"] & inst != 0) & (table["book"] == book) & (table["level"] >= 0))

    def _orders(self) -> Any:
        """ORDER rows that were ever used."""
        return self.machine.orders[: int(self.machine.core[0]["orders_fresh"])]

    def _accepted(self, chosen: Any) -> list[int]:
        """Those of the `chosen` ORDER rows (a mask) that are in use, in the order they were accepted."""
        table = self._orders()
        slots = np.nonzero(chosen & (table["names"] > 0))[0]
        return [int(slot) for slot in slots[np.argsort(table["order_id"][slots], kind="stable")]]

    def _market_orders(self, book: int) -> list[int]:
        """ORDER rows of market orders in the book, bids first, the oldest of each side first."""
        first = [next(levels(self.machine, book, side), None) for side in (0, 1)]
        return [slot for level in first if level is not None and level.is_market for slot in queue(self.machine, level)]
