"""The digest sees all state: whatever a living exchange is made of is digested, or is named as no state with the reason."""

import enum
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from flows import SESSIONS, seeded_flow

from exchange.limited import limited
from exchange.stage import Stage, rehearsed
from fixsim.config import Limits
from fixsim.engine.machine import STATE_TABLES, TABLES, Machine
from fixsim.exchange.digest import (
    DIGESTED,
    FRESH,
    KEPT,
    NOT_STATE,
    attributes,
    beside,
    is_frozen,
    remembering,
    state_digest,
    tables,
)
from fixsim.exchange.exchange import Exchange
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox

#: Not walked into: one is read only, one belongs to the journal.
CLOSED = (Dictionary, Outbox)


@pytest.fixture
def stage() -> Stage:
    """An exchange that has seen something of everything."""
    limits = (
        Limits("session", "*", position_max=Decimal(100_000), duplicate_window_ms=1),
        Limits("account", "*", open_orders_max=99),
    )
    stage = Stage(limited(*limits))
    stage.log_on(*SESSIONS[:2])
    stage.log_on(SESSIONS[2], heartbeat_s=30)
    for name, fields in seeded_flow(3, 120, flawed=0.1):
        stage.say(name, fields)
    return stage


def walk(thing: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """`Class.attribute` and value of every attribute of ours that can be reached and might change."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Machine):
        yield from ((f"Machine.{name}", table) for name, table in thing.tables().items() if name not in STATE_TABLES)
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from walk(key, seen)
            yield from walk(value, seen)
    elif isinstance(thing, list | tuple | set | frozenset):
        for value in thing:
            yield from walk(value, seen)
    elif type(thing).__module__.startswith("fixsim") and not isinstance(thing, (*CLOSED, enum.Enum)) and not is_frozen(thing):
        for name in attributes(thing):
            value = getattr(thing, name)
            yield f"{type(thing).__name__}.{name}", value
            yield from walk(value, seen)


def test_every_attribute_of_a_living_exchange_is_digested_or_known_to_be_no_state(stage: Stage) -> None:
    found = {name for name, _ in walk(stage.exchange, set())}
    digested = {f"{kind}.{name}" for kind, names in DIGESTED.items() for name in names}
    known = digested | set(NOT_STATE)
    assert found - known == set(), "state that a digest does not see, or a reason is missing in exchange/digest.py"
    assert known - found == set(), "named in exchange/digest.py, but not there any more"
    assert digested & set(NOT_STATE) == set()
    assert all(NOT_STATE.values())


def test_whatever_is_registered_is_found_on_the_way_from_the_exchange(stage: Stage) -> None:
    assert {type(thing).__name__ for _, thing in remembering(stage.exchange)} == {*DIGESTED, *KEPT}


def test_what_is_kept_besides_is_no_part_of_the_digest(stage: Stage) -> None:
    assert {f"{kind}.{name}" for kind, names in KEPT.items() for name in names} <= set(NOT_STATE)


def test_tables_that_are_no_state_are_the_batch_being_written() -> None:
    assert {f"Machine.{name}" for name in TABLES} - {f"Machine.{name}" for name in STATE_TABLES} == {
        name for name in NOT_STATE if name.startswith("Machine.")
    }
    assert set(FRESH) <= set(STATE_TABLES)


@pytest.mark.parametrize("name", STATE_TABLES)
def test_a_changed_row_changes_the_digest(stage: Stage, name: str) -> None:
    before = state_digest(stage.exchange)
    getattr(stage.exchange.machine, name)[:1].view("u1")[0] ^= 1
    assert state_digest(stage.exchange) != before


def test_everything_a_conversation_remembers_changes_the_digest(stage: Stage) -> None:
    before = state_digest(stage.exchange)
    member = next(iter(stage.exchange.members.by_name.values()))
    talk: Any = member.session._talk
    parts = {"Member": member, "Conversation": talk, "Gap": talk.gap, "Timers": talk.timers, "Exchange": stage.exchange}
    exchange = stage.exchange
    parts |= {"GoodTill": exchange.good_till, "Calendar": exchange.phases.calendar, "Status": exchange.status}
    parts |= {"Risk": exchange.risk, "Guard": exchange.guard}
    parts |= {"Amendments": exchange.amendments, "Breakers": exchange.breakers, "MarketWide": exchange.breakers.market}
    for kind, names in DIGESTED.items():
        for name in names:
            kept = getattr(parts[kind], name)
            other = {} if name == "links" else {7: 7} if isinstance(kept, dict) else "something else"
            setattr(parts[kind], name, other if type(kept) is not int else kept + 10**18)
            assert state_digest(stage.exchange) != before, f"{kind}.{name}"
            setattr(parts[kind], name, kept)
    assert state_digest(stage.exchange) == before


def test_rows_never_used_and_the_batch_do_not_count(stage: Stage) -> None:
    before = state_digest(stage.exchange)
    machine = stage.exchange.machine
    for name, (fresh, each) in FRESH.items():
        getattr(machine, name)[int(machine.core[0][fresh]) * each :].view("u1")[:] = 255
    machine.batch[:] = 255
    machine.spots[:] = -7
    machine.frames.view("u1")[:] = 255
    machine.echo_places[:] = 1
    assert state_digest(stage.exchange) == before


def test_side_tables_can_be_made_again_from_the_tables(stage: Stage) -> None:
    exchange = stage.exchange
    rows = exchange.machine.echoes[: int(exchange.core["echoes_fresh"])]
    texts = [(row["text"][: row["split"]].tobytes(), row["text"][row["split"] : row["length"]].tobytes()) for row in rows]
    assert exchange.desk.echoes.rows == {text: row for row, text in enumerate(texts)}
    books = exchange.machine.books[: len(exchange.listings.by_symbol)]
    assert list(exchange.listings.by_symbol) == [row["symbol"][: row["symbol_length"]].tobytes() for row in books]
    assert [listing.book for listing in exchange.listings.by_symbol.values()] == list(range(len(books)))
    assert {member.slot: member for member in exchange.members.by_name.values()} == exchange.members.by_slot


def test_a_replay_has_the_same_digest_part_by_part(stage: Stage) -> None:
    """Part by part, so that a difference has a name."""
    again = rehearsed(stage.writer.batches)
    assert dict(tables(again.machine)) == dict(tables(stage.exchange.machine))
    assert list(beside(again)) == list(beside(stage.exchange))
    assert state_digest(again) == state_digest(stage.exchange)


# ---------------------------------------------------------------- looking changes nothing


def _ask_admits(exchange: Exchange) -> None:
    exchange.admits(b"ALPHA", b"FIXSIM", "127.0.0.1")
    exchange.admits(b"NOBODY", b"FIXSIM", "127.0.0.1")


@pytest.mark.parametrize("look", [
    lambda exchange: exchange.next_deadline_ns(),
    lambda exchange: exchange.tick(exchange.next_deadline_ns() - 1),
    lambda exchange: exchange.commit(),
    lambda exchange: exchange.lose_link(999, "never there", 0),
    _ask_admits,
])  # fmt: skip
def test_looking_changes_nothing(stage: Stage, look: Callable[[Exchange], object]) -> None:
    before, batches = state_digest(stage.exchange), len(stage.writer.batches)
    look(stage.exchange)
    stage.exchange.commit()
    assert state_digest(stage.exchange) == before and len(stage.writer.batches) == batches


def test_exchanges_of_the_same_configuration_begin_alike() -> None:
    assert state_digest(Stage().exchange) == state_digest(Stage().exchange)
