"""What the tests of this room build on: profiles, frames of a peer, and owners that have logged on."""

from typing import Any

from conversations.core import Owner

from fixsim.fix import codec
from fixsim.session import SessionProfile, State
from fixsim.units import NS_PER_S, format_utc_timestamp


def profile(**settings: Any) -> SessionProfile:
    """The profile of a venue FIXSIM towards PEER."""
    return SessionProfile(b"FIXSIM", b"PEER", **settings)


def frame(owner: Owner, msg_type: bytes, number: int, *fields: tuple[int, bytes]) -> bytes:
    """A frame PEER says to `owner` now; a header field among `fields` replaces the usual one."""
    header = {
        49: owner.profile.target_comp_id,
        56: owner.profile.sender_comp_id,
        34: b"%d" % number,
        52: format_utc_timestamp(owner.now_ns, 3),
    }
    header.update((tag, value) for tag, value in fields if tag in (*header, 43, 97, 122))
    body = [field for field in fields if field[0] not in header]
    return codec.encode(msg_type, list(header.items()), body)


def say(owner: Owner, msg_type: bytes, number: int, *fields: tuple[int, bytes]) -> list[bytes]:
    """Let PEER say something; what `owner` says to it."""
    owner.out.clear()
    owner.feed(frame(owner, msg_type, number, *fields))
    return list(owner.out)


def order(owner: Owner, number: int, cl_ord_id: bytes = b"A", *fields: tuple[int, bytes]) -> list[bytes]:
    """A NewOrderSingle of PEER."""
    time = format_utc_timestamp(owner.now_ns, 3)
    body = ((11, cl_ord_id), (55, b"MSFT"), (54, b"1"), (60, time), (40, b"1"), (38, b"100"))
    return say(owner, b"D", number, *fields, *body)


def logged_on(heartbeat_interval_s: int = 30, **settings: Any) -> Owner:
    """An acceptor that has taken Logon 1 and said Logon 1."""
    owner = Owner(profile(**settings))
    owner.connect()
    say(owner, b"A", 1, (98, b"0"), (108, b"%d" % heartbeat_interval_s))
    assert owner.session.state is State.ACTIVE
    owner.out.clear()
    return owner


def seconds(owner: Owner, count: float) -> None:
    """Let time pass."""
    owner.tick_until(owner.now_ns + int(count * NS_PER_S))
