"""Circuit breakers as data: corridors, calls, bands, and the index that stops everything.

A profile is a set of numbers; what a venue of that kind does follows from which of them are there. `docs/breakers.md` tells the
model behind each number and where the ready-made profiles come from.
"""

from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, Final

from fixsim.config.checks import between

#: Widths are ten-thousandths of a price.
WIDTH_BPS: Final = between(1, 10_000)
#: No time of a breaker is longer than a day.
SECONDS: Final = between(0, 86_400)


def _positive(value: Decimal) -> str | None:
    return None if value.is_finite() and value >= 0 else f"is {value}, expected a number of at least 0"


def _name(value: str) -> str | None:
    return None if value and value.isascii() and value.isprintable() else f"is {value!r}, expected a printable name"


@dataclass(frozen=True)
class Band:
    """One row of `bands`: how far from the reference price trades may be, for reference prices from `above` on."""

    #: Reference prices below this belong to another row.
    above: Decimal = field(metadata={"check": _positive})
    width_bps: int = field(metadata=WIDTH_BPS)
    #: The band is never wider than this, in the currency of the price; None for no limit.
    width_max: Decimal | None = field(default=None, metadata={"check": _positive})
    #: Whether it is twice as wide at the end of the day.
    doubled: bool = True


@dataclass(frozen=True)
class Breaker:
    """`[[breakers]]`: what stops one instrument, and how it goes on."""

    #: By which an instrument asks for it.
    name: str = field(metadata={"check": _name})
    #: Trades stay within this of the price of the last auction (or `reference_price`).
    static_bps: int | None = field(default=None, metadata=WIDTH_BPS)
    #: Trades stay within this of the last trade.
    dynamic_bps: int | None = field(default=None, metadata=WIDTH_BPS)
    #: Trades stay within this part of the static reference from the lowest and highest trade of the last `window_s` seconds.
    range_bps: int | None = field(default=None, metadata=WIDTH_BPS)
    #: Trades stay within these of the mean of the last `window_s` seconds; given, nothing rests beyond them either.
    bands: tuple[Band, ...] = ()
    window_s: float = field(default=300.0, metadata=between(0.1, 86_400))
    #: A new mean becomes the reference only when it is this far from it.
    reference_step_bps: int = field(default=100, metadata=between(0, 10_000))
    #: How long a book may stand at its band before the instrument is paused.
    limit_state_s: float = field(default=15.0, metadata=SECONDS)
    #: How long before the close bands that are `doubled` are.
    doubled_last_s: float = field(default=0.0, metadata=SECONDS)
    #: The call that follows a breach: its least duration, and the most it goes on beyond that by chance.
    call_s: float = field(default=120.0, metadata=SECONDS)
    random_end_s: float = field(default=0.0, metadata=SECONDS)
    #: A call whose price would be farther than this from the static reference is prolonged: by `extension_s`, so many times.
    extension_bps: int | None = field(default=None, metadata=WIDTH_BPS)
    extension_s: float = field(default=300.0, metadata=SECONDS)
    extensions: int = field(default=0, metadata=between(0, 1_000))
    #: The same where market orders would be left over.
    market_extensions: int = field(default=0, metadata=between(0, 1_000))
    #: A call whose price would be farther than this from the static reference goes on until an operator ends it.
    extended_bps: int | None = field(default=None, metadata=WIDTH_BPS)
    #: With `bands`: how far beyond the band the first price after a pause may be; each extension adds as much.
    collar_bps: int | None = field(default=None, metadata=WIDTH_BPS)


#: Bands of the plan of the U.S. exchanges, by previous close; doubled in the last 25 minutes, tier 2 only up to 3.00.
_CHEAP: Final = (
    Band(Decimal(0), 7_500, Decimal("0.15")),
    Band(Decimal("0.75"), 2_000),
)
_PAUSE: Final[dict[str, Any]] = {
    "window_s": 300.0, "limit_state_s": 15.0, "doubled_last_s": 1_500.0, "call_s": 300.0, "extension_s": 300.0,
    "extensions": 1_000, "market_extensions": 1_000, "collar_bps": 500,
}  # fmt: skip

#: Ready-made profiles; widths that venues do not publish are examples.
PROFILES: Final = {
    profile.name: profile
    for profile in (
        Breaker("luld-tier-1", bands=(*_CHEAP, Band(Decimal("3.01"), 500)), **_PAUSE),
        Breaker("luld-tier-2", bands=(*_CHEAP, Band(Decimal("3.01"), 1_000, None, False)), **_PAUSE),
        Breaker(
            "volatility-interruption", static_bps=1_000, dynamic_bps=200, call_s=120, random_end_s=30,
            extended_bps=2_000, market_extensions=1, extension_s=120,
        ),
        Breaker(
            "price-monitoring", static_bps=1_000, dynamic_bps=500, call_s=300, random_end_s=30,
            extension_bps=1_000, extension_s=300, extensions=2, market_extensions=1,
        ),
        Breaker("velocity-logic", range_bps=100, window_s=1.0, call_s=5),
        Breaker("dynamic-circuit-breaker", range_bps=350, window_s=3_600, call_s=120),
    )
}  # fmt: skip


def profile_values(like: str) -> dict[str, Any]:
    """The values of a ready-made profile, for a table that says it is `like` it."""
    profile = PROFILES[like]
    return {item.name: getattr(profile, item.name) for item in fields(Breaker) if item.name != "name"}


@dataclass(frozen=True)
class Constituent:
    """One instrument of the index: `weight` of it are counted."""

    symbol: str
    weight: int = field(default=1, metadata=between(1, 1_000_000))


@dataclass(frozen=True)
class Level:
    """A fall of the index, from its last value of the day before, that stops all instruments."""

    decline_bps: int = field(metadata=between(1, 10_000))
    #: For how long; 0 for the rest of the day.
    halt_s: float = field(default=900.0, metadata=SECONDS)
    #: Not in the last seconds of the day before the close.
    not_last_s: float = field(default=2_100.0, metadata=SECONDS)


#: Levels of the market-wide breaker of the U.S. exchanges: 7 and 13 % before 15:25, 20 % at any time.
LEVELS: Final = (Level(700), Level(1_300), Level(2_000, 0, 0))


@dataclass(frozen=True)
class MarketBreaker:
    """`[market_breaker]`: an index over chosen instruments, and the falls that stop everything."""

    constituents: tuple[Constituent, ...]
    levels: tuple[Level, ...] = LEVELS
    #: The call with which each instrument reopens after a halt that ends.
    reopening_call_s: float = field(default=60.0, metadata=SECONDS)


def named(breakers: tuple[Breaker, ...], name: str) -> Breaker | None:
    """The breaker an instrument asks for: one of the file, else a ready-made one."""
    for entry in breakers:
        if entry.name == name:
            return entry
    found = PROFILES.get(name)
    return None if found is None else replace(found)
