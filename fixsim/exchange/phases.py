"""What an instrument is doing, who may enter what meanwhile, and what happens when that changes.

Phases change by a schedule, by an operator or by a breaker; each change goes through `Phases.move`, whatever asked for it. A
call that has an end ends by itself: those who judge (`judges`) may prolong it, and those who listen (`listeners`) are told what
it came to. See docs/phases.md.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from fixsim.config.schedules import Change
from fixsim.engine import book as engine_book
from fixsim.engine.machine import Machine
from fixsim.exchange.auction import Auctions, Indication
from fixsim.exchange.calendar import Calendar
from fixsim.exchange.listings import Listing
from fixsim.exchange.names import PHASES
from fixsim.exchange.randomness import drawn
from fixsim.exchange.status import ALWAYS, WORDS, Status
from fixsim.layout import CALLS, NEVER, Inst, Phase

#: Phases in which orders gather without meeting: whoever leaves one for trading lets them meet at one price first.
GATHERING: Final = CALLS | {Phase.PRE_OPEN, Phase.HALTED, Phase.CLOSED}
TRADING: Final = frozenset({Phase.CONTINUOUS, Phase.AT_LAST})


class Call(NamedTuple):
    """A call whose end has come, as judges and listeners are told of it."""

    #: BOOK row.
    book: int
    #: Phase that ends.
    kind: int
    #: What it comes to: price in ticks (0 for none), lots that buy and that sell at it.
    found: Indication
    #: How often it was prolonged.
    extensions: int


#: Venue time until which a call goes on, 0 to let it end.
Judge = Callable[[Call], int]
Listener = Callable[[Call], None]


class Phases:
    """The phases of all instruments; state is in the BOOK rows and in the core."""

    def __init__(self, machine: Machine, auctions: Auctions, status: Status) -> None:
        self.machine = machine
        self.auctions = auctions
        self.listings = auctions.listings
        self.status = status
        self.venue_ns = status.venue_ns
        self.calendar = Calendar()
        #: Asked in turn whether a call may end; the first that prolongs it has its way. Registered when the venue is made.
        self.judges: list[Judge] = []
        #: Told what a call came to, after it has met and before the next phase begins.
        self.listeners: list[Listener] = []
        self._next_ns = 0

    # ---- changing

    def move(self, book: int, phase: int, until_ns: int = 0) -> None:
        """The instrument goes on with `phase`; a call then ends by itself at `until_ns`, 0 for never.

        Where orders have gathered and trading begins they meet at one price first. Nothing happens when it is in that phase.
        """
        row: Any = self.machine.books[book]
        before = row["phase"]
        if phase == before:
            return
        self.carry(book, phase)
        row["phase"], row["until_ns"], row["extensions"], row["indicated"] = phase, until_ns, 0, 0
        self._next_ns = 0
        self.status.tell_phase(book, before == Phase.HALTED)

    def carry(self, book: int, phase: int) -> None:
        """What happens to the orders of an instrument on the way to `phase`."""
        before = int(self.machine.books[book]["phase"])
        if before == Phase.HALTED:
            self._activate(book, "status", ord("9"))
        if before == Phase.AT_LAST:
            self.auctions.clear(book, before)
        elif meets(before, phase):
            self._meet(book)
        if phase == Phase.HALTED:
            self._halt(book)
        elif phase == Phase.CLOSING_AUCTION:
            self._activate(book, "tif", ord("7"))

    def begin_call(self, book: int, until_ns: int, random_ns: int = 0, kind: int = Phase.VOLATILITY_AUCTION) -> None:
        """Begin a call that ends by itself at `until_ns` or, by chance, up to `random_ns` later; 0 and 0 for not by itself.

        An instrument that is in a call already goes on with this one: nothing meets in between.
        """
        self.move(book, kind, until_ns + self._chance(random_ns) if until_ns else 0)

    def prolong(self, book: int, until_ns: int) -> None:
        """A call goes on until `until_ns`, 0 for until somebody ends it."""
        row: Any = self.machine.books[book]
        row["until_ns"] = until_ns
        row["extensions"] = min(255, int(row["extensions"]) + 1)
        self._next_ns = 0
        self.status.tell_phase(book, False)

    def regular(self, book: int) -> int:
        """The phase in which the instrument would be if nothing had happened to it."""
        return self.calendar.phase(self._schedule(book))

    def end(self, book: int) -> None:
        """Somebody ends a call: the instrument goes on as it would have; from a call of its schedule, with what follows it."""
        phase = self.regular(book)
        if phase == self.machine.books[book]["phase"]:
            phase = self.calendar.following(self._schedule(book))
        self.move(book, phase)

    def closes_ns(self, book: int) -> int:
        """Venue time at which continuous trading of an instrument ends next, NEVER when no schedule says so."""
        return self.calendar.ends_ns(self._schedule(book), "continuous")

    def begin(self, listing: Listing) -> None:
        """An instrument has got its row: it begins in the phase of its schedule."""
        row = self.machine.books[listing.book]
        row["scheduled"] = listing.instrument.schedule is not None
        row["phase"] = self.regular(listing.book)

    def phase_of(self, listing: Listing) -> int:
        """The phase of an instrument, or the one in which it would begin."""
        if listing.symbol in self.listings.by_symbol:
            return int(self.machine.books[listing.book]["phase"])
        return self.calendar.phase(listing.instrument.schedule)

    def day_of(self, listing: Listing) -> int:
        """The trading day of an instrument, days since 1970-01-01."""
        return self.calendar.day(listing.instrument.schedule) or int(self.machine.core[0]["day"])

    def adopt(self, changes: dict[str, Any], others: Collection[int] = ()) -> None:
        """Go on under a changed configuration, whose instruments are listed, with the coming `changes` of its schedules.

        BOOK rows in `others` have another schedule than before: they go on with its phase, unless they are halted.
        """
        self.calendar.adopt(changes, self.venue_ns())
        for listing in list(self.listings.by_symbol.values()):
            row, scheduled = self.machine.books[listing.book], listing.instrument.schedule is not None
            if row["scheduled"] != scheduled or listing.book in others:
                row["scheduled"] = scheduled
                if row["phase"] != Phase.HALTED:
                    self.move(listing.book, self.regular(listing.book))
        self._next_ns = 0

    def sessions(self) -> dict[bytes, int]:
        """Phase of each trading session."""
        found = {name.encode(): self.calendar.phase(name) for name in self.calendar.changes}
        if any(listing.instrument.schedule is None for listing in self.listings.by_symbol.values()):
            found[ALWAYS] = Phase.CONTINUOUS
        return found

    def _schedule(self, book: int) -> str | None:
        """Name of the schedule of an instrument, None for none."""
        return self.listings.of_book(book).instrument.schedule

    def _meet(self, book: int) -> None:
        """Everything meets; what was for this moment alone runs out."""
        row: Any = self.machine.books[book]
        before, extensions = int(row["phase"]), int(row["extensions"])
        found = self.auctions.meet(book)
        self.auctions.clear(book, before)
        if before == Phase.CLOSING_AUCTION:
            row["closing_price"] = found.price if found.lots else self.auctions.last(book)
        self.tell_met(Call(book, before, found, extensions))

    def tell_met(self, call: Call) -> None:
        """A call has met: those who listen are told."""
        for listener in self.listeners:
            listener(call)

    def _halt(self, book: int) -> None:
        """What ExecInst(18) asks for when trading is halted."""
        for slot in self.auctions.resting(book, Inst.CANCEL):
            self.auctions.make_room()
            engine_book.withdraw(self.machine, slot, engine_book.ON_TRADING_HALT)
        for slot in self.auctions.resting(book, Inst.REINSTATE):
            self.auctions.make_room()
            engine_book.suspend(self.machine, slot)

    def _activate(self, book: int, field: str, value: int) -> None:
        """Orders that wait outside of the book come into it: those whose `field` is `value`. Without room: cancelled."""
        for slot in self.auctions.parked(book):
            if int(self.machine.orders[slot][field]) == value:
                self.auctions.make_room()
                if engine_book.has_level_room(self.machine):
                    engine_book.activate(self.machine, slot)
                else:
                    engine_book.withdraw(self.machine, slot, engine_book.EXCHANGE_OPTION)

    def _chance(self, most_ns: int) -> int:
        """A random time from 0 to `most_ns`, the next of the venue's."""
        if most_ns <= 0:
            return 0
        core = self.machine.core[0]
        number, state = drawn(int(core["random"]))
        core["random"] = state
        return number % (most_ns + 1)

    # ---- entering

    def entered(self, book: int) -> None:
        """An order has come or was changed: at last it meets at the closing price, elsewhere it has met already."""
        row = self.machine.books[book]
        if row["phase"] == Phase.AT_LAST and row["closing_price"]:
            self.auctions.uncross(book, int(row["closing_price"]))

    # ---- time

    def next_ns(self) -> int:
        """When the next call ends, or a schedule changes something."""
        if self._next_ns == 0:
            ends = self.machine.books["until_ns"]
            ends = ends[ends > 0]
            self._next_ns = min(int(ends.min()) if len(ends) else NEVER, self.calendar.next_ns())
        return self._next_ns

    def due(self, venue_ns: int) -> None:
        """What has come: calls end in the order of their instruments, schedules change in theirs, the earlier first."""
        while (at_ns := self.next_ns()) <= venue_ns:
            for change in self.calendar.take(at_ns):
                self._change(*change)
            ends = self.machine.books["until_ns"]
            for book in ((ends > 0) & (ends <= at_ns)).nonzero()[0]:
                self.end_call(int(book))
            self._next_ns = 0

    def end_call(self, book: int) -> None:
        """The end of a call has come: it is judged, then prolonged or over."""
        row: Any = self.machine.books[book]
        call = Call(book, int(row["phase"]), self.auctions.indication(book), int(row["extensions"]))
        for judge in self.judges:
            until_ns = judge(call)
            if until_ns:
                self.prolong(book, until_ns)
                return
        regular = self.regular(book)
        row["until_ns"] = 0  # where the schedule is in the same call by now, it ends with that one
        self.move(book, regular)

    def _change(self, name: str, change: Change, before: Change | None) -> None:
        """A schedule goes on to its next phase."""
        words = WORDS[PHASES[change.phase]]
        self.status.tell_session(name.encode(), words.session, words.sub_id)
        for listing in list(self.listings.by_symbol.values()):
            if listing.instrument.schedule == name:
                self._step(listing.book, change, 0 if before is None else before.random_ns)
                if change.phase == "closed":
                    self.auctions.end_day(listing.book, change.day)

    def _step(self, book: int, change: Change, random_ns: int) -> None:
        """One instrument goes on to the next phase of its schedule, unless something else holds it.

        A halt holds it until somebody resumes it; a volatility auction until it ends, if the schedule goes on with continuous
        trading. A call of the schedule ends by chance, up to `random_ns` later.
        """
        row: Any = self.machine.books[book]
        phase, now = PHASES[change.phase], int(row["phase"])
        if now == Phase.HALTED:
            return
        if now not in CALLS or phase in CALLS:
            self.move(book, phase)
        elif now != Phase.VOLATILITY_AUCTION or row["until_ns"] == 0 or phase != Phase.CONTINUOUS:
            row["until_ns"] = change.ns + self._chance(random_ns)
            if row["until_ns"] <= change.ns:
                self.end_call(book)


def meets(before: int, phase: int) -> bool:
    """Whether orders that have gathered meet at one price on the way from one phase to another."""
    return (phase in TRADING and before in GATHERING) or (phase == Phase.CLOSED and before in CALLS)
