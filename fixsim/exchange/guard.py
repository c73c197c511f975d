"""Who may not trade any more, and what is taken out of the books because of it: kill switch, lost connections, a day's losses.

A kill switch blocks new orders and replaces of whom it names and cancels what rests of them; cancels go through, and only
an explicit reset lifts it. While any is on, all frames take the slow door. A source of the agenda: marks, the day, and
sessions that did not come back in time.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fixsim.config import Config
from fixsim.engine.book import withdraw
from fixsim.exchange.members import Member
from fixsim.exchange.risk import SCOPES, Risk, account_text
from fixsim.layout import NEVER, NIL
from fixsim.units import NS_PER_DAY, NS_PER_MS, NS_PER_S, utc_day

#: Whom a kill switch may name; `all` has no name.
KILLED: Final = ("session", "firm", "account", "symbol", "all")
#: ExecRestatementReason(378).
SYSTEM_FAILURE: Final = 7
EXCHANGE_OPTION: Final = 8
GOOD_TILL_CANCEL: Final = ord("1")


class Guard:
    """The switches, and what pulls orders."""

    def __init__(self, risk: Risk, make_room: Callable[[], None]) -> None:
        self.risk = risk
        self.machine = risk.machine
        self.make_room = make_room
        #: Kill switches that are on: (scope, name), in the order they were turned.
        self.switches: tuple[tuple[str, str], ...] = ()
        #: Sessions that are gone and whose orders will be: when, ns, and with which reason (378), by SESSION row.
        self.away: dict[int, tuple[int, int]] = {}
        #: The day of the sums, days since 1970.
        self.day = 0
        risk.members.may_forget = risk.may_forget
        risk.members.renamed = risk.rename

    def adopt(self, config: Config) -> None:
        """Take a changed configuration."""
        self.risk.adopt(config)
        if self.day == 0:
            self.day = int(self.risk.core["day"])

    # ---- what is due

    def next_ns(self) -> int:
        """Venue time of the next day, of the next look at marks, of the next session that has been away too long."""
        away = min((at_ns for at_ns, _ in self.away.values()), default=NEVER)
        return min((self.day + 1) * NS_PER_DAY, away, self.marks_ns())

    def due(self, venue_ns: int) -> None:
        """Do what is due."""
        if utc_day(venue_ns) > self.day:
            self.day = utc_day(venue_ns)
            self.risk.new_day()
        if self.marks_ns() <= venue_ns:
            self._mark(venue_ns)
        for slot, (at_ns, reason) in sorted(self.away.items()):
            if at_ns <= venue_ns:
                self._cancel_of(self.risk.members.by_slot[slot], reason)

    def _moved(self) -> Any:
        """Which instruments have another last price than mark."""
        books = self.machine.books[: len(self.risk.listings.by_symbol)]
        return (books["last_price"] != 0) & (np.minimum(books["last_price"], books["mark_max"]) != books["mark"])

    def marks_ns(self) -> int:
        """When positions are valued anew: an interval after the last time, once a price has moved."""
        ripe_ns = self.ripe_ns()
        return ripe_ns if ripe_ns != NEVER and self._moved().any() else NEVER

    def ripe_ns(self) -> int:
        """Venue time from which on the next price that moves is looked at at once, NEVER while nothing is valued."""
        return self.risk.marked_ns + self.interval_ns() if self.risk.values_positions else NEVER

    def interval_ns(self) -> int:
        """How long prices may move before they are looked at."""
        return self.risk.config.risk.mark_interval_ms * NS_PER_MS

    def _mark(self, venue_ns: int) -> None:
        """Value positions at the last trades; who has lost too much today is stopped."""
        books = self.machine.books[: len(self.risk.listings.by_symbol)]
        moved = self._moved()
        books["mark"][moved] = np.minimum(books["last_price"], books["mark_max"])[moved]
        self.risk.marked_ns = venue_ns
        self.risk.revalue()
        owners: Any = self.machine.owners[: int(self.risk.core["owners_fresh"])]
        lost = owners["opening"] + owners["spent"] - owners["net"] > owners["loss_max"]
        stopped = np.nonzero(lost & (owners["stopped"] == 0))[0]
        owners["stopped"][stopped] = 1
        for scope, name in sorted(self.risk.names[int(owner)] for owner in stopped):
            self.pull(self.orders_of(SCOPES[scope], name), EXCHANGE_OPTION)

    # ---- the kill switch

    def turn_on(self, scope: str, name: str) -> int:
        """Block whom this names and cancel what rests of them; how many orders that were."""
        if (scope, name) not in self.switches:
            self.switches = (*self.switches, (scope, name))
        return self.pull(self.orders_of(scope, name), EXCHANGE_OPTION)

    def turn_off(self, scope: str, name: str) -> bool:
        """Lift one switch; False when it is not on."""
        was_on = (scope, name) in self.switches
        self.switches = tuple(switch for switch in self.switches if switch != (scope, name))
        return was_on

    def stands_against(self, member: Member, account: bytes | None, symbol: str) -> str | None:
        """The scope of the first switch that blocks an order, None for none."""
        if not self.switches:
            return None
        names = {
            "session": member.name.decode("latin-1"), "firm": member.counterparty.firm or "", "symbol": symbol, "all": "",
            "account": (account or b"").decode("latin-1"),
        }  # fmt: skip
        return next((scope for scope, name in self.switches if names[scope] == name and (name or scope == "all")), None)

    # ---- pulling

    def pull(self, slots: list[int], reason: int) -> int:
        """Cancel open orders, oldest first, with `reason` as ExecRestatementReason(378); how many."""
        for slot in slots:
            self.make_room()
            withdraw(self.machine, slot, reason)
        return len(slots)

    def orders_of(self, scope: str, name: str) -> list[int]:
        """ORDER rows of whom a switch or an owner names, oldest first."""
        used: Any = self.machine.orders[: int(self.risk.core["orders_fresh"])]
        slots = np.nonzero((used["level"] != NIL) & (used["names"] > 0))[0]
        found = [int(slot) for slot in slots if self._is_of(used[slot], scope, name)]
        return sorted(found, key=lambda slot: int(used[slot]["order_id"]))

    def _is_of(self, row: Any, scope: str, name: str) -> bool:
        if scope in ("symbol", "instrument"):
            book = self.machine.books[int(row["book"])]
            return bool(book["symbol"][: book["symbol_length"]].tobytes() == name.encode())
        if scope == "account":
            echo = int(row["echo"])
            return echo != NIL and account_text(self.machine.echoes[echo]).decode("latin-1") == name
        member = self.risk.members.by_slot[int(row["session"])]
        if scope == "session":
            return member.name.decode("latin-1") == name
        return scope == "all" or member.counterparty.firm == name

    # ---- who leaves

    def left(self, member: Member, venue_ns: int) -> None:
        """A session has no connection any more."""
        logged_out = member.logged_out and not member.put_out
        member.logged_out = member.put_out = False
        wanted = member.counterparty.cancel_on_logout if logged_out else member.counterparty.cancel_on_disconnect
        if wanted and self.has_open(member):
            at_ns = venue_ns + int(member.counterparty.cancel_grace_s * NS_PER_S)
            self.away[member.slot] = at_ns, EXCHANGE_OPTION if logged_out else SYSTEM_FAILURE

    def has_open(self, member: Member) -> bool:
        """Has the session any open order?"""
        return bool(member.row["open_orders"])

    def came_back(self, member: Member) -> None:
        """A session connects again."""
        self.away.pop(member.slot, None)
        self.risk.welcome(member)

    def _cancel_of(self, member: Member, reason: int) -> None:
        """A session did not come back in time."""
        del self.away[member.slot]
        slots = self.orders_of("session", member.name.decode("latin-1"))
        if member.counterparty.cancel_keeps_gtc:
            slots = [slot for slot in slots if int(self.machine.orders[slot]["tif"]) != GOOD_TILL_CANCEL]
        self.pull(slots, reason)
