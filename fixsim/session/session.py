"""One FIX 4.4 conversation as a machine: messages and time go in, events come out.

The Session holds no socket, clock or store. Its owner calls a verb, takes `events()` and carries them out
in order before it calls the next verb. Sequence numbers live in `Counters`: `next_in` is moved by the
Session, `next_out` by the owner as it says what it was asked to say; only a restart sets both here.
`states.TRANSITIONS` is the law; `docs/session.md` lists every rule with its source.
"""

from fixsim.errors import SessionMisuse
from fixsim.fix.message import Message
from fixsim.session import answers, leaving, live, logon, opening
from fixsim.session.conversation import ACCEPTED, Conversation, Validator
from fixsim.session.events import Event, Fields
from fixsim.session.profile import Counters, Role, SessionProfile
from fixsim.session.states import State, Step
from fixsim.session.timers import NEVER, span_ns

__all__ = ["ACCEPTED", "NEVER", "Session", "Validator"]


class Session:
    """The conversation with one counterparty, over any number of connections, one at a time.

    Times are ns of the owner's clock, UTC. A verb that its state has no use for does nothing, unless our
    own code must have gone wrong (SessionMisuse). What the peer says never raises.
    """

    __slots__ = ("_talk",)

    def __init__(self, profile: SessionProfile, counters: Counters, validator: Validator, role: Role = "acceptor") -> None:
        self._talk = Conversation(profile, counters, validator, role)

    @property
    def state(self) -> State:
        """Where the conversation stands."""
        return self._talk.state

    @property
    def heartbeat_interval_s(self) -> int:
        """HeartBtInt(108) in force, or that of our profile before there is one."""
        return self._talk.heartbeat_interval_s

    def events(self) -> list[Event]:
        """What is to be done, in order; each event is given once."""
        talk = self._talk
        drained, talk.events, talk.says = talk.events, [], 0
        return drained

    def early_tokens(self) -> list[int]:
        """Tokens of early messages that will be asked for again: they are kept, or being fetched."""
        fetching = self._talk.fetching
        return self._talk.gap.tokens() + ([] if fetching is None else [fetching])

    def next_deadline_ns(self) -> int:
        """When `tick` has something to do; NEVER if nothing is due. An early tick does no harm."""
        return min(self._talk.timers.next_ns(), self._talk.gap.retry_ns)

    def connected(self, now_ns: int, credentials: str = ACCEPTED) -> None:
        """A transport is up. `credentials` is the verdict on the Logon: ACCEPTED, or a text that refuses it.

        Raises SessionMisuse if there is a transport already.
        """
        talk = self._talk
        talk.move(Step.TRANSPORT_OPENED)
        talk.credentials = credentials
        talk.timers.wait_for_answer(talk.profile.logon_timeout_s, now_ns)

    def logon(self, now_ns: int, reset: bool = False, fields: Fields = ()) -> None:
        """Say Logon (initiator); with `reset` both sides restart at 1, also in the middle of a conversation.

        `fields` (553, 554, 58 ...) are added to its body. In mid-conversation the messages of the peer's old run
        are still taken until its answer comes. A restart that was never answered is asked for again by the next
        Logon. Raises SessionMisuse for an acceptor, and where no Logon can be said.
        """
        talk = self._talk
        if talk.role != "initiator":
            raise SessionMisuse("an acceptor answers a Logon, it does not begin with one")
        if talk.is_logged_on:
            return self._restart(now_ns, reset, fields)
        talk.move(Step.LOGON_SAID)
        reset = talk.reset_owed = reset or talk.reset_owed
        if reset:
            talk.restart()
        talk.say(logon.request(talk.profile, reset, talk.counters.next_in, fields), now_ns)
        talk.timers.wait_for_answer(talk.profile.logon_timeout_s, now_ns)
        return None

    def _restart(self, now_ns: int, reset: bool, fields: Fields) -> None:
        """Say Logon with 141=Y in a live conversation; the inbound run goes on until the peer's answer."""
        if not reset:
            raise SessionMisuse("already logged on; only a restart (141=Y) is possible now")
        talk = self._talk
        if talk.is_restarting:
            return  # a second Logon would be answered too, and that answer be taken for a restart of the peer's
        next_in = talk.counters.next_in
        talk.restart()
        talk.counters.next_in = next_in
        talk.move(Step.NUMBERS_RESTARTED)
        talk.say(logon.request(talk.profile, True, 1, fields), now_ns)
        talk.reset_owed = True
        talk.own_reset_ns = talk.timers.answer_ns = now_ns + span_ns(talk.profile.logon_timeout_s)

    def logout(self, text: bytes | None, now_ns: int) -> None:
        """End the conversation with `text` as the reason; before Logon the transport is closed."""
        talk = self._talk
        if talk.is_logged_on:
            leaving.say_logout(talk, text, now_ns)
        elif talk.state in (State.CONNECTED, State.LOGON_SENT):
            talk.end(Step.CLOSED_EARLY, (text or b"closed before Logon").decode("latin-1"))

    def receive_eof(self, now_ns: int) -> None:
        """The transport is gone."""
        if self._talk.state is not State.DISCONNECTED:
            self._talk.end(Step.TRANSPORT_LOST, "connection lost")

    def sent(self, now_ns: int) -> None:
        """The owner said an application message itself, last at `now_ns`: the next Heartbeat is due that much later."""
        self._talk.timers.said_ns = max(self._talk.timers.said_ns, now_ns)

    def heard(self, now_ns: int) -> None:
        """The owner took frames of the peer itself, the last at `now_ns`, numbers included: the peer is not silent."""
        if now_ns > self._talk.timers.heard_ns:
            self._talk.timers.heard(now_ns)

    def adopt(self, profile: SessionProfile, validator: Validator) -> None:
        """Go on under changed settings, connected or not; what was agreed at the Logon stays until the next one."""
        self._talk.adopt(profile, validator)

    def renumbered(self, now_ns: int) -> None:
        """The owner set the counters by order of an operator: what was missing before is of no interest."""
        self._talk.gap.clear()
        if self._talk.state is State.AWAITING_RESEND:
            self._talk.move(Step.GAP_CLOSED)

    def tick(self, now_ns: int) -> None:
        """A deadline may be due: Heartbeat, TestRequest, giving up, asking again."""
        talk = self._talk
        timers = talk.timers
        if now_ns >= timers.answer_ns:
            talk.end(Step.TIMED_OUT, f"no answer in time: {talk.state.value}")
        elif now_ns >= timers.give_up_ns():
            talk.end(Step.TIMED_OUT, "the peer is silent, TestRequest was not answered")
        elif talk.is_logged_on:
            if now_ns >= timers.test_request_ns():
                talk.say(answers.test_request(), now_ns)
                timers.tested(now_ns)
            if now_ns >= timers.heartbeat_ns():
                talk.say(answers.heartbeat(), now_ns)
            if now_ns >= talk.gap.retry_ns:
                talk.ask(talk.gap.missing_to(talk.counters.next_in), now_ns)

    def receive(self, message: Message, token: int, now_ns: int) -> None:
        """A well-formed frame of the peer; garbled ones never come here.

        `token` is an opaque, non-negative reference by which the owner can fetch the frame again. Raises
        SessionMisuse when a FetchEarly is open and another frame comes first.
        """
        talk = self._talk
        state = talk.state
        if state is State.DISCONNECTED:
            return
        fetched = talk.fetching is not None
        if fetched:
            if token != talk.fetching:
                raise SessionMisuse(f"the early message {talk.fetching} was due before {token}")
            talk.fetching = None
        talk.timers.heard(now_ns)
        if state is State.ACTIVE or state is State.AWAITING_RESEND:
            live.receive(talk, message, token, now_ns, fetched)
        elif state is State.LOGOUT_SENT:
            leaving.receive_while_leaving(talk, message, token, now_ns)
        elif talk.role == "acceptor":
            opening.receive_logon(talk, message, now_ns)
        else:
            opening.receive_answer(talk, message, token, now_ns)
