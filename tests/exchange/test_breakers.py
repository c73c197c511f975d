"""What a client lives through when a breaker acts: every message, in order, on a clock that the test moves."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.stage import Field, Said, Stage, rehearsed, small_config
from fixsim.config import Config, Instrument, Limits
from fixsim.config.breakers import PROFILES, Breaker, MarketBreaker
from fixsim.exchange.breakers import STATES
from fixsim.exchange.digest import state_digest
from fixsim.exchange.names import NAMES
from fixsim.exchange.payloads import config_payload

SECOND_NS = 1_000_000_000
BUY, SELL = b"1", b"2"
NOON = b"20240102-10:00:00"


class Day:
    """Two sessions on instruments that begin at 100.00."""

    def __init__(
        self,
        breaker: Breaker | str | None,
        symbols: tuple[str, ...] = ("AAA",),
        market: MarketBreaker | None = None,
        limits: tuple[Limits, ...] = (),
        opened: Callable[[Config], Stage] = Stage,
    ) -> None:
        name = breaker.name if isinstance(breaker, Breaker) else breaker
        instruments = tuple(
            Instrument(
                symbol, Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000), reference_price=Decimal(100), breaker=name
            )
            for symbol in symbols
        )
        breakers = (breaker,) if isinstance(breaker, Breaker) else ()
        config = replace(small_config(), instruments=instruments, breakers=breakers, market_breaker=market, limits=limits)
        self.stage = opened(config)
        self.stage.log_on("MAKER", "TAKER")
        self.count = 0

    @property
    def exchange(self) -> Any:
        return self.stage.exchange

    def order(
        self, session: str, side: bytes, price: str | None, qty: int, tif: bytes = b"0", symbol: str = "AAA"
    ) -> list[str]:
        """What one order caused, a line for each report."""
        self.count += 1
        self.stage.now_ns += 1_000_000
        fields: list[Field] = [
            (35, b"D"), (11, b"%d" % self.count), (55, symbol.encode()), (54, side), (60, NOON), (38, b"%d" % qty),
            (40, b"2" if price else b"1"), (59, tif),
        ]  # fmt: skip
        if price:
            fields.append((44, price.encode()))
        return lines(self.stage.say(session, fields))

    def asks(self, *prices: str, symbol: str = "AAA") -> None:
        for price in prices:
            self.order("MAKER", SELL, price, 10, symbol=symbol)

    def bids(self, *prices: str, symbol: str = "AAA") -> None:
        for price in prices:
            self.order("MAKER", BUY, price, 10, symbol=symbol)

    def wait(self, seconds: float) -> list[str]:
        """Everything that is said while time passes; what is due is done when it is."""
        end_ns = self.stage.now_ns + int(seconds * SECOND_NS)
        said: list[Said] = []
        while self.exchange.next_deadline_ns() <= end_ns:
            self.stage.now_ns = max(self.stage.now_ns, self.exchange.next_deadline_ns())
            said += self.stage.tick(self.stage.now_ns)
        self.stage.now_ns = end_ns
        return lines(said)

    def row(self, symbol: str = "AAA") -> Any:
        return self.exchange.machine.books[self.exchange.listings.by_symbol[symbol.encode()].book]

    def phase(self, symbol: str = "AAA") -> str:
        return NAMES[int(self.row(symbol)["phase"])]

    @property
    def state(self) -> str:
        return STATES[int(self.row()["state"])]

    @property
    def bounds(self) -> tuple[str, str]:
        return f"{self.row()['floor'] / 100:.2f}", f"{self.row()['ceiling'] / 100:.2f}"

    def replayed(self) -> None:
        """A fresh exchange that is given the same records is the same exchange."""
        assert state_digest(rehearsed(self.stage.writer.batches)) == state_digest(self.exchange)


def lines(said: list[Said]) -> list[str]:
    """`TAKER 1 F 39=1 14=10 ...`: who is told what of which order."""
    found = []
    for session, fields in said:
        values = dict(fields)
        if values[35] != b"8":
            continue
        parts = [f"{tag}={values[tag].decode()}" for tag in (39, 14, 151, 44, 31, 378) if tag in values]
        found.append(" ".join([session, values[11].decode(), values[150].decode(), *parts]))
    return found


def happened(said: list[str]) -> list[str]:
    """Who was told that what happened to which order."""
    return [line.split(" 39=")[0] for line in said]


CORRIDOR = Breaker("corridor", static_bps=1_000, dynamic_bps=200, call_s=120, extended_bps=2_000)


# ---------------------------------------------------------------- volatility interruption


def test_an_order_executes_up_to_the_last_price_inside_and_its_rest_takes_part_in_the_call() -> None:
    day = Day(CORRIDOR)
    day.asks("101.00", "102.00", "105.00")
    said = day.order("TAKER", BUY, "106.00", 25)
    assert said == [
        "TAKER 4 0 39=0 14=0 151=25 44=106.00",
        "TAKER 4 F 39=1 14=10 151=15 44=106.00 31=101.00",
        "MAKER 1 F 39=2 14=10 151=0 44=101.00 31=101.00",
        "TAKER 4 F 39=1 14=20 151=5 44=106.00 31=102.00",
        "MAKER 2 F 39=2 14=10 151=0 44=102.00 31=102.00",
    ]
    assert (day.phase(), day.state) == ("volatility-auction", "calling")
    held = day.order("MAKER", SELL, "105.00", 10)
    assert held == ["MAKER 5 0 39=0 14=0 151=10 44=105.00"], "a call takes orders and holds them"
    assert day.wait(119) == []
    assert day.wait(2) == [
        "TAKER 4 F 39=2 14=25 151=0 44=106.00 31=105.00",
        "MAKER 3 F 39=1 14=5 151=5 44=105.00 31=105.00",
    ]
    assert (day.phase(), day.state, day.bounds) == ("continuous", "quiet", ("102.90", "107.10"))
    day.replayed()


def test_without_an_order_outside_nothing_is_interrupted() -> None:
    day = Day(CORRIDOR)
    day.asks("101.00", "102.99", "105.00")
    day.order("TAKER", BUY, "102.99", 20)
    assert (day.phase(), day.state) == ("continuous", "quiet")


@pytest.mark.parametrize(("tif", "filled"), [(b"3", 1), (b"4", 0)])
def test_what_may_not_wait_is_cancelled_and_fill_or_kill_interrupts_nothing(tif: bytes, filled: int) -> None:
    day = Day(CORRIDOR)
    day.asks("101.00", "105.00")
    said = day.order("TAKER", BUY, "105.00", 20, tif)
    assert said[0].startswith("TAKER 3 0") and said[-1].startswith("TAKER 3 4 39=4")
    assert sum(" F " in line for line in said) == 2 * filled
    assert day.phase() == ("volatility-auction" if filled else "continuous")


def test_a_call_does_not_take_a_market_order_beyond_its_protection() -> None:
    day = Day(CORRIDOR, limits=(Limits("session", "TAKER", protection_bps=300),))
    day.asks("101.50", "103.60")
    said = day.order("TAKER", BUY, None, 25)
    assert said[1:] == [
        "TAKER 3 F 39=1 14=10 151=15 31=101.50",
        "MAKER 1 F 39=2 14=10 151=0 44=101.50 31=101.50",
        "TAKER 3 4 39=4 14=10 151=0",
    ]
    assert day.phase() == "volatility-auction"
    day.asks("105.00")
    assert day.wait(121) == [], "nobody is left who would buy"
    day.replayed()


def test_a_market_order_for_the_close_has_no_protection_to_lose() -> None:
    day = Day(CORRIDOR, limits=(Limits("session", "TAKER", protection_bps=300),))
    day.asks("101.50")
    day.order("TAKER", BUY, None, 5, b"7")
    assert not day.exchange.machine.orders["guarded"].any()
    day.replayed()


def test_a_call_whose_price_is_too_far_goes_on_until_somebody_ends_it() -> None:
    day = Day(CORRIDOR)
    day.asks("125.00")
    day.order("TAKER", BUY, "130.00", 10)
    assert day.wait(125) == []
    assert (day.phase(), day.state) == ("volatility-auction", "extended")
    assert day.wait(3_600) == []
    said = lines(day.stage.commanded("phase", symbol="AAA", phase="end")[1])
    assert happened(said) == ["TAKER 2 F", "MAKER 1 F"]
    assert (day.phase(), day.state) == ("continuous", "quiet")
    day.replayed()


def test_an_extended_call_ends_by_itself_once_nothing_can_trade() -> None:
    day = Day(CORRIDOR)
    day.asks("125.00")
    day.order("TAKER", BUY, "130.00", 10)
    day.wait(125)
    day.stage.say("MAKER", [(35, b"F"), (41, b"1"), (11, b"C1"), (55, b"AAA"), (54, SELL), (60, NOON), (38, b"10")])
    assert day.wait(6) == []
    assert (day.phase(), day.state) == ("continuous", "quiet")


# ---------------------------------------------------------------- price monitoring


def test_price_monitoring_prolongs_a_call_twice_at_most() -> None:
    day = Day("price-monitoring")
    day.asks("120.00")
    day.order("TAKER", BUY, "120.00", 10)
    assert day.wait(331) == []
    assert day.phase() == "volatility-auction", "the first extension of five minutes"
    assert day.wait(300) == []
    assert day.phase() == "volatility-auction", "the second and last"
    assert len(day.wait(300)) == 2
    assert day.phase() == "continuous"


def test_market_orders_that_would_be_left_prolong_a_call_once() -> None:
    day = Day("price-monitoring")
    day.asks("106.00")
    day.order("TAKER", BUY, None, 30)
    assert day.phase() == "volatility-auction"
    assert day.wait(331) == []
    said = day.wait(300)
    assert happened(said) == ["TAKER 2 F", "MAKER 1 F", "TAKER 2 C"]


# ---------------------------------------------------------------- velocity


def test_a_price_that_runs_too_fast_pauses_for_five_seconds_and_a_slow_one_does_not() -> None:
    day = Day("velocity-logic")
    day.asks("100.00", "101.00", "102.00", "103.00")
    day.order("TAKER", BUY, "101.00", 20)
    assert day.phase() == "continuous"
    day.wait(2)
    day.order("TAKER", BUY, "102.00", 10)
    assert day.phase() == "continuous", "what was traded two seconds ago is forgotten"
    day.order("TAKER", BUY, "103.00", 10)
    assert day.phase() == "continuous", "one per cent of the static reference within the second"
    day.asks("104.00")
    day.order("TAKER", BUY, "104.00", 10)
    assert day.phase() == "volatility-auction"
    assert len(day.wait(5.1)) == 2
    assert day.phase() == "continuous"
    day.replayed()


# ---------------------------------------------------------------- limit up, limit down


def test_an_order_beyond_the_band_is_repriced_to_it_and_fifteen_seconds_later_the_instrument_is_paused() -> None:
    day = Day("luld-tier-1")
    assert day.bounds == ("95.00", "105.00")
    day.asks("104.00", "106.00")
    assert day.order("TAKER", BUY, "107.00", 15) == [
        "TAKER 3 0 39=0 14=0 151=15 44=107.00",
        "TAKER 3 F 39=1 14=10 151=5 44=107.00 31=104.00",
        "MAKER 1 F 39=2 14=10 151=0 44=104.00 31=104.00",
        "TAKER 3 D 39=1 14=10 151=5 44=105.00 378=3",
    ]
    assert (day.phase(), day.state) == ("continuous", "at-limit")
    assert day.wait(14.9) == []
    assert day.phase() == "continuous"
    day.wait(0.2)
    assert (day.phase(), day.state) == ("volatility-auction", "calling")
    day.wait(300)
    assert (day.phase(), day.state) == ("continuous", "at-limit"), "nobody has sold: the bid still stands there"
    day.replayed()


def test_a_limit_state_that_is_left_in_time_pauses_nothing() -> None:
    day = Day("luld-tier-1")
    day.bids("105.00")
    assert day.state == "at-limit"
    day.wait(14)
    day.order("TAKER", SELL, "105.00", 10)
    assert day.state == "quiet"
    day.bids("105.00")
    day.wait(14)
    assert (day.phase(), day.state) == ("continuous", "at-limit"), "the fifteen seconds begin anew"
    day.wait(2)
    assert day.phase() == "volatility-auction"


def test_a_mass_cancel_leaves_a_limit_state_as_a_cancel_does() -> None:
    day = Day("luld-tier-1")
    day.bids("105.00")
    assert day.state == "at-limit"
    day.stage.say("MAKER", [(35, b"q"), (11, b"Q"), (530, b"7"), (60, NOON)])
    assert day.state == "quiet"
    day.wait(20)
    assert (day.phase(), day.state) == ("continuous", "quiet"), "nothing stands at the band: nothing is paused"
    day.replayed()


def test_bands_follow_the_mean_of_five_minutes_from_one_per_cent_on() -> None:
    day = Day("luld-tier-1")
    day.asks("100.50")
    day.order("TAKER", BUY, "100.50", 10)
    day.wait(30)
    assert day.bounds == ("95.00", "105.00"), "half a per cent is not enough"
    for _ in range(3):
        day.asks("102.00")
        day.order("TAKER", BUY, "102.00", 10)
    day.wait(30)
    assert day.bounds == ("96.54", "106.71"), "mean 101.625"
    day.replayed()


def test_orders_that_a_band_leaves_behind_go_with_it() -> None:
    day = Day("luld-tier-1")
    day.asks("96.00")
    day.order("TAKER", BUY, "96.00", 10)
    day.bids("104.00", "104.90")
    assert day.wait(30) == [
        "MAKER 4 D 39=0 14=0 151=10 44=100.80 378=3",
        "MAKER 3 D 39=0 14=0 151=10 44=100.80 378=3",
    ]
    assert (day.bounds, day.state) == (("91.20", "100.80"), "at-limit")
    day.replayed()


def test_the_first_price_after_a_pause_must_be_within_a_collar_that_widens() -> None:
    day = Day("luld-tier-1")
    day.bids("105.00")
    day.wait(15.1)
    assert day.phase() == "volatility-auction"
    day.order("TAKER", BUY, "112.00", 10)
    day.asks("112.00")  # 6.7 % beyond the band: more than five, less than ten
    assert day.wait(300) == []
    assert day.phase() == "volatility-auction"
    assert len(day.wait(300)) == 2
    assert day.phase() == "continuous"
    assert day.bounds == ("106.40", "117.60")


def test_what_a_call_leaves_beyond_the_band_is_repriced_when_trading_goes_on() -> None:
    day = Day("luld-tier-1")
    day.bids("105.00")
    day.wait(15.1)
    day.order("TAKER", BUY, "112.00", 10)
    assert day.wait(300) == ["TAKER 2 D 39=0 14=0 151=10 44=105.00 378=3"]
    assert (day.phase(), day.state) == ("continuous", "at-limit")
    day.replayed()


# ---------------------------------------------------------------- another configuration


def reload(day: Day, breaker: Breaker | None) -> list[Said]:
    """The instrument gets another breaker, or none."""
    config = day.stage.config
    (entry,) = config.instruments
    fresh = replace(entry, breaker=None if breaker is None else breaker.name)
    changed = replace(config, instruments=(fresh,), breakers=() if breaker is None else (breaker,))
    day.exchange.reload(changed, config_payload(changed, "test", "practice", day.exchange.venue_ns), day.stage.now_ns)
    return day.stage.drain()


@pytest.mark.parametrize("after", [None, CORRIDOR])
def test_a_breaker_that_goes_takes_its_limit_state_with_it(after: Breaker | None) -> None:
    day = Day("luld-tier-1")
    day.stage.say("TAKER", [(35, b"e"), (324, b"S"), (55, b"AAA"), (263, b"1")])
    day.bids("105.00")
    said = reload(day, after)
    assert [dict(fields)[326] for _, fields in said] == [b"17"], "whoever heard that it stands there hears that it does not"
    day.wait(20)
    assert (day.phase(), day.state) == ("continuous", "quiet")
    day.replayed()


def test_a_narrower_band_of_another_configuration_takes_waiting_orders_with_it() -> None:
    day = Day("luld-tier-2")
    day.bids("108.00")
    assert day.state == "quiet"
    said = reload(day, replace(PROFILES["luld-tier-1"], name="narrower"))
    assert lines(said) == ["MAKER 1 D 39=0 14=0 151=10 44=105.00 378=3"]
    assert (day.bounds, day.state) == (("95.00", "105.00"), "at-limit")
    day.replayed()


# ---------------------------------------------------------------- beside limits


def test_before_the_first_trade_a_breaker_makes_no_last_price_for_limits() -> None:
    """A collar is around the last trade; what the corridor begins with is none."""
    day = Day(CORRIDOR, limits=(Limits("session", "*", collar_last_bps=50, daily_loss_max=Decimal(100)),))
    assert day.exchange.next_appointment_ns() > day.stage.now_ns + 3_600 * SECOND_NS, "no mark is due"
    assert happened(day.order("TAKER", BUY, "98.00", 10)) == ["TAKER 1 0"]
    day.order("MAKER", SELL, "98.00", 5)
    assert happened(day.order("TAKER", BUY, "97.00", 10)) == ["TAKER 3 8"]
    assert day.bounds == ("96.04", "99.96")
