"""Whatever a peer says, in whatever order: nothing is raised, no counter goes back, the events make sense."""

from typing import Any

from conversations.core import START_NS, Counters
from hypothesis import given, settings
from hypothesis import strategies as st

from fixsim.fix.message import Message
from fixsim.session import (
    Deliver,
    Disconnect,
    Event,
    FetchEarly,
    LoggedOn,
    LoggedOut,
    Resend,
    Role,
    Say,
    SequenceReset,
    Session,
    SessionProfile,
    State,
)
from fixsim.session.session import Validator
from fixsim.units import NS_PER_S, format_utc_timestamp

NUMBERS = st.integers(-3, 12)
TEXTS = st.sampled_from([b"", b"0", b"1", b"Y", b"N", b"PEER", b"FIXSIM", b"X", b"20200101-00:00:00", b"99999"])
TAGS = st.sampled_from([7, 8, 16, 34, 36, 43, 49, 50, 52, 56, 97, 98, 108, 112, 115, 122, 123, 141, 789, 999])
ACTIONS = st.one_of(
    st.tuples(
        st.just("frame"),
        st.sampled_from([b"0", b"1", b"2", b"3", b"4", b"5", b"A", b"D", b"8", b"zz", b""]),
        NUMBERS,  # relative to the number that is expected
        st.dictionaries(TAGS, TEXTS, max_size=4),
        st.sets(TAGS, max_size=2),
    ),
    st.tuples(st.just("number"), st.sampled_from([7, 16, 36, 789]), NUMBERS),
    st.tuples(st.just("tick"), st.integers(0, 40)),
    st.sampled_from([("connect",), ("lose",), ("logout",), ("logon",), ("restart",), ("refuse",)]),
)


class Watched:
    """An owner that checks each event and remembers little."""

    def __init__(self, role: Role, **settings: Any) -> None:
        profile = SessionProfile(b"FIXSIM", b"PEER", early_messages_max=3, resend_timeout_s=5, **settings)
        judge: Validator = lambda message: None  # noqa: E731 - nothing is wrong: the session must stand it all
        self.role, self.counters = role, Counters()
        self.session = Session(profile, self.counters, judge, role)
        self.now_ns = START_NS
        self.kept: list[Message] = []
        self.is_logged_on = False
        self.number: dict[int, bytes] = {}

    def act(self, action: Any) -> None:
        session, state = self.session, self.session.state
        match action:
            case ("frame", msg_type, distance, fields, missing):
                self.frame(msg_type, self.counters.next_in + distance, fields, missing)
            case ("number", tag, distance):
                base = self.counters.next_in if tag == 36 else self.counters.next_out
                self.number[tag] = b"%d" % (base + distance)
            case ("tick", seconds):
                self.now_ns += seconds * NS_PER_S
                session.tick(self.now_ns)
                self.carry_out()
            case ("connect",) if state is State.DISCONNECTED:
                session.connected(self.now_ns)
            case ("refuse",) if state is State.DISCONNECTED:
                session.connected(self.now_ns, "Invalid password")
            case ("lose",):
                session.receive_eof(self.now_ns)
            case ("logout",):
                session.logout(b"bye", self.now_ns)
            case ("logon",) if self.role == "initiator" and state is State.CONNECTED:
                session.logon(self.now_ns)
            case ("restart",) if self.role == "initiator" and state in (
                State.CONNECTED, State.ACTIVE, State.AWAITING_RESEND,
            ):  # fmt: skip
                session.logon(self.now_ns, reset=True)
        self.carry_out(restarted=action == ("restart",))

    def frame(self, msg_type: bytes, number: int, changes: dict[int, bytes], missing: set[int]) -> None:
        time = format_utc_timestamp(self.now_ns, 3)
        fields = {8: b"FIX.4.4", 35: msg_type, 49: b"PEER", 56: b"FIXSIM", 34: b"%d" % number, 52: time}
        fields |= {98: b"0", 108: b"10"} | self.number | changes
        message = Message([(tag, value) for tag, value in fields.items() if tag not in missing])
        self.kept.append(message)
        self.session.receive(message, len(self.kept) - 1, self.now_ns)
        self.carry_out()

    def carry_out(self, restarted: bool = False) -> None:
        before = (self.counters.next_in, self.counters.next_out)
        while events := self.session.events():
            restarted = restarted or SequenceReset(run_reset=True) in events
            for place, event in enumerate(events):
                self.check(event, place == len(events) - 1)
                if isinstance(event, Say):
                    self.counters.next_out += 1
                elif isinstance(event, FetchEarly):
                    self.session.receive(self.kept[event.token], event.token, self.now_ns)
        assert restarted or (self.counters.next_in >= before[0] and self.counters.next_out >= before[1])
        assert self.counters.next_in >= 1
        assert self.counters.next_out >= 1
        assert self.session.next_deadline_ns() > 0
        assert (self.session.state is State.AWAITING_RESEND) <= (self.session.next_deadline_ns() < 2**63 - 1)

    def check(self, event: Event, is_last: bool) -> None:
        match event:
            case FetchEarly(token):
                assert is_last
                assert 0 <= token < len(self.kept)
            case Resend(begin, end):
                assert 1 <= begin <= end < self.counters.next_out
            case LoggedOn():
                assert not self.is_logged_on
                self.is_logged_on = True
            case LoggedOut():
                assert self.is_logged_on
                self.is_logged_on = False
            case Disconnect():
                assert is_last
                assert not self.is_logged_on
                assert self.session.state is State.DISCONNECTED
            case Deliver(message):
                assert message.msg_type not in (b"0", b"1", b"2", b"3", b"4", b"5", b"A")
                assert self.is_logged_on


def play(watched: Watched, actions: list[Any]) -> None:
    watched.act(("connect",))
    watched.act(("logon",))
    if actions and actions[0] != ("tick", 0):  # mostly begin with both sides logged on
        watched.frame(b"A", 1, {}, set())
    for action in actions:
        watched.act(action)


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, max_size=25), st.booleans(), st.booleans(), st.sampled_from([0, 2]))
def test_an_acceptor_stands_everything(
    actions: list[Any],
    resets: bool,
    announces: bool,
    chunk: int,
) -> None:
    play(Watched("acceptor", reset_on_logon=resets, announce_reset=announces, resend_chunk=chunk), actions)


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTIONS, max_size=25), st.booleans())
def test_an_initiator_stands_everything(actions: list[Any], next_expected: bool) -> None:
    play(Watched("initiator", next_expected_msg_seq_num=next_expected), actions)
