"""The frames a RESEND record stands for: a pure function of the record and the journal.

Application messages are said again with PossDupFlag(43)=Y, OrigSendingTime(122) and a new SendingTime(52),
which is the record's time; administrative ones, and numbers under which nothing was said, are covered by
SequenceReset-GapFill (FIX 4.4 volume 2, message recovery). What was said is found by the chain of `back`
positions: each OUT record names the one before it.
"""

import re
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import Final

from fixsim.errors import JournalCorrupt, JournalError
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, record_at
from fixsim.layout import NIL, RECORD_MAGIC, Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import format_utc_timestamp

#: MsgTypes, zero-padded as in a header, that are never said again: a GapFill takes their place. Reject(3) is
#: one of them.
ADMIN: Final = frozenset(letter + b"\0" for letter in (b"0", b"1", b"2", b"3", b"4", b"5", b"A"))
#: What a step back needs of a header: magic, kind, length, position, session, run, seq, back, msg_type.
BACK_STEP: Final = Struct("<HBxIq8xIIqq2s")
#: How every frame of ours begins: BeginString, MsgType, CompIDs and SendingTime are needed again.
HEAD: Final = re.compile(
    rb"(8=[^\x01]+\x01)9=\d+\x01(35=[^\x01]+\x01)(49=[^\x01]+\x0156=[^\x01]+\x01)34=\d+\x01"
    rb"52=([^\x01]+)\x01"
)
#: `10=nnn` and its SOH.
TRAILER_BYTES: Final = 7
#: UTCTimestamp up to its point.
WHOLE_SECONDS: Final = len("YYYYMMDD-HH:MM:SS.")


class Resending:
    """One RESEND record being served: first `gather` walks back to the first number asked for, then `frames`
    renders.

    Memory: eight bytes for each application message in the range.
    """

    def __init__(self, reader: Reader, record: Record) -> None:
        self._reader, self._record = reader, record
        self._begin, self._end = record.resend_range()
        self._floor = record.resend_floor()
        self._next = record.back
        #: A number at or above this one was said again under a new meaning, nearer to now: the newest counts.
        self._lowest = self._end + 1
        self._found = array("q")

    def gather(self, steps: int) -> bool:
        """Walk back over at most `steps` records; True when the start of the range is reached."""
        while self._next != NIL:
            if steps == 0:
                return False
            steps -= 1
            self._next = self._step(self._next)
        return True

    def _step(self, position: int) -> int:
        """Look at one OUT record; position of the next to look at, NIL for none."""
        if position < self._floor:
            return NIL  # retired when the record was written, whatever is kept today: a GapFill covers it
        view, offset = self._reader.locate(position)
        magic, kind, _length, at, session, run, seq, back, msg_type = BACK_STEP.unpack_from(view, offset)
        if magic != RECORD_MAGIC or kind != Kind.OUT or at != position or session != self._record.session:
            text = f"position {position} holds no OUT record of session {self._record.session}"
            raise JournalCorrupt(text, position)
        if run != self._record.run or seq < self._begin:
            return NIL
        if seq < self._lowest:
            self._lowest = seq
            if msg_type not in ADMIN:
                self._found.append(position)
        return int(back)

    def frames(self) -> Iterator[bytes]:
        """The frames, in the order they are said. `gather` must have come to its end."""
        expected, end = self._begin, self._end
        for position in reversed(self._found):
            view, offset = self._reader.locate(position)
            said = record_at(view, offset, position)
            if said.seq > expected:
                yield self._gap_fill(expected, said.seq)
            yield again(said, self._record.time_ns)
            expected = said.seq + 1
        if expected <= end and self._record.back != NIL:
            yield self._gap_fill(expected, end + 1)

    def _gap_fill(self, seq: int, new_seq_no: int) -> bytes:
        """SequenceReset(4) in the name of the newest message of the session."""
        head = _head(self._reader.read(self._record.back))
        stamp = _stamp(head, self._record.time_ns)
        return _frame(
            head[1],
            b"35=4\x01%b34=%d\x0143=Y\x0152=%b\x01122=%b\x01123=Y\x0136=%d\x01"
            % (head[3], seq, stamp, stamp, new_seq_no),
        )


def expand(reader: Reader, record: Record) -> Iterator[bytes]:
    """The frames the RESEND `record` stands for, in order. Raises JournalCorrupt when its chain is broken.

    The chain may begin at any OUT record of the session that is not older than the last number asked for.
    """
    job = Resending(reader, record)
    while not job.gather(1 << 20):
        pass
    return job.frames()


def again(said: Record, time_ns: int) -> bytes:
    """The frame of an OUT record, said again at `time_ns`: 43=Y, 122 = its first 52, the same body."""
    head = _head(said)
    body = head.string[head.end() : -TRAILER_BYTES]
    return _frame(
        head[1],
        b"%b%b34=%d\x0143=Y\x0152=%b\x01122=%b\x01%b"
        % (head[2], head[3], said.seq, _stamp(head, time_ns), head[4], body),
    )


def _head(said: Record) -> re.Match[bytes]:
    """The beginning of an OUT record's frame, in the parts of HEAD."""
    head = HEAD.match(bytes(said.payload))
    if head is None:
        text = f"the OUT record at position {said.position} does not begin as our frames do"
        raise JournalError(text, said.position)
    return head


def _stamp(head: re.Match[bytes], time_ns: int) -> bytes:
    """SendingTime(52) for `time_ns`, as precise as the one in `head`."""
    return format_utc_timestamp(time_ns, max(0, len(head[4]) - WHOLE_SECONDS))


def _frame(begin_string: bytes, body: bytes) -> bytes:
    frame = b"%b9=%d\x01%b" % (begin_string, len(body), body)
    return b"%b10=%03d\x01" % (frame, sum(frame) & 255)


assert BACK_STEP.size <= RECORD_HEADER_BYTES
