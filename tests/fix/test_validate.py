"""Every rule of the dictionary, and which of several faults is named."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fixsim.fix.codec import decode, parse_shown, seal
from fixsim.fix.dictionary import fix44
from fixsim.fix.message import Message
from fixsim.fix.validate import REJECT_TEXT, Strictness, validate

TIME = "20240131-12:00:00.123"
HEAD = f"34=2|49=TW|52={TIME}|56=ISLD|"
ORDER = f"11=ID|21=1|40=1|54=1|38=100|55=INTC|60={TIME}|"


def verdict(text: str, strictness: Strictness = "strict") -> tuple[int, int | str | None] | None:
    """373 and 371 of the Reject that a message gets, None if it passes."""
    fault = validate(decode(seal(parse_shown("8=FIX.4.4|" + text))), fix44(), strictness)
    if fault is None:
        return None
    assert fault.text == REJECT_TEXT[fault.reason]
    return fault.reason, fault.ref_tag


GOOD = [
    f"35=0|{HEAD}",
    f"35=1|{HEAD}112=HELLO|",
    f"35=A|{HEAD}98=0|108=30|",
    f"35=A|{HEAD}98=0|108=-30|",  # a number; the session refuses it
    f"35=A|{HEAD}98=0|108=30|95=3|96=abc|141=Y|553=me|554=secret|",
    f"35=D|{HEAD}{ORDER}",
    f"35=D|49=TW|34=3|56=ISLD|52={TIME}|40=1|55=MSFT|60={TIME}|54=1|21=3|11=id|",  # any order in a section
    f"35=D|{HEAD}{ORDER}167=CS|",
    f"35=D|{HEAD}{ORDER.replace('38=100', '38=002000.00')}",
    f"35=D|{HEAD}{ORDER}110=9|18=1 6|",
    f"35=D|{HEAD}{ORDER}386=2|336=PRE-OPEN|336=AFTER-HOURS|",
    f"35=D|{HEAD}{ORDER}386=0|",
    f"35=D|{HEAD}{ORDER}453=2|448=A|447=D|452=1|802=1|523=x|803=1|448=B|",
    f"35=D|{HEAD}{ORDER}354=3|355=a|b|",
    f"35=D|{HEAD}627=1|628=HUB|629={TIME}|630=7|{ORDER}",
    f"35=D|{HEAD}{ORDER}93=3|89=a|b|",
    f"35=8|{HEAD}37=id|17=id|150=0|39=0|55=WLRI|54=1|151=100|14=0|6=0.0|",
    f"35=d|{HEAD}320=J|322=1|323=6|55=TBS|22=8|167=CS|336=ONE_MAIN|58=None found|454=0|",
    f"35=V|{HEAD}262=1|263=0|264=0|267=2|269=0|269=1|146=2|55=A|55=B|",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_messages_pass(text: str) -> None:
    assert verdict(text) is None


BAD = [
    # a tag FIX 4.4 does not know
    (f"35=0|{HEAD}999=HI|", (0, 999)),
    (f"35=0|{HEAD}0=HI|", (0, "0")),
    (f"35=0|{HEAD}-1=HI|", (0, "-1")),
    (f"35=0|{HEAD}0112=HI|", (0, "0112")),
    (f"35=0|{HEAD}5000=HI|", (0, 5000)),
    (f"35=0|{HEAD}25001=HI|", (0, 25001)),
    (f"35=0|{HEAD}0=HI|0=HI|", (0, "0")),
    # a required field is missing: header before body, then the lowest tag
    (f"35=0|34=2|49=TW|52={TIME}|", (1, 56)),
    (f"35=D|49=TW|34=3|56=ISLD|52={TIME}|40=1|60={TIME}|54=1|21=3|", (1, 11)),
    (f"35=D|34=2|49=TW|52={TIME}|{ORDER.replace('11=ID|', '')}", (1, 56)),
    (f"35=D|{HEAD}{ORDER.replace('40=1|', '').replace('54=1|', '')}", (1, 40)),
    (f"35=D|{HEAD}{ORDER}355=abc|", (1, 354)),
    # a known tag that this message does not have
    (f"35=0|{HEAD}55=MSFT|", (2, 55)),
    (f"35=D|{HEAD}{ORDER}448=A|", (2, 448)),
    # no value
    (f"35=0|34=2|49=TW|52={TIME}|56=|", (4, 56)),
    (f"35=D|{HEAD}115=|{ORDER}", (4, 115)),
    (f"35=D|{HEAD}128=JCD|129=|{ORDER.replace('40=1', '40=w')}", (4, 129)),
    (f"35=D|{HEAD}{ORDER}999=|", (4, 999)),
    (f"35=D|{HEAD}{ORDER}354=0|355=|", (4, 355)),
    # a value that is not listed
    (f"35=D|{HEAD}{ORDER.replace('21=1', '21=4')}", (5, 21)),
    (f"35=D|{HEAD}{ORDER}167=BOO|", (5, 167)),
    (f"35=D|{HEAD}{ORDER.replace('40=1', '40=w')}", (5, 40)),
    (f"35=D|{HEAD}{ORDER}18=1 !|", (5, 18)),
    (f"35=A|{HEAD}98=00|108=30|", (5, 98)),
    # a value that is not of the type
    (f"35=D|{HEAD}{ORDER.replace('38=100', '38=+200.00')}", (6, 38)),
    (f"35=D|{HEAD}{ORDER}126=20040415|", (6, 126)),
    (f"35=D|{HEAD}{ORDER.replace('40=1', '40=11')}", (6, 40)),
    (f"35=D|{HEAD}43=X|{ORDER}", (6, 43)),
    (f"35=D|{HEAD}{ORDER}18=1  6|", (6, 18)),
    (f"35=D|{HEAD}{ORDER}44=1e5|", (6, 44)),
    # MsgType
    (f"35=*|{HEAD}", (11, None)),
    (f"35=|{HEAD}", (11, None)),
    (f"35=ZZ|{HEAD}9999=x|", (11, None)),
    # more than once
    (f"35=D|{HEAD}{ORDER}40=2|", (13, 40)),
    (f"35=0|{HEAD}34=2|", (13, 34)),
    (f"35=D|{HEAD}{ORDER}453=1|448=A|447=D|447=D|", (13, 447)),
    # header, body, trailer
    (f"35=D|{ORDER}{HEAD}", (14, 34)),
    (f"35=D|55=MSFT|34=3|49=TW|52={TIME}|56=ISLD|11=id|21=3|40=1|54=1|60={TIME}|", (14, 34)),
    (f"35=0|{HEAD}93=3|89=abc|112=x|", (14, 112)),
    (f"35=*|112=x|{HEAD}", (14, 34)),
    (f"35=D|{HEAD}{ORDER}354=3|58=x|355=abc|", (14, 355)),
    # fields of a group
    (f"35=D|{HEAD}{ORDER}78=2|79=a|80=50|661=1|79=b|80=5|661=1|", (15, 661)),
    (f"35=C|{HEAD}164=t|94=0|147=s|146=1|864=1|865=1|33=1|58=t|", (15, 864)),
    (f"35=D|{HEAD}{ORDER}453=1|447=D|448=A|", (16, 453)),
    (f"35=D|{HEAD}{ORDER}453=1|447=D|", (15, 447)),
    # the number of entries
    (f"35=D|{HEAD}{ORDER}386=3|336=PRE-OPEN|336=AFTER-HOURS|", (16, 386)),
    (f"35=D|{HEAD}{ORDER}386=1|336=PRE-OPEN|336=AFTER-HOURS|", (16, 386)),
    (f"35=D|{HEAD}{ORDER}386=1|", (16, 386)),
    (f"35=D|{HEAD}{ORDER}386=0|336=PRE-OPEN|", (16, 386)),
    (f"35=D|{HEAD}{ORDER}386=-1|336=PRE-OPEN|", (6, 386)),
    (f"35=D|{HEAD}{ORDER}453=1|448=A|802=2|523=x|", (16, 802)),
    (f"35=D|{HEAD}627=2|628=HUB|{ORDER}", (16, 627)),
    # values and required fields of entries
    (f"35=D|{HEAD}{ORDER}453=1|448=A|452=x|", (6, 452)),
    (f"35=D|{HEAD}{ORDER}453=1|448=A|452=999|", (5, 452)),
    (f"35=D|{HEAD}{ORDER}453=1|448=A|802=1|523=|", (4, 523)),
    (f"35=i|{HEAD}117=q|296=1|302=a|", (1, 295)),
    (f"35=i|{HEAD}117=q|296=1|302=a|304=1|295=1|132=1|", (15, 132)),
    (f"35=B|{HEAD}148=h|33=1|58=t|355=ab|", (1, 354)),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_bad_messages_are_rejected(text: str, expected: tuple[int, int | str | None]) -> None:
    assert verdict(text) == expected


def test_the_lowest_faulty_tag_is_named_first() -> None:
    assert verdict(f"35=D|{HEAD}{ORDER.replace('54=1', '54=Z').replace('21=1', '21=4')}") == (5, 21)
    assert verdict(f"35=D|{HEAD}57=|{ORDER.replace('21=1', '21=4')}") == (4, 57)


@pytest.mark.parametrize(
    "text",
    [f"35=0|{HEAD}999=HI|", f"35=0|{HEAD}5000=HI|", f"35=0|{HEAD}55=MSFT|", f"35=D|{HEAD}{ORDER}25001=1|"],
)
def test_lenient_lets_tags_pass_that_do_not_belong(text: str) -> None:
    assert verdict(text) is not None
    assert verdict(text, "lenient") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"35=0|{HEAD}0=HI|", (0, "0")),
        (f"35=0|{HEAD}999=|", (4, 999)),
        (f"35=0|{HEAD}9999=a|9999=b|", (13, 9999)),
        (f"35=0|{HEAD}55=A|54=Z|", (5, 54)),
        (f"35=D|{HEAD}{ORDER.replace('11=ID|', '')}9999=x|", (1, 11)),
        (f"35=*|{HEAD}", (11, None)),
    ],
)
def test_lenient_still_refuses_what_is_broken(text: str, expected: tuple[int, int | str | None]) -> None:
    assert verdict(text, "lenient") == expected


def test_off_lets_everything_pass() -> None:
    assert verdict("35=*|0=x|", "off") is None


TAGS = st.one_of(st.sampled_from(sorted(fix44().messages[b"D"].body.order)), st.integers(-5, 6_000))
SOME_VALUES = st.one_of(
    st.sampled_from([b"", b"1", b"2", b"Y", b"USD", TIME.encode(), b"x y"]), st.binary(max_size=9)
)


@given(st.lists(st.tuples(TAGS, SOME_VALUES), max_size=30), st.sampled_from(sorted(fix44().messages)))
def test_no_message_crashes_validation(fields: list[tuple[int, bytes]], msg_type: bytes) -> None:
    message = Message([(8, b"FIX.4.4"), (9, b"1"), (35, msg_type), *fields, (10, b"000")])
    for strictness in ("strict", "lenient"):
        rejection = validate(message, fix44(), strictness)
        assert rejection is None or rejection.reason in REJECT_TEXT


@given(st.permutations(ORDER[:-1].split("|")), st.permutations(HEAD[:-1].split("|")))
def test_any_order_inside_header_and_body_passes(body: list[str], head: list[str]) -> None:
    assert verdict("|".join(["35=D", *head, *body, ""])) is None


@given(
    st.integers(0, len((HEAD + ORDER).split("|")) - 2), st.integers(0, 10), st.text("019YZ.+- A", max_size=3)
)
def test_the_plain_way_and_the_examination_agree(place: int, other: int, value: str) -> None:
    parts = (HEAD + ORDER)[:-1].split("|")
    parts[place] = parts[place].split("=")[0] + "=" + value
    parts.insert(other, parts.pop())
    plain = verdict("35=D|" + "|".join(parts) + "|")
    # a group without entries is no fault, but no plain message either
    at = next(
        (i for i, part in enumerate(parts) if int(part.split("=")[0]) in fix44().messages[b"D"].body.order),
        None,
    )
    assume(at is not None)
    parts.insert(at or 0, "386=0")
    assert verdict("35=D|" + "|".join(parts) + "|") == plain
