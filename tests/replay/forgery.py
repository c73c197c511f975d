"""A journal written anew by somebody who knows the format: every seal is right, what was said is not."""

from collections.abc import Callable
from pathlib import Path

from fixsim.journal.reader import Reader
from fixsim.journal.record import HEADER, SEAL_RECORD_BYTES, Record, records
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer
from replay.recording import BATCH_BYTES, SEGMENT_BYTES

#: One record: its header fields as HEADER has them, and its payload.
Loose = tuple[list[int], bytes]


def loosened(record: Record) -> Loose:
    """A record in parts that may be changed."""
    return list(HEADER.unpack(HEADER.pack(0xF144, *record[:-1], 0))), bytes(record.payload)


def forge(source: Path, target: Path, change: Callable[[list[Loose]], list[Loose]]) -> None:
    """Write the journal of `source` to `target`, each batch as `change` leaves it; positions are set right again."""
    reader = Reader(journal_directory(source))
    writer = Writer.open(journal_directory(target), segment_bytes=SEGMENT_BYTES, batch_bytes=BATCH_BYTES, tail_bytes=1 << 12)
    moved: dict[int, int] = {}
    for batch in reader.batches():
        at, octets = writer.begin_batch(), bytearray()
        loose = change([loosened(record) for record in records(batch.view)])
        for header, payload in loose:
            moved.setdefault(header[4], at + len(octets))
            header[3], header[4] = len(payload), at + len(octets)
            header[9] = moved.get(header[9], header[9])
            octets += HEADER.pack(*header) + payload + bytes(-len(payload) % 8)
        length, seal = len(octets), reader.seal(batch)
        octets += bytes(SEAL_RECORD_BYTES)
        writer.append(memoryview(octets), length, len(loose), seal.time_ns)
    writer.close()


def reframed(frame: bytes, old: bytes, new: bytes) -> bytes:
    """A frame with one stretch replaced and BodyLength(9) and CheckSum(10) redone."""
    begin, _, rest = frame.replace(old, new).partition(b"\x019=")
    body = rest.partition(b"\x01")[2]
    body = body[: body.rindex(b"10=")]
    text = b"%b\x019=%d\x01%b" % (begin, len(body), body)
    return b"%b10=%03d\x01" % (text, sum(text) & 255)
