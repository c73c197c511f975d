"""Journal records in words: one line for people, one JSON object for programs. Used by `journal cat` and
`tail`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fixsim.errors import GarbledMessage, UsageError
from fixsim.fix import tags
from fixsim.fix.codec import decode, show
from fixsim.fix.dictionary import Described, Dictionary, fix44
from fixsim.journal.reader import Reader
from fixsim.journal.record import KIND_NAMES, Record
from fixsim.journal.resend import expand
from fixsim.journal.segments import firsts, journal_directory
from fixsim.layout import Kind
from fixsim.units import format_utc_timestamp

#: Who a frame is from or for, where its header is: the name of the session when no LINK record was seen.
PEER: Final = {Kind.IN: re.compile(rb"\x0149=([^\x01]*)\x01"), Kind.OUT: re.compile(rb"\x0156=([^\x01]*)\x01")}
#: Fields a line leaves out: they are in its other columns, or say nothing to people.
QUIET: Final = frozenset(
    {
        tags.BEGIN_STRING, tags.BODY_LENGTH, tags.MSG_TYPE, tags.SENDER_COMP_ID, tags.TARGET_COMP_ID,
        tags.MSG_SEQ_NUM, tags.SENDING_TIME, tags.CHECK_SUM,
    }
)  # fmt: skip
#: How a line shows where a message went.
ARROWS: Final = {Kind.IN: ">", Kind.OUT: "<"}


def open_journal(data_dir: Path) -> Reader:
    """The journal of a data directory, or the directory itself if it holds segments. Raises UsageError for
    neither.
    """
    for directory in (journal_directory(data_dir), data_dir):
        if firsts(directory):
            return Reader(directory)
    raise UsageError(f"there is no journal in {data_dir}")


def time_text(time_ns: int) -> str:
    """Venue time for people: UTC with microseconds."""
    try:
        return format_utc_timestamp(time_ns, 6).decode()
    except (ValueError, OverflowError):
        return str(time_ns)


class Narrator:
    """Tells records one after another, and learns the names of sessions from them."""

    def __init__(self, reader: Reader, raw: bool = False, dictionary: Dictionary | None = None) -> None:
        self._reader, self._raw = reader, raw
        self._dictionary = dictionary or fix44()
        self._names: dict[int, str] = {}

    def session(self, record: Record) -> str:
        """Name of the record's session: the peer's CompID; its number when nothing told the name yet."""
        if record.session == 0:
            return ""
        if record.kind == Kind.LINK:
            sender = record.json().get("sender")
            if isinstance(sender, str) and sender:
                self._names[record.session] = sender
        elif record.session not in self._names and record.kind in PEER:
            found = PEER[record.kind].search(bytes(record.payload[:512]))
            if found is not None:
                self._names[record.session] = show(found[1])
        return self._names.get(record.session, str(record.session))

    def line(self, record: Record) -> str:
        """One line: time, position, session, direction and number, and what it is."""
        arrow = ARROWS.get(record.kind, " ")
        number = str(record.seq) if record.seq else ""
        head = f"{time_text(record.time_ns)} {record.position:>10} {self.session(record):<12} {arrow}{number:>6}"
        return f"{head}  {self._what(record)}"

    def object(self, record: Record) -> dict[str, Any]:
        """Everything about a record, names included."""
        found: dict[str, Any] = {
            "position": record.position,
            "kind": KIND_NAMES.get(record.kind, str(record.kind)),
            "time_ns": record.time_ns,
            "time": time_text(record.time_ns),
            "session": self.session(record),
            "session_id": record.session,
            "run": record.run,
            "link": record.link,
        }
        if record.kind in ARROWS:
            found |= {"seq": record.seq, **self.message(bytes(record.payload))}
        elif record.kind == Kind.RESEND:
            begin, end = record.resend_range()
            found |= {"begin": begin, "end": end, "floor": record.resend_floor()}
        elif record.kind == Kind.GARBLED:
            length, head = record.garbled()
            found |= {"length": length, "raw": head}
        elif record.length:
            found["payload"] = record.json()
        return found

    def message(self, frame: bytes) -> dict[str, Any]:
        """A frame as JSON: type, raw bytes, and every field with its names."""
        try:
            message = decode(frame, check=False)
        except GarbledMessage as error:
            return {"msg_type": "", "message": "", "raw": frame, "garbled": str(error)}
        return {
            "msg_type": show(message.msg_type),
            "message": self._dictionary.message_name(message.msg_type),
            "raw": frame,
            "fields": [field._asdict() for field in self._dictionary.describe(message)],
        }

    def resent(self, record: Record) -> Iterator[bytes]:
        """The frames a RESEND record stands for; none for other records."""
        if record.kind == Kind.RESEND:
            yield from expand(self._reader, record)

    def frame_text(self, frame: bytes) -> str:
        """A frame in one line: `|` for SOH if raw is wanted, names of fields and values otherwise."""
        if self._raw:
            return show(frame)
        try:
            message = decode(frame, check=False)
        except GarbledMessage:
            return show(frame)
        fields = [field for field in self._dictionary.describe(message) if field.tag not in QUIET]
        name = self._dictionary.message_name(message.msg_type)
        return " ".join([f"{name}({show(message.msg_type)})", *map(field_text, fields)])

    def _what(self, record: Record) -> str:
        name = KIND_NAMES.get(record.kind, f"kind {record.kind}")
        if record.kind in ARROWS:
            return self.frame_text(bytes(record.payload))
        if record.kind == Kind.RESEND:
            begin, end = record.resend_range()
            return f"{name} {begin} to {end}"
        if record.kind == Kind.GARBLED:
            length, head = record.garbled()
            return f"{name} {length} bytes: {show(head)}"
        if not record.length:
            return name
        return f"{name} {_summary(record.json())}"


def field_text(field: Described) -> str:
    """`Side=1(BUY)`: a field under its name, its value, and what that means."""
    meaning = f"({field.value_name})" if field.value_name else ""
    return f"{field.name or field.tag}={field.value}{meaning}"


def _summary(payload: dict[str, Any]) -> str:
    """The short values of a JSON payload; a configuration is only named."""
    parts = []
    for key, value in payload.items():
        shown = "{...}" if isinstance(value, dict | list) and len(str(value)) > 200 else str(value)
        if shown:
            parts.append(f"{key}={show(shown.encode('utf-8', 'backslashreplace'))}")
    return " ".join(parts)
