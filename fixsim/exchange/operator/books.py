"""Books, shown and halted."""

from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.listings import Listing
from fixsim.exchange.market import levels
from fixsim.exchange.names import NAMES, PHASES
from fixsim.exchange.operator.asked import Arguments, listing_of
from fixsim.layout import CALLS, Phase
from fixsim.units import NS_PER_S, format_decimal, format_utc_timestamp

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: Phases that are calls, by name; and the longest time one may be given.
CALLED: Final = frozenset(name for name, phase in PHASES.items() if phase in CALLS)
DAY_S: Final = 86_400


def book(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Levels of one instrument, best first."""
    listing = listing_of(exchange, arguments)
    depth = arguments.get("depth", 10)
    if not isinstance(depth, int) or depth < 1:
        raise UsageError(f"{depth!r} is no number of levels")
    row = exchange.machine.books[listing.book]

    def quantity(lots: int) -> str:
        return format_decimal(lots * listing.lot_mantissa, listing.qty_decimals).decode()

    def side(number: int) -> list[dict[str, Any]]:
        found = []
        for level in levels(exchange.machine, listing.book, number):
            price = "market" if level.is_market else listing.price_text(level.price)
            found.append({"price": price, "quantity": quantity(level.lots), "orders": level.orders})
            if len(found) == depth:
                break
        return found

    last = None
    if row["last_lots"]:
        last = {"price": listing.price_text(int(row["last_price"])), "quantity": quantity(int(row["last_lots"]))}
    return {
        "symbol": listing.symbol.decode(), "halted": bool(row["phase"] == Phase.HALTED), "phase": NAMES[int(row["phase"])],
        "bids": side(0), "asks": side(1), "last": last,
    }  # fmt: skip


def halt(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Refuse new orders and replaces of an instrument; cancels go on."""
    listing = listing_of(exchange, arguments)
    exchange.phases.move(listing.book, Phase.HALTED)
    return {"symbol": listing.symbol.decode(), "halted": True}


def resume(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """End a halt: the instrument goes on as it would have."""
    listing = listing_of(exchange, arguments)
    if exchange.phases.phase_of(listing) == Phase.HALTED:
        exchange.phases.move(listing.book, exchange.phases.regular(listing.book))
    return {"symbol": listing.symbol.decode(), "halted": False, "phase": NAMES[exchange.phases.phase_of(listing)]}


def phase(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """The phase of an instrument and what its call would come to; given another, it goes on with that one.

    A call goes on for `seconds` where that is given, else until somebody ends it. `end` ends a call as its time would.
    """
    listing = listing_of(exchange, arguments)
    wanted, seconds = arguments.get("phase"), arguments.get("seconds")
    if seconds is not None and (not isinstance(seconds, int | float) or not 0 < seconds <= DAY_S or wanted not in CALLED):
        raise UsageError(f"{seconds!r} is no time for a call in seconds")
    if wanted == "end":
        if exchange.phases.phase_of(listing) not in CALLS:
            raise UsageError(f"{listing.symbol.decode()} is in no call")
        exchange.phases.end(listing.book)
    elif wanted is not None:
        if wanted not in PHASES:
            raise UsageError(f"unknown phase {wanted!r}; there are {', '.join(PHASES)}, and end")
        until_ns = 0 if seconds is None else exchange.venue_ns + int(seconds * NS_PER_S)
        exchange.phases.move(listing.book, PHASES[wanted], until_ns)
    return _phase_shown(exchange, listing)


def calendar(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """The coming changes of every schedule, from whoever knows of time zones."""
    changes = arguments.get("changes")
    if not isinstance(changes, dict) or changes.keys() != {entry.name for entry in exchange.config.schedules}:
        raise UsageError("changes are given for every schedule there is")
    exchange.phases.adopt(changes)
    return {}


def _phase_shown(exchange: "Exchange", listing: Listing) -> dict[str, Any]:
    row = exchange.machine.books[listing.book]
    shown: dict[str, Any] = {"symbol": listing.symbol.decode(), "phase": NAMES[int(row["phase"])], "indication": None}
    if int(row["phase"]) in CALLS:
        found = exchange.auctions.indication(listing.book)
        surplus = format_decimal(abs(found.surplus) * listing.lot_mantissa, listing.qty_decimals).decode()
        shown["indication"] = {
            "price": listing.price_text(found.price) if found.lots else None,
            "quantity": format_decimal(found.lots * listing.lot_mantissa, listing.qty_decimals).decode(),
            "surplus": surplus,
            "side": "buy" if found.surplus > 0 else "sell" if found.surplus < 0 else None,
        }
    until_ns = int(row["until_ns"])
    shown["until"] = format_utc_timestamp(until_ns, 3).decode() if until_ns else None
    shown["breaker"] = exchange.breakers.shown(listing)
    shown["auction_price"] = listing.price_text(int(row["auction_price"])) if row["auction_price"] else None
    return shown
