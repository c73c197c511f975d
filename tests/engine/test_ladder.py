"""The ladder against a sorted list, with keys chosen to be awkward: neighbours across borders of nodes, and far apart."""

from bisect import bisect_left, insort

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.walk import machine_of, rungs
from fixsim.engine.ladder import HEIGHT_MAX, ladder_find, ladder_first_from, ladder_insert, ladder_remove, lowest_bit, price_key
from fixsim.layout import LADDER_BITS, LADDER_FAN, NIL
from fixsim.limits import PRICE_TICKS_MAX

SIDE = 1
#: Keys just before and behind the places where a ladder of some height ends.
BORDERS = st.builds(
    lambda height, times, away: min(PRICE_TICKS_MAX, max(0, (times << LADDER_BITS * height) + away)),
    height=st.integers(0, HEIGHT_MAX),
    times=st.integers(0, LADDER_FAN),
    away=st.integers(-2, 2),
)
KEYS = st.one_of(BORDERS, st.integers(0, PRICE_TICKS_MAX), st.integers(0, 100), st.sampled_from((0, PRICE_TICKS_MAX)))


class Twin:
    """A ladder and a sorted list of the same keys; LEVEL rows are just numbers here."""

    def __init__(self) -> None:
        self.machine = machine_of()
        self.keys: list[int] = []
        self.level_of: dict[int, int] = {}
        self.given = 0

    def insert(self, key: int) -> None:
        if key in self.level_of:
            return
        nodes = int(self.machine.core[0]["nodes_used"])
        self.given += 1
        self.level_of[key] = self.given
        insort(self.keys, key)
        ladder_insert(self.machine, SIDE, key, self.given)
        assert int(self.machine.core[0]["nodes_used"]) - nodes <= 2 * HEIGHT_MAX, "callers make sure of that many nodes"

    def remove(self, number: int) -> None:
        if self.keys:
            key = self.keys.pop(number % len(self.keys))
            del self.level_of[key]
            ladder_remove(self.machine, SIDE, key)

    def ask(self, key: int) -> None:
        assert ladder_find(self.machine, SIDE, key) == self.level_of.get(key, NIL)
        at = bisect_left(self.keys, key)
        behind = self.level_of[self.keys[at]] if at < len(self.keys) else NIL
        assert ladder_first_from(self.machine, SIDE, key) == behind

    def check(self) -> None:
        found, nodes = rungs(self.machine, SIDE)
        assert found == [(key, self.level_of[key]) for key in self.keys]
        assert len(nodes) == int(self.machine.core[0]["nodes_used"]), "no node is lost"


@given(st.lists(st.tuples(st.sampled_from(("insert", "insert", "remove", "ask")), KEYS), max_size=60))
def test_a_ladder_is_a_sorted_list(steps: list[tuple[str, int]]) -> None:
    twin = Twin()
    for verb, key in steps:
        getattr(twin, verb)(key)
        for near in (key - 1, key, key + 1):
            if 0 <= near <= PRICE_TICKS_MAX:
                twin.ask(near)
        twin.check()
    while twin.keys:
        twin.remove(0)
        twin.check()
    assert int(twin.machine.core[0]["nodes_used"]) == 0


@pytest.mark.parametrize("order", ["up", "down", "inside out"])
def test_all_keys_of_a_stretch_come_back_in_order(order: str) -> None:
    keys = list(range(1_000, 1_200))
    arranged = {"up": keys, "down": keys[::-1], "inside out": sorted(keys, key=lambda key: abs(key - 1_100))}[order]
    twin = Twin()
    for key in arranged:
        twin.insert(key)
    twin.check()
    for key in range(990, 1_210):
        twin.ask(key)


def test_a_lone_key_far_away_costs_one_path_and_gives_it_back() -> None:
    twin = Twin()
    twin.insert(0)
    assert int(twin.machine.core[0]["nodes_used"]) == 1
    twin.insert(PRICE_TICKS_MAX)
    assert int(twin.machine.core[0]["nodes_used"]) == 2 * HEIGHT_MAX - 1
    twin.remove(1)
    assert int(twin.machine.core[0]["nodes_used"]) == HEIGHT_MAX, "the path of what is left stays"
    twin.ask(0)
    twin.remove(0)
    assert int(twin.machine.core[0]["nodes_used"]) == 0


@pytest.mark.parametrize("side", [0, 1])
@given(price=st.integers(0, PRICE_TICKS_MAX), other=st.integers(0, PRICE_TICKS_MAX))
def test_the_better_price_has_the_lower_key(side: int, price: int, other: int) -> None:
    better = price < other if side else price > other
    assert (price_key(side, price) < price_key(side, other)) == better
    assert price_key(side, price_key(side, price)) == price


@given(st.integers(1, (1 << LADDER_FAN) - 1))
def test_the_lowest_bit_is_found(bits: int) -> None:
    assert lowest_bit(bits) == (bits & -bits).bit_length() - 1
