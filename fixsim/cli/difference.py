"""Two versions of a journal record beside each other, field by field under the names of the FIX dictionary."""

from typing import Any, Final

from fixsim.audit.moments import show_moment
from fixsim.cli.output import print_table
from fixsim.errors import GarbledMessage, ReplayDivergence
from fixsim.fix.codec import decode, show
from fixsim.fix.dictionary import Described, fix44
from fixsim.journal.record import HEADER, KIND_NAMES, RESEND_BODY
from fixsim.layout import Kind
from fixsim.limits import RECORD_HEADER_BYTES

#: Fields of a record's header that are shown, and where HEADER has them.
HEADER_FIELDS: Final = {
    "kind": 1, "length": 3, "position": 4, "time_ns": 5, "session": 6, "run": 7, "seq": 8, "back": 9, "link": 15,
}  # fmt: skip

#: A row: tag (empty for what is no FIX field), name, and the value on either side; None where it is absent.
Row = tuple[str, str, str | None, str | None]


def described(divergence: ReplayDivergence) -> dict[str, Any]:
    """The two sides as JSON: where, when, and every field that differs."""
    recorded, replayed = _sides(divergence)
    time_ns = next((HEADER.unpack_from(side)[5] for side in (divergence.expected, divergence.actual) if side), 0)
    return {
        "verdict": "different",
        "position": divergence.position,
        "time_ns": time_ns,
        "time": show_moment(time_ns),
        "journal": _headline(divergence.expected),
        "replay": _headline(divergence.actual),
        "differences": [
            {"tag": int(tag) if tag else None, "name": name, "journal": mine, "replay": theirs}
            for tag, name, mine, theirs in _rows(recorded, replayed)
            if mine != theirs
        ],
        "journal_raw": _payload(divergence.expected).decode("latin-1"),
        "replay_raw": _payload(divergence.actual).decode("latin-1"),
    }


def print_difference(divergence: ReplayDivergence) -> None:
    """The two sides as a table for people; a star marks what differs."""
    told = described(divergence)
    print(f"different at position {told['position']}, {told['time']}")
    print(f"journal: {told['journal']}")
    print(f"replay:  {told['replay']}")
    rows = [
        ("*" if mine != theirs else "", tag, name, "-" if mine is None else mine, "-" if theirs is None else theirs)
        for tag, name, mine, theirs in _rows(*_sides(divergence))
    ]
    print_table(("", "tag", "field", "journal", "replay"), rows)


def _sides(divergence: ReplayDivergence) -> tuple[list[Described], list[Described]]:
    return _fields(divergence.expected), _fields(divergence.actual)


def _payload(record: bytes) -> bytes:
    if not record:
        return b""
    length = HEADER.unpack_from(record)[3]
    return record[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + length]


def _headline(record: bytes) -> str:
    """`OUT ExecutionReport(8)`; what stands for no record at all."""
    if not record:
        return "nothing"
    kind, payload = HEADER.unpack_from(record)[1], _payload(record)
    name = KIND_NAMES.get(kind, f"kind {kind}")
    if kind not in (Kind.IN, Kind.OUT):
        return name
    try:
        msg_type = decode(payload, check=False).msg_type
    except GarbledMessage:
        return f"{name}, not readable"
    return f"{name} {fix44().message_name(msg_type) or 'unknown'}({show(msg_type)})"


def _fields(record: bytes) -> list[Described]:
    """Header and payload of a record as fields; tag 0 for those that are not FIX's."""
    if not record:
        return []
    header, payload = HEADER.unpack_from(record), _payload(record)
    fields = [Described(0, name, str(header[at]), "") for name, at in HEADER_FIELDS.items()]
    if header[1] in (Kind.IN, Kind.OUT):
        try:
            return fields + fix44().describe(decode(payload, check=False))
        except GarbledMessage:
            pass
    elif header[1] == Kind.RESEND and len(payload) == RESEND_BODY.size:
        told = zip(("begin", "end", "floor"), RESEND_BODY.unpack(payload), strict=True)
        return [*fields, *(Described(0, name, str(value), "") for name, value in told)]
    return [*fields, Described(0, "payload", show(payload), "")] if payload else fields


def _rows(recorded: list[Described], replayed: list[Described]) -> list[Row]:
    """Fields of both sides in the order of the journal's; the n-th of a repeated tag beside the n-th."""
    mine, theirs = _numbered(recorded), _numbered(replayed)
    order = list(dict.fromkeys([*mine, *theirs]))
    rows: list[Row] = []
    for key in order:
        here, there = mine.get(key), theirs.get(key)
        known = here or there
        assert known is not None
        rows.append((str(known.tag) if known.tag else "", known.name, _text(here), _text(there)))
    same = [field[:2] for field in recorded] == [field[:2] for field in replayed]
    if recorded and replayed and not same and all(row[2] == row[3] for row in rows):
        words = [" ".join(str(field.tag or field.name) for field in side) for side in (recorded, replayed)]
        rows.append(("", "order of fields", words[0], words[1]))
    return rows


def _numbered(fields: list[Described]) -> dict[tuple[int, str, int], Described]:
    found: dict[tuple[int, str, int], Described] = {}
    counts: dict[tuple[int, str], int] = {}
    for field in fields:
        key = (field.tag, field.name)
        counts[key] = counts.get(key, 0) + 1
        found[*key, counts[key]] = field
    return found


def _text(field: Described | None) -> str | None:
    if field is None:
        return None
    return f"{field.value} ({field.value_name})" if field.value_name else field.value
