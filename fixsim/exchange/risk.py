"""Limits of the configuration become OWNER, HOLDING and PARTY rows, which the kernels look at and keep up to date.

An owner is a session, a firm, an account or an instrument with a name. Its row is made when it is first needed and keeps its
sums while limits change around it. A party is what answers for an order: session, account and instrument. Rows for an order
that is refused are given up again, so that a refusal leaves nothing behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import numpy as np

from fixsim.config import Config, Limits
from fixsim.config.risk import HELD, MONEY, fits, money_factor, position_cap_lots, price_cap_ticks
from fixsim.engine.machine import Machine
from fixsim.engine.parties import index_party
from fixsim.engine.risk import TOKEN
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.members import Member, Members
from fixsim.layout import LIMITLESS, NIL, OWNERS_EACH, Scope
from fixsim.limits import MONEY_MAX
from fixsim.units import NS_PER_MS

#: Words of the configuration for each Scope.
SCOPES: Final = ("session", "firm", "account", "instrument")
#: Sums of an OWNER row that begin anew when somebody else gets it.
SUMS: Final = (
    "open_orders", "open_buy", "open_sell", "net", "gross", "spent", "opening", "order_tokens", "order_ns", "message_tokens",
    "message_ns", "requests", "trades", "stopped",
)  # fmt: skip
#: Limits of an OWNER row that are amounts of money, by the key of the configuration.
AMOUNTS: Final = {
    "open_notional_max": "open_notional_max", "gross_max": "gross_max", "net_max": "net_max", "credit_max": "credit_max",
    "daily_loss_max": "loss_max",
}  # fmt: skip
BPS: Final = 10_000


@dataclass
class Risk:
    """All owners and parties of one machine."""

    config: Config
    machine: Machine
    listings: Listings
    members: Members
    #: (Scope, name) of each OWNER row, by row.
    names: dict[int, tuple[int, str]] = field(default_factory=dict)
    #: When positions were valued last, ns.
    marked_ns: int = 0

    def __post_init__(self) -> None:
        self.core: Any = self.machine.core[0]
        self.rows: dict[tuple[int, str], int] = {}
        self.holdings: dict[tuple[int, int], int] = {}
        self.parties: dict[tuple[int, int, int], int] = {}

    @property
    def armed(self) -> bool:
        """Does any limit look at anybody?"""
        return self.config.risk.checks and bool(self.config.limits)

    @property
    def values_positions(self) -> bool:
        """Does any limit need positions?"""
        return self.armed and any(getattr(entry, key) is not None for entry in self.config.limits for key in HELD)

    # ---- who there is

    def limits_of(self, owner: int) -> Limits | None:
        """The configured limits of an OWNER row."""
        scope, name = self.names[owner]
        return self.config.limits_for(SCOPES[scope], name)

    def welcome(self, member: Member) -> None:
        """A session is known: it has an OWNER row while anybody is limited."""
        name = (Scope.SESSION, member.name.decode("latin-1"))
        member.row["risk"] = self._owner(*name) if self.armed else NIL

    def may_forget(self, member: Member) -> bool:
        """May the row of an idle session become somebody else's? Not while it holds a position or is stopped."""
        owner = self.rows.get((Scope.SESSION, member.name.decode("latin-1")))
        if owner is None:
            return True
        held = self._held()
        return not self.machine.owners[owner]["stopped"] and not (held["position"][held["owner"] == owner] != 0).any()

    def rename(self, before: bytes, after: bytes) -> None:
        """The row of a session that is forgotten becomes another's, which begins with nothing."""
        owner = self.rows.pop((Scope.SESSION, before.decode("latin-1")), None)
        known = self.rows.get((Scope.SESSION, after.decode("latin-1")))
        if owner is None or known is not None:
            return
        self.names[owner] = (Scope.SESSION, after.decode("latin-1"))
        self.rows[self.names[owner]] = owner
        self._set_limits(owner, begins=True)
        by_book = {listing.book: listing for listing in self.listings.by_symbol.values()}
        for (session, _, book), party in self.parties.items():
            if session == owner:
                self._fold(party, by_book[book])

    def account_owner(self, account: bytes | None) -> int:
        """OWNER row of an Account(1), NIL when no limit looks at it."""
        return self.rows.get((Scope.ACCOUNT, (account or b"").decode("latin-1")), NIL) if account and self.armed else NIL

    def has_room(self) -> bool:
        """Is there room for another session's, firm's and account's row, and another party?"""
        sessions = len(self.machine.sessions) - sum(scope == Scope.SESSION for scope, _ in self.names.values())
        owners = int(self.core["owners_fresh"]) + sessions + OWNERS_EACH <= len(self.machine.owners)
        holdings = int(self.core["holdings_fresh"]) + OWNERS_EACH <= len(self.machine.holdings)
        return owners and holdings and int(self.core["parties_fresh"]) < len(self.machine.parties)

    def _owner(self, scope: int, name: str) -> int:
        """OWNER row of somebody, made if there is none; the caller made sure of room."""
        known = self.rows.get((scope, name))
        if known is not None:
            return known
        owner = int(self.core["owners_fresh"])
        self.core["owners_fresh"] = owner + 1
        self.names[owner] = scope, name
        self.rows[scope, name] = owner
        self._set_limits(owner, begins=True)
        return owner

    def _set_limits(self, owner: int, *, begins: bool = False) -> None:
        """Write the configured limits of an OWNER row; one that begins has full buckets and nothing else."""
        row, limits = self.machine.owners[owner], self.limits_of(owner)
        if begins:
            for name in SUMS:
                row[name] = 0
        row["scope"] = self.names[owner][0]
        for name in ("open_orders_max", "gross_max", "net_max", "credit_max", "loss_max"):
            row[name] = LIMITLESS
        row["open_notional_max"] = MONEY_MAX
        for name in ("order_rate", "message_rate", "ratio_max", "duplicate_ns", "ratio_free"):
            row[name] = 0
        row["order_burst"] = row["message_burst"] = 0
        if limits is None:
            row["stopped"] = 0
            return
        for key, name in AMOUNTS.items():
            amount = getattr(limits, key)
            if amount is not None:
                row[name] = self.minor(amount)
        if limits.open_orders_max is not None:
            row["open_orders_max"] = limits.open_orders_max
        row["duplicate_ns"] = (limits.duplicate_window_ms or 0) * NS_PER_MS
        row["ratio_max"], row["ratio_free"] = limits.order_to_trade_max or 0, limits.order_to_trade_free
        for what in ("order", "message"):
            rate = getattr(limits, f"{what}_rate") or 0
            burst = (getattr(limits, f"{what}_burst") or rate) * TOKEN
            row[f"{what}_rate"], row[f"{what}_burst"] = rate, burst
            row[f"{what}_full_ns"] = burst // rate + 1 if rate else 0

    def minor(self, amount: Decimal) -> int:
        """An amount of the venue's currency in minor units; what is finer than those is cut."""
        return int(amount.scaleb(self.config.risk.money_decimals))

    # ---- parties

    def draft(self, member: Member, account: bytes | None, listing: Listing) -> "Draft | None":
        """The party of an order that may yet be refused; None when no limit looks at anybody, FULL when there is no room."""
        session, core = int(member.row["risk"]), self.core
        if session == NIL:
            return None
        known = self.parties.get((session, self.account_owner(account), listing.book))
        limited = bool(account) and self.config.limits_for("account", (account or b"").decode("latin-1")) is not None
        if known is not None and (not limited or self.account_owner(account) != NIL):
            return Draft(known, None)
        if not self.has_room():
            return FULL
        before = int(core["owners_fresh"]), int(core["holdings_fresh"]), int(core["parties_fresh"])
        account_owner = self._owner(Scope.ACCOUNT, (account or b"").decode("latin-1")) if limited else NIL
        party = int(core["parties_fresh"])
        core["parties_fresh"] = party + 1
        row = self.machine.parties[party]
        row["session"], row["account"], row["book"] = session, account_owner, listing.book
        self._fold(party, listing)
        return Draft(party, before)

    def keep(self, draft: "Draft") -> None:
        """The order is accepted: its party stays."""
        if draft.before is not None:
            row = self.machine.parties[draft.party]
            self.parties[int(row["session"]), int(row["account"]), int(row["book"])] = draft.party
            index_party(self.machine, draft.party)

    def drop(self, draft: "Draft") -> None:
        """The order is refused: what was made for it is given up again."""
        if draft.before is None:
            return
        owners, holdings, parties = draft.before
        for place in range(holdings, int(self.core["holdings_fresh"])):
            held = self.machine.holdings[place]
            del self.holdings[int(held["owner"]), int(held["book"])]
        for owner in range(owners, int(self.core["owners_fresh"])):
            del self.rows[self.names.pop(owner)]
        self.core["owners_fresh"], self.core["holdings_fresh"], self.core["parties_fresh"] = draft.before
        for place in range(OWNERS_EACH * parties, OWNERS_EACH * (parties + 1)):
            self.machine.party_owners[place] = self.machine.party_holdings[place] = 0

    def _fold(self, party: int, listing: Listing) -> None:
        """Write a PARTY row whose key is there: its owners, and the tightest of their limits of an order by itself."""
        row, machine = self.machine.parties[party], self.machine
        owners = list(self._owners_of(int(row["session"]), int(row["account"]), listing))
        limits = [entry for owner in owners if (entry := self.limits_of(owner)) is not None]
        row["count"], row["idle"] = len(owners), not owners
        for place in range(OWNERS_EACH):
            at = OWNERS_EACH * party + place
            machine.party_owners[at] = owners[place] if place < len(owners) else NIL
            machine.party_holdings[at] = self._holding(owners[place], listing) if place < len(owners) else NIL
        factor = self.factor_of(listing)
        row["factor"] = factor
        row["lots_max"] = _least(_steps(entry.order_qty_max, listing.instrument.lot_size) for entry in limits)
        values = [
            MONEY_MAX,
            *(self.minor(entry.order_notional_max) for entry in limits if entry.order_notional_max is not None),
        ]
        row["value_max"] = min(values) // factor if factor else LIMITLESS
        name = listing.symbol.decode()
        row["restricted"] = any(fits(pattern, name) for entry in limits for pattern in entry.restricted)
        row["shorts"] = any(entry.short_sale != "free" for entry in limits)
        self._fold_prices(row, limits, listing)

    def _fold_prices(self, row: Any, limits: list[Limits], listing: Listing) -> None:
        tick = listing.instrument.tick_size
        lowest = [entry.price_min for entry in limits if entry.price_min is not None]
        steps = (int((price / tick).to_integral_value(ROUND_CEILING)) for price in lowest)
        row["price_min"] = min(LIMITLESS, max(steps, default=0))
        row["price_max"] = _least(_steps(entry.price_max, tick) for entry in limits)
        row["band_low"], row["band_high"] = 0, LIMITLESS
        bps = [entry.collar_static_bps for entry in limits if entry.collar_static_bps is not None]
        reference = listing.instrument.reference_price_ticks
        if bps and reference is not None:
            row["band_low"] = -(-reference * (BPS - min(bps)) // BPS)
            row["band_high"] = reference * (BPS + min(bps)) // BPS
        for key, name in (("collar_last_bps", "last_bps"), ("collar_mid_bps", "mid_bps"), ("protection_bps", "guard_bps")):
            row[name] = min((value for entry in limits if (value := getattr(entry, key)) is not None), default=0)
        row["guard_ticks"] = _least(entry.protection_ticks for entry in limits)

    def _owners_of(self, session: int, account: int, listing: Listing) -> Iterator[int]:
        """OWNER rows with limits that answer for an order, in the order they are asked."""
        name = self.names[session][1]
        counterparty = self.members.counterparty_for(name.encode("latin-1"))
        firm = None if counterparty is None else counterparty.firm
        if self.limits_of(session) is not None:
            yield session
        if firm is not None and self.config.limits_for("firm", firm) is not None:
            yield self._owner(Scope.FIRM, firm)
        if account != NIL and self.limits_of(account) is not None:
            yield account
        symbol = listing.symbol.decode()
        if self.config.limits_for("instrument", symbol) is not None:
            yield self._owner(Scope.INSTRUMENT, symbol)

    def _holding(self, owner: int, listing: Listing) -> int:
        """HOLDING row of an owner in an instrument, made if it needs one and there is none; NIL when it needs none."""
        limits = self.limits_of(owner)
        if limits is None or all(getattr(limits, key) is None for key in HELD):
            return NIL
        place = self.holdings.get((owner, listing.book))
        if place is None:
            place = int(self.core["holdings_fresh"])
            self.core["holdings_fresh"] = place + 1
            self.holdings[owner, listing.book] = place
            self.machine.holdings[place] = (owner, listing.book, 0, 0, 0, 0)
        factor = self.factor_of(listing)
        most = position_cap_lots(self.config, listing.instrument, factor) if factor else MONEY_MAX
        if limits.position_max is not None:
            most = min(most, int(limits.position_max / listing.instrument.lot_size))
        self.machine.holdings[place]["position_max"] = most
        return place

    def _held(self) -> Any:
        """The HOLDING rows in use."""
        return self.machine.holdings[: int(self.core["holdings_fresh"])]

    def factor_of(self, listing: Listing) -> int:
        """Minor units that a lot at one tick is worth; 0 when no limit is an amount of money."""
        if not any(getattr(entry, key) is not None for entry in self.config.limits for key in MONEY):
            return 0
        factor = money_factor(self.config, listing.instrument)
        assert factor is not None and factor == int(factor), "checked when the configuration was read"
        return int(factor)

    def find_again(self) -> None:
        """The tables came from elsewhere: their rows by what they are about."""
        self.rows = {name: owner for owner, name in self.names.items()}
        self.holdings = {(int(row["owner"]), int(row["book"])): place for place, row in enumerate(self._held())}
        parties = self.machine.parties[: int(self.core["parties_fresh"])]
        self.parties = {
            (int(row["session"]), int(row["account"]), int(row["book"])): party for party, row in enumerate(parties)
        }

    # ---- a start

    def adopt(self, config: Config) -> None:
        """Take a changed configuration: owners keep what they hold and did, what is open is counted anew."""
        self.config = config
        self.find_again()
        for listing in self.listings.by_symbol.values():
            self.value(listing)
        for owner in self.names:
            self._set_limits(owner)
        for member in self.members.by_slot.values():
            self.welcome(member)
        self._count_anew()

    def value(self, listing: Listing) -> None:
        """What positions in an instrument are valued at: its last trade, before the first its reference price."""
        book = self.machine.books[listing.book]
        book["factor"] = self.factor_of(listing) if self.armed else 0
        book["mark_max"] = price_cap_ticks(self.config, listing.instrument)
        if book["mark"] == 0:
            book["mark"] = self._first_mark(listing)

    def _first_mark(self, listing: Listing) -> int:
        """Ticks at which an instrument is valued before its first trade, 0 for none."""
        return min(price_cap_ticks(self.config, listing.instrument), listing.instrument.reference_price_ticks or 0)

    @contextmanager
    def valued(self, listing: Listing) -> Iterator[None]:
        """An instrument that an order would create is looked at as if it were there: its row has its first mark meanwhile."""
        book = self.machine.books[listing.book]
        before = int(book["mark"])
        if listing.symbol not in self.listings.by_symbol:
            book["mark"] = self._first_mark(listing)
        yield
        book["mark"] = before

    def _count_anew(self) -> None:
        """Parties and the sums of what is open, from the open orders; values of positions, from their marks."""
        machine, core = self.machine, self.core
        fresh = int(core["parties_fresh"])
        machine.party_index[:] = 0
        machine.parties[:fresh] = 0
        machine.party_owners[: OWNERS_EACH * fresh] = machine.party_holdings[: OWNERS_EACH * fresh] = 0
        core["parties_fresh"] = 0
        self.parties.clear()
        held, owners = self._held(), machine.owners[: int(core["owners_fresh"])]
        held["buys"] = held["sells"] = 0
        for name in ("open_orders", "open_buy", "open_sell"):
            owners[name] = 0
        self._count_orders()
        self.revalue(keeps_result=True)

    def _count_orders(self) -> None:
        """Each order that is remembered finds its party again; those that are open are counted by its owners."""
        machine = self.machine
        by_book = {listing.book: listing for listing in self.listings.by_symbol.values()}
        for echo in range(int(self.core["echoes_fresh"])):
            account = account_text(machine.echoes[echo])
            if account and self.armed and self.config.limits_for("account", account.decode("latin-1")) is not None:
                self._owner(Scope.ACCOUNT, account.decode("latin-1"))
            machine.echoes[echo]["account"] = self.account_owner(account)
        used: Any = machine.orders[: int(self.core["orders_fresh"])]
        for slot in np.nonzero(used["names"] > 0)[0]:
            row = used[slot]
            member, echo = self.members.by_slot[int(row["session"])], int(row["echo"])
            account_owner = NIL if echo == NIL else int(machine.echoes[echo]["account"])
            known = None if account_owner == NIL else self.names[account_owner][1].encode("latin-1")
            draft = self.draft(member, known, by_book[int(row["book"])])
            counted, row["party"] = int(row["party"]) != NIL, NIL
            if draft is None:
                continue
            self.keep(draft)
            if machine.parties[draft.party]["idle"]:
                continue
            row["party"] = draft.party
            if not counted or (row["price"] and int(row["side"]) == ord("1")):
                row["worth"] = row["price"]
            if row["level"] != NIL:
                self._count_order(row)

    def _count_order(self, row: Any) -> None:
        party, lots, buys = int(row["party"]), int(row["leaves"]), int(row["side"]) == ord("1")
        value = int(row["worth"]) * lots * int(self.machine.parties[party]["factor"])
        for place in range(OWNERS_EACH * party, OWNERS_EACH * party + int(self.machine.parties[party]["count"])):
            owner: Any = self.machine.owners[int(self.machine.party_owners[place])]
            owner["open_orders"] += 1
            owner["open_buy" if buys else "open_sell"] += value
            holding = int(self.machine.party_holdings[place])
            if holding != NIL:
                self.machine.holdings[holding]["buys" if buys else "sells"] += lots

    def amend(self, slot: int, before: tuple[int, int], after: tuple[int, int]) -> None:
        """A trade of an order, (lots, ticks), becomes another, 0 lots for a bust. Its row is changed already."""
        row: Any = self.machine.orders[slot]
        party = int(row["party"])
        if party == NIL:
            return
        factor, book = int(self.machine.parties[party]["factor"]), self.machine.books[int(row["book"])]
        buys, less, unit = int(row["side"]) == ord("1"), before[0] - after[0], int(book["mark"]) * factor
        sign = 1 if buys else -1
        for place in range(OWNERS_EACH * party, OWNERS_EACH * party + int(self.machine.parties[party]["count"])):
            owner: Any = self.machine.owners[int(self.machine.party_owners[place])]
            holding = int(self.machine.party_holdings[place])
            if row["level"] != NIL:
                owner["open_buy" if buys else "open_sell"] += int(row["worth"]) * less * factor
            if holding == NIL:
                continue
            held: Any = self.machine.holdings[holding]
            if row["level"] != NIL:
                held["buys" if buys else "sells"] += less
            position = int(held["position"])
            held["position"] = position - sign * less
            owner["net"] -= sign * less * unit
            owner["gross"] += (abs(position - sign * less) - abs(position)) * unit
            owner["spent"] += sign * (after[0] * after[1] - before[0] * before[1]) * factor

    # ---- marks and days

    def revalue(self, *, keeps_result: bool = False) -> None:
        """Value all positions at the marks of their instruments.

        With `keeps_result` what is said of the day stays: the opening value moves with the value.
        """
        machine = self.machine
        owners: Any = machine.owners[: int(self.core["owners_fresh"])]
        before = owners["net"].copy()
        owners["net"] = owners["gross"] = 0
        held = self._held()
        books = machine.books[held["book"]]
        value = held["position"] * books["mark"] * books["factor"]
        np.add.at(owners["net"], held["owner"], value)
        np.add.at(owners["gross"], held["owner"], np.abs(value))
        if keeps_result:
            owners["opening"] += owners["net"] - before

    def new_day(self) -> None:
        """The day's credit, result and counts begin anew; who was stopped may go on."""
        for owner in self.names:
            self.begin_day(owner)

    def begin_day(self, owner: int) -> None:
        """As `new_day`, for one OWNER row."""
        row = self.machine.owners[owner]
        row["opening"] = row["net"]
        for name in ("spent", "requests", "trades", "stopped"):
            row[name] = 0


@dataclass(frozen=True)
class Draft:
    """A PARTY row, and what the tables had before it was made; None when it was there."""

    party: int
    before: tuple[int, int, int] | None


#: There is no room for another party.
FULL: Final = Draft(NIL, None)


def account_text(echo: Any) -> bytes:
    """Account(1) of an ECHO row, empty for none."""
    first = echo["text"][int(echo["split"]) : int(echo["length"])].tobytes().partition(b"\x01")[0]
    return bytes(first[2:]) if first.startswith(b"1=") else b""


def _steps(value: Decimal | None, step: Decimal) -> int | None:
    """Whole steps in a value, None for none."""
    return None if value is None else int(value / step)


def _least(values: Iterator[Any]) -> int:
    """The least of those that are given, LIMITLESS for none: no limit beyond it is ever met."""
    return min((int(value) for value in values if value is not None and value < LIMITLESS), default=LIMITLESS)
