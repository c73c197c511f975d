"""Limits at the street: a socket that is not read for a while, a reader that is cut, and what the operator's commands show."""

import time
from decimal import Decimal
from pathlib import Path

import pytest
from stage import Stage, running, small

from fixsim.cli.main import main
from fixsim.config import Config, Counterparty, Limits
from fixsim.gateway.control import ask
from fixsim.gateway.poller import READ

QUEUED = Limits("session", "SLOW", message_rate=20, message_burst=2, message_rate_action="queue")


def limited(*limits: Limits) -> Config:
    return small(limits=limits, counterparties=(Counterparty("*", firm="NORTH"),))


def test_a_session_beyond_its_rate_is_not_read_until_it_may_say_more(tmp_path: Path) -> None:
    with running(limited(QUEUED), tmp_path) as venue, venue.client("SLOW") as slow, venue.client("QUICK") as quick:
        slow.log_on()
        quick.log_on()
        began = time.monotonic()
        slow.socket.sendall(b"".join(slow.order(f"S{number}") for number in range(12)))
        assert [slow.expect("8").get(150) for _ in range(2)] == [b"0", b"0"]
        (waiting,) = [one for one in venue.server._street._connections.values() if one.waits_ns]
        assert waiting.mask & READ == 0  # what it says meanwhile stays in the socket
        quick.socket.sendall(quick.order("Q1"))
        assert quick.expect("8").get(150) == b"0"
        assert time.monotonic() - began < 0.5
        assert [slow.expect("8").get(11) for _ in range(10)] == [b"S%d" % number for number in range(2, 12)]
        assert time.monotonic() - began > 0.45  # twenty a second
        slow.say("1", "112=still there")
        assert slow.expect("0").get(112) == b"still there"


#: 2030-05-06 08:00 UTC, ahead of the wall.
AHEAD_NS = 1_904_284_800_000_000_000


def test_who_lost_too_much_is_stopped_at_once_though_the_clock_stands_ahead_of_the_wall(tmp_path: Path) -> None:
    limits = Limits("session", "LOSER", daily_loss_max=Decimal(50)), Limits("instrument", "*", price_max=Decimal(1_000))
    stage = Stage(limited(*limits), tmp_path, clock_start_ns=AHEAD_NS)
    with stage as venue, venue.client("LOSER") as loser, venue.client("MAKER") as maker, venue.client("OTHER") as other:
        for client in (loser, maker, other):
            client.log_on()
        for seller, buyer, price in ((maker, loser, "20.00"), (maker, other, "10.00")):
            ask(venue.data_dir, "clock.advance", {"by_ns": 2_000_000_000})
            seller.socket.sendall(seller.order(f"S{price}", side=2, price=price))
            assert seller.expect("8").get(150) == b"0"
            buyer.socket.sendall(buyer.order(f"B{price}", price=price))
            assert [buyer.expect("8").get(150) for _ in range(2)] == [b"0", b"F"]
            assert seller.expect("8").get(150) == b"F"
            if buyer is loser:
                loser.socket.sendall(loser.order("RESTS", price="5.00"))
                assert loser.expect("8").get(150) == b"0"
        pulled = loser.expect("8", timeout_s=0.4)
        assert (pulled.get(11), pulled.get(150), pulled.get(378)) == (b"RESTS", b"4", b"8")
        assert pulled.get(60) == b"20300506-08:00:04.000"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0
    return capsys.readouterr().out


def test_limits_and_kill_switches_are_shown_and_turned_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits("firm", "NORTH", open_orders_max=7, position_max=Decimal(500))
    where = ("--data-dir", str(tmp_path))
    with running(limited(limits), tmp_path) as venue, venue.client("DESK") as desk:
        desk.log_on()
        desk.socket.sendall(desk.order("D1", qty=30))
        desk.expect("8")
        shown = said(capsys, "limits", "--scope", "firm", *where)
        assert "NORTH" in shown and "AAPL" in shown and "500" in shown
        assert "1 orders cancelled" in said(capsys, "kill", "on", "firm", "NORTH", "--why", "drill", *where)
        assert desk.expect("8").get(378) == b"8"
        assert "firm" in said(capsys, "kill", "show", *where)
        desk.socket.sendall(desk.order("D2"))
        assert desk.expect("8").get(58) == b"Kill switch is on (firm)"
        said(capsys, "kill", "off", "firm", "NORTH", *where)
        desk.socket.sendall(desk.order("D3"))
        assert desk.expect("8").get(150) == b"0"
        assert '"requests": 0' in said(capsys, "limits", "reset", "firm", "NORTH", "--json", *where)


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(limited(QUEUED), tmp_path), pytest.raises(SystemExit) as end:
        main(["kill", "on", "firm", "SOUTH", "--data-dir", str(tmp_path)])
    assert end.value.code == 2
    assert capsys.readouterr().err == "fixsim: unknown firm 'SOUTH'\n"
