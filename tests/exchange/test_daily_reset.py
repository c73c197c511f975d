"""The daily reset of sequence numbers: at a time of day, slept over or not, and the same when the journal is replayed."""

from dataclasses import replace

from exchange.stage import DAY_NS, MORNING_NS, MemoryWriter, Stage, small_config
from fixsim.exchange.day import next_time_of_day
from fixsim.exchange.digest import state_digest
from fixsim.layout import NEVER

NOON_NS = MORNING_NS + 2 * 3_600_000_000_000


def resetting_at(time_of_day: str):
    config = small_config()
    return replace(config, venue=replace(config.venue, reset_time=time_of_day))


def test_the_next_reset_is_the_first_instant_of_that_time_of_day_behind_now():
    noon = 12 * 3_600_000_000_000
    assert next_time_of_day(None, MORNING_NS) == NEVER
    assert next_time_of_day(noon, MORNING_NS) == NOON_NS
    assert next_time_of_day(noon, NOON_NS) == NOON_NS + DAY_NS


def test_sessions_that_are_offline_restart_at_one_in_a_new_run():
    stage = Stage(resetting_at("12:00:00"))
    stage.log_on("ANNA")
    stage.exchange.lose_link(stage.links["ANNA"], "gone", stage.now_ns)
    member = stage.exchange.members.by_name[b"ANNA"]
    assert (member.row["next_in"], member.row["next_out"], member.run) == (2, 2, 0)
    stage.exchange.tick(NOON_NS - 1)
    assert member.row["next_in"] == 2
    stage.exchange.tick(NOON_NS)
    assert (member.row["next_in"], member.row["next_out"], member.run) == (1, 1, 1)


def test_a_session_that_is_connected_gets_a_logout_and_restarts_when_it_is_gone():
    stage = Stage(resetting_at("12:00:00"))
    stage.log_on("ANNA")
    member = stage.exchange.members.by_name[b"ANNA"]
    stage.exchange.tick(NOON_NS)
    assert (member.row["next_out"], member.run) == (3, 0)
    stage.exchange.lose_link(stage.links["ANNA"], "gone", NOON_NS)
    assert (member.row["next_in"], member.row["next_out"], member.run) == (1, 1, 1)


def test_a_reset_that_was_slept_over_is_made_up_at_the_start_and_replays_alike():
    config = resetting_at("12:00:00")
    stage = Stage(config)
    stage.log_on("ANNA")
    stage.exchange.commit()
    later = Stage(config, MemoryWriter(stage.writer.position), stage.writer.batches, now_ns=NOON_NS + 1)
    member = later.exchange.members.by_name[b"ANNA"]
    assert (member.row["next_in"], member.row["next_out"], member.run) == (1, 1, 1)
    again = Stage(
        config, MemoryWriter(later.writer.position), [*stage.writer.batches, *later.writer.batches], now_ns=NOON_NS + 1
    )
    assert again.exchange.members.by_name[b"ANNA"].run == 1
    assert again.exchange.reset_at_ns == later.exchange.reset_at_ns
    assert state_digest(again.exchange) == state_digest(later.exchange)
