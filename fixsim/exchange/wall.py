"""What is due by venue time, as the wall shows it: a gateway waits for nothing else."""

from typing import TYPE_CHECKING

from fixsim.layout import NEVER

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def shows_ns(exchange: "Exchange", at_ns: int) -> int:
    """What the wall shows when it is `at_ns` at the venue: now for what a driven clock has reached, NEVER for the rest."""
    standing_ns = int(exchange.core["venue_ns"])
    if not standing_ns:
        return at_ns
    return exchange.tape.now_ns if at_ns <= standing_ns else NEVER


def next_glance_ns(exchange: "Exchange") -> int:
    """When `Exchange.next_deadline_ns` must be asked again though only the fast door has worked: a trade may bring it forward.

    On the wall prices may be looked at a whole interval late; a clock that stands would make that for ever.
    """
    if not exchange.risk.values_positions:
        return NEVER
    if exchange.core["venue_ns"]:
        return shows_ns(exchange, exchange.guard.ripe_ns())
    return exchange.tape.now_ns + exchange.guard.interval_ns()
