"""Phases of an exchange whose orders are the oracle's: it keeps time, schedules and subscribers, the oracle the books.

What would happen to orders is asked of the oracle, wherever `exchange.phases`, `auction`, `goodtill` and `desk` would do it;
each turn that an instrument takes is told as it happens.
"""

from decimal import Decimal
from typing import Any

from fixsim.config.schedules import Change
from fixsim.exchange.auction import Indication
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.listings import Listing
from fixsim.exchange.names import NAMES, PHASES
from fixsim.layout import NEVER
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing as ReferenceListing
from fixsim.reference.phases import Turn


class SecondPhases:
    """Stands between one exchange and one oracle."""

    def __init__(self, exchange: Exchange, oracle: ReferenceExchange) -> None:
        self.exchange, self.oracle = exchange, oracle
        parts: Any = exchange
        phases = parts.phases
        phases.move, phases.end_call, phases._step = self.move, self.end_call, self.step
        parts.auctions.last = self.last
        parts.auctions.indication = self.indication
        parts.auctions.end_day = self.end_day
        parts.good_till.next_ns = self.next_ns
        parts.good_till.due = oracle.run_out
        parts.desk.new_day = lambda day: oracle.expire(exchange.venue_ns)
        oracle.floor.beginning = self.beginning
        oracle.floor.today = self.today
        oracle.breakers.plan = lambda symbol: NAMES[phases.regular(self._book(symbol))]
        oracle.breakers.closes = self.closes
        oracle.breakers.chance = phases._chance

    def _symbol(self, book: int) -> str:
        """The instrument of a BOOK row, which the oracle knows by now."""
        listing = self._listing(book)
        symbol = listing.symbol.decode()
        if symbol not in self.oracle.books:
            self.oracle.know(ReferenceListing.of(listing.instrument))
        return symbol

    def _listing(self, book: int) -> Listing:
        return self.exchange.listings.of_book(book)

    def _book(self, symbol: str) -> int:
        return self.exchange.listings.by_symbol[symbol.encode("latin-1")].book

    # ---- asked of the oracle

    def move(self, book: int, phase: int, until_ns: int = 0) -> None:
        """An instrument shall go on with another phase."""
        symbol, now_ns = self._symbol(book), self.exchange.venue_ns
        self.oracle.happen(self.oracle.breakers.leave_call(symbol, NAMES[phase], until_ns or None), now_ns)

    def end_call(self, book: int) -> None:
        """The end of a call has come."""
        symbol, now_ns = self._symbol(book), self.exchange.venue_ns
        self.oracle.happen(self.oracle.breakers.end_call(symbol, now_ns), now_ns)

    def step(self, book: int, change: Change, random_ns: int) -> None:
        """The schedule of an instrument goes on."""
        symbol, now_ns = self._symbol(book), self.exchange.venue_ns
        turns = self.oracle.breakers.step(symbol, change.phase, now_ns, at_ns=change.ns, random_ns=random_ns)
        self.oracle.happen(turns, now_ns)

    def indication(self, book: int) -> Indication:
        """What a call would come to."""
        symbol, instrument = self._symbol(book), self._listing(book).instrument
        found, lot = self.oracle.floor.outcome(symbol), instrument.lot_size
        return Indication(_steps(found.price, instrument.tick_size), _steps(found.buys, lot), _steps(found.sells, lot))

    def last(self, book: int) -> int:
        """Price of the last trade in ticks, 0 for none."""
        trade = self.oracle.books[self._symbol(book)].last_trade
        return _steps(trade[0], self._listing(book).instrument.tick_size) if trade else 0

    def end_day(self, book: int, day: int) -> None:
        """The day of a scheduled instrument is over."""
        self.oracle.end_day(self._symbol(book), day, self.exchange.venue_ns)

    def next_ns(self) -> int:
        """When the next GTD order runs out."""
        return min((order.until_ns for order in self.oracle.open.values() if order.until_ns is not None), default=NEVER)

    # ---- told by the oracle

    def tell(self, turn: Turn) -> bool:
        """A turn of an instrument's phase or call becomes its BOOK row's and is told to subscribers; False for another."""
        if turn.what not in ("phase", "prolonged", "ends"):
            return False
        book, until_ns, phases = self._book(turn.symbol), turn.until_ns or 0, self.exchange.phases
        row: Any = self.exchange.machine.books[book]
        if turn.what == "prolonged":
            phases.prolong(book, until_ns)
            return True
        row["until_ns"], phases._next_ns = until_ns, 0
        if turn.what == "phase":
            row["phase"], row["extensions"], row["indicated"] = PHASES[turn.phase], 0, 0
            self.exchange.status.tell_phase(book, turn.resumed)
        return True

    # ---- asked by the oracle

    def beginning(self, symbol: str) -> str:
        """The phase in which an instrument begins."""
        listing = self.exchange.listings.find_or_possible(symbol.encode("latin-1"))
        return NAMES[self.exchange.phases.phase_of(listing)] if listing is not None else "continuous"

    def today(self, symbol: str) -> int:
        """The trading day of an instrument, days since 1970-01-01."""
        listing = self.exchange.listings.find_or_possible(symbol.encode("latin-1"))
        return self.exchange.phases.day_of(listing) if listing is not None else 0

    def closes(self, symbol: str) -> int | None:
        """When the schedule of an instrument leaves continuous trading, None where it is not known to."""
        closes_ns = self.exchange.phases.closes_ns(self._book(symbol))
        return None if closes_ns == NEVER else closes_ns


def _steps(value: Decimal | None, size: Decimal) -> int:
    return 0 if value is None else int(value // size)
