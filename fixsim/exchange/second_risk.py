"""Limits of an exchange whose orders are the oracle's: it knows who is connected and what is switched off, the oracle the rest.

What would be looked up in the tables of orders and owners, wherever `exchange.guard` and `gate` do so, is asked of the oracle.
"""

from typing import Any

from fixsim.config import Config
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import Member
from fixsim.layout import NEVER
from fixsim.reference.exchange import ReferenceExchange
from fixsim.units import utc_day


class SecondRisk:
    """Stands between one exchange and one oracle."""

    def __init__(self, exchange: Exchange, oracle: ReferenceExchange) -> None:
        self.exchange, self.oracle = exchange, oracle
        guard: Any = exchange.guard
        self._adopt, self._came_back, self._rate_action = guard.adopt, guard.came_back, exchange.gate.rate_action
        self._turn_on, self._turn_off = guard.turn_on, guard.turn_off
        guard.adopt, guard.came_back = self.adopt, self.came_back
        guard.turn_on, guard.turn_off = self.turn_on, self.turn_off
        guard.orders_of = lambda scope, name: []
        guard.has_open = lambda member: any(order.session == _name(member) for order in oracle.open.values())
        guard.marks_ns, guard.due = self.marks_ns, self.due
        gate: Any = exchange.gate
        gate.rate_action = self.rate_action

    def adopt(self, config: Config) -> None:
        """Another configuration: the oracle has its limits."""
        self._adopt(config)
        risk = self.oracle.risk
        risk.mark_interval_ns = config.risk.mark_interval_ms * 1_000_000
        risk.money_decimals = config.risk.money_decimals
        risk.day = self.exchange.guard.day
        rates = {entry.currency: entry.rate for entry in config.rates}
        self._tell_firms()
        limits = config.limits if config.risk.checks else ()
        risk.adopt(limits, risk.firms, rates, self.oracle.open.values(), currency=config.risk.currency)

    def came_back(self, member: Member) -> None:
        """A session connects: the oracle knows its firm."""
        self._came_back(member)
        self._tell_firms()

    def _tell_firms(self) -> None:
        members = self.exchange.members.by_name.values()
        self.oracle.risk.firms = {_name(member): firm for member in members if (firm := member.counterparty.firm) is not None}

    def turn_on(self, scope: str, name: str) -> int:
        """A kill switch: what rests is the oracle's."""
        self._turn_on(scope, name)
        return len(self.oracle.kill(scope, name, self.exchange.venue_ns))

    def turn_off(self, scope: str, name: str) -> bool:
        """It is lifted."""
        self.oracle.unkill(scope, name)
        return bool(self._turn_off(scope, name))

    def marks_ns(self) -> int:
        """When positions are valued anew."""
        venue_ns = self.exchange.venue_ns
        return venue_ns if self.oracle.risk.is_due(self.oracle.books, venue_ns) else NEVER

    def due(self, venue_ns: int) -> None:
        """The day, the marks, and sessions that did not come back."""
        guard = self.exchange.guard
        guard.day = max(guard.day, utc_day(venue_ns))
        self.oracle.look_at_risk(venue_ns)
        for slot, (at_ns, reason) in sorted(guard.away.items()):
            if at_ns <= venue_ns:
                del guard.away[slot]
                member = self.exchange.members.by_slot[slot]
                keeps_gtc = member.counterparty.cancel_keeps_gtc
                self.oracle.gone(_name(member), venue_ns, b"%d" % reason, keeps_gtc=keeps_gtc)

    def rate_action(self, member: Member) -> str | None:
        """What is refused because of its rate is refused by the oracle."""
        action = self._rate_action(member)
        return None if action == "reject" else action


def _name(member: Member) -> str:
    return member.name.decode("latin-1")
