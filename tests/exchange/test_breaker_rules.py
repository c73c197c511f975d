"""Profiles in numbers: where corridors and bands lie, in ticks. The bands are those of the Limit Up-Limit Down plan."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.stage import small_config
from fixsim.config import Config
from fixsim.config.breakers import PROFILES, Breaker
from fixsim.config.reader import from_tables
from fixsim.engine.machine import new_machine
from fixsim.errors import ConfigError
from fixsim.exchange.capacity import sizes
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.rule import Mean, Rule
from fixsim.limits import PRICE_TICKS_MAX


def listing_at(price: str, tick: str = "0.01") -> Listing:
    """An instrument that begins at `price`."""
    config = small_config("strict")
    instrument = replace(config.instruments[0], tick_size=Decimal(tick), reference_price=Decimal(price))
    config = replace(config, instruments=(instrument,))
    return Listings(config, new_machine(sizes(config))).by_symbol[instrument.symbol.encode()]


def band(profile: str, price: str, *, late: bool = False) -> tuple[str, str]:
    """Lower and upper band of a stock that begins at `price`, as money."""
    listing = listing_at(price)
    begin = listing.instrument.reference_price_ticks
    assert begin is not None
    low, high = Rule(PROFILES[profile], listing).band(Mean(begin, 1), late)
    return f"{low / 100:.2f}", f"{high / 100:.2f}"


@pytest.mark.parametrize(
    ("profile", "price", "late", "bounds"),
    [
        ("luld-tier-1", "100.00", False, ("95.00", "105.00")),
        ("luld-tier-1", "3.01", False, ("2.86", "3.16")),  # 5 % of 3.01 is 15.05 cents, to the nearest cent
        ("luld-tier-1", "3.00", False, ("2.40", "3.60")),
        ("luld-tier-1", "0.75", False, ("0.60", "0.90")),
        ("luld-tier-1", "0.74", False, ("0.59", "0.89")),  # the lesser of 15 cents and 75 %
        ("luld-tier-1", "0.10", False, ("0.03", "0.18")),  # 75 % of ten cents: 2.5 and 17.5 cents, halves up
        ("luld-tier-2", "100.00", False, ("90.00", "110.00")),
        ("luld-tier-1", "100.00", True, ("90.00", "110.00")),
        ("luld-tier-2", "100.00", True, ("90.00", "110.00")),  # no longer doubled above 3.00
        ("luld-tier-2", "2.00", True, ("1.20", "2.80")),
    ],
)
def test_bands_are_those_of_the_plan(profile: str, price: str, late: bool, bounds: tuple[str, str]) -> None:
    assert band(profile, price, late=late) == bounds


def test_a_band_is_put_around_an_exact_mean() -> None:
    rule = Rule(PROFILES["luld-tier-1"], listing_at("10.00"))
    assert rule.band(Mean(1_000 + 1_001 + 1_001, 3), False) == (951, 1_051)  # 1000.67 ticks: 950.63 and 1050.7


@pytest.mark.parametrize(
    ("mean", "moves"), [(Mean(10_099, 1), False), (Mean(10_100, 1), True), (Mean(9_900, 1), True), (Mean(29_701, 3), False)]
)
def test_a_mean_replaces_the_reference_from_one_per_cent_on(mean: Mean, moves: bool) -> None:
    assert mean.differs(Mean(10_000, 1), 100) is moves


def test_a_static_corridor_lies_around_its_reference_and_is_never_wider_than_asked_for() -> None:
    rule = Rule(Breaker("test", static_bps=333), listing_at("100.00"))
    assert rule.around(10_001) == (10_001 - 333, 10_001 + 333)
    assert Rule(PROFILES["velocity-logic"], listing_at("100.00")).around(10_000) == (0, PRICE_TICKS_MAX)


def tables(**changes: Any) -> dict[str, Any]:
    """A configuration with one instrument that has a breaker."""
    instrument = {"symbol": "AAPL", "tick_size": "0.01", "lot_size": 1, "reference_price": "187.25", "breaker": "mine"}
    mine = {"name": "mine", "dynamic_bps": 100}
    return {"instruments": [instrument], "counterparties": [{"sender_comp_id": "*"}], "breakers": [mine]} | changes


def faults(**changes: Any) -> list[str]:
    """Every fault of such a configuration: key and reason."""
    with pytest.raises(ConfigError) as caught:
        from_tables(tables(**changes), "test.toml")
    return [f"{fault.key} {fault.reason}" for fault in caught.value.faults]


def test_a_breaker_may_be_like_a_ready_made_one() -> None:
    config = from_tables(tables(breakers=[{"name": "mine", "like": "luld-tier-2", "call_s": 60}]), "test.toml")
    breaker = config.breaker_for(config.instruments[0])
    assert breaker == replace(PROFILES["luld-tier-2"], name="mine", call_s=60)
    assert Config.from_normalised(config.normalised()) == config


def test_every_mistake_of_a_breaker_is_told_at_once() -> None:
    instruments = [
        {"symbol": "A", "tick_size": "0.01", "lot_size": 1, "reference_price": 1, "breaker": "yours"},
        {"symbol": "B", "tick_size": "0.01", "lot_size": 1, "breaker": "luld-tier-1"},
    ]
    constituents = [{"symbol": "A"}, {"symbol": "C"}, {"symbol": "A"}]
    market = {"constituents": constituents, "levels": [{"decline_bps": 2}, {"decline_bps": 1}]}
    found = faults(
        instruments=instruments,
        breakers=[{"name": "mine"}, {"name": "mine", "dynamic_bps": 1, "range_bps": 1}],
        market_breaker=market,
    )
    assert [line.split()[0] for line in found] == [
        "breakers[0]", "breakers[1]", "market_breaker.levels", "breakers[1].name", "instruments[0].breaker",
        "instruments[1].reference_price", "market_breaker.constituents[2].symbol", "market_breaker.constituents[1].symbol",
    ]  # fmt: skip


def test_what_a_breaker_cannot_be_like_is_a_fault() -> None:
    found = faults(breakers=[{"name": "mine", "like": "xetra"}])
    assert found[0].startswith("breakers[0].like is 'xetra', expected one of luld-tier-1")


def test_bands_must_ascend() -> None:
    bands = [{"above": 3, "width_bps": 500}, {"above": 0, "width_bps": 2_000}]
    assert faults(breakers=[{"name": "mine", "bands": bands}]) == ["breakers[0].bands are not in ascending order of above"]


def test_an_index_that_could_leave_its_numbers_is_a_fault() -> None:
    fine = {"symbol": "FINE", "tick_size": "0.00001", "lot_size": 1, "reference_price": 1}
    constituents = [{"symbol": "AAPL", "weight": 1_000_000}, {"symbol": "FINE"}]
    found = faults(instruments=[*tables()["instruments"], fine], market_breaker={"constituents": constituents})
    assert found == ["market_breaker.constituents are too heavy: with every price at its highest the index is beyond 2^62"]


def test_ticks_of_different_size_count_in_the_index_as_the_money_they_are() -> None:
    instruments = [
        {"symbol": "A", "tick_size": "0.01", "lot_size": 1, "reference_price": 1},
        {"symbol": "B", "tick_size": "0.5", "lot_size": 1, "reference_price": 1},
    ]
    market = {"constituents": [{"symbol": "A", "weight": 3}, {"symbol": "B"}]}
    config = from_tables(tables(instruments=instruments, market_breaker=market), "test.toml")
    assert config.index_weights() == {"A": 3, "B": 50}
