"""Two ways round the loop, one meaning: turns in compiled code and turns in plain Python hear the same bytes, and say, record
and remember the same.
"""

import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conversations.street import MovedClock
from exchange.stage import small_config
from flows import SESSIONS, frames, seeded_flow

from fixsim.exchange.digest import state_digest
from fixsim.exchange.opening import open_venue
from fixsim.fix.codec import encode
from fixsim.gateway.acceptor import bind
from fixsim.gateway.server import Server
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind
from fixsim.units import NS_PER_S, parse_utc_timestamp

START_NS = parse_utc_timestamp(b"20240102-10:00:00.000") or 0
STRUCTURE = (Kind.SEAL, Kind.SEGMENT, Kind.START)


class Venue:
    """A whole server on one thread with us, and a client for each session."""

    def __init__(self, data_dir: Path) -> None:
        self.clock, self.data_dir = MovedClock(), data_dir
        self.clock.at_ns = START_NS
        self.opened = open_venue(small_config(), data_dir, START_NS)
        self._listener = bind("127.0.0.1", 0)
        self.server = Server(self.opened, self.clock, self._listener, None, data_dir)  # type: ignore[arg-type]
        self.server.open()
        self.compiled = 0
        self.links: dict[str, socket.socket] = {}
        self.heard: dict[str, bytearray] = {name: bytearray() for name in SESSIONS}
        for name in SESSIONS:
            self.links[name] = socket.create_connection(self._listener.getsockname(), timeout=5)
            header = [(49, name.encode()), (56, b"FIXSIM"), (34, b"1"), (52, b"20240102-10:00:00.000")]
            self.server.turn(1)  # it is accepted
            self.say(name, encode(b"A", header, [(98, b"0"), (108, b"0")]))

    def say(self, name: str, octets: bytes) -> None:
        """Let some of a session's bytes arrive, and the server turn."""
        self.clock.at_ns += 1_000_000
        self.links[name].sendall(octets)
        for wait_s in (1, 0):
            self.server.turn(wait_s)
            self.compiled += self._loop()
        self._hear()

    def _loop(self) -> int:
        lane: Any = self.server._lane
        return 0 if lane is None else int(lane.tables.loop[0]["filled"])

    def _hear(self) -> None:
        for name, link in self.links.items():
            while select.select([link], [], [], 0)[0] and (chunk := link.recv(1 << 16)):
                self.heard[name] += chunk

    def story(self) -> list[tuple[Any, ...]]:
        """Everything in the journal but its structure."""
        return [
            (record.kind, record.time_ns, record.session, record.run, record.seq, bytes(record.payload))
            for batch in Reader(journal_directory(self.data_dir)).batches()
            for record in records(batch.view)
            if record.kind not in STRUCTURE
        ]

    def digest(self) -> str:
        """Of the whole state. Batches may end elsewhere: positions of records are left out."""
        exchange = self.opened.exchange
        for member in exchange.members.by_slot.values():
            member.row["last_out"] = 0
        return state_digest(exchange)

    def settle(self) -> None:
        """Everything that was said has come."""
        for name, link in self.links.items():
            last = b"112=%b-is-done" % name.encode()
            member = self.opened.exchange.members.find(name.encode())
            assert member is not None
            number = b"%d" % int(member.row["next_in"])
            header = [(49, name.encode()), (56, b"FIXSIM"), (34, number), (52, b"20240102-10:00:00.000")]
            self.say(name, encode(b"1", header, [(112, last[4:])]))
            while last not in self.heard[name]:
                assert select.select([link], [], [], 5)[0]
                self._hear()

    def close(self) -> None:
        for link in self.links.values():
            link.close()
        self.server.stop("the test is over")
        self.clock.at_ns += 60 * NS_PER_S
        self.server.run()
        self.opened.writer.close()


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Venue, Venue]]:
    """The same venue with the compiled loop, and without."""
    compiled = Venue(tmp_path / "compiled")
    monkeypatch.setenv("FIXSIM_PLAIN_LOOP", "1")
    plain = Venue(tmp_path / "plain")
    yield compiled, plain
    compiled.close()
    plain.close()


def cut(random: Random, said: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The bytes of each session in order, in pieces that end anywhere, the sessions in any order."""
    streams = {name: b"".join(frame for who, frame in said if who == name) for name in SESSIONS}
    while any(streams.values()):
        name = random.choice([name for name, stream in streams.items() if stream])
        size = random.choice((1, 7, 60, 150, 400, 3_000))
        yield name, streams[name][:size]
        streams[name] = streams[name][size:]


@pytest.mark.parametrize("seed", range(6))
def test_the_compiled_loop_means_what_the_plain_one_means(both: tuple[Venue, Venue], seed: int) -> None:
    compiled, plain = both
    said = list(frames(seeded_flow(seed, 400), first=2))
    for name, piece in cut(Random(seed), said):
        for venue in both:
            venue.say(name, piece)
    for venue in both:
        venue.settle()
    assert compiled.heard == plain.heard
    assert compiled.story() == plain.story()
    assert compiled.digest() == plain.digest()
    assert compiled.compiled > 10 and plain.compiled == 0


def test_garbled_bytes_between_orders_stop_neither(both: tuple[Venue, Venue]) -> None:
    random = Random(7)
    said = list(frames(seeded_flow(7, 200, flawed=0), first=2))
    spoiled = [(name, frame if random.random() < 0.9 else frame[:20] + b"x" + frame[20:] + frame) for name, frame in said]
    for name, piece in cut(random, spoiled):
        for venue in both:
            venue.say(name, piece)
    for venue in both:
        venue.settle()
    assert both[0].heard == both[1].heard and both[0].story() == both[1].story()


def test_a_reader_that_is_behind_gets_everything_in_order(both: tuple[Venue, Venue]) -> None:
    """More is said than the sockets hold: what the loop could not send is the outbox's, to the byte."""
    for venue in both:
        venue.links["ALPHA"].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    said = b"".join(frame for name, frame in frames(seeded_flow(3, 12_000, flawed=0, sessions=("ALPHA",)), first=2))
    heard = []
    for venue in both:
        link, got = venue.links["ALPHA"], bytearray()
        link.setblocking(False)
        at, limit = 0, time.monotonic() + 60
        while b"\x0111=A-12000\x01" not in got[-4_096:]:
            assert time.monotonic() < limit
            at += _push(link, said[at : at + 50_000])
            venue.server.turn(0.001)
            if at == len(said):
                got += _pull(link, 20_000)
        heard.append(bytes(got))
        link.settimeout(5)
    assert heard[0] == heard[1] and len(heard[0]) > 3_000_000


def _push(link: socket.socket, octets: bytes) -> int:
    try:
        return link.send(octets) if octets else 0
    except BlockingIOError:
        return 0


def _pull(link: socket.socket, most: int) -> bytes:
    try:
        return link.recv(most)
    except BlockingIOError:
        return b""
