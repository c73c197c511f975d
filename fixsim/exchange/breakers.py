"""What stops an instrument whose price runs away, and how it goes on.

A corridor in the BOOK row says where trades may be; the kernels keep to it and stop in front of the first that would not
(`engine/corridor.py`). What that means is decided here, from the numbers of the instrument's profile: with `bands` an order
is kept inside of them, and a book that stands at its band too long is paused; without, trading is interrupted by a call at
once. A call ends by the rules of `exchange/phases.py`; whether its price is one to go on with is judged here. See
docs/breakers.md.
"""

from collections.abc import Callable
from typing import Any, Final

from fixsim.config import Config
from fixsim.engine import book as engine_book
from fixsim.engine.corridor import move_corridor
from fixsim.engine.machine import Machine
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.market import levels, queue
from fixsim.exchange.market_breaker import MarketWide
from fixsim.exchange.phases import Call, Phases
from fixsim.exchange.rule import SLICES, Mean, Rule
from fixsim.exchange.status import Status
from fixsim.layout import NEVER, NIL, Corridor, Phase
from fixsim.limits import PRICE_TICKS_MAX
from fixsim.units import NS_PER_S, format_utc_timestamp

#: What a breaker is doing, in BOOK.state.
QUIET: Final = 0
AT_LIMIT: Final = 1  # the book stands at its band
CALLING: Final = 2  # a call that a breaker began
EXTENDED: Final = 3  # one that waits for somebody to end it, or for nothing to be left to trade
STATES: Final = {QUIET: "quiet", AT_LIMIT: "at-limit", CALLING: "calling", EXTENDED: "extended"}
#: How often an extended call is looked at.
EXTENDED_LOOK_NS: Final = 5 * NS_PER_S
BUY: Final = ord("1")

#: SecurityTradingStatus(326), Text(58) and HaltReasonChar(327) with which a state is told.
TOLD: Final = {
    AT_LIMIT: (b"6", "Limit state", b""),
    CALLING: (b"5", "Trading interrupted by a volatility auction", b"M"),
    EXTENDED: (b"15", "Extended volatility auction", b"M"),
}
#: 326 of a book that no longer stands at its band.
READY: Final = b"17"


class Breakers:
    """The breakers of all instruments. Prices and states are in the BOOK rows; what is here is beside them."""

    def __init__(
        self,
        machine: Machine,
        listings: Listings,
        phases: Phases,
        status: Status,
        make_room: Callable[[], None],
    ) -> None:
        self.machine = machine
        self.core: Any = machine.core[0]
        self.listings = listings
        self.phases = phases
        self.venue_ns = status.venue_ns
        self.status = status
        self.make_room = make_room
        self.market = MarketWide(machine, listings, phases, status)
        #: By BOOK row.
        self.rules: dict[int, Rule] = {}
        #: Price of the last auction, or what the instrument began with, ticks.
        self.static: dict[int, int] = {}
        #: The mean that bands are put around: sum of prices and number of trades.
        self.means: dict[int, Mean] = {}
        #: Past slices of the window, the youngest last: (sum, trades, low, high).
        self.slices: dict[int, list[tuple[int, int, int, int]]] = {}
        #: When the last slice ended, and when a book has stood at its band too long.
        self.sliced_ns: dict[int, int] = {}
        self.pause_ns: dict[int, int] = {}
        #: Instruments whose bands are doubled, because their day is about to end.
        self.late: set[int] = set()
        #: Bound at which an instrument was paused, ticks; its reopening is judged by it.
        self.paused_at: dict[int, int] = {}
        phases.judges.append(self.judge)
        phases.listeners.append(self.met)
        listings.on_listed.append(self.equip)

    # ---- which instrument has which

    def adopt(self, config: Config) -> None:
        """Take the profiles of a configuration; what an instrument has gone through so far stays, inside of its bands."""
        self.rules.clear()
        for listing in self.listings.by_symbol.values():
            self.equip(listing)
            if self.machine.books[listing.book]["confined"]:
                self.machine.books[listing.book]["alarm"] = self.core["alarm"] = 1
        self.market.adopt(config)

    def equip(self, listing: Listing) -> None:
        """Give an instrument the breaker it asks for."""
        profile = self.listings.config.breaker_for(listing.instrument)
        row: Any = self.machine.books[listing.book]
        if profile is None or not profile.bands:
            self._forget_limit(listing.book)
        if profile is None:
            row["corridor"], row["confined"], row["state"] = Corridor.NONE, 0, QUIET
            return
        self.rules[listing.book] = rule = Rule(profile, listing)
        begin = listing.instrument.reference_price_ticks
        assert begin is not None, "the configuration was checked"
        self.static.setdefault(listing.book, begin)
        self.means.setdefault(listing.book, Mean(begin, 1))
        self.slices.setdefault(listing.book, [])
        row["corridor"], row["confined"] = rule.corridor, bool(profile.bands)
        self._place(listing.book)

    def _forget_limit(self, book: int) -> None:
        """A book that has no bands any more stands at none."""
        if self.pause_ns.pop(book, None) is not None:
            self._enter(book, QUIET)

    def _place(self, book: int) -> None:
        """Put the corridor where references and time say."""
        rule, row = self.rules[book], self.machine.books[book]
        if rule.profile.bands:
            low, high = rule.band(self.means[book], book in self.late)
        else:
            low, high = rule.around(self.static[book])
            row["width"] = rule.width(self.static[book])
        row["outer_floor"], row["outer_ceiling"] = low, high
        move_corridor(self.machine, book, int(row["last_price"]) or self.static[book])

    # ---- something happened

    def look(self) -> int:
        """The kernels have stopped, or an alarm was raised. Returns what `engine.book.resume` does, DONE for no order."""
        self.core["alarm"] = 0
        self.market.look()
        for alarmed in self.machine.books["alarm"].nonzero()[0]:
            self.machine.books[alarmed]["alarm"] = 0
            self._mind_band(int(alarmed))
        taker = int(self.core["taker"])
        if taker == NIL:
            return engine_book.DONE
        book = int(self.machine.orders[taker]["book"])
        if self.machine.books[book]["phase"] == Phase.CONTINUOUS and self._is_stopped(taker, book):
            if self.rules[book].profile.bands:
                return self._confine(taker, book)
            self._interrupt(book)
        return int(engine_book.resume(self.machine))

    def _is_stopped(self, taker: int, book: int) -> bool:
        """Would the order trade, or wait, outside of the corridor?"""
        return book in self.rules and bool(engine_book.is_stopped(self.machine, taker))

    def _interrupt(self, book: int) -> None:
        """Trading is interrupted by a call."""
        profile = self.rules[book].profile
        until_ns = self.venue_ns() + int(profile.call_s * NS_PER_S)
        self.phases.begin_call(book, until_ns, int(profile.random_end_s * NS_PER_S))
        self._enter(book, CALLING)

    def _enter(self, book: int, state: int) -> None:
        row: Any = self.machine.books[book]
        before, row["state"] = int(row["state"]), state
        if state in TOLD:
            self.status.tell_security(book, *TOLD[state])
        elif before == AT_LIMIT and row["phase"] == Phase.CONTINUOUS:
            self.status.tell_security(book, READY)

    # ---- bands

    def _confine(self, taker: int, book: int) -> int:
        """An order that is on its way may go no farther than the band: what may rest waits there, the rest is cancelled."""
        order, row = self.machine.orders[taker], self.machine.books[book]
        bound = row["ceiling"] if order["side"] == BUY else row["floor"]
        if engine_book.may_rest(self.machine, taker):
            engine_book.reprice(self.machine, taker, int(bound))
        return int(engine_book.settle(self.machine, taker))

    def _mind_band(self, book: int) -> None:
        """Nothing waits beyond the band, and a book that stands at it may do so for some time."""
        row: Any = self.machine.books[book]
        if row["phase"] != Phase.CONTINUOUS or not row["confined"]:
            return
        self.pull_inside(book, int(row["floor"]), int(row["ceiling"]))
        stands = self._stands_at(book) != 0
        if stands == (row["state"] == AT_LIMIT):
            return
        if stands:
            self.pause_ns[book] = self.venue_ns() + int(self.rules[book].profile.limit_state_s * NS_PER_S)
        else:
            del self.pause_ns[book]
        self._enter(book, AT_LIMIT if stands else QUIET)

    def _stands_at(self, book: int) -> int:
        """The bound at which the best price stands, ticks; 0 when it does not."""
        row = self.machine.books[book]
        for side, bound in ((0, int(row["ceiling"])), (1, int(row["floor"]))):
            best = int(self.machine.sides[2 * book + side]["best"])
            if best != NIL and self.machine.levels[best]["price"] == bound:
                return bound
        return 0

    def pull_inside(self, book: int, floor: int, ceiling: int) -> None:
        """Orders that wait beyond the band, because it has moved or a call has left them there, are repriced to it."""
        for side, bound in ((0, ceiling), (1, floor)):
            beyond = [
                slot
                for level in levels(self.machine, book, side)
                if not level.is_market and (level.price > bound if side == 0 else level.price < bound)
                for slot in queue(self.machine, level)
            ]
            for slot in beyond:
                self.make_room()
                engine_book.pull(self.machine, slot, bound)

    # ---- shown

    def shown(self, listing: Listing) -> dict[str, Any] | None:
        """What `fixsim phase` says of an instrument's breaker; None without one.

        Its profile and state, lowest and highest price of a trade (None for no bound), when a limit state pauses, and how
        often the present call was prolonged.
        """
        rule, row = self.rules.get(listing.book), self.machine.books[listing.book]
        if rule is None:
            return None
        pause_ns = self.pause_ns.get(listing.book)
        bounds = (int(row["floor"]) or None, int(row["ceiling"]) if row["ceiling"] < PRICE_TICKS_MAX else None)
        lowest, highest = (None if ticks is None else listing.price_text(ticks) for ticks in bounds)
        return {
            "name": rule.profile.name,
            "state": STATES[int(row["state"])],
            "lowest": lowest,
            "highest": highest,
            "pauses": None if pause_ns is None else format_utc_timestamp(pause_ns, 3).decode(),
            "extensions": int(row["extensions"]),
        }

    # ---- calls

    def judge(self, call: Call) -> int:
        """Venue time until which a call goes on because of its price or of what would be left, 0 to let it end."""
        rule = self.rules.get(call.book)
        if rule is None or (rule.profile.bands and call.kind != Phase.VOLATILITY_AUCTION):
            return 0  # collars are for the end of a pause
        now_ns, profile = self.venue_ns(), rule.profile
        if self.machine.books[call.book]["state"] == EXTENDED:
            return now_ns + EXTENDED_LOOK_NS if call.found.lots else 0
        if call.found.lots and profile.extended_bps and call.kind == Phase.VOLATILITY_AUCTION:
            if rule.is_far(call.found.price, self.static[call.book], profile.extended_bps):
                self._enter(call.book, EXTENDED)
                return now_ns + EXTENDED_LOOK_NS
        if self._is_prolonged(call, rule):
            return now_ns + int(profile.extension_s * NS_PER_S)
        return 0

    def _is_prolonged(self, call: Call, rule: Rule) -> bool:
        profile, found = rule.profile, call.found
        if self._market_orders_left(call) and call.extensions < profile.market_extensions:
            return True
        if not found.lots or call.extensions >= profile.extensions:
            return False
        if profile.collar_bps and call.book in self.paused_at:
            return rule.is_far(found.price, self.paused_at[call.book], profile.collar_bps * (call.extensions + 1))
        far_bps = profile.extension_bps
        return far_bps is not None and rule.is_far(found.price, self.static[call.book], far_bps)

    def _market_orders_left(self, call: Call) -> bool:
        """Would market orders be left over?"""
        return max(self.phases.auctions.market_lots(call.book)) > call.found.lots

    def met(self, call: Call) -> None:
        """A call is over: its price, if it found one, is what everything begins with again."""
        book = call.book
        if call.found.lots:
            self.market.count(book)
        if book not in self.rules:
            return
        row: Any = self.machine.books[book]
        self.paused_at.pop(book, None)
        self.pause_ns.pop(book, None)
        self.slices[book].clear()
        for field in ("low", "high", "slice_low", "slice_high", "slice_sum", "slice_trades"):
            row[field] = 0
        if call.found.lots:
            self.static[book] = call.found.price
            self.means[book] = Mean(call.found.price, 1)
        self.late.discard(book)
        self._place(book)
        if row["confined"]:
            row["alarm"] = self.core["alarm"] = 1
        if row["state"] != QUIET:
            self._enter(book, QUIET)

    # ---- time

    def next_ns(self) -> int:
        """When a slice of some window is over, a day nears its end, a limit state or a halt of the market has lasted."""
        due = [self.market.next_ns(), *self.pause_ns.values()]
        for book in self.rules:
            due += (self._slice_due(book), self._late_due(book))
        return min(due)

    def _slice_due(self, book: int) -> int:
        """When the present slice of an instrument's window is over; NEVER while nothing depends on it."""
        rule, row = self.rules[book], self.machine.books[book]
        if not rule.is_windowed or row["phase"] != Phase.CONTINUOUS:
            return NEVER
        if self.slices[book]:
            return self.sliced_ns[book] + rule.slice_ns
        return (int(row["slice_ns"]) // rule.slice_ns + 1) * rule.slice_ns if row["slice_trades"] else NEVER

    def _late_due(self, book: int) -> int:
        """When the bands of an instrument are doubled; NEVER when they are, or never will be."""
        before_ns = int(self.rules[book].profile.doubled_last_s * NS_PER_S)
        if not before_ns or book in self.late or self.machine.books[book]["phase"] != Phase.CONTINUOUS:
            return NEVER
        closes_ns = self.phases.closes_ns(book)
        return NEVER if closes_ns == NEVER else closes_ns - before_ns

    def due(self, venue_ns: int) -> None:
        """Windows move on, bands are doubled, books that stand at their band too long are paused."""
        for book, rule in self.rules.items():
            if self._late_due(book) <= venue_ns:
                self.late.add(book)
                self._replace(book)
            if self._slice_due(book) <= venue_ns:
                self._end_slice(book, rule, venue_ns)
        for book, pause_ns in sorted(self.pause_ns.items()):
            if pause_ns <= venue_ns:
                self._pause(book)
        self.market.due(venue_ns)

    def _end_slice(self, book: int, rule: Rule, venue_ns: int) -> None:
        """One slice of the window is over, the oldest is forgotten; so are those that have passed with nobody awake."""
        row: Any = self.machine.books[book]
        kept, passed = self.slices[book], (venue_ns - self._slice_due(book)) // rule.slice_ns
        kept.append((int(row["slice_sum"]), int(row["slice_trades"]), int(row["slice_low"]), int(row["slice_high"])))
        kept += [(0, 0, 0, 0)] * min(SLICES, passed)
        del kept[:-SLICES]
        if not any(trades for _, trades, _, _ in kept):
            kept.clear()
        for field in ("slice_low", "slice_high", "slice_sum", "slice_trades"):
            row[field] = 0
        row["low"] = min((low for _, trades, low, _ in kept if trades), default=0)
        row["high"] = max((high for _, trades, _, high in kept if trades), default=0)
        self.sliced_ns[book] = venue_ns - venue_ns % rule.slice_ns
        mean = Mean(sum(one[0] for one in kept), sum(one[1] for one in kept))
        if mean.trades and mean.differs(self.means[book], rule.profile.reference_step_bps):
            self.means[book] = mean
        self._replace(book)

    def _replace(self, book: int) -> None:
        """The references have moved, or the time has come for others."""
        self._place(book)
        self._mind_band(book)

    def _pause(self, book: int) -> None:
        """The book stood at its band too long, unless somebody has stopped it meanwhile."""
        del self.pause_ns[book]
        if self.machine.books[book]["phase"] == Phase.CONTINUOUS:
            self.paused_at[book] = self._stands_at(book) or self.static[book]
            self._interrupt(book)
        else:
            self._enter(book, QUIET)
