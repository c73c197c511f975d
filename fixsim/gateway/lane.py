"""The plain-Python side of the compiled loop: which connections it may serve, and what it left for others."""

import errno
import mmap
import os
import select
from typing import Any, Final, NamedTuple

import numpy as np

from fixsim.engine.machine import Table, TableSet, new_table, type_of_tables
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.wall import next_glance_ns
from fixsim.gateway import loop
from fixsim.gateway.clock import Clock
from fixsim.gateway.meter import ELSEWHERE, ROWS_MAX, Meter
from fixsim.journal.writer import Writer
from fixsim.layout import CONNECTION, HELD_BYTES, LOOP, NEVER, NIL
from fixsim.limits import FRAME_BYTES_MAX, TURN_BYTES_MAX
from fixsim.units import NS_PER_DAY, NS_PER_S, utc_day

#: Descriptors the loop can find the connection of; connections with others take the plain way.
DESCRIPTORS_MAX: Final = 65_536
#: Bytes one connection may be sent in one turn; more is left to the plain way.
OUTGOING_BYTES: Final = 1 << 20
#: Bytes read from a connection in one turn while there are others: a hundred orders.
HELPING_BYTES: Final = TURN_BYTES_MAX // 4

_BYTES: Final = np.dtype(np.uint8)
_WORDS: Final = np.dtype(np.int64)
_ROWS: Final = np.dtype(np.int32)


class Tables(TableSet):
    """What the loop works with beside the machine."""

    dtypes = {  # noqa: RUF012  # a table of the class, as in Machine
        "loop": LOOP,
        "connections": CONNECTION,
        "by_fd": _ROWS,  # CONNECTION row of each descriptor, NIL for others
        "by_session": _ROWS,  # CONNECTION row of each SESSION row, NIL for none
        "held": _BYTES,  # HELD_BYTES of each connection
        "inbox": _BYTES,  # what was read last
        "outgoing": _BYTES,  # what is sent next
        "events": _BYTES,
        "others": _BYTES,  # descriptor and mask, four bytes each, of events that are not the loop's
        "owed": _ROWS,  # SESSION rows that are owed something
        "taken": _WORDS,  # bytes of it that are gone
        "clock": _WORDS,  # a struct timespec
        "rows": _WORDS,  # turns and batches for the histograms, four words each
        "spent": _WORDS,  # ns of each stage of the turn
        "page": _WORDS,  # the page of counters
    }
    loop: Table
    connections: Table
    by_fd: Any
    by_session: Any
    held: Any
    inbox: Any
    outgoing: Any
    events: Any
    others: Any
    owed: Any
    taken: Any
    clock: Any
    rows: Any
    spent: Any
    page: Any

    def __init__(self, sessions: int, page: Any) -> None:
        rows = {
            "loop": 1,
            "connections": sessions,
            "by_fd": DESCRIPTORS_MAX,
            "by_session": sessions,
            "held": sessions * HELD_BYTES,
            "inbox": HELD_BYTES + max(TURN_BYTES_MAX, FRAME_BYTES_MAX),
            "outgoing": OUTGOING_BYTES,
            "events": loop.EVENTS_MAX * loop.EVENT_BYTES,
            "others": 8 * loop.EVENTS_MAX,
            "owed": sessions,
            "taken": sessions,
            "clock": 2,
            "rows": 4 * ROWS_MAX,
            "spent": ELSEWHERE,
        }
        for name, count in rows.items():
            setattr(self, name, new_table(self.dtypes[name], count))
        self.by_fd[:], self.by_session[:] = NIL, NIL
        self.page = page
        self.seal()


class Left(NamedTuple):
    """What one run of the loop left: events of others, and a connection to look at with the bytes of it that were read."""

    others: list[tuple[int, int]]
    attention: int
    octets: bytes
    #: Nothing was ready all the time.
    idle: bool


class Lane:
    """Runs the loop for one exchange."""

    def __init__(self, exchange: Exchange, writer: Writer, clock: Clock, epoll: int, meter: Meter) -> None:
        self._exchange, self._writer, self._clock, self._meter = exchange, writer, clock, meter
        self._machine = exchange.machine
        self.tables = Tables(len(exchange.machine.sessions), meter.page.words)
        self._row: Any = self.tables.loop[0]
        self._row["epoll"] = epoll
        self._mapped = NIL
        self._free = list(range(len(self.tables.connections) - 1, -1, -1))

    # ------------------------------------------------------------ connections

    def attach(self, fd: int, session: int, link: int) -> int:
        """A row for a plain connection, NIL when it cannot have one."""
        if fd >= DESCRIPTORS_MAX or not self._free:
            return NIL
        place = self._free.pop()
        row: Any = self.tables.connections[place]
        row["fd"], row["session"], row["link"], row["direct"], row["held"] = fd, session, link, 0, 0
        self.tables.by_fd[fd] = self.tables.by_session[session] = place
        return place

    def detach(self, place: int) -> None:
        """The connection is closed."""
        row: Any = self.tables.connections[place]
        self.tables.by_fd[row["fd"]] = self.tables.by_session[row["session"]] = NIL
        row["direct"], row["link"], row["held"] = 0, 0, 0
        self._free.append(place)

    def hand_over(self, place: int, buffer: bytearray) -> None:
        """The loop may serve the connection from now on; it keeps what `buffer` has of an unfinished frame."""
        row: Any = self.tables.connections[place]
        if buffer and row["held"]:
            buffer[:0] = self.take_back(place)
        if len(buffer) > HELD_BYTES:
            return
        if buffer:
            begin = place * HELD_BYTES
            self.tables.held[begin : begin + len(buffer)] = np.frombuffer(buffer, np.uint8)
            row["held"] = len(buffer)
            buffer.clear()
        row["direct"] = 1

    def take_back(self, place: int) -> bytes:
        """The loop leaves the connection alone from now on; what it kept of an unfinished frame."""
        row: Any = self.tables.connections[place]
        begin, held = place * HELD_BYTES, int(row["held"])
        row["direct"], row["held"] = 0, 0
        return bytes(self.tables.held[begin : begin + held])

    def serves(self, place: int) -> bool:
        """Does the loop read and write this connection by itself?"""
        return bool(self.tables.connections[place]["direct"])

    # ------------------------------------------------------------ running

    def run(self, wait_s: float, due_ns: int, *, alone: bool, once: bool) -> Left:
        """Let the loop turn until it needs somebody; everything it did is sealed, written and told to the outbox."""
        self._writer.sync()  # the loop counts on it that everything before its first batch is where it was promised to be
        busy = self._meter.wait_ns_max != NEVER
        self._tell(min(due_ns, self._clock.now_ns() + self._meter.wait_ns_max) if busy else due_ns, alone)
        why = int(loop.run(self._machine, self.tables, int(wait_s * 1000 + 0.999), once))
        row, tape = self._row, self._exchange.tape
        tape.catch_up(max(0, int(row["position"]) - loop.SEALED_BYTES - tape.base))
        idle = not row["turns"]
        if not idle:
            self._meter.looped(
                *(int(row[name]) for name in ("turns", "filled", "taken", "told", "batches", "bytes", "longest_ns"))
            )
        if int(row["position"]) != self._writer.position:
            self._writer.go_on(int(row["position"]), int(row["crc"]))
        if why & loop.UNSYNCED:
            self._writer.distrust(OSError(errno.EIO, "fdatasync has failed"))
        if why & loop.OWED:
            self._owe()
        if why & loop.UNFINISHED:
            self._exchange.go_on()
        if why & loop.LOOK:
            self._exchange.look()
        if why & loop.BROKEN:
            self._exchange.commit()  # tells what is wrong
        others = []
        if why & loop.OTHERS:
            words = self.tables.others[: 8 * int(row["others"])].view(np.int64).tolist()
            others = [(word & 0xFFFFFFFF, word >> 32) for word in words]
        if why & loop.ATTENTION:
            octets = bytes(self.tables.inbox[int(row["begin"]) : int(row["end"])])
            return Left(others, int(row["attention"]), octets, idle)
        return Left(others, NIL, b"", idle)

    def _tell(self, due_ns: int, alone: bool) -> None:
        row, writer, venue = self._row, self._writer, self._exchange.config.venue
        row["anchor_ns"], row["venue_ns"], row["rate_ppm"], end_ns = self._clock.line()
        now_ns = self._clock.now_ns()
        self._exchange.tape.begin(max(now_ns, self._exchange.tape.now_ns))
        row["due_ns"] = min(due_ns, end_ns, next_glance_ns(self._exchange))
        row["day_end_ns"] = (utc_day(now_ns) + 1) * NS_PER_DAY
        row["digits"] = venue.timestamp_digits
        row["max_length"], row["tolerance_ns"] = venue.max_message_size, int(venue.sending_time_tolerance_s * NS_PER_S)
        row["helping"] = TURN_BYTES_MAX if alone else HELPING_BYTES
        row["journal"], row["first"], row["last"] = writer.place()
        if row["first"] != self._mapped:
            self._map()
        row["position"], row["crc"] = writer.position, writer.crc
        row["busy"] = self._exchange.config.process.busy_poll
        row["sync"] = writer.durability == "sync"

    def _map(self) -> None:
        """Have the present segment in memory as well, where the system can."""
        row = self._row
        self._mapped, row["map"], row["ready"], row["shed"] = int(row["first"]), 0, 0, 0
        try:
            pages = mmap.mmap(int(row["journal"]), self._writer.segment_bytes)
        except (OSError, ValueError):
            return
        self._segment: Any = np.frombuffer(pages, np.uint8)
        row["map"] = self._segment.ctypes.data

    def _owe(self) -> None:
        """What could not be sent is the outbox's, less what went out."""
        tables, count = self.tables, int(self._row["owed"])
        slots = tables.owed[:count].tolist()
        self._exchange.owe(slots)
        for slot, taken in zip(slots, tables.taken[:count].tolist(), strict=True):
            if taken:
                self._exchange.outbox.skip(int(self._machine.sessions[slot]["link"]), taken)


Tables._numba_type_ = type_of_tables(Tables.dtypes)


def available(epoll: int) -> bool:
    """Can there be a compiled loop: Linux, kernels that are compiled, and nobody who said no?"""
    compiled = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
    return loop.AVAILABLE and compiled and hasattr(select, "epoll") and epoll >= 0 and not os.environ.get("FIXSIM_PLAIN_LOOP")
