"""Bytes to messages and back: framing, checksums, text (FIX 4.4 volume 1, message format).

A frame runs from `8=FIX` to the SOH behind CheckSum(10). `find_frame` cuts a stream into frames and garbled
stretches; it looks only at the stream from `start` on, never at how the bytes happened to arrive, so any
fragmentation gives the same cut. `decode` turns one frame into fields. Both fail closed: what is not
certainly a FIX message is garbled, and a garbled stretch is dropped without an answer (FIX 4.4 volume 2,
garbled message).
"""

import re
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

from fixsim.errors import GarbledMessage
from fixsim.fix.message import Field, Message

SOH: Final = b"\x01"
BEGIN_STRING: Final = b"FIX.4.4"

#: Kinds of `Framing`.
PARTIAL: Final = 0
FRAME: Final = 1
GARBLED: Final = 2

#: What every frame begins with, whatever its FIX version.
MARKER: Final = b"8=FIX"

#: Fields that may hold SOH, and the field in front of each that tells its length (FIX 4.4 volume 1, data
#: fields).
LENGTH_OF_DATA: Final = {
    89: 93, 91: 90, 96: 95, 213: 212, 349: 348, 351: 350, 353: 352, 355: 354, 357: 356, 359: 358, 361: 360,
    363: 362, 365: 364, 446: 445, 619: 618, 622: 621,
}  # fmt: skip

_HEAD: Final = re.compile(rb"8=FIX[^\x01]{0,16}\x019=([0-9]{1,9})\x01")
_HEAD_SO_FAR: Final = re.compile(rb"8=FIX[^\x01]{0,16}(?:\x01(?:9(?:=[0-9]{0,9})?)?)?")
#: The end of a window that may yet become a marker, with the digit in front that would forbid it.
_MARKER_SO_FAR: Final = re.compile(rb"[0-9]?8(?:=(?:FI?)?)?\Z|[0-9]\Z")
_TRAILER: Final = b"\x0110="
_CHECK_SUM_TEXT: Final = re.compile(rb"[0-9]{3}")
_DATA_LENGTH_TEXT: Final = re.compile(rb"[0-9]{1,9}")
_TAG_TEXT: Final = re.compile(rb"-?[0-9]{1,10}")
_TAG_MAX: Final = 2**31 - 1
#: Tags that need no closer look. A length of a data field is left out on purpose: the field behind it may
#: hold SOH.
_PLAIN_TAGS: Final = {b"%d" % tag: tag for tag in range(1, 1000) if tag not in LENGTH_OF_DATA.values()}
_ADLER_EXACT: Final = 256


class Framing(NamedTuple):
    """What a stream begins with: its `kind`, and the stretch `start` to `end` (empty for PARTIAL)."""

    kind: int
    start: int
    end: int

    @property
    def resume_at(self) -> int:
        """Where the rest of the stream begins."""
        return self.end

    @property
    def length(self) -> int:
        """Bytes of the stretch."""
        return self.end - self.start


def find_frame(buffer: bytes | bytearray, start: int, end: int, max_length: int) -> Framing:
    """The first frame or garbled stretch of `buffer[start:end]`; PARTIAL if more bytes are needed to tell.

    A FRAME has the BodyLength(9) it declares and a right CheckSum(10). A frame with a wrong CheckSum is
    garbled as a whole. With a wrong BodyLength everything to the first trailer at or behind the declared end
    is garbled: too short costs that message alone, too long the next one too. Anything else that is no frame
    is garbled up to the next frame's beginning. No verdict needs more than `max_length` bytes; a longer
    message is garbled.
    """
    limit = start + max_length
    if limit > end:
        limit = end
    head = _HEAD.match(buffer, start, limit)
    if head is None:
        if _may_become_head(buffer, start, limit) and limit - start < max_length:
            return Framing(PARTIAL, start, start)
        return _skip(buffer, start, limit, max_length)
    trailer = head.end() + int(head[1])
    if trailer - start + 7 > max_length:
        return _skip(buffer, start, limit, max_length)
    found = buffer.find(_TRAILER, trailer - 1, limit)
    closing = buffer.find(SOH, found + 4, limit) if found != -1 else -1
    if closing == -1:
        if limit - start < max_length:
            return Framing(PARTIAL, start, start)
        return _skip(buffer, start, limit, max_length)
    if found != trailer - 1 or closing != trailer + 6 or not _check_sum_fits(buffer, start, trailer):
        return Framing(GARBLED, start, closing + 1)
    return Framing(FRAME, start, closing + 1)


def _may_become_head(buffer: bytes | bytearray, start: int, limit: int) -> bool:
    """Whether `buffer[start:limit]` is a proper beginning of `8=FIX...|9=N|`."""
    if limit - start < len(MARKER):
        return MARKER.startswith(buffer[start:limit])
    return _HEAD_SO_FAR.fullmatch(buffer, start, limit) is not None


def _skip(buffer: bytes | bytearray, start: int, limit: int, max_length: int) -> Framing:
    """The garbled stretch from `start` to the next beginning of a frame, or of a whole window without one."""
    marker = _find_marker(buffer, start + 1, start, limit)
    if marker != -1:
        return Framing(GARBLED, start, marker)
    if limit - start < max_length:
        return Framing(PARTIAL, start, start)
    # a marker may be cut by the end of the window: keep what could be its beginning, but always go on
    held = _MARKER_SO_FAR.search(buffer, max(start + 1, limit - len(MARKER) - 1), limit)
    return Framing(GARBLED, start, held.start() if held is not None else limit)


def _find_marker(buffer: bytes | bytearray, position: int, start: int, limit: int) -> int:
    """The first `8=FIX` from `position` on that is not the end of another tag (`58=FIX`); -1 for none."""
    while True:
        found = buffer.find(MARKER, position, limit)
        if found <= start or not 48 <= buffer[found - 1] <= 57:
            return found
        position = found + 1


def byte_sum(octets: bytes | bytearray | memoryview) -> int:
    """Sum of all bytes, ten times as fast as sum(): Adler-32 keeps it, plus one, in its low half.

    The half is taken modulo 65,521, so the sum is exact for stretches of up to 256 bytes.
    """
    if len(octets) <= _ADLER_EXACT:
        return (zlib.adler32(octets) & 0xFFFF) - 1
    view = memoryview(octets)
    return sum(
        (zlib.adler32(view[at : at + _ADLER_EXACT]) & 0xFFFF) - 1 for at in range(0, len(view), _ADLER_EXACT)
    )


def _check_sum_fits(buffer: bytes | bytearray, start: int, trailer: int) -> bool:
    """Whether the three digits behind `10=` at `trailer` are the CheckSum of `buffer[start:trailer]`."""
    text = buffer[trailer + 3 : trailer + 6]
    return text == b"%03d" % (byte_sum(buffer[start:trailer]) & 0xFF)


def decode(frame: bytes, check: bool = True) -> Message:
    """The fields of one frame, in wire order.

    With `check`, BodyLength(9) and CheckSum(10) must be right; `find_frame` has looked at both already.
    Raises GarbledMessage if the frame does not begin with 8, 9, 35 and end with 10, or a field cannot be
    read.
    """
    parts = frame.split(SOH)
    raw_tags: dict[int, bytes] | None = None
    try:
        fields = [(_PLAIN_TAGS[tag], value) for tag, value in [part.split(b"=", 1) for part in parts[:-1]]]
    except (KeyError, ValueError):  # a rare tag, a data field, or no field at all
        fields, raw_tags = _read_fields(frame)
    if parts[-1] or len(fields) < 4:
        raise GarbledMessage("the frame does not end with SOH behind CheckSum(10)")
    if fields[0][0] != 8 or fields[1][0] != 9 or fields[2][0] != 35:
        raise GarbledMessage("the first three fields are not 8, 9, 35")
    if fields[-1][0] != 10:
        raise GarbledMessage("the last field is not CheckSum(10)")
    if check:
        _check(frame, fields)
    return Message(fields, fields[2][1], raw_tags)


def _check(frame: bytes, fields: list[Field]) -> None:
    """Raise GarbledMessage unless BodyLength(9) and CheckSum(10) are what the frame's bytes say."""
    begin = len(fields[0][1]) + len(fields[1][1]) + 6
    trailer = len(frame) - len(fields[-1][1]) - 4
    declared = fields[1][1]
    if _DATA_LENGTH_TEXT.fullmatch(declared) is None or int(declared) != trailer - begin:
        raise GarbledMessage(f"BodyLength(9) is {show(declared)}, the body has {trailer - begin} bytes")
    if _CHECK_SUM_TEXT.fullmatch(fields[-1][1]) is None or not _check_sum_fits(frame, 0, trailer):
        raise GarbledMessage(f"CheckSum(10) is wrong: {show(fields[-1][1])}")


def _read_fields(frame: bytes) -> tuple[list[Field], dict[int, bytes]]:
    """Fields and raw tags of any frame, read one field after another, data fields included."""
    fields: list[Field] = []
    raw_tags: dict[int, bytes] = {}
    position, last_tag, last_value = 0, 0, b""
    while position < len(frame):
        equals = frame.find(b"=", position)
        closing = frame.find(SOH, position)
        if closing == -1 or not position < equals < closing:
            raise GarbledMessage(f"no field can be read at byte {position}")
        tag_text = frame[position:equals]
        tag = _read_tag(tag_text)
        if tag <= 0:
            raw_tags[len(fields)] = tag_text
        elif LENGTH_OF_DATA.get(tag) == last_tag and _DATA_LENGTH_TEXT.fullmatch(last_value) is not None:
            closing = equals + 1 + int(last_value)
            if frame[closing : closing + 1] != SOH:
                raise GarbledMessage(f"field {tag} is not as long as its length says")
        last_tag, last_value = tag, frame[equals + 1 : closing]
        fields.append((tag, last_value))
        position = closing + 1
    return fields, raw_tags


def _read_tag(text: bytes) -> int:
    """A tag number; zero or less for an integer that is none (0, -1, 007); GarbledMessage for the rest."""
    tag = _PLAIN_TAGS.get(text)
    if tag is not None:
        return tag
    if _TAG_TEXT.fullmatch(text) is None or abs(int(text)) > _TAG_MAX:
        raise GarbledMessage(f"{show(text)} is no tag")
    return min(int(text), 0) if text[:1] in (b"0", b"-") else int(text)


def encode(
    msg_type: bytes, header: Sequence[Field], body: Sequence[Field], begin_string: bytes = BEGIN_STRING
) -> bytes:
    """One frame: 8, 9, 35, `header`, `body`, 10. Raises ValueError if a value holds SOH and may not."""
    block = b"".join([b"%d=%b\x01" % field for field in (*header, *body)])
    if block.count(SOH) != len(header) + len(body):
        _refuse_soh((*header, *body))
    return seal(b"8=%b\x0135=%b\x01%b" % (begin_string, msg_type, block))


def seal(message: bytes) -> bytes:
    """`message`, given without them, with BodyLength(9) behind its first field and CheckSum(10) last."""
    begin, _, block = message.partition(SOH)
    framed = b"%b\x019=%d\x01%b" % (begin, len(block), block)
    return b"%b10=%03d\x01" % (framed, byte_sum(framed) & 0xFF)


def _refuse_soh(fields: Sequence[Field]) -> None:
    """Raise ValueError for the first field that holds SOH without being allowed to."""
    last_tag, last_value = 0, b""
    for tag, value in fields:
        if SOH in value and (LENGTH_OF_DATA.get(tag) != last_tag or last_value != b"%d" % len(value)):
            raise ValueError(f"field {tag} holds SOH and is no data field behind its length")
        last_tag, last_value = tag, value


#: Control characters are shown as escapes: what a stranger sent must not steer a terminal.
_SHOWN: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {1: "|"}


def show(frame: bytes) -> str:
    """A frame for human eyes: SOH as `|`, other control characters as escapes."""
    return frame.decode("utf-8", "backslashreplace").translate(_SHOWN)


def parse_shown(text: str) -> bytes:
    """The bytes of a message as people write it: SOH, `|` or `^A` between fields; 9 and 10 are kept."""
    return text.strip(" \t\r\n").replace("^A", "\x01").replace("|", "\x01").encode()
