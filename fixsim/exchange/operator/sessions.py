"""Sessions, shown and repaired."""

from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.members import Member
from fixsim.exchange.operator.asked import Arguments, member_of
from fixsim.session import State

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def _describe(member: Member) -> dict[str, Any]:
    row = member.row
    return {
        "session": member.name.decode("latin-1"),
        "state": member.session.state.name,
        "connected": member.session.state is not State.DISCONNECTED,
        "next_in": int(row["next_in"]),
        "next_out": int(row["next_out"]),
        "run": int(row["run"]),
        "open_orders": int(row["open_orders"]),
    }


def show(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """State and sequence numbers of one session, or of all."""
    if arguments.get("session"):
        return {"sessions": [_describe(member_of(exchange, arguments))]}
    return {"sessions": [_describe(member) for member in exchange.members.by_name.values()]}


def reset(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Both sequence numbers of a session that is offline restart at 1: a new run."""
    member = _offline(exchange, arguments)
    member.restart(exchange.tape.now_ns)
    return {"sessions": [_describe(member)]}


def set_next(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Set the next MsgSeqNum expected, said, or both, of a session that is offline."""
    member = _offline(exchange, arguments)
    chosen = {field: arguments.get(key) for field, key in (("next_in", "in"), ("next_out", "out"))}
    for value in chosen.values():
        if value is not None and (type(value) is not int or not 1 <= value < 1 << 31):
            raise UsageError(f"{value!r} is no MsgSeqNum")
    if chosen["next_out"] is not None and chosen["next_out"] < member.row["next_out"]:
        # what was said under those numbers stays in the run that ends here
        member.row["run"] += 1
    for field, value in chosen.items():
        if value is not None:
            member.row[field] = value
    member.session.renumbered(exchange.tape.now_ns)
    return {"sessions": [_describe(member)]}


def _offline(exchange: "Exchange", arguments: Arguments) -> Member:
    member = member_of(exchange, arguments)
    if member.link:
        raise UsageError(f"session {member.name.decode('latin-1')} is connected; disconnect it first")
    return member


def disconnect(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Logout to one session, which counts as a lost connection."""
    member = member_of(exchange, arguments)
    if not member.is_connected:
        raise UsageError(f"session {member.name.decode('latin-1')} is not connected")
    exchange.log_out(member, str(arguments.get("text") or "Disconnected by the operator"), put_out=True)
    return {"sessions": [_describe(member)]}


def shutdown(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Logout to every session."""
    connected = [member for _, member in sorted(exchange.links.items()) if member.is_connected]
    for member in connected:
        exchange.log_out(member, str(arguments.get("text") or ""))
    return {"sessions": [_describe(member) for member in connected]}
