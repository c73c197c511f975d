"""Frames and fields: what is cut from a stream, what is read from a frame, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixsim.errors import GarbledMessage
from fixsim.fix.codec import (
    FRAME,
    GARBLED,
    LENGTH_OF_DATA,
    PARTIAL,
    byte_sum,
    decode,
    encode,
    find_frame,
    parse_shown,
    seal,
    show,
)

MAX = 1_000


def heartbeat(seq: int) -> bytes:
    return encode(b"0", [(49, b"TW"), (56, b"ISLD"), (34, b"%d" % seq), (52, b"20240101-00:00:00")], [])


def sealed(text: str) -> bytes:
    return seal(parse_shown(text))


def cut(stream: bytes, max_length: int = MAX) -> list[tuple[int, bytes]]:
    """Everything `find_frame` says about a stream that is all there."""
    verdicts, at = [], 0
    while (framing := find_frame(stream, at, len(stream), max_length)).kind != PARTIAL:
        assert framing.start == at < framing.end <= len(stream)
        verdicts.append((framing.kind, stream[framing.start : framing.end]))
        at = framing.resume_at
    return verdicts


def cut_in_pieces(stream: bytes, pieces: list[int], max_length: int = MAX) -> list[tuple[int, bytes]]:
    """The same, as a connection does it: bytes arrive in `pieces`, what is decided is dropped at once."""
    verdicts: list[tuple[int, bytes]] = []
    buffer, at = bytearray(), 0
    for size in [*pieces, len(stream)]:
        buffer += stream[at : at + size]
        at += size
        while (framing := find_frame(buffer, 0, len(buffer), max_length)).kind != PARTIAL:
            verdicts.append((framing.kind, bytes(buffer[: framing.end])))
            del buffer[: framing.end]
        assert len(buffer) < max_length
    return verdicts


def frames(stream: bytes) -> list[bytes]:
    return [octets for kind, octets in cut(stream) if kind == FRAME]


def test_frames_are_cut_one_behind_the_other() -> None:
    assert cut(heartbeat(1) + heartbeat(2)) == [(FRAME, heartbeat(1)), (FRAME, heartbeat(2))]


def test_too_short_body_length_costs_that_message_alone() -> None:
    short = heartbeat(1).replace(b"\x019=45\x01", b"\x019=30\x01")
    assert short != heartbeat(1)
    assert cut(short + heartbeat(2)) == [(GARBLED, short), (FRAME, heartbeat(2))]


@pytest.mark.parametrize("excess", [1, 6, 7, 14, 30])
def test_too_long_body_length_costs_the_next_message_too(excess: int) -> None:
    long = heartbeat(1).replace(b"\x019=45\x01", b"\x019=%d\x01" % (45 + excess))
    assert frames(long + heartbeat(2) + heartbeat(3)) == [heartbeat(3)]


@pytest.mark.parametrize("text", ["000", "256", "0", "1234", "abc", ""])
def test_wrong_check_sum_costs_the_whole_frame(text: str) -> None:
    wrong = heartbeat(1)[:-4] + text.encode() + b"\x01"
    assert cut(wrong + heartbeat(2)) == [(GARBLED, wrong), (FRAME, heartbeat(2))]


@pytest.mark.parametrize("length", ["-5", "abc", "", "+45", "4 5", "9999999999", "999999"])
def test_body_length_that_is_no_length_is_garbled_up_to_the_next_message(length: str) -> None:
    wrong = heartbeat(1).replace(b"\x019=45\x01", b"\x019=%b\x01" % length.encode())
    assert cut(wrong + heartbeat(2)) == [(GARBLED, wrong), (FRAME, heartbeat(2))]


def test_junk_in_front_of_a_message_is_garbled() -> None:
    assert cut(b"hello" + heartbeat(1)) == [(GARBLED, b"hello"), (FRAME, heartbeat(1))]


def test_a_text_that_looks_like_a_beginning_is_none() -> None:
    assert cut(b"58=FIX is fun\x01" + heartbeat(1))[-1] == (FRAME, heartbeat(1))
    assert len(cut(b"58=FIX is fun\x01" + heartbeat(1))) == 2


def test_no_verdict_waits_for_more_than_the_longest_message() -> None:
    endless = b"8=FIX.4.4\x019=900\x0135=0\x01" + b"x" * 5_000
    assert find_frame(endless, 0, MAX - 1, MAX).kind == PARTIAL
    assert find_frame(endless, 0, MAX, MAX).kind == GARBLED
    assert find_frame(b"x" * MAX, 0, MAX, MAX)[:2] == (GARBLED, 0)


def test_data_field_may_hold_soh_and_trailer() -> None:
    body = [(58, b"t"), (354, b"9"), (355, b"a\x0110=000\x01"), (1, b"acc")]
    frame = encode(b"B", [(34, b"1")], body)
    assert cut(frame) == [(FRAME, frame)]
    assert decode(frame).fields[4:-1] == body


PIECES = st.lists(st.integers(1, 40), max_size=60)
STREAMS = st.lists(
    st.one_of(
        st.integers(1, 3).map(heartbeat),
        st.binary(max_size=12),
        st.sampled_from(
            [b"8", b"8=", b"8=FI", b"8=FIX", b"58=FIX", b"88=FIX.4.4\x019=", b"\x0110=", b"9=1\x01"]
        ),
        st.sampled_from([heartbeat(1)[:30], heartbeat(1).replace(b"9=45", b"9=40"), heartbeat(1)[:-2]]),
    ),
    max_size=12,
).map(b"".join)


@given(STREAMS, PIECES, st.sampled_from([70, 120, MAX]))
def test_fragmentation_does_not_change_the_cut(stream: bytes, pieces: list[int], max_length: int) -> None:
    assert cut_in_pieces(stream, pieces, max_length) == cut(stream, max_length)


@given(STREAMS)
def test_one_byte_at_a_time_gives_the_same_cut(stream: bytes) -> None:
    assert cut_in_pieces(stream, [1] * len(stream)) == cut(stream)


@given(st.data(), st.integers(0, 3))
def test_mutated_messages_never_crash_and_never_pass_a_check_that_fails(
    data: st.DataObject, junk: int
) -> None:
    frame = bytearray(heartbeat(7) + b"z" * junk)
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    for kind, octets in cut(bytes(frame)):
        if kind == FRAME:
            assert sum(octets[:-7]) % 256 == int(octets[-4:-1])
        try:
            decode(octets)
        except GarbledMessage:
            continue
        assert kind == FRAME


VALUES = st.binary(min_size=1, max_size=20).filter(lambda value: b"\x01" not in value)
FIELDS = st.lists(
    st.tuples(st.integers(11, 9_999).filter(lambda tag: tag not in LENGTH_OF_DATA.values()), VALUES),
    max_size=30,
)


@given(FIELDS, FIELDS)
def test_what_is_encoded_is_decoded(header: list[tuple[int, bytes]], body: list[tuple[int, bytes]]) -> None:
    frame = encode(b"D", header, body)
    message = decode(frame)
    assert message.msg_type == b"D"
    assert message.fields[3:-1] == header + body
    assert cut(frame, 10_000) == [(FRAME, frame)]


@given(st.sampled_from(sorted(LENGTH_OF_DATA)), st.binary(min_size=1, max_size=40))
def test_data_fields_round_trip_any_bytes(tag: int, octets: bytes) -> None:
    body = [(LENGTH_OF_DATA[tag], b"%d" % len(octets)), (tag, octets)]
    assert decode(encode(b"B", [(34, b"1")], body)).fields[4:-1] == body


@given(st.binary(max_size=70_000))
def test_byte_sum_is_the_sum_of_bytes(octets: bytes) -> None:
    assert byte_sum(octets) == sum(octets)
    assert byte_sum(octets + b"\xff" * 1_000) == sum(octets) + 255_000


def test_integers_that_are_no_tags_keep_their_text() -> None:
    message = decode(sealed("8=FIX.4.4|35=0|34=2|0=HI|-1=HI|007=HI|"))
    assert message.fields[4:-1] == [(0, b"HI"), (-1, b"HI"), (0, b"HI")]
    assert message.raw_tags == {4: b"0", 5: b"-1", 6: b"007"}


@pytest.mark.parametrize(
    "text",
    [
        "8=FIX.4.4|35=0|34=2|4garbled9=TW|52=20240101-00:00:00|56=ISLD|",
        "8=FIX.4.4|35=D|34=3|49garbled=TW|56=ISLD|",
        "8=FIX.4.4|34=3|35=0|49=TW|56=ISLD|",
        "8=FIX.4.4|35=0|34=3||56=ISLD|",
        "8=FIX.4.4|35=0|34=3|nonsense|",
        "8=FIX.4.4|35=0|34=3|=TW|",
        "8=FIX.4.4|35=0|34=3|+49=TW|",
        "8=FIX.4.4|35=0|34=3| 49=TW|",
        "8=FIX.4.4|35=0|34=3|4294967296=TW|",
        "8=FIX.4.4|35=A|95=5|96=abc|98=0|",
        "8=FIX.4.4|",
        "8=FIX.4.4|9=5|35=0|34=3|",
        "35=0|8=FIX.4.4|34=2|",
    ],
)
def test_what_is_no_message_is_garbled(text: str) -> None:
    with pytest.raises(GarbledMessage):
        decode(sealed(text))


@pytest.mark.parametrize("text", ["", "|", "8=FIX.4.4|9=5|35=0|", "8=FIX.4.4|9=5|35=0|10=163", "10=000|"])
def test_what_does_not_end_with_a_trailer_is_garbled(text: str) -> None:
    with pytest.raises(GarbledMessage):
        decode(text.replace("|", "\x01").encode(), check=False)


def test_decode_checks_length_and_sum_unless_told_otherwise() -> None:
    for wrong in (heartbeat(1).replace(b"9=45", b"9=44"), heartbeat(1).replace(b"ISLD", b"ISLE")):
        assert decode(wrong, check=False).msg_type == b"0"
        with pytest.raises(GarbledMessage):
            decode(wrong)


def test_encode_refuses_soh_in_a_value() -> None:
    with pytest.raises(ValueError, match="58"):
        encode(b"3", [], [(58, b"a\x0134=9")])
    with pytest.raises(ValueError, match="355"):
        encode(b"3", [], [(354, b"2"), (355, b"a\x01b")])


def test_messages_are_shown_and_read_back() -> None:
    assert show(heartbeat(1)).startswith("8=FIX.4.4|9=45|35=0|49=TW|")
    assert parse_shown(show(heartbeat(1))) == heartbeat(1)
    assert parse_shown(show(heartbeat(1)).replace("|", "^A") + "\n") == heartbeat(1)
    assert parse_shown(heartbeat(1).decode()) == heartbeat(1)


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert show(b"58=\x1b[2J\xff\xc2\x9b\x01") == "58=\\x1b[2J\\xff\\x9b|"
