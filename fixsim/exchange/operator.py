"""What an operator may ask: one function per verb. Arguments come from a journal record, live or replayed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.market import levels
from fixsim.exchange.members import Member
from fixsim.layout import Phase
from fixsim.session import State
from fixsim.units import format_decimal

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

Arguments = dict[str, Any]


def carry_out(exchange: "Exchange", verb: str, arguments: Arguments) -> dict[str, Any]:
    """Carry out `verb`; the answer has `ok`, and `error` when it is false. Nothing has changed then."""
    action = VERBS.get(verb)
    if action is None:
        return {"ok": False, "error": f"unknown command {verb!r}"}
    if any(map(_is_unsayable, arguments.values())):
        return {"ok": False, "error": "an argument holds characters that cannot be said in FIX"}
    try:
        return {"ok": True, **action(exchange, arguments)}
    except UsageError as error:
        return {"ok": False, "error": str(error)}


def _is_unsayable(value: Any) -> bool:
    """Whether a text cannot travel in a FIX field: the delimiter, other control characters, half of a character."""
    return isinstance(value, str) and any(ord(char) < 32 or "\ud800" <= char <= "\udfff" for char in value)


def _member(exchange: "Exchange", arguments: Arguments) -> Member:
    name = str(arguments.get("session", ""))
    member = exchange.members.find(name.encode())
    if member is None:
        raise UsageError(f"unknown session {name!r}")
    return member


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


def sessions_show(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """State and sequence numbers of one session, or of all."""
    if arguments.get("session"):
        return {"sessions": [_describe(_member(exchange, arguments))]}
    return {"sessions": [_describe(member) for member in exchange.members.by_name.values()]}


def sessions_reset(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Both sequence numbers of a session that is offline restart at 1: a new run."""
    member = _offline(exchange, arguments)
    member.restart(exchange.tape.now_ns)
    return {"sessions": [_describe(member)]}


def sessions_set_next(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
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
    member = _member(exchange, arguments)
    if member.link:
        raise UsageError(f"session {member.name.decode('latin-1')} is connected; disconnect it first")
    return member


def sessions_disconnect(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Logout to one session."""
    member = _member(exchange, arguments)
    if not member.is_connected:
        raise UsageError(f"session {member.name.decode('latin-1')} is not connected")
    exchange.log_out(member, str(arguments.get("text") or "Disconnected by the operator"))
    return {"sessions": [_describe(member)]}


def shutdown(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Logout to every session."""
    connected = [member for _, member in sorted(exchange.links.items()) if member.is_connected]
    for member in connected:
        exchange.log_out(member, str(arguments.get("text") or ""))
    return {"sessions": [_describe(member) for member in connected]}


def book(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Levels of one instrument, best first."""
    symbol = str(arguments.get("symbol", ""))
    listing = exchange.listings.find(symbol.encode())
    if listing is None:
        raise UsageError(f"unknown symbol {symbol!r}")
    depth = arguments.get("depth", 10)
    if not isinstance(depth, int) or depth < 1:
        raise UsageError(f"{depth!r} is no number of levels")
    row = exchange.machine.books[listing.book]

    def price(ticks: int) -> str:
        return format_decimal(ticks * listing.tick_mantissa, listing.price_decimals).decode()

    def quantity(lots: int) -> str:
        return format_decimal(lots * listing.lot_mantissa, listing.qty_decimals).decode()

    def side(number: int) -> list[dict[str, Any]]:
        found = []
        for level in levels(exchange.machine, listing.book, number):
            found.append({"price": price(level.price), "quantity": quantity(level.lots), "orders": level.orders})
            if len(found) == depth:
                break
        return found

    last = None
    if row["last_lots"]:
        last = {"price": price(int(row["last_price"])), "quantity": quantity(int(row["last_lots"]))}
    return {"symbol": symbol, "halted": bool(row["phase"] == Phase.HALTED), "bids": side(0), "asks": side(1), "last": last}


def _set_halted(exchange: "Exchange", arguments: Arguments, halted: bool) -> dict[str, Any]:
    symbol = str(arguments.get("symbol", ""))
    listing = exchange.listings.find(symbol.encode())
    if listing is None:
        raise UsageError(f"unknown symbol {symbol!r}")
    exchange.machine.books[listing.book]["phase"] = Phase.HALTED if halted else Phase.CONTINUOUS
    return {"symbol": symbol, "halted": halted}


def halt(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Refuse new orders and replaces of an instrument; cancels go on."""
    return _set_halted(exchange, arguments, True)


def resume(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """End a halt."""
    return _set_halted(exchange, arguments, False)


VERBS: Final[dict[str, Callable[["Exchange", Arguments], dict[str, Any]]]] = {
    "sessions.show": sessions_show,
    "sessions.reset": sessions_reset,
    "sessions.set-next": sessions_set_next,
    "sessions.disconnect": sessions_disconnect,
    "shutdown": shutdown,
    "book": book,
    "halt": halt,
    "resume": resume,
}
