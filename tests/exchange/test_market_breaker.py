"""What happens when the whole market is halted, and when it goes on."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from exchange.stage import Field, Stage, rehearsed, small_config
from exchange.test_breakers import CORRIDOR, Day, happened
from exchange.test_reload import reload
from fixsim.cli.phase import described_breaker
from fixsim.config import Instrument
from fixsim.config.breakers import LEVELS, Constituent, Level, MarketBreaker
from fixsim.config.schedules import Schedule, Step
from fixsim.exchange.digest import state_digest
from fixsim.exchange.names import NAMES
from fixsim.reference.watch import Index

SECOND_NS = 1_000_000_000
BUY, SELL = b"1", b"2"
NOON = b"20240102-10:00:00"


def market_day() -> Day:
    """Two instruments that are the index, 2 : 1, and one that is not."""
    index = MarketBreaker((Constituent("AAA", 2), Constituent("BBB", 1)), LEVELS, reopening_call_s=60)
    return Day(None, ("AAA", "BBB", "CCC"), index)


def test_a_fall_of_seven_per_cent_halts_every_instrument_for_a_quarter_of_an_hour() -> None:
    day = market_day()
    day.bids("95.00", "90.00", "85.00")
    day.bids("99.00", symbol="CCC")
    said = day.order("TAKER", SELL, "80.00", 30)
    # the index falls from 300 to 290, then to 280: 6.7 %; then to 270: 10 %
    assert happened(said) == ["TAKER 5 0", "TAKER 5 F", "MAKER 1 F", "TAKER 5 F", "MAKER 2 F", "TAKER 5 F", "MAKER 3 F"]
    assert {day.phase(symbol) for symbol in ("AAA", "BBB", "CCC")} == {"halted"}
    assert day.wait(899) == []
    assert day.phase("CCC") == "halted"
    day.wait(2)
    assert {day.phase(symbol) for symbol in ("AAA", "BBB", "CCC")} == {"volatility-auction"}
    day.wait(60)
    assert {day.phase(symbol) for symbol in ("AAA", "BBB", "CCC")} == {"continuous"}
    day.replayed()


def test_an_order_is_stopped_between_two_fills() -> None:
    day = market_day()
    day.bids("95.00", "89.00", "88.00")
    said = day.order("TAKER", SELL, "80.00", 30)
    assert sum(" F " in line for line in said) == 4, "the third bid is not reached"
    assert day.phase() == "halted"


def test_the_price_of_an_auction_moves_the_index_too() -> None:
    day = market_day()
    day.stage.command("phase", symbol="AAA", phase="volatility-auction")
    day.bids("80.00")
    day.order("TAKER", SELL, "80.00", 10)
    assert day.phase("BBB") == "continuous"
    day.stage.command("phase", symbol="AAA", phase="end")
    assert {day.phase(symbol) for symbol in ("AAA", "BBB", "CCC")} == {"halted"}
    day.replayed()


def test_each_level_counts_once_a_day_and_the_deepest_ends_it() -> None:
    day = market_day()
    day.bids("89.00")
    day.order("TAKER", SELL, "89.00", 10)
    day.wait(1_000)
    assert day.phase() == "continuous"
    day.bids("88.00")
    day.order("TAKER", SELL, "88.00", 10)
    assert day.phase() == "continuous", "eight per cent: the first level was used"
    day.bids("69.00")
    day.order("TAKER", SELL, "69.00", 10)
    assert day.phase() == "halted", "twenty per cent"
    day.wait(3_600)
    assert day.phase() == "halted"
    day.wait(86_400)
    assert day.phase() == "continuous"


def test_a_halt_that_is_over_after_the_close_leaves_instruments_closed() -> None:
    stage = scheduled_market("09:00:00")
    fall(stage)
    assert {NAMES[int(row["phase"])] for row in used(stage)} == {"halted"}
    wait(stage, 3_600)
    assert {NAMES[int(row["phase"])] for row in used(stage)} == {"closed"}
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_the_close_that_counts_is_that_of_the_constituents() -> None:
    stage = scheduled_market("09:00:00", symbols=("AAA",))
    fall(stage)
    assert NAMES[int(used(stage)[0]["phase"])] == "halted", "BBB closes in ten minutes, but is no constituent"
    late = scheduled_market("09:00:00", symbols=("BBB",), level=LEVELS[0])
    fall(late)
    assert NAMES[int(used(late)[0]["phase"])] == "continuous", "too late in the day"


def test_trading_sessions_are_told_of_a_halt_and_of_its_end() -> None:
    day = market_day()
    said = day.stage.say("TAKER", [(35, b"g"), (335, b"G"), (263, b"1")])
    day.bids("85.00")
    told = day.stage.say("TAKER", [(35, b"D"), (11, b"X"), (55, b"AAA"), (54, SELL), (60, NOON), (38, b"10"), (40, b"1")])
    halted = day.stage.say("MAKER", [(35, b"g"), (335, b"M"), (263, b"0")])
    end_ns = day.stage.now_ns + 901 * SECOND_NS
    while day.exchange.next_deadline_ns() <= end_ns:
        told += day.stage.tick(day.exchange.next_deadline_ns())
    statuses = [(who, values[340]) for who, fields in [*said, *told, *halted] if (values := dict(fields))[35] == b"h"]
    assert statuses == [("TAKER", b"2"), ("TAKER", b"1"), ("TAKER", b"2"), ("MAKER", b"1")]


def test_a_pause_has_collars_and_the_auctions_of_a_schedule_have_none() -> None:
    day = Day("luld-tier-1")
    day.stage.command("phase", symbol="AAA", phase="opening-auction", seconds=10)
    day.bids("130.00")
    day.order("TAKER", SELL, None, 30)
    day.wait(11)
    assert day.phase() == "continuous", "neither a far price nor market orders left over prolong it"


def test_an_instrument_that_has_not_traded_has_no_last_price_but_a_place_for_its_corridor() -> None:
    day = Day(CORRIDOR)
    ((_, fields),) = day.stage.say("TAKER", [(35, b"e"), (324, b"S"), (55, b"AAA"), (263, b"0")])
    assert 31 not in dict(fields)
    day.stage.command("phase", symbol="AAA", phase="closing-auction")
    day.stage.command("phase", symbol="AAA", phase="at-last")
    day.asks("90.00")
    assert day.order("TAKER", BUY, "110.00", 10) == ["TAKER 2 0 39=0 14=0 151=10 44=110.00"], "there is no closing price"


def test_the_operator_sees_state_and_corridor() -> None:
    day = Day("luld-tier-1")
    seen = day.stage.command("phase", symbol="AAA")["breaker"]
    assert seen == {
        "name": "luld-tier-1", "state": "quiet", "lowest": "95.00", "highest": "105.00", "pauses": None, "extensions": 0,
    }  # fmt: skip
    day.bids("105.00")
    seen = day.stage.command("phase", symbol="AAA")["breaker"]
    assert (seen["state"], seen["pauses"]) == ("at-limit", "20240102-10:00:15.001")
    day.wait(15.1)
    assert day.stage.command("phase", symbol="AAA")["breaker"]["state"] == "calling"
    assert Day(None).stage.command("phase", symbol="AAA")["breaker"] is None


@pytest.mark.parametrize(
    ("breaker", "line"),
    [
        (None, []),
        (
            {"name": "x", "state": "quiet", "lowest": None, "highest": "9.00", "pauses": None, "extensions": 0},
            ["x is quiet, trades from any to 9.00"],
        ),
        (
            {"name": "x", "state": "calling", "lowest": "1.00", "highest": None, "pauses": "20240102-10:00", "extensions": 2},
            ["x is calling, trades from 1.00 to any, pauses at 20240102-10:00, prolonged 2 times"],
        ),
    ],
)
def test_a_breaker_is_one_line_for_people(breaker: dict[str, Any] | None, line: list[str]) -> None:
    assert described_breaker(breaker) == line


def test_what_a_schedule_does_elsewhere_ends_no_call_early() -> None:
    stage = scheduled_market("09:00:00")
    night = Schedule("NIGHT", (Step("09:00:00", "pre-open"), Step("10:05:00", "continuous"), Step("10:30:00", "closed")))
    one, two = stage.exchange.config.instruments
    config = replace(
        stage.exchange.config, instruments=(replace(one, schedule="LATE"), replace(two, schedule="NIGHT")),
        schedules=(*stage.exchange.config.schedules, night),
    )  # fmt: skip
    stage = Stage(config)
    stage.command("phase", symbol="AAA", phase="volatility-auction", seconds=590)
    wait(stage, 300)
    assert [NAMES[int(row["phase"])] for row in used(stage)] == ["volatility-auction", "continuous"]
    wait(stage, 302)
    assert [NAMES[int(row["phase"])] for row in used(stage)] == ["continuous", "continuous"]


def scheduled_market(opening: str, symbols: tuple[str, ...] = ("AAA", "BBB"), level: Level = Level(700, 900, 0)) -> Stage:
    """BBB closes at ten past ten, and so does AAA unless it is the whole index; `symbols` are the index. It is ten o'clock."""
    late, early = (Schedule(name, (Step(begin, "continuous"), Step(end, "closed"))) for name, begin, end in (
        ("LATE", opening, "11:00:00"), ("EARLY", opening, "10:10:00"),
    ))  # fmt: skip
    instruments = tuple(
        Instrument(
            symbol, Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000), reference_price=Decimal(100), schedule=name
        )
        for symbol, name in (("AAA", "LATE" if len(symbols) == 1 else "EARLY"), ("BBB", "EARLY"))
    )
    index = MarketBreaker(tuple(Constituent(symbol) for symbol in symbols), (level,))
    stage = Stage(replace(small_config(), instruments=instruments, schedules=(late, early), market_breaker=index))
    stage.log_on("MAKER", "TAKER")
    return stage


def fall(stage: Stage) -> None:
    """The first constituent loses nine tenths."""
    symbol = stage.exchange.config.market_breaker.constituents[0].symbol.encode()
    for name, session, side in ((b"1", "MAKER", BUY), (b"2", "TAKER", SELL)):
        head: list[Field] = [(35, b"D"), (11, name), (55, symbol), (54, side), (60, NOON), (38, b"10"), (40, b"2"), (44, b"10")]
        stage.say(session, head)


def used(stage: Stage) -> list[Any]:
    """BOOK rows of the constituents."""
    chosen = stage.exchange.config.market_breaker.constituents
    listed = stage.exchange.listings.by_symbol
    return [stage.exchange.machine.books[listed[entry.symbol.encode()].book] for entry in chosen]


def wait(stage: Stage, seconds: int) -> None:
    """Time passes, and stops at everything that is due."""
    end_ns = stage.now_ns + seconds * SECOND_NS
    while stage.exchange.next_deadline_ns() <= end_ns:
        stage.tick(stage.exchange.next_deadline_ns())
    stage.now_ns = end_ns


def test_a_constituent_that_comes_or_goes_is_no_fall() -> None:
    day = market_day()
    config = day.stage.config
    assert config.market_breaker is not None

    def of(*parts: Constituent) -> None:
        reload(day.stage, replace(config, market_breaker=replace(config.market_breaker, constituents=parts)))

    day.bids("98.00", symbol="AAA")
    day.order("TAKER", SELL, "98.00", 5)
    of(Constituent("AAA", 2))
    day.order("TAKER", SELL, "98.00", 5)
    assert day.phase() == "continuous"
    of(Constituent("AAA", 2), Constituent("BBB", 1), Constituent("CCC", 5))
    assert day.phase() == "continuous"
    day.bids("90.00", symbol="CCC")
    day.order("TAKER", SELL, "90.00", 5, symbol="CCC")
    assert day.phase() == "halted", "the fall from before, and this one"
    day.replayed()


def test_the_oracle_goes_on_with_another_index_from_the_same_fall() -> None:
    index = Index(None)
    for parts, prices, base in (
        ({"AAA": 2, "BBB": 1}, {"AAA": "100", "BBB": "100"}, "300"),
        ({"AAA": 2, "BBB": 1}, {"AAA": "98", "BBB": "100"}, "300"),
        ({"AAA": 2}, {"AAA": "98"}, "198.64"),
        ({}, {}, "0"),
        ({"BBB": 1}, {"BBB": "100"}, "100"),
    ):
        index.choose(MarketBreaker(tuple(Constituent(*part) for part in parts.items()), LEVELS) if parts else None)
        if parts:
            index.count({symbol: Decimal(price) for symbol, price in prices.items()}, Decimal("0.01"))
        assert index.base == Decimal(base)
