"""A message as a bag of fields in wire order."""

import pytest

from fixsim.fix.codec import decode, encode
from fixsim.fix.message import Message


def test_the_first_of_repeated_fields_is_the_one_that_is_got() -> None:
    message = Message([(8, b"FIX.4.4"), (35, b"D"), (336, b"A"), (336, b"B")])
    assert message.get(336) == b"A"
    assert message.all(336) == [b"A", b"B"]
    assert message.msg_type == b"D"


def test_absent_fields_have_a_default() -> None:
    message = Message([(35, b"D")])
    assert message.get(11) is None
    assert message.get(11, b"none") == b"none"
    assert message.all(11) == []
    assert 35 in message and 11 not in message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(b"7", 7), (b"-7", -7), (b"007", 7), (b"9" * 18, 10**18 - 1)],
        *[(text, None) for text in (b"", b"-", b"+7", b" 7", b"1_0", b"7.0", b"9" * 19, "\u0667".encode())],
    ],
)
def test_integers_are_read_as_fix_writes_them(text: bytes, value: int | None) -> None:
    assert Message([(34, text)]).get_int(34) == value


def test_messages_are_equal_by_their_fields() -> None:
    frame = encode(b"0", [(34, b"1")], [(112, b"a")])
    assert decode(frame) == decode(frame) != decode(encode(b"0", [(34, b"1")], [(112, b"b")]))
    assert decode(frame) != frame
    assert "112" in repr(decode(frame))
