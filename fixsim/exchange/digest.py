"""One number for all state: equal digests mean equal exchanges, wherever and however they came to be.

What state is stands here in full: the tables of the machine, what conversations remember, and a few fields beside them.
Every other attribute of a living exchange is named in NOT_STATE with the reason why it is none; a test walks one and
fails on an attribute that is in neither list.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from fixsim.engine.machine import STATE_TABLES, Machine
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import Member
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
    "Member": ("name", "slot", "restarts_when_lost", "logged_out"),
    "Risk": ("names", "marked_ns"),
    "Guard": ("switches", "away", "day"),
    "Exchange": ("links", "reset_at_ns", "_postponed"),
    "Amendments": ("trades",),
    "Calendar": ("changes", "planned_ns"),
    "GoodTill": ("times",),
    "Status": ("securities", "watchers"),
}

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
    "Agenda._sources": _WIRED,
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
        digest.update(f"{name} {remembered!r}\n".encode())
    return digest.hexdigest()


def tables(machine: Machine) -> Iterator[tuple[str, bytes]]:
    """Every state table, as far as it was ever used, as bytes."""
    core: Any = machine.core[0]
    for name in STATE_TABLES:
        table = getattr(machine, name)
        if name in FRESH:
            fresh, each = FRESH[name]
            table = table[: int(core[fresh]) * each]
        yield name, table.tobytes()


def beside(exchange: Exchange) -> Iterator[tuple[str, list[Any]]]:
    """State beside the tables: a name and values whose repr is the same wherever they are equal."""
    links = sorted((link, member.name) for link, member in exchange.links.items())
    yield "exchange", [links, exchange.reset_at_ns, sorted(exchange._postponed.items())]
    yield "amendments", sorted(exchange.amendments.trades.items())
    yield "good-till", sorted(exchange.good_till.times)
    for name, part in (("risk", exchange.risk), ("guard", exchange.guard)):
        yield name, [_plain(getattr(part, field)) for field in DIGESTED[name.capitalize()]]
    calendar, status = exchange.phases.calendar, exchange.status
    yield "calendar", [calendar.planned_ns, *sorted(calendar.changes.items())]
    yield "status", sorted(status.securities.items())
    yield "watchers", sorted(status.watchers.items())
    for _, member in sorted(exchange.members.by_slot.items()):
        yield "member", list(_remembered(member))


def _remembered(member: Member) -> Iterator[Any]:
    member.catch_up()
    talk: Any = member.session._talk
    for part, names in ((member, DIGESTED["Member"]), (talk, CONVERSATION), (talk.timers, TIMERS), (talk.gap, GAP)):
        for name in names:
            yield _plain(getattr(part, name))


def _plain(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, dict) else value
