"""What a RESEND record stands for, compared with the session's own rule of how a ResendRequest is answered.
"""

import pytest
from conversation import NOON_NS, Conversation
from hypothesis import given, settings
from hypothesis import strategies as st

from fixsim.errors import JournalCorrupt, JournalError
from fixsim.fix.codec import decode, show
from fixsim.journal.record import resend_payload
from fixsim.journal.resend import ADMIN, Resending, expand
from fixsim.layout import NIL, Kind
from fixsim.session.resend import ADMIN as SESSION_ADMIN
from fixsim.session.resend import Again, Fill, plan
from fixsim.units import format_utc_timestamp


def expanded(conversation: Conversation, begin: int, end: int) -> list[bytes]:
    """The frames that answer a request, each checked as a peer would."""
    position = conversation.resend(begin, end)
    frames = list(expand(conversation.reader, conversation.reader.read(position)))
    for frame in frames:
        decode(frame, check=True)
    return frames


def test_an_application_message_is_said_again_with_poss_dup_and_its_first_sending_time(tmp_path):
    conversation = Conversation(tmp_path)
    conversation.say(b"8", (57, b"DESK"), (37, b"1"), (11, b"CL-1"), (58, b"text"))
    (frame,) = expanded(conversation, 1, 1)
    body = (
        "35=8|49=FIXSIM|56=BUYSIDE|34=1|43=Y|52=20260101-12:00:00.002|122=20260101-12:00:00.001|"
        "57=DESK|37=1|11=CL-1|58=text|"
    )
    assert show(frame).startswith(f"8=FIX.4.4|9={len(body)}|{body}10=")


def test_a_run_of_administrative_messages_becomes_one_gap_fill(tmp_path):
    conversation = Conversation(tmp_path)
    for msg_type in (b"A", b"0", b"8", b"1", b"3", b"2"):
        conversation.say(msg_type)
    frames = [show(frame) for frame in expanded(conversation, 1, 6)]
    assert len(frames) == 3
    stamp = "20260101-12:00:00.007"
    assert f"35=4|49=FIXSIM|56=BUYSIDE|34=1|43=Y|52={stamp}|122={stamp}|123=Y|36=3|" in frames[0]
    assert "35=8|49=FIXSIM|56=BUYSIDE|34=3|43=Y|" in frames[1]
    assert "|34=4|43=Y|" in frames[2] and "|123=Y|36=7|" in frames[2]


@given(
    said=st.lists(st.sampled_from([b"8", b"8", b"9", b"j", b"0", b"3", b"A", "skip"]), min_size=1, max_size=25),
    limits=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    steps=st.integers(1, 30),
)
@settings(max_examples=120, deadline=None)
def test_every_range_is_answered_as_the_session_rule_says(tmp_path_factory, said, limits, steps):
    conversation = Conversation(tmp_path_factory.mktemp("journal"))
    types: dict[int, bytes] = {}
    for msg_type in [b"A", *said]:
        if isinstance(msg_type, str):
            conversation.next_seq += 3  # an operator set the next number
            continue
        types[conversation.next_seq] = msg_type
        conversation.say(msg_type, (58, b"%d" % conversation.next_seq))
    last = conversation.next_seq - 1
    begin, end = (min(limit, last) for limit in sorted(limits))
    record = conversation.reader.read(conversation.resend(begin, end))
    job = Resending(conversation.reader, record)
    while not job.gather(steps):
        pass
    found = []
    for frame in job.frames():
        message = decode(frame, check=True)
        assert message.get(43) == b"Y"
        number = message.get_int(34)
        if message.msg_type == b"4":
            found.append(Fill(number, message.get_int(36)))
        else:
            assert message.get(58) == b"%d" % number
            found.append(Again(number))
    assert found == list(plan(begin, end, types.get))


def test_the_administrative_types_are_the_sessions():
    assert frozenset(msg_type.rstrip(b"\0") for msg_type in ADMIN) == SESSION_ADMIN


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
def test_times_keep_the_precision_they_were_said_with(tmp_path, digits):
    conversation = Conversation(tmp_path, digits=digits)
    conversation.say(b"8")
    conversation.say(b"0")
    frames = [decode(frame) for frame in expanded(conversation, 1, 2)]
    assert [frame.get(52) for frame in frames] == [format_utc_timestamp(NOON_NS + 3_000_000, digits)] * 2
    assert frames[0].get(122) == format_utc_timestamp(NOON_NS + 1_000_000, digits)


def test_an_earlier_run_is_never_reached(tmp_path):
    conversation = Conversation(tmp_path)
    for _ in range(5):
        conversation.say(b"8", (58, b"old"))
    conversation.run, conversation.next_seq = 2, 1
    conversation.say(b"A")
    conversation.say(b"8", (58, b"new"))
    frames = [show(frame) for frame in expanded(conversation, 1, 2)]
    assert len(frames) == 2
    assert "|123=Y|36=2|" in frames[0]
    assert "|58=new|" in frames[1]


def test_a_number_that_was_used_twice_is_answered_with_its_newest_meaning(tmp_path):
    conversation = Conversation(tmp_path)
    for _ in range(6):
        conversation.say(b"8", (58, b"first"))
    conversation.next_seq = 4
    for _ in range(2):
        conversation.say(b"8", (58, b"second"))
    texts = [decode(frame).get(58) for frame in expanded(conversation, 2, 5)]
    assert texts == [b"first", b"first", b"second", b"second"]


def test_bytes_that_look_like_the_header_are_left_alone_in_the_body(tmp_path):
    conversation = Conversation(tmp_path)
    tricky = b"x\x0143=N\x0152=0\x0110=123\x01y"
    conversation.say(b"8", (354, b"%d" % len(tricky)), (355, tricky), (58, b"end"))
    (frame,) = expanded(conversation, 1, 1)
    message = decode(frame)
    assert message.get(355) == tricky and message.get(58) == b"end"


def test_other_sessions_in_between_do_not_matter(tmp_path):
    conversation = Conversation(tmp_path)
    conversation.say(b"8", (58, b"one"))
    conversation.session = 8
    conversation.put(Kind.OUT, conversation.frame(b"8", []), seq=9, back=NIL, msg_type=b"8")
    conversation.session = 7
    conversation.say(b"8", (58, b"two"))
    assert [decode(frame).get(58) for frame in expanded(conversation, 1, 2)] == [b"one", b"two"]


def test_a_chain_that_leads_elsewhere_is_damage(tmp_path):
    conversation = Conversation(tmp_path)
    conversation.say(b"8")
    conversation.last = conversation.put(Kind.TICK, b"")
    conversation.say(b"8")
    with pytest.raises(JournalCorrupt, match="no OUT record of session 7"):
        expanded(conversation, 1, 2)


def test_a_frame_that_is_not_ours_is_an_error(tmp_path):
    conversation = Conversation(tmp_path)
    conversation.last = conversation.put(Kind.OUT, b"8=FIX.4.4\x01rubbish", seq=1, back=NIL, msg_type=b"8")
    with pytest.raises(JournalError, match="does not begin as our frames do"):
        expanded(conversation, 1, 1)


def test_nothing_is_said_again_where_nothing_was_ever_said(tmp_path):
    assert expanded(Conversation(tmp_path), 1, 1) == []


def test_what_lies_in_front_of_the_floor_is_covered_by_a_gap_fill_whatever_is_kept(tmp_path):
    conversation = Conversation(tmp_path)
    for text in (b"one", b"two", b"three"):
        conversation.say(b"8", (58, text))
    kept = conversation.last
    position = conversation.put(Kind.RESEND, resend_payload(1, 3, kept), back=conversation.last)
    record = conversation.reader.read(position)
    assert record.resend_floor() == kept
    frames = [decode(frame) for frame in expand(conversation.reader, record)]
    assert [(frame.msg_type, frame.get(34), frame.get(36), frame.get(58)) for frame in frames] == [
        (b"4", b"1", b"3", None), (b"8", b"3", None, b"three"),
    ]  # fmt: skip
