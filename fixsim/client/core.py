"""The initiator without a socket: received bytes and time go in, bytes to send and news come out.

The conversation itself (numbers, gaps, heartbeats) is `session.Session`; here are its ears and mouth:
framing, the standard header, the store, the answer to a ResendRequest(2). Whoever owns a transport calls
`connected`, `receive`, `tick` and `receive_eof` with the time, sends what `take_bytes` gives, reads
`take_news`, and calls `settle` when the news was dealt with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fixsim.client.store import Store
from fixsim.errors import GarbledMessage, SessionRejection
from fixsim.fix import codec, tags
from fixsim.fix.message import Message
from fixsim.fix.tags import MsgType
from fixsim.limits import EARLY_MESSAGES_MAX, SAID_BYTES_MAX
from fixsim.session.events import (
    Deliver,
    Disconnect,
    Event,
    FetchEarly,
    Fields,
    LoggedOn,
    LoggedOut,
    PeerRejected,
    Resend,
    Say,
    SequenceReset,
)
from fixsim.session.profile import SessionProfile
from fixsim.session.resend import Again, plan
from fixsim.session.session import Session
from fixsim.units import format_utc_timestamp

#: Fields a resent message gets anew; the others are as they were.
RENEWED: Final = frozenset(
    {
        tags.BEGIN_STRING,
        tags.BODY_LENGTH,
        tags.MSG_TYPE,
        tags.SENDER_COMP_ID,
        tags.TARGET_COMP_ID,
        tags.MSG_SEQ_NUM,
        tags.POSS_DUP_FLAG,
        tags.SENDING_TIME,
        tags.ORIG_SENDING_TIME,
        tags.CHECK_SUM,
    }
)
#: Fraction digits of SendingTime(52): milliseconds, as FIX 4.4 has them.
TIME_DIGITS: Final = 3


@dataclass(frozen=True)
class Received:
    """An application message came in sequence; `poss_dup` when it was sent again."""

    message: Message
    poss_dup: bool


@dataclass(frozen=True)
class Echoed:
    """A Heartbeat(0) answered the `ping` with this text: everything the peer had to say before it has
    come.
    """

    text: bytes


News = Received | Echoed | PeerRejected | LoggedOn | LoggedOut | Disconnect


@dataclass(frozen=True)
class Identity:
    """Who we are to whom, and how we log on. A password is said in the Logon(A) only, and never shown."""

    sender_comp_id: bytes
    target_comp_id: bytes
    username: bytes | None = None
    password: bytes | None = None
    heartbeat_s: int = 30

    def __repr__(self) -> str:
        return f"Identity({self.sender_comp_id!r} to {self.target_comp_id!r})"

    def credentials(self) -> Fields:
        """Username(553) and Password(554) as far as there are any."""
        pairs = ((tags.USERNAME, self.username), (tags.PASSWORD, self.password))
        return tuple((tag, value) for tag, value in pairs if value is not None)


def profile_of(identity: Identity) -> SessionProfile:
    """The session's view of `identity`: an initiator that takes whatever heartbeats and times the peer
    has.
    """
    return SessionProfile(
        sender_comp_id=identity.sender_comp_id,
        target_comp_id=identity.target_comp_id,
        strictness="off",
        heartbeat_interval_s=identity.heartbeat_s,
        sending_time_tolerance_s=0.0,
        early_messages_max=EARLY_MESSAGES_MAX,
    )


def _without_secrets(body: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """What is kept of a Logon(A): it is never said again, and a password lies nowhere in clear."""
    return [field for field in body if field[0] not in (tags.PASSWORD, tags.NEW_PASSWORD)]


def anything_goes(message: Message) -> SessionRejection | None:
    """The lenient reader's validator: what the exchange says is shown, not judged."""
    return None


class Core:
    """One initiator and its session. `now_ns` is ns since 1970 UTC everywhere."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        validator: Callable[[Message], SessionRejection | None] = anything_goes,
    ) -> None:
        self.identity = identity
        self.store = store
        self._validator = validator
        self._buffer = bytearray()
        self._outgoing = bytearray()
        self._news: list[News] = []
        self._early: dict[int, bytes] = {}
        self._early_end = 0
        self._token = 0
        #: Text(58) of the Logout(5) the peer said last: why it does not want us.
        self.farewell: str | None = None
        self.session = self._new_session()

    def _new_session(self) -> Session:
        return Session(profile_of(self.identity), self.store, self._validator, role="initiator")

    # ------------------------------------------------------------ what the owner of the transport calls

    def connected(self, now_ns: int, reset: bool = False) -> None:
        """A transport is up: say Logon(A), with ResetSeqNumFlag(141) = Y when `reset`."""
        self._buffer.clear()
        self._outgoing.clear()
        self._early.clear()
        self.farewell = None
        self.session = self._new_session()
        self.session.connected(now_ns, "accepted")
        self.session.logon(now_ns, reset, self.identity.credentials())
        self._follow(now_ns)

    def receive(self, chunk: bytes, now_ns: int) -> None:
        """Take bytes as they came from the transport, cut anywhere."""
        self._buffer += chunk
        start = 0
        while True:
            framing = codec.find_frame(self._buffer, start, len(self._buffer), SAID_BYTES_MAX)
            if framing.kind == codec.PARTIAL:
                break
            if framing.kind == codec.FRAME:
                self._hear(bytes(self._buffer[framing.start : framing.end]), now_ns)
                start = framing.end
            else:
                start = framing.resume_at
        del self._buffer[:start]

    def receive_eof(self, now_ns: int) -> None:
        """The transport ended."""
        self.session.receive_eof(now_ns)
        self._follow(now_ns)

    def tick(self, now_ns: int) -> None:
        """A deadline may be due."""
        self.session.tick(now_ns)
        self._follow(now_ns)

    def next_deadline_ns(self) -> int:
        """When `tick` has something to do, NEVER if not before something comes."""
        return self.session.next_deadline_ns()

    def take_bytes(self) -> bytes:
        """What is to be sent now, once."""
        waiting = bytes(self._outgoing)
        self._outgoing.clear()
        return waiting

    def take_news(self) -> list[News]:
        """What happened since the last call, in order."""
        news, self._news = self._news, []
        return news

    def settle(self) -> None:
        """The news was dealt with: the peer need not send it again after a restart."""
        self.store.settle()

    # ------------------------------------------------------------ what the user wants said

    def say(self, msg_type: bytes, body: Sequence[tuple[int, bytes]], now_ns: int) -> int:
        """Send an application message; its MsgSeqNum(34) is returned."""
        seq = self._put(msg_type, (), body, now_ns)
        self.session.sent(now_ns)
        return seq

    def ping(self, text: bytes, now_ns: int) -> None:
        """Ask for a Heartbeat(0) with `text` by a TestRequest(1); `Echoed` tells of it."""
        self._put(MsgType.TEST_REQUEST, (), [(tags.TEST_REQ_ID, text)], now_ns)

    def logout(self, now_ns: int, text: bytes | None = None) -> None:
        """Say Logout(5); the peer's answer or the timeout ends the connection."""
        self.session.logout(text, now_ns)
        self._follow(now_ns)

    # ------------------------------------------------------------ inside

    def _hear(self, frame: bytes, now_ns: int) -> None:
        try:
            message = codec.decode(frame)
        except GarbledMessage:
            return
        if message.msg_type == MsgType.HEARTBEAT and (text := message.get(tags.TEST_REQ_ID)) is not None:
            self._news.append(Echoed(text))
        elif message.msg_type == MsgType.LOGOUT:
            self.farewell = message.get(tags.TEXT, b"").decode("latin-1")
        self._token += 1
        seq = message.get_int(tags.MSG_SEQ_NUM)
        if seq is not None and seq > self.store.next_in and len(self._early) < EARLY_MESSAGES_MAX:
            self._early[self._token] = frame
            self._early_end = max(self._early_end, seq)
        self.session.receive(message, self._token, now_ns)
        self._follow(now_ns)
        if self._early and self.store.next_in > self._early_end:
            self._early.clear()  # the gap was closed by resent messages

    def _follow(self, now_ns: int) -> None:
        """Do what the session decided, in order, until it has nothing more to say."""
        while events := self.session.events():
            for event in events:
                self._obey(event, now_ns)

    def _obey(self, event: Event, now_ns: int) -> None:
        match event:
            case Say():
                self._put(event.msg_type, event.route, event.body, now_ns)
            case Deliver():
                self._news.append(Received(event.message, event.poss_dup))
            case FetchEarly():
                if (frame := self._early.pop(event.token, None)) is not None:
                    self.session.receive(codec.decode(frame), event.token, now_ns)
            case Resend():
                self._resend(event.begin, event.end, now_ns)
            case SequenceReset():
                if event.run_reset:
                    self._early.clear()
                    self.store.restart()
            case PeerRejected() | LoggedOn() | LoggedOut() | Disconnect():
                self._news.append(event)

    def _put(
        self,
        msg_type: bytes,
        route: Sequence[tuple[int, bytes]],
        body: Sequence[tuple[int, bytes]],
        now_ns: int,
    ) -> int:
        """Number, keep and queue a message."""
        seq = self.store.next_out
        self.store.next_out = seq + 1
        header = self._header(seq, [(tags.SENDING_TIME, format_utc_timestamp(now_ns, TIME_DIGITS))])
        frame = codec.encode(msg_type, [*header, *route], body)
        self.store.keep(seq, frame if msg_type != MsgType.LOGON else codec.encode(msg_type, header, _without_secrets(body)))
        self._outgoing += frame
        return seq

    def _header(self, seq: int, rest: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        return [
            (tags.SENDER_COMP_ID, self.identity.sender_comp_id),
            (tags.TARGET_COMP_ID, self.identity.target_comp_id),
            (tags.MSG_SEQ_NUM, b"%d" % seq),
            *rest,
        ]

    def _resend(self, begin: int, end: int, now_ns: int) -> None:
        """Answer a ResendRequest(2): what was kept goes again as PossDup, GapFills stand for the rest."""
        kept = {seq: codec.decode(frame) for seq, frame in self.store.sent(begin, end)}

        def msg_type_of(seq: int) -> bytes | None:
            return kept[seq].msg_type if seq in kept else None

        for step in plan(begin, end, msg_type_of):
            if isinstance(step, Again):
                self._say_again(step.number, kept[step.number], now_ns)
            else:
                self._fill_gap(step.number, step.new_seq_no, now_ns)

    def _say_again(self, seq: int, message: Message, now_ns: int) -> None:
        rest = [field for field in message.fields if field[0] not in RENEWED]
        sent_at = message.get(tags.SENDING_TIME, b"")
        self._outgoing += codec.encode(message.msg_type, self._again(seq, sent_at, now_ns), rest)

    def _again(self, seq: int, sent_at: bytes, now_ns: int) -> list[tuple[int, bytes]]:
        """Header of a message that is sent a second time."""
        now = format_utc_timestamp(now_ns, TIME_DIGITS)
        return self._header(
            seq,
            [(tags.POSS_DUP_FLAG, b"Y"), (tags.SENDING_TIME, now), (tags.ORIG_SENDING_TIME, sent_at)],
        )

    def _fill_gap(self, begin: int, new_seq: int, now_ns: int) -> None:
        now = format_utc_timestamp(now_ns, TIME_DIGITS)
        body = [(tags.GAP_FILL_FLAG, b"Y"), (tags.NEW_SEQ_NO, b"%d" % new_seq)]
        self._outgoing += codec.encode(MsgType.SEQUENCE_RESET, self._again(begin, now, now_ns), body)
