"""Two times: an operator drives the venue's, conversations keep the wall's, and a replay meets both again."""

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.limited import limited
from exchange.stage import (
    DAY_NS,
    MORNING_NS,
    MemoryWriter,
    Said,
    Stage,
    each_record,
    rehearsed,
    small_config,
    with_counterparty,
)  # fmt: skip
from fixsim.config import Limits
from fixsim.errors import VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.operator.clock import INSTANTS_MAX
from fixsim.exchange.wall import next_glance_ns
from fixsim.layout import Kind
from fixsim.limits import BATCH_MARGIN_BYTES, VENUE_NS_MAX
from fixsim.units import NS_PER_S, format_utc_timestamp

#: 2030-05-06 08:00 UTC, years from the wall of these tests.
OPENING_NS = 1_904_284_800_000_000_000
HOUR_NS = 3_600 * NS_PER_S
WALL, VENUE = b"20240102", b"20300506"


def driven(**more) -> Stage:
    stage = Stage(clock_start_ns=OPENING_NS, **more)
    stage.log_on("ANNA")
    return stage


def order(cl_ord_id: str, *, price: bytes = b"10.00", side: bytes = b"1", tif: bytes = b"0", date: bytes = WALL):
    return [
        (35, b"D"), (11, cl_ord_id.encode()), (55, b"AAPL"), (54, side), (38, b"100"), (40, b"2"), (44, price), (59, tif),
        (60, date + b"-10:00:00.000"),
    ]  # fmt: skip


def times(said) -> list[bytes]:
    return [dict(fields).get(60, b"") for _, fields in said]


def stamp(ns: int) -> bytes:
    return format_utc_timestamp(ns, 3)


def test_what_happens_is_told_at_venue_time_and_said_at_session_time():
    stage = driven()
    said = stage.say("ANNA", order("A"))
    said += stage.say("ANNA", order("B", side=b"2"))
    refused = stage.say("ANNA", order("A"))
    assert dict(refused[0][1])[150] == b"8"
    assert times(said + refused) == [stamp(OPENING_NS)] * 5
    stage.command("clock.advance", by_ns=90 * NS_PER_S)
    assert times(stage.say("ANNA", order("C"))) == [stamp(OPENING_NS + 90 * NS_PER_S)]


@pytest.mark.parametrize("date", [WALL, VENUE])
def test_orders_of_either_calendar_take_the_fast_door_and_both_doors_say_the_same(date: bytes):
    bytes_said = []
    for fast in (True, False):
        stage = driven()
        stage.exchange.fast_door = fast
        slow = []
        stage.exchange._doors[b"D"] = lambda *a, door=stage.exchange._doors[b"D"], slow=slow: (slow.append(1), door(*a))[1]
        stage.say("ANNA", order("A", date=date))
        assert bool(slow) is not fast
        bytes_said.append([bytes(view) for _, view in stage.writer.batches])
    assert bytes_said[0] == bytes_said[1]


def test_a_day_order_ends_at_midnight_of_the_venue_whatever_the_wall_says():
    stage = driven()
    stage.say("ANNA", order("DAY"))
    stage.say("ANNA", order("GTC", tif=b"1"))
    assert stage.tick(stage.now_ns + 3 * DAY_NS) == []
    stage.exchange.command("clock.advance", {"by_ns": 20 * HOUR_NS}, "test", stage.now_ns)
    ((name, fields),) = stage.drain()
    midnight = OPENING_NS + 16 * HOUR_NS
    assert (name, dict(fields)[11], dict(fields)[150], dict(fields)[60]) == ("ANNA", b"DAY", b"C", stamp(midnight))
    assert stage.exchange.venue_ns == OPENING_NS + 20 * HOUR_NS


def test_the_same_instants_give_the_same_bytes_in_one_step_or_in_many():
    told = []
    for steps in (1, 5, 40):
        stage = driven()
        said = stage.say("ANNA", order("A"))
        for _ in range(steps):
            stage.exchange.command("clock.advance", {"by_ns": 40 * HOUR_NS // steps}, "test", stage.now_ns)
        said += stage.drain()
        said += stage.say("ANNA", order("B"))
        told.append(said)
    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 3


def test_next_goes_to_the_next_instant_and_does_what_is_due_there():
    stage = driven()
    stage.say("ANNA", order("A"))
    shown = stage.command("clock.show")
    assert (shown["driven"], shown["venue_ns"]) == (True, OPENING_NS)
    assert shown["next_ns"] == OPENING_NS + 16 * HOUR_NS
    moved = stage.command("clock.next")
    assert (moved["venue_ns"], moved["instants"], moved["reached"]) == (shown["next_ns"], 1, True)
    assert stage.books()["AAPL"] == ([], [])


def test_the_daily_reset_is_kept_by_the_clock_of_the_venue():
    config = replace(small_config(), venue=replace(small_config().venue, reset_time="09:00:00"))
    stage = Stage(config, clock_start_ns=OPENING_NS)
    stage.log_on("ANNA")
    stage.exchange.lose_link(stage.links["ANNA"], "gone", stage.now_ns)
    stage.tick(stage.now_ns + DAY_NS)
    assert stage.exchange.members.by_name[b"ANNA"].run == 0
    stage.command("clock.advance", by_ns=2 * HOUR_NS)
    assert stage.exchange.members.by_name[b"ANNA"].run == 1


def test_heartbeats_follow_the_wall_while_the_venue_stands_still_and_do_not_hurry_with_it():
    stage = Stage(clock_start_ns=OPENING_NS)
    stage.log_on("ANNA", heartbeat_s=10)
    stage.command("clock.advance", by_ns=5 * HOUR_NS)
    assert stage.exchange.next_deadline_ns() <= stage.now_ns + 10 * NS_PER_S
    ((_, fields),) = stage.tick(stage.now_ns + 10 * NS_PER_S)
    assert fields == [(35, b"0")]
    assert stage.exchange.venue_ns == OPENING_NS + 5 * HOUR_NS


def test_a_driven_day_replays_to_the_same_state():
    stage = driven()
    for number in range(5):
        stage.say("ANNA", order(f"A{number}", price=b"%d.00" % (10 + number)))
        stage.command("clock.advance", by_ns=7 * HOUR_NS)
    stage.command("clock.next")
    again = rehearsed(stage.writer.batches)
    assert again.venue_ns == stage.exchange.venue_ns
    assert state_digest(again) == state_digest(stage.exchange)


def test_an_instant_that_says_more_than_a_batch_holds_goes_on_in_the_next_ones_and_replays(monkeypatch):
    monkeypatch.setattr("fixsim.exchange.tape.BATCH_BYTES", BATCH_MARGIN_BYTES + 4_096)
    stage = driven()
    for number in range(100):
        stage.feed("ANNA", stage.frame("ANNA", order(f"A{number}")))
    stage.drain()
    before = len(stage.writer.batches)
    stage.command("clock.advance", by_ns=DAY_NS)
    assert len(stage.writer.batches) > before + 3
    assert stage.books()["AAPL"] == ([], [])
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_one_command_stops_at_so_many_instants_and_says_that_it_is_not_there_yet():
    stage = driven()
    to_ns = OPENING_NS + (INSTANTS_MAX + 10) * DAY_NS
    moved = stage.command("clock.set", to_ns=to_ns)
    assert (moved["reached"], moved["instants"]) == (False, INSTANTS_MAX)
    moved = stage.command("clock.set", to_ns=to_ns)
    assert (moved["reached"], moved["instants"], moved["venue_ns"]) == (True, 10, to_ns)


@pytest.mark.parametrize(
    ("verb", "arguments", "error"),
    [
        ("clock.advance", {}, "by_ns"),
        ("clock.advance", {"by_ns": 0}, "by_ns"),
        ("clock.advance", {"by_ns": "5m"}, "by_ns"),
        ("clock.advance", {"by_ns": True}, "by_ns"),
        ("clock.set", {"to_ns": OPENING_NS - 1}, "not before venue time"),
        ("clock.set", {"to_ns": VENUE_NS_MAX + 1}, "2099"),
    ],
)
def test_time_goes_forward_only_and_not_for_ever(verb: str, arguments: dict, error: str):
    stage = driven()
    before = state_digest(stage.exchange)
    answer = stage.command(verb, **arguments)
    assert not answer["ok"]
    assert error in answer["error"]
    assert state_digest(stage.exchange) == before


@pytest.mark.parametrize("verb", ["clock.advance", "clock.set", "clock.next"])
def test_the_wall_cannot_be_driven(verb: str):
    stage = Stage()
    answer = stage.command(verb, by_ns=1, to_ns=MORNING_NS + 1)
    assert "--clock simulated" in answer["error"]
    assert stage.command("clock.show")["venue_ns"] == stage.now_ns


# ---------------------------------------------------------------- what is due while the clock stands


#: Clocks that stand ahead of the wall of these tests, and behind it.
AHEAD_AND_BEHIND = pytest.mark.parametrize("start_ns", [OPENING_NS, MORNING_NS - 100 * DAY_NS], ids=["ahead", "behind"])


def turned(stage: Stage) -> list[Said]:
    """What the gateway's next turns make of the present: it ticks as soon as something is due on the wall."""
    said: list[Said] = []
    while stage.exchange.next_deadline_ns() <= stage.now_ns:
        said += stage.tick(stage.now_ns)
    return said


def cancels(said: list[Said]) -> list[tuple[bytes, bytes, bytes]]:
    """ClOrdID(11), ExecRestatementReason(378) and TransactTime(60) of what was cancelled."""
    told = [dict(fields) for _, fields in said]
    return [(one[11], one[378], one[60]) for one in told if one[150] == b"4"]


@AHEAD_AND_BEHIND
def test_who_is_gone_without_grace_is_cancelled_at_once_though_the_clock_stands(start_ns: int) -> None:
    stage = Stage(with_counterparty(small_config(), cancel_on_disconnect=True, cancel_grace_s=0.0), clock_start_ns=start_ns)
    turned(stage)
    stage.log_on("ANNA")
    stage.say("ANNA", order("A"))
    assert turned(stage) == []
    stage.exchange.lose_link(stage.links["ANNA"], "cable", stage.now_ns)
    assert cancels(turned(stage)) == [(b"A", b"7", stamp(start_ns))]
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


@AHEAD_AND_BEHIND
def test_grace_waits_for_the_clock_and_not_for_the_wall(start_ns: int) -> None:
    stage = Stage(with_counterparty(small_config(), cancel_on_disconnect=True, cancel_grace_s=5.0), clock_start_ns=start_ns)
    turned(stage)
    stage.log_on("ANNA")
    stage.say("ANNA", order("A"))
    stage.exchange.lose_link(stage.links["ANNA"], "cable", stage.now_ns)
    stage.now_ns += DAY_NS
    assert turned(stage) == []
    _, said = stage.commanded("clock.advance", by_ns=5 * NS_PER_S)
    assert cancels(said) == [(b"A", b"7", stamp(start_ns + 5 * NS_PER_S))]


@AHEAD_AND_BEHIND
def test_who_lost_too_much_is_stopped_at_once_though_the_clock_stands(start_ns: int) -> None:
    stage = Stage(limited(Limits("session", "ALPHA", daily_loss_max=Decimal(1_000))), clock_start_ns=start_ns)
    turned(stage)
    stage.log_on("ALPHA", "BRAVO", "CHARLIE")
    for number, price in enumerate((b"50.00", b"30.00")):
        stage.command("clock.advance", by_ns=HOUR_NS)
        stage.say("BRAVO", order(f"S{number}", side=b"2", price=price))
        stage.say("ALPHA" if number == 0 else "CHARLIE", order(f"B{number}", price=price))
        if number == 0:
            assert turned(stage) == []
            stage.say("ALPHA", order("RESTS", price=b"20.00"))
    assert next_glance_ns(stage.exchange) <= stage.now_ns
    assert cancels(turned(stage)) == [(b"RESTS", b"8", stamp(start_ns + 2 * HOUR_NS))]
    assert next_glance_ns(stage.exchange) > stage.now_ns + DAY_NS
    ((_, refused),) = stage.say("ALPHA", order("MORE", price=b"25.00"))
    assert dict(refused)[58] == b"Daily loss limit reached (session)"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


@AHEAD_AND_BEHIND
def test_what_the_clock_jumped_over_between_two_starts_is_done_by_the_first_turn(start_ns: int) -> None:
    stage = Stage(clock_start_ns=start_ns)
    turned(stage)
    stage.log_on("ANNA")
    stage.say("ANNA", order("A"))
    later = restarted(stage, stage.now_ns + HOUR_NS, start_ns + 3 * DAY_NS)
    assert [dict(fields)[150] for _, fields in turned(later)] == [b"C"]
    assert turned(later) == []


# ---------------------------------------------------------------- starts


def restarted(stage: Stage, now_ns: int, clock_start_ns: int | None) -> Stage:
    writer = MemoryWriter(stage.writer.position)
    return Stage(stage.config, writer, list(stage.writer.batches), now_ns=now_ns, clock_start_ns=clock_start_ns)


def test_a_driven_clock_goes_on_where_it_was_when_nobody_says_otherwise():
    stage = driven()
    stage.command("clock.advance", by_ns=HOUR_NS)
    later = restarted(stage, stage.now_ns + 5 * DAY_NS, 0)
    assert later.exchange.venue_ns == OPENING_NS + HOUR_NS
    (start,) = each_record(later, Kind.START)
    assert start.time_ns == stage.now_ns + 5 * DAY_NS


def test_a_first_driven_start_that_is_not_told_where_begins_now():
    assert Stage(clock_start_ns=0).exchange.venue_ns == MORNING_NS


def test_a_directory_may_change_its_clock_as_long_as_venue_time_goes_on():
    wall = Stage()
    wall.log_on("ANNA")
    simulated = restarted(wall, wall.now_ns + HOUR_NS, OPENING_NS)
    assert simulated.exchange.venue_ns == OPENING_NS
    simulated.writer.batches = [*wall.writer.batches, *simulated.writer.batches]
    back = restarted(simulated, OPENING_NS + HOUR_NS, None)
    assert back.exchange.venue_ns == OPENING_NS + HOUR_NS
    assert back.exchange.core["venue_ns"] == 0


@pytest.mark.parametrize("clock_start_ns", [None, OPENING_NS - 1])
def test_a_start_that_would_turn_venue_time_back_is_refused(clock_start_ns: int | None):
    stage = driven()
    with pytest.raises(VenueError, match="would go back"):
        restarted(stage, stage.now_ns + HOUR_NS, clock_start_ns)
