"""What a message means while both sides are logged on (FIX 4.4 volume 2, session protocol).

The order of the questions: who says it and when, whether its number is the expected one, whether it is well
made, what it is.
"""

from fixsim.errors import LogoutRequired
from fixsim.fix import tags
from fixsim.fix.enums import MsgType, SessionRejectReason
from fixsim.fix.message import Message
from fixsim.fix.validate import reject as rejection_for
from fixsim.session import answers, leaving, logon
from fixsim.session.conversation import (
    BEGIN_STRING,
    COMP_ID_PROBLEM,
    NO_MSG_SEQ_NUM,
    WRONG_BEGIN_STRING,
    Conversation,
    too_low,
)
from fixsim.session.events import Deliver, PeerRejected, SequenceReset
from fixsim.session.gap import DEALT_WITH
from fixsim.session.resend import ADMIN
from fixsim.session.states import Step
from fixsim.units import parse_utc_timestamp


def receive(talk: Conversation, message: Message, token: int, now_ns: int, fetched: bool) -> None:
    """A frame while logged on; `fetched` if it was kept as too early and its turn has come."""
    get = message.index.get  # most messages pass here: one look-up of the method instead of four
    number = message.get_int(tags.MSG_SEQ_NUM)
    if get(tags.BEGIN_STRING) != BEGIN_STRING:
        return leaving.expel(talk, message, WRONG_BEGIN_STRING, now_ns)
    if number is None:
        return leaving.cut_off(talk, NO_MSG_SEQ_NUM, now_ns)
    if not fetched:  # it was looked at when it came; its SendingTime may be old by now
        if not talk.names_us(message) and talk.names_others(message):
            return leaving.expel(talk, message, COMP_ID_PROBLEM, now_ns, SessionRejectReason.COMP_ID_PROBLEM)
        if talk.is_untimely(message, now_ns):
            return leaving.expel_for_time(talk, message, now_ns)
    msg_type = message.msg_type
    poss_dup = get(tags.POSS_DUP_FLAG) == b"Y"
    if msg_type in _UNNUMBERED:
        if msg_type == MsgType.LOGOUT:
            return leaving.take_logout(talk, message, number, now_ns)
        if msg_type == MsgType.SEQUENCE_RESET and get(tags.GAP_FILL_FLAG) != b"Y":
            return _take_reset(talk, message, now_ns)
        if msg_type == MsgType.LOGON and get(tags.RESET_SEQ_NUM_FLAG) == b"Y" and not poss_dup:
            return _take_restart(talk, message, number, now_ns)
    expected = talk.counters.next_in
    if number > expected:
        return _take_early(talk, message, number, token, poss_dup, now_ns)
    if poss_dup and not _knows_its_age(talk, message, number, now_ns):
        return None
    if number == expected:
        return _take_in_order(talk, message, number, token, poss_dup, now_ns)
    if not poss_dup:
        leaving.cut_off(talk, too_low(expected, number), now_ns)
    return None


#: They have a form in which MsgSeqNum(34) does not decide: Logout, SequenceReset-Reset, Logon with 141=Y.
_UNNUMBERED = frozenset((MsgType.LOGOUT, MsgType.SEQUENCE_RESET, MsgType.LOGON))


def _take_in_order(talk: Conversation, message: Message, number: int, token: int, poss_dup: bool, now_ns: int) -> None:
    """The message that was expected: it is counted, whether it is well made or not."""
    talk.counters.next_in = number + 1
    rejection = talk.validator(message)
    msg_type = message.msg_type
    if rejection is not None:
        talk.say(answers.reject(message, rejection), now_ns)
    elif msg_type not in ADMIN:
        talk.events.append(Deliver(message, token, poss_dup, message.get(tags.POSS_RESEND) == b"Y"))
    elif msg_type == MsgType.TEST_REQUEST:
        talk.say(answers.heartbeat_for(message), now_ns)
    elif msg_type == MsgType.RESEND_REQUEST:
        talk.serve(message, now_ns)
    elif msg_type == MsgType.SEQUENCE_RESET:
        _take_gap_fill(talk, message, number, now_ns)
    elif msg_type == MsgType.REJECT:
        talk.events.append(PeerRejected(message, token))
    elif msg_type == MsgType.LOGON and talk.role == "acceptor":
        _take_repeated_logon(talk, message, number, now_ns)
    talk.advance(now_ns)


def _take_early(talk: Conversation, message: Message, number: int, token: int, poss_dup: bool, now_ns: int) -> None:
    """A message beyond the expected one: kept unread, and what lies between is asked for.

    A ResendRequest is served at once: two sides that both miss something would else wait for each other.
    """
    if message.msg_type == MsgType.RESEND_REQUEST and talk.validator(message) is None:
        talk.serve(message, now_ns)
        talk.gap.keep(number, DEALT_WITH)
    else:
        talk.gap.keep(number, token)
    if talk.gap.must_ask(talk.counters.next_in, poss_dup) and not talk.is_restarting:
        talk.ask(number - 1, now_ns)


def _knows_its_age(talk: Conversation, message: Message, number: int, now_ns: int) -> bool:
    """Whether a PossDup message has an OrigSendingTime(122) that is not after its SendingTime(52).

    SequenceReset needs none: it is not a copy of anything.
    """
    if message.msg_type == MsgType.SEQUENCE_RESET:
        return True
    original = message.get(tags.ORIG_SENDING_TIME)
    if original is None:
        talk.count(number)
        missing = rejection_for(SessionRejectReason.REQUIRED_TAG_MISSING, tags.ORIG_SENDING_TIME)
        talk.say(answers.reject(message, missing), now_ns)
        talk.advance(now_ns)
        return False
    original_ns = parse_utc_timestamp(original)
    sending_ns = parse_utc_timestamp(message.get(tags.SENDING_TIME, b""))
    if original_ns is not None and sending_ns is not None and original_ns > sending_ns:
        leaving.expel_for_time(talk, message, now_ns)
        return False
    return True


def _take_gap_fill(talk: Conversation, message: Message, number: int, now_ns: int) -> None:
    """SequenceReset-GapFill in its turn: the numbers up to NewSeqNo(36) are not missed."""
    new_seq_no = message.get_int(tags.NEW_SEQ_NO)
    if new_seq_no is None or new_seq_no <= number:
        _reject_new_seq_no(talk, message, now_ns)
    else:
        talk.jump(new_seq_no)


def _take_reset(talk: Conversation, message: Message, now_ns: int) -> None:
    """SequenceReset-Reset: its own number does not count, and the expected one never goes back."""
    rejection = talk.validator(message)
    if rejection is not None:
        return talk.say(answers.reject(message, rejection), now_ns)
    expected = talk.counters.next_in
    new_seq_no = message.get_int(tags.NEW_SEQ_NO)
    if new_seq_no is None or new_seq_no < expected:
        _reject_new_seq_no(talk, message, now_ns)
    elif new_seq_no > expected:
        talk.jump(new_seq_no)
        talk.events.append(SequenceReset(run_reset=False))
        talk.advance(now_ns)
    return None


def _reject_new_seq_no(talk: Conversation, message: Message, now_ns: int) -> None:
    absent = tags.NEW_SEQ_NO not in message
    reason = SessionRejectReason.REQUIRED_TAG_MISSING if absent else SessionRejectReason.VALUE_IS_INCORRECT
    talk.say(answers.reject(message, rejection_for(reason, tags.NEW_SEQ_NO)), now_ns)


def _take_restart(talk: Conversation, message: Message, number: int, now_ns: int) -> None:
    """Logon with 141=Y: both sides restart (24-hour sessions), or the peer confirms that we did."""
    rejection = talk.validator(message)
    if rejection is not None:
        return talk.say(answers.reject(message, rejection), now_ns)
    try:
        terms = logon.read(message, talk.profile, number)
    except LogoutRequired as refusal:
        return leaving.cut_off(talk, refusal.text, now_ns)
    confirms = now_ns <= talk.own_reset_ns
    if not confirms:
        talk.restart()
    talk.counters.next_in = 2
    talk.gap.clear()
    talk.own_reset_ns, talk.reset_owed = 0, False
    talk.move(Step.NUMBERS_RESTARTED)
    talk.start_beating(terms.heartbeat_interval_s, now_ns)
    if not confirms:
        talk.say(logon.answer(message, terms, False, 2, talk.profile), now_ns)
    return None


def _take_repeated_logon(talk: Conversation, message: Message, number: int, now_ns: int) -> None:
    """Logon without 141 in a live conversation: answered again, and its HeartBtInt holds from now on."""
    try:
        terms = logon.read(message, talk.profile, number)
    except LogoutRequired as refusal:
        return leaving.say_logout(talk, refusal.text.encode(), now_ns)
    talk.start_beating(terms.heartbeat_interval_s, now_ns)
    return talk.say(logon.answer(message, terms, False, talk.counters.next_in, talk.profile), now_ns)
