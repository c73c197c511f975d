"""Breakers of the oracle: what every instrument has seen, written down, and the rules of docs/breakers.md read out over it.

Nothing is kept up to date by steps: a bound is worked out of the trades that count whenever somebody asks. Only calls whose
end is no matter of chance can be played.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Final

from fixsim.config.breakers import Band, Breaker, Level, MarketBreaker
from fixsim.reference.book import Book, Fill, Order
from fixsim.reference.listing import Listing
from fixsim.reference.phases import CALLS, CLOSED, CONTINUOUS, HALTED, Floor, Happening

NS: Final = 1_000_000_000
SLICES: Final = 10
VOLATILITY: Final = "volatility-auction"
LOOK_NS: Final = 5 * NS
REPRICING: Final = b"3"
CANCELED: Final = b"4"
RESTATED: Final = b"D"
ANYWHERE: Final = (Decimal(0), Decimal("Infinity"))
NO_REST: Final = (b"3", b"4")


@dataclass
class Watch:
    """One instrument: what its breaker has seen, and what it is doing."""

    market: "Index"
    symbol: str
    tick: Decimal
    profile: Breaker | None
    begin: Decimal | None
    static: Decimal = Decimal(0)
    mean: Fraction = Fraction(0)
    last: Decimal = Decimal(0)
    past: list[list[Decimal]] = field(default_factory=list)
    present: list[Decimal] = field(default_factory=list)
    since_ns: int = 0  # first trade of the present slice
    sliced_ns: int = 0  # end of the last slice
    pause_ns: int | None = None
    paused_at: Decimal | None = None
    call_ends_ns: int | None = None
    extensions: int = 0
    is_extended: bool = False
    now_ns: int = 0

    def __post_init__(self) -> None:
        if self.begin is not None:
            self.static = self.last = self.begin
            self.mean = Fraction(self.begin)

    # ------------------------------------------------------------ where trades may be

    def bounds(self) -> tuple[Decimal, Decimal]:
        """Lowest and highest price of a trade."""
        profile = self.profile
        if profile is None:
            return ANYWHERE
        if profile.bands:
            return self._bands(profile)
        low, high = ANYWHERE
        if profile.static_bps:
            reach = self._part(self.static, profile.static_bps)
            low, high = self.static - reach, self.static + reach
        if profile.dynamic_bps:
            reach = self._part(self.last, profile.dynamic_bps)
            low, high = max(low, self.last - reach), min(high, self.last + reach)
        window = [price for one in (*self.past, self.present) for price in one]
        if profile.range_bps and window:
            reach = max(self.tick, self._part(self.static, profile.range_bps))
            low, high = max(low, max(window) - reach), min(high, min(window) + reach)
        return low, high

    def _bands(self, profile: Breaker) -> tuple[Decimal, Decimal]:
        assert self.begin is not None
        row: Band = [band for band in profile.bands if band.above <= self.begin][-1]
        reach = self.mean * row.width_bps / 10_000
        if row.width_max is not None:
            reach = min(reach, Fraction(row.width_max // self.tick * self.tick))
        return max(Decimal(0), self._nearest(self.mean - reach)), self._nearest(self.mean + reach)

    def _part(self, price: Decimal, bps: int) -> Decimal:
        """So many ten-thousandths of a price, whole ticks."""
        return (price / self.tick * bps / 10_000).to_integral_value(ROUND_FLOOR) * self.tick

    def _nearest(self, price: Fraction) -> Decimal:
        ticks = price / Fraction(self.tick)
        return Decimal((2 * ticks.numerator + ticks.denominator) // (2 * ticks.denominator)) * self.tick

    # ------------------------------------------------------------ asked by the book

    def allows(self, price: Decimal) -> bool:
        low, high = self.bounds()
        return low <= price <= high

    def lets_wait(self, order: Order) -> bool:
        if self.profile is None or not self.profile.bands or order.price is None:
            return True
        low, high = self.bounds()
        return order.price <= high if order.is_buy else order.price >= low

    def traded(self, price: Decimal) -> bool:
        if not self.present:
            self.since_ns = self.now_ns
        self.present.append(price)
        self.last = price
        return not self.market.has_fallen(self.symbol, price)

    # ------------------------------------------------------------ time

    def slice_ns(self) -> int | None:
        """When the present slice is over, None while it does not matter."""
        profile = self.profile
        if profile is None or not (profile.bands or profile.range_bps):
            return None
        length = self._length(profile)
        if self.past:
            return self.sliced_ns + length
        return (self.since_ns // length + 1) * length if self.present else None

    def end_slice(self, now_ns: int) -> None:
        profile, due_ns = self.profile, self.slice_ns()
        assert profile is not None and due_ns is not None
        length = self._length(profile)
        passed = (now_ns - due_ns) // length
        self.past = [*self.past, self.present, *([] for _ in range(min(SLICES, passed)))][-SLICES:]
        self.present = []
        if not any(self.past):
            self.past = []
        self.sliced_ns = now_ns - now_ns % length
        window = [Fraction(price) for one in self.past for price in one]
        if window:
            mean = sum(window, Fraction(0)) / len(window)
            if abs(mean - self.mean) * 10_000 >= self.mean * profile.reference_step_bps:
                self.mean = mean

    @staticmethod
    def _length(profile: Breaker) -> int:
        return max(1, int(profile.window_s * NS) // SLICES)

    def begin_anew(self, price: Decimal | None) -> None:
        """A call is over: what it found is where everything begins again."""
        self.past, self.present = [], []
        self.pause_ns = self.paused_at = self.call_ends_ns = None
        self.is_extended, self.extensions = False, 0
        if price is not None:
            self.static = self.last = price
            self.mean = Fraction(price)

    def is_far(self, price: Decimal, reference: Decimal, bps: int) -> bool:
        return abs(price - reference) * 10_000 > reference * bps


@dataclass
class Index:
    """The index of the market-wide breaker."""

    breaker: MarketBreaker | None
    prices: dict[str, Decimal] = field(default_factory=dict)
    base: Decimal = Decimal(0)
    reached: int = 0
    ends_ns: int | None = None
    halted: list[str] = field(default_factory=list)

    def weigh(self) -> Decimal:
        """What the index is now."""
        assert self.breaker is not None
        return sum((entry.weight * self.prices[entry.symbol] for entry in self.breaker.constituents), Decimal(0))

    def has_fallen(self, symbol: str, price: Decimal) -> bool:
        """A constituent has traded: has a level that is still to come been reached?"""
        if self.breaker is None or symbol not in self.prices:
            return False
        self.prices[symbol] = price
        return self.next_level() is not None

    def next_level(self) -> Level | None:
        """The deepest level reached that was not reached before, None for none."""
        if self.breaker is None:
            return None
        fallen = [level for level in self.breaker.levels[self.reached :] if self._is_below(level)]
        return fallen[-1] if fallen else None

    def _is_below(self, level: Level) -> bool:
        return self.weigh() * 10_000 <= self.base * (10_000 - level.decline_bps)


class Breakers:
    """All breakers of one oracle; yields what happens to orders."""

    def __init__(self, floor: Floor, profiles: dict[str, Breaker], market: MarketBreaker | None) -> None:
        self.floor, self.profiles = floor, profiles
        self.index = Index(market)
        self.watches: dict[str, Watch] = {}
        #: The phase that a schedule has come to, by symbol.
        self.regular: dict[str, str] = {}

    def begin(self, listing: Listing, book: Book) -> None:
        """An instrument is listed."""
        if listing.symbol in self.watches:
            return
        profile = self.profiles.get(listing.symbol)
        watch = Watch(self.index, listing.symbol, listing.tick_size, profile, listing.reference_price)
        self.watches[listing.symbol] = watch
        market = self.index.breaker
        if market is not None and listing.symbol in {entry.symbol for entry in market.constituents}:
            assert listing.reference_price is not None
            self.index.prices[listing.symbol] = listing.reference_price
            if len(self.index.prices) == len(market.constituents):
                self.index.base = self.index.weigh()
        if profile is not None or listing.symbol in self.index.prices:
            book.guard = watch

    # ------------------------------------------------------------ an order was stopped

    def go_on(self, book: Book, order: Order, now_ns: int) -> Iterator[Happening | Fill]:
        """What becomes of an order that was stopped, and of everybody because of it."""
        while book.held is order:
            book.held = None
            yield from self._mind_index(now_ns)
            watch = self.watches[order.symbol]
            if self.floor.phase(order.symbol) == CONTINUOUS and self._is_stopped(book, order, watch):
                if watch.profile is not None and watch.profile.bands:
                    yield from self._confine(book, order, watch)
                    return
                self._interrupt(order.symbol, now_ns)
            rests = order.time_in_force not in NO_REST and order.worst is None
            if self.floor.phase(order.symbol) == CONTINUOUS:
                yield from book.place(order, rests=rests and order.price is not None)
                rests = rests and order.price is not None
            elif rests and order.leaves:
                yield from self.floor.put(order)
            if book.held is None and order.is_open and not rests:
                order.close(CANCELED)
                yield Happening(order, CANCELED)

    def _is_stopped(self, book: Book, order: Order, watch: Watch) -> bool:
        best = book.opposite(order).best_for(order)
        if order.leaves and best is not None:
            assert best.price is not None
            return not watch.allows(best.price)
        return order.time_in_force not in NO_REST and bool(order.leaves) and not watch.lets_wait(order)

    def _confine(self, book: Book, order: Order, watch: Watch) -> Iterator[Happening]:
        low, high = watch.bounds()
        if order.time_in_force in NO_REST or order.price is None:
            order.close(CANCELED)
            yield Happening(order, CANCELED)
            return
        order.price = high if order.is_buy else low
        yield Happening(order, RESTATED, REPRICING)
        book.own(order).add(order)

    def _interrupt(self, symbol: str, now_ns: int) -> None:
        watch = self.watches[symbol]
        assert watch.profile is not None
        watch.call_ends_ns = now_ns + int(watch.profile.call_s * NS)
        watch.extensions = 0
        self.floor.phases[symbol] = VOLATILITY

    def _mind_index(self, now_ns: int) -> Iterator[Happening | Fill]:
        level = self.index.next_level()
        if level is None:
            return
        assert self.index.breaker is not None
        self.index.reached = self.index.breaker.levels.index(level) + 1
        for symbol in self.floor.books:
            if self.floor.phase(symbol) not in (HALTED, CLOSED):
                self._leave_call(symbol)
                yield from self.floor.move(symbol, HALTED)
                self.index.halted.append(symbol)
        self.index.ends_ns = now_ns + int(level.halt_s * NS) if level.halt_s else None

    def _leave_call(self, symbol: str) -> None:
        self.watches[symbol].call_ends_ns = None

    # ------------------------------------------------------------ after everything that happens

    def mind(self, now_ns: int) -> Iterator[Happening | Fill]:
        """Nothing waits beyond a band; books at their band are timed; the index is looked at."""
        yield from self._mind_index(now_ns)
        for symbol, watch in self.watches.items():
            if watch.profile is None or not watch.profile.bands or self.floor.phase(symbol) != CONTINUOUS:
                continue
            book = self.floor.books[symbol]
            yield from self._pull_inside(book, watch)
            stands = self._stands_at(book, watch) is not None
            if stands and watch.pause_ns is None:
                watch.pause_ns = now_ns + int(watch.profile.limit_state_s * NS)
            elif not stands:
                watch.pause_ns = None

    def _pull_inside(self, book: Book, watch: Watch) -> Iterator[Happening]:
        low, high = watch.bounds()
        for side, bound in ((book.bids, high), (book.asks, low)):
            waiting = [order for _, queue in side for order in queue if order.price is not None]
            for order in waiting:
                if order.price is not None and (order.price > bound if side.is_buy else order.price < bound):
                    side.remove(order)
                    order.price = bound
                    yield Happening(order, RESTATED, REPRICING)
                    side.add(order)

    def _stands_at(self, book: Book, watch: Watch) -> Decimal | None:
        low, high = watch.bounds()
        for side, bound in ((book.bids, high), (book.asks, low)):
            for price, _ in side:
                if price == bound:
                    return bound
                break
        return None

    # ------------------------------------------------------------ time

    def due(self, now_ns: int) -> Iterator[Happening | Fill]:
        """Everything whose time has come at `now_ns`: calls end, windows move, limit states and halts have lasted."""
        for symbol, watch in self.watches.items():
            if watch.call_ends_ns is not None and watch.call_ends_ns <= now_ns:
                yield from self._end_call(symbol, watch, now_ns)
        for watch in self.watches.values():
            slice_ns = watch.slice_ns()
            if slice_ns is not None and slice_ns <= now_ns and self.floor.phase(watch.symbol) == CONTINUOUS:
                watch.end_slice(now_ns)
                yield from self.mind(now_ns)
        for symbol, watch in self.watches.items():
            if watch.pause_ns is not None and watch.pause_ns <= now_ns:
                watch.pause_ns = None
                if self.floor.phase(symbol) == CONTINUOUS:
                    watch.paused_at = self._stands_at(self.floor.books[symbol], watch) or watch.static
                    self._interrupt(symbol, now_ns)
        if self.index.ends_ns is not None and self.index.ends_ns <= now_ns:
            yield from self._reopen(now_ns)

    def _reopen(self, now_ns: int) -> Iterator[Happening | Fill]:
        assert self.index.breaker is not None
        self.index.ends_ns = None
        halted, self.index.halted = self.index.halted, []
        for symbol in halted:
            regular = self.regular.get(symbol, CONTINUOUS)
            if self.floor.phase(symbol) != HALTED:
                continue
            yield from self.leave_call(symbol, VOLATILITY if regular == CONTINUOUS else regular)
            if regular == CONTINUOUS:
                self.watches[symbol].extensions = 0
                self.watches[symbol].call_ends_ns = now_ns + int(self.index.breaker.reopening_call_s * NS)

    def _end_call(self, symbol: str, watch: Watch, now_ns: int) -> Iterator[Happening | Fill]:
        until_ns = self._prolonged(symbol, watch, now_ns)
        if until_ns is not None:
            watch.call_ends_ns = until_ns
            watch.extensions += 1
            return
        yield from self.leave_call(symbol, self.regular.get(symbol, CONTINUOUS))

    def step(self, symbol: str, phase: str, now_ns: int) -> Iterator[Happening | Fill]:
        """A schedule goes on to `phase`. A halt stays, a pause stays where trading would go on; a call of the schedule is over
        when it is judged.
        """
        self.regular[symbol] = phase
        now, watch = self.floor.phase(symbol), self.watches[symbol]
        if now == HALTED:
            return
        if now not in CALLS or phase in CALLS:
            watch.extensions = 0 if phase != now else watch.extensions
            yield from self.leave_call(symbol, phase)
        elif now != VOLATILITY or watch.call_ends_ns is None or phase != CONTINUOUS:
            yield from self._end_call(symbol, watch, now_ns)

    def leave_call(self, symbol: str, phase: str) -> Iterator[Happening | Fill]:
        """The instrument goes on with `phase`; whatever it met at is where its breaker begins again."""
        before, watch = self.floor.phase(symbol), self.watches[symbol]
        found = self.floor.outcome(symbol).price if before != CONTINUOUS else None
        if phase != before:
            watch.call_ends_ns = None
        yield from self.floor.move(symbol, phase)
        if before not in (phase, CONTINUOUS) and (phase in (CONTINUOUS, "at-last") or (phase == CLOSED and before in CALLS)):
            if before != "at-last":
                watch.begin_anew(found)
                if found is not None and symbol in self.index.prices:
                    self.index.prices[symbol] = found

    def _prolonged(self, symbol: str, watch: Watch, now_ns: int) -> int | None:
        profile, found = watch.profile, self.floor.outcome(symbol)
        if profile is None or (profile.bands and self.floor.phase(symbol) != VOLATILITY):
            return None
        if watch.is_extended:
            return now_ns + LOOK_NS if found.price is not None else None
        if found.price is not None and profile.extended_bps and watch.is_far(found.price, watch.static, profile.extended_bps):
            watch.is_extended = True
            return now_ns + LOOK_NS
        if self._is_prolonged(symbol, watch, profile):
            return now_ns + int(profile.extension_s * NS)
        return None

    def _is_prolonged(self, symbol: str, watch: Watch, profile: Breaker) -> bool:
        found, book = self.floor.outcome(symbol), self.floor.books[symbol]
        volume = found.volume if found.price is not None else Decimal(0)
        if max(_market(book.bids), _market(book.asks)) > volume and watch.extensions < profile.market_extensions:
            return True
        if found.price is None or watch.extensions >= profile.extensions:
            return False
        if profile.collar_bps and watch.paused_at is not None:
            return watch.is_far(found.price, watch.paused_at, profile.collar_bps * (watch.extensions + 1))
        return profile.extension_bps is not None and watch.is_far(found.price, watch.static, profile.extension_bps)


def _market(side: Iterable[tuple[Decimal, list[Order]]]) -> Decimal:
    return sum((order.leaves for _, queue in side for order in queue if order.price is None), Decimal(0))
