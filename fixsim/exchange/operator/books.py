"""Books, shown and halted."""

from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.market import levels
from fixsim.exchange.operator.asked import Arguments, listing_of
from fixsim.layout import Phase
from fixsim.units import format_decimal

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def book(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Levels of one instrument, best first."""
    listing = listing_of(exchange, arguments)
    depth = arguments.get("depth", 10)
    if not isinstance(depth, int) or depth < 1:
        raise UsageError(f"{depth!r} is no number of levels")
    row = exchange.machine.books[listing.book]

    def price(ticks: int) -> str:
        return format_decimal(ticks * listing.tick_mantissa, listing.price_decimals).decode()

    def quantity(lots: int) -> str:
        return format_decimal(lots * listing.lot_mantissa, listing.qty_decimals).decode()

    def side(number: int) -> list[dict[str, Any]]:
        found = []
        for level in levels(exchange.machine, listing.book, number):
            found.append({"price": price(level.price), "quantity": quantity(level.lots), "orders": level.orders})
            if len(found) == depth:
                break
        return found

    last = None
    if row["last_lots"]:
        last = {"price": price(int(row["last_price"])), "quantity": quantity(int(row["last_lots"]))}
    halted = bool(row["phase"] == Phase.HALTED)
    return {"symbol": listing.symbol.decode(), "halted": halted, "bids": side(0), "asks": side(1), "last": last}


def _set_halted(exchange: "Exchange", arguments: Arguments, halted: bool) -> dict[str, Any]:
    listing = listing_of(exchange, arguments)
    exchange.machine.books[listing.book]["phase"] = Phase.HALTED if halted else Phase.CONTINUOUS
    return {"symbol": listing.symbol.decode(), "halted": halted}


def halt(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Refuse new orders and replaces of an instrument; cancels go on."""
    return _set_halted(exchange, arguments, True)


def resume(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """End a halt."""
    return _set_halted(exchange, arguments, False)
