"""What a Session is given at birth: who speaks, under which limits, and where the sequence numbers are
kept.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["acceptor", "initiator"]


class Counters(Protocol):
    """The sequence numbers of one session and run. They have one owner, which is not the Session."""

    #: MsgSeqNum expected next from the peer, from 1.
    next_in: int
    #: MsgSeqNum of the next message we say, from 1.
    next_out: int


@dataclass(frozen=True)
class SessionProfile:
    """The configured side of one conversation. Durations are seconds, factors are multiples of
    HeartBtInt(108).
    """

    #: Our CompID: SenderCompID(49) of what we say.
    sender_comp_id: bytes
    #: The peer's CompID: SenderCompID(49) of what it says.
    target_comp_id: bytes
    #: How the validator was told to judge: strict, lenient or off. The Session itself does not look at it.
    strictness: str = "strict"
    #: Both counters restart at 1 on each accepted Logon, before its MsgSeqNum is looked at (acceptor).
    reset_on_logon: bool = False
    #: With reset_on_logon: the Logon answer says so by ResetSeqNumFlag(141)=Y.
    announce_reset: bool = False
    #: HeartBtInt(108) we accept; 0, no heartbeats at all, is only accepted with a minimum of 0.
    heartbeat_min_s: int = 0
    heartbeat_max_s: int = 3600
    #: HeartBtInt(108) we ask for (initiator).
    heartbeat_interval_s: int = 30
    #: How far SendingTime(52) may be from now; 0 switches the check off.
    sending_time_tolerance_s: float = 120.0
    #: The owner adds LastMsgSeqNumProcessed(369) to what it says.
    last_msg_seq_num_processed: bool = False
    #: Our Logon asks for the missing messages by NextExpectedMsgSeqNum(789) (initiator; an acceptor answers
    #: in kind).
    next_expected_msg_seq_num: bool = False
    #: MaxMessageSize(383) named in our Logon, bytes; 0 names none.
    max_message_size: int = 0
    #: How long a Logon, or the answer to ours, is waited for.
    logon_timeout_s: float = 10.0
    #: How long the answer to our Logout is waited for.
    logout_timeout_s: float = 2.0
    #: How long a gap may stand still until it is asked for again.
    resend_timeout_s: float = 30.0
    #: Most messages asked for by one ResendRequest; 0 asks for everything (16=0).
    resend_chunk: int = 0
    #: Most early messages kept while a gap is open; further ones are asked for again.
    early_messages_max: int = 10_000
    #: Silence after which TestRequest is said, and after which the peer is given up.
    test_request_after: float = 1.2
    disconnect_after: float = 2.4
