"""Logging out: from our side, from the peer's, and after a fault (FIX 4.4 volume 2, Logout)."""

from fixsim.fix import tags
from fixsim.fix.enums import MsgType, SessionRejectReason
from fixsim.fix.message import Message
from fixsim.fix.validate import reject as rejection_for
from fixsim.session import answers
from fixsim.session.conversation import SENDING_TIME_PROBLEM, Conversation
from fixsim.session.events import Deliver, PeerRejected
from fixsim.session.resend import ADMIN
from fixsim.session.states import Step


def say_logout(talk: Conversation, text: bytes | None, now_ns: int) -> None:
    """Say Logout and wait for the answer. What is missing from the peer is asked for at the next Logon."""
    talk.say(answers.logout(text), now_ns)
    talk.move(Step.LOGOUT_SAID)
    talk.timers.wait_for_answer(talk.profile.logout_timeout_s, now_ns)
    talk.gap.clear()


def cut_off(talk: Conversation, text: str, now_ns: int) -> None:
    """Logout with `text`, then close at once: the numbers of the two sides cannot be brought together."""
    talk.say(answers.logout(text.encode()), now_ns)
    talk.end(Step.PEER_LOST_ITS_WAY, text)


def expel(talk: Conversation, message: Message, text: str, now_ns: int, reason: int | None = None) -> None:
    """A fault after which nothing of the peer is taken: Reject if there is a `reason` (373), then Logout."""
    talk.count(message.get_int(tags.MSG_SEQ_NUM))
    if reason is not None:
        talk.say(answers.reject(message, rejection_for(reason, None)), now_ns)
    talk.fault = True
    say_logout(talk, text.encode(), now_ns)


def expel_for_time(talk: Conversation, message: Message, now_ns: int) -> None:
    """SendingTime(52) or OrigSendingTime(122) cannot be."""
    expel(talk, message, SENDING_TIME_PROBLEM, now_ns, SessionRejectReason.SENDING_TIME_ACCURACY_PROBLEM)


def take_logout(talk: Conversation, message: Message, number: int, now_ns: int) -> None:
    """The peer leaves: answered whatever its number; what is missing is asked for when it comes back."""
    talk.count(number)
    rejection = talk.validator(message)
    if rejection is not None:
        talk.say(answers.reject(message, rejection), now_ns)
        return talk.advance(now_ns)
    talk.say(answers.logout(None, message), now_ns)
    talk.end(Step.LOGOUT_TAKEN, message.get(tags.TEXT, b"logout by the peer").decode("latin-1"))


def receive_while_leaving(talk: Conversation, message: Message, token: int, now_ns: int) -> None:
    """After our Logout: its answer ends the conversation, a ResendRequest is still served.

    An initiator still takes what is in sequence: reports that crossed its Logout. A venue does not, as its
    answers would come after its Logout; such orders stay uncounted, and the peer may send them again at the
    next Logon.
    """
    if not talk.names_us(message):
        return
    number = message.get_int(tags.MSG_SEQ_NUM)
    msg_type = message.msg_type
    if msg_type == MsgType.LOGOUT:
        talk.count(number)
        talk.end(Step.LOGOUT_TAKEN, message.get(tags.TEXT, b"logout").decode("latin-1"))
    elif talk.fault or talk.validator(message) is not None:
        return
    elif msg_type == MsgType.RESEND_REQUEST:
        talk.count(number)
        talk.serve(message, now_ns)
    elif talk.role == "initiator" and number == talk.counters.next_in:
        if msg_type not in ADMIN:
            talk.count(number)
            poss_dup = message.get(tags.POSS_DUP_FLAG) == b"Y"
            talk.events.append(Deliver(message, token, poss_dup, message.get(tags.POSS_RESEND) == b"Y"))
        elif msg_type == MsgType.REJECT:
            talk.count(number)
            talk.events.append(PeerRejected(message, token))
        elif msg_type in (MsgType.HEARTBEAT, MsgType.TEST_REQUEST):
            talk.count(number)
