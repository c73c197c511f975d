"""Strangers: bounded, dropped without a word, logged once a minute."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import CAPACITIES, Client, Stage, running, small

from fixsim.config import Counterparty, Venue
from fixsim.gateway.credentials import FAILURES_MAX, hash_password
from fixsim.gateway.log import LOGGER

QUICK = Venue(logon_timeout_s=0.5)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    LOGGER.addHandler(caplog.handler)
    yield caplog
    LOGGER.removeHandler(caplog.handler)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running(small(QUICK), tmp_path) as stage:
        yield stage


def assert_still_open_for_business(stage: Stage) -> None:
    with stage.client("GOOD") as good:
        good.log_on()
        good.say("5")
        good.expect("5")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x01" * 100,
        b"8=FIX.4.4\x019=-5\x0135=A\x01",
        b"8=FIX.4.4\x019=99999999999\x0135=A\x01",
        b"8=FIX.4.4\x019=x\x0135=A\x01",
        b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01" * 2,
    ],
)
def test_bytes_that_are_no_logon_are_dropped_at_once_or_in_time(stage: Stage, octets: bytes) -> None:
    with stage.client() as client:
        client.socket.sendall(octets)
        assert client.is_dropped(5)
    assert_still_open_for_business(stage)


def test_a_logon_with_a_wrong_body_length_is_dropped(stage: Stage) -> None:
    for wrong in (1, -1, 40):
        with stage.client() as client:
            frame = client.frame("A", "98=0|108=0|141=Y")
            at = frame.index(b"9=") + 2
            length = int(frame[at : frame.index(b"\x01", at)])
            client.socket.sendall(frame.replace(b"9=%d" % length, b"9=%d" % (length + wrong), 1))
            assert client.is_dropped(5)


@pytest.mark.parametrize(
    ("msg_type", "sender", "target", "begin"),
    [
        ("0", "CLIENT", "FIXSIM", b"8=FIX.4.4"),
        ("D", "CLIENT", "FIXSIM", b"8=FIX.4.4"),
        ("A", "CLIENT", "OTHER", b"8=FIX.4.4"),
        ("A", "CLIENT", "FIXSIM", b"8=FIX.4.2"),
    ],
)
def test_first_messages_nobody_answers(stage: Stage, msg_type: str, sender: str, target: str, begin: bytes) -> None:
    with Client(stage.port, sender, target) as client:
        frame = client.frame(msg_type, "98=0|108=30|141=Y" if msg_type == "A" else "")
        body = frame[: -len(b"10=000\x01")].replace(b"8=FIX.4.4", begin)
        client.socket.sendall(body + b"10=%03d\x01" % (sum(body) % 256))
        assert client.is_dropped(5)


def test_a_logon_sent_long_ago_is_dropped(stage: Stage) -> None:
    with stage.client() as client:
        client.say("A", "98=0|108=0|141=Y", at_ns=time.time_ns() - 121 * 10**9)
        assert client.is_dropped(5)


def test_an_unknown_sender_is_dropped(tmp_path: Path) -> None:
    with running(small(QUICK, counterparties=(Counterparty("ALICE"),)), tmp_path) as stage:
        with stage.client("MALLORY") as client:
            client.say("A", "98=0|108=0|141=Y")
            assert client.is_dropped()
        with stage.client("ALICE") as client:
            client.log_on()


def test_addresses_that_are_not_allowed_are_dropped(tmp_path: Path) -> None:
    elsewhere = Counterparty("ALICE", allowed_addresses=("10.0.0.0/8",))
    here = Counterparty("BOB", allowed_addresses=("127.0.0.0/8",))
    with running(small(QUICK, counterparties=(elsewhere, here)), tmp_path) as stage:
        with stage.client("ALICE") as client:
            client.say("A", "98=0|108=0|141=Y")
            assert client.is_dropped()
        with stage.client("BOB") as client:
            client.log_on()


def test_the_second_connection_of_a_session_is_dropped_and_the_first_goes_on(stage: Stage) -> None:
    with stage.client() as first, stage.client() as second:
        first.log_on()
        second.say("A", "98=0|108=0|141=Y")
        assert second.is_dropped()
        first.say("1", "112=ping")
        assert first.expect("0").get(112) == b"ping"


def test_losing_the_connection_frees_the_session_at_once(stage: Stage) -> None:
    for _ in range(20):
        with stage.client() as client:
            client.log_on()


@pytest.mark.parametrize("said", [b"", b"8=FIX.4.4\x019=70\x0135=A\x01"])
def test_a_logon_that_never_comes_is_not_waited_for(stage: Stage, said: bytes) -> None:
    with stage.client() as client:
        client.socket.sendall(said)
        began = time.monotonic()
        assert client.is_dropped(5)
        assert time.monotonic() - began < 2


def test_one_byte_at_a_time_does_not_buy_more_time(stage: Stage) -> None:
    with stage.client() as client:
        frame = client.frame("A", "98=0|108=0|141=Y")
        began = time.monotonic()
        with pytest.raises(OSError):
            for octet in frame * 3:
                client.socket.sendall(bytes([octet]))
                time.sleep(0.05)
        assert time.monotonic() - began < 2


def test_a_logon_may_come_in_any_pieces(stage: Stage) -> None:
    with stage.client() as client:
        for octet in client.frame("A", "98=0|108=0|141=Y") + client.frame("1", "112=a"):
            client.socket.sendall(bytes([octet]))
        client.expect("A")
        client.expect("0")


def test_the_oldest_stranger_makes_way(stage: Stage) -> None:
    crowd = [socket.create_connection(("127.0.0.1", stage.port)) for _ in range(4 * CAPACITIES.greetings)]
    try:
        assert_still_open_for_business(stage)
        crowd[0].settimeout(5)
        assert crowd[0].recv(1) == b""
    finally:
        for one in crowd:
            one.close()


def test_strangers_leave_nothing_in_the_journal_and_one_line_in_the_log(stage: Stage, log: pytest.LogCaptureFixture) -> None:
    before = stage.opened.writer.position
    for _ in range(50):
        with stage.client() as client:
            client.socket.sendall(b"nonsense")
            assert client.is_dropped()
    assert stage.opened.writer.position == before
    assert sum("first bytes are not FIX" in record.getMessage() for record in log.records) in (1, 2)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Stage]:
    entries = (
        Counterparty("ALICE", password_hash=hash_password(b"open sesame")),
        Counterparty("BOB", username="bob", password_hash=hash_password(b"letmein")),
        Counterparty("*"),
    )
    with running(small(counterparties=entries), tmp_path) as stage:
        yield stage


def test_the_right_password_opens(guarded: Stage) -> None:
    with guarded.client("ALICE") as client:
        client.log_on("553=anybody|554=open sesame")
        client.say("1", "112=x")
        client.expect("0")
    with guarded.client("BOB") as client:
        client.log_on("553=bob|554=letmein")


@pytest.mark.parametrize(
    ("sender", "credentials"),
    [
        ("ALICE", ""),
        ("ALICE", "554=open"),
        ("BOB", "554=letmein"),
        ("BOB", "553=eve|554=letmein"),
        ("BOB", "553=bob|554=wrong"),
    ],
)
def test_wrong_credentials_get_a_logout_with_a_text(guarded: Stage, sender: str, credentials: str) -> None:
    with guarded.client(sender) as client:
        client.say("A", f"98=0|108=0|141=Y|{credentials}")
        assert client.expect("5").get(58) == b"Invalid Username(553) or Password(554)"
        assert client.is_dropped()


def test_what_follows_a_logon_waits_for_the_verdict(guarded: Stage) -> None:
    with guarded.client("ALICE") as client:
        logon = client.frame("A", "98=0|108=0|141=Y|554=open sesame")
        client.socket.sendall(logon + client.frame("1", "112=early"))
        client.expect("A")
        assert client.expect("0").get(112) == b"early"


def test_guessing_is_slowed_down_and_does_not_lock_others_out(guarded: Stage) -> None:
    answered = 0
    for _ in range(4 * FAILURES_MAX):
        with guarded.client("ALICE") as client:
            client.say("A", "98=0|108=0|141=Y|554=guess")
            answered += client.hear() is not None
    assert FAILURES_MAX <= answered <= FAILURES_MAX + 4
    with guarded.client("BOB") as client:
        client.log_on("553=bob|554=letmein")


def test_passwords_are_nowhere_in_clear(guarded: Stage, log: pytest.LogCaptureFixture) -> None:
    for password in ("open sesame", "wrong guess"):
        with guarded.client("ALICE") as client:
            client.say("A", f"98=0|108=0|141=Y|554={password}")
            assert client.hear() is not None
    for file in guarded.data_dir.rglob("*.fixj"):
        held = file.read_bytes()
        assert b"open sesame" not in held and b"wrong guess" not in held and b"argon2" not in held
    assert not any("sesame" in record.getMessage() or "guess" in record.getMessage() for record in log.records)
