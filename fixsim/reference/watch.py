"""What every instrument has seen of its breaker, written down: trades, references, the index of the market.

Nothing is kept up to date by steps: a bound is worked out of the trades that count whenever somebody asks.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final

from fixsim.config.breakers import Band, Breaker, Level, MarketBreaker
from fixsim.reference.book import Order

NS: Final = 1_000_000_000
SLICES: Final = 10
ANYWHERE: Final = (Decimal(0), Decimal("Infinity"))

#: Trades of one slice of a window: how many at each price.
Slice = Counter[Decimal]


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
    past: list[Slice] = field(default_factory=list)
    present: Slice = field(default_factory=Counter)
    since_ns: int = 0  # first trade of the present slice
    sliced_ns: int = 0  # end of the last slice
    is_late: bool = False  # bands are doubled, because the day is about to end
    pause_ns: int | None = None
    paused_at: Decimal | None = None
    call_ends_ns: int | None = None
    extensions: int = 0
    is_extended: bool = False

    #: It had a breaker once.
    was_equipped: bool = False

    def __post_init__(self) -> None:
        self.was_equipped = self.profile is not None
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
        elif profile.range_bps and (window := self._window()):
            reach = max(self.tick, self._part(self.static, profile.range_bps))
            low, high = max(low, max(window) - reach), min(high, min(window) + reach)
        return low, high

    def _window(self) -> Slice:
        return sum((*self.past, self.present), start=Counter())

    def _bands(self, profile: Breaker) -> tuple[Decimal, Decimal]:
        assert self.begin is not None
        row = _row_of(profile.bands, self.begin)
        times = 2 if self.is_late and row.doubled else 1
        reach = self.mean * row.width_bps * times / 10_000
        if row.width_max is not None:
            reach = min(reach, Fraction(row.width_max // self.tick * self.tick) * times)
        return max(Decimal(0), self._nearest(self.mean - reach)), self._nearest(self.mean + reach)

    def _part(self, price: Decimal, bps: int) -> Decimal:
        """So many ten-thousandths of a price, whole ticks."""
        return price * bps // (self.tick * 10_000) * self.tick

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
            self.since_ns = self.market.now_ns
        self.present[price] += 1
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
        self.past = [*self.past, self.present, *(Counter() for _ in range(min(SLICES, passed)))][-SLICES:]
        self.present = Counter()
        if not any(self.past):
            self.past = []
        self.sliced_ns = now_ns - now_ns % length
        window = self._window()
        if window:
            mean = sum((Fraction(price) * times for price, times in window.items()), Fraction(0)) / window.total()
            if abs(mean - self.mean) * 10_000 >= self.mean * profile.reference_step_bps:
                self.mean = mean

    @staticmethod
    def _length(profile: Breaker) -> int:
        return max(1, int(profile.window_s * NS) // SLICES)

    def begin_anew(self, price: Decimal | None) -> None:
        """A call is over: what it found is where everything begins again."""
        self.past, self.present = [], Counter()
        self.pause_ns = self.paused_at = self.call_ends_ns = None
        self.is_extended, self.is_late, self.extensions = False, False, 0
        if price is not None:
            self.static = self.last = price
            self.mean = Fraction(price)

    def equip(self, profile: Breaker | None, begin: Decimal | None, last: Decimal | None) -> None:
        """Another configuration: what was seen under a breaker stays; who never had one begins where a new one would.

        `last` is the price of the last trade, whoever watched it.
        """
        if profile is not None and not self.was_equipped and begin is not None:
            self.was_equipped, self.static, self.mean = True, begin, Fraction(begin)
        if profile is not None and self.profile is None:
            self.last = self.static if last is None else last
        if profile is None or not profile.bands:
            self.pause_ns = None
        if profile is None:
            self.is_extended = False
        self.profile, self.begin = profile, begin

    def is_far(self, price: Decimal, reference: Decimal, bps: int) -> bool:
        return abs(price - reference) * 10_000 > reference * bps


def _row_of(bands: Iterable[Band], price: Decimal) -> Band:
    """The row for an instrument that begins with `price`."""
    rows = list(bands)
    return ([row for row in rows if row.above <= price] or rows[:1])[-1]


@dataclass
class Index:
    """The index of the market-wide breaker."""

    breaker: MarketBreaker | None
    prices: dict[str, Decimal] = field(default_factory=dict)
    base: Decimal = Decimal(0)
    reached: int = 0
    ends_ns: int | None = None
    halted: list[str] = field(default_factory=list)
    now_ns: int = 0  # what time it is, for whoever sees a trade

    #: What it was worth by the constituents it had, while those it has now are not counted yet.
    before: Decimal = Decimal(0)
    weights: dict[str, int] = field(default_factory=dict)

    def choose(self, breaker: MarketBreaker | None) -> None:
        """Another breaker: its constituents are to be counted."""
        self.before = self.weigh() if self.prices else Decimal(0)
        self.breaker, self.prices = breaker, {}
        if breaker is None:
            self.base = Decimal(0)

    def count(self, prices: dict[str, Decimal], step: Decimal) -> None:
        """Constituents are worth this. The first sum is the base; after others it is as far above the sum as theirs was, in
        whole steps.
        """
        assert self.breaker is not None
        weights = {entry.symbol: entry.weight for entry in self.breaker.constituents}
        self.prices = prices
        if not self.before:
            self.base = self.weigh()
        elif weights != self.weights:
            self.base = self.base * self.weigh() / self.before // step * step
        self.weights = weights

    def weigh(self) -> Decimal:
        """What the index is now."""
        constituents = self.breaker.constituents if self.breaker is not None else ()
        return sum((entry.weight * self.prices[entry.symbol] for entry in constituents), Decimal(0))

    def has_fallen(self, symbol: str, price: Decimal) -> bool:
        """A constituent has traded: has a level that is still to come been reached?"""
        if symbol not in self.prices:
            return False
        self.prices[symbol] = price
        return self.next_level() is not None

    def next_level(self) -> Level | None:
        """The deepest level reached that was not reached before, None for none."""
        if self.breaker is None or not self.base:
            return None
        fallen = [level for level in self.breaker.levels[self.reached :] if self._is_below(level)]
        return fallen[-1] if fallen else None

    def _is_below(self, level: Level) -> bool:
        return self.weigh() * 10_000 <= self.base * (10_000 - level.decline_bps)
