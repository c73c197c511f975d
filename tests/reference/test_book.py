"""Price-time priority of the oracle's book, and what hypothesis cannot break in it."""

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fixsim.reference.book import Book, Fill, Order, Side

COUNT = iter(range(1, 1 << 40))


def order(side: str, qty: int, price: str | None) -> Order:
    """A fresh order; its `order_id` is unique and rises."""
    number = next(COUNT)
    return Order(
        session="A",
        order_id=number,
        cl_ord_id=b"%d" % number,
        symbol="AAPL",
        side=side.encode(),
        ord_type=b"1" if price is None else b"2",
        time_in_force=b"0",
        price=None if price is None else Decimal(price),
        qty=Decimal(qty),
        day=0,
    )


def buy(qty: int, price: str | None = None) -> Order:
    return order("1", qty, price)


def sell(qty: int, price: str | None = None) -> Order:
    return order("2", qty, price)


def place(book: Book, *orders: Order) -> list[Fill]:
    """Place the orders; those without a price do not rest."""
    return [fill for one in orders for fill in book.place(one, rests=one.price is not None)]


def queue(side: Side) -> list[tuple[str, list[int]]]:
    return [(str(price), [int(one.leaves) for one in orders]) for price, orders in side]


def test_bids_are_kept_highest_first_and_asks_lowest_first() -> None:
    book = Book()
    place(book, buy(1, "9"), buy(2, "10"), buy(3, "9"), sell(4, "12"), sell(5, "11"))
    assert queue(book.bids) == [("10", [2]), ("9", [1, 3])]
    assert queue(book.asks) == [("11", [5]), ("12", [4])]


def test_equal_prices_share_a_level_however_they_are_written() -> None:
    book = Book()
    place(book, buy(1, "10"), buy(2, "10.00"))
    assert queue(book.bids) == [("10", [1, 2])]


def test_fills_are_seen_as_they_happen() -> None:
    book = Book()
    place(book, sell(5, "10"), sell(5, "11"))
    taker = buy(8, "11")
    seen = [
        (int(fill.qty), str(fill.price), int(taker.leaves), int(fill.maker.leaves)) for fill in book.place(taker, rests=True)
    ]
    assert seen == [(5, "10", 3, 0), (3, "11", 0, 2)]
    assert book.last_trade == (Decimal(11), Decimal(3))


def test_price_that_reaches_nothing_rests() -> None:
    book = Book()
    assert place(book, sell(5, "10"), buy(5, "9.99")) == []
    assert (queue(book.bids), queue(book.asks)) == ([("9.99", [5])], [("10", [5])])


def test_look_ahead_counts_only_what_the_price_reaches() -> None:
    book = Book()
    place(book, sell(5, "10"), sell(5, "11"))
    asked = ((5, "10"), (6, "10"), (10, "11"), (11, "11"))
    assert [book.can_fill(buy(*terms)) for terms in asked] == [True, False, True, False]
    assert book.can_fill(buy(10)) and not book.can_fill(buy(11))


def test_cancel_takes_an_order_out_of_the_middle() -> None:
    book = Book()
    orders = [buy(1, "10"), buy(2, "10"), buy(3, "10")]
    place(book, *orders)
    book.cancel(orders[1], b"4")
    assert queue(book.bids) == [("10", [1, 3])]
    assert (orders[1].leaves, orders[1].status) == (Decimal(0), b"4")


def test_empty_levels_are_removed() -> None:
    book = Book()
    one, other = buy(1, "10"), sell(1, "11")
    place(book, one, other, sell(1, "10"))
    book.cancel(other, b"4")
    assert not book.bids.levels and not book.asks.levels


def test_replace_acts_at_once_and_yields_the_fills_that_follow() -> None:
    book = Book()
    mover = buy(5, "9")
    place(book, mover, sell(3, "10"))
    fills = book.replace(mover, Decimal(10), Decimal(7))
    assert (mover.price, mover.qty, mover.leaves) == (Decimal(10), Decimal(7), Decimal(7))
    assert [int(fill.qty) for fill in fills] == [3]
    assert (queue(book.bids), queue(book.asks)) == ([("10", [4])], [])


# ---------------------------------------------------------------- properties

actions = st.lists(
    st.tuples(
        st.sampled_from(("place", "place", "place", "cancel", "replace")),
        st.sampled_from("12"),
        st.integers(1, 9),
        st.one_of(st.none(), st.integers(95, 105).map(str)),
        st.integers(0, 8),
    ),
    max_size=40,
)


def play(steps: Iterable[tuple[str, str, int, str | None, int]]) -> tuple[Book, list[Order], list[Fill]]:
    """A book after these actions, every order it ever saw, and every fill."""
    book = Book()
    orders: list[Order] = []
    fills: list[Fill] = []
    for verb, side, qty, price, target in steps:
        resting = [one for one in orders if one in book.own(one)]
        if verb == "place" or not resting:
            orders.append(order(side, qty, price))
            fills += place(book, orders[-1])
        elif verb == "cancel":
            book.cancel(resting[target % len(resting)], b"4")
        else:
            fills += list(book.replace(resting[target % len(resting)], Decimal(price or 100), Decimal(qty)))
        assert_sound(book)
    return book, orders, fills


def assert_sound(book: Book) -> None:
    """Uncrossed, sorted, no empty level, and nothing in it that has nothing left."""
    bids, asks = list(book.bids), list(book.asks)
    assert not bids or not asks or bids[0][0] < asks[0][0], "the book is crossed"
    assert [price for price, _ in bids] == sorted((price for price, _ in bids), reverse=True)
    assert [price for price, _ in asks] == sorted(price for price, _ in asks)
    for price, resting in bids + asks:
        assert resting and all(one.leaves > 0 and one.price == price for one in resting)
        assert all(one.qty == one.cum + one.leaves for one in resting)


@given(actions)
def test_book_is_never_crossed_and_quantities_are_conserved(
    steps: list[tuple[str, str, int, str | None, int]],
) -> None:
    _, orders, fills = play(steps)
    for one in orders:
        traded = [fill for fill in fills if one in (fill.taker, fill.maker)]
        assert one.cum == sum(fill.qty for fill in traded)
        assert one.notional == sum(fill.qty * fill.price for fill in traded)
        assert one.cum <= one.qty
    bought = sum(one.cum for one in orders if one.is_buy)
    assert bought == sum(one.cum for one in orders if not one.is_buy)


@given(actions)
def test_no_fill_is_worse_than_either_limit(steps: list[tuple[str, str, int, str | None, int]]) -> None:
    placed_only = [step for step in steps if step[0] == "place"]
    for fill in play(placed_only)[2]:
        for one in (fill.taker, fill.maker):
            if one.price is not None:
                assert fill.price <= one.price if one.is_buy else fill.price >= one.price


@given(actions, st.sampled_from("12"), st.integers(1, 40), st.one_of(st.none(), st.integers(95, 105).map(str)))
def test_look_ahead_says_what_placing_would_do(
    steps: list[tuple[str, str, int, str | None, int]], side: str, qty: int, price: str | None
) -> None:
    book, _, _ = play(steps)
    taker = order(side, qty, price)
    could = book.can_fill(taker)
    place(book, taker)
    assert could == (taker.leaves == 0)


@given(actions, st.integers(1, 30))
def test_the_oldest_of_the_best_price_trades_first(steps: list[tuple[str, str, int, str | None, int]], qty: int) -> None:
    book, _, _ = play(steps)
    line = [one for _, resting in book.asks for one in resting]
    makers = [fill.maker for fill in place(book, buy(qty))]
    assert makers == line[: len(makers)]
    assert all(maker.leaves == 0 for maker in makers[:-1])
