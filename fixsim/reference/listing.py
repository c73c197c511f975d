"""What may be traded, and who may trade it: the part of the configuration that the oracle looks at."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from fixsim.config import Instrument, Permissions
from fixsim.reference.book import SELLS
from fixsim.reference.message import Inbound
from fixsim.reference.number import places

#: Longest symbol that a pattern makes.
SYMBOL_MAX: Final = 64
#: Words of the configuration, and the FIX values they stand for.
ORD_TYPES: Final = {"market": b"1", "limit": b"2"}
SIDES: Final = {"buy": b"1", "sell": b"2"}


@dataclass(frozen=True)
class Listing:
    """One instrument. A symbol that ends in `*` is a pattern: the first valid order creates what it names."""

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    currency: str
    highest_price: Decimal
    reference_price: Decimal | None = None
    schedule: str | None = None  # whose days it keeps; None for UTC dates

    @classmethod
    def of(cls, instrument: Instrument) -> "Listing":
        """The listing that a configured instrument describes."""
        return cls(
            instrument.symbol,
            instrument.tick_size,
            instrument.lot_size,
            instrument.min_qty,
            instrument.max_qty,
            instrument.currency,
            highest_price=instrument.price_ticks_max * instrument.tick_size,
            reference_price=instrument.reference_price,
            schedule=instrument.schedule,
        )

    @property
    def price_decimals(self) -> int:
        return places(self.tick_size)

    @property
    def qty_decimals(self) -> int:
        return places(self.lot_size)


@dataclass(frozen=True)
class Permission:
    """What a counterparty may order; None is everything. Symbols may be patterns, sides are 1 and 2."""

    symbols: frozenset[str] | None = None
    ord_types: frozenset[bytes] | None = None
    sides: frozenset[bytes] | None = None

    @classmethod
    def of(cls, permissions: Permissions) -> "Permission":
        """What configured permissions allow."""
        return cls(
            frozenset(permissions.symbols),
            frozenset(ORD_TYPES[word] for word in permissions.order_types),
            frozenset(SIDES[word] for word in permissions.sides),
        )

    def allows(self, order: Inbound) -> bool:
        side = order.get(54)
        return (
            (self.symbols is None or any(covers(pattern, order.symbol) for pattern in self.symbols))
            and (self.ord_types is None or order.get(40) in self.ord_types)
            and (self.sides is None or (b"2" if side in SELLS else side) in self.sides)
        )


@dataclass
class Board:
    """The instruments there are, in order of configuration and creation, and what could still be created."""

    listed: dict[str, Listing] = field(default_factory=dict)
    patterns: list[Listing] = field(default_factory=list)

    @classmethod
    def of(cls, listings: Iterable[Listing]) -> "Board":
        board = cls()
        for listing in listings:
            if listing.symbol.endswith("*"):
                board.patterns.append(listing)
            else:
                board.listed[listing.symbol] = listing
        return board

    def find(self, symbol: str) -> Listing | None:
        """The instrument `symbol` is or would become; None if unknown. Nothing is created by looking."""
        if not symbol:
            return None
        if symbol in self.listed:
            return self.listed[symbol]
        if len(symbol) > SYMBOL_MAX or not (symbol.isascii() and symbol.isprintable()) or symbol.endswith("*"):
            return None
        fitting = [pattern for pattern in self.patterns if covers(pattern.symbol, symbol)]
        return replace(max(fitting, key=lambda p: len(p.symbol)), symbol=symbol) if fitting else None

    def create(self, listing: Listing) -> None:
        """List it, if it is not."""
        self.listed.setdefault(listing.symbol, listing)


def covers(pattern: str, symbol: str) -> bool:
    """Whether `symbol` is `pattern`, or begins with what stands before the pattern's final star."""
    return symbol.startswith(pattern[:-1]) if pattern.endswith("*") else symbol == pattern
