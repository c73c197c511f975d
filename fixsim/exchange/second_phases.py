"""Phases of an exchange whose orders are the oracle's: it keeps time, schedules and subscribers, the oracle the books.

What would happen to orders is asked of the oracle, wherever `exchange.phases`, `auction`, `goodtill` and `desk` would do it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fixsim.exchange.auction import Indication
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.listings import Listing
from fixsim.exchange.names import NAMES
from fixsim.exchange.phases import Call, meets
from fixsim.layout import NEVER
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing as ReferenceListing
from fixsim.reference.report import Reply


class SecondPhases:
    """Stands between one exchange and one oracle."""

    def __init__(self, exchange: Exchange, oracle: ReferenceExchange, say: Callable[[list[Reply]], None]) -> None:
        self.exchange, self.oracle, self.say = exchange, oracle, say
        parts: Any = exchange
        parts.phases.carry = self.carry
        parts.auctions.last = self.last
        parts.auctions.indication = self.indication
        parts.auctions.end_day = self.end_day
        parts.good_till.next_ns = self.next_ns
        parts.good_till.due = self.run_out
        parts.desk.new_day = lambda day: self.say(self.oracle.expire(self.exchange.venue_ns))
        oracle.floor.beginning = self.beginning
        oracle.floor.today = self.today

    def _listing(self, book: int) -> Listing:
        row = self.exchange.machine.books[book]
        listing = self.exchange.listings.by_symbol[row["symbol"][: row["symbol_length"]].tobytes()]
        self.oracle.know(ReferenceListing.of(listing.instrument))
        return listing

    def carry(self, book: int, phase: int) -> None:
        """What happens to orders on the way to another phase."""
        row: Any = self.exchange.machine.books[book]
        symbol, before = self._listing(book).symbol.decode(), int(row["phase"])
        call = Call(book, before, self.indication(book), int(row["extensions"]))
        self.oracle.floor.phases.setdefault(symbol, NAMES[before])
        self.say(self.oracle.move(symbol, NAMES[phase], self.exchange.venue_ns))
        if meets(before, phase):
            self.exchange.phases.tell_met(call)

    def indication(self, book: int) -> Indication:
        """What a call would come to."""
        listing = self._listing(book)
        found, lot = self.oracle.floor.outcome(listing.symbol.decode()), listing.instrument.lot_size
        return Indication(_steps(found.price, listing.instrument.tick_size), _steps(found.buys, lot), _steps(found.sells, lot))

    def last(self, book: int) -> int:
        """Price of the last trade in ticks, 0 for none."""
        listing = self._listing(book)
        trade = self.oracle.books[listing.symbol.decode()].last_trade
        return _steps(trade[0], listing.instrument.tick_size) if trade else 0

    def end_day(self, book: int, day: int) -> None:
        """The day of a scheduled instrument is over."""
        self.say(self.oracle.end_day(self._listing(book).symbol.decode(), day, self.exchange.venue_ns))

    def next_ns(self) -> int:
        """When the next GTD order runs out."""
        return min((order.until_ns for order in self.oracle.open.values() if order.until_ns is not None), default=NEVER)

    def run_out(self, venue_ns: int) -> None:
        """Orders whose time has come run out."""
        self.say(self.oracle.run_out(venue_ns))

    def beginning(self, symbol: str) -> str:
        """The phase in which an instrument begins."""
        listing = self.exchange.listings.find_or_possible(symbol.encode("latin-1"))
        return NAMES[self.exchange.phases.phase_of(listing)] if listing is not None else "continuous"

    def today(self, symbol: str) -> int:
        """The trading day of an instrument, days since 1970-01-01."""
        listing = self.exchange.listings.find_or_possible(symbol.encode("latin-1"))
        return self.exchange.phases.day_of(listing) if listing is not None else 0


def _steps(value: Decimal | None, size: Decimal) -> int:
    return 0 if value is None else int(value / size)
