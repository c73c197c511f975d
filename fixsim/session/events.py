"""What a Session asks of its owner. Events are carried out in the order they come, before the next verb is
called.

The owner holds what a Session does not: the sequence numbers, the stored messages, the clock and the
transport.
"""

from dataclasses import dataclass

from fixsim.fix.message import Message

Fields = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Say this session message: give it MsgSeqNum(34) = next_out, count next_out up, add the rest of the
    header, write it.

    `route` goes into the header (50, 57, 115, 116, 128, 129, 142 to 145), `body` after it, both in this
    order.
    """

    msg_type: bytes
    body: Fields = ()
    route: Fields = ()


@dataclass(frozen=True, slots=True)
class Deliver:
    """An application message, in sequence and valid. `poss_resend` is PossResend(97): maybe seen under
    another number.
    """

    message: Message
    token: int
    poss_dup: bool
    poss_resend: bool


@dataclass(frozen=True, slots=True)
class PeerRejected:
    """The peer refused one of our messages by Reject(3): 45 names it, 58 says why. Nothing has to be
    answered.
    """

    message: Message
    token: int


@dataclass(frozen=True, slots=True)
class FetchEarly:
    """A message that came too early is now due: fetch the frame kept under `token` and `receive` it again
    with that token.

    Always the last event of its turn; no other frame may be received in between.
    """

    token: int


@dataclass(frozen=True, slots=True)
class Resend:
    """Say the stored messages `begin` to `end` (both included, all of them already said) again, as
    `resend.plan` lays out.
    """

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class SequenceReset:
    """The inbound counter jumped. `run_reset`: both counters restarted at 1, so what was stored belongs to
    an ended run.
    """

    run_reset: bool


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """Both sides are logged on; application messages may be said."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """The conversation that LoggedOn began is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the transport once everything said so far is out."""

    reason: str
    #: Both sides have said Logout.
    logged_out: bool = False


Event = Say | Deliver | PeerRejected | FetchEarly | Resend | SequenceReset | LoggedOn | LoggedOut | Disconnect
