"""A witness that reads the journal as it is written, with code of its own, and knows what may be said.

It is told every write and every sync of the disk. From the sealed batches alone it knows for each connection, byte by byte,
what the exchange owes it: what it was really sent is held against that at the moment it leaves (`Stream`). On the way it
checks what must hold of every journal: records in their places, seals that chain, numbers without gaps, reports that add up.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import google_crc32c

HEADER = struct.Struct("<HBBIqqIIqq2sHHHHIH")
SEAL = struct.Struct("<IIIIq")
RESEND = struct.Struct("<qqq")
HEADER_BYTES, MAGIC = 64, 0xF144
SEGMENT, START, LINK, IN, OUT, RESEND_KIND, OPERATOR, SEAL_KIND = 1, 2, 4, 5, 6, 7, 10, 11
ADMIN = frozenset((b"0", b"1", b"2", b"3", b"4", b"5", b"A"))
#: Fields of a message that are new when it is said again.
RENEWED = frozenset((b"9", b"52", b"43", b"122", b"10"))
#: OrdStatus(39) of an order that is not in the book.
CLOSED = frozenset((b"2", b"3", b"4", b"8", b"C"))

Pairs = list[tuple[bytes, bytes]]


def split(frame: bytes) -> Pairs:
    """The fields of a frame, in order."""
    return [(tag, value) for tag, _, value in (part.partition(b"=") for part in frame.split(b"\x01")[:-1])]


def substance(frame: bytes) -> Pairs:
    """What stays of a message when it is said again."""
    return [pair for pair in split(frame) if pair[0] not in RENEWED]


def check_frame(frame: bytes) -> None:
    """BodyLength(9) and CheckSum(10) are right."""
    head, _, rest = frame.partition(b"\x0135=")
    assert int(head.rpartition(b"=")[2]) == len(rest) + 3 - len(b"10=000\x01"), f"BodyLength of {frame!r}"
    assert int(frame[-4:-1]) == sum(frame[:-7]) & 255, f"CheckSum of {frame!r}"


@dataclass
class Said:
    """One message that was said, and where its record lies."""

    position: int
    seq: int
    frame: bytes
    msg_type: bytes


@dataclass
class Resent:
    """A ResendRequest that was served."""

    position: int
    session: tuple[int, int]
    begin: int
    end: int
    #: What was said in front of this position is covered by a GapFill.
    floor: int


@dataclass
class Order:
    """An order as its reports tell."""

    symbol: bytes
    side: bytes
    qty: Decimal = Decimal()
    cum: Decimal = Decimal()
    leaves: Decimal = Decimal()
    closed: bool = False


@dataclass
class Fill:
    """One side of a trade."""

    side: bytes
    qty: bytes
    price: bytes


@dataclass
class Story:
    """Everything the journal has told up to a position."""

    end: int = 0
    crc: int = 0
    time_ns: int = 0
    names: dict[int, str] = field(default_factory=dict)
    #: (session id, run) -> number -> message; of a number used twice the newest.
    said: dict[tuple[int, int], dict[int, Said]] = field(default_factory=lambda: defaultdict(dict))
    next_out: dict[tuple[int, int], int] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    owed: dict[int, list[Said | Resent]] = field(default_factory=lambda: defaultdict(list))
    orders: dict[bytes, Order] = field(default_factory=dict)
    exec_ids: int = 0
    #: Executed by buyers less executed by sellers, by symbol.
    imbalance: dict[bytes, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    came: list[tuple[int, bytes]] = field(default_factory=list)
    told: list[Said | Resent] = field(default_factory=list)
    #: Resends served, by session.
    resent: dict[int, list[Resent]] = field(default_factory=lambda: defaultdict(list))
    fills: int = 0
    #: By session and ClOrdID(11): numbers under which NewOrderSingles came, and how often one was answered.
    entered: dict[tuple[int, bytes], set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    answered: dict[tuple[int, bytes], int] = field(default_factory=lambda: defaultdict(int))
    #: Commands of operators, and where the newest lies.
    operators: int = 0
    asked: int = 0
    starts: int = 0


class Scribe:
    """The witness. `story` is of everything sealed; `safe` is the position up to which it is on the disk."""

    def __init__(self) -> None:
        self.story = Story()
        self.batches: list[bytes] = []
        self.safe = 0
        self._segment = 0

    # ------------------------------------------------------------ what is written

    def wrote(self, first: int, offset: int, octets: bytes) -> None:
        """Something was written into the segment at `first`."""
        position = first + offset
        if offset == 0:
            self._take_segment(first, octets)
        elif octets.strip(b"\0") == b"":
            assert position >= self.story.end, f"sealed bytes at {position} were wiped out"
        else:
            assert position >= self.story.end, f"sealed bytes at {position} were changed"
            self._take_batch(position, octets)

    def _take_segment(self, first: int, octets: bytes) -> None:
        if len(octets) < HEADER_BYTES or octets.strip(b"\0") == b"":
            return
        assert first == 0 or first >= self.story.end, f"a segment at {first} covers sealed bytes up to {self.story.end}"
        self._segment = first

    def _take_batch(self, position: int, octets: bytes) -> None:
        """A whole batch counts, a piece of one does not."""
        story = self.story
        length = self._length(octets)
        if length is None:
            return
        begins = story.end, self._segment + HEADER_BYTES
        assert position in begins, f"a batch at {position}, the journal ends at {story.end}"
        at, count = 0, 0
        while at < length:
            self._take_record(position + at, octets, at)
            at += HEADER_BYTES + (HEADER.unpack_from(octets, at)[3] + 7 & ~7)
            count += 1
        seal = SEAL.unpack_from(octets, length + HEADER_BYTES)
        crc = google_crc32c.value(octets[: length + HEADER_BYTES])
        assert seal == (count, crc, story.crc, 0, position), f"the seal at {position + length} says {seal}"
        self.batches.append(octets)
        story.crc, story.end = crc, position + len(octets)
        uneven = {symbol: lots for symbol, lots in story.imbalance.items() if lots}
        assert not uneven, f"bought and sold differ behind {position}: {uneven}"

    def _length(self, octets: bytes) -> int | None:
        """Bytes in front of the seal; None when the batch is not whole."""
        at = 0
        while at + HEADER_BYTES <= len(octets):
            _magic, kind, _flags, length = HEADER.unpack_from(octets, at)[:4]
            if kind == SEAL_KIND:
                return at if at + HEADER_BYTES + SEAL.size == len(octets) else None
            at += HEADER_BYTES + (length + 7 & ~7)
        return None

    # ------------------------------------------------------------ what it says

    def _take_record(self, position: int, octets: bytes, at: int) -> None:
        story, header = self.story, HEADER.unpack_from(octets, at)
        magic, kind, flags, length, own, time_ns, session, run, seq = header[:9]
        assert (magic, flags, own) == (MAGIC, 0, position), f"the record at {position} names {own}"
        assert time_ns >= story.time_ns, f"time goes back at {position}"
        story.time_ns = time_ns
        payload = octets[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if session:
            assert run >= story.runs.get(session, 0), f"run {run} of session {session} at {position} is over"
            story.runs[session] = run
        if kind == LINK:
            told = json.loads(payload)
            story.names[session] = told["sender"]
        elif kind == START:
            story.starts += 1
        elif kind == OPERATOR:
            story.operators, story.asked = story.operators + 1, position
        elif kind == IN:
            story.came.append((position, payload))
            if header[10] == b"D\0":
                story.entered[session, dict(split(payload)).get(b"11", b"")].add((run, seq))
        elif kind == OUT:
            self._take_said(Said(position, seq, payload, header[10].rstrip(b"\0")), session, run, header[15])
        elif kind == RESEND_KIND:
            resent = Resent(position, (session, run), *RESEND.unpack(payload))
            story.told.append(resent)
            story.owed[header[15]].append(resent)
            story.resent[session].append(resent)

    def _take_said(self, said: Said, session: int, run: int, link: int) -> None:
        story, key = self.story, (session, run)
        expected = story.next_out.get(key, 1)
        assert said.seq == expected, f"session {session} run {run} was told number {said.seq} for {expected} at {said.position}"
        check_frame(said.frame)
        assert b"\x0134=%d\x01" % said.seq in said.frame, f"{said.frame!r} is number {said.seq}"
        story.next_out[key] = expected + 1
        story.said[key][said.seq] = said
        story.told.append(said)
        if link:
            story.owed[link].append(said)
        if said.msg_type == b"8":
            self._take_report(said, session)

    def _take_report(self, said: Said, session: int) -> None:
        """ExecutionReport(8): what is told of an order adds up, ids are given once, and no order is answered twice."""
        report = dict(split(said.frame))
        exec_type, status = report[b"150"], report[b"39"]
        if exec_type in (b"0", b"8"):
            name = session, report[b"11"]
            self.story.answered[name] += 1
            assert self.story.answered[name] <= len(self.story.entered[name]), f"an order was answered twice: {said.frame!r}"
        if exec_type == b"I" or report[b"17"] == b"0":
            return
        exec_id = int(report[b"17"])
        assert exec_id == self.story.exec_ids + 1, f"ExecID {exec_id} behind {self.story.exec_ids}"
        self.story.exec_ids = exec_id
        qty, cum, leaves = (Decimal(report.get(tag, b"0").decode()) for tag in (b"38", b"14", b"151"))
        if exec_type == b"8":
            return  # the order it speaks of, if there is one, is another
        order = self.story.orders.setdefault(report[b"37"], Order(report[b"55"], report[b"54"]))
        assert not order.closed, f"a report of an order that is closed: {said.frame!r}"
        if exec_type == b"F":
            last = Decimal(report[b"32"].decode())
            assert (cum, leaves) == (order.cum + last, order.leaves - last), f"the fill does not add up: {said.frame!r}"
            self.story.fills += 1
            self.story.imbalance[order.symbol] += last if order.side == b"1" else -last
        else:
            assert cum == order.cum, f"executed without a fill: {said.frame!r}"
        order.closed = status in CLOSED
        assert qty == cum + leaves if not order.closed or status == b"2" else leaves == 0, f"does not add up: {said.frame!r}"
        order.qty, order.cum, order.leaves = qty, cum, leaves

    # ------------------------------------------------------------ after a crash

    def read_again(self, segments: list[tuple[int, bytes]], floor: int) -> None:
        """The files as they are found after a crash. Nothing in front of `floor` may be missing, or be something else."""
        before = b"".join(self.batches)
        self.batches, self.story = [], Story()
        for first, octets in segments:
            if first != 0 and first < self.story.end:
                continue
            self._read_segment(first, octets)
        assert self.story.end >= floor, f"the journal ended at {floor}, now at {self.story.end}"
        after = b"".join(self.batches)
        assert after.startswith(before[: len(after)]), "the journal holds something else than was written"

    def _read_segment(self, first: int, octets: bytes) -> None:
        if len(octets) < HEADER_BYTES or octets[:2] != b"\x44\xf1":
            return
        if HEADER.unpack_from(octets)[9] != self.story.crc:
            return  # begun, and given up for a last batch in the segment before
        self._segment, at = first, HEADER_BYTES
        while (length := self._whole(octets, at)) is not None:
            self._take_batch(first + at, octets[at : at + length])
            at += length

    def _whole(self, octets: bytes, begin: int) -> int | None:
        """Length of the good batch at `begin`, seal included; None when there is none."""
        at = begin
        while at + HEADER_BYTES <= len(octets):
            magic, kind, _flags, length = HEADER.unpack_from(octets, at)[:4]
            if magic != MAGIC:
                return None
            end = at + HEADER_BYTES + (length + 7 & ~7)
            if kind == SEAL_KIND:
                crc = google_crc32c.value(octets[begin : at + HEADER_BYTES])
                if end > len(octets):
                    return None
                _count, sealed, previous, _spare, position = SEAL.unpack_from(octets, at + HEADER_BYTES)
                good = (sealed, previous, position) == (crc, self.story.crc, self._segment + begin)
                return end - begin if good else None
            at = end
        return None

    # ------------------------------------------------------------ what it comes to

    def rows(self) -> Iterator[tuple[tuple[int, int], bytes | None]]:
        """(position, part) and frame of every message, None for the frames of a resend."""
        yield from (((position, 0), frame) for position, frame in self.story.came)
        for entry in self.story.told:
            if isinstance(entry, Said):
                yield (entry.position, 0), entry.frame
            else:
                yield from (((entry.position, part), None) for part, _ in enumerate(self.expand(entry), 1))

    def expand(self, resent: Resent) -> Iterator[tuple[int, Said | None, int]]:
        """(number, message or None for a GapFill, number behind it) of what a RESEND record stands for."""
        run = self.story.said[resent.session]
        fill_from = resent.begin
        for seq in range(resent.begin, resent.end + 1):
            said = run.get(seq)
            if said is None or said.msg_type in ADMIN or not resent.floor <= said.position < resent.position:
                continue
            if fill_from < seq:
                yield fill_from, None, seq
            yield seq, said, seq + 1
            fill_from = seq + 1
        if fill_from <= resent.end:
            yield fill_from, None, resent.end + 1


class Stream:
    """What one connection was really sent, held against what the journal says it is owed."""

    def __init__(self, scribe: Scribe, link: int) -> None:
        self._scribe, self._link = scribe, link
        self._buffer = b""
        self._entry = 0
        self._frames: Iterator[tuple[int, Said | None, int]] | None = None

    def sent(self, octets: bytes, limit: int) -> None:
        """Bytes leave; the records they are of must lie in front of position `limit`."""
        self._buffer += octets
        while (end := _frame_end(self._buffer)) is not None:
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            self._take(frame, limit)
        if self._buffer:
            entry = self._next_entry()
            assert entry is not None and entry.position < limit, f"link {self._link}: {self._buffer!r} was sent before its seal"
            if isinstance(entry, Said) and self._frames is None:
                assert entry.frame.startswith(self._buffer), f"link {self._link}: {self._buffer!r} sent for {entry.frame!r}"

    def _next_entry(self) -> Said | Resent | None:
        owed = self._scribe.story.owed[self._link]
        return owed[self._entry] if self._entry < len(owed) else None

    def _take(self, frame: bytes, limit: int) -> None:
        while True:
            entry = self._next_entry()
            assert entry is not None and entry.position < limit, f"link {self._link}: {frame!r} was sent before its seal"
            if isinstance(entry, Said):
                assert frame == entry.frame, f"link {self._link}: {frame!r} was sent for {entry.frame!r}"
                self._entry += 1
                return
            if self._frames is None:
                self._frames = self._scribe.expand(entry)
            step = next(self._frames, None)
            if step is not None:
                self._check_again(frame, *step)
                return
            self._frames = None
            self._entry += 1

    def _check_again(self, frame: bytes, seq: int, said: Said | None, following: int) -> None:
        """A frame of a resend: the same message once more, or a GapFill over exactly what is not said again."""
        check_frame(frame)
        fields = dict(split(frame))
        assert fields.get(b"43") == b"Y" and int(fields[b"34"]) == seq, f"link {self._link}: {frame!r} for number {seq}"
        if said is None:
            filled = fields[b"35"], fields.get(b"123"), fields.get(b"36")
            assert filled == (b"4", b"Y", b"%d" % following), f"link {self._link}: {frame!r} for a GapFill to {following}"
        else:
            assert substance(frame) == substance(said.frame), f"link {self._link}: {frame!r} for {said.frame!r}"
            assert fields[b"122"] == dict(split(said.frame))[b"52"], f"link {self._link}: {frame!r} for {said.frame!r}"


def _frame_end(octets: bytes) -> int | None:
    """Where the first frame ends, None while it has not."""
    at = octets.find(b"\x0110=")
    return at + 8 if at >= 0 and len(octets) >= at + 8 else None
