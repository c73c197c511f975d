"""A profile of `[[breakers]]` in the units of one instrument: corridors and bands in ticks, all in whole numbers."""

from decimal import Decimal
from typing import Final, NamedTuple

from fixsim.config.breakers import Band, Breaker
from fixsim.exchange.listings import Listing
from fixsim.layout import Corridor
from fixsim.limits import PRICE_TICKS_MAX
from fixsim.units import NS_PER_S

#: Slices of a window: what is older than that many is forgotten.
SLICES: Final = 10
#: What a width counts.
PARTS: Final = 10_000


class Mean(NamedTuple):
    """An exact mean price: sum of ticks over trades."""

    total: int
    trades: int

    def differs(self, other: "Mean", step_bps: int) -> bool:
        """Is it `step_bps` or more away from `other`?"""
        return abs(self.total * other.trades - other.total * self.trades) * PARTS >= other.total * self.trades * step_bps


class Rule:
    """What one instrument's profile comes to."""

    def __init__(self, profile: Breaker, listing: Listing) -> None:
        self.profile = profile
        self.tick = listing.instrument.tick_size
        self.corridor = Corridor.LAST if profile.dynamic_bps else Corridor.RANGE if profile.range_bps else Corridor.FIXED
        self.is_windowed = bool(profile.bands or profile.range_bps)
        #: Length of one slice of the window, ns.
        self.slice_ns = max(1, int(profile.window_s * NS_PER_S) // SLICES)
        # which row of the bands holds is decided once, by the price the instrument begins with
        self._band = _row_for(profile.bands, listing.instrument.reference_price or Decimal(0))

    def around(self, static: int) -> tuple[int, int]:
        """Lowest and highest price around a static reference, ticks."""
        if self.profile.static_bps is None:
            return 0, PRICE_TICKS_MAX
        reach = static * self.profile.static_bps // PARTS
        return static - reach, static + reach

    def width(self, static: int) -> int:
        """Width of the corridor that moves with trades, in the unit its kind has."""
        if self.profile.dynamic_bps:
            return self.profile.dynamic_bps
        return max(1, static * (self.profile.range_bps or 0) // PARTS)

    def band(self, mean: Mean, doubled: bool) -> tuple[int, int]:
        """Lower and upper band around a mean, each rounded to the nearest tick, halves up."""
        row = self._band
        if row is None:
            return 0, PRICE_TICKS_MAX
        times = 2 if doubled and row.doubled else 1
        over = mean.trades * PARTS
        reach = mean.total * row.width_bps * times
        if row.width_max is not None:
            reach = min(reach, int(row.width_max / self.tick) * times * over)
        low, high = mean.total * PARTS - reach, mean.total * PARTS + reach
        return max(0, (2 * low + over) // (2 * over)), (2 * high + over) // (2 * over)

    def is_far(self, price: int, reference: int, width_bps: int) -> bool:
        """Is `price` more than `width_bps` from `reference`?"""
        return abs(price - reference) * PARTS > reference * width_bps


def _row_for(bands: tuple[Band, ...], price: Decimal) -> Band | None:
    fitting = [band for band in bands if band.above <= price]
    return fitting[-1] if fitting else bands[0] if bands else None
