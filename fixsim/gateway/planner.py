"""Schedules are planned some weeks ahead; a venue that runs for longer is told of the weeks that follow."""

from typing import Final

from fixsim.config.schedules import AHEAD_DAYS, plan
from fixsim.exchange.exchange import Exchange
from fixsim.units import NS_PER_DAY

#: A plan is made anew when half of it is used up.
RENEW_NS: Final = AHEAD_DAYS * NS_PER_DAY // 2


def renew_plan(exchange: Exchange, now_ns: int) -> None:
    """Record the coming changes of all schedules when too few are known."""
    if exchange.config.schedules and exchange.venue_ns - exchange.phases.calendar.planned_ns > RENEW_NS:
        exchange.command("calendar", {"changes": plan(exchange.config.schedules, exchange.venue_ns)}, "exchange", now_ns)
