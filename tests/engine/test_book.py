"""The book of the kernels against the book of the oracle: the same orders, the same fills, the same queues.

After every step the whole machine is walked: level sums, counts, links, free lists, ids, and that nothing is lost.
"""

import os
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.walk import check, empty_batch, machine_of, rungs, text
from fixsim.engine import book as kernels
from fixsim.engine import memory
from fixsim.engine.index import find_name
from fixsim.layout import NIL
from fixsim.limits import ORDER_NAMES_MAX, PRICE_TICKS_MAX
from fixsim.reference.book import Book, Order

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
DAY, GTC, IOC, FOK = b"0", b"1", b"3", b"4"
#: A step of a book: what, side, kind, how long, price, quantity, and which of the orders it is about.
PRICES = st.one_of(
    st.integers(98, 102), st.integers(98, 102), st.sampled_from((1, 31, 32, 33, 1023, 1024, 1025, 1 << 20, PRICE_TICKS_MAX))
)


class Step(NamedTuple):
    """One thing that happens to a book."""

    verb: str
    buy: bool
    market: bool
    tif: bytes
    price: int
    lots: int
    target: int
    session: int
    long_id: bool


STEPS = st.builds(
    Step,
    verb=st.sampled_from(("enter", "enter", "enter", "enter", "cancel", "replace", "replace", "expire")),
    buy=st.booleans(),
    market=st.sampled_from((False, False, False, True)),
    tif=st.sampled_from((DAY, DAY, GTC, IOC, FOK)),
    price=PRICES,
    lots=st.integers(1, 12),
    target=st.integers(0, 8),
    session=st.integers(0, 2),
    long_id=st.booleans(),
)


class Twin:
    """One book twice. `orders` are the oracle's by OrderID, `ids` the last ClOrdID of each."""

    def __init__(self, **sizes: int) -> None:
        self.machine = machine_of(**sizes)
        self.book = Book()
        self.orders: dict[int, Order] = {}
        self.count = 0

    def open(self) -> list[Order]:
        return [order for order in self.orders.values() if order.is_open]

    def fresh_id(self, step: Step) -> bytes:
        self.count += 1
        return (b"%d" % self.count).ljust(64 if step.long_id else 1, b"-")

    def slot(self, order: Order) -> int:
        """ORDER row of an order, by its current id."""
        name = order.cl_ord_id
        row = int(find_name(self.machine, int(order.session), text(name), 0, len(name)))
        return NIL if row == NIL else int(self.machine.names[row]["order"])

    # ---- steps

    def happen(self, step: Step) -> None:
        getattr(self, step.verb)(step)
        empty_batch(self.machine)

    def enter(self, step: Step) -> None:
        name, side, tif = self.fresh_id(step), b"1" if step.buy else b"2", step.tif
        kind = b"1" if step.market else b"2"
        price = None if step.market else Decimal(step.price)
        number = len(self.orders) + 1
        order = Order(str(step.session), number, name, "B1", side, kind, tif, price, Decimal(step.lots), 19_724)
        self.orders[number] = order
        if tif != FOK or self.book.can_fill(order):
            list(self.book.place(order, rests=not step.market and tif in (DAY, GTC)))
        if order.is_open and (step.market or tif in (IOC, FOK)):
            order.close(b"4")
        done = kernels.enter(
            self.machine, step.session, 1, side[0], kind[0], tif[0], 0 if step.market else step.price, step.lots, NIL,
            text(name), 0, len(name),
        )  # fmt: skip
        assert done == kernels.DONE

    def cancel(self, step: Step) -> None:
        if open_orders := self.open():
            order = open_orders[step.target % len(open_orders)]
            name = self.fresh_id(step)
            kernels.cancel(self.machine, self.slot(order), NIL, text(name), 0, len(name))
            self.book.cancel(order, b"4")

    def replace(self, step: Step) -> None:
        """A G; a price of 100 stands for the one it has."""
        if open_orders := self.open():
            order = open_orders[step.target % len(open_orders)]
            assert order.price is not None
            price = int(order.price) if step.price == 100 else step.price
            slot, name = self.slot(order), self.fresh_id(step)
            done = kernels.replace(self.machine, slot, price, step.lots, NIL, text(name), 0, len(name))
            assert done == kernels.DONE
            list(self.book.replace(order, Decimal(price), Decimal(step.lots)))
            order.cl_ord_id = name

    def expire(self, step: Step) -> None:
        if open_orders := self.open():
            order = open_orders[step.target % len(open_orders)]
            kernels.expire(self.machine, self.slot(order))
            self.book.cancel(order, b"C")

    # ---- looking

    def check(self) -> None:
        check(self.machine)
        for number, side in ((2, self.book.bids), (3, self.book.asks)):
            assert self.queues(number) == [
                (int(price), [(order.order_id, int(order.leaves)) for order in queue]) for price, queue in side
            ]
        for order in self.orders.values():
            slot = self.slot(order)
            if slot != NIL and int(self.machine.orders[slot]["order_id"]) == order.order_id:
                row = self.machine.orders[slot]
                told = (int(row["leaves"]), int(row["cum"]), int(row["qty"]), int(row["notional"]), int(row["status"]))
                wanted = (order.leaves, order.cum, order.qty, order.notional, order.status[0])
                assert told == wanted, f"order {order.order_id}"
            else:
                assert not order.is_open, "an open order is never forgotten"
        last = self.book.last_trade
        book = self.machine.books[1]
        assert (int(book["last_price"]), int(book["last_lots"])) == ((0, 0) if last is None else last)

    def queues(self, side: int) -> list[tuple[int, list[tuple[int, int]]]]:
        """(price, [(OrderID, leaves)]) of a side, best first."""
        found = []
        for _, row in rungs(self.machine, side)[0]:
            queue, slot = [], int(self.machine.levels[row]["head"])
            while slot != NIL:
                order = self.machine.orders[slot]
                queue.append((int(order["order_id"]), int(order["leaves"])))
                slot = int(order["next"])
            found.append((int(self.machine.levels[row]["price"]), queue))
        return found


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=200)
def test_a_book_is_the_oracle_s_book(steps: list[Step]) -> None:
    twin = Twin()
    for step in steps:
        twin.happen(step)
        twin.check()


@given(st.lists(STEPS, max_size=80))
def test_ids_are_forgotten_in_order_and_their_rows_used_again(steps: list[Step]) -> None:
    twin = Twin(name_memory=5, memory=8)
    for step in steps:
        twin.happen(step)
        twin.check()
    for session in range(3):
        memory.forget_all(twin.machine, session)
    check(twin.machine)
    assert int(twin.machine.core[0]["orders_used"]) == len(twin.open())


def order(twin: Twin, buy: bool, price: int, lots: int, tif: bytes = DAY) -> None:
    """A plain order of session 0."""
    twin.happen(Step("enter", buy, False, tif, price, lots, 0, 0, False))


def test_fill_or_kill_adds_up_levels_and_stops_at_its_price() -> None:
    twin = Twin()
    for price in (100, 101, 5_000):
        order(twin, False, price, 5)
    order(twin, True, 101, 11, FOK)
    assert len(twin.queues(3)) == 3
    order(twin, True, 101, 10, FOK)
    assert twin.queues(3) == [(5_000, [(3, 5)])]
    twin.check()


def test_an_order_replaced_more_often_than_can_be_counted_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order counts its ids in 16 bits; a session may remember many more."""
    most = 600 if PLAIN else ORDER_NAMES_MAX
    if PLAIN:
        monkeypatch.setattr(memory, "ORDER_NAMES_MAX", most)
    count = most + most // 6
    twin = Twin(names=200_000, name_memory=150_000, memory=150_000)
    order(twin, True, 100, 10)
    machine = twin.machine
    for number in range(count):
        name = b"r%d" % number
        kernels.replace(machine, 0, 100 + number % 2, 10, NIL, text(name), 0, len(name))
        empty_batch(machine)
    row = machine.orders[0]
    assert int(row["level"]) != NIL and int(row["names"]) == most
    last = b"r%d" % (count - 1)
    assert int(machine.names[find_name(machine, 0, text(last), 0, len(last))]["order"]) == 0
    kernels.cancel(machine, 0, NIL, text(b"c"), 0, 1)
    empty_batch(machine)
    check(machine)
    memory.forget_all(machine, 0)
    check(machine)
    assert int(machine.core[0]["orders_used"]) == 0


@pytest.mark.parametrize("buy", [True, False])
def test_best_price_is_found_again_however_far_the_next_one_is(buy: bool) -> None:
    twin = Twin()
    prices = [1, 2, 33, 1_025, 32_769, 1 << 30, PRICE_TICKS_MAX]
    for price in prices:
        order(twin, buy, price, 1)
    while twin.open():
        best = twin.queues(2 if buy else 3)[0][0]
        assert best == (max if buy else min)(int(one.price or 0) for one in twin.open())
        side = twin.machine.sides[2 if buy else 3]
        assert int(twin.machine.levels[side["best"]]["price"]) == best
        order(twin, not buy, best, 1)
        twin.check()
