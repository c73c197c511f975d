"""Sessions over real sockets: any fragmentation, slow readers, and neighbours that do not notice."""

import contextlib
import socket
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Client, Stage, round_trip_s, running, small

from fixsim.config import Venue

IMPATIENT = Venue(stalled_reader_timeout_s=0.5)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running(small(), tmp_path) as stage:
        yield stage


def test_messages_may_be_cut_at_any_byte(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        length = len(client.order("X0"))
        client.next_out -= 1
        for cut in range(1, length, 7):
            frame = client.order(f"X{cut}")
            client.socket.sendall(frame[:cut])
            time.sleep(0.001)
            client.socket.sendall(frame[cut:])
            report = client.expect("8")
            assert (report.get(11), report.get(150)) == (b"X%d" % cut, b"0")


def test_many_messages_in_one_segment_are_answered_in_order(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        client.socket.sendall(b"".join(client.order(f"M{number}") for number in range(500)))
        for number in range(500):
            assert client.expect("8").get(11) == b"M%d" % number


def test_both_sides_of_a_trade_hear_of_it(stage: Stage) -> None:
    with stage.client("ONE") as one, stage.client("TWO") as two:
        one.log_on()
        two.log_on()
        one.socket.sendall(one.order("A", side=1))
        assert one.expect("8").get(150) == b"0"
        two.socket.sendall(two.order("B", side=2))
        assert two.expect("8").get(150) == b"0"
        sold, bought = two.expect("8"), one.expect("8")
        assert (sold.get(150), bought.get(150)) == (b"F", b"F")
        assert sold.get(527) == bought.get(527)


def test_what_a_lost_session_missed_is_sent_again(stage: Stage) -> None:
    with stage.client("MAKER") as maker:
        maker.log_on()
        maker.socket.sendall(maker.order("A", side=1))
        maker.expect("8")
    with stage.client("TAKER") as taker:
        taker.log_on()
        taker.socket.sendall(taker.order("B", side=2))
        taker.expect("8")
        taker.expect("8")
    with stage.client("MAKER") as maker:
        maker.next_out = 3
        maker.log_on(reset=False)
        maker.say("2", "7=3|16=0")
        missed = maker.expect("8")
        assert (missed.get(43), missed.get(150), missed.get(11)) == (b"Y", b"F", b"A")


def test_a_reader_that_never_reads_is_cut_and_its_messages_wait(tmp_path: Path) -> None:
    with running(small(IMPATIENT), tmp_path) as stage:
        with stage.client("SLOW") as slow:
            slow.log_on()
            said = 0
            slow.socket.settimeout(5)
            with contextlib.suppress(OSError):
                for _ in range(400):
                    slow.socket.sendall(b"".join(slow.frame("1", "112=" + "x" * 4_000) for _ in range(50)))
                    said += 50
            assert said > 1_000
            deadline = time.monotonic() + 20
            while stage.exchange.links and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not stage.exchange.links, "the link is still open"
        member = stage.exchange.members.find(b"SLOW")
        assert member is not None
        with stage.client("SLOW") as again:
            again.next_out = int(member.row["next_in"])
            again.log_on(reset=False)


def test_a_slow_reader_gets_everything_in_the_end(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        text = "x" * 8_000
        sender = threading.Thread(
            target=lambda: [client.socket.sendall(client.frame("1", f"112={text}")) for _ in range(2_000)]
        )
        sender.start()
        time.sleep(0.5)
        for number in range(2_000):
            beat = client.expect("0")
            assert beat.get_int(34) == number + 2
        sender.join()


def test_a_reset_in_the_middle_of_a_message_frees_the_session(stage: Stage) -> None:
    for _ in range(5):
        with stage.client() as client:
            client.log_on()
            client.socket.sendall(client.order("CUT")[:40])
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.05)


def test_a_slow_reader_that_resets_the_connection_frees_the_session(stage: Stage) -> None:
    for attempt in range(3):
        with stage.client("SLOW") as slow:
            slow.log_on()
            slow.socket.settimeout(0.5)
            with contextlib.suppress(OSError):
                for _ in range(300):  # more than the system keeps for a socket
                    slow.say("1", "112=" + "x" * 60_000)
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.05)
        with stage.client("OTHER") as other:
            other.log_on()
            assert round_trip_s(other, attempt) < 5


def test_logout_ends_with_the_last_byte_and_no_reset(stage: Stage) -> None:
    with stage.client() as client:
        client.log_on()
        client.say("5")
        client.socket.sendall(b"8=FIX.4.4\x01" * 1_000)  # unread bytes must not tear the Logout
        assert client.expect("5") is not None
        assert client.is_dropped()


def test_a_frame_longer_than_the_limit_is_garbled_and_the_session_goes_on(tmp_path: Path) -> None:
    with running(small(Venue(max_message_size=1_024)), tmp_path) as stage, stage.client() as client:
        assert client.log_on().get(383) == b"1024"
        client.say("1", "112=" + "x" * 2_000, seq=2)
        client.next_out = 2
        client.say("1", "112=short")
        assert client.expect("0").get(112) == b"short"


class Nuisance(threading.Thread):
    """Bad peers of every kind, as fast as one thread can be bad, until told to stop."""

    def __init__(self, port: int, kind: str) -> None:
        super().__init__()
        self.port, self.kind = port, kind
        self.enough = threading.Event()
        self.done = 0

    def run(self) -> None:
        kept: list[socket.socket] = []
        while not self.enough.is_set():
            with contextlib.suppress(OSError):
                self._once(kept)
            self.done += 1
            time.sleep(0.002)
        for one in kept:
            one.close()

    def _once(self, kept: list[socket.socket]) -> None:
        if self.kind == "flood of garbage on a session":
            if not kept:
                client = Client(self.port, "NUISANCE")
                client.log_on()
                kept.append(client.socket)
            kept[0].sendall(b"8=FIX.4.4\x019=20\x0135=" + b"z" * 4_000)
            return
        one = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        match self.kind:
            case "connections without a word":
                kept.append(one)
                if len(kept) > 200:
                    kept.pop(0).close()
            case "bytes without a logon":
                one.sendall(b"x" * 10_000)
                one.close()
            case "endless body":
                one.sendall(b"8=FIX.4.4\x019=60000\x0135=A\x01" + b"1" * 20_000)
                kept.append(one)
                if len(kept) > 20:
                    kept.pop(0).close()
            case "unknown sessions":
                client = Client(self.port, "NUISANCE", "WRONG")
                client.say("A", "98=0|108=0|141=Y")
                client.socket.close()
                one.close()


@pytest.mark.parametrize(
    "kind",
    [
        "connections without a word",
        "bytes without a logon",
        "endless body",
        "unknown sessions",
        "flood of garbage on a session",
    ],
)
def test_a_nuisance_does_not_slow_its_neighbours_down(stage: Stage, kind: str) -> None:
    with stage.client("GOOD") as good:
        good.log_on()
        quiet = [round_trip_s(good, number) for number in range(200)]
        nuisance = Nuisance(stage.port, kind)
        nuisance.start()
        try:
            time.sleep(0.2)
            troubled = [round_trip_s(good, number) for number in range(200)]
        finally:
            nuisance.enough.set()
            nuisance.join()
        assert nuisance.done > 5
        # generous: the nuisance shares this interpreter with both ends, which a real one does not
        assert statistics.median(troubled) < statistics.median(quiet) + 0.02
        assert max(troubled) < 1.0
