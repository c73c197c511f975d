"""The load client: compiled from the first byte to the last, so that the exchange is what is measured.

A session is one connection and one row of `LINE`. Frames lie rendered in one buffer, so sending is a slice of it; what comes
back is kept as it came, and only the ExecType(150) of each report is looked at while a clock runs, because the window needs to
know how many orders have been answered. Everything else about the reports is checked afterwards (`fixsim.bench.reports`).

The compiled loop calls `epoll_wait` (elsewhere `poll`), `recv`, `send` and `clock_gettime` of the C library by name, and comes
back to Python after at most `TURNS` turns, so that signals are heard.
"""

import contextlib
import mmap
import platform
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba.core import types

from fixsim.bench.flow import EXEC_CANCELED, EXEC_NEW
from fixsim.bench.frames import Frames, sender
from fixsim.engine.jit import kernel
from fixsim.errors import VenueError
from fixsim.fix.codec import encode
from fixsim.layout import NIL
from fixsim.units import format_utc_timestamp

recv: Any = types.ExternalFunction("recv", types.intp(types.int32, types.intp, types.intp, types.int32))
send: Any = types.ExternalFunction("send", types.intp(types.int32, types.intp, types.intp, types.int32))
clock_gettime: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp))

#: One session: where it is in its frames and in its stretch of the buffer of what came back.
LINE: Final = np.dtype([
    ("fd", "<i8"),
    ("next", "<i8"),  # frame that is the next to be sent
    ("stop", "<i8"),  # frame that is not sent in this phase
    ("sent", "<i8"),  # byte of the frames up to which everything is sent
    ("begun", "<i8"),  # frame with which the session began
    ("acked", "<i8"),  # orders and cancels that were answered
    ("begin", "<i8"), ("end", "<i8"),  # its stretch of the buffer
    ("parsed", "<i8"),  # whole messages end here
    ("filled", "<i8"),  # bytes end here
    ("hint", "<i8"),  # where in a report ExecType(150) was last
])  # fmt: skip

SOH = 1
#: The same bits in poll and epoll.
POLLIN, POLLGONE = 1, 0x18 | 0x20
#: Why the loop came back.
COMPLETE, TURNED, LOST, CROWDED = range(4)
#: Turns of the loop between two looks at Python.
TURNS: Final = 2_000
POLL_MS, STUCK_MS = 50, 1
#: Bytes read at once at most.
READ_BYTES = 1 << 18
#: A report and its shortest and longest plausible length.
REPORT_BYTES: Final = 320
LINE_BYTES_MIN: Final = 1 << 17
#: How long nothing may come back before the run has failed.
PATIENCE_S: Final = 20.0
CLOCK_MONOTONIC: Final = 6 if sys.platform == "darwin" else 1
#: Empty looks at a socket before an operation counts as not answered: some seconds.
SPINS: Final = 30_000_000
HEARTBEAT_S: Final = 3_600


@kernel
def message_end(octets, at, end):
    """End of the whole message that begins at `at`, 0 when it is not whole. Trusts BodyLength(9)."""
    if end - at < 24:
        return np.int64(0)
    i, length = at + 12, np.int64(0)
    while octets[i] != SOH:
        length = length * 10 + octets[i] - 48
        i += 1
    stop = i + 1 + length + 7
    return stop if stop <= end else np.int64(0)


@kernel
def exec_type_at(octets, at, end, hint):
    """Offset in the message at `at` of the value of ExecType(150), 0 when there is none; looked for at `hint` first."""
    i = at + hint
    if hint > 4 and i < end and octets[i - 1] == 61 and octets[i - 2] == 48 and octets[i - 3] == 53 and octets[i - 4] == 49:
        if octets[i - 5] == SOH:
            return hint
    i = at + 20
    while i < end - 5:
        if octets[i] == SOH and octets[i + 1] == 49 and octets[i + 2] == 53 and octets[i + 3] == 48 and octets[i + 4] == 61:
            return i + 5 - at
        i += 1
    return np.int64(0)


@kernel
def take_messages(line, octets, counts):
    """Step over the whole messages of a line: counts[0] reports, counts[1] orders answered, counts[2] other messages."""
    at, filled = np.int64(line["parsed"]), np.int64(line["filled"])
    while True:
        end = message_end(octets, at, filled)
        if end == 0:
            break
        found = exec_type_at(octets, at, end, np.int64(line["hint"]))
        if found == 0:
            counts[2] += 1
        else:
            line["hint"] = found
            counts[0] += 1
            exec_type = octets[at + found]
            if exec_type == EXEC_NEW or exec_type == EXEC_CANCELED:
                counts[1] += 1
                line["acked"] += 1
        at = end
    line["parsed"] = at


@kernel
def push(line, octets, starts, window):
    """Send what the window allows; is something of it left?"""
    begun, stop = np.int64(line["begun"]), np.int64(line["stop"])
    until = min(stop, begun + np.int64(line["acked"]) + window)
    allowed = starts[until]
    sent = np.int64(line["sent"])
    if sent < allowed:
        taken = send(np.int32(line["fd"]), octets.ctypes.data + sent, allowed - sent, np.int32(0))
        if taken > 0:
            sent += taken
            line["sent"] = sent
    return sent < allowed


if hasattr(select, "epoll"):
    epoll_wait: Any = types.ExternalFunction("epoll_wait", types.int32(types.int32, types.intp, types.int32, types.int32))
    #: Words of 32 bits in one event: the struct is packed on one architecture.
    EVENT_WORDS = 3 if platform.machine() in ("x86_64", "AMD64") else 4

    @kernel
    def wait(waiter, row_of, events, hot, timeout_ms):
        """Rows whose socket can be read, and what else is the matter, into `hot`; how many. `row_of` has that of each fd."""
        count = epoll_wait(np.int32(waiter), events.ctypes.data, np.int32(hot.shape[0]), np.int32(timeout_ms))
        for k in range(count):
            hot[k, 0], hot[k, 1] = row_of[events[EVENT_WORDS * k + 1]], events[EVENT_WORDS * k]
        return count

else:
    poll: Any = types.ExternalFunction("poll", types.int32(types.intp, types.intp, types.int32))
    EVENT_WORDS = 2

    @kernel
    def wait(waiter, row_of, events, hot, timeout_ms):
        """Rows whose socket can be read, and what else is the matter, into `hot`; how many. `events` is poll's own table."""
        if poll(events.ctypes.data, hot.shape[0], np.int32(timeout_ms)) <= 0:
            return 0
        count = 0
        for row in range(hot.shape[0]):
            if events[2 * row + 1] >> 16 != 0:
                hot[count, 0], hot[count, 1] = row, events[2 * row + 1] >> 16
                count += 1
        return count


@kernel
def take(lines, row, mask, arena, counts):
    """Read one socket once, and step over what is whole. Returns LOST or CROWDED, COMPLETE otherwise."""
    line = lines[row]
    if mask & POLLIN == 0:
        return LOST if mask & POLLGONE != 0 else COMPLETE
    room = min(READ_BYTES, np.int64(line["end"]) - np.int64(line["filled"]))
    if room <= 0:
        return CROWDED
    count = recv(np.int32(line["fd"]), arena.ctypes.data + np.int64(line["filled"]), room, np.int32(0))
    if count == 0:
        return LOST
    if count > 0:
        line["filled"] += count
        take_messages(line, arena, counts)
    return COMPLETE


@kernel
def drive(lines, waiter, row_of, events, hot, sending, starts, arena, window, goal, counts):
    """Send and receive until `goal` reports are there, or for TURNS turns. Returns why, and the line where that matters."""
    stuck = True
    for _ in range(TURNS):
        if stuck:  # at the beginning, and when a socket could not take all: try every line
            stuck = False
            for row in range(lines.size):
                stuck |= push(lines[row], sending, starts, window)
        if counts[0] >= goal:
            return COMPLETE, 0
        ready = wait(waiter, row_of, events, hot, STUCK_MS if stuck else POLL_MS)
        for k in range(ready):
            row = hot[k, 0]
            why = take(lines, row, hot[k, 1], arena, counts)
            if why != COMPLETE:
                return why, row
            stuck |= push(lines[row], sending, starts, window)
        if ready == 0 and not stuck:
            return TURNED, 0
    return TURNED, 0


@kernel
def now_ns(spec, clock):
    """The monotonic clock, in compiled code."""
    clock_gettime(np.int32(clock), spec.ctypes.data)
    return spec[0] * 1_000_000_000 + spec[1]


@kernel
def ping(lines, sending, starts, arena, goals, took, begin, spec, clock, spins):
    """One operation at a time, from `begin` on: the next is sent when all reports of the one before are there.

    `goals` says how many those are; `took` gets ns from the call of `send` to the first answer. Returns how many were done.
    """
    counts = np.int64(0)
    for i in range(took.size):
        line = lines[0]
        j = begin + i
        at = line["parsed"]
        before = now_ns(spec, clock)
        send(np.int32(line["fd"]), sending.ctypes.data + starts[j], starts[j + 1] - starts[j], np.int32(0))
        left, tries, answered = goals[i], spins, False
        while left > 0 and tries > 0:
            room = min(READ_BYTES, np.int64(line["end"]) - np.int64(line["filled"]))
            count = recv(np.int32(line["fd"]), arena.ctypes.data + np.int64(line["filled"]), room, np.int32(0))
            if count <= 0:
                tries -= 1
                continue
            line["filled"] += count
            end = message_end(arena, at, np.int64(line["filled"]))
            if end > 0 and not answered:
                took[i], answered = now_ns(spec, clock) - before, True
            while end > 0:
                left -= 1
                at = end
                end = message_end(arena, at, np.int64(line["filled"]))
            line["parsed"] = at
        if left > 0:
            return counts
        line["next"], line["sent"] = j + 1, starts[j + 1]
        line["acked"] += 1
        counts += 1
    return counts


class Waiter:
    """What the compiled loop waits with."""

    def __init__(self, sessions: int) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._rows: npt.NDArray[np.int32] = np.zeros(1, np.int32)
        self._events: npt.NDArray[np.int32] = np.zeros(EVENT_WORDS * sessions, np.int32)
        self._hot: npt.NDArray[np.int64] = np.zeros((sessions, 2), np.int64)

    def add(self, row: int, descriptor: int) -> None:
        """Wait for this socket, too."""
        if self._epoll is None:
            self._events[2 * row], self._events[2 * row + 1] = descriptor, POLLIN
            return
        self._epoll.register(descriptor, POLLIN)
        if descriptor >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(descriptor, np.int32)])
        self._rows[descriptor] = row

    @property
    def arguments(self) -> tuple[int, npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """For `drive`."""
        return (NIL if self._epoll is None else self._epoll.fileno(), self._rows, self._events, self._hot)

    def close(self) -> None:
        """Let go of it."""
        if self._epoll is not None:
            self._epoll.close()


@dataclass
class Client:
    """Connections that have logged on, and all they will send. `frames` is what was rendered for them."""

    frames: Frames
    lines: npt.NDArray[np.void]
    waiter: "Waiter"
    arena: npt.NDArray[np.uint8]
    sockets: list[socket.socket]
    #: Reports, answered orders, other messages; since the beginning.
    counts: npt.NDArray[np.int64]
    #: Told (session, its stretch) when a stretch is full, before it is used again.
    overflow: Any = None

    def run(self, until: npt.NDArray[np.int64], goal: int, window: int) -> float:
        """Send the frames up to `until` of each session, wait for `goal` reports in all; seconds it took.

        Raises VenueError when the other side is gone or silent.
        """
        self.lines["stop"] = until
        each, waiting = max(1, window // len(self.lines)), self.waiter.arguments
        begun = heard = time.perf_counter()
        seen = 0
        while True:
            why, row = drive(
                self.lines, *waiting, self.frames.octets, self.frames.starts, self.arena, each, goal, self.counts
            )  # fmt: skip
            if why == COMPLETE:
                return time.perf_counter() - begun
            if why == LOST:
                raise VenueError(f"session {row + 1} was disconnected after {self.counts[0]} of {goal} reports")
            if why == CROWDED:
                self.make_room(row)
            if self.counts[0] > seen:
                seen, heard = int(self.counts[0]), time.perf_counter()
            elif time.perf_counter() - heard > PATIENCE_S:
                raise VenueError(f"{self.counts[0]} of {goal} reports came, then nothing for {PATIENCE_S:.0f} s")

    def make_room(self, row: int) -> None:
        """Check what is whole in a stretch that is full, and use it again."""
        line = self.lines[row]
        begin, parsed, filled = int(line["begin"]), int(line["parsed"]), int(line["filled"])
        if self.overflow is not None:
            self.overflow(row, begin, parsed)
        self.arena[begin : begin + filled - parsed] = self.arena[parsed:filled].copy()
        line["parsed"], line["filled"] = begin, begin + filled - parsed

    def latencies(self, goals: npt.NDArray[np.int64], begin: int) -> npt.NDArray[np.int64]:
        """ns to the first answer of each operation from frame `begin` on, one at a time, one session.

        `goals` has the reports each causes. Raises VenueError when one is not answered.
        """
        took, spec = np.zeros(len(goals), np.int64), np.zeros(2, np.int64)
        frames = self.frames
        done = ping(
            self.lines, frames.octets, frames.starts, self.arena, goals, took, begin, spec, CLOCK_MONOTONIC, SPINS
        )  # fmt: skip
        if done < len(goals):
            raise VenueError(f"operation {done} of {len(goals)} was not answered")
        return took

    def close(self) -> None:
        """Leave without a Logout."""
        self.waiter.close()
        for one in self.sockets:
            one.close()


def _log_on(port: int, session: int, venue: bytes, stamp: bytes) -> tuple[socket.socket, bytes]:
    """A connection whose Logon was answered, and what came behind the answer."""
    try:
        line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        header = [(49, sender(session)), (56, venue), (34, b"1"), (52, stamp)]
        line.sendall(encode(b"A", header, [(98, b"0"), (108, b"%d" % HEARTBEAT_S)]))
        got = np.zeros(4_096, np.uint8)
        filled = end = 0
        while end == 0:
            count = line.recv_into(got.data[filled:])
            if count == 0:
                raise VenueError(f"session {session + 1} was not let in")
            filled += count
            end = message_end(got, 0, filled)
    except OSError as error:
        raise VenueError(f"session {session + 1} cannot log on: {error}") from error
    if b"\x0135=A\x01" not in bytes(got[:end]):
        raise VenueError(f"session {session + 1}: the answer to its Logon is no Logon")
    return line, bytes(got[end:filled])


def now_stamp() -> bytes:
    """SendingTime(52) of this moment."""
    return format_utc_timestamp(time.time_ns(), 3)


@contextlib.contextmanager
def logged_on(port: int, frames: Frames, venue: bytes, reports: int, memory_bytes: int = 1 << 30) -> Iterator[Client]:
    """A client whose sessions are connected; closed afterwards. Room for `reports` and at most `memory_bytes`.

    Raises VenueError when a session cannot log on.
    """
    sessions = len(frames.first) - 1
    room = max(LINE_BYTES_MIN, min(REPORT_BYTES * (reports + 100), memory_bytes) // sessions)
    lines, waiter = np.zeros(sessions, LINE), Waiter(sessions)
    inbox = np.empty(room * sessions, np.uint8)
    inbox[:: mmap.PAGESIZE] = 0  # its memory is there before any clock starts
    client = Client(frames, lines, waiter, inbox, [], np.zeros(3, np.int64))
    try:
        for session in range(sessions):
            line, early = _log_on(port, session, venue, now_stamp())
            client.sockets.append(line)
            assert not early, "nobody trades yet"
            line.setblocking(False)
            waiter.add(session, line.fileno())
            lines[session]["fd"] = line.fileno()
        lines["begun"] = lines["next"] = frames.first[:-1]
        lines["sent"] = frames.starts[frames.first[:-1]]
        lines["begin"] = lines["parsed"] = lines["filled"] = np.arange(sessions) * room
        lines["end"] = lines["begin"] + room
        yield client
    finally:
        client.close()
