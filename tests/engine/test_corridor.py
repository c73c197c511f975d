"""Nothing trades outside of a corridor, whatever the order, and trades move it as its kind says."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.walk import check, empty_batch, machine_of, text
from fixsim.engine import book as kernels
from fixsim.engine.corridor import move_corridor
from fixsim.engine.machine import Machine
from fixsim.layout import NIL, Corridor
from fixsim.limits import PRICE_TICKS_MAX

BUY, SELL = ord("1"), ord("2")
MARKET, LIMIT = ord("1"), ord("2")
DAY, IOC, FOK = ord("0"), ord("3"), ord("4")


class Venue:
    """One instrument with a corridor, and orders that are numbered."""

    def __init__(self, kind: int, floor: int, ceiling: int, width: int = 0, last: int = 0) -> None:
        self.machine: Machine = machine_of()
        self.book: Any = self.machine.books[0]
        self.book["corridor"], self.book["outer_floor"], self.book["outer_ceiling"] = kind, floor, ceiling
        self.book["width"], self.book["last_price"] = width, last
        move_corridor(self.machine, 0, last)
        self.core: Any = self.machine.core[0]
        self.count = 0

    def enter(self, side: int, price: int, lots: int, tif: int = DAY) -> int:
        """What the kernel returned; a price of 0 is a market order."""
        self.count += 1
        name = b"%d" % self.count
        kind = LIMIT if price else MARKET
        done = kernels.enter(self.machine, 0, 0, side, kind, tif, price, lots, NIL, text(name), 0, len(name))
        empty_batch(self.machine)
        return int(done)

    @property
    def bounds(self) -> tuple[int, int]:
        return int(self.book["floor"]), int(self.book["ceiling"])

    def best(self, side: int) -> int:
        """Best price of a side, 0 for none."""
        level = int(self.machine.sides[side]["best"])
        return 0 if level == NIL else int(self.machine.levels[level]["price"])


def asks(venue: Venue, *prices: int) -> None:
    """One lot for sale at each price."""
    for price in prices:
        assert venue.enter(SELL, price, 1) == kernels.DONE


def test_an_order_trades_up_to_the_last_price_inside_and_is_held_in_front_of_the_next() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    asks(venue, 104, 105, 106)
    assert venue.enter(BUY, 110, 3) == kernels.HELD
    taker = venue.machine.orders[venue.core["taker"]]
    assert (taker["cum"], taker["leaves"], venue.best(1)) == (2, 1, 106)
    assert kernels.is_stopped(venue.machine, venue.core["taker"])


def test_an_order_that_needs_nothing_outside_is_not_held() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    asks(venue, 104, 106)
    assert venue.enter(BUY, 110, 1) == kernels.DONE
    assert venue.enter(BUY, 103, 1) == kernels.DONE
    assert venue.best(0) == 103


def test_a_market_order_meets_the_corridor_too() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    asks(venue, 106)
    assert venue.enter(BUY, 0, 1, IOC) == kernels.HELD


def test_fill_or_kill_that_would_leave_the_corridor_is_cancelled_and_holds_nothing() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    asks(venue, 105, 106)
    assert venue.enter(BUY, 110, 2, FOK) == kernels.DONE
    assert venue.best(1) == 105
    assert venue.enter(BUY, 110, 1, FOK) == kernels.DONE
    assert venue.best(1) == 106


def test_a_corridor_around_the_last_trade_follows_each_fill() -> None:
    venue = Venue(Corridor.LAST, 0, PRICE_TICKS_MAX, width=100, last=10_000)  # one per cent
    assert venue.bounds == (9_900, 10_100)
    asks(venue, 10_090, 10_190, 10_300)
    assert venue.enter(BUY, 11_000, 3) == kernels.HELD  # 10,190 is inside of 1 % around 10,090; 10,300 is not around 10,190
    assert venue.machine.orders[venue.core["taker"]]["cum"] == 2
    assert venue.bounds == (10_190 - 101, 10_190 + 101)


def test_a_moving_corridor_never_leaves_the_outer_bounds() -> None:
    venue = Venue(Corridor.LAST, 9_950, 10_050, width=100, last=10_000)
    assert venue.bounds == (9_950, 10_050)
    asks(venue, 10_050)
    assert venue.enter(BUY, 10_050, 1) == kernels.DONE
    assert venue.bounds == (9_950, 10_050)


def test_a_range_is_bounded_from_its_other_end() -> None:
    venue = Venue(Corridor.RANGE, 0, PRICE_TICKS_MAX, width=5)
    assert venue.bounds == (0, PRICE_TICKS_MAX)  # nothing has traded: nothing to be far from
    asks(venue, 100, 103, 105, 106)
    assert venue.enter(BUY, 110, 4) == kernels.HELD
    assert venue.bounds == (100, 105)
    assert (venue.book["low"], venue.book["high"]) == (100, 105)


def test_a_confined_book_keeps_orders_from_waiting_beyond_its_band() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    venue.book["confined"] = 1
    assert venue.enter(BUY, 107, 4) == kernels.HELD
    slot = int(venue.core["taker"])
    assert kernels.is_stopped(venue.machine, slot)
    kernels.reprice(venue.machine, slot, 105)
    assert kernels.settle(venue.machine, slot) == kernels.DONE
    assert (venue.best(0), venue.core["taker"]) == (105, NIL)
    assert venue.book["alarm"] == venue.core["alarm"] == 1, "the book stands at its band"
    assert venue.enter(SELL, 94, 4) == kernels.DONE, "what is on the other side of the band trades"


def test_an_alarm_is_raised_when_a_book_no_longer_stands_at_its_band() -> None:
    venue = Venue(Corridor.FIXED, 95, 105)
    venue.book["confined"] = 1
    venue.enter(BUY, 105, 4)
    venue.book["alarm"] = venue.core["alarm"] = 0
    venue.enter(SELL, 105, 3)
    assert venue.core["alarm"] == 0
    venue.enter(SELL, 105, 1)
    assert venue.core["alarm"] == 1


def test_a_fall_of_the_index_stops_an_order_between_two_fills() -> None:
    venue = Venue(Corridor.NONE, 0, 0)
    venue.book["weight"], venue.book["counted"] = 2, 100
    venue.core["index"], venue.core["index_alarm"] = 200, 186  # seven per cent
    for price in (96, 93, 90):
        venue.enter(BUY, price, 1)
    assert venue.enter(SELL, 1, 3) == kernels.HELD
    assert (venue.core["alarm"], venue.core["index"]) == (1, 186)
    assert venue.machine.orders[venue.core["taker"]]["cum"] == 2


@pytest.mark.parametrize("kind", [Corridor.FIXED, Corridor.LAST, Corridor.RANGE])
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(90, 112), st.integers(1, 5), st.sampled_from((DAY, DAY, IOC, FOK))), max_size=40
    )
)
@settings(max_examples=60, deadline=None)
def test_no_flow_of_orders_trades_outside(kind: int, steps: list[tuple[bool, int, int, int]]) -> None:
    venue = Venue(kind, 92, 108, width=300 if kind == Corridor.LAST else 4, last=100)
    for buy, price, lots, tif in steps:
        allowed = venue.bounds
        before = int(venue.core["match_id"])
        if venue.enter(BUY if buy else SELL, price, lots, tif) == kernels.HELD:
            # whoever is told of it takes the rest of the order away
            slot = int(venue.core["taker"])
            venue.core["taker"] = NIL
            kernels.cancel_rest(venue.machine, slot, kernels.CANCELED, venue.machine.orders[slot]["name"], NIL, NIL)
            empty_batch(venue.machine)
        if venue.core["match_id"] > before:
            last = int(venue.book["last_price"])
            assert 92 <= last <= 108
            if venue.core["match_id"] == before + 1:
                assert allowed[0] <= last <= allowed[1]
    check(venue.machine)
