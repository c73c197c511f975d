"""The outbox: nothing before its seal, nothing lost or doubled however little the transport takes."""

import pytest
from conversation import Conversation
from hypothesis import given, settings
from hypothesis import strategies as st

from fixsim.journal import outbox as outbox_module
from fixsim.journal.outbox import Outbox, Owed
from fixsim.journal.record import resend_payload
from fixsim.journal.resend import expand
from fixsim.layout import NEVER, Kind

LINK, SESSION = 1, 7


class Peer:
    """A transport that takes as many bytes per call as it is told."""

    def __init__(self, *takes: int) -> None:
        self.takes = list(takes)
        self.received = bytearray()
        self.largest = 0

    def send(self, parts: list[memoryview]) -> int:
        offered = b"".join(parts)
        self.largest = max(self.largest, len(parts))
        assert offered and all(len(part) for part in parts)
        taken = offered[: self.takes.pop(0) if self.takes else None]
        self.received += taken
        return len(taken)


@pytest.fixture
def said(tmp_path):
    """A conversation and an outbox with its link open."""
    conversation = Conversation(tmp_path)
    outbox = Outbox(conversation.reader)
    outbox.open(LINK, SESSION)
    return conversation, outbox


def payload(conversation: Conversation, position: int) -> bytes:
    return bytes(conversation.reader.read(position).payload)


def test_nothing_is_visible_before_it_is_released(said):
    conversation, outbox = said
    position = conversation.say(b"8")
    outbox.say(LINK, SESSION, position)
    peer = Peer()
    assert not outbox.pending(LINK) and outbox.send(LINK, peer.send) == 0 and outbox.take_ready() == []
    outbox.release()
    assert outbox.pending(LINK) and outbox.take_ready() == [LINK] and outbox.take_ready() == []
    assert outbox.send(LINK, peer.send) == len(peer.received)
    assert peer.received == payload(conversation, position)
    assert not outbox.pending(LINK) and outbox.send(LINK, peer.send) == 0


@pytest.mark.parametrize("with_resend", [False, True])
def test_a_transport_that_stops_at_any_byte_loses_and_doubles_nothing(said, with_resend):
    conversation, outbox = said
    expected = b""
    for index in range(3):
        position = conversation.say(b"8", (58, b"x" * index))
        outbox.say(LINK, SESSION, position)
        expected += payload(conversation, position)
        if with_resend and index == 1:
            conversation.say(b"0")
            position = conversation.resend(1, 3)
            outbox.resend(LINK, SESSION, position)
            expected += b"".join(expand(conversation.reader, conversation.reader.read(position)))
    entries = list(outbox._queues[LINK].positions)
    for first in range(len(expected) + 1):
        outbox.open(LINK, SESSION)
        for position in entries:
            outbox.say(LINK, SESSION, position)
        outbox.release()
        peer = Peer(first)
        assert outbox.send(LINK, peer.send) == len(peer.received)
        while outbox.pending(LINK):
            outbox.send(LINK, peer.send)
        assert peer.received == expected, first


@given(takes=st.lists(st.integers(0, 400), max_size=60), messages=st.integers(1, 30), resent=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_any_pattern_of_partial_sends_gives_the_same_bytes(tmp_path_factory, takes, messages, resent):
    conversation = Conversation(tmp_path_factory.mktemp("journal"))
    outbox = Outbox(conversation.reader)
    outbox.open(LINK, SESSION)
    peer, expected = Peer(*takes), b""
    for index in range(messages):
        position = conversation.say(b"8" if index % 3 else b"0", (58, b"y" * index))
        outbox.say(LINK, SESSION, position)
        expected += payload(conversation, position)
        if index % 7 < resent:
            position = conversation.resend(1 + index // 2, index + 1)
            outbox.resend(LINK, SESSION, position)
            expected += b"".join(expand(conversation.reader, conversation.reader.read(position)))
        outbox.release()
        outbox.send(LINK, peer.send)
    while outbox.pending(LINK):
        outbox.send(LINK, peer.send)
    assert peer.received == expected


def test_a_resend_is_said_after_what_was_said_before_it_and_before_what_came_later(said):
    conversation, outbox = said
    first = conversation.say(b"8", (58, b"first"))
    resend = conversation.resend(1, 1)
    second = conversation.say(b"8", (58, b"second"))
    outbox.say(LINK, SESSION, first)
    outbox.resend(LINK, SESSION, resend)
    outbox.say(LINK, SESSION, second)
    outbox.release()
    peer = Peer()
    outbox.send(LINK, peer.send)
    (again,) = expand(conversation.reader, conversation.reader.read(resend))
    assert peer.received == payload(conversation, first) + again + payload(conversation, second)


def test_a_resend_from_far_back_is_looked_for_in_small_steps(said, monkeypatch):
    conversation, outbox = said
    monkeypatch.setattr(outbox_module, "BACK_STEPS", 10)
    for _ in range(45):
        conversation.say(b"8")
    outbox.resend(LINK, SESSION, conversation.resend(1, 45))
    outbox.release()
    peer = Peer()
    sent = []
    while outbox.pending(LINK):
        sent.append(outbox.send(LINK, peer.send))
    assert sent[:4] == [0, 0, 0, 0] and sent[4] == len(peer.received)
    assert peer.received.count(b"\x0143=Y\x01") == 45


def test_a_resend_that_says_nothing_does_not_stop_what_follows(said):
    conversation, outbox = said
    resend = conversation.resend(1, 1)
    position = conversation.say(b"8")
    outbox.resend(LINK, SESSION, resend)
    outbox.say(LINK, SESSION, position)
    outbox.release()
    peer = Peer()
    outbox.send(LINK, peer.send)
    assert peer.received == payload(conversation, position) and not outbox.pending(LINK)


def test_what_is_owed_is_known_in_messages_and_bytes(said):
    conversation, outbox = said
    assert outbox.owed(LINK) == outbox.owed(99) == Owed(0, 0, 0)
    positions = [conversation.say(b"8", (58, b"z" * index)) for index in range(4)]
    sizes = [len(payload(conversation, position)) for position in positions]
    for position in positions:
        outbox.say(LINK, SESSION, position)
    outbox.resend(LINK, SESSION, conversation.resend(1, 4))
    assert outbox.owed(LINK) == Owed(0, 0, 0)
    outbox.release()
    assert outbox.owed(LINK) == Owed(5, 1, sum(sizes))
    outbox.send(LINK, Peer(sizes[0] + 3).send)
    assert outbox.owed(LINK) == Owed(4, 1, sum(sizes[1:]) - 3)


def test_a_message_owed_costs_at_most_sixteen_bytes(said):
    conversation, outbox = said
    position = conversation.say(b"8")
    for _ in range(100_000):
        outbox.say(LINK, SESSION, position)
    positions = outbox._queues[LINK].positions
    assert positions.__sizeof__() <= 16 * 100_000
    outbox.release()
    peer = Peer()
    outbox.send(LINK, peer.send)
    assert len(peer.received) == 100_000 * len(payload(conversation, position))
    assert peer.largest <= 1024
    assert len(positions) < 2 * outbox_module.COMPACT_MIN


def test_a_transport_that_fails_leaves_everything_owed(said):
    conversation, outbox = said
    outbox.say(LINK, SESSION, conversation.say(b"8"))
    outbox.release()

    def broken(parts: list[memoryview]) -> int:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        outbox.send(LINK, broken)
    assert outbox.pending(LINK)
    outbox.close(LINK)
    assert not outbox.pending(LINK) and outbox.send(LINK, broken) == 0 and outbox.take_ready() == []
    outbox.close(LINK)


def test_a_link_that_is_not_open_is_owed_nothing(said):
    conversation, outbox = said
    position = conversation.say(b"8")
    outbox.say(99, SESSION, position)
    outbox.release()
    assert not outbox.pending(99)
    with pytest.raises(AssertionError):
        outbox.say(LINK, SESSION + 1, position)


def test_links_do_not_disturb_each_other(said):
    conversation, outbox = said
    outbox.open(2, 8)
    one, two = conversation.say(b"8", (58, b"one")), conversation.say(b"8", (58, b"two"))
    outbox.say(LINK, SESSION, one)
    outbox.say(2, 8, two)
    outbox.release()
    first, second = Peer(10), Peer()
    outbox.send(LINK, first.send)
    outbox.send(2, second.send)
    assert second.received == payload(conversation, two)
    assert outbox.pending(LINK) and not outbox.pending(2)


def test_it_tells_how_far_back_the_journal_is_still_needed(said, monkeypatch):
    conversation, outbox = said
    assert outbox.owed_from() == NEVER
    positions = [conversation.say(b"8") for _ in range(4)]
    for position in positions:
        outbox.say(LINK, SESSION, position)
    assert outbox.owed_from() == NEVER  # nothing of it is said yet
    outbox.release()
    assert outbox.owed_from() == positions[0]
    outbox.send(LINK, Peer(len(payload(conversation, positions[0])), 0).send)
    assert outbox.owed_from() == positions[1]
    resend = conversation.put(Kind.RESEND, resend_payload(1, 2, positions[0] - 8), back=conversation.last)
    outbox.resend(LINK, SESSION, resend)
    outbox.release()
    assert outbox.owed_from() == positions[0] - 8  # what a resend may reach back to
    monkeypatch.setattr(outbox_module, "LOOK_MAX", 3)
    assert outbox.owed_from() == 0  # too much to look at
    outbox.let_go(positions[2])
    outbox.send(LINK, Peer().send)
    outbox.send(LINK, Peer().send)
    assert outbox.owed_from() == NEVER


@pytest.mark.parametrize("most", [1, 700, 5_000, None])
def test_a_long_queue_over_several_segments_and_around_a_resend_is_sent_in_its_order(said, most):
    conversation, outbox = said
    expected = b""
    for index in range(300):
        position = conversation.say(b"8", (58, b"z" * (index % 50)))
        outbox.say(LINK, SESSION, position)
        expected += payload(conversation, position)
        if index in (90, 91, 240):
            position = conversation.resend(index, index + 1)
            outbox.resend(LINK, SESSION, position)
            expected += b"".join(expand(conversation.reader, conversation.reader.read(position)))
    outbox.release()
    assert len(list(conversation.reader.segments())) > 2
    peer = Peer() if most is None else Peer(*[most] * len(expected))
    while outbox.pending(LINK):
        outbox.send(LINK, peer.send)
    assert peer.received == expected and peer.largest > 10
