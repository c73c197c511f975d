"""A configuration that changes in the middle of a day: sessions and orders go on, and a replay agrees."""

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.stage import MORNING_NS, MemoryWriter, Stage, rehearsed, small_config, with_counterparty
from fixsim.config import Config, Counterparty, Instrument, Limits, Permissions
from fixsim.config.schedules import Schedule, Step
from fixsim.errors import VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.payloads import config_payload
from fixsim.exchange.reload import change_faults

BASE = replace(small_config(), counterparties=(Counterparty("ANNA"), Counterparty("BERT"), Counterparty("*")))


def reload(stage: Stage, config: Config):
    assert change_faults(stage.exchange, config) == []
    stage.exchange.reload(config, config_payload(config, "test", "because", stage.exchange.venue_ns), stage.now_ns)
    stage.config = config
    return stage.drain()


def order(cl_ord_id: str, *, symbol: bytes = b"AAPL", qty: bytes = b"100", price: bytes = b"10.00"):
    return [
        (35, b"D"), (11, cl_ord_id.encode()), (55, symbol), (54, b"1"), (38, qty), (40, b"2"), (44, price),
        (60, b"20240102-10:00:00.000"),
    ]  # fmt: skip


def answer(said) -> dict[int, bytes]:
    return dict(said[-1][1])


def with_instrument(config: Config, symbol: str, **changes) -> Config:
    entries = [replace(entry, **changes) if entry.symbol == symbol else entry for entry in config.instruments]
    return replace(config, instruments=tuple(entries))


def test_a_connected_session_goes_on_and_may_do_less_from_the_next_message_on():
    stage = Stage(BASE)
    stage.log_on("ANNA", "BERT")
    stage.say("ANNA", order("A"))
    only_sell = Permissions(sides=("sell",))
    entries = (replace(BASE.counterparties[0], permissions=only_sell), *BASE.counterparties[1:])
    assert reload(stage, replace(BASE, counterparties=entries)) == []
    assert answer(stage.say("ANNA", order("B")))[58] == b"Not permitted"
    assert answer(stage.say("BERT", order("C")))[150] == b"0"
    reload(stage, BASE)
    assert answer(stage.say("ANNA", order("D")))[150] == b"0"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_session_is_held_against_the_dictionary_as_strictly_as_it_now_says():
    stage = Stage(BASE)
    stage.log_on("ANNA")
    odd = [*order("A"), (9_999, b"x")]
    assert answer(stage.say("ANNA", odd))[35] == b"3"
    reload(stage, replace(BASE, counterparties=(replace(BASE.counterparties[0], strictness="off"), *BASE.counterparties[1:])))
    assert answer(stage.say("ANNA", odd))[150] == b"0"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_who_is_no_counterparty_any_more_is_logged_out_and_its_orders_stay():
    stage = Stage(BASE)
    stage.log_on("ANNA", "BERT")
    stage.say("BERT", order("B"))
    ((name, fields),) = reload(stage, replace(BASE, counterparties=(Counterparty("ANNA"),)))
    assert (name, fields) == ("BERT", [(35, b"5"), (58, b"No longer a counterparty")])
    stage.say("BERT", [(35, b"5")])
    stage.exchange.lose_link(stage.links["BERT"], "gone", stage.now_ns)
    assert stage.exchange.admits(b"BERT", b"FIXSIM", "127.0.0.1").refusal == "unknown SenderCompID(49)"
    assert [order[1] for order in stage.books()["AAPL"][0][0][1]] == [b"B"]
    assert answer(stage.say("ANNA", order("A")))[150] == b"0"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_limits_of_an_instrument_hold_through_both_doors_from_the_reload_on():
    smaller = with_instrument(BASE, "AAPL", max_qty=Decimal(500))
    for fast in (True, False):
        stage = Stage(BASE)
        stage.exchange.fast_door = fast
        stage.log_on("ANNA")
        assert answer(stage.say("ANNA", order("A", qty=b"600")))[150] == b"0"
        reload(stage, smaller)
        assert answer(stage.say("ANNA", order("B", qty=b"600")))[103] == b"3"
        assert answer(stage.say("ANNA", order("C", qty=b"500")))[150] == b"0"
        reload(stage, BASE)
        assert answer(stage.say("ANNA", order("D", qty=b"600")))[150] == b"0"
        assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_new_instrument_is_traded_at_once():
    stage = Stage(BASE)
    stage.log_on("ANNA")
    assert answer(stage.say("ANNA", order("A", symbol=b"NEWCO")))[103] == b"1"
    newco = Instrument("NEWCO", Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000))
    reload(stage, replace(BASE, instruments=(*BASE.instruments, newco)))
    assert answer(stage.say("ANNA", order("B", symbol=b"NEWCO")))[150] == b"0"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_times_are_written_as_precisely_as_it_now_says():
    stage = Stage(BASE)
    stage.log_on("ANNA")
    finer = replace(BASE, venue=replace(BASE.venue, timestamp_precision="us"))
    stage.exchange.reload(finer, config_payload(finer, "test", "", stage.now_ns), stage.now_ns)
    stage.feed("ANNA", stage.frame("ANNA", order("A")))
    stage.exchange.commit()
    assert b"\x0160=20240102-10:00:00.000000\x01" in bytes(stage.writer.batches[-1][1])
    assert b"\x0152=20240102-10:00:00.000000\x01" in bytes(stage.writer.batches[-1][1])
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_logon_after_the_reload_is_held_to_the_new_limits():
    stage = Stage(BASE)
    stage.log_on("ANNA")
    reload(stage, replace(BASE, counterparties=(Counterparty("*", heartbeat_min_s=10, heartbeat_max_s=20),)))
    stage.connect("CARA", 30)
    assert answer(stage.drain())[35] == b"5"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_what_the_state_forbids_is_told_all_at_once():
    stage = Stage(BASE)
    kept = tuple(entry for entry in BASE.instruments if entry.symbol != "AAPL")
    kept = (replace(kept[0], tick_size=Decimal("0.5")), *kept[1:])
    venue = replace(BASE.venue, comp_id="OTHER", avg_px_decimals=4)
    changed = replace(BASE, instruments=kept, venue=venue)
    faults = change_faults(stage.exchange, changed)
    assert [key for key, _ in faults] == ["capacities", "venue.comp_id", "instruments[AAPL]", f"instruments[{kept[0].symbol}]"]
    with pytest.raises(VenueError) as refused:
        Stage(changed, MemoryWriter(stage.writer.position), stage.writer.batches)
    assert len(str(refused.value).splitlines()) == len(faults)


def test_a_restart_goes_on_under_what_was_reloaded():
    stage = Stage(BASE)
    stage.log_on("ANNA")
    smaller = with_instrument(BASE, "AAPL", max_qty=Decimal(500))
    reload(stage, smaller)
    again = Stage(smaller, MemoryWriter(stage.writer.position), stage.writer.batches, now_ns=stage.now_ns)
    again.numbers["ANNA"] = stage.numbers["ANNA"]
    again.log_on("ANNA")
    assert answer(again.say("ANNA", order("B", qty=b"600")))[103] == b"3"


def test_secrets_do_not_reach_the_journal():
    config = with_counterparty(small_config(), password_hash="$argon2id$secret")
    assert b"secret" not in config_payload(config, "test", "", MORNING_NS)


NEVER_OPEN = Schedule("SHUT", (Step("00:00:01", "pre-open"), Step("00:00:02", "closed")))
ALL_DAY = Schedule("OPEN", (Step("00:00:01", "continuous"), Step("23:59:59", "closed")))


def test_an_instrument_goes_on_in_the_phase_of_its_new_schedule():
    def scheduled(name: str | None) -> Config:
        return replace(with_instrument(BASE, "AAPL", schedule=name), schedules=(NEVER_OPEN, ALL_DAY))

    stage = Stage(scheduled("OPEN"))
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"
    for name, phase in (("SHUT", "closed"), ("OPEN", "continuous"), ("SHUT", "closed"), (None, "continuous")):
        reload(stage, scheduled(name))
        assert stage.command("phase", symbol="AAPL")["phase"] == phase
    stage.command("phase", symbol="AAPL", phase="volatility-auction")
    reload(stage, replace(scheduled(None), venue=replace(BASE.venue, max_message_size=9_000)))
    assert stage.command("phase", symbol="AAPL")["phase"] == "volatility-auction", "nothing has changed for it"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


@pytest.mark.parametrize(
    "limits",
    [
        Limits("session", "ANNA", order_qty_max=Decimal("9e18"), position_max=Decimal("9e18")),
        Limits("instrument", "AAPL", order_qty_max=Decimal("9e18"), price_max=Decimal("9e18")),
    ],
)
def test_a_limit_larger_than_anything_that_could_meet_it_limits_nothing(limits: Limits):
    tiny = Decimal("1e-9")
    config = with_instrument(BASE, "AAPL", tick_size=tiny, lot_size=tiny, min_qty=tiny, max_qty=Decimal(1))
    stage = Stage(config)
    stage.log_on("ANNA")
    stage.say("ANNA", order("A", qty=b"0.001", price=b"0.001"))
    reload(stage, replace(config, limits=(limits,)))
    assert answer(stage.say("ANNA", order("B", qty=b"0.001", price=b"0.001")))[150] == b"0"


def test_a_lowest_price_above_any_that_an_order_may_have_refuses_all_of_them():
    config = with_instrument(BASE, "AAPL", tick_size=Decimal("1e-9"))
    stage = Stage(config)
    stage.log_on("ANNA")
    reload(stage, replace(config, limits=(Limits("instrument", "AAPL", price_min=Decimal("9e18")),)))
    assert answer(stage.say("ANNA", order("A", price=b"1")))[150] == b"8"


def test_a_kill_switch_can_be_lifted_when_nobody_has_that_name_any_more():
    config = replace(BASE, counterparties=(Counterparty("ANNA", firm="ONE"), Counterparty("BERT")))
    stage = Stage(config)
    stage.log_on("ANNA")
    assert stage.command("kill", switch="on", scope="firm", name="ONE")["ok"]
    reload(stage, replace(config, counterparties=(Counterparty("ANNA"), Counterparty("BERT"))))
    assert stage.command("kill", switch="off", scope="firm", name="ONE") == {"ok": True, "switches": [], "cancelled": 0}
    assert stage.command("kill", switch="off", scope="firm", name="ONE")["error"] == "unknown firm 'ONE'"
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)
