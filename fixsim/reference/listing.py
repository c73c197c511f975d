"""What may be traded, and who may trade it: the part of the configuration that the oracle looks at."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from fixsim.reference.book import SELLS
from fixsim.reference.message import Inbound
from fixsim.reference.number import places


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
        fitting = (pattern for pattern in self.patterns if covers(pattern.symbol, symbol))
        pattern = next(fitting, None)
        return None if pattern is None else replace(pattern, symbol=symbol)

    def create(self, listing: Listing) -> None:
        """List it, if it is not."""
        self.listed.setdefault(listing.symbol, listing)


def covers(pattern: str, symbol: str) -> bool:
    """Whether `symbol` is `pattern`, or begins with what stands before the pattern's final star."""
    return symbol.startswith(pattern[:-1]) if pattern.endswith("*") else symbol == pattern
