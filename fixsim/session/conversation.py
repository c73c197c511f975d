"""The record of one conversation, and the small steps that every rule is made of.

Nothing here decides what a message means: `opening.py` reads Logons, `live.py` what comes after them,
`leaving.py` ends it.
"""

from collections.abc import Callable
from typing import Final

from fixsim.errors import SessionMisuse, SessionRejection
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.session import answers
from fixsim.session.events import (
    Disconnect,
    Event,
    FetchEarly,
    LoggedOut,
    Resend,
    Say,
    SequenceReset,
)
from fixsim.session.gap import Gap
from fixsim.session.profile import Counters, Role, SessionProfile
from fixsim.session.resend import requested_range
from fixsim.session.states import TRANSITIONS, State, Step
from fixsim.session.timers import NEVER, Timers, span_ns
from fixsim.units import NS_PER_S, parse_utc_timestamp

#: The verdict on credentials that lets a Logon pass; every other text refuses it and is told to the peer.
ACCEPTED: Final = "accepted"

BEGIN_STRING: Final = b"FIX.4.4"
NO_MSG_SEQ_NUM: Final = "Received message without MsgSeqNum"
WRONG_BEGIN_STRING: Final = "Incorrect BeginString"
COMP_ID_PROBLEM: Final = "CompID problem"
SENDING_TIME_PROBLEM: Final = "SendingTime accuracy problem"

#: Judges a message by the dictionary: None if it is good (`fix.validate`).
Validator = Callable[[Message], SessionRejection | None]


def too_low(expected: int, number: int) -> str:
    """The text of a Logout for a MsgSeqNum that was used already."""
    return f"MsgSeqNum too low, expecting {expected} but received {number}"


class Conversation:
    """Everything a Session knows, in one place; each step leaves it consistent."""

    __slots__ = (
        "_second",
        "_second_ns",
        "_tolerance_ns",
        "counters",
        "credentials",
        "events",
        "fault",
        "fetching",
        "gap",
        "heartbeat_interval_s",
        "own_reset_ns",
        "profile",
        "reset_owed",
        "role",
        "says",
        "state",
        "timers",
        "validator",
    )

    def __init__(self, profile: SessionProfile, counters: Counters, validator: Validator, role: Role) -> None:
        self.profile, self.counters, self.validator, self.role = profile, counters, validator, role
        self.state = State.DISCONNECTED
        self.heartbeat_interval_s = profile.heartbeat_interval_s
        self.timers, self.gap = Timers(profile), Gap(profile)
        self.events: list[Event] = []
        #: Events of kind Say not drained yet: they will use up numbers.
        self.says = 0
        self._tolerance_ns = span_ns(profile.sending_time_tolerance_s)
        self._second, self._second_ns = b"", 0
        #: We said Logon with 141=Y and saw no answer to it: only another such Logon brings both sides together.
        self.reset_owed = False
        self._forget_connection()

    def _forget_connection(self) -> None:
        self.timers.stop()
        self.gap.clear()
        self.credentials = ACCEPTED
        #: Our Logout names a fault of the peer: nothing of it is taken any more.
        self.fault = False
        #: Token of a FetchEarly that has not come back.
        self.fetching: int | None = None
        #: Until then a Logon with 141=Y answers ours instead of asking for another restart.
        self.own_reset_ns = 0

    def adopt(self, profile: SessionProfile, validator: Validator) -> None:
        """Other settings from now on."""
        self.profile, self.validator = profile, validator
        self._tolerance_ns = span_ns(profile.sending_time_tolerance_s)
        self.timers.adopt(profile)
        self.gap.adopt(profile)

    # ---- state, numbers, what is said

    @property
    def is_logged_on(self) -> bool:
        """Whether both sides are logged on and nobody is leaving."""
        return self.state is State.ACTIVE or self.state is State.AWAITING_RESEND

    @property
    def is_restarting(self) -> bool:
        """Whether our own Logon with 141=Y in a live conversation is still unanswered."""
        return self.is_logged_on and self.timers.answer_ns != NEVER

    def move(self, step: Step) -> None:
        """Take `step`; SessionMisuse if the table has no such step here."""
        state = TRANSITIONS[self.state].get(step)
        if state is None:
            raise SessionMisuse(f"{step.name} is not possible in state {self.state.name}")
        self.state = state

    def say(self, say: Say, now_ns: int) -> None:
        self.events.append(say)
        self.says += 1
        self.timers.said_ns = now_ns

    def last_said(self) -> int:
        """Number of the last message said, counting what the owner is still to say."""
        return self.counters.next_out + self.says - 1

    def count(self, number: int | None) -> None:
        """The message `number` is dealt with; it moves the counter if it was the expected one."""
        if number == self.counters.next_in:
            self.counters.next_in += 1

    def start_beating(self, interval_s: int, now_ns: int) -> None:
        self.heartbeat_interval_s = interval_s
        self.timers.beat(interval_s, now_ns)

    def end(self, step: Step, reason: str) -> None:
        """The conversation, or the attempt at one, is over."""
        was_logged_on = self.is_logged_on or self.state is State.LOGOUT_SENT
        self.move(step)
        self._forget_connection()
        if was_logged_on:
            self.events.append(LoggedOut(reason))
        if step is not Step.TRANSPORT_LOST:
            self.events.append(Disconnect(reason, logged_out=step is Step.LOGOUT_TAKEN))

    # ---- gaps and restarts

    def ask(self, missing_to: int, now_ns: int) -> None:
        """ResendRequest from the expected number on; everything up to `missing_to` is known to be missing."""
        next_in = self.counters.next_in
        self.gap.asked(next_in, missing_to, now_ns)
        self.say(answers.resend_request(next_in, self.gap.end_of_request(next_in)), now_ns)
        self.move(Step.GAP_FOUND)

    def advance(self, now_ns: int) -> None:
        """The expected number moved while messages were missing: take what was kept, or close the gap."""
        if self.state is not State.AWAITING_RESEND:
            return
        gap = self.gap
        next_in = self.counters.next_in = gap.skip_dealt_with(self.counters.next_in)
        token = gap.take(next_in)
        gap.progressed(now_ns)
        if token is not None:
            self.fetching = token
            self.events.append(FetchEarly(token))
        elif gap.is_closed(next_in):
            gap.clear()
            self.move(Step.GAP_CLOSED)
        elif gap.next_chunk_due(next_in):
            self.ask(gap.missing_to(next_in), now_ns)

    def jump(self, new_seq_no: int) -> None:
        """The peer will go on with `new_seq_no`; what lies below is not missed."""
        self.counters.next_in = new_seq_no
        self.gap.forget_below(new_seq_no)

    def restart(self) -> None:
        """Both sides begin at 1 again: a new run."""
        if self.says:
            raise SessionMisuse("what was to be said before the restart must be said first")
        self.counters.next_in = self.counters.next_out = 1
        self.gap.clear()
        self.events.append(SequenceReset(run_reset=True))

    def serve(self, message: Message, now_ns: int) -> None:
        """Answer a ResendRequest. While a restart of ours is under way it asks for a run that has ended."""
        if self.is_restarting:
            return
        wanted = requested_range(message, self.last_said())
        if isinstance(wanted, SessionRejection):
            self.say(answers.reject(message, wanted), now_ns)
        elif wanted[0] <= wanted[1]:
            self.events.append(Resend(*wanted))
            self.timers.said_ns = now_ns

    # ---- who speaks, and when

    def names_us(self, message: Message) -> bool:
        """Whether both CompIDs are there, the peer's as the sender and ours as the target."""
        profile, index = self.profile, message.index
        return (
            index.get(tags.SENDER_COMP_ID) == profile.target_comp_id
            and index.get(tags.TARGET_COMP_ID) == profile.sender_comp_id
        )

    def names_others(self, message: Message) -> bool:
        """Whether a CompID is somebody else's; an absent or empty one is validation's business."""
        sender, target = message.get(tags.SENDER_COMP_ID), message.get(tags.TARGET_COMP_ID)
        profile = self.profile
        sender_is_other = bool(sender) and sender != profile.target_comp_id
        return sender_is_other or (bool(target) and target != profile.sender_comp_id)

    def is_untimely(self, message: Message, now_ns: int, required: bool = False) -> bool:
        """Whether SendingTime(52) is too far from now; if absent or no time, only if `required`."""
        if not self._tolerance_ns:
            return False
        text = message.index.get(tags.SENDING_TIME, b"")
        if text[:17] == self._second and abs(self._second_ns - now_ns) < self._tolerance_ns - NS_PER_S:
            return False  # messages of the same second are read once
        sending_ns = parse_utc_timestamp(text)
        if sending_ns is None:
            return required
        self._second, self._second_ns = text[:17], sending_ns
        return abs(sending_ns - now_ns) > self._tolerance_ns
