"""The venue's clock, shown and, where it is simulated, driven. Conversations keep their own time, the wall's.

A move stops at every instant at which the venue has something to do, in order, so that whoever is called finds the time he
asked for: the same instants give the same bytes, however they were reached.
"""

from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.operator.asked import Arguments
from fixsim.layout import NEVER
from fixsim.limits import VENUE_NS_MAX
from fixsim.units import format_utc_timestamp

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: Instants one command stops at; who wants to go further asks again, and the exchange turns in between.
INSTANTS_MAX: Final = 1_000


def show(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Venue time, and the next instant at which something is due."""
    next_ns = exchange.next_appointment_ns()
    return {
        "driven": bool(exchange.core["venue_ns"]),
        "venue_ns": exchange.venue_ns,
        "next_ns": None if next_ns == NEVER else next_ns,
    }


def advance(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Let `by_ns` pass."""
    by_ns = arguments.get("by_ns")
    if type(by_ns) is not int or by_ns < 1:
        raise UsageError(f"by_ns is {by_ns!r}: a number of nanoseconds above 0")
    return _move(exchange, exchange.venue_ns + by_ns)


def set_to(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Let time pass until `to_ns`."""
    to_ns = arguments.get("to_ns")
    if type(to_ns) is not int or to_ns < exchange.venue_ns:
        venue_time = format_utc_timestamp(exchange.venue_ns, 9).decode()
        raise UsageError(f"to_ns is {to_ns!r}: nanoseconds since 1970 UTC, not before venue time, which is {venue_time}")
    return _move(exchange, to_ns)


def move_to_next(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Let time pass until something is due, and do that."""
    return _move(exchange, max(exchange.venue_ns, exchange.next_appointment_ns()))


def _move(exchange: "Exchange", to_ns: int) -> dict[str, Any]:
    if not exchange.core["venue_ns"]:
        raise UsageError("the venue keeps the wall's time; start it with --clock simulated to drive it")
    if to_ns > VENUE_NS_MAX:
        raise UsageError("venue time ends with the year 2099")
    instants = 0
    while (due_ns := exchange.next_appointment_ns()) <= to_ns and instants < INSTANTS_MAX:
        exchange.make_room()
        exchange.drive(max(due_ns, exchange.venue_ns))
        exchange.keep_appointments()
        instants += 1
    reached = due_ns > to_ns
    if reached:
        exchange.drive(to_ns)
    return {"reached": reached, "instants": instants, **show(exchange, {})}
