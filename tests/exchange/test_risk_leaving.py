"""Who leaves, by a Logout, without one or against its will, and what becomes of its orders."""

import pytest

from exchange.limited import Trading
from exchange.stage import rehearsed, replayed
from exchange.test_risk import session
from fixsim.exchange.digest import state_digest


def leave(trading: Trading, name: str = "ALPHA") -> None:
    stage = trading.stage
    stage.exchange.lose_link(stage.links[name], "cable", stage.now_ns)
    stage.drain()


def log_out(trading: Trading, name: str = "ALPHA") -> None:
    trading.stage.say(name, [(35, b"5")])
    hang_up(trading)


def test_orders_of_a_lost_session_are_cancelled_after_its_grace_time_and_told_when_it_is_back() -> None:
    trading = Trading(counterparty={"cancel_on_disconnect": True, "cancel_grace_s": 5.0})
    trading.buy("ALPHA", 5, "10.00", "11=day")
    trading.buy("ALPHA", 5, "9.00", "11=gtc|59=1")
    leave(trading)
    assert trading.wait(4_999) == []
    trading.stage.log_on("ALPHA")
    assert trading.wait(10_000) == []  # it came back in time
    leave(trading)
    said = trading.wait(5_000)
    assert [(to, dict(told)[11], dict(told)[150], dict(told)[378]) for to, told in said] == [("ALPHA", b"day", b"4", b"7")]
    assert [dict(told).get(41) for _, told in said] == [None]
    assert trading.wait(5_000) == []


def test_grace_goes_on_across_a_restart() -> None:
    trading = Trading(counterparty={"cancel_on_disconnect": True, "cancel_grace_s": 5.0, "cancel_keeps_gtc": False})
    trading.buy("ALPHA", 5, "9.00", "11=gtc|59=1")
    trading.stage = replayed(trading.stage)  # whoever was connected is not any more
    said = trading.wait(5_000)
    assert [(to, dict(told)[11], dict(told)[378]) for to, told in said] == [("ALPHA", b"gtc", b"7")]


@pytest.mark.parametrize(("on_logout", "expected"), [(False, []), (True, [b"8"])])
def test_a_logout_is_no_lost_connection(on_logout: bool, expected: list[bytes]) -> None:
    trading = Trading(counterparty={"cancel_on_disconnect": True, "cancel_on_logout": on_logout})
    trading.buy("ALPHA", 5, "10.00")
    log_out(trading)
    assert [dict(told)[378] for _, told in trading.wait(1)] == expected


def hang_up(trading: Trading) -> None:
    """The gateway closes what has ended."""
    for link, reason in trading.stage.exchange.take_closings():
        trading.stage.exchange.lose_link(link, reason, trading.stage.now_ns)
    trading.stage.drain()


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("by", ["rate", "operator"])
@pytest.mark.parametrize("on_logout", [True, False])
def test_who_is_put_out_has_not_left_in_good_order(by: str, answers: bool, on_logout: bool) -> None:
    trading = Trading(
        session(message_rate=1, message_burst=1, message_rate_action="disconnect"),
        counterparty={"cancel_on_disconnect": True, "cancel_on_logout": on_logout, "cancel_grace_s": 5.0},
    )
    trading.buy("ALPHA", 5, "10.00", "11=rests")
    if by == "rate":
        trading.say("ALPHA", "35=H|54=1|11=rests")
    else:
        assert trading.stage.command("sessions.disconnect", session="ALPHA")["ok"]
    if answers:
        trading.stage.say("ALPHA", [(35, b"5")])
    else:
        trading.wait(60_000)  # until nobody waits for the answer any more
    hang_up(trading)
    assert trading.wait(4_999) == []
    said = trading.wait(1)
    assert [(to, dict(told)[11], dict(told)[378]) for to, told in said] == [("ALPHA", b"rests", b"7")]
    assert state_digest(rehearsed(trading.stage.writer.batches)) == state_digest(trading.stage.exchange)


def test_who_was_put_out_once_may_leave_in_good_order_the_next_time() -> None:
    trading = Trading(counterparty={"cancel_on_disconnect": True, "cancel_grace_s": 5.0})
    trading.buy("ALPHA", 5, "10.00")
    trading.stage.command("sessions.disconnect", session="ALPHA")
    log_out(trading)
    trading.stage.log_on("ALPHA")
    log_out(trading)
    assert trading.wait(60_000) == []


def test_nobody_is_cancelled_who_did_not_ask_for_it() -> None:
    trading = Trading()
    trading.buy("ALPHA", 5, "10.00")
    leave(trading)
    assert trading.wait(60_000) == []
