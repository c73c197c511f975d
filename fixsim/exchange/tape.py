"""The batch being written, as plain Python sees it: the kernels write into the same memory."""

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from fixsim.engine.machine import Machine
from fixsim.engine.tape import mark_said, open_batch
from fixsim.fix import tags
from fixsim.fix.codec import encode
from fixsim.fix.message import Field
from fixsim.journal.record import HEADER
from fixsim.layout import NIL, RECORD_MAGIC, Kind
from fixsim.limits import BATCH_BYTES, BATCH_MARGIN_BYTES, RECORD_HEADER_BYTES
from fixsim.units import format_utc_timestamp

#: Ids whose place in a payload the header tells, in its order, as they look in a frame.
MARKS: Final = (b"\x0111=", b"\x0137=", b"\x0117=", b"\x0155=")


class JournalWriter(Protocol):
    """What the exchange needs of a journal: the real one writes, the one of a replay compares."""

    def begin_batch(self) -> int:
        """Position at which the next batch will lie."""

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Seal `length` bytes of `count` records and keep them; the buffer has room for the seal."""


class Tally(Protocol):
    """Who counts what is written; a replay has none."""

    def recorded(self, kind: int, msg_type: bytes, payload: bytes) -> None:
        """Plain Python has written a record."""

    def sealed(self, length: int, count: int) -> None:
        """A batch of `count` records, those of kernels included, lies in the journal."""


class Tape:
    """Writes records into the machine's batch; `commit` hands the batch to the journal."""

    def __init__(self, machine: Machine, writer: JournalWriter, timestamp_digits: int) -> None:
        self.machine = machine
        self.writer = writer
        self._timestamp_digits = timestamp_digits
        self.batch: memoryview = machine.batch.data.cast("B")
        self.row = machine.tape[0]
        self._core = machine.core[0]
        #: Session time of the turn, ns since 1970 UTC, and as it is written: SendingTime(52).
        self.now_ns = 0
        self.stamp = b""
        #: Venue time of the turn as it is written: TransactTime(60).
        self.venue_stamp = b""
        self._driven_ns = 0
        #: Bytes of the batch that was sealed last: it lies there until the next one begins.
        self.written = 0
        self.tally: Tally | None = None

    def begin(self, now_ns: int) -> None:
        """Set the time of the turn, and open a batch if none is open."""
        if now_ns != self.now_ns:
            self.now_ns = now_ns
            self.row["now_ns"] = now_ns
            stamp = format_utc_timestamp(now_ns, self.timestamp_digits)
            if stamp != self.stamp:
                self.set_time(now_ns, stamp)
            self.tell_venue_time()
        if self.row["used"] == 0:
            open_batch(self.machine, self.writer.begin_batch())

    def set_time(self, now_ns: int, stamp: bytes) -> None:
        """The last turn was at `now_ns`, told as `stamp`; no batch is opened."""
        self.now_ns = now_ns
        self.stamp = stamp
        self.row["now_ns"] = now_ns
        self.row["stamp_length"] = len(stamp)
        self.row["stamp"][: len(stamp)] = np.frombuffer(stamp, np.uint8)
        self.tell_venue_time()

    def discard(self) -> None:
        """Nothing of the open batch was said."""
        self.row["used"] = self.row["count"] = self.row["touched"] = 0
        self.machine.said[:] = 0

    def tell_venue_time(self) -> None:
        """What is said from now on happens at the venue's time, which was driven or is that of the turn."""
        driven_ns = int(self._core["venue_ns"])
        if driven_ns != self._driven_ns:
            self._driven_ns, self.row["driven"] = driven_ns, driven_ns != 0
            if driven_ns:
                self.venue_stamp = format_utc_timestamp(driven_ns, self._timestamp_digits)
                self.row["venue_stamp"][: len(self.venue_stamp)] = np.frombuffer(self.venue_stamp, np.uint8)
        if not driven_ns:
            self.venue_stamp = self.stamp

    @property
    def timestamp_digits(self) -> int:
        """Decimals of a second in what is said."""
        return self._timestamp_digits

    @timestamp_digits.setter
    def timestamp_digits(self, digits: int) -> None:
        if digits == self._timestamp_digits:
            return
        self._timestamp_digits, self._driven_ns = digits, NIL
        now_ns, self.now_ns = self.now_ns, NIL
        self.begin(now_ns)

    def catch_up(self, written: int) -> None:
        """Others have turned meanwhile: the time is theirs, and the batch they sealed last had `written` bytes."""
        self.written = written
        self.now_ns = int(self.row["now_ns"])
        self.stamp = self.row["stamp"][: int(self.row["stamp_length"])].tobytes()
        self.tell_venue_time()

    @property
    def used(self) -> int:
        """Bytes in the open batch."""
        return int(self.row["used"])

    @property
    def base(self) -> int:
        """Position of the open batch."""
        return int(self.row["base"])

    def said_on(self, link: int) -> npt.NDArray[np.int64]:
        """Positions of what the batch that was sealed last says on one link."""
        found, at = [], 0
        while at < self.written:
            header = HEADER.unpack_from(self.batch, at)
            if header[1] == Kind.OUT and header[15] == link:
                found.append(header[4])
            at += RECORD_HEADER_BYTES + ((header[3] + 7) & ~7)
        return np.array(found, np.int64)

    def has_room(self) -> bool:
        """May another frame be taken before the batch must be sealed?"""
        return self.used + BATCH_MARGIN_BYTES <= BATCH_BYTES

    def record(
        self, kind: int, payload: bytes, session: int = 0, run: int = 0, seq: int = 0, back: int = NIL,
        msg_type: bytes = b"", link: int = 0,
    ) -> int:  # fmt: skip
        """Write one record; return its position."""
        at = self.used
        position = self.base + at
        places = (0, 0, 0, 0) if not msg_type else _places(payload)
        HEADER.pack_into(
            self.batch, at, RECORD_MAGIC, kind, 0, len(payload), position, self.now_ns, session, run, seq, back,
            msg_type[:2], *places, link, 0,
        )  # fmt: skip
        at += RECORD_HEADER_BYTES
        end = at + len(payload)
        padded = (end + 7) & ~7
        self.batch[at:end] = payload
        self.batch[end:padded] = bytes(padded - end)
        self.row["used"] = padded
        self.row["count"] += 1
        if self.tally is not None:
            self.tally.recorded(kind, msg_type, payload)
        return position

    def say(self, session: int, msg_type: bytes, route: tuple[Field, ...], body: tuple[Field, ...]) -> int:
        """Say a message to SESSION row `session`: number it, frame it, write its OUT record; return the position."""
        row = self.machine.sessions[session]
        seq = int(row["next_out"])
        comp_ids = row["comp_ids"][: row["comp_ids_length"]].tobytes()
        header = [
            *((int(tag), value) for tag, _, value in (part.partition(b"=") for part in comp_ids.split(b"\x01")[:-1])),
            (tags.MSG_SEQ_NUM, b"%d" % seq),
            (tags.SENDING_TIME, self.stamp),
            *route,
        ]
        if row["tells_processed"]:
            header.append((tags.LAST_MSG_SEQ_NUM_PROCESSED, b"%d" % max(0, int(row["next_in"]) - 1)))
        frame = encode(msg_type, header, body)
        position = self.record(
            Kind.OUT, frame, int(row["id"]), int(row["run"]), seq, int(row["last_out"]), msg_type, int(row["link"])
        )
        row["last_out"] = position
        row["next_out"] = seq + 1
        mark_said(self.machine, session)
        return position

    def frame(self, position: int) -> bytes:
        """Payload of a record of the open batch."""
        at = position - self.base
        length = HEADER.unpack_from(self.batch, at)[3]
        return bytes(self.batch[at + RECORD_HEADER_BYTES : at + RECORD_HEADER_BYTES + length])

    def commit(self) -> None:
        """Seal the batch and hand it to the journal; afterwards what it says may be sent."""
        if self.row["used"] == 0:
            return
        self.written = self.used
        self.writer.append(self.batch, self.used, int(self.row["count"]), self.now_ns)
        if self.tally is not None:
            self.tally.sealed(self.used, int(self.row["count"]))
        self.row["used"] = 0


def _places(payload: bytes) -> tuple[int, ...]:
    """Where the values of 11, 37, 17 and 55 begin, 0 for none."""
    found = (payload.find(mark) + 4 for mark in MARKS)
    return tuple(place if 4 <= place <= 0xFFFF else 0 for place in found)
