"""What can be seen of the oracle, as neutral values."""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from fixsim.reference.book import Book, Order
from fixsim.reference.number import EXACT
from fixsim.reference.phases import Floor

#: One resting order: session, ClOrdID, OrderID, LeavesQty, CumQty, OrderQty.
Resting = tuple[str, bytes, int, Decimal, Decimal, Decimal]
#: One side of a book, best price first.
Ladder = list[tuple[Decimal, list[Resting]]]


class BookState(NamedTuple):
    """What rests in one book, in the order it would trade."""

    bids: Ladder
    asks: Ladder


class Sight:
    """Books and counters of an exchange that has them."""

    books: dict[str, Book]
    floor: Floor
    order_id: int
    exec_id: int
    match_id: int

    def state(self) -> dict[str, BookState]:
        """Every book as a neutral value, to be compared with another exchange's."""
        return {name: BookState(_ladder(book.bids), _ladder(book.asks)) for name, book in self.books.items()}

    def digest(self) -> str:
        """SHA-256 of books, counters and phases; equal decimals count as equal however they are written."""
        counters = (self.order_id, self.exec_id, self.match_id)
        told = hashlib.sha256(repr((counters, sorted(self.floor.phases.items()))).encode())
        for symbol, book in sorted(self.state().items()):
            for ladder in book:
                for price, queue in ladder:
                    told.update(f"{symbol} {price.normalize(EXACT):f}\n".encode())
                    for session, name, order_id, *quantities in queue:
                        amounts = " ".join(f"{amount.normalize(EXACT):f}" for amount in quantities)
                        told.update(f"{session} {name!r} {order_id} {amounts}\n".encode())
        return told.hexdigest()


def _ladder(side: Iterable[tuple[Decimal, list[Order]]]) -> Ladder:
    return [
        (price, [(o.session, o.cl_ord_id, o.order_id, o.leaves, o.cum, o.qty) for o in queue])
        for price, queue in side
    ]
