"""What lies behind the last good batch: nothing, a torn tail, or rot in front of sealed records.

The rule: bytes that no seal covers were never said, so they may be cut. Bytes in front of a seal that holds
were said, so damage there is refused. A seal holds when its header names its own position and its CRC fits
the bytes it covers.
"""

from typing import Final

import google_crc32c

from fixsim.journal.record import (
    HEADER,
    SEAL_BODY,
    SEAL_PREFIX,
    SEAL_RECORD_BYTES,
    STEP,
)
from fixsim.journal.segments import Segment, Segments
from fixsim.layout import RECORD_MAGIC, Kind
from fixsim.limits import RECORD_ALIGN, RECORD_HEADER_BYTES

#: Fields of a SEGMENT record, by their place in HEADER: layout digest, version, CRC of the last seal before.
DIGEST: Final = 6
VERSION: Final = 8
BACK: Final = 9


def seal_holds(segment: Segment, offset: int) -> bool:
    """Is there a whole seal at byte `offset` whose CRC fits the batch it names?"""
    if offset % RECORD_ALIGN or offset + SEAL_RECORD_BYTES > segment.size:
        return False
    magic, kind, length, position = STEP.unpack_from(segment.view, offset)
    if (magic, kind, length, position) != (RECORD_MAGIC, Kind.SEAL, SEAL_BODY.size, segment.first + offset):
        return False
    _count, crc, _previous, _spare, begin = SEAL_BODY.unpack_from(segment.view, offset + RECORD_HEADER_BYTES)
    at = begin - segment.first
    if not RECORD_HEADER_BYTES <= at < offset:
        return False
    return bool(google_crc32c.value(segment.octets[at : offset + RECORD_HEADER_BYTES]) == crc)


def seal_behind(segment: Segment, offset: int) -> int | None:
    """Position of the first seal that holds at or behind byte `offset`, None when there is none.

    Behind the end of a journal lie tens of megabytes of zeros: finding them to be zeros takes a tenth of searching them.
    """
    end = segment.last_said(offset)
    while (offset := segment.bytes.find(SEAL_PREFIX, offset, end)) >= 0:
        if seal_holds(segment, offset):
            return segment.first + offset
        offset += 1
    return None


def begun(segment: Segment) -> bool:
    """Does the file begin with a SEGMENT record of its own position, written as far as its version?

    It got its name only when all in front of it was sealed, so this alone is proof of that.
    """
    if segment.size < RECORD_HEADER_BYTES:
        return False
    fields = HEADER.unpack_from(segment.view, 0)
    return bool(fields[:2] == (RECORD_MAGIC, Kind.SEGMENT) and fields[4] == segment.first and fields[VERSION])


def said_behind(segments: Segments, segment: Segment, offset: int) -> int | None:
    """Position of something sealed at or behind byte `offset` of `segment`, in it or in a later one; None for
    nothing.
    """
    if offset == 0 and begun(segment):
        return segment.first
    found = seal_behind(segment, offset)
    later = segments.after(segment)
    while found is None and later is not None:
        found = later.first if begun(later) else seal_behind(later, 0)
        later = segments.after(later)
    return found


def segment_fault(segment: Segment, wanted: bytes) -> str:
    """Why the segment's first record is not `wanted`."""
    if not begun(segment):
        return f"{segment.path.name} does not begin with a SEGMENT record"
    fields, expected = HEADER.unpack_from(segment.view, 0), HEADER.unpack(wanted)
    name, named = segment.path.name, fields[BACK]
    if fields[VERSION] != expected[VERSION]:
        return f"{name} is of journal version {fields[VERSION]}, this is {expected[VERSION]}"
    if fields[DIGEST] != expected[DIGEST]:
        return f"{name} has records of another layout"
    if named != expected[BACK]:
        return f"{name} continues seal {named:08x}, what is before it ends at {expected[BACK]:08x}"
    return f"the SEGMENT record of {name} is damaged"
