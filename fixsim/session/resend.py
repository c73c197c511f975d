"""ResendRequest(2): what it asks for, and how the answer is laid out (FIX 4.4 volume 2, message recovery)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fixsim.errors import SessionRejection
from fixsim.fix import tags
from fixsim.fix.enums import MsgType, SessionRejectReason
from fixsim.fix.message import Message
from fixsim.fix.validate import reject

#: MsgTypes that are never said again: a GapFill takes their place. Reject(3) is one of them, as in QuickFIX.
ADMIN: Final = frozenset(
    (
        MsgType.HEARTBEAT,
        MsgType.TEST_REQUEST,
        MsgType.RESEND_REQUEST,
        MsgType.REJECT,
        MsgType.SEQUENCE_RESET,
        MsgType.LOGOUT,
        MsgType.LOGON,
    )
)


def requested_range(message: Message, last_said: int) -> tuple[int, int] | SessionRejection:
    """First and last number a ResendRequest asks for, cut at `last_said`; or why it cannot be served.

    EndSeqNo(16) = 0 means everything from BeginSeqNo(7) on, which is nothing (an end below the begin) for a
    peer that has everything. Numbers beyond that were never said and are refused: a GapFill would use up what
    messages will carry.
    """
    begin, end = message.get_int(tags.BEGIN_SEQ_NO), message.get_int(tags.END_SEQ_NO)
    if begin is None:
        return reject(SessionRejectReason.REQUIRED_TAG_MISSING, tags.BEGIN_SEQ_NO)
    if end is None:
        return reject(SessionRejectReason.REQUIRED_TAG_MISSING, tags.END_SEQ_NO)
    if not 1 <= begin <= last_said + 1:
        return reject(SessionRejectReason.VALUE_IS_INCORRECT, tags.BEGIN_SEQ_NO)
    if end != 0 and end < begin:
        return reject(SessionRejectReason.VALUE_IS_INCORRECT, tags.END_SEQ_NO)
    return begin, last_said if end == 0 else min(end, last_said)


@dataclass(frozen=True, slots=True)
class Again:
    """Say the stored message `number` again: 43=Y, 122 = its SendingTime(52), a new 52, the same body."""

    number: int


@dataclass(frozen=True, slots=True)
class Fill:
    """Say SequenceReset(4) 43=Y 123=Y with MsgSeqNum(34) = `number` and NewSeqNo(36) = `new_seq_no`."""

    number: int
    new_seq_no: int


def plan(begin: int, end: int, msg_type_of: Callable[[int], bytes | None]) -> Iterator[Again | Fill]:
    """The answer to a request for `begin` to `end`, in order: every number is covered exactly once.

    `msg_type_of` gives the MsgType(35) of a stored message, None where nothing is stored; such numbers are
    filled like those of administrative messages, one Fill for each run.
    """
    fill_from = begin
    for number in range(begin, end + 1):
        msg_type = msg_type_of(number)
        if msg_type is None or msg_type in ADMIN:
            continue
        if fill_from < number:
            yield Fill(fill_from, number)
        yield Again(number)
        fill_from = number + 1
    if fill_from <= end:
        yield Fill(fill_from, end + 1)
