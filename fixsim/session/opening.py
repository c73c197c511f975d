"""Logging on: the first message to an acceptor, the answer to an initiator (FIX 4.4 volume 2, Logon)."""

from fixsim.errors import LogoutRequired
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message
from fixsim.session import answers, logon
from fixsim.session.conversation import (
    ACCEPTED,
    BEGIN_STRING,
    COMP_ID_PROBLEM,
    NO_MSG_SEQ_NUM,
    SENDING_TIME_PROBLEM,
    WRONG_BEGIN_STRING,
    Conversation,
    too_low,
)
from fixsim.session.events import LoggedOn, PeerRejected, Resend
from fixsim.session.gap import DEALT_WITH
from fixsim.session.states import Step
from fixsim.session.timers import span_ns


def receive_logon(talk: Conversation, message: Message, now_ns: int) -> None:
    """The first message to an acceptor.

    Who may be a stranger gets no answer: it would use up a number of a session that may be live elsewhere.
    """
    if message.msg_type != MsgType.LOGON:
        return talk.end(Step.LOGON_REFUSED, "first message is not a Logon")
    if message.get(tags.BEGIN_STRING) != BEGIN_STRING:
        return talk.end(Step.LOGON_REFUSED, WRONG_BEGIN_STRING)
    if not talk.names_us(message):
        return talk.end(Step.LOGON_REFUSED, COMP_ID_PROBLEM)
    if talk.is_untimely(message, now_ns, required=True):
        return talk.end(Step.LOGON_REFUSED, SENDING_TIME_PROBLEM)
    try:
        number, terms = _read(talk, message)
    except LogoutRequired as refusal:
        return _refuse(talk, refusal.text, now_ns)
    profile = talk.profile
    announce = profile.reset_on_logon and profile.announce_reset and not terms.reset
    if terms.reset or profile.reset_on_logon:
        talk.restart()
    if announce:
        # 141=Y in our answer makes this pair of Logons the first message of both sides, whatever its number
        number = 1
        talk.own_reset_ns = now_ns + span_ns(profile.logon_timeout_s)
    _agree(talk, message, number, terms, announce, now_ns)


def receive_answer(talk: Conversation, message: Message, token: int, now_ns: int) -> None:
    """What comes back to an initiator's Logon: a Logon, or a refusal by Reject, Logout or hanging up."""
    if message.get(tags.BEGIN_STRING) != BEGIN_STRING or not talk.names_us(message):
        return talk.end(Step.LOGON_REFUSED, "the answer to Logon comes from somebody else")
    if message.msg_type == MsgType.REJECT:
        talk.count(message.get_int(tags.MSG_SEQ_NUM))
        return talk.events.append(PeerRejected(message, token))
    if message.msg_type == MsgType.LOGOUT:
        talk.count(message.get_int(tags.MSG_SEQ_NUM))
        text = message.get(tags.TEXT, b"").decode("latin-1")
        return talk.end(Step.LOGON_REFUSED, f"Logon refused: {text}" if text else "Logon refused")
    if message.msg_type != MsgType.LOGON:
        return talk.end(Step.LOGON_REFUSED, "first message is not a Logon")
    if talk.is_untimely(message, now_ns, required=True):
        return _refuse(talk, SENDING_TIME_PROBLEM, now_ns)
    try:
        number, terms = _read(talk, message)
    except LogoutRequired as refusal:
        return _refuse(talk, refusal.text, now_ns)
    if terms.reset and not talk.reset_owed:
        # the acceptor restarts on its own: our Logon was the first message of the new run
        talk.restart()
        talk.counters.next_out = 2
    _agree(talk, message, number, terms, False, now_ns)


def _read(talk: Conversation, message: Message) -> tuple[int, logon.Terms]:
    """Number and terms of a Logon; raises LogoutRequired with the text that refuses it."""
    if talk.credentials != ACCEPTED:
        raise LogoutRequired(talk.credentials)
    number = message.get_int(tags.MSG_SEQ_NUM)
    if number is None:
        raise LogoutRequired(NO_MSG_SEQ_NUM)
    rejection = talk.validator(message)
    if rejection is not None:
        where = "" if rejection.ref_tag is None else f", tag {rejection.ref_tag}"
        raise LogoutRequired(f"{rejection.text}{where}")
    return number, logon.read(message, talk.profile, number)


def _agree(talk: Conversation, message: Message, number: int, terms: logon.Terms, announce: bool, now_ns: int) -> None:
    """Take a Logon whose terms are acceptable: answer it (acceptor), then see to what either side misses."""
    expected, next_out = talk.counters.next_in, talk.counters.next_out
    if number < expected:
        if message.get(tags.POSS_DUP_FLAG) != b"Y":
            _refuse(talk, too_low(expected, number), now_ns)
        return
    if terms.next_expected is not None and terms.next_expected > next_out:
        text = f"Tag 789 (NextExpectedMsgSeqNum) is higher than expected. Expected {next_out}, Received {terms.next_expected}"
        return _refuse(talk, text, now_ns)
    talk.move(Step.LOGON_TAKEN)
    talk.reset_owed = False
    talk.start_beating(terms.heartbeat_interval_s, now_ns)
    talk.count(number)
    if talk.role == "acceptor":
        talk.say(logon.answer(message, terms, announce, talk.counters.next_in, talk.profile), now_ns)
    if terms.next_expected is not None and terms.next_expected < next_out:
        talk.events.append(Resend(max(terms.next_expected, 1), talk.last_said()))
    if number > expected:
        talk.gap.keep(number, DEALT_WITH)
        told = talk.role == "acceptor" or talk.profile.next_expected_msg_seq_num
        if terms.next_expected is not None and told:
            # our own 789 tells the peer what to resend; it is only asked if it does not
            talk.gap.asked(expected, number - 1, now_ns)
            talk.move(Step.GAP_FOUND)
        else:
            talk.ask(number - 1, now_ns)
    talk.events.append(LoggedOn())


def _refuse(talk: Conversation, text: str, now_ns: int) -> None:
    """Logout with the reason. The number of the refused Logon is not counted: it may be an impostor's."""
    talk.say(answers.logout(text.encode()), now_ns)
    talk.end(Step.LOGON_REFUSED, text)
