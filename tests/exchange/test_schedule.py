"""A venue by the clock: golden transitions over days with a holiday and a change of the clocks, and who is told of them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from exchange.stage import Field, Said, Stage, rehearsed, small_config
from exchange.test_phases import T60, order, told
from fixsim.config.schedules import Schedule, Step, changes, plan
from fixsim.exchange.digest import state_digest
from fixsim.exchange.laws import broken_laws
from fixsim.gateway.planner import renew_plan

S_NS = 1_000_000_000
DAY = (
    Step("07:30:00", "pre-open"), Step("08:50:00", "opening-auction", 30.0), Step("09:00:00", "continuous"),
    Step("13:00:00", "volatility-auction"), Step("13:02:00", "continuous"), Step("17:30:00", "closing-auction", 30.0),
    Step("17:35:00", "at-last"), Step("17:45:00", "closed"),
)  # fmt: skip
BERLIN = Schedule("XETR", DAY, "Europe/Berlin", holidays="XETR", closed=("2024-12-24",))
#: Good Friday and Easter Monday 2024 lie around the night in which Berlin puts its clocks forward (31 March).
THURSDAY, TUESDAY = date(2024, 3, 28), date(2024, 4, 2)


def ns(text: str) -> int:
    """UTC time as ns since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * S_NS


def shown(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // S_NS, UTC).strftime("%m-%d %H:%M:%S")


def test_days_are_local_and_leave_out_holidays_and_weekends() -> None:
    found = [(shown(change.ns), change.phase) for change in changes(BERLIN, THURSDAY, 6)]
    assert found == [
        ("03-28 06:30:00", "pre-open"), ("03-28 07:50:00", "opening-auction"), ("03-28 08:00:00", "continuous"),
        ("03-28 12:00:00", "volatility-auction"), ("03-28 12:02:00", "continuous"), ("03-28 16:30:00", "closing-auction"),
        ("03-28 16:35:00", "at-last"), ("03-28 16:45:00", "closed"),
        ("04-02 05:30:00", "pre-open"), ("04-02 06:50:00", "opening-auction"), ("04-02 07:00:00", "continuous"),
        ("04-02 11:00:00", "volatility-auction"), ("04-02 11:02:00", "continuous"), ("04-02 15:30:00", "closing-auction"),
        ("04-02 15:35:00", "at-last"), ("04-02 15:45:00", "closed"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "day", "trades"),
    [
        (BERLIN, date(2024, 12, 24), False),
        (BERLIN, date(2024, 12, 23), True),
        (BERLIN, date(2024, 12, 21), False),
        (replace(BERLIN, open=("2024-12-21",)), date(2024, 12, 21), True),
        (replace(BERLIN, holidays="XNYS"), date(2024, 7, 4), False),
        (replace(BERLIN, holidays="GB-ENG"), date(2024, 8, 26), False),
        (replace(BERLIN, holidays=None, weekdays=("Sun",)), date(2024, 3, 31), True),
    ],
)
def test_a_day_is_a_trading_day_by_weekday_holiday_and_exception(schedule: Schedule, day: date, trades: bool) -> None:
    assert schedule.is_trading_day(day) is trades


def test_a_local_time_that_is_left_out_or_comes_twice_has_one_instant() -> None:
    night = Schedule("N", (Step("02:30:00", "continuous"), Step("03:10:00", "closed")), "Europe/Berlin", ("Sun",))
    assert [shown(change.ns) for change in changes(night, date(2024, 3, 31), 1)] == ["03-31 01:30:00", "03-31 01:30:00"]
    assert [shown(change.ns) for change in changes(night, date(2024, 10, 27), 1)] == ["10-27 00:30:00", "10-27 02:10:00"]


FAULTS = [
    ((), [("phases", "is empty")]),
    ((Step("09:00:00", "continuous"),), [("phases[0].phase", "ends the day: it must be closed")]),
    (
        (Step("09:00:00", "continuous", 5.0), Step("08:00:00", "closed")),
        [
            ("phases[1].at", "is 08:00:00, not after 09:00:00"),
            ("phases[0].random_end_s", "belongs to a call, not to continuous"),
        ],
    ),
    ((Step("09:00:00", "closed"), Step("10:00:00", "closed")), [("phases[0].phase", "is closed: a day ends once")]),
]


@pytest.mark.parametrize(("steps", "faults"), FAULTS)
def test_a_day_that_cannot_be_is_told_with_every_reason(steps: tuple[Step, ...], faults: list[tuple[str, str]]) -> None:
    assert list(Schedule("S", steps).faults()) == faults


# ---------------------------------------------------------------- a venue that keeps it


def scheduled_stage(at: str) -> Stage:
    """AAPL keeps the days of Berlin, the others none; ALPHA listens to both kinds of status."""
    config = small_config()
    first, *others = config.instruments
    config = replace(config, instruments=(replace(first, schedule="XETR"), *others), schedules=(BERLIN,))
    stage = Stage(config, now_ns=ns(at))
    stage.log_on("ALPHA", "BRAVO")
    return stage


def run_until(stage: Stage, at: str) -> list[tuple[str, Said]]:
    """Everything that is said until then, each at its own deadline, with the time."""
    heard = []
    while stage.exchange.next_deadline_ns() <= ns(at):
        heard += [(shown(stage.now_ns), said) for said in stage.tick(stage.exchange.next_deadline_ns())]
    stage.now_ns = ns(at)
    return heard


def subscribe(stage: Stage) -> list[Said]:
    said = stage.say("ALPHA", [(35, b"e"), (324, b"S1"), (55, b"AAPL"), (263, b"1")])
    return said + stage.say("ALPHA", [(35, b"g"), (335, b"T1"), (336, b"XETR"), (263, b"1")])


def test_a_whole_day_is_told_as_it_passes_and_the_next_one_is_after_the_holidays() -> None:
    stage = scheduled_stage("2024-03-28 06:00:00")
    assert told(subscribe(stage), 35, 326, 336, 625, 340, 325) == [
        ("ALPHA", "f", "18", "XETR", "7", "", ""), ("ALPHA", "h", "", "XETR", "7", "3", ""),
    ]  # fmt: skip
    heard = run_until(stage, "2024-04-02 05:30:00")
    sessions = [(time, *told([said], 336, 625, 340, 325)[0][1:]) for time, said in heard if dict(said[1])[35] == b"h"]
    assert sessions == [
        ("03-28 06:30:00", "XETR", "1", "4", "Y"), ("03-28 07:50:00", "XETR", "2", "4", "Y"),
        ("03-28 08:00:00", "XETR", "3", "2", "Y"), ("03-28 12:00:00", "XETR", "6", "2", "Y"),
        ("03-28 12:02:00", "XETR", "3", "2", "Y"), ("03-28 16:30:00", "XETR", "4", "5", "Y"),
        ("03-28 16:35:00", "XETR", "5", "2", "Y"), ("03-28 16:45:00", "XETR", "7", "3", "Y"),
        ("04-02 05:30:00", "XETR", "1", "4", "Y"),
    ]  # fmt: skip
    securities = [(time[:11], *told([said], 326, 625)[0][1:]) for time, said in heard if dict(said[1])[35] == b"f"]
    assert securities == [
        ("03-28 06:30", "21", "1"), ("03-28 07:50", "22", "2"), ("03-28 08:00", "17", "3"), ("03-28 12:00", "5", "6"),
        ("03-28 12:02", "17", "3"), ("03-28 16:30", "5", "4"), ("03-28 16:35", "17", "5"), ("03-28 16:45", "18", "7"),
        ("04-02 05:30", "21", "1"),
    ]  # fmt: skip
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_calls_of_a_schedule_end_by_chance_and_only_they() -> None:
    stage = scheduled_stage("2024-03-28 07:55:00")
    subscribe(stage)
    heard = run_until(stage, "2024-03-28 08:00:00")
    until_ns = int(stage.exchange.machine.books[stage.exchange.listings.by_symbol[b"AAPL"].book]["until_ns"])
    assert ns("2024-03-28 08:00:00") < until_ns <= ns("2024-03-28 08:00:30")
    stage.tick(until_ns - 1)
    assert stage.command("phase", symbol="AAPL")["phase"] == "opening-auction"
    heard += run_until(stage, "2024-03-28 16:40:00")
    begun = {dict(said[1])[625]: time for time, said in heard if dict(said[1])[35] == b"f" and dict(said[1])[625] in b"35"}
    assert "03-28 16:35:00" <= begun[b"5"] <= "03-28 16:35:30"
    opened = next(time for time, said in heard if dict(said[1])[35] == b"f" and dict(said[1]).get(625) == b"3")
    assert "03-28 08:00:00" <= opened <= "03-28 08:00:30"


def test_a_call_whose_end_comes_in_the_same_call_of_the_schedule_goes_on_with_that_one() -> None:
    """Somebody began it early: a moment comes at which it is over and the schedule says the same phase."""
    stage = scheduled_stage("2024-03-28 11:55:00")
    assert stage.command("phase", symbol="AAPL", phase="volatility-auction", seconds=360)["ok"]
    run_until(stage, "2024-03-28 12:01:30")
    shown_then = stage.command("phase", symbol="AAPL")
    assert (shown_then["phase"], shown_then["until"]) == ("volatility-auction", None)
    run_until(stage, "2024-03-28 12:02:31")
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_day_order_expires_at_the_close_of_its_instrument_and_not_at_midnight() -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    stage.say("ALPHA", order("DAY", "buy", 5, "10.00"))
    stage.say("ALPHA", order("GTC", "buy", 5, "10.00", "1"))
    stage.say("ALPHA", order("GTD", "buy", 5, "10.00", "6", (432, b"20240402")))
    big: list[Field] = [(35, b"D"), (11, b"BIG"), (55, b"BIG"), (54, b"1"), (60, T60), (38, b"200"), (40, b"2"), (44, b"50.00")]
    stage.say("ALPHA", big)
    heard = run_until(stage, "2024-04-03 00:00:00")
    assert [(time, *told([said], 11, 150)[0][1:]) for time, said in heard] == [
        ("03-28 16:45:00", "DAY", "C"), ("03-29 00:00:00", "BIG", "C"), ("04-02 15:45:00", "GTD", "C"),
    ]  # fmt: skip


def test_what_a_call_would_come_to_is_told_once_a_second_when_it_has_changed() -> None:
    stage = scheduled_stage("2024-03-28 07:55:00")
    subscribe(stage)
    stage.say("BRAVO", order("B1", "buy", 10, "10.00"))
    stage.say("BRAVO", order("B2", "sell", 4, "9.90"))
    heard = run_until(stage, "2024-03-28 07:55:03")
    assert [(time, *told([said], 326, 31, 330, 331)[0][1:]) for time, said in heard] == [
        ("03-28 07:55:01", "5", "10.00", "10", "4"), ("03-28 07:55:01", "7", "10.00", "10", "4"),
    ]  # fmt: skip
    stage.say("BRAVO", order("B3", "sell", 9, "9.90"))
    assert [told([said], 326, 31, 330, 331)[0][1:] for _, said in run_until(stage, "2024-03-28 07:55:06")] == [
        ("15", "9.90", "10", "13"), ("8", "9.90", "10", "13"),
    ]  # fmt: skip
    assert told(stage.say("BRAVO", [(35, b"e"), (324, b"B"), (55, b"AAPL"), (263, b"0")]), 326, 31, 330, 331) == [
        ("BRAVO", "22", "9.90", "10", "13")
    ]
    assert told(stage.say("ALPHA", [(35, b"e"), (324, b"S1"), (55, b"AAPL"), (263, b"2")]), 326) == [("ALPHA", "22")]
    stage.say("BRAVO", order("B4", "buy", 30, "9.95"))
    assert run_until(stage, "2024-03-28 07:55:09") == [], "nobody listens any more"


REQUESTS: list[tuple[list[Field], list[Any], tuple[int, ...]]] = [
    ([(35, b"e"), (324, b"1"), (55, b"NOPE"), (263, b"0")], ["f", "1", "20", "Unknown Symbol(55)"], (35, 324, 326, 58)),
    ([(35, b"g"), (335, b"1"), (336, b"LUNCH"), (263, b"0")], ["h", "LUNCH", "6", "1"], (35, 336, 340, 567)),
    ([(35, b"g"), (335, b"1"), (336, b"24H"), (263, b"0")], ["h", "24H", "2", "3"], (35, 336, 340, 625)),
]


@pytest.mark.parametrize(("fields", "answer", "tags"), REQUESTS)
def test_a_question_about_a_status_is_answered(fields: list[Field], answer: list[Any], tags: tuple[int, ...]) -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    assert told(stage.say("ALPHA", fields), *tags) == [("ALPHA", *answer)]


def test_a_question_about_all_sessions_is_answered_for_each() -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    said = stage.say("ALPHA", [(35, b"g"), (335, b"1"), (263, b"0")])
    assert told(said, 336, 340) == [("ALPHA", "XETR", "2"), ("ALPHA", "24H", "2")]


def test_a_subscription_ends_with_the_connection() -> None:
    stage = scheduled_stage("2024-03-28 16:00:00")
    subscribe(stage)
    stage.exchange.lose_link(stage.links["ALPHA"], "gone", stage.now_ns)
    assert run_until(stage, "2024-03-28 17:00:00") == []


def test_a_halt_holds_through_the_schedule_and_a_resume_goes_on_with_it() -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    stage.command("halt", symbol="AAPL")
    run_until(stage, "2024-03-28 16:31:00")
    assert stage.command("phase", symbol="AAPL")["phase"] == "halted"
    stage.command("resume", symbol="AAPL")
    assert stage.command("phase", symbol="AAPL")["phase"] == "closing-auction"


def test_a_scheduled_call_takes_over_a_volatility_auction_and_trading_does_not() -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    book = stage.exchange.listings.by_symbol[b"AAPL"].book
    stage.exchange.phases.begin_call(book, ns("2024-03-28 12:05:00"))
    run_until(stage, "2024-03-28 12:03:00")
    assert stage.command("phase", symbol="AAPL")["phase"] == "volatility-auction"
    run_until(stage, "2024-03-28 12:05:00")
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"
    stage.exchange.phases.begin_call(book, ns("2024-03-28 16:50:00"))
    run_until(stage, "2024-03-28 16:30:00")
    assert stage.command("phase", symbol="AAPL")["phase"] == "closing-auction"


def test_a_call_that_ends_while_the_schedule_has_one_of_its_kind_becomes_that_one() -> None:
    stage = scheduled_stage("2024-03-28 11:59:00")
    stage.command("phase", symbol="AAPL", phase="volatility-auction", seconds=90)
    run_until(stage, "2024-03-28 12:01:50")
    shown = stage.command("phase", symbol="AAPL")
    assert (shown["phase"], shown["until"]) == ("volatility-auction", None)
    run_until(stage, "2024-03-28 12:02:01")
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_an_operator_ends_a_call_of_the_schedule_and_what_follows_it_begins() -> None:
    stage = scheduled_stage("2024-03-28 12:00:30")
    assert stage.command("phase", symbol="AAPL", phase="end")["phase"] == "continuous"
    run_until(stage, "2024-03-28 16:31:00")
    stage.say("ALPHA", order("A", "buy", 5, "10.00"))
    stage.say("BRAVO", order("B", "sell", 5, "10.00"))
    shown, said = stage.commanded("phase", symbol="AAPL", phase="end")
    assert shown["phase"] == "at-last"
    assert [(who, *values) for who, *values in told(said, 11, 150)] == [("ALPHA", "A", "F"), ("BRAVO", "B", "F")]
    run_until(stage, "2024-03-28 16:46:00")
    assert stage.command("phase", symbol="AAPL")["phase"] == "closed"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_process_that_slept_through_changes_carries_them_out_when_it_wakes() -> None:
    stage = scheduled_stage("2024-03-28 07:55:00")
    stage.say("ALPHA", order("A1", "buy", 5, "10.00"))
    stage.say("BRAVO", order("B1", "sell", 5, "10.00"))
    said = stage.tick(ns("2024-03-28 16:40:00"))
    assert told(said, 11, 150, 31) == [("ALPHA", "A1", "F", "10.00"), ("BRAVO", "B1", "F", "10.00")]
    assert stage.command("phase", symbol="AAPL")["phase"] == "at-last"
    assert broken_laws(stage.exchange) == []


def test_an_instrument_made_of_a_pattern_begins_in_the_phase_of_its_schedule() -> None:
    config = small_config()
    *others, pattern = config.instruments
    config = replace(config, instruments=(*others, replace(pattern, schedule="XETR")), schedules=(BERLIN,))
    stage = Stage(config, now_ns=ns("2024-03-28 06:45:00"))
    stage.log_on("ALPHA")
    d: list[Field] = [(35, b"D"), (11, b"A"), (55, b"SYM1"), (54, b"1"), (60, T60), (38, b"10"), (40, b"1")]
    assert told(stage.say("ALPHA", d), 150) == [("ALPHA", "0")]
    assert stage.command("phase", symbol="SYM1")["phase"] == "pre-open"
    stage.now_ns = ns("2024-03-28 20:00:00")
    stage.tick(stage.now_ns)
    d[1:3] = [(11, b"B"), (55, b"SYM2")]
    assert told(stage.say("ALPHA", d), 150, 58) == [("ALPHA", "8", "Instrument is closed")]


def test_a_plan_is_renewed_before_it_runs_out() -> None:
    stage = scheduled_stage("2024-03-28 10:00:00")
    calendar = stage.exchange.phases.calendar
    last = calendar.changes["XETR"][-1]
    renew_plan(stage.exchange, stage.now_ns)
    assert calendar.changes["XETR"][-1] == last
    run_until(stage, "2024-04-29 10:00:00")
    renew_plan(stage.exchange, stage.now_ns)
    stage.drain()
    assert calendar.changes["XETR"][-1].ns > last.ns
    assert calendar.changes["XETR"][0].phase == "continuous"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_plan_begins_with_what_is_in_force() -> None:
    told = plan([BERLIN], ns("2024-03-30 12:00:00"))["XETR"]
    assert [(shown(int(change[0])), change[1]) for change in told[:2]] == [
        ("03-28 16:45:00", "closed"), ("04-02 05:30:00", "pre-open"),
    ]  # fmt: skip
