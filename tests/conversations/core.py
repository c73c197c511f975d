"""A whole fixsim made of nothing but a Session: counters, what was said, a clock that scripts move.

It answers NewOrderSingle(D) with ExecutionReport(8) and every other application message with
BusinessMessageReject(j), as a venue does.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from fixsim.errors import GarbledMessage
from fixsim.fix import codec
from fixsim.fix.dictionary import fix44
from fixsim.fix.message import Message
from fixsim.fix.validate import validator
from fixsim.session import (
    Deliver,
    Disconnect,
    Event,
    FetchEarly,
    LoggedOn,
    LoggedOut,
    PeerRejected,
    Resend,
    Role,
    Say,
    SequenceReset,
    Session,
    SessionProfile,
)
from fixsim.session import resend as resending
from fixsim.session.answers import way_back
from fixsim.session.events import Fields
from fixsim.units import NS_PER_S, format_utc_timestamp

START_NS = 1_700_000_000 * NS_PER_S
FRAME_BYTES_MAX = 65_536


@dataclass
class Counters:
    next_in: int = 1
    next_out: int = 1


@dataclass(frozen=True)
class Stored:
    """What was said under one number, as it is said again."""

    msg_type: bytes
    time: bytes
    body: Fields


@dataclass
class Owner:
    """The owner of one Session: `out` is what it said, `kept` what it received by token, `happened` the rest."""

    profile: SessionProfile
    role: Role = "acceptor"
    counters: Counters = field(default_factory=Counters)
    now_ns: int = START_NS
    credentials: str = "accepted"
    answers: bool = True

    def __post_init__(self) -> None:
        judge = validator(fix44(), self.profile.strictness)
        self.session = Session(self.profile, self.counters, judge, self.role)
        self.out: list[bytes] = []
        self.closed = True
        self.inbox = bytearray()
        self.kept: list[bytes] = []
        self.store: dict[int, Stored] = {}
        self.delivered: list[Message] = []
        self.happened: list[Event] = []
        self.cl_ord_ids: set[bytes] = set()

    def connect(self) -> None:
        self.inbox.clear()
        self.closed = False
        self.session.connected(self.now_ns, self.credentials)
        self.carry_out()

    def lose(self) -> None:
        self.closed = True
        self.session.receive_eof(self.now_ns)
        self.carry_out()

    def feed(self, octets: bytes) -> None:
        """Bytes came: every whole frame is received, what is garbled is dropped."""
        self.inbox += octets
        while not self.closed:
            framing = codec.find_frame(self.inbox, 0, len(self.inbox), FRAME_BYTES_MAX)
            if framing.kind == codec.PARTIAL:
                return
            frame = bytes(self.inbox[framing.start : framing.end])
            del self.inbox[: framing.resume_at]
            if framing.kind == codec.FRAME:
                self.receive(frame)

    def receive(self, frame: bytes) -> None:
        try:
            message = codec.decode(frame)
        except GarbledMessage:
            return
        self.kept.append(frame)
        self.session.receive(message, len(self.kept) - 1, self.now_ns)
        self.carry_out()

    def tick_until(self, now_ns: int) -> None:
        """Time goes on; every deadline on the way is ticked at its moment."""
        while (due_ns := self.session.next_deadline_ns()) <= now_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.session.tick(self.now_ns)
            self.carry_out()
        self.now_ns = now_ns

    def carry_out(self) -> None:
        """Do what the Session asks for, in order."""
        while events := self.session.events():
            for event in events:
                self._carry_out(event)

    def _carry_out(self, event: Event) -> None:
        match event:
            case Say(msg_type, body, route):
                self.write(msg_type, route, body)
            case Deliver(message, _, _, poss_resend):
                self.delivered.append(message)
                if self.answers:
                    self._answer(message, poss_resend)
            case FetchEarly(token):
                self.session.receive(codec.decode(self.kept[token]), token, self.now_ns)
            case Resend(begin, end):
                self._resend(begin, end)
            case SequenceReset(run_reset=True):
                self.store.clear()
            case Disconnect():
                self.closed = True
        if isinstance(event, LoggedOn | LoggedOut | PeerRejected | SequenceReset | Disconnect):
            self.happened.append(event)

    def write(self, msg_type: bytes, route: Fields, body: Fields) -> None:
        """Say a message under the next number."""
        number = self.counters.next_out
        self.counters.next_out += 1
        time = format_utc_timestamp(self.now_ns, 3)
        if self.profile.last_msg_seq_num_processed:
            route += ((369, b"%d" % (self.counters.next_in - 1)),)
        self.store[number] = Stored(msg_type, time, route + body)
        self.put(number, msg_type, ((52, time),), route + body)

    def put(self, number: int, msg_type: bytes, header: Fields, rest: Fields) -> None:
        names = ((49, self.profile.sender_comp_id), (56, self.profile.target_comp_id), (34, b"%d" % number))
        self.out.append(codec.encode(msg_type, (*names, *header), rest))

    def send(self, msg_type: bytes, body: Fields, route: Fields = ()) -> None:
        """Say an application message of the owner's own."""
        self.write(msg_type, route, body)
        self.session.sent(self.now_ns)

    def _resend(self, begin: int, end: int) -> None:
        time = format_utc_timestamp(self.now_ns, 3)

        def msg_type_of(number: int) -> bytes | None:
            stored = self.store.get(number)
            return None if stored is None else stored.msg_type

        for step in resending.plan(begin, end, msg_type_of):
            if isinstance(step, resending.Fill):
                body = ((36, b"%d" % step.new_seq_no), (123, b"Y"))
                self.put(step.number, b"4", ((43, b"Y"), (52, time), (122, time)), body)
            else:
                stored = self.store[step.number]
                header = ((43, b"Y"), (52, time), (122, stored.time))
                self.put(step.number, stored.msg_type, header, stored.body)

    def _answer(self, message: Message, poss_resend: bool) -> None:
        if message.msg_type == b"D":
            cl_ord_id = message.get(11, b"")
            if poss_resend and cl_ord_id in self.cl_ord_ids:
                exec_type = b"I"
            else:
                exec_type = b"0"
                self.cl_ord_ids.add(cl_ord_id)
            exec_id = b"%d" % self.counters.next_out
            echo = tuple((tag, message.get(tag, b"")) for tag in (11, 55, 54) if tag in message)
            body = (
                (37, b"1"),
                (17, exec_id),
                (150, exec_type),
                (39, b"0"),
                *echo,
                (151, b"0"),
                (14, b"0"),
                (6, b"0"),
            )
            self.send(b"8", body, way_back(message))
        elif message.msg_type != b"8" or self.role == "acceptor":
            number = message.get(34, b"")
            body = ((45, number), (58, b"Unsupported Message Type"), (372, message.msg_type), (380, b"3"))
            self.send(b"j", body, way_back(message))


class CorePeer:
    """`script.Peer` over an Owner: `say` goes straight into the Session, time is a number."""

    def __init__(self) -> None:
        self.sender, self.target = b"PEER", b"FIXSIM"
        self.owner = Owner(self._profile({}))

    def _profile(self, settings: dict[str, str]) -> SessionProfile:
        values: dict[str, Any] = {}
        for setting in fields(SessionProfile):
            if setting.name in settings:
                text, kind = settings[setting.name], type(setting.default)
                values[setting.name] = text == "yes" if kind is bool else kind(text)  # type: ignore[misc]
        return SessionProfile(self.target, self.sender, **values)

    def configure(self, settings: dict[str, str]) -> None:
        known = {setting.name for setting in fields(SessionProfile)} | {
            "role",
            "next_in",
            "next_out",
            "credentials",
        }
        assert settings.keys() <= known, f"no such setting: {settings.keys() - known}"
        role: Role = "initiator" if settings.get("role") == "initiator" else "acceptor"
        counters = Counters(int(settings.get("next_in", 1)), int(settings.get("next_out", 1)))
        self.owner = Owner(self._profile(settings), role, counters)
        self.owner.credentials = settings.get("credentials", "accepted")

    def connect(self) -> None:
        self.owner.out.clear()
        self.owner.connect()

    def hang_up(self) -> None:
        self.owner.lose()

    def say(self, octets: bytes) -> None:
        self.owner.feed(octets)

    def hear(self) -> bytes | None:
        return self.owner.out.pop(0) if self.owner.out else None

    def is_closed(self) -> bool:
        return self.owner.closed

    def is_silent(self) -> bool:
        return not self.owner.out

    def wait(self, seconds: float) -> None:
        self.owner.tick_until(self.owner.now_ns + int(seconds * NS_PER_S))

    def now_ns(self) -> int:
        return self.owner.now_ns

    def do(self, verb: str, argument: str) -> None:
        session, now_ns = self.owner.session, self.owner.now_ns
        match verb:
            case "logon":
                session.logon(now_ns, reset=argument == "reset")
            case "logout":
                session.logout(argument.encode() or None, now_ns)
            case "sleep":  # no deadline is looked at before the time is over
                self.owner.now_ns += int(float(argument) * NS_PER_S)
                session.tick(self.owner.now_ns)
            case "send":
                parts = [part.partition("=") for part in argument.strip("|").split("|")]
                (_, _, msg_type), *body = parts
                self.owner.send(msg_type.encode(), tuple((int(tag), value.encode()) for tag, _, value in body))
            case _:
                raise AssertionError(f"no such verb: {verb}")
        self.owner.carry_out()
