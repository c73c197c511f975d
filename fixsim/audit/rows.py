"""Journal records to rows, in the form PostgreSQL's COPY takes them.

Everything the shipper does per message happens here, so this file is written for speed: headers tell where
values lie, a regular expression fits an ExecutionReport(8) as the kernels write it, values go from the wire
into COPY's text or binary form without becoming objects of their own. What does not fit that mould is decoded
field by field, with the same result.

Rules: a row never fails to load. Bytes that PostgreSQL's text cannot hold are shown as Latin-1 (NUL as
U+2400), a value that is no decimal becomes NULL in a decimal column; `messages.raw` always has the exact
bytes.
"""

import json
import re
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

from fixsim.errors import GarbledMessage, JournalCorrupt
from fixsim.fix.codec import decode
from fixsim.fix.message import Message
from fixsim.journal.record import GARBLED_BODY, HEADER, RESEND_BODY
from fixsim.layout import RECORD_MAGIC, Kind
from fixsim.limits import FRAME_BYTES_MAX, RECORD_HEADER_BYTES
from fixsim.units import parse_utc_timestamp

MESSAGE_COLUMNS: Final = (
    "position", "part", "time_ns", "msg_seq_num", "direction", "session", "run", "link", "msg_type",
    "cl_ord_id", "order_id", "exec_id", "symbol", "raw",
)  # fmt: skip
#: In the order in which an ExecutionReport has them.
EXECUTION_COLUMNS: Final = (
    "position", "time_ns", "session", "order_id", "cl_ord_id", "orig_cl_ord_id", "exec_id", "exec_ref_id", "exec_type",
    "ord_status", "ord_rej_reason", "exec_restatement_reason", "account", "symbol", "side", "order_qty", "ord_type", "price",
    "time_in_force", "last_qty", "last_px", "leaves_qty", "cum_qty", "avg_px", "transact_time_ns", "match_id",
    "liquidity", "text",
)  # fmt: skip
SESSION_COLUMNS: Final = (
    "position", "time_ns", "session", "run", "event", "msg_seq_num", "begin_seq_no", "end_seq_no", "link", "text",
)  # fmt: skip
EVENT_COLUMNS: Final = ("position", "time_ns", "venue_ns", "event", "who", "why", "symbol", "session", "text")

#: Distinct values remembered to save work; more than this is a client that makes them up.
KNOWN_MAX: Final = 65_536
#: Characters kept of what a marker tells.
TEXT_KEPT_CHARS: Final = 1000

BINARY_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_END: Final = b"\xff\xff"
SOH: Final = b"\x01"
NULL: Final = b"\\N"

#: Field count, then position, part, time_ns, msg_seq_num, each behind its length.
_ROW_HEAD: Final = Struct(">hiqiiiqiq").pack
_COLUMNS: Final = len(MESSAGE_COLUMNS)
_INT: Final = Struct(">i").pack
_LONG: Final = Struct(">q").pack
_NO_VALUE: Final = _INT(-1)
#: By length, up to the longest frame that comes in.
_LENGTHS: Final = [_INT(length) for length in range(FRAME_BYTES_MAX + 1)]

_VALUE: Final = rb"=([^\x01]*)\x01"
#: A decimal that PostgreSQL's numeric surely takes.
_DECIMAL: Final = rb"=(-?\d{1,30}(?:\.\d{0,30})?)\x01"
_REPORT: Final = re.compile(
    rb"37" + _VALUE + rb"11" + _VALUE + rb"(?:41" + _VALUE + rb")?(?:790=[^\x01]*\x01)?17" + _VALUE + rb"(?:19" + _VALUE
    + rb")?150" + _VALUE + rb"39" + _VALUE + rb"(?:103" + _VALUE + rb")?(?:378" + _VALUE + rb")?(?:636=[^\x01]*\x01)?"
    + rb"(?:1" + _VALUE + rb")?(?:(?:18|432|126)=[^\x01]*\x01)*55" + _VALUE + rb"54" + _VALUE + rb"38" + _DECIMAL
    + rb"40" + _VALUE + rb"(?:44" + _DECIMAL + rb")?(?:59" + _VALUE + rb")?(?:32" + _DECIMAL + rb"31" + _DECIMAL + rb")?"
    + rb"151" + _DECIMAL + rb"14" + _DECIMAL + rb"6" + _DECIMAL + rb"60" + _VALUE
    + rb"(?:527" + _VALUE + rb"(?:851" + _VALUE + rb")?)?(?:58" + _VALUE + rb")?10=\d\d\d\x01"
).fullmatch  # fmt: skip
#: Tags of EXECUTION_COLUMNS from `order_id` on, and which of them are decimals.
_REPORT_TAGS: Final = (
    37, 11, 41, 17, 19, 150, 39, 103, 378, 1, 55, 54, 38, 40, 44, 59, 32, 31, 151, 14, 6, 60, 527, 851, 58,
)  # fmt: skip
_DECIMAL_TAGS: Final = frozenset({38, 44, 32, 31, 151, 14, 6})
_TRANSACT_TIME_AT: Final = _REPORT_TAGS.index(60)
_DECIMAL_TEXT: Final = re.compile(rb"-?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})")
#: How COPY's text form writes what means something to it.
_MEANT: Final = (b"\\", b"\t", b"\n", b"\r")
_ESCAPES: Final = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r", 0: "\u2400"}

#: Administrative messages that tell a session's story, by direction and MsgType(35); the tags of the range
#: they are about.
_EVENTS: Final[dict[tuple[int, bytes], tuple[str, int | None, int | None]]] = {
    (Kind.IN, b"A"): ("logon_received", None, None),
    (Kind.OUT, b"A"): ("logon", None, None),
    (Kind.IN, b"5"): ("logout_received", None, None),
    (Kind.OUT, b"5"): ("logout", None, None),
    (Kind.IN, b"2"): ("resend_requested", 7, 16),
    (Kind.OUT, b"2"): ("gap", 7, 16),
    (Kind.IN, b"4"): ("sequence_reset_received", None, 36),
    (Kind.OUT, b"4"): ("sequence_reset", None, 36),
    (Kind.IN, b"3"): ("reject_received", 45, 45),
    (Kind.OUT, b"3"): ("reject", 45, 45),
}
#: MsgTypes of which more than a row of `messages` is told, as headers have them.
_TELLING: Final = frozenset({b"8\0", *(msg_type + b"\0" for _, msg_type in _EVENTS)})
_MARKERS: Final = {
    Kind.LINK: "link", Kind.START: "start", Kind.CONFIG: "config", Kind.OPERATOR: "operator", Kind.GARBLED: "garbled",
}  # fmt: skip
#: What is not called by what it says.
_OWN_NAMES: Final = {Kind.START: "start", Kind.CONFIG: "reload"}
#: Commands that only ask are no events.
_QUESTIONS: Final = re.compile(r"book|.*\.show").fullmatch
#: What a row has a column for, or nobody wants to read.
_NO_TEXT: Final = frozenset({"event", "verb", "who", "why", "symbol", "session", "venue_ns", "config", "arguments", "journal"})
IN: Final = Kind.IN
OUT: Final = Kind.OUT

_SENDER: Final = re.compile(rb"\x0149=([^\x01]*)\x01").search
_TARGET: Final = re.compile(rb"\x0156=([^\x01]*)\x01").search
_MSG_TYPE: Final = re.compile(rb"\x0135=([^\x01]*)\x01").search
_MSG_SEQ_NUM: Final = re.compile(rb"\x0134=(\d{1,18})\x01").search
#: 11, 37, 17 and 55 of a frame whose record tells no offsets.
_MARKS: Final = tuple(re.compile(rb"\x01%d=([^\x01]*)\x01" % tag).search for tag in (11, 37, 17, 55))


class Resend(NamedTuple):
    """A RESEND record on its way through `Rows.take`; the frames it stands for are added by
    `Rows.add_resent`.
    """

    position: int
    time_ns: int
    session: int
    run: int
    link: int


class Rows:
    """Rows gathered since `clear`: COPY data for `messages` (binary), `executions`, `sessions` and `events` (text).

    `names` maps session ids to CompIDs and grows by what is read; `new_names` are those of them since
    `clear`.
    """

    def __init__(self, names: dict[int, bytes]) -> None:
        self.names = names
        self.new_names: dict[int, bytes] = {}
        self.messages: list[bytes] = []
        self.executions: list[bytes] = []
        self.sessions: list[bytes] = []
        self.events: list[bytes] = []
        self._starts: dict[tuple[int, int, int, int, bytes], bytes] = {}
        self._times: dict[bytes, bytes] = {}
        self._escaped_names: dict[int, bytes] = {}

    def clear(self) -> None:
        """Begin anew, in the same lists: `take` may be in the middle of a batch."""
        self.new_names = {}
        for rows in (self.messages, self.executions, self.sessions, self.events):
            rows.clear()
        for known in (self._starts, self._times, self._escaped_names):
            if len(known) > KNOWN_MAX:
                known.clear()

    def take(self, view: memoryview, skip_to: int, part: int) -> Iterator[Resend]:
        """Gather the records of a batch from position `skip_to` on. Each RESEND is yielded, for its frames to
        be added.

        `part` tells whether the RESEND at `skip_to` was begun in an earlier shipment. JournalCorrupt if
        there is no record where one should be.
        """
        octets = bytes(view)
        unpack, total, at = HEADER.unpack_from, len(octets), 0
        while at < total:
            header = unpack(octets, at)
            kind, length, position = header[1], header[3], header[4]
            if header[0] != RECORD_MAGIC:
                raise JournalCorrupt(f"no record lies {at} bytes into the batch before position {position}", position)
            begin = at + RECORD_HEADER_BYTES
            at = begin + (length + 7 & -8)
            if position < skip_to:
                continue
            payload = octets[begin : begin + length]
            if kind == OUT or kind == IN:
                self._add_message(header, payload)
            elif kind == Kind.RESEND:
                if part == 0 or position != skip_to:
                    first, last, _ = RESEND_BODY.unpack(payload)
                    self._add_event(header, "resent", first, last, NULL)
                yield Resend(position, header[5], header[6], header[7], header[15])
            elif kind in _MARKERS:
                self._add_marker(header, payload)
                if kind != Kind.LINK and kind != Kind.GARBLED:
                    self._add_happening(header, payload)
            elif kind == Kind.EVENT:
                self._add_happening(header, payload)

    # ------------------------------------------------------------ messages

    def _add_message(self, header: tuple[Any, ...], payload: bytes) -> None:
        (_, kind, _, length, position, time_ns, session, run, seq, _, msg_type,
         at_cl_ord_id, at_order_id, at_exec_id, at_symbol, link, _) = header  # fmt: skip
        if msg_type[1]:  # two letters, or more than a header holds
            found = _MSG_TYPE(payload)
            msg_type = found[1] if found else msg_type
        start = self._starts.get((kind, session, run, link, msg_type))
        if start is None:
            start = self._start(kind, session, run, link, msg_type, payload)
        cl_ord_id = order_id = exec_id = symbol = _NO_VALUE
        storable = payload.isascii() and b"\0" not in payload
        if storable:
            index = payload.index
            if at_cl_ord_id:
                end = index(SOH, at_cl_ord_id)
                cl_ord_id = _LENGTHS[end - at_cl_ord_id] + payload[at_cl_ord_id:end]
            if at_order_id:
                end = index(SOH, at_order_id)
                order_id = _LENGTHS[end - at_order_id] + payload[at_order_id:end]
            if at_exec_id:
                end = index(SOH, at_exec_id)
                exec_id = _LENGTHS[end - at_exec_id] + payload[at_exec_id:end]
            if at_symbol:
                end = index(SOH, at_symbol)
                symbol = _LENGTHS[end - at_symbol] + payload[at_symbol:end]
        else:
            cl_ord_id, order_id, exec_id, symbol = (
                _binary(payload[at : payload.index(SOH, at)]) if at else _NO_VALUE
                for at in (at_cl_ord_id, at_order_id, at_exec_id, at_symbol)
            )
        self.messages.append(
            _ROW_HEAD(_COLUMNS, 8, position, 4, 0, 8, time_ns, 8, seq)
            + start + cl_ord_id + order_id + exec_id + symbol + _length(length) + payload
        )  # fmt: skip
        if msg_type in _TELLING:
            if msg_type == b"8\0":
                if kind == OUT:
                    self._add_execution(position, time_ns, session, payload, at_order_id, storable)
            else:
                self._add_admin(header, payload)

    def _start(self, kind: int, session: int, run: int, link: int, msg_type: bytes, payload: bytes) -> bytes:
        """The columns between msg_seq_num and cl_ord_id, which most messages of a session share."""
        if session not in self.names:
            found = (_TARGET if kind == OUT else _SENDER)(payload)
            self.names[session] = self.new_names[session] = found[1] if found else b""
        start = self._starts[kind, session, run, link, msg_type] = (
            _binary(b"in" if kind == IN else b"out")
            + _binary(self.names[session])
            + _INT(4) + _INT(run) + _INT(8) + _LONG(link)
            + _binary(msg_type.rstrip(b"\0"))
        )  # fmt: skip
        return start

    def add_resent(self, resend: Resend, part: int, frame: bytes) -> None:
        """Gather the frame that is number `part`, from 1, of those `resend` stands for."""
        msg_type, seq = _MSG_TYPE(frame), _MSG_SEQ_NUM(frame)
        kind = msg_type[1] if msg_type else b""
        start = self._starts.get((OUT, resend.session, resend.run, resend.link, kind))
        if start is None:
            start = self._start(OUT, resend.session, resend.run, resend.link, kind, frame)
        found = (mark(frame) for mark in _MARKS)
        self.messages.append(
            _ROW_HEAD(_COLUMNS, 8, resend.position, 4, part, 8, resend.time_ns, 8, int(seq[1]) if seq else 0)
            + start
            + b"".join(_NO_VALUE if value is None else _binary(value[1]) for value in found)
            + _length(len(frame)) + frame
        )  # fmt: skip

    # ------------------------------------------------------------ executions

    def _add_execution(
        self, position: int, time_ns: int, session: int, payload: bytes, at_order_id: int, storable: bool
    ) -> None:
        match = _REPORT(payload, at_order_id - 3) if at_order_id > 3 else None
        if match is not None and storable and not any(map(payload.__contains__, _MEANT)):
            values = list(match.groups(NULL))
        else:
            values = [_escaped(value) for value in _report_values(payload)]
        name = self._escaped_names.get(session)
        if name is None:
            name = self._escaped_names[session] = _escaped(self.names[session])
        values[_TRANSACT_TIME_AT] = self._time_ns(values[_TRANSACT_TIME_AT])
        if values[0] == b"NONE":
            values[0] = NULL
        self.executions.append(b"%d\t%d\t%b\t%b\n" % (position, time_ns, name, b"\t".join(values)))

    def _time_ns(self, text: bytes) -> bytes:
        """TransactTime(60) as ns in COPY's text form; the reports of a turn share it."""
        known = self._times.get(text)
        if known is None:
            ns = parse_utc_timestamp(text)
            known = self._times[text] = NULL if ns is None else b"%d" % ns
        return known

    # ------------------------------------------------------------ sessions

    def _add_admin(self, header: tuple[Any, ...], payload: bytes) -> None:
        kind, msg_type = header[1], header[10].rstrip(b"\0")
        event, begin_tag, end_tag = _EVENTS[kind, msg_type]
        try:
            message = decode(payload, check=False)
        except GarbledMessage:
            message = Message([])
        begin, end, text = begin_tag and message.get_int(begin_tag), end_tag and message.get_int(end_tag), message.get(58)
        if event.startswith("logon") and message.get(141) == b"Y":
            text = b"ResetSeqNumFlag(141)=Y"
        self._add_event(header, event, begin, end, _escaped(text))

    def _add_marker(self, header: tuple[Any, ...], payload: bytes) -> None:
        """A record that is no message but belongs to the story of the sessions."""
        kind = header[1]
        if kind == Kind.GARBLED:
            self._add_event(header, "garbled", None, None, b"%d bytes" % GARBLED_BODY.unpack_from(payload)[0])
            return
        told = _facts(payload)
        event = str(told.get("event", "link")) if kind == Kind.LINK else _MARKERS[kind]
        if kind == Kind.LINK and header[6] not in self.names and told.get("sender"):
            self.names[header[6]] = self.new_names[header[6]] = str(told["sender"]).encode("latin-1", "replace")
        left_out = ("event", "sender", "target", "config")
        text = " ".join(f"{key}={value}" for key, value in told.items() if key not in left_out and value not in ("", None))
        self._add_event(header, event, None, None, _told(text[:TEXT_KEPT_CHARS]))

    # ------------------------------------------------------------ events

    def _add_happening(self, header: tuple[Any, ...], payload: bytes) -> None:
        """What an operator, a start, a reload or the venue itself has done."""
        kind, told = header[1], _facts(payload)
        arguments = told.get("arguments") if kind == Kind.OPERATOR else {"of": told.get("verb")}
        event = _OWN_NAMES.get(kind) or told.get("verb" if kind == Kind.OPERATOR else "event")
        if _QUESTIONS(str(event)):
            return
        facts = told | (arguments if isinstance(arguments, dict) else {})
        changes = facts.pop("changes", None)
        rest = "; ".join(map(str, changes)) if isinstance(changes, list) else " ".join(
            f"{key}={value}" for key, value in facts.items() if key not in _NO_TEXT and value not in ("", None)
        )
        values = [_column(facts.get(name)) for name in ("who", "why", "symbol", "session")] + [_column(rest[:TEXT_KEPT_CHARS])]
        venue_ns = facts.get("venue_ns")
        self.events.append(
            b"\t".join(
                (
                    b"%d" % header[4], b"%d" % header[5], _number(venue_ns if type(venue_ns) is int and venue_ns else None),
                    _told(str(event)), *values,
                )
            ) + b"\n"
        )  # fmt: skip

    def _add_event(self, header: tuple[Any, ...], event: str, begin: int | None, end: int | None, text: bytes) -> None:
        """A row of `sessions`; `text` is in COPY's text form."""
        session, seq = header[6], header[8]
        values = (
            b"%d" % header[4], b"%d" % header[5], _escaped(self.names.get(session)), b"%d" % header[7], _told(event),
            _number(seq or None), _number(begin), _number(end), b"%d" % header[15], text,
        )  # fmt: skip
        self.sessions.append(b"\t".join(values) + b"\n")


def _length(length: int) -> bytes:
    return _LENGTHS[length] if length < len(_LENGTHS) else _INT(length)


def _binary(value: bytes) -> bytes:
    """A text in COPY's binary form."""
    text = _storable(value)
    return _length(len(text)) + text


def _storable(value: bytes) -> bytes:
    """`value` as PostgreSQL's text takes it: bytes beyond ASCII as Latin-1, NUL as U+2400."""
    if value.isascii() and b"\0" not in value:
        return value
    return value.decode("latin-1").replace("\0", "\u2400").encode()


def _is_plain(value: bytes) -> bool:
    """Whether `value` means itself in COPY's text form."""
    return value.isascii() and b"\0" not in value and not any(map(value.__contains__, _MEANT))


def _escaped(value: bytes | None) -> bytes:
    """A text, or None for NULL, in COPY's text form."""
    if value is None:
        return NULL
    return value if _is_plain(value) else value.decode("latin-1").translate(_ESCAPES).encode()


def _facts(payload: bytes) -> dict[str, Any]:
    """A JSON payload, empty for one that is none."""
    try:
        told = json.loads(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _column(value: Any) -> bytes:
    """A text of a JSON payload, NULL where there is none."""
    return NULL if value in ("", None) else _told(str(value))


def _told(text: str) -> bytes:
    """A text of a JSON payload in COPY's text form; halves of characters are shown as their numbers."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_ESCAPES).encode()


def _number(value: int | None) -> bytes:
    return NULL if value is None else b"%d" % value


def _report_values(payload: bytes) -> list[bytes | None]:
    """Values of `_REPORT_TAGS` of an ExecutionReport(8) in any order of fields; None for what is absent or
    no decimal.
    """
    try:
        message = decode(payload, check=False)
    except GarbledMessage:
        message = Message([])
    return [
        None if value is None or (tag in _DECIMAL_TAGS and _DECIMAL_TEXT.fullmatch(value) is None) else value
        for tag, value in ((tag, message.get(tag)) for tag in _REPORT_TAGS)
    ]
