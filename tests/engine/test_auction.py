"""The price of an auction: published examples, and the kernel against the oracle, which tries every limit."""

import os
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.walk import check, empty_batch, machine_of, text
from fixsim.engine.auction import call_price, uncross
from fixsim.engine.book import enter
from fixsim.layout import NIL, Phase
from fixsim.limits import PRICE_TICKS_MAX
from fixsim.reference.auction import outcome
from fixsim.reference.book import Book, Order

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
#: (price, lots) of each order, oldest first; price 0 is a market order.
Side = tuple[tuple[int, int], ...]


class Example(NamedTuple):
    """A book, the reference price (0 for none), and what is published: price, executable volume, surplus (sellers negative)."""

    bids: Side
    asks: Side
    reference: int
    price: int
    volume: int
    surplus: int


#: Deutsche Boerse, Xetra Market Model Equities, "Rules for Price Determination in Auctions", examples 1 to 7.
XETRA = {
    "1 one limit has the highest volume and the lowest surplus":
        Example(((202, 200), (201, 200), (200, 300)), ((200, 100), (198, 200), (197, 400)), 0, 200, 700, 0),
    "2 several limits, a surplus on the bid: the highest":
        Example(((202, 400), (201, 200)), ((199, 300), (198, 200)), 0, 201, 500, 100),
    "3 several limits, a surplus on the ask: the lowest":
        Example(((202, 300), (201, 200)), ((199, 400), (198, 200)), 0, 199, 500, -100),
    "4 surplus on either side, reference 199":
        Example(((0, 100), (199, 100)), ((0, 100), (202, 100)), 199, 199, 100, 100),
    "4 surplus on either side, reference 200":
        Example(((0, 100), (199, 100)), ((0, 100), (202, 100)), 200, 199, 100, 100),
    "5 no surplus, reference 200":
        Example(((202, 300), (201, 200)), ((199, 300), (198, 200)), 200, 201, 500, 0),
    "5 no surplus, reference 202":
        Example(((202, 300), (201, 200)), ((199, 300), (198, 200)), 202, 201, 500, 0),
    "5 no surplus, reference 198":
        Example(((202, 300), (201, 200)), ((199, 300), (198, 200)), 198, 199, 500, 0),
    "6 only market orders":
        Example(((0, 900),), ((0, 800),), 250, 250, 800, 100),
    "7 nothing can meet":
        Example(((200, 80), (199, 80)), ((201, 80),), 200, 0, 0, 0),
    "surplus on the ask with market orders on both sides":
        Example(((0, 250), (199, 150), (0, 50)), ((0, 300), (198, 200)), 0, 198, 450, -50),
}  # fmt: skip
#: Binance DEX, "Match Steps and Examples" (docs of BNB Chain), examples 1 to 4.
BINANCE = {
    "1 largest execution": Example(((100, 150), (98, 150)), ((97, 50), (98, 250)), 0, 98, 300, 0),
    "2 largest execution": Example(((100, 150), (99, 50), (97, 300)), ((96, 100), (97, 200)), 0, 97, 300, 200),
    "3 least surplus": Example(
        ((102, 300), (100, 100), (99, 200), (98, 300)), ((96, 1000), (97, 250), (98, 250)), 0, 96, 900, -100
    ),
    "4 least surplus": Example(
        ((102, 30), (101, 10), (99, 50), (96, 15)), ((95, 50), (97, 50), (98, 10)), 0, 97, 90, -10
    ),
    "5.1 sellers left over": Example(((102, 10), (97, 10)), ((95, 50),), 80, 95, 20, -30),
}  # fmt: skip
#: Comerton-Forde and Rydge, "Call auction algorithm design", appendix: ASX's four steps for one book, in cents.
ASX = {
    "buyers left over": Example(
        ((640, 500), (639, 500), (639, 500), (634, 1000), (633, 500)),
        ((610, 1000), (640, 500), (641, 520), (642, 550), (643, 519)), 0, 639, 1000, 500,
    )
}  # fmt: skip
#: MarketGrid, "Single-Price Auction", the book of its example, in hundreds.
MARKET_GRID = {
    "most volume": Example(
        ((130, 45), (129, 95), (128, 25), (127, 35), (126, 25), (125, 55), (124, 200), (123, 80), (122, 60)),
        ((131, 35), (130, 50), (129, 10), (128, 15), (127, 10), (126, 20), (125, 90), (124, 155), (123, 125), (122, 10)),
        0, 124, 290, 190,
    )
}  # fmt: skip
EXAMPLES = [
    pytest.param(found, id=f"{source}: {name}")
    for source, examples in (("Xetra", XETRA), ("Binance", BINANCE), ("ASX", ASX), ("MarketGrid", MARKET_GRID))
    for name, found in examples.items()
]


def called(bids: Side, asks: Side) -> Any:
    """A machine whose first book is in a call, with these orders."""
    machine = machine_of()
    machine.books[0]["phase"] = Phase.OPENING_AUCTION
    for count, (side, price, lots) in enumerate([(0x31, *order) for order in bids] + [(0x32, *order) for order in asks]):
        name = b"%d" % count
        empty_batch(machine)
        enter(machine, 0, 0, side, 0x32 if price else 0x31, 0x30, price, lots, NIL, text(name), 0, len(name))
    empty_batch(machine)
    return machine


def drawn(bids: Side, asks: Side) -> Book:
    """The same book, as the oracle draws it."""
    book = Book()
    for count, (side, price, lots) in enumerate([(b"1", *order) for order in bids] + [(b"2", *order) for order in asks], 1):
        limit = Decimal(price) if price else None
        kind = b"2" if price else b"1"
        order = Order("0", count, b"%d" % count, "A", side, kind, b"0", limit, Decimal(lots), 0)
        book.own(order).add(order)
    return book


@pytest.mark.parametrize("found", EXAMPLES)
def test_a_published_example_comes_to_what_is_published(found: Example) -> None:
    price, buys, sells = map(int, call_price(called(found.bids, found.asks), 0, found.reference))
    assert price == found.price
    if price:
        assert (min(buys, sells), buys - sells) == (found.volume, found.surplus)
    told = outcome(drawn(found.bids, found.asks), Decimal(found.reference) if found.reference else None)
    assert told.price == (found.price or None)
    if told.price is not None:
        assert (told.volume, told.surplus) == (found.volume, found.surplus)


SIDE = st.lists(st.tuples(st.one_of(st.integers(0, 6), st.integers(90, 110)), st.integers(1, 5)), max_size=7).map(tuple)


@given(SIDE, SIDE, st.sampled_from((0, 1, 3, 95, 100, 105)))
@example(((PRICE_TICKS_MAX - 1, 1),), ((1, 1),), 0)
@example(((5, 2), (0, 3)), ((0, 1),), 0)
@settings(max_examples=60 if PLAIN else 600)
def test_the_kernel_finds_what_trying_every_limit_finds(bids: Side, asks: Side, reference: int) -> None:
    machine = called(bids, asks)
    price, buys, sells = map(int, call_price(machine, 0, reference))
    told = outcome(drawn(bids, asks), Decimal(reference) if reference else None)
    assert (price or None, buys, sells) == (told.price, told.buys, told.sells)
    if price:
        assert uncross(machine, 0, price) == 0
        check(machine)
        left, bid, ask = map(int, call_price(machine, 0, reference))
        assert left == 0 or min(bid, ask) == 0, "what could meet has met"
