"""What each phase takes, what it makes of the orders it has, and how an auction ends: every answer of docs/phases.md."""

import os
from typing import Any

import pytest

from exchange.stage import MORNING_NS, Field, Said, Stage, rehearsed, replayed, small_config
from fixsim.cli.phase import described
from fixsim.exchange.digest import state_digest
from fixsim.exchange.laws import broken_laws
from fixsim.exchange.names import PHASES
from fixsim.exchange.phases import Call

T60 = b"20240102-10:00:00.000"
S_NS = 1_000_000_000
#: Interpreted, a batch takes long to fill.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.log_on("ALPHA", "BRAVO")
    return stage


def order(name: str, side: str, lots: int, price: str | None, tif: str = "0", *more: Field) -> list[Field]:
    """A D for AAPL; without a price a market order."""
    terms = [(40, b"1")] if price is None else [(40, b"2"), (44, price.encode())]
    return [
        (35, b"D"), (11, name.encode()), (55, b"AAPL"), (54, b"1" if side == "buy" else b"2"), (60, T60),
        (38, b"%d" % lots), *terms, (59, tif.encode()), *more,
    ]  # fmt: skip


def request(kind: str, orig: str, name: str, *more: Field) -> list[Field]:
    return [(35, kind.encode()), (41, orig.encode()), (11, name.encode()), (55, b"AAPL"), (54, b"1"), (60, T60), *more]


def told(said: list[Said], *tags: int) -> list[Any]:
    """Of each message: to whom, and the values of `tags`."""
    return [(name, *(dict(fields).get(tag, b"").decode() for tag in tags)) for name, fields in said]


def move(stage: Stage, phase: str, **more: Any) -> list[Said]:
    answer, said = stage.commanded("phase", symbol="AAPL", phase=phase, **more)
    assert answer["ok"], answer
    return said


NEW, REST = "0", ""
#: Phase, OrdType and TimeInForce of a D, and its answer: ExecType, OrdRejReason, Text.
ENTRY = [
    *((phase, kind, "0", NEW, "", "") for phase in PHASES if phase not in ("halted", "closed") for kind in ("limit", "market")),
    *(("halted", kind, "0", "8", "2", "Instrument is halted") for kind in ("limit", "market")),
    *(("closed", kind, "0", "8", "2", "Instrument is closed") for kind in ("limit", "market")),
    *((phase, "limit", "1", NEW, "", "") for phase in PHASES if phase not in ("halted", "closed")),
    *(
        (phase, "limit", tif, "8", "11", "TimeInForce(59) needs continuous trading")
        for phase in ("pre-open", "opening-auction", "volatility-auction", "closing-auction", "at-last")
        for tif in "34"
    ),
    ("continuous", "limit", "3", NEW, "", ""),
    ("pre-open", "limit", "2", NEW, "", ""),
    ("opening-auction", "market", "2", NEW, "", ""),
    *(
        (phase, "limit", "2", "8", "4", "Too late for the opening auction")
        for phase in ("continuous", "volatility-auction", "closing-auction", "at-last")
    ),
    *((phase, "limit", "7", NEW, "", "") for phase in ("pre-open", "opening-auction", "continuous", "closing-auction")),
    ("at-last", "limit", "7", "8", "4", "Too late for the closing auction"),
]


@pytest.mark.parametrize(("phase", "kind", "tif", "exec_type", "reason", "text"), ENTRY)
def test_a_phase_takes_an_order_or_says_why_not(
    stage: Stage, phase: str, kind: str, tif: str, exec_type: str, reason: str, text: str
) -> None:
    move(stage, phase) if phase != "continuous" else None
    said = stage.say("ALPHA", order("A1", "buy", 5, None if kind == "market" else "10.00", tif))
    assert told(said[:1], 150, 103, 58) == [("ALPHA", exec_type, reason, text)]


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancel_is_taken_in_every_phase(stage: Stage, phase: str) -> None:
    stage.say("ALPHA", order("A1", "buy", 5, "10.00", "1"))
    move(stage, phase)
    assert told(stage.say("ALPHA", request("F", "A1", "A2")), 150, 39) == [("ALPHA", "4", "4")]


@pytest.mark.parametrize("phase", PHASES)
def test_a_replace_is_taken_unless_the_instrument_is_halted_or_closed(stage: Stage, phase: str) -> None:
    stage.say("ALPHA", order("A1", "buy", 5, "10.00", "1"))
    move(stage, phase)
    said = stage.say("ALPHA", request("G", "A1", "A2", (38, b"6"), (40, b"2"), (44, b"10.01")))
    shut = {"halted": "Instrument is halted", "closed": "Instrument is closed"}.get(phase)
    assert told(said, 35, 150, 102, 58) == [("ALPHA", "9", "", "2", shut) if shut else ("ALPHA", "8", "5", "", "")]


def test_orders_gather_before_the_opening_and_meet_at_one_price(stage: Stage) -> None:
    move(stage, "pre-open")
    stage.say("ALPHA", order("A1", "buy", 10, "10.02"))
    stage.say("BRAVO", order("B1", "sell", 4, "9.98"))
    move(stage, "opening-auction")
    stage.say("BRAVO", order("B2", "sell", 10, "10.00"))
    shown = stage.command("phase", symbol="AAPL")
    assert shown["indication"] == {"price": "10.00", "quantity": "10", "surplus": "4", "side": "sell"}
    said = move(stage, "end")
    assert told(said, 11, 150, 39, 32, 31, 151, 527, 851) == [
        ("ALPHA", "A1", "F", "1", "4", "10.00", "6", "1", ""),
        ("BRAVO", "B1", "F", "2", "4", "10.00", "0", "1", ""),
        ("ALPHA", "A1", "F", "2", "6", "10.00", "0", "2", ""),
        ("BRAVO", "B2", "F", "1", "6", "10.00", "4", "2", ""),
    ]
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"
    assert stage.command("phase", symbol="AAPL")["auction_price"] == "10.00"
    assert broken_laws(stage.exchange) == []


def test_what_is_for_an_auction_alone_expires_with_it(stage: Stage) -> None:
    move(stage, "opening-auction")
    stage.say("ALPHA", order("MKT", "buy", 10, None))
    stage.say("ALPHA", order("OPG", "buy", 10, "9.00", "2"))
    stage.say("ALPHA", order("DAY", "buy", 10, "9.00"))
    stage.say("BRAVO", order("B1", "sell", 4, "10.00"))
    said = move(stage, "continuous")
    assert told(said, 11, 150, 39, 14) == [
        ("ALPHA", "MKT", "F", "1", "4"), ("BRAVO", "B1", "F", "2", "4"),
        ("ALPHA", "MKT", "C", "C", "4"), ("ALPHA", "OPG", "C", "C", "0"),
    ]  # fmt: skip
    assert [name for _, queue in stage.books()["AAPL"][0] for _, name, *_ in queue] == [b"DAY"]


def test_an_at_close_order_waits_outside_of_the_book_until_the_closing_auction(stage: Stage) -> None:
    said = stage.say("ALPHA", order("A1", "buy", 10, "10.00", "7"))
    assert told(said, 150, 39, 636) == [("ALPHA", "0", "0", "N")]
    assert stage.books()["AAPL"] == ([], [])
    assert told(stage.say("BRAVO", order("B1", "sell", 4, "10.00")), 150) == [("BRAVO", "0")]
    said = move(stage, "closing-auction")
    assert told(said, 11, 150, 39, 636, 378) == [("ALPHA", "A1", "D", "0", "Y", "8")]
    said = move(stage, "closed")
    assert told(said, 11, 150, 39, 14) == [
        ("ALPHA", "A1", "F", "1", "4"), ("BRAVO", "B1", "F", "2", "4"), ("ALPHA", "A1", "C", "C", "4"),
    ]  # fmt: skip


def test_an_order_that_waits_can_be_asked_for_changed_and_cancelled(stage: Stage) -> None:
    stage.say("ALPHA", order("A1", "buy", 10, "10.00", "7"))
    asked = [(35, b"H"), (11, b"A1"), (55, b"AAPL"), (54, b"1")]
    assert told(stage.say("ALPHA", asked), 150, 39, 636) == [("ALPHA", "I", "0", "N")]
    said = stage.say("ALPHA", request("G", "A1", "A2", (38, b"12"), (40, b"2"), (44, b"10.01")))
    assert told(said, 150, 38, 636) == [("ALPHA", "5", "12", "N")]
    said = stage.say("ALPHA", request("F", "A2", "A3"))
    assert told(said, 150, 39, 636) == [("ALPHA", "4", "4", "")]
    assert move(stage, "closing-auction") == []


def test_orders_meet_at_the_closing_price_after_the_close(stage: Stage) -> None:
    move(stage, "closing-auction")
    stage.say("ALPHA", order("A1", "buy", 5, "10.00"))
    stage.say("BRAVO", order("B1", "sell", 5, "10.00"))
    move(stage, "at-last")
    assert told(stage.say("ALPHA", order("A2", "buy", 7, "10.50")), 150) == [("ALPHA", "0")]
    assert told(stage.say("BRAVO", order("B2", "sell", 7, "10.20")), 150) == [("BRAVO", "0")]
    said = stage.say("BRAVO", order("B3", "sell", 3, None))
    assert told(said, 11, 150, 32, 31) == [("BRAVO", "B3", "0", "", ""), ("ALPHA", "A2", "F", "3", "10.00"),
                                           ("BRAVO", "B3", "F", "3", "10.00")]  # fmt: skip


def test_a_halt_takes_out_what_asks_for_it_and_brings_back_what_asks_for_that(stage: Stage) -> None:
    stage.say("ALPHA", order("J", "buy", 5, "10.00", "0", (18, b"J")))
    stage.say("ALPHA", order("K", "buy", 5, "10.00", "0", (18, b"1 K")))
    stage.say("ALPHA", order("NONE", "buy", 5, "10.00"))
    _, said = stage.commanded("halt", symbol="AAPL")
    assert told(said, 11, 150, 39, 378, 636, 18) == [("ALPHA", "K", "4", "4", "6", "", "K"),
                                                     ("ALPHA", "J", "9", "9", "", "N", "J")]  # fmt: skip
    assert [name for _, queue in stage.books()["AAPL"][0] for _, name, *_ in queue] == [b"NONE"]
    _, said = stage.commanded("resume", symbol="AAPL")
    assert told(said, 11, 150, 39, 378, 636) == [("ALPHA", "J", "D", "0", "8", "Y")]
    assert [name for _, queue in stage.books()["AAPL"][0] for _, name, *_ in queue] == [b"NONE", b"J"]


def test_reinstate_and_cancel_exclude_each_other(stage: Stage) -> None:
    said = stage.say("ALPHA", order("A1", "buy", 5, "10.00", "0", (18, b"J K")))
    assert told(said, 150, 103, 58) == [("ALPHA", "8", "11", "Unsupported ExecInst(18)")]


ONE_OF_TWO = "TimeInForce(59)=6 needs one of ExpireDate(432) and ExpireTime(126)"
TILL = [
    ([(432, b"20240102")], "0", "", ""),
    ([(126, b"20240102-10:00:05")], "0", "", ""),
    ([], "8", "11", ONE_OF_TWO),
    ([(432, b"20240102"), (126, b"20240102-11:00:00")], "8", "11", ONE_OF_TWO),
    ([(432, b"20240101")], "8", "99", "ExpireDate(432) has passed"),
    ([(126, b"20240102-10:00:00")], "8", "99", "ExpireTime(126) has passed"),
    ([(126, b"22000101-10:00:00")], "8", "99", "ExpireTime(126) is not a time"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "exec_type", "reason", "text"), TILL)
def test_a_gtd_order_needs_one_end_that_is_still_to_come(
    stage: Stage, fields: list[Field], exec_type: str, reason: str, text: str
) -> None:
    said = stage.say("ALPHA", order("A1", "buy", 5, "10.00", "6", *fields))
    assert told(said, 150, 103, 58) == [("ALPHA", exec_type, reason, text)]
    if exec_type == "0":
        assert fields[0] in said[0][1], "every report repeats it"


def test_a_gtd_order_expires_at_its_time(stage: Stage) -> None:
    stage.say("ALPHA", order("A1", "buy", 5, "10.00", "6", (126, b"20240102-10:00:05")))
    stage.say("ALPHA", order("A2", "buy", 5, "10.00", "6", (126, b"20240102-10:00:03")))
    assert stage.exchange.next_deadline_ns() == MORNING_NS + 3 * S_NS
    assert told(stage.tick(MORNING_NS + 3 * S_NS), 11, 150, 39, 126) == [("ALPHA", "A2", "C", "C", "20240102-10:00:03")]
    stage.say("ALPHA", request("F", "A1", "A3"))
    assert stage.tick(MORNING_NS + 5 * S_NS) == []


def test_a_gtd_order_with_a_date_lives_through_that_day(stage: Stage) -> None:
    stage.say("ALPHA", order("A1", "buy", 5, "10.00", "6", (432, b"20240103")))
    midnight_ns = MORNING_NS + 14 * 3_600 * S_NS
    assert stage.tick(midnight_ns) == []
    assert told(stage.tick(midnight_ns + 86_400 * S_NS), 11, 150) == [("ALPHA", "A1", "C")]


def test_a_replace_repeats_the_end_of_a_gtd_order_or_leaves_it_out(stage: Stage) -> None:
    stage.say("ALPHA", order("A1", "buy", 5, "10.00", "6", (432, b"20240103")))
    terms = [(38, b"6"), (40, b"2"), (44, b"10.00")]
    said = stage.say("ALPHA", request("G", "A1", "A2", *terms, (432, b"20240104")))
    assert told(said, 35, 102, 58) == [("ALPHA", "9", "2", "ExpireDate(432) differs from the order's")]
    said = stage.say("ALPHA", request("G", "A1", "A2", *terms, (432, b"20240103")))
    assert told(said, 150, 432) == [("ALPHA", "5", "20240103")]


def test_a_call_ends_by_itself_is_judged_and_may_be_prolonged(stage: Stage) -> None:
    heard: list[Call] = []
    phases = stage.exchange.phases
    phases.judges.append(lambda call: stage.now_ns + 5 * S_NS if call.extensions < 1 else 0)
    phases.listeners.append(heard.append)
    stage.say("ALPHA", order("A1", "buy", 5, "10.00"))
    move(stage, "volatility-auction", seconds=10)
    stage.say("BRAVO", order("B1", "sell", 5, "9.99"))
    assert stage.exchange.next_deadline_ns() == MORNING_NS + 10 * S_NS
    assert stage.tick(MORNING_NS + 10 * S_NS) == [] and not heard
    assert len(stage.tick(MORNING_NS + 15 * S_NS)) == 2
    assert [(call.kind, call.found.price, call.found.lots, call.extensions) for call in heard] == [
        (PHASES["volatility-auction"], 1000, 5, 1)
    ]
    assert stage.command("phase", symbol="AAPL")["phase"] == "continuous"


def test_a_random_end_is_drawn_from_the_journal(stage: Stage) -> None:
    phases = stage.exchange.phases
    book = stage.exchange.listings.by_symbol[b"AAPL"].book
    phases.begin_call(book, MORNING_NS + 60 * S_NS, 30 * S_NS)
    first = int(stage.exchange.machine.books[book]["until_ns"])
    assert MORNING_NS + 60 * S_NS <= first <= MORNING_NS + 90 * S_NS
    other = Stage()
    other.exchange.phases.begin_call(book, MORNING_NS + 60 * S_NS, 30 * S_NS)
    assert int(other.exchange.machine.books[book]["until_ns"]) == first, "the same start, the same chance"
    other.exchange.phases.move(book, PHASES["continuous"])
    other.exchange.phases.begin_call(book, MORNING_NS + 60 * S_NS, 30 * S_NS)
    assert int(other.exchange.machine.books[book]["until_ns"]) != first


def test_a_large_auction_goes_on_over_batches_and_comes_back_from_the_journal() -> None:
    stage = Stage(small_config(orders=16_384))
    stage.log_on("ALPHA", "BRAVO")
    move(stage, "opening-auction")
    buyers = 500 if PLAIN else 15_000
    for count in range(buyers):
        stage.feed("ALPHA", stage.frame("ALPHA", order(f"A{count}", "buy", 1, "10.00")))
        if count % 1_000 == 0:
            stage.drain()
    stage.say("BRAVO", order("B1", "sell", buyers, "9.99"))
    batches = len(stage.writer.batches)
    said = move(stage, "continuous")
    assert sum(int(dict(fields)[32]) for _, fields in said) == 2 * buyers
    assert len(stage.writer.batches) - batches == (1 if PLAIN else 2)
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)
    assert broken_laws(stage.exchange) == []


def test_phases_come_back_from_the_journal(stage: Stage) -> None:
    stage.say("ALPHA", order("J", "buy", 5, "10.00", "1", (18, b"J")))
    stage.say("ALPHA", order("GTD", "buy", 5, "10.00", "6", (126, b"20240102-11:00:05")))
    stage.say("BRAVO", order("ATC", "sell", 5, "10.00", "7"))
    stage.command("halt", symbol="AAPL")
    stage.command("phase", symbol="BIG", phase="opening-auction", seconds=100)
    again = replayed(stage)
    assert again.command("phase", symbol="AAPL")["phase"] == "halted"
    assert again.command("phase", symbol="BIG")["until"] == "20240102-10:01:40.000"
    assert broken_laws(again.exchange) == []


def test_orders_that_waited_and_find_no_room_are_cancelled() -> None:
    stage = Stage(small_config(price_levels=16))
    stage.log_on("ALPHA")
    for count in range(40):
        said = stage.say("ALPHA", order(f"A{count}", "buy", 1, f"{1 + 1_000 * count}.00", "7"))
        assert told(said, 150, 636) == [("ALPHA", "0", "N")]
    said = move(stage, "closing-auction")
    kinds = [dict(fields)[150] for _, fields in said]
    assert len(kinds) == 40 and set(kinds) == {b"D", b"4"}
    assert {dict(fields)[378] for _, fields in said} == {b"8"}
    assert broken_laws(stage.exchange) == []
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


BAD = [
    ({"phase": "lunch"}, "unknown phase 'lunch'"),
    ({"phase": "end"}, "AAPL is in no call"),
    ({"phase": "continuous", "seconds": 5}, "5 is no time for a call"),
    ({"phase": "opening-auction", "seconds": 0}, "0 is no time for a call"),
    ({"symbol": "NOPE"}, "unknown symbol 'NOPE'"),
]


@pytest.mark.parametrize(("asked", "error"), BAD)
def test_a_phase_that_cannot_be_is_refused_in_words(stage: Stage, asked: dict[str, Any], error: str) -> None:
    answer = stage.command("phase", **{"symbol": "AAPL", **asked})
    assert not answer["ok"] and error in answer["error"]


def test_a_phase_is_described_in_a_line_or_two(stage: Stage) -> None:
    assert described(stage.command("phase", symbol="AAPL")) == "AAPL is in continuous"
    move(stage, "opening-auction", seconds=90)
    line = "AAPL is in opening-auction until 20240102-10:01:30.000"
    assert described(stage.command("phase", symbol="AAPL")) == f"{line}\nit would come to nothing"
    stage.say("ALPHA", order("A1", "buy", 5, "10.00"))
    stage.say("BRAVO", order("B1", "sell", 7, "10.00"))
    told = described(stage.command("phase", symbol="AAPL"))
    assert told == f"{line}\nit would come to 5 @ 10.00, 2 more would sell"
    move(stage, "end")
    assert described(stage.command("phase", symbol="AAPL")) == "AAPL is in continuous\nthe last auction came to 10.00"
