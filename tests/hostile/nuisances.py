"""Bad peers, each as bad as one process can be, and a good one that measures what it feels of them.

    python -m hostile.nuisances PORT SECONDS KIND...      (from the tests folder; KIND as in NUISANCES)

A nuisance is a generator: each step is one thing it does to the venue at 127.0.0.1:port. It never means to succeed.
"""

import contextlib
import itertools
import multiprocessing
import os
import random
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fixsim.fix.codec import FRAME, decode, encode, find_frame, seal
from fixsim.fix.message import Message
from fixsim.units import format_utc_timestamp

TARGET: Final = b"FIXSIM"
SYMBOL: Final = b"AAPL"


def stamp() -> bytes:
    return format_utc_timestamp(time.time_ns(), 3)


class Peer:
    """A FIX peer over a blocking socket that may say anything; it numbers its messages from 1."""

    def __init__(self, port: int, sender: bytes, timeout_s: float = 5.0) -> None:
        self.sender, self.number, self.buffer = sender, 0, bytearray()
        self.line = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def frame(self, msg_type: bytes, *body: tuple[int, bytes], number: int | None = None, target: bytes = TARGET) -> bytes:
        """The next message, or one with a `number` of its own."""
        if number is None:
            self.number += 1
        head = [(49, self.sender), (56, target), (34, b"%d" % (self.number if number is None else number)), (52, stamp())]
        return encode(msg_type, head, body)

    def say(self, *frames: bytes) -> None:
        self.line.sendall(b"".join(frames))

    def order(self, name: bytes, price: bytes = b"1.00", side: bytes = b"1") -> bytes:
        """A limit order for one lot, Day."""
        return self.frame(
            b"D", (11, name), (55, SYMBOL), (54, side), (60, stamp()), (38, b"1"), (40, b"2"), (44, price)
        )  # fmt: skip

    def log_on(self, *more: tuple[int, bytes]) -> Message | None:
        """Logon in a fresh run; the answer, None when the connection ended."""
        self.say(self.frame(b"A", (98, b"0"), (108, b"0"), (141, b"Y"), *more))
        return self.hear()

    def hear(self) -> Message | None:
        """The next message; None when the connection ended. Raises TimeoutError."""
        while True:
            framing = find_frame(self.buffer, 0, len(self.buffer), 1 << 20)
            if framing.kind == FRAME:
                frame = bytes(self.buffer[: framing.end])
                del self.buffer[: framing.end]
                return decode(frame)
            came = self.line.recv(1 << 16)
            if not came:
                return None
            self.buffer += came

    def swallow(self) -> int:
        """Throw away what came, without waiting; bytes."""
        self.line.setblocking(False)
        total = 0
        try:
            while came := self.line.recv(1 << 20):
                total += len(came)
        except BlockingIOError:
            pass
        finally:
            self.line.settimeout(5.0)
        return total

    def reset(self) -> None:
        """Leave with a reset instead of a farewell."""
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.line.close()


Nuisance = Callable[[int], Iterator[None]]


def _connections(port: int, kept_max: int, first: bytes) -> Iterator[socket.socket]:
    """One connection after another, each saying `first`, of which the newest are kept open."""
    kept: list[socket.socket] = []
    try:
        while True:
            one = socket.create_connection(("127.0.0.1", port), timeout=5)
            kept.append(one)
            if first:
                one.sendall(first)
            if len(kept) > kept_max:
                kept.pop(0).close()
            yield one
    finally:
        for one in kept:
            one.close()


def silent_crowd(port: int) -> Iterator[None]:
    """Thousands of connections that say nothing."""
    yield from (None for _ in _connections(port, 3_000, b""))


def garbage(port: int) -> Iterator[None]:
    """Bytes that are no FIX, and gone."""
    for one in _connections(port, 0, random.randbytes(20_000)):
        yield
        one.close()


def promises(port: int) -> Iterator[None]:
    """A Logon whose BodyLength promises more than ever comes, and goes on coming."""
    for one in _connections(port, 50, b"8=FIX.4.4\x019=65000\x0135=A\x01"):
        one.sendall(b"58=" + b"x" * 20_000)
        yield


def absurd_lengths(port: int) -> Iterator[None]:
    """BodyLengths that are none."""
    for length in itertools.cycle((b"-1", b"", b"99999999999999999999", b"1e9", b"0", b"+5")):
        one = socket.create_connection(("127.0.0.1", port), timeout=5)
        one.sendall(b"8=FIX.4.4\x019=%b\x0135=A\x01108=30\x01" % length)
        yield
        one.close()


def slow_logons(port: int) -> Iterator[None]:
    """Hundreds of Logons, a byte a second each."""
    lines = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(400)]
    text = b"8=FIX.4.4\x019=70\x0135=A\x0149=SLOW\x0156=FIXSIM\x0134=1\x01"
    for place in itertools.count():
        for line in lines:
            with contextlib.suppress(OSError):
                line.sendall(text[place % len(text) :][:1])
        time.sleep(1.0)
        yield


def drip(port: int) -> Iterator[None]:
    """A session that says good messages a byte at a time."""
    peer = Peer(port, b"DRIP")
    peer.log_on()
    while True:
        for octet in peer.frame(b"1", (112, b"x")):
            peer.say(bytes([octet]))
        peer.swallow()
        yield


def never_reads(port: int) -> Iterator[None]:
    """A session that asks and never listens."""
    while True:
        peer = Peer(port, b"DEAF")
        peer.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        with contextlib.suppress(OSError):
            peer.say(peer.frame(b"A", (98, b"0"), (108, b"0"), (141, b"Y")))
            while True:
                peer.say(*(peer.frame(b"1", (112, b"x" * 1_000)) for _ in range(20)))
                yield
        peer.line.close()
        yield


def giants(port: int) -> Iterator[None]:
    """A session whose messages are as long as they may be, and longer."""
    peer = Peer(port, b"GIANT")
    peer.log_on()
    while True:
        peer.say(peer.frame(b"1", (112, b"x" * 65_000)))
        peer.say(peer.frame(b"1", (112, b"x" * 300_000), number=peer.number + 1))
        peer.swallow()
        yield


def noise_on_a_session(port: int) -> Iterator[None]:
    """A session that says garbled bytes as fast as they are taken."""
    peer = Peer(port, b"NOISE")
    peer.log_on()
    noise = b"8=FIX.4.4\x019=20\x0135=" + b"z" * 40
    while True:
        peer.say(noise * 200)
        yield


def wrong_passwords(port: int) -> Iterator[None]:
    """Guesses at many names, many at a time."""
    kept: list[socket.socket] = []
    for number in itertools.count():
        peer = Peer(port, b"SECRET%d" % (number % 500))
        peer.say(peer.frame(b"A", (98, b"0"), (108, b"0"), (141, b"Y"), (554, b"guess%d" % number)))
        kept.append(peer.line)
        if len(kept) > 300:
            kept.pop(0).close()
        yield


def strangers(port: int) -> Iterator[None]:
    """Logons to somebody else, and of somebody who is there already."""
    for number in itertools.count():
        peer = Peer(port, b"GOOD" if number % 2 else b"NOBODY")
        peer.say(peer.frame(b"A", (98, b"0"), (108, b"0"), target=TARGET if number % 2 else b"ELSEWHERE"))
        yield
        peer.line.close()


def new_names(port: int) -> Iterator[None]:
    """Sessions that are made, and never used again."""
    for number in itertools.count():
        peer = Peer(port, b"N%d-%d" % (os.getpid(), number))
        with contextlib.suppress(OSError):
            peer.log_on()
        yield
        peer.reset()


def wrong_messages(port: int) -> Iterator[None]:
    """Messages that break the dictionary, each answered by a Reject."""
    peer = Peer(port, b"WRONG")
    peer.log_on()
    while True:
        peer.say(*(peer.frame(b"D", (11, b"x"), (9_999, b"y"), (55, SYMBOL)) for _ in range(100)))
        peer.swallow()
        yield


def snapshots(port: int) -> Iterator[None]:
    """MarketDataRequests for all of a deep book."""
    peer = Peer(port, b"CURIOUS")
    peer.log_on()
    for first in range(0, 900, 50):
        peer.say(*(peer.order(b"L%d" % n, b"%d.%02d" % (10 + n // 100, n % 100)) for n in range(first, first + 50)))
    body = ((262, b"a"), (263, b"0"), (264, b"0"), (267, b"2"), (269, b"0"), (269, b"1"), (146, b"1"), (55, SYMBOL))
    while True:
        peer.say(*(peer.frame(b"V", *body) for _ in range(50)))
        peer.swallow()
        yield


def lists(port: int) -> Iterator[None]:
    """SecurityListRequests."""
    peer = Peer(port, b"LISTS")
    peer.log_on()
    while True:
        peer.say(*(peer.frame(b"x", (320, b"a"), (559, b"4")) for _ in range(100)))
        peer.swallow()
        yield


def resends(port: int) -> Iterator[None]:
    """A session that has heard a lot and wants all of it again, all the time."""
    peer = Peer(port, b"FORGETFUL")
    peer.log_on()
    for first in range(0, 20_000, 100):
        peer.say(*(peer.order(b"R%d" % n, b"1.%02d" % (n % 100)) for n in range(first, first + 100)))
        peer.swallow()
    while True:
        peer.say(*(peer.frame(b"2", (7, b"1"), (16, b"0")) for _ in range(20)))
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            peer.swallow()
            time.sleep(0.001)
        yield


def early_messages(port: int) -> Iterator[None]:
    """A session that says ten thousand messages too early, and then the one that was missing."""
    peer = Peer(port, b"EARLY")
    peer.log_on()
    while True:
        missing = peer.order(b"E%d" % peer.number)
        for _ in range(100):
            peer.say(*(peer.order(b"E%d" % peer.number) for _ in range(99)))
            peer.swallow()
        peer.say(missing)
        time.sleep(0.2)
        peer.swallow()
        yield


def resets(port: int) -> Iterator[None]:
    """Connections that end in the middle of everything."""
    while True:
        peer = Peer(port, b"RESETS")
        with contextlib.suppress(OSError):
            peer.log_on()
            peer.say(peer.order(b"x%d" % time.time_ns())[:60])
        peer.reset()
        yield


def unsealed(port: int) -> Iterator[None]:
    """A session whose messages all have a wrong CheckSum."""
    peer = Peer(port, b"UNSEALED")
    peer.log_on()
    frame = seal(b"8=FIX.4.4\x0135=0\x0149=UNSEALED\x0156=FIXSIM\x0134=2\x0152=%b\x01" % stamp())[:-4] + b"999\x01"
    while True:
        peer.say(frame * 100)
        yield


NUISANCES: Final[dict[str, Nuisance]] = {
    one.__name__: one
    for one in (
        silent_crowd, garbage, promises, absurd_lengths, slow_logons, drip, never_reads, giants, noise_on_a_session,
        wrong_passwords, strangers, new_names, wrong_messages, snapshots, lists, resends, early_messages, resets, unsealed,
    )
}  # fmt: skip


def pester(kind: str, port: int, steps: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    """Be a nuisance until killed; begin again whenever the venue has had enough."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    while True:
        with contextlib.suppress(OSError):
            for _ in NUISANCES[kind](port):
                steps.value += 1
        time.sleep(0.01)


@contextlib.contextmanager
def pestered(kind: str, port: int) -> "Iterator[multiprocessing.sharedctypes.Synchronized[int]]":
    """A nuisance in a process of its own while the block runs; gives the number of its steps."""
    context = multiprocessing.get_context("spawn")
    steps = context.Value("q", 0)
    process = context.Process(target=pester, args=(kind, port, steps), daemon=True)
    process.start()
    try:
        yield steps
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True)
class Felt:
    """How long orders waited for their acknowledgements, in ms."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    def __str__(self) -> str:
        return f"n={self.count} p50={self.p50_ms:.2f} ms p99={self.p99_ms:.2f} ms max={self.max_ms:.1f} ms"


class GoodPeer:
    """A session that trades: an order, its acknowledgement, its cancel, its report, a moment's pause."""

    def __init__(self, port: int, sender: bytes = b"GOOD") -> None:
        self.peer = Peer(port, sender, timeout_s=30.0)
        answer = self.peer.log_on()
        assert answer is not None and answer.msg_type == b"A", answer
        self.orders = 0

    def close(self) -> None:
        self.peer.line.close()

    def trade(self, seconds: float, pause_s: float = 0.002) -> Felt:
        """Trade for a while; what each of our messages waited."""
        waited: list[float] = []
        until = time.monotonic() + seconds
        peer = self.peer
        while time.monotonic() < until:
            self.orders += 1
            name = b"G%d" % self.orders
            waited.append(self._ask(peer.order(name), name, b"0"))
            cancel = peer.frame(b"F", (41, name), (11, b"C" + name), (55, SYMBOL), (54, b"1"), (60, stamp()))
            waited.append(self._ask(cancel, b"C" + name, b"4"))
            time.sleep(pause_s)
        waited.sort()
        return Felt(len(waited), 1e3 * statistics.median(waited), 1e3 * waited[int(len(waited) * 0.99)], 1e3 * waited[-1])

    def _ask(self, frame: bytes, name: bytes, exec_type: bytes) -> float:
        began = time.perf_counter()
        self.peer.say(frame)
        report = self.peer.hear()
        ended = time.perf_counter()
        assert report is not None, "the connection ended"
        assert (report.get(11), report.get(150)) == (name, exec_type), report
        return ended - began


def main() -> None:
    """Measure each nuisance against a venue that runs already."""
    port, seconds, kinds = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] or list(NUISANCES)
    good = GoodPeer(port)
    good.trade(1.0)
    for kind in kinds:
        alone = good.trade(seconds / 2)
        with pestered(kind, port) as steps:
            time.sleep(0.7)
            began = steps.value
            felt = good.trade(seconds)
            done = steps.value - began
        time.sleep(0.3)
        print(f"{kind:20} alone {alone}   pestered {felt}   {done} steps", flush=True)


if __name__ == "__main__":
    main()
