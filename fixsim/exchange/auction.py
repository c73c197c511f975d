"""Calls: what one would come to now, and what happens when it ends."""

from collections.abc import Callable, Iterator
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
        row = self.machine.books[book]
        if row["last_lots"]:
            return int(row["last_price"])
        symbol = row["symbol"][: row["symbol_length"]].tobytes()
        return self.listings.by_symbol[symbol].instrument.reference_price_ticks or 0

    def indication(self, book: int) -> Indication:
        """What a call would come to if it ended now."""
        return Indication(*map(int, engine_auction.call_price(self.machine, book, self.reference(book))))

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

    def clear(self, book: int, phase: int) -> None:
        """A phase is over: market orders, and orders for its auction alone, run out."""
        for slot in [*self._market_orders(book), *self._orders_for(book, FOR_AUCTION.get(phase))]:
            if int(self.machine.orders[slot]["level"]) != NIL:
                self.make_room()
                engine_book.expire(self.machine, slot)

    def _market_orders(self, book: int) -> Iterator[int]:
        for side in (0, 1):
            for level in levels(self.machine, book, side):
                if level.is_market:
                    yield from queue(self.machine, level)
                break

    def _orders_for(self, book: int, tif: int | None) -> list[int]:
        if tif is None:
            return []
        table = self.machine.orders[: int(self.machine.core[0]["orders_fresh"])]
        found = (table["tif"] == tif) & (table["book"] == book) & (table["level"] != NIL) & (table["names"] > 0)
        slots: Any = np.nonzero(found)[0]
        return [int(slot) for slot in slots[np.argsort(table["order_id"][slots], kind="stable")]]

    def parked(self, book: int) -> list[int]:
        """ORDER rows that wait outside of the book, oldest first."""
        found, slot = [], int(self.machine.books[book]["parked_head"])
        while slot != NIL:
            found.append(slot)
            slot = int(self.machine.orders[slot]["next"])
        return found

    def resting(self, book: int, inst: int) -> list[int]:
        """ORDER rows in the book whose ExecInst(18) asks for `inst`, in the order they were accepted."""
        table = self.machine.orders[: int(self.machine.core[0]["orders_fresh"])]
        found = (table["inst"] & inst != 0) & (table["book"] == book) & (table["level"] >= 0) & (table["names"] > 0)
        slots: Any = np.nonzero(found)[0]
        return [int(slot) for slot in slots[np.argsort(table["order_id"][slots], kind="stable")]]
