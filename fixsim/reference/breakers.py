"""Breakers of the oracle: the rules of docs/breakers.md read out over what each instrument has seen (`watch`).

What happens to orders is yielded, and so is every `Turn` of an instrument. Chance, schedules and the clock are somebody
else's: `chance`, `plan` and `closes` ask for them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from fixsim.config.breakers import Breaker, Level, MarketBreaker
from fixsim.reference.book import ANY_PRICE, Book, Fill, Order, Side
from fixsim.reference.listing import Listing
from fixsim.reference.phases import AT_LAST, CALLS, CLOSED, CONTINUOUS, HALTED, Floor, Happening, Turn
from fixsim.reference.watch import NS, Index, Watch

VOLATILITY: Final = "volatility-auction"
LOOK_NS: Final = 5 * NS
REPRICING: Final = b"3"
CANCELED: Final = b"4"
RESTATED: Final = b"D"
NO_REST: Final = (b"3", b"4")

#: What a breaker makes happen.
What = Happening | Fill | Turn


class Breakers:
    """All breakers of one oracle; yields what happens to orders."""

    def __init__(self, floor: Floor, profiles: Mapping[str, Breaker], market: MarketBreaker | None) -> None:
        self.floor = floor
        #: By which profile a symbol is stopped, None for none.
        self.profile_of: Callable[[str], Breaker | None] = profiles.get
        self.index = Index(market)
        self.watches: dict[str, Watch] = {}
        #: Symbols of those with bands, which are looked at whenever something has happened.
        self.banded: list[str] = []
        #: The phase that a schedule has come to, by symbol, as far as `step` was told.
        self.regular: dict[str, str] = {}
        #: The phase that a symbol's schedule is in, None for what `step` was told; when it leaves continuous trading, None
        #: for never; and a random number of nanoseconds, up to so many.
        self.plan: Callable[[str], str | None] = lambda symbol: None
        self.closes: Callable[[str], int | None] = lambda symbol: None
        self.chance: Callable[[int], int] = lambda most_ns: 0

    def begin(self, listing: Listing, book: Book) -> None:
        """An instrument is listed."""
        if listing.symbol in self.watches:
            return
        profile = self.profile_of(listing.symbol)
        self.watches[listing.symbol] = Watch(self.index, listing.symbol, listing.tick_size, profile, listing.reference_price)
        if profile is not None and profile.bands:
            self.banded.append(listing.symbol)
        self._weigh()
        for symbol in {listing.symbol, *self.index.prices}:
            self._guard(symbol, book if symbol == listing.symbol else self.floor.books[symbol])

    def adopt(self, market: MarketBreaker | None) -> Iterator[What]:
        """Another configuration: whoever has a breaker goes on with the new one, and the index is counted anew."""
        for symbol, watch in self.watches.items():
            begin, trade = self.floor.board.listed[symbol].reference_price, self.floor.books[symbol].last_trade
            stood = watch.pause_ns is not None
            watch.equip(self.profile_of(symbol), begin, trade[0] if trade else None)
            if stood and watch.pause_ns is None and self.floor.phase(symbol) == CONTINUOUS:
                yield Turn("ready", symbol)
        self.banded = [symbol for symbol, watch in self.watches.items() if watch.profile is not None and watch.profile.bands]
        self.index.choose(market)
        self._weigh()
        for symbol, book in self.floor.books.items():
            self._guard(symbol, book)

    def _guard(self, symbol: str, book: Book) -> None:
        watch = self.watches[symbol]
        book.guard = watch if watch.profile is not None or symbol in self.index.prices else None

    def _weigh(self) -> None:
        """Once all constituents are listed the index is known: of their last trades, else their reference prices."""
        market, books, listed = self.index.breaker, self.floor.books, self.floor.board.listed
        symbols = [entry.symbol for entry in market.constituents] if market is not None else []
        if self.index.prices or not symbols or not all(symbol in self.watches for symbol in symbols):
            return
        prices = {}
        for symbol in symbols:
            trade = books[symbol].last_trade
            price = trade[0] if trade else listed[symbol].reference_price
            assert price is not None, "the configuration was checked"
            prices[symbol] = price
        self.index.count(prices, Decimal(1).scaleb(-max(listed[symbol].price_decimals for symbol in symbols)))

    # ------------------------------------------------------------ an order was stopped

    def go_on(self, book: Book, order: Order, now_ns: int) -> Iterator[What]:
        """What becomes of an order that was stopped, and of everybody because of it."""
        while book.held is order:
            book.held = None
            yield from self.mind(now_ns)
            watch = self.watches[order.symbol]
            if self.floor.phase(order.symbol) == CONTINUOUS and self._is_stopped(book, order, watch):
                if watch.profile is not None and watch.profile.bands:
                    yield from self._confine(book, order, watch)
                    return
                yield from self._interrupt(order.symbol, now_ns)
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

    def _interrupt(self, symbol: str, now_ns: int) -> Iterator[What]:
        """Trading is interrupted by a call."""
        profile = self.watches[symbol].profile
        assert profile is not None
        until_ns = now_ns + int(profile.call_s * NS) + self.chance(int(profile.random_end_s * NS))
        yield from self.leave_call(symbol, VOLATILITY, until_ns)
        yield Turn("called", symbol)

    def _mind_index(self, now_ns: int) -> Iterator[What]:
        level = self.index.next_level()
        if level is None:
            return
        assert self.index.breaker is not None
        self.index.reached = self.index.breaker.levels.index(level) + 1
        if self._is_too_late(level, now_ns):
            return
        for symbol in self.floor.books:
            if self.floor.phase(symbol) not in (HALTED, CLOSED):
                yield from self.leave_call(symbol, HALTED)
                yield Turn("halted", symbol, level=self.index.reached)
                self.index.halted.append(symbol)
        self.index.ends_ns = now_ns + int(level.halt_s * NS) if level.halt_s else None
        yield Turn("market-halted", level=self.index.reached)

    def _is_too_late(self, level: Level, now_ns: int) -> bool:
        closes = [found for symbol in self.index.prices if (found := self.closes(symbol)) is not None]
        return bool(closes) and now_ns >= min(closes) - int(level.not_last_s * NS)

    # ------------------------------------------------------------ after everything that happens

    def mind(self, now_ns: int) -> Iterator[What]:
        """Nothing waits beyond a band; books at their band are timed; the index is looked at."""
        yield from self._mind_index(now_ns)
        for symbol in self.banded:
            yield from self._mind_band(symbol, now_ns)

    def _mind_band(self, symbol: str, now_ns: int) -> Iterator[What]:
        watch, book = self.watches[symbol], self.floor.books[symbol]
        if watch.profile is None or not watch.profile.bands or self.floor.phase(symbol) != CONTINUOUS:
            return
        yield from self._pull_inside(book, watch)
        stands = self._stands_at(book, watch) is not None
        if stands == (watch.pause_ns is not None):
            return
        watch.pause_ns = now_ns + int(watch.profile.limit_state_s * NS) if stands else None
        yield Turn("limit-state" if stands else "ready", symbol)

    def _pull_inside(self, book: Book, watch: Watch) -> Iterator[Happening]:
        low, high = watch.bounds()
        for side, bound in ((book.bids, high), (book.asks, low)):
            for order in list(_beyond(side, bound)):
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

    def due(self, now_ns: int) -> Iterator[What]:
        """Everything whose time has come at `now_ns`: calls end, windows move, limit states and halts have lasted."""
        for symbol, watch in self.watches.items():
            if watch.call_ends_ns is not None and watch.call_ends_ns <= now_ns:
                yield from self.end_call(symbol, now_ns)
        yield from self.lasted(now_ns)

    def next_ns(self) -> Iterator[int]:
        """When `lasted` has something to do."""
        for symbol, watch in self.watches.items():
            if self.floor.phase(symbol) == CONTINUOUS:
                yield from (ns for ns in (watch.slice_ns(), self._late_ns(watch)) if ns is not None)
            if watch.pause_ns is not None:
                yield watch.pause_ns
        if self.index.ends_ns is not None:
            yield self.index.ends_ns

    def lasted(self, now_ns: int) -> Iterator[What]:
        """What is due beside calls: windows move, bands are doubled, limit states and halts have lasted."""
        for symbol, watch in self.watches.items():
            yield from self._move_window(symbol, watch, now_ns)
        for symbol, watch in self.watches.items():
            if watch.pause_ns is not None and watch.pause_ns <= now_ns:
                watch.pause_ns = None
                if self.floor.phase(symbol) == CONTINUOUS:
                    watch.paused_at = self._stands_at(self.floor.books[symbol], watch) or watch.static
                    yield from self._interrupt(symbol, now_ns)
        if self.index.ends_ns is not None and self.index.ends_ns <= now_ns:
            yield from self._reopen(now_ns)

    def _move_window(self, symbol: str, watch: Watch, now_ns: int) -> Iterator[What]:
        late_ns = self._late_ns(watch)
        if late_ns is not None and late_ns <= now_ns and self.floor.phase(symbol) == CONTINUOUS:
            watch.is_late = True
            yield from self._mind_band(symbol, now_ns)
        slice_ns = watch.slice_ns()
        if slice_ns is not None and slice_ns <= now_ns and self.floor.phase(symbol) == CONTINUOUS:
            watch.end_slice(now_ns)
            yield from self._mind_band(symbol, now_ns)

    def _late_ns(self, watch: Watch) -> int | None:
        """When bands are doubled, None where they are or never will be."""
        if watch.profile is None or not watch.profile.doubled_last_s or watch.is_late:
            return None
        closes_ns = self.closes(watch.symbol)
        return None if closes_ns is None else closes_ns - int(watch.profile.doubled_last_s * NS)

    def new_day(self, now_ns: int) -> Iterator[What]:
        """The date turned: the fall of the index is counted anew, and a halt for the rest of the day is over."""
        self.index.base, self.index.reached = self.index.weigh(), 0
        if self.index.halted and self.index.ends_ns is None:
            yield from self._reopen(now_ns)

    def _reopen(self, now_ns: int) -> Iterator[What]:
        assert self.index.breaker is not None
        self.index.ends_ns = None
        halted, self.index.halted = self.index.halted, []
        call_ns = int(self.index.breaker.reopening_call_s * NS)
        for symbol in halted:
            if self.floor.phase(symbol) == HALTED:
                regular = self._regular(symbol)
                trades = regular == CONTINUOUS
                yield from self.leave_call(symbol, VOLATILITY if trades else regular, now_ns + call_ns if trades else None)
        yield Turn("market-open")

    def _regular(self, symbol: str) -> str:
        return self.plan(symbol) or self.regular.get(symbol, CONTINUOUS)

    def end_call(self, symbol: str, now_ns: int) -> Iterator[What]:
        """The end of a call has come: it is judged, then prolonged or over."""
        watch = self.watches[symbol]
        was_extended, until_ns = watch.is_extended, self._prolonged(symbol, watch, now_ns)
        if until_ns is not None:
            if watch.is_extended and not was_extended:
                yield Turn("extended", symbol)
            watch.call_ends_ns, watch.extensions = until_ns, watch.extensions + 1
            yield Turn("prolonged", symbol, until_ns=until_ns)
            return
        watch.call_ends_ns = None
        yield Turn("ends", symbol)
        yield from self.leave_call(symbol, self._regular(symbol))

    def step(self, symbol: str, phase: str, now_ns: int, *, at_ns: int = 0, random_ns: int = 0) -> Iterator[What]:
        """A schedule goes on to `phase`, as was planned for `at_ns`. A halt stays, a pause stays where trading would go on; a
        call of the schedule ends by chance, up to `random_ns` later, and is over when it is judged.
        """
        self.regular[symbol] = phase
        now, watch = self.floor.phase(symbol), self.watches[symbol]
        if now == HALTED:
            return
        if now not in CALLS or phase in CALLS:
            yield from self.leave_call(symbol, phase)
        elif now != VOLATILITY or watch.call_ends_ns is None or phase != CONTINUOUS:
            later_ns = self.chance(random_ns)
            if later_ns:
                watch.call_ends_ns = at_ns + later_ns
                yield Turn("ends", symbol, until_ns=watch.call_ends_ns)
            else:
                yield from self.end_call(symbol, now_ns)

    def leave_call(self, symbol: str, phase: str, until_ns: int | None = None) -> Iterator[What]:
        """The instrument goes on with `phase`, a call until `until_ns` (None for not by itself); whatever it met at is where
        its breaker begins again.
        """
        before, watch = self.floor.phase(symbol), self.watches[symbol]
        if phase == before:
            return
        found = self.floor.outcome(symbol).price if before != CONTINUOUS else None
        yield from self.floor.move(symbol, phase)
        meets = phase in (CONTINUOUS, AT_LAST) or (phase == CLOSED and before in CALLS)
        if meets and before not in (CONTINUOUS, AT_LAST):
            if watch.profile is not None:
                watch.begin_anew(found)
            if found is not None and symbol in self.index.prices:
                self.index.prices[symbol] = found
        watch.call_ends_ns, watch.extensions = until_ns, 0
        yield Turn("phase", symbol, phase, until_ns, resumed=before == HALTED)

    def _prolonged(self, symbol: str, watch: Watch, now_ns: int) -> int | None:
        profile, found = watch.profile, self.floor.outcome(symbol)
        is_pause = self.floor.phase(symbol) == VOLATILITY
        if profile is None or (profile.bands and not is_pause):
            return None
        if watch.is_extended:
            return now_ns + LOOK_NS if found.price is not None else None
        far_bps = profile.extended_bps if is_pause else None
        if found.price is not None and far_bps and watch.is_far(found.price, watch.static, far_bps):
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


def _beyond(side: Side, bound: Decimal) -> Iterator[Order]:
    """Orders that wait where no trade may be: the best of the side, and the oldest of each price, first."""
    for price, queue in side:
        if price == ANY_PRICE:
            continue
        if not (price > bound if side.is_buy else price < bound):
            return
        yield from queue
