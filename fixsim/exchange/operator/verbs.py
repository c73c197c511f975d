"""Every verb by the name under which it is asked for and recorded."""

from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.operator import books, clock, journal, news, orders, risk, sessions, trades
from fixsim.exchange.operator.asked import Arguments, Verb

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

VERBS: Final[dict[str, Verb]] = {
    "sessions.show": sessions.show,
    "sessions.reset": sessions.reset,
    "sessions.set-next": sessions.set_next,
    "sessions.disconnect": sessions.disconnect,
    "cancel-all": orders.cancel_all,
    "announce": news.announce,
    "bust": trades.bust,
    "correct": trades.correct,
    "shutdown": sessions.shutdown,
    "clock.show": clock.show,
    "clock.advance": clock.advance,
    "clock.set": clock.set_to,
    "clock.next": clock.move_to_next,
    "kill": risk.kill,
    "limits.show": risk.limits_show,
    "limits.reset": risk.limits_reset,
    "book": books.book,
    "halt": books.halt,
    "resume": books.resume,
    "phase": books.phase,
    "calendar": books.calendar,
    "journal.retire": journal.retire,
}


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
