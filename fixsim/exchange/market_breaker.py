"""The breaker of the whole market: an index over chosen instruments, and the falls that stop every instrument.

The index is the sum of weight x price of the last trade, in whole numbers; the kernels add to it at each trade and stop at
the level that is armed (`engine/corridor.note_trade`). A level stops the market once a day; the base is the index at the end
of the day before.
"""

from typing import Any, Final

from fixsim.config import Config
from fixsim.config.breakers import Level
from fixsim.engine.machine import Machine
from fixsim.exchange.listings import Listings
from fixsim.exchange.phases import Phases
from fixsim.exchange.status import WORDS, Status
from fixsim.layout import NEVER, Phase
from fixsim.units import NS_PER_S

#: An index never falls to this.
DISARMED: Final = -1
PARTS: Final = 10_000
#: SecurityTradingStatus(326) of a halt.
HALT: Final = b"2"


class MarketWide:
    """Index, levels and the halt that is on."""

    def __init__(self, machine: Machine, listings: Listings, phases: Phases, status: Status) -> None:
        self.machine = machine
        self.core: Any = machine.core[0]
        self.listings = listings
        self.phases = phases
        self.venue_ns = status.venue_ns
        self.status = status
        self.levels: tuple[Level, ...] = ()
        self.reopening_ns = 0
        #: Index at the end of the day before; 0 before there is one.
        self.base = 0
        #: How many levels were reached today.
        self.reached = 0
        #: When the halt that is on ends, NEVER for none, or for the rest of the day.
        self.ends_ns = NEVER
        #: Instruments it has halted: those are what it resumes.
        self.halted: list[int] = []
        status.sessions = self.sessions

    def adopt(self, config: Config) -> None:
        """Take the index and the levels of a configuration."""
        chosen = config.market_breaker
        self.levels = chosen.levels if chosen is not None else ()
        self.reopening_ns = int(chosen.reopening_call_s * NS_PER_S) if chosen is not None else 0
        weights = config.index_weights()
        before, total, others = int(self.core["index"]), 0, False
        for symbol, listing in self.listings.by_symbol.items():
            row: Any = self.machine.books[listing.book]
            weight = weights.get(symbol.decode("latin-1"), 0)
            others, row["weight"] = others or row["weight"] != weight, weight
            if row["weight"]:
                row["counted"] = int(row["last_price"]) or listing.instrument.reference_price_ticks
                total += int(row["weight"]) * int(row["counted"])
        self.core["index"] = total
        if others:
            # as far as the old index has fallen today the new one has: no constituent that comes or goes is a fall
            self.base = self.base * total // before if before else total
        self._arm()

    def _arm(self) -> None:
        """The next level that was not reached today is the one the kernels look for."""
        armed = self.reached < len(self.levels) and self.base > 0
        self.core["index_alarm"] = self._threshold(self.levels[self.reached]) if armed else DISARMED

    def _threshold(self, level: Level) -> int:
        """Highest index that is a fall of this level."""
        return self.base * (PARTS - level.decline_bps) // PARTS

    def count(self, book: int) -> None:
        """An auction has found a price: the index follows, and is looked at before anything else happens."""
        row: Any = self.machine.books[book]
        if not row["weight"]:
            return
        self.core["index"] += int(row["weight"]) * (int(row["last_price"]) - int(row["counted"]))
        row["counted"] = row["last_price"]
        if self.core["index"] <= self.core["index_alarm"]:
            self.core["alarm"] = 1

    def look(self) -> None:
        """Has the index fallen to a level that is armed? The lowest of those it has passed counts."""
        while self.core["index"] <= self.core["index_alarm"]:
            level = self.levels[self.reached]
            self.reached += 1
            self._arm()
            if self.core["index"] > self.core["index_alarm"] and not self._is_too_late(level):
                self._halt(level)

    def _is_too_late(self, level: Level) -> bool:
        counted = self.machine.books["weight"].nonzero()[0]
        closes_ns = min((self.phases.closes_ns(int(book)) for book in counted), default=NEVER)
        return closes_ns != NEVER and self.venue_ns() >= closes_ns - int(level.not_last_s * NS_PER_S)

    def _halt(self, level: Level) -> None:
        """Every instrument that trades or is about to is halted."""
        text = f"Market-wide halt, level {self.reached}"
        for listing in self.listings.by_symbol.values():
            if self.machine.books[listing.book]["phase"] not in (Phase.CLOSED, Phase.HALTED):
                self.phases.move(listing.book, Phase.HALTED)
                self.status.tell_security(listing.book, HALT, text, b"M")
                self.halted.append(listing.book)
        self._tell_sessions(text)
        self.ends_ns = self.venue_ns() + int(level.halt_s * NS_PER_S) if level.halt_s else NEVER

    def next_ns(self) -> int:
        """When the halt that is on ends."""
        return self.ends_ns

    def due(self, venue_ns: int) -> None:
        """A halt that has an end is over: each instrument reopens by a call."""
        if venue_ns >= self.ends_ns:
            self.ends_ns = NEVER
            self._reopen(venue_ns)

    def _reopen(self, venue_ns: int) -> None:
        """Each instrument that is still halted reopens by a call, or goes on with its day where that is not trading now."""
        halted, self.halted = self.halted, []
        for book in halted:
            if self.machine.books[book]["phase"] != Phase.HALTED:
                continue
            regular = self.phases.regular(book)
            if regular == Phase.CONTINUOUS:
                self.phases.begin_call(book, venue_ns + self.reopening_ns)
            else:
                self.phases.move(book, regular)
        self._tell_sessions("Market-wide halt is over")

    def _tell_sessions(self, text: str) -> None:
        """To whoever listens: what every trading session that is not closed is doing now."""
        for name, phase in self.sessions().items():
            if phase != Phase.CLOSED:
                self.status.tell_session(name, WORDS[phase].session, WORDS[phase].sub_id, text)

    def sessions(self) -> dict[bytes, int]:
        """Phase of each trading session: that of its schedule, or halted while the market is."""
        found = self.phases.sessions()
        if self.halted:
            found = {name: phase if phase == Phase.CLOSED else int(Phase.HALTED) for name, phase in found.items()}
        return found

    def new_day(self) -> None:
        """The day turned: what the index is now is the base of the new one; a halt for the rest of the day is over."""
        self.base, self.reached = int(self.core["index"]), 0
        self._arm()
        if self.ends_ns == NEVER and self.halted:
            self._reopen(self.venue_ns())
