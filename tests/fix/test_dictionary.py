"""Our dictionary: the facts of FIX 4.4, as QuickFIX has them but for the gaps we close."""

import importlib.metadata
from pathlib import Path

import pytest
import quickfix

from fixsim.fix import tags
from fixsim.fix.codec import LENGTH_OF_DATA, decode, encode
from fixsim.fix.dictionary import Described, Dictionary, Layout, fix44, load
from fixsim.fix.values import FORMATS

SPEC = Path(__file__).parents[2] / "spec" / "FIX44.xml"


@pytest.fixture(scope="module")
def quickfixes() -> Dictionary:
    """The dictionary QuickFIX installs, read with our reader."""
    files = importlib.metadata.files("quickfix") or []
    found = [file for file in files if file.name == "FIX44.xml"]
    return load(Path(str(found[0].locate())).read_text(encoding="utf-8"))


def test_fields_differ_from_quickfix_only_where_its_file_has_gaps(quickfixes: Dictionary) -> None:
    ours = fix44()
    assert ours.fields.keys() == quickfixes.fields.keys()
    differing = {}
    for tag, spec in ours.fields.items():
        theirs = quickfixes.fields[tag]
        assert (spec.name, spec.type) == (theirs.name, theirs.type)
        if spec.values != theirs.values:
            assert theirs.values.keys() <= spec.values.keys()
            differing[tag] = dict(spec.values.items() - theirs.values.items())
    assert differing == {
        102: {b"2": "BROKER_EXCHANGE_OPTION"},
        103: {b"0": "BROKER_EXCHANGE_OPTION", b"12": "SURVEILLANCE_OPTION"},
        323: {
            b"3": "LIST_OF_SECURITY_TYPES_RETURNED_PER_REQUEST",
            b"4": "LIST_OF_SECURITIES_RETURNED_PER_REQUEST",
        },
        326: {b"11": "NOT_ASSIGNED"},
        373: {b"17": "NON_DATA_VALUE_INCLUDES_FIELD_DELIMITER"},
    }


def test_messages_are_those_of_quickfix(quickfixes: Dictionary) -> None:
    ours = fix44()
    assert ours.messages == quickfixes.messages
    assert (ours.header, ours.trailer) == (quickfixes.header, quickfixes.trailer)
    for msg_type, spec in ours.messages.items():
        assert list(spec.body.order) == list(quickfixes.messages[msg_type].body.order)


def test_quickfix_loads_our_file_and_agrees_on_it() -> None:
    theirs = quickfix.DataDictionary(str(SPEC))
    assert theirs.getVersion() == "FIX.4.4"
    ours = fix44()
    assert all(theirs.isField(tag) for tag in ours.fields)
    for msg_type, spec in ours.messages.items():
        name = msg_type.decode()
        assert theirs.isMsgType(name)
        assert all(theirs.isMsgField(name, tag) for tag in spec.body.order)
        assert all(theirs.isGroup(name, tag) for tag in spec.body.groups)


def test_every_field_has_a_constant_of_its_name() -> None:
    constants = {value for name, value in vars(tags).items() if name.isupper()}
    assert constants == fix44().fields.keys()
    assert (tags.CL_ORD_ID, tags.MSG_SEQ_NUM, tags.NO_MD_ENTRIES, tags.IOI_ID) == (11, 34, 268, 23)


@pytest.mark.parametrize(
    ("enum", "tag"),
    [
        (tags.MsgType, tags.MSG_TYPE),
        (tags.ExecType, tags.EXEC_TYPE),
        (tags.OrdStatus, tags.ORD_STATUS),
        (tags.Side, tags.SIDE),
        (tags.OrdType, tags.ORD_TYPE),
        (tags.TimeInForce, tags.TIME_IN_FORCE),
        (tags.SessionRejectReason, tags.SESSION_REJECT_REASON),
        (tags.BusinessRejectReason, tags.BUSINESS_REJECT_REASON),
        (tags.OrdRejReason, tags.ORD_REJ_REASON),
        (tags.CxlRejReason, tags.CXL_REJ_REASON),
    ],
)
def test_enumerations_are_those_of_the_dictionary(enum: type, tag: int) -> None:
    members = {name: value for name, value in vars(enum).items() if name.isupper()}
    listed = {name: text for text, name in fix44().fields[tag].values.items()}
    assert {
        name: b"%d" % value if isinstance(value, int) else value for name, value in members.items()
    } == listed


def test_listed_values_have_the_format_of_their_type() -> None:
    for spec in fix44().fields.values():
        assert spec.type in FORMATS
        assert all(FORMATS[spec.type](value) for value in spec.values), spec.name


def test_data_fields_are_those_of_the_codec() -> None:
    fields = fix44().fields
    assert {tag for tag, spec in fields.items() if spec.type == "DATA"} == LENGTH_OF_DATA.keys()
    assert all(fields[tag].type == "LENGTH" for tag in LENGTH_OF_DATA.values())


def test_header_body_and_trailer_share_no_field() -> None:
    edges = {*fix44().header.order, *fix44().trailer.order}

    def disjoint(layout: Layout) -> bool:
        return not edges & layout.order.keys() and all(disjoint(group) for group in layout.groups.values())

    assert all(disjoint(spec.body) for spec in fix44().messages.values())


def test_required_fields_of_an_order() -> None:
    assert fix44().messages[b"D"].body.required == {11, 40, 54, 60}
    assert fix44().header.required == {8, 9, 35, 49, 56, 34, 52}
    assert fix44().trailer.required == {10}


def test_names() -> None:
    dictionary = fix44()
    assert dictionary.field_name(11) == "ClOrdID"
    assert dictionary.tag("ClOrdID") == 11
    assert dictionary.message_name(b"D") == "NewOrderSingle"
    assert dictionary.value_name(54, b"1") == "BUY"
    assert dictionary.value_name(35, b"8") == "ExecutionReport"
    assert dictionary.value_name(18, b"1 6") == "NOT_HELD PARTICIPATE_DO_NOT_INITIATE"
    assert dictionary.value_name(11, b"1") == dictionary.value_name(54, b"Z") == ""
    assert (
        dictionary.field_name(25001)
        == dictionary.message_name(b"ZZ")
        == dictionary.value_name(25001, b"1")
        == ""
    )
    assert dictionary.tag("NoSuchField") is None


def test_session_messages_are_administrative() -> None:
    admin = {msg_type for msg_type in (*fix44().messages, b"ZZ") if fix44().is_admin(msg_type)}
    assert admin == {b"0", b"1", b"2", b"3", b"4", b"5", b"A"}


def test_messages_are_described_for_human_eyes() -> None:
    message = decode(encode(b"D", [(34, b"2")], [(54, b"1"), (9999, b"x")]))
    described = fix44().describe(message)
    assert described[2] == Described(35, "MsgType", "D", "NewOrderSingle")
    assert described[4:6] == [Described(54, "Side", "1", "BUY"), Described(9999, "", "x", "")]


def test_groups_are_split_into_entries_and_entries_into_theirs() -> None:
    body = [
        (453, b"2"),
        (448, b"A"), (447, b"D"), (452, b"1"), (802, b"2"), (523, b"x"), (803, b"1"), (523, b"y"),
        (448, b"B"), (452, b"3"),
        (54, b"1"),
    ]  # fmt: skip
    message = decode(encode(b"D", [(34, b"2")], body))
    first, second = message.groups(453, fix44())
    assert (first.get(448), second.get(448)) == (b"A", b"B")
    assert second.fields == [(448, b"B"), (452, b"3")]
    assert [entry.fields for entry in first.groups(802, fix44())] == [
        [(523, b"x"), (803, b"1")],
        [(523, b"y")],
    ]
    assert message.groups(386, fix44()) == message.groups(54, fix44()) == second.groups(802, fix44()) == []


def test_hops_in_the_header_are_a_group() -> None:
    message = decode(encode(b"D", [(34, b"2"), (627, b"1"), (628, b"HUB"), (630, b"7")], [(54, b"1")]))
    assert [entry.fields for entry in message.groups(627, fix44())] == [[(628, b"HUB"), (630, b"7")]]


def test_a_file_that_names_what_it_does_not_define_is_refused() -> None:
    with pytest.raises(KeyError):
        load(
            SPEC.read_text(encoding="utf-8").replace('number="11" name="ClOrdID"', 'number="11" name="Other"')
        )
    with pytest.raises(KeyError):
        load("<fix><fields/></fix>")
