"""Days on which instruments and the market are stopped, before the oracle: equal, and different where a fault is planted."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange.stage import Stage
from exchange.test_breakers import BUY, SELL, Day
from exchange.test_trading_day import MIDNIGHT_NS, RandomDay, small_day

from fixsim.config import Config
from fixsim.config.breakers import Breaker, Constituent, Level, MarketBreaker
from fixsim.errors import ReplayDivergence
from fixsim.exchange.breakers import Breakers
from fixsim.exchange.digest import state_digest
from fixsim.exchange.listings import Listing
from fixsim.exchange.market_breaker import MarketWide
from fixsim.exchange.replay import Replay
from fixsim.exchange.rule import Mean, Rule
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind
from fixsim.units import NS_PER_S

from .conftest import Fixsim
from .eventful import EventfulDay
from .forgery import Loose, forge, reframed
from .recording import Recording


def opinion(data_dir: Path) -> SecondOpinion:
    """The whole journal before the oracle."""
    one_pass = SecondOpinion(Reader(journal_directory(data_dir)), fix44())
    one_pass.run()
    return one_pass


def compare(lived: Stage, judged: SecondOpinion) -> None:
    """Books, phases and the ends of calls are what they were where the day was lived."""
    state = judged.oracle.state()
    for symbol, sides in lived.books().items():
        assert tuple(map(list, sides)) == tuple(state[symbol]), symbol
        row: Any = lived.exchange.machine.books[lived.exchange.listings.by_symbol[symbol.encode()].book]
        assert int(row["phase"]) == judged.exchange.phases.phase_of(judged.exchange.listings.by_symbol[symbol.encode()]), symbol
        assert int(row["until_ns"]) == (judged.oracle.breakers.watches[symbol].call_ends_ns or 0), symbol


def test_the_oracle_agrees_with_a_day_of_every_kind_of_breaker(tmp_path: Path) -> None:
    """Random ends, bands doubled before the close, a halt of the market, told to somebody who subscribed to all of it."""
    day = RandomDay(3, Recording(tmp_path, small_day(), now_ns=MIDNIGHT_NS, clock_start_ns=MIDNIGHT_NS))
    day.run()
    day.stage.writer.real.close()
    assert day.seen["AAPL", "at-limit"] and day.seen["MSFT", "halted"] and day.seen["SAP", "calling"]
    compare(day.stage, opinion(tmp_path))


def test_the_oracle_agrees_with_a_day_of_breakers_limits_phases_and_operators(tmp_path: Path) -> None:
    day = EventfulDay(5, tmp_path)
    day.run(500)
    lived = state_digest(day.stage.exchange)
    day.file.close()
    assert day.seen["AAPL", "at-limit"] and day.seen["ESZ5", "calling"]
    assert {"D3", "D8", "F", "H", "5", "8", "C", "47", "48"} <= {what for told, what in day.seen if told == "report"}
    kinds = [record.kind for batch in day.file.file.reader.batches() for record in records(batch.view)]
    assert kinds.count(Kind.START) > 1 and kinds.count(Kind.CONFIG) > 1, "it was left, and changed"
    compare(day.stage, opinion(tmp_path))
    replay = Replay(Reader(journal_directory(tmp_path)), fix44())
    replay.run()
    assert replay.digest().digest == lived


# ---------------------------------------------------------------- with a fault in it

#: Two instruments are the index; a fall of one and a half per cent halts them for 20 seconds.
MARKET = MarketBreaker((Constituent("AAA"), Constituent("BBB")), (Level(150, 20, 0),), reopening_call_s=10)


def stopped(data_dir: Path) -> None:
    """A fall that halts the market, and how that ends; a book at its band, a pause, a collar that prolongs it."""

    def opened(config: Config) -> Recording:
        return Recording(data_dir, config, clock_start_ns=MIDNIGHT_NS)

    day = Day("luld-tier-1", ("AAA", "BBB"), MARKET, opened=opened)
    for symbol in (b"AAA", b"BBB"):
        day.stage.say("TAKER", [(35, b"e"), (324, symbol), (55, symbol), (263, b"1")])
    day.bids("96.00", symbol="BBB")
    day.order("TAKER", SELL, "96.00", 10, symbol="BBB")
    pass_time(day, 60)
    day.asks("104.00", "106.00")
    day.order("TAKER", BUY, "107.00", 15)
    pass_time(day, 20)
    day.order("TAKER", BUY, "112.00", 20)
    day.asks("112.00")
    pass_time(day, 700)
    day.stage.writer.real.close()


def pass_time(day: Day, seconds: int) -> None:
    """The operator's clock goes on, and stops at whatever is due."""
    answer, _ = day.stage.commanded("clock.advance", by_ns=seconds * NS_PER_S)
    assert answer["reached"]


def wider(band: Callable[..., tuple[int, int]]) -> Callable[..., tuple[int, int]]:
    def found(rule: Rule, mean: Mean, doubled: bool) -> tuple[int, int]:
        low, high = band(rule, mean, doubled)
        return low, high + 1

    return found


def later(begin: Callable[..., None]) -> Callable[..., None]:
    def begun(rule: Rule, profile: Breaker, listing: Listing) -> None:
        begin(rule, replace(profile, limit_state_s=profile.limit_state_s + 1), listing)

    return begun


#: What may be wrong with an exchange, and where to put it.
FAULTS: dict[str, tuple[type, str, Callable[[Any], Any]]] = {
    "a band is a tick too wide": (Rule, "band", wider),
    "a pause comes a second late": (Rule, "__init__", later),
    "a collar prolongs nothing": (Breakers, "_is_prolonged", lambda true: lambda *_: False),
    "nobody is told of a limit state": (Breakers, "_enter", lambda true: lambda *_: None),
    "no fall halts the market": (MarketWide, "_threshold", lambda true: lambda *_: -1),
}


def test_a_day_of_pauses_and_a_halt_is_equal_without_a_fault(tmp_path: Path, fixsim: Fixsim) -> None:
    stopped(tmp_path)
    code, out, _ = fixsim("replay", tmp_path, "--engine", "oracle", "--verify")
    assert code == 0 and out.startswith("equal: ")


@pytest.mark.parametrize("what", FAULTS)
def test_the_oracle_finds_a_fault_of_a_breaker(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong = FAULTS[what]
    with monkeypatch.context() as planted:
        planted.setattr(where, name, wrong(getattr(where, name)))
        stopped(tmp_path)
        Replay(Reader(journal_directory(tmp_path)), fix44()).run()  # the same exchange sees nothing wrong with itself
    with pytest.raises(ReplayDivergence):
        opinion(tmp_path)


def test_a_status_that_was_told_otherwise_is_named_field_by_field(tmp_path: Path, fixsim: Fixsim) -> None:
    """Somebody has turned the end of a limit state into trading as always."""
    stopped(tmp_path / "lived")
    done: list[int] = []

    def change(loose: list[Loose]) -> list[Loose]:
        for place, (header, payload) in enumerate(loose):
            if not done and header[1] == Kind.OUT and b"\x0158=Limit state\x01" in payload:
                done.append(place)
                loose[place] = (header, reframed(payload, b"\x01326=6\x01", b"\x01326=17\x01"))
        return loose

    forge(tmp_path / "lived", tmp_path / "told", change)
    code, out, _ = fixsim("replay", tmp_path / "told", "--engine", "oracle", "--json")
    found = {field["tag"]: field for field in json.loads(out)["differences"] if field["tag"]}
    assert code == 1 and found[326]["journal"].startswith("17") and found[326]["replay"].startswith("6")
