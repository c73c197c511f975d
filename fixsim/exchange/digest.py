"""One number for all state: equal digests mean equal exchanges, wherever and however they came to be.

What state is stands here in full: the tables of the machine, what conversations remember, and a few fields beside them.
Every other attribute of a living exchange is named in NOT_STATE with the reason why it is none; a test walks one and
fails on an attribute that is in neither list.

A snapshot (`exchange.snapshot`) is made of the same lists. Whatever is registered here, a table in STATE_TABLES, a class with
its attributes in DIGESTED, is digested and kept without another line: things are found by walking from the exchange.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final

import numpy as np

from fixsim.engine.machine import STATE_TABLES, Machine
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import Member
from fixsim.exchange.plain import sorted_text, to_plain
from fixsim.layout import LADDER_FAN, OWNERS_EACH

#: Tables that grow by fresh rows: only rows that were ever used count.
FRESH: Final = {
    "orders": ("orders_fresh", 1),
    "names": ("names_fresh", 1),
    "levels": ("levels_fresh", 1),
    "node_bits": ("nodes_fresh", 1),
    "node_child": ("nodes_fresh", LADDER_FAN),
    "echoes": ("echoes_fresh", 1),
    "owners": ("owners_fresh", 1),
    "holdings": ("holdings_fresh", 1),
    "parties": ("parties_fresh", 1),
    "party_owners": ("parties_fresh", OWNERS_EACH),
    "party_holdings": ("parties_fresh", OWNERS_EACH),
    "duplicates": ("duplicates", 1),
}

#: What a conversation remembers.
CONVERSATION: Final = (
    "state", "credentials", "fault", "fetching", "heartbeat_interval_s", "own_reset_ns", "reset_owed", "says",
)  # fmt: skip
GAP: Final = ("_asked_from", "_asked_to", "_early", "retry_ns")
TIMERS: Final = ("_beat_ns", "_grace_ns", "_test_ns", "_tested_ns", "answer_ns", "heard_ns", "said_ns")
#: State beside the tables, by class.
DIGESTED: Final = {
    "Conversation": CONVERSATION,
    "Gap": GAP,
    "Timers": TIMERS,
    "Member": ("name", "slot", "restarts_when_lost", "logged_out", "put_out"),
    "Risk": ("names", "marked_ns"),
    "Guard": ("switches", "away", "day"),
    "Exchange": ("links", "reset_at_ns", "_postponed"),
    "Amendments": ("trades",),
    "GoodTill": ("times",),
    "Breakers": ("static", "means", "slices", "sliced_ns", "pause_ns", "late", "paused_at"),
    "MarketWide": ("base", "reached", "ends_ns", "halted"),
    "Calendar": ("changes", "planned_ns"),
    "Status": ("securities", "watchers"),
}

#: No part of the digest, and yet in a snapshot: what an instrument and a counterparty were when they were listed, whatever the
#: configuration in force says now; the time of the last turn; and what would have to be found anew.
KEPT: Final = {
    "Listings": ("by_symbol",),
    "Member": ("counterparty",),
    "Tape": ("now_ns", "stamp"),
    "Phases": ("_next_ns",),
    "Status": ("_next_ns",),
}

#: Where things that remember are looked for, and what is not looked into.
WALKED: Final = ("fixsim.exchange.", "fixsim.session.", "fixsim.engine.")
CLOSED: Final = (Member, Machine, Enum)

_WIRED: Final = "set when the exchange is made, and at a start"
_CONFIGURED: Final = "follows from the configuration, which the START record carries"
_TURN: Final = "of the turn: nothing of it outlives a commit"
_VIEW: Final = "a view of a state table"

#: Attributes that are not state, and why.
NOT_STATE: Final = {
    "Exchange.agenda": _WIRED,
    "Exchange.auctions": _WIRED,
    "Exchange.config": _CONFIGURED,
    "Exchange.core": _VIEW,
    "Exchange.machine": "its tables are state, see STATE_TABLES",
    "Exchange.unfinished": _TURN,
    "Exchange.waits_until_ns": _TURN,
    "Exchange.risk": _WIRED,
    "Exchange.guard": _WIRED,
    "Exchange.gate": _WIRED,
    "Risk.config": _CONFIGURED,
    "Risk.machine": _WIRED,
    "Risk.listings": _WIRED,
    "Risk.members": _WIRED,
    "Risk.core": _VIEW,
    "Risk.rows": "finds rows of the owners table by scope and name",
    "Risk.holdings": "finds rows of the holdings table",
    "Risk.parties": "finds rows of the parties table",
    "Guard.risk": _WIRED,
    "Guard.machine": _WIRED,
    "Guard.make_room": _WIRED,
    "Gate.risk": _WIRED,
    "Gate.killed": _WIRED,
    "Gate._draft": _TURN,
    "Exchange.outbox": "what connections are owed: after a start there are none, and peers ask for what they miss",
    "Exchange._closings": "told to the gateway once; a start closes every link anyway",
    "Exchange.delivery": _WIRED,
    "Delivery.resends": _TURN,
    "Delivery.listeners": "who listens inside this process",
    "Delivery.links": "the exchange's",
    "Delivery.machine": _WIRED,
    "Delivery.members": _WIRED,
    "Delivery.outbox": _WIRED,
    "Delivery.tape": _WIRED,
    "Delivery._positions": _TURN,
    "Exchange._doors": _WIRED,
    "Exchange._frame": _TURN,
    "Exchange.fast_door": "a choice of the process: both doors come to the same",
    "Exchange.fetch": _WIRED,
    "Exchange.deadlines": "found anew from the conversations",
    "Exchange.desk": _WIRED,
    "Exchange.good_till": _WIRED,
    "Exchange.listings": _WIRED,
    "Exchange.phases": _WIRED,
    "Exchange.status": _WIRED,
    "Exchange._coming": "of the start that is going on: the calendar has it afterwards",
    "Exchange.market": _WIRED,
    "Exchange.members": _WIRED,
    "Exchange.tape": _WIRED,
    "Exchange.breakers": _WIRED,
    "Agenda._sources": _WIRED,
    "Breakers.core": _VIEW,
    "Breakers.listings": _WIRED,
    "Breakers.machine": _WIRED,
    "Breakers.make_room": _WIRED,
    "Breakers.market": _WIRED,
    "Breakers.phases": _WIRED,
    "Breakers.rules": _CONFIGURED,
    "Breakers.status": _WIRED,
    "Breakers.venue_ns": _WIRED,
    "DayTurn.market": _WIRED,
    "Desk.look": _WIRED,
    "Listings.on_listed": _WIRED,
    "MarketWide.core": _VIEW,
    "MarketWide.levels": _CONFIGURED,
    "MarketWide.listings": _WIRED,
    "MarketWide.machine": _WIRED,
    "MarketWide.phases": _WIRED,
    "MarketWide.reopening_ns": _CONFIGURED,
    "MarketWide.status": _WIRED,
    "MarketWide.venue_ns": _WIRED,
    "Auctions.go_on": _WIRED,
    "Auctions.listings": _WIRED,
    "Auctions.machine": _WIRED,
    "Auctions.make_room": _WIRED,
    "DayTurn.desk": _WIRED,
    "Deadlines._heap": "an order of the conversations by their deadlines",
    "Deadlines._pushed": "breaks ties in that order; what is due is sorted by row",
    "Member.counterparty": _CONFIGURED,
    "Member.noted_ns": "under which deadline the heap holds it",
    "Member.row": _VIEW,
    "Member.session": _WIRED,
    "RowCounters.row": _VIEW,
    "Session._talk": _WIRED,
    "Conversation._second": "the last SendingTime read, kept to save reading it again",
    "Conversation._second_ns": "the same, as a number",
    "Conversation._tolerance_ns": _CONFIGURED,
    "Conversation.counters": _VIEW,
    "Conversation.events": "drained before the verb returns",
    "Conversation.gap": _WIRED,
    "Conversation.profile": _CONFIGURED,
    "Conversation.role": _WIRED,
    "Conversation.timers": _WIRED,
    "Conversation.validator": _WIRED,
    "Gap._early_max": _CONFIGURED,
    "Gap._timeout_ns": _CONFIGURED,
    "Gap.chunk": _CONFIGURED,
    "Timers._profile": _CONFIGURED,
    "Validator._dictionary": _WIRED,
    "Validator._formats": _WIRED,
    "Validator._header": _WIRED,
    "Validator._listed": _WIRED,
    "Validator._plain": _WIRED,
    "Validator._strictness": _CONFIGURED,
    "Validator._trailer": _WIRED,
    "Exchange.amendments": _WIRED,
    "Amendments.amended": _WIRED,
    "Amendments.listings": _WIRED,
    "Amendments.machine": _WIRED,
    "Amendments.make_room": _WIRED,
    "Amendments.tape": _WIRED,
    "Desk.commit": _WIRED,
    "Desk.good_till": _WIRED,
    "Desk.phases": _WIRED,
    "Desk.core": _VIEW,
    "Desk.echoes": _WIRED,
    "Desk.gate": _WIRED,
    "Echoes.account_owner": _WIRED,
    "Members.may_forget": _WIRED,
    "Members.renamed": _WIRED,
    "Desk.listings": _WIRED,
    "Desk.machine": _WIRED,
    "Desk.tape": _WIRED,
    "Echoes.machine": _WIRED,
    "Echoes.rows": "finds rows of the echoes table by their text",
    "GoodTill.machine": _WIRED,
    "GoodTill.make_room": _WIRED,
    "Listings.by_symbol": "finds rows of the books table; the rest of a listing is configured",
    "Listings.config": _CONFIGURED,
    "Listings.machine": _WIRED,
    "Market.listings": _WIRED,
    "Market.machine": _WIRED,
    "Market.make_room": _WIRED,
    "Market.tape": _WIRED,
    "Members.by_name": "all members, which are digested one by one",
    "Members.by_slot": "the same by row",
    "Members.config": _CONFIGURED,
    "Members.dictionary": _WIRED,
    "Members.machine": _WIRED,
    "Phases._next_ns": "found anew from the ends of the calls",
    "Phases.auctions": _WIRED,
    "Phases.judges": _WIRED,
    "Phases.listeners": _WIRED,
    "Phases.machine": _WIRED,
    "Phases.calendar": _WIRED,
    "Phases.listings": _WIRED,
    "Phases.status": _WIRED,
    "Phases.venue_ns": _WIRED,
    "Status.note": _WIRED,
    "Status._next_ns": "found anew from the times in the BOOK rows",
    "Status.auctions": _WIRED,
    "Status.listings": _WIRED,
    "Status.machine": _WIRED,
    "Status.sessions": _WIRED,
    "Status.tape": _WIRED,
    "Status.venue_ns": _WIRED,
    "Tape.batch": _TURN,
    "Tape.machine": _WIRED,
    "Tape.now_ns": _TURN,
    "Tape.row": _TURN,
    "Tape.stamp": _TURN,
    "Tape.venue_stamp": "follows from the core table's `venue_ns`, or of the turn",
    "Tape._driven_ns": "for which venue time that was written",
    "Tape._core": _VIEW,
    "Tape.tally": "who counts for people: nothing comes back from there",
    "Tape.written": _TURN,
    "Tape._timestamp_digits": _CONFIGURED,
    "Tape.writer": _WIRED,
    "Machine.tape": _TURN,
    "Machine.batch": _TURN,
    "Machine.words": _TURN,
    "Machine.echo_places": "where to look first for rows of the echoes table",
    "Machine.frames": _TURN,
    "Machine.spots": _TURN,
    "Machine.touched": _TURN,
    "Machine.said": _TURN,
}


def state_digest(exchange: Exchange) -> str:
    """SHA-256 over all state, as hex."""
    digest = hashlib.sha256()
    for name, table in tables(exchange.machine):
        digest.update(name.encode())
        digest.update(table)
    for name, remembered in beside(exchange):
        digest.update(f"{name} {sorted_text(remembered)}\n".encode())
    return digest.hexdigest()


def tables(machine: Machine) -> Iterator[tuple[str, memoryview]]:
    """Every state table, as far as it was ever used, as bytes: a view of them, not a copy."""
    core: Any = machine.core[0]
    for name in STATE_TABLES:
        table = getattr(machine, name)
        if name in FRESH:
            fresh, each = FRESH[name]
            table = table[: int(core[fresh]) * each]
        yield name, memoryview(table.view(np.uint8).reshape(-1))


def beside(exchange: Exchange) -> Iterator[tuple[str, list[Any]]]:
    """State beside the tables: a name and JSON values (`exchange.plain`) of everything that remembers something."""
    for name, thing in remembering(exchange):
        yield name, [to_plain(getattr(thing, attribute)) for attribute in DIGESTED.get(type(thing).__name__, ())]


def remembering(exchange: Exchange) -> Iterator[tuple[str, Any]]:
    """Everything with digested or kept attributes by the way that leads to it, members by their rows, in one order."""
    seen: set[int] = set()
    yield from _within("exchange", exchange, seen)
    for slot, member in sorted(exchange.members.by_slot.items()):
        member.catch_up()
        yield from _within(f"member {slot}", member, seen)


def _within(name: str, thing: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    seen.add(id(thing))
    kind = type(thing).__name__
    if kind in DIGESTED or kind in KEPT:
        yield name, thing
    for attribute in attributes(thing):
        value = getattr(thing, attribute, None)
        if type(value).__module__.startswith(WALKED) and id(value) not in seen and not isinstance(value, CLOSED):
            if not is_frozen(value):
                yield from _within(f"{name}.{attribute}", value, seen)


def is_frozen(thing: Any) -> bool:
    """Is it a value that never changes, rather than something that remembers?"""
    return is_dataclass(thing) and bool(getattr(thing, "__dataclass_params__").frozen)  # noqa: B009  # mypy does not know it


def attributes(thing: Any) -> list[str]:
    """Names of the attributes that one object has of its own."""
    names = set(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names |= {slots} if isinstance(slots, str) else set(slots)
    return sorted(name for name in names if not name.startswith("__"))
