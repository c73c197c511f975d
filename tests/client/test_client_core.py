"""The initiator core against the acceptor role of the same session layer, in memory and in invented time."""

from pathlib import Path

import pytest
from acceptor import ALICE, EXCHANGE, AcceptorCore

from fixsim.client.core import Core, Echoed, Identity, Received
from fixsim.client.store import FileStore, MemoryStore
from fixsim.fix import codec, tags
from fixsim.fix.message import Message
from fixsim.fix.tags import MsgType
from fixsim.session.events import Disconnect, LoggedOn, LoggedOut

START_NS = 1_800_000_000 * 10**9
S = 10**9
ORDER = [
    (tags.CL_ORD_ID, b"A-1"),
    (tags.SYMBOL, b"AAPL"),
    (tags.SIDE, b"1"),
    (tags.ORDER_QTY, b"100"),
    (tags.ORD_TYPE, b"1"),
]


class Line:
    """Both cores and what travelled between them, oldest first."""

    def __init__(self, client: Core, venue: AcceptorCore) -> None:
        self.client, self.venue = client, venue
        self.now_ns = START_NS
        self.said: list[Message] = []
        self.heard: list[Message] = []

    def connect(self, reset: bool = False) -> None:
        self.venue.connected(self.now_ns)
        self.client.connected(self.now_ns, reset)
        self.carry()

    def carry(self, chunk_bytes: int = 1 << 20) -> None:
        """Carry bytes both ways until nobody has anything to say."""
        while (up := self.client.take_bytes()) or (down := self.venue.take_bytes()):
            down = self.venue.take_bytes() if up else down
            self.said += frames(up)
            self.heard += frames(down)
            for start in range(0, len(up), chunk_bytes):
                self.venue.receive(up[start : start + chunk_bytes], self.now_ns)
            for start in range(0, len(down), chunk_bytes):
                self.client.receive(down[start : start + chunk_bytes], self.now_ns)

    def lose(self) -> None:
        """The connection breaks; what was not carried is gone."""
        self.client.take_bytes()
        self.venue.take_bytes()
        self.client.receive_eof(self.now_ns)
        self.venue.receive_eof(self.now_ns)

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        self.client.tick(self.now_ns)
        self.venue.tick(self.now_ns)
        self.carry()


def frames(octets: bytes) -> list[Message]:
    found, start = [], 0
    while start < len(octets):
        framing = codec.find_frame(octets, start, len(octets), 1 << 16)
        found.append(codec.decode(octets[framing.start : framing.end]))
        start = framing.end
    return found


def types(messages: list[Message]) -> list[bytes]:
    return [message.msg_type for message in messages]


@pytest.fixture
def line() -> Line:
    return Line(Core(ALICE, MemoryStore()), AcceptorCore(EXCHANGE, MemoryStore()))


def received(core: Core) -> list[Received]:
    return [item for item in core.take_news() if isinstance(item, Received)]


def test_a_logon_is_said_and_answered(line: Line) -> None:
    line.connect()
    assert types(line.said) == types(line.heard) == [MsgType.LOGON]
    assert line.said[0].get(tags.HEART_BT_INT) == b"30"
    assert LoggedOn() in line.client.take_news()


def test_credentials_are_said_in_the_logon_and_not_shown() -> None:
    identity = Identity(b"ALICE", b"FIXSIM", b"alice", b"secret")
    line = Line(Core(identity, MemoryStore()), AcceptorCore(EXCHANGE, MemoryStore()))
    line.connect()
    assert (line.said[0].get(tags.USERNAME), line.said[0].get(tags.PASSWORD)) == (b"alice", b"secret")
    assert "secret" not in repr(identity)


def test_the_reason_of_a_refused_logon_is_kept(line: Line) -> None:
    line.venue.verdict = "Bad credentials"
    line.connect()
    assert line.client.farewell == "Bad credentials"
    assert any(isinstance(item, Disconnect) for item in line.client.take_news())


def test_messages_come_through_cut_at_every_byte(line: Line) -> None:
    line.connect()
    line.client.say(MsgType.NEW_ORDER_SINGLE, ORDER, line.now_ns)
    line.carry(chunk_bytes=1)
    assert [item.message.get(tags.CL_ORD_ID) for item in received(line.venue)] == [b"A-1"]


def test_garbled_bytes_are_ignored(line: Line) -> None:
    line.connect()
    line.client.take_news()
    line.client.receive(b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01noise", line.now_ns)
    line.venue.say(MsgType.NEWS, [(tags.HEADLINE, b"hello")], line.now_ns)
    line.carry()
    assert [item.message.msg_type for item in received(line.client)] == [MsgType.NEWS]


def test_what_was_lost_on_the_way_is_sent_again_as_poss_dup(line: Line) -> None:
    line.connect()
    line.client.say(MsgType.NEW_ORDER_SINGLE, ORDER, line.now_ns)
    line.lose()
    line.now_ns += S
    line.connect()
    (order,) = received(line.venue)
    assert order.poss_dup
    assert order.message.get_int(tags.MSG_SEQ_NUM) == 2
    assert order.message.get(tags.ORIG_SENDING_TIME) == b"20270115-08:00:00.000"
    assert order.message.get(tags.SENDING_TIME) == b"20270115-08:00:01.000"
    assert [field for field in order.message.fields if field in ORDER] == ORDER


def test_administrative_messages_are_gap_filled_not_sent_again(line: Line) -> None:
    line.connect()
    line.client.ping(b"P", line.now_ns)
    line.client.say(MsgType.NEW_ORDER_SINGLE, ORDER, line.now_ns)
    line.client.ping(b"Q", line.now_ns)
    line.lose()
    line.connect()
    again = [message for message in line.said if message.get(tags.POSS_DUP_FLAG) == b"Y"]
    assert types(again) == [MsgType.SEQUENCE_RESET, MsgType.NEW_ORDER_SINGLE, MsgType.SEQUENCE_RESET]
    assert [message.get_int(tags.NEW_SEQ_NO) for message in again] == [3, None, 6]
    assert line.client.store.next_out == line.venue.store.next_in


def test_what_the_peer_said_meanwhile_comes_by_resend(line: Line) -> None:
    line.connect()
    for headline in (b"one", b"two"):
        line.venue.say(MsgType.NEWS, [(tags.HEADLINE, headline)], line.now_ns)
    line.lose()
    line.client.take_news()
    line.connect()
    assert [item.message.get(tags.HEADLINE) for item in received(line.client)] == [b"one", b"two"]
    assert MsgType.RESEND_REQUEST in types(line.said)


def test_early_messages_are_kept_and_delivered_in_order(line: Line) -> None:
    line.connect()
    line.client.take_news()
    for headline in (b"one", b"two", b"three"):
        line.venue.say(MsgType.NEWS, [(tags.HEADLINE, headline)], line.now_ns)
    lost, *early = frames(line.venue.take_bytes())
    for message in early:
        frame = codec.encode(message.msg_type, message.fields[3:-1], [])
        line.client.receive(frame, line.now_ns)
    line.carry()
    assert [item.message.get(tags.HEADLINE) for item in received(line.client)] == [b"one", b"two", b"three"]
    assert lost.get(tags.HEADLINE) == b"one"


def test_a_ping_comes_back_as_an_echo(line: Line) -> None:
    line.connect()
    line.client.ping(b"P-1", line.now_ns)
    line.carry()
    assert Echoed(b"P-1") in line.client.take_news()


def test_heartbeats_keep_a_quiet_line_alive(line: Line) -> None:
    line.connect()
    for _ in range(20):
        line.sleep(10)
    assert types(line.said).count(MsgType.HEARTBEAT) >= 6
    assert not any(isinstance(item, LoggedOut) for item in line.client.take_news())


def test_a_reset_begins_a_new_run_on_both_sides(line: Line) -> None:
    line.connect()
    line.client.say(MsgType.NEW_ORDER_SINGLE, ORDER, line.now_ns)
    line.carry()
    line.lose()
    line.connect(reset=True)
    assert (line.client.store.next_in, line.client.store.next_out) == (2, 2)
    assert [seq for seq, _ in line.client.store.sent(1, 9)] == [1]


def test_a_logout_ends_both_sides(line: Line) -> None:
    line.connect()
    line.client.logout(line.now_ns)
    line.carry()
    assert any(isinstance(item, Disconnect) for item in line.client.take_news())
    assert any(isinstance(item, LoggedOut) for item in line.venue.take_news())


def test_a_file_store_continues_the_session_in_another_process(tmp_path: Path) -> None:
    venue = AcceptorCore(EXCHANGE, MemoryStore())
    line = Line(Core(ALICE, FileStore(tmp_path)), venue)
    line.connect()
    line.client.say(MsgType.NEW_ORDER_SINGLE, ORDER, line.now_ns)
    line.lose()  # the order never arrived
    line.client.settle()
    del line
    again = Line(Core(ALICE, FileStore(tmp_path)), venue)
    assert again.client.store.next_out == 3
    again.connect()
    assert [item.message.get(tags.CL_ORD_ID) for item in received(venue)] == [b"A-1"]
