"""The price of an auction, by trying every limit there is: most volume, then least surplus, then pressure, then reference."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from fixsim.reference.book import Book, Order, Side


class Outcome(NamedTuple):
    """What an auction comes to at one price; None where nothing can meet."""

    price: Decimal | None
    buys: Decimal
    sells: Decimal

    @property
    def volume(self) -> Decimal:
        return min(self.buys, self.sells)

    @property
    def surplus(self) -> Decimal:
        return self.buys - self.sells


def outcome(book: Book, reference: Decimal | None) -> Outcome:
    """What an auction of `book` comes to; `reference` is the reference price, None for none."""
    prices = sorted({order.price for order in (*_orders(book.bids), *_orders(book.asks)) if order.price is not None})
    tried = [at_price(book, price) for price in prices]
    if not tried and reference is not None:
        tried = [at_price(book, reference)]
    nothing = Outcome(None, *(_sum(order for order in _orders(side) if order.price is None) for side in (book.bids, book.asks)))
    volume = max((trial.volume for trial in tried), default=Decimal(0))
    if not volume:
        return nothing
    best = [trial for trial in tried if trial.volume == volume]
    least = min(abs(trial.surplus) for trial in best)
    best = [trial for trial in best if abs(trial.surplus) == least]
    if all(trial.surplus > 0 for trial in best):
        return best[-1]
    if all(trial.surplus < 0 for trial in best):
        return best[0]
    if reference is None:
        return best[-1]
    return min(reversed(best), key=lambda trial: abs(_price(trial) - reference))


def at_price(book: Book, price: Decimal) -> Outcome:
    """What would buy and what would sell at `price`."""
    buys = _sum(order for order in _orders(book.bids) if order.price is None or order.price >= price)
    sells = _sum(order for order in _orders(book.asks) if order.price is None or order.price <= price)
    return Outcome(price, buys, sells)


def _price(trial: Outcome) -> Decimal:
    assert trial.price is not None
    return trial.price


def _orders(side: Side) -> Iterable[Order]:
    return (order for _, queue in side for order in queue)


def _sum(orders: Iterable[Order]) -> Decimal:
    return sum((order.leaves for order in orders), Decimal(0))
