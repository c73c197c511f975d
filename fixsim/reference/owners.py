"""Somebody with limits: what it holds, what it did today, and how much more it may say."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from fixsim.config import Limits

SECOND: Final = 1_000_000_000
#: Keys for which positions are valued.
HELD: Final = ("position_max", "gross_max", "net_max", "credit_max", "daily_loss_max")


@dataclass
class Bucket:
    """Tokens that come back at `rate` a second, `burst` at most."""

    rate: int
    burst: int
    level: Decimal = Decimal(0)
    since_ns: int = 0

    def __post_init__(self) -> None:
        self.level = Decimal(self.burst)

    def tokens(self, now_ns: int) -> Decimal:
        back = Decimal(max(0, now_ns - self.since_ns)) * self.rate / SECOND
        return min(Decimal(self.burst), self.level + back)

    def take(self, now_ns: int) -> None:
        self.level, self.since_ns = max(Decimal(0), self.tokens(now_ns) - 1), now_ns


@dataclass
class Owner:
    """Somebody with limits: what it holds and what it did today."""

    scope: str
    name: str
    limits: Limits
    positions: dict[str, Decimal] = field(default_factory=dict)
    spent: Decimal = Decimal(0)  # bought less sold today
    opening: Decimal = Decimal(0)  # value of the positions when the day began
    requests: int = 0
    trades: int = 0
    stopped: bool = False
    orders: Bucket | None = None
    messages: Bucket | None = None
    #: (terms, when) of orders accepted.
    entered: list[tuple[tuple[object, ...], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.change(self.limits)

    def change(self, limits: Limits) -> None:
        """Other limits; buckets keep what they have."""
        self.limits = limits
        self.orders = _bucket(self.orders, limits.order_rate, limits.order_burst)
        self.messages = _bucket(self.messages, limits.message_rate, limits.message_burst)

    @property
    def holds(self) -> bool:
        """Are its positions kept?"""
        return any(getattr(self.limits, key) is not None for key in HELD)


def _bucket(before: Bucket | None, rate: int | None, burst: int | None) -> Bucket | None:
    """A bucket for a rate, with what was left in the one before."""
    if rate is None:
        return None
    if before is None:
        return Bucket(rate, burst or rate)
    before.rate, before.burst = rate, burst or rate
    return before
