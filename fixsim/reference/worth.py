"""What the oracle counts a unit of an order at: read off the book, the mark and the last trade when the order comes."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from fixsim.config import Limits
from fixsim.reference.book import ANY_PRICE, BUY, ZERO, Book, Side
from fixsim.reference.listing import Listing

BPS: Final = 10_000


def valued_at(book: Book, mark: Decimal) -> Decimal:
    """The greater of mark and last trade, 0 when neither is known."""
    return max(mark, book.last_trade[0] if book.last_trade else ZERO)


def sell_worth(book: Book, mark: Decimal, price: Decimal | None) -> Decimal:
    """The greatest of what a sell asks for, of what the instrument is valued at and of the best bid."""
    return max([price or ZERO, valued_at(book, mark), *(level for level, _ in limits_of(book.bids))])


def market_worth(
    limits: Iterable[Limits], listing: Listing, book: Book, mark: Decimal, side: bytes, qty: Decimal, *, meets: bool
) -> tuple[Decimal, Decimal | None]:
    """The price a market order is counted at, 0 when none is known, and the one it may not trade beyond.

    `meets`: it trades as it comes.
    """
    levels = limits_of(book.asks if side == BUY else book.bids)
    if not levels or not meets:
        return waiting_worth(book, mark, side, qty), None
    bound = _bound(limits, listing, levels[0][0], side)
    if side != BUY:
        return sell_worth(book, mark, None), bound
    return (_reached(levels, qty), None) if bound is None else (bound, bound)


def waiting_worth(book: Book, mark: Decimal, side: bytes, qty: Decimal) -> Decimal:
    """The price a market order is counted at that waits for an auction, 0 when none is known."""
    if side != BUY:
        return sell_worth(book, mark, None)
    return max(_reached(limits_of(book.asks), qty), valued_at(book, mark))


def _reached(levels: Iterable[tuple[Decimal, Decimal]], qty: Decimal) -> Decimal:
    """The worst price at which a quantity would trade, as far as it would."""
    reached = ZERO
    for price, lots in levels:
        if qty <= 0:
            break
        reached, qty = price, qty - lots
    return reached


def limits_of(side: Side) -> list[tuple[Decimal, Decimal]]:
    """Limits of a side and what waits there, best first."""
    return [(price, sum((order.leaves for order in queue), ZERO)) for price, queue in side if price != ANY_PRICE]


def _bound(limits: Iterable[Limits], listing: Listing, best: Decimal, side: bytes) -> Decimal | None:
    """Behind the best opposite price, the nearest of all protections."""
    rooms = []
    for entry in limits:
        if entry.protection_ticks is not None:
            rooms.append(entry.protection_ticks * listing.tick_size)
        if entry.protection_bps:
            rooms.append((best / listing.tick_size * entry.protection_bps) // BPS * listing.tick_size)
    if not rooms:
        return None
    return best + min(rooms) if side == BUY else max(listing.tick_size, best - min(rooms))
