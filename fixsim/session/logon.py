"""Logon(A), read and written (FIX 4.4 volume 2, Logon; volume 2, NextExpectedMsgSeqNum)."""

from dataclasses import dataclass

from fixsim.errors import LogoutRequired
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message
from fixsim.session.answers import way_back
from fixsim.session.events import Fields, Say
from fixsim.session.profile import SessionProfile


@dataclass(frozen=True, slots=True)
class Terms:
    """What a Logon proposes."""

    heartbeat_interval_s: int
    #: ResetSeqNumFlag(141)=Y: both sides restart at 1, this Logon being the peer's first message.
    reset: bool
    #: NextExpectedMsgSeqNum(789): the next of our numbers the peer waits for; None when it does not say.
    next_expected: int | None


def read(message: Message, profile: SessionProfile, number: int) -> Terms:
    """The terms of the Logon `message` with MsgSeqNum `number`.

    Raises LogoutRequired when they are not acceptable; its text is for the peer.
    """
    interval_s = message.get_int(tags.HEART_BT_INT)
    if interval_s is None:
        raise LogoutRequired("HeartBtInt(108) is missing or not a number")
    if not profile.heartbeat_min_s <= interval_s <= profile.heartbeat_max_s:
        raise LogoutRequired(
            f"HeartBtInt(108)={interval_s} is not accepted, it must be from"
            f" {profile.heartbeat_min_s} to {profile.heartbeat_max_s} seconds"
        )
    if message.get(tags.ENCRYPT_METHOD, b"0") != b"0":
        raise LogoutRequired("EncryptMethod(98) must be 0, messages are not encrypted here")
    reset = message.get(tags.RESET_SEQ_NUM_FLAG) == b"Y"
    if reset and number != 1:
        raise LogoutRequired(f"MsgSeqNum must be 1 in a Logon with ResetSeqNumFlag(141)=Y, but is {number}")
    return Terms(interval_s, reset, message.get_int(tags.NEXT_EXPECTED_MSG_SEQ_NUM))


def _body(interval_s: int, reset: bool, next_expected: int | None, profile: SessionProfile) -> Fields:
    body: Fields = ((tags.ENCRYPT_METHOD, b"0"), (tags.HEART_BT_INT, b"%d" % interval_s))
    if reset:
        body += ((tags.RESET_SEQ_NUM_FLAG, b"Y"),)
    if profile.max_message_size > 0:
        body += ((tags.MAX_MESSAGE_SIZE, b"%d" % profile.max_message_size),)
    if next_expected is not None:
        body += ((tags.NEXT_EXPECTED_MSG_SEQ_NUM, b"%d" % next_expected),)
    return body


def answer(message: Message, terms: Terms, announce_reset: bool, next_in: int, profile: SessionProfile) -> Say:
    """The Logon that answers `message`: its HeartBtInt, 141=Y when both sides restart, 789 when it used
    789.
    """
    next_expected = next_in if terms.next_expected is not None else None
    body = _body(terms.heartbeat_interval_s, terms.reset or announce_reset, next_expected, profile)
    return Say(MsgType.LOGON, body, way_back(message))


def request(profile: SessionProfile, reset: bool, next_in: int, fields: Fields) -> Say:
    """The Logon that opens a conversation; `fields` (553, 554, ...) come after what the session itself
    says.
    """
    next_expected = next_in if profile.next_expected_msg_seq_num else None
    return Say(MsgType.LOGON, _body(profile.heartbeat_interval_s, reset, next_expected, profile) + fields)
