"""QuickFIX as second opinion: the same message gets the same verdict, reason and tag included.

Left out is what QuickFIX does not look at: dates and codes (it takes any text), data fields (it drops a
message that has one without its length), entries of groups.
"""

from pathlib import Path

import quickfix
from hypothesis import given, settings
from hypothesis import strategies as st

from fixsim.errors import GarbledMessage
from fixsim.fix.codec import LENGTH_OF_DATA, decode, encode
from fixsim.fix.dictionary import fix44
from fixsim.fix.message import Field
from fixsim.fix.validate import validate

Verdict = tuple[int, int | None] | str | None

THEIRS = quickfix.DataDictionary(str(Path(__file__).parents[2] / "spec" / "FIX44.xml"))
REASONS = {
    quickfix.InvalidTagNumber: 0,
    quickfix.RequiredTagMissing: 1,
    quickfix.TagNotDefinedForMessage: 2,
    quickfix.NoTagValue: 4,
    quickfix.IncorrectTagValue: 5,
    quickfix.IncorrectDataFormat: 6,
    quickfix.InvalidMessageType: 11,
    quickfix.RepeatedTag: 13,
    quickfix.TagOutOfOrder: 14,
    quickfix.RepeatingGroupCountMismatch: 16,
}

UNLIKE = {
    "LOCALMKTDATE",
    "MONTHYEAR",
    "COUNTRY",
    "CURRENCY",
    "EXCHANGE",
    "MULTIPLEVALUESTRING",
    "DATA",
    "NUMINGROUP",
}
EDGES = {*fix44().header.order, *fix44().trailer.order, *LENGTH_OF_DATA.values()}
BODY_TAGS = [tag for tag, spec in fix44().fields.items() if spec.type not in UNLIKE and tag not in EDGES]
TIME = b"20240131-12:00:00.123"
HEAD = [(34, b"2"), (49, b"TW"), (52, TIME), (56, b"ISLD")]
TYPICAL = {"INT": b"5", "UTCTIMESTAMP": TIME, "CHAR": b"x", "BOOLEAN": b"Y", "UTCTIMEONLY": b"10:00:00"}
ODD = [
    b"",
    b"1",
    b"x",
    b"+1",
    b"1.0",
    b"-",
    b"Y",
    b"12:00:00",
    b"1 2",
    b"20240131",
    b".5",
    b"5.",
    b"99",
    TIME,
]


def ours(frame: bytes) -> Verdict:
    try:
        rejection = validate(decode(frame), fix44(), "strict")
    except GarbledMessage:
        return "garbled"
    if rejection is None:
        return None
    return rejection.reason, int(rejection.ref_tag) if rejection.ref_tag is not None else None


def theirs(frame: bytes) -> Verdict:
    try:
        THEIRS.validate(quickfix.Message(frame.decode("ascii"), THEIRS, True))
    except quickfix.InvalidMessage:
        return "garbled"
    except tuple(REASONS) as fault:
        reason = REASONS[type(fault)]
        return reason, fault.field if reason != 11 else None
    return None


@st.composite
def values(draw: st.DrawFn, tag: int) -> bytes:
    """Mostly a value the field may have."""
    spec = fix44().fields.get(tag)
    kind = draw(st.integers(0, 9))
    if spec is None or kind == 0:
        return draw(st.sampled_from(ODD))
    if spec.values and kind < 9:
        return draw(st.sampled_from(sorted(spec.values)))
    return TYPICAL.get(spec.type, b"7")


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, list[Field]]:
    """MsgType and fields of a message that is sound, or has been damaged in one place or two."""
    msg_type = draw(st.sampled_from([b"0", b"A", b"D", b"F", b"G", b"H", b"8", b"q", b"*", b"ZZ"]))
    spec = fix44().messages.get(msg_type)
    optional = draw(st.lists(st.sampled_from(BODY_TAGS), max_size=3, unique=True))
    known = [tag for tag in optional if spec is not None and tag in spec.body.order]
    required = sorted(spec.body.required) if spec is not None else []
    fields = HEAD + [(tag, draw(values(tag))) for tag in dict.fromkeys([*required, *known])]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, max(0, len(fields) - 1)))
        tag = draw(st.sampled_from([*BODY_TAGS, 43, 50, 97, 115, 122, 0, -1, 999, 5000, 25001]))
        match draw(st.integers(0, 3)):
            case 0:
                del fields[place]
            case 1:
                fields.insert(place, (tag, draw(values(tag))))
            case 2:
                fields.insert(draw(st.integers(place, len(fields))), fields[place])
            case 3:
                fields[place] = (fields[place][0], draw(st.sampled_from(ODD)))
    return msg_type, fields


@settings(max_examples=1_500, deadline=None)
@given(messages())
def test_both_engines_give_the_same_verdict(message: tuple[bytes, list[Field]]) -> None:
    msg_type, fields = message
    frame = encode(msg_type, [], fields)
    assert ours(frame) == theirs(frame)
