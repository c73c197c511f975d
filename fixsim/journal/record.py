"""A journal record: 64 bytes of header, then the payload, padded with zeros to 8 bytes.

The header is `layout.RECORD`; here it is packed and unpacked, and payloads that are not FIX frames are built
and read.
"""

import json
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
import numpy.typing as npt

from fixsim import layout
from fixsim.errors import JournalCorrupt
from fixsim.layout import JOURNAL_VERSION, NIL, RECORD_MAGIC, Kind
from fixsim.limits import RECORD_ALIGN, RECORD_HEADER_BYTES

Octets = npt.NDArray[np.uint8]

#: `layout.RECORD` for struct: much faster than numpy for one record.
HEADER: Final = Struct("<HBBIqqIIqq2sHHHHIH")
#: What a walk over records needs of each: magic, kind, length, position.
STEP: Final = Struct("<HBxIq")
SEAL_BODY: Final = Struct("<IIIIq")
RESEND_BODY: Final = Struct("<qqq")
GARBLED_BODY: Final = Struct("<q")

#: Bytes of garbled input that are kept.
GARBLED_KEPT_BYTES: Final = 256
SEAL_RECORD_BYTES: Final = RECORD_HEADER_BYTES + SEAL_BODY.size
#: The first eight bytes of every SEAL record.
SEAL_PREFIX: Final = Struct("<HBBI").pack(RECORD_MAGIC, Kind.SEAL, 0, SEAL_BODY.size)
#: Changes when the layout of records does; kept in every SEGMENT record.
LAYOUT_DIGEST: Final[int] = google_crc32c.value(
    repr((layout.RECORD.descr, layout.SEAL.descr, layout.RESEND.descr)).encode()
)
#: Names of the kinds, for people.
KIND_NAMES: Final[Mapping[int, str]] = {
    value: name for name, value in vars(Kind).items() if isinstance(value, int) and name.isupper()
}

SOH: Final = 1

assert layout.RECORD.itemsize == HEADER.size == RECORD_HEADER_BYTES
assert layout.SEAL.itemsize == SEAL_BODY.size
assert layout.RESEND.itemsize == RESEND_BODY.size
assert SEAL_RECORD_BYTES % RECORD_ALIGN == 0


class Record(NamedTuple):
    """One record as it lies in the journal; fields are those of `layout.RECORD`, `payload` is not copied."""

    kind: int
    flags: int
    length: int
    position: int
    time_ns: int
    session: int
    run: int
    seq: int
    back: int
    msg_type: bytes
    at_cl_ord_id: int
    at_order_id: int
    at_exec_id: int
    at_symbol: int
    link: int
    payload: memoryview

    @property
    def end(self) -> int:
        """Position behind this record and its padding."""
        return self.position + record_bytes(self.length)

    def value_at(self, offset: int) -> bytes | None:
        """The FIX value that begins at `offset` of the payload (`at_symbol` and its like); None for offset 0.
        """
        if offset == 0:
            return None
        payload = bytes(self.payload[offset : offset + 256])
        end = payload.find(SOH)
        if end < 0:
            payload = bytes(self.payload[offset:])
            end = payload.find(SOH)
        return payload if end < 0 else payload[:end]

    def json(self) -> dict[str, Any]:
        """Payload of a START, CONFIG, LINK or OPERATOR record; JournalCorrupt when it is no JSON object."""
        try:
            value = json.loads(bytes(self.payload))
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise JournalCorrupt(f"the record at {self.position} holds no JSON object", self.position)
        return value

    def resend_range(self) -> tuple[int, int]:
        """Payload of a RESEND record: first and last MsgSeqNum(34), both inclusive."""
        begin, end, _ = RESEND_BODY.unpack(self.payload)
        return begin, end

    def resend_floor(self) -> int:
        """Of a RESEND record: what was said in front of this position is covered by a GapFill."""
        floor: int = RESEND_BODY.unpack(self.payload)[2]
        return floor

    def garbled(self) -> tuple[int, bytes]:
        """Payload of a GARBLED record: how many bytes came, and the first of them."""
        (length,) = GARBLED_BODY.unpack_from(self.payload)
        return length, bytes(self.payload[GARBLED_BODY.size :])


def record_bytes(length: int) -> int:
    """Bytes a record with `length` bytes of payload takes: header, payload, padding."""
    return RECORD_HEADER_BYTES + (length + RECORD_ALIGN - 1 & -RECORD_ALIGN)


def record_at(view: memoryview, offset: int, position: int) -> Record:
    """The record at byte `offset` of `view`, which must be the one of `position`; JournalCorrupt otherwise.
    """
    begin = offset + RECORD_HEADER_BYTES
    if begin <= len(view):
        magic, *fields = HEADER.unpack_from(view, offset)
        end = begin + fields[2]
        if magic == RECORD_MAGIC and fields[3] == position and end <= len(view):
            fields[-1] = view[begin:end]  # where the spare was
            return Record._make(fields)
    raise JournalCorrupt(f"no record lies at position {position}", position)


def records(view: memoryview) -> Iterator[Record]:
    """The records of a batch, in order. `view` is one that `Reader.batches` gave."""
    unpack, new, total = HEADER.unpack_from, tuple.__new__, len(view)
    at, expected = 0, NIL
    while at < total:
        fields = unpack(view, at)
        length, position, begin = fields[3], fields[4], at + RECORD_HEADER_BYTES
        if fields[0] != RECORD_MAGIC or (position != expected and expected != NIL):
            raise JournalCorrupt(f"no record lies at position {expected}", expected)
        yield new(Record, (*fields[1:-1], view[begin : begin + length]))
        size = RECORD_HEADER_BYTES + (length + 7 & -8)
        at += size
        expected = position + size


def offsets(view: memoryview) -> npt.NDArray[np.int64]:
    """Byte offsets int64[n] of the records of a batch, for readers that work in columns."""
    unpack, total, at = STEP.unpack_from, len(view), 0
    found: list[int] = []
    while at < total:
        found.append(at)
        at += RECORD_HEADER_BYTES + (unpack(view, at)[2] + 7 & -8)
    return np.array(found, np.int64)


def headers(view: memoryview, at: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """Headers of the records at the offsets `at`, copied into `layout.RECORD`[n]."""
    octets = np.frombuffer(view, np.uint8)
    rows: Octets = octets[at[:, None] + np.arange(RECORD_HEADER_BYTES)]
    return rows.reshape(-1).view(layout.RECORD)


def pack(
    kind: int,
    position: int,
    time_ns: int,
    payload: bytes | memoryview = b"",
    *,
    session: int = 0,
    run: int = 0,
    seq: int = 0,
    back: int = NIL,
    msg_type: bytes = b"",
    at: tuple[int, int, int, int] = (0, 0, 0, 0),
    link: int = 0,
) -> bytes:
    """A whole record, padded. `at` holds the offsets of 11, 37, 17 and 55 in the payload."""
    length = len(payload)
    header = HEADER.pack(
        RECORD_MAGIC, kind, 0, length, position, time_ns, session, run, seq, back, msg_type, *at, link, 0
    )
    return header + bytes(payload) + bytes(-length % RECORD_ALIGN)


def segment_record(first: int, back: int) -> bytes:
    """The 64 bytes a segment begins with. Every one is known in advance, so a reader compares them whole.

    `first` is the segment's position, `back` the CRC of the last seal before it (0 for none).
    """
    return HEADER.pack(
        RECORD_MAGIC, Kind.SEGMENT, 0, 0, first, 0,
        LAYOUT_DIGEST, 0, JOURNAL_VERSION, back, b"", 0, 0, 0, 0, 0, 0,
    )  # fmt: skip


def json_payload(fields: Mapping[str, Any]) -> bytes:
    """Payload of a START, CONFIG, LINK or OPERATOR record: JSON with sorted keys, the same bytes for the same
    fields.
    """
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def garbled_payload(length: int, head: bytes | memoryview) -> bytes:
    """Payload of a GARBLED record: `length` bytes came, of which `head` are the first; 256 of them are kept.
    """
    return GARBLED_BODY.pack(length) + bytes(head[:GARBLED_KEPT_BYTES])


def resend_payload(begin: int, end: int, floor: int = 0) -> bytes:
    """Payload of a RESEND record: MsgSeqNums, both inclusive, and the position in front of which nothing is said again."""
    return RESEND_BODY.pack(begin, end, floor)
