"""An operator's hand in the market: orders cancelled by the many, trades taken back, and something said to all."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exchange.stage import Field, Said, Stage, rehearsed, small_config
from fixsim.exchange.digest import state_digest
from fixsim.exchange.operator.verbs import VERBS
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.trades import find_trade
from fixsim.layout import Kind

TIME = b"20240102-10:00:00.000"


def order(cl_ord_id: str, *, side: bytes = b"1", price: bytes = b"10.00", qty: bytes = b"100", **more: bytes) -> list[Field]:
    symbol, tif, account = (more.get(name) for name in ("symbol", "tif", "account"))
    return [
        (35, b"D"), (11, cl_ord_id.encode()), *([(1, account)] if account else []), (55, symbol or b"AAPL"), (54, side),
        (38, qty), (40, b"2"), (44, price), (59, tif or b"0"), (60, TIME),
    ]  # fmt: skip


def shown(said: list[Said], *tags: int) -> list[tuple]:
    return [(name, *(dict(fields).get(tag, b"").decode() for tag in tags)) for name, fields in said]


def asked(stage: Stage, verb: str, **arguments) -> list[Said]:
    """What is said because of a command that is carried out."""
    answer, said = stage.commanded(verb, **arguments)
    assert answer["ok"], answer
    return said


def refused(stage: Stage, verb: str, **arguments) -> str:
    before = state_digest(stage.exchange)
    answer, said = stage.commanded(verb, **arguments)
    assert not answer["ok"]
    assert said == []
    assert state_digest(stage.exchange) == before
    return str(answer["error"])


def told(stage: Stage, match_id: int) -> dict[str, Any]:
    """A trade as its reports told it, as arguments."""
    return find_trade(cast(Reader, Journal(stage)), match_id)


class Journal:
    """What a search needs of a journal: batches."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def batches(self) -> list[Any]:
        return [SimpleNamespace(view=view) for _, view in self._stage.writer.batches]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.log_on("ANNA", "BERT")
    return stage


def replays(stage: Stage) -> bool:
    return state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


# ---------------------------------------------------------------- cancel-all


@pytest.mark.parametrize(
    ("which", "gone"),
    [
        ({"session": "ANNA"}, ["A1", "A2", "A3"]),
        ({"symbol": "AAPL"}, ["A1", "A2", "B1"]),
        ({"account": "X"}, ["A2", "B1"]),
        ({"side": "sell"}, ["B1"]),
        ({"session": "ANNA", "symbol": "AAPL", "account": "X"}, ["A2"]),
        ({"session": "BERT", "symbol": "BIG"}, []),
        ({"all": True}, ["A1", "A2", "A3", "B1"]),
    ],
)
def test_every_open_order_that_is_meant_is_cancelled_unasked(stage: Stage, which: dict, gone: list[str]) -> None:
    stage.say("ANNA", order("A1"))
    stage.say("ANNA", order("A2", account=b"X", price=b"9.00"))
    stage.say("ANNA", order("A3", symbol=b"BIG", qty=b"1000"))
    stage.say("BERT", order("B1", side=b"2", price=b"11.00", account=b"X"))
    said = asked(stage, "cancel-all", **which)
    assert [(row[1], row[2:]) for row in shown(said, 11, 150, 39, 378, 41, 151)] == [
        (name, ("4", "4", "8", "", "0")) for name in gone
    ]
    left = {name for bids, asks in stage.books().values() for _, queue in bids + asks for _, name, *_ in queue}
    assert left == {b"A1", b"A2", b"A3", b"B1"} - {name.encode() for name in gone}
    assert replays(stage)


def test_cancel_all_says_which_orders_or_is_refused(stage: Stage) -> None:
    stage.say("ANNA", order("A1"))
    assert "say which orders" in refused(stage, "cancel-all")
    assert "say which orders" in refused(stage, "cancel-all", all="yes")
    assert "unknown session" in refused(stage, "cancel-all", session="NOBODY")
    assert "unknown symbol" in refused(stage, "cancel-all", symbol="NOTHING")
    assert "unknown side" in refused(stage, "cancel-all", side="left")


# ---------------------------------------------------------------- announce


def test_news_reach_all_who_are_logged_on(stage: Stage) -> None:
    stage.exchange.lose_link(stage.links["BERT"], "gone", stage.now_ns)
    said = asked(stage, "announce", headline="Early close", text="Trading ends at 13:00 today")
    assert said == [
        ("ANNA", [(35, b"B"), (42, TIME), (148, b"Early close"), (33, b"1"), (58, b"Trading ends at 13:00 today")])
    ]
    assert replays(stage)


def test_news_for_one_session_wait_for_its_return(stage: Stage) -> None:
    stage.exchange.lose_link(stage.links["BERT"], "gone", stage.now_ns)
    assert shown(asked(stage, "announce", headline="Call us", session="BERT"), 148, 58) == [("BERT", "Call us", "Call us")]


@pytest.mark.parametrize("arguments", [{}, {"headline": ""}, {"headline": "x" * 501}, {"headline": "a", "text": 7}])
def test_news_need_something_to_say(stage: Stage, arguments: dict) -> None:
    assert "a text of 1 to 500 characters" in refused(stage, "announce", **arguments)


def test_who_and_why_of_a_command_are_in_its_record(stage: Stage) -> None:
    stage.exchange.command("announce", {"headline": "Hello"}, "anna", stage.now_ns, "practice")
    stage.exchange.commit()
    (record,) = (r for _, view in stage.writer.batches for r in records(view) if r.kind == Kind.OPERATOR)
    assert json.loads(bytes(record.payload)) == {
        "verb": "announce", "arguments": {"headline": "Hello"}, "who": "anna", "why": "practice",
        "venue_ns": stage.now_ns,
    }  # fmt: skip


# ---------------------------------------------------------------- bust and correct


def test_both_sides_of_a_busted_trade_are_told_and_what_still_rests_works_on(stage: Stage) -> None:
    stage.say("ANNA", order("MAKER", side=b"2", qty=b"300"))
    stage.say("BERT", order("TAKER", qty=b"100"))
    said = asked(stage, "bust", **told(stage, 1))
    assert shown(said, 11, 17, 19, 150, 39, 38, 32, 151, 14, 6, 527) == [
        ("BERT", "TAKER", "5", "3", "H", "4", "100", "", "0", "0", "0", "1"),
        ("ANNA", "MAKER", "6", "4", "H", "0", "300", "", "300", "0", "0", "1"),
    ]
    (price, queue) = stage.books()["AAPL"][1][0]
    assert (str(price), [str(amount) for amount in queue[0][3:]]) == ("10.00", ["300", "0", "300"])
    assert replays(stage)


def test_of_an_order_with_more_trades_only_the_one_is_taken_back(stage: Stage) -> None:
    stage.say("ANNA", order("M1", side=b"2", price=b"10.00"))
    stage.say("ANNA", order("M2", side=b"2", price=b"10.10"))
    stage.say("BERT", order("TAKER", price=b"10.10", qty=b"200"))
    said = asked(stage, "bust", **told(stage, 2))
    assert shown(said, 11, 150, 39, 151, 14, 6) == [
        ("BERT", "TAKER", "H", "4", "0", "100", "10.000000"),
        ("ANNA", "M2", "H", "4", "0", "0", "0"),
    ]
    assert replays(stage)


def test_a_trade_of_an_order_that_was_cancelled_since_is_busted_and_it_stays_cancelled(stage: Stage) -> None:
    stage.say("ANNA", order("MAKER", side=b"2", qty=b"300"))
    stage.say("BERT", order("TAKER", qty=b"100"))
    stage.say("ANNA", [(35, b"F"), (41, b"MAKER"), (11, b"C"), (55, b"AAPL"), (54, b"2"), (60, TIME)])
    assert shown(asked(stage, "bust", **told(stage, 1)), 11, 39, 151, 14) == [
        ("BERT", "TAKER", "4", "0", "0"), ("ANNA", "MAKER", "4", "0", "0"),
    ]  # fmt: skip


def test_a_corrected_price_is_told_to_both_and_changes_no_quantity(stage: Stage) -> None:
    stage.say("ANNA", order("MAKER", side=b"2"))
    stage.say("BERT", order("TAKER"))
    said = asked(stage, "correct", **told(stage, 1), price="10.50")
    assert shown(said, 11, 19, 150, 39, 32, 31, 151, 14, 6) == [
        ("BERT", "TAKER", "3", "G", "2", "100", "10.50", "0", "100", "10.500000"),
        ("ANNA", "MAKER", "4", "G", "2", "100", "10.50", "0", "100", "10.500000"),
    ]
    said = asked(stage, "correct", **told(stage, 1), quantity="60")
    assert shown(said, 11, 19, 150, 39, 32, 31, 151, 14, 6) == [
        ("BERT", "TAKER", "5", "G", "4", "60", "10.50", "0", "60", "10.500000"),
        ("ANNA", "MAKER", "6", "G", "4", "60", "10.50", "0", "60", "10.500000"),
    ]
    assert shown(asked(stage, "bust", **told(stage, 1)), 11, 19, 150, 39, 14) == [
        ("BERT", "TAKER", "7", "H", "4", "0"), ("ANNA", "MAKER", "8", "H", "4", "0"),
    ]  # fmt: skip
    assert replays(stage)


def test_a_report_of_a_bust_goes_back_the_way_the_order_came(stage: Stage) -> None:
    stage.say("ANNA", [(35, b"D"), (50, b"DESK"), *order("MAKER", side=b"2", account=b"X")[1:]])
    stage.say("BERT", order("TAKER"))
    said = asked(stage, "bust", **told(stage, 1))
    assert shown(said, 57, 1) == [("BERT", "", ""), ("ANNA", "DESK", "X")]


def test_a_trade_that_cannot_be_amended_is_refused_and_nothing_changes(stage: Stage) -> None:
    stage.say("ANNA", order("MAKER", side=b"2"))
    stage.say("BERT", order("TAKER"))
    trade = told(stage, 1)
    for name in trade:
        assert f"{name} is None" in refused(stage, "bust", **(trade | {name: None}))
    for name, value in (("match_id", 2), ("buy_exec_id", 99)):
        assert "with these ExecIDs" in refused(stage, "bust", **(trade | {name: value}))
    assert "is forgotten" in refused(stage, "bust", **(trade | {"buy_order_id": 3}))
    assert "two sides" in refused(stage, "bust", **(trade | {"buy_order_id": 1, "sell_order_id": 2}))
    assert "is no trade in AAPL" in refused(stage, "bust", **(trade | {"last_px": "10.001"}))
    assert "more than its orders" in refused(stage, "bust", **(trade | {"last_qty": "101"}))
    assert "a decimal number as text" in refused(stage, "correct", **trade, price=10)
    assert "say quantity, price or both" in refused(stage, "correct", **trade)
    assert "has that quantity and price" in refused(stage, "correct", **trade, price="10.00")
    for quantity in ("0", "-1", "101", "1.5", "x"):
        assert "is not above 0" in refused(stage, "correct", **trade, quantity=quantity)
    for price in ("0", "-1", "10.001", "x"):
        assert "is no price of AAPL" in refused(stage, "correct", **trade, price=price)
    asked(stage, "bust", **trade)
    assert "was busted before" in refused(stage, "bust", **trade)


def test_a_trade_of_an_earlier_day_whose_orders_are_forgotten_is_refused(stage: Stage) -> None:
    stage.say("ANNA", order("MAKER", side=b"2"))
    stage.say("BERT", order("TAKER"))
    stage.tick((stage.now_ns // 86_400_000_000_000 + 1) * 86_400_000_000_000)
    assert "is forgotten" in refused(stage, "bust", **told(stage, 1))


# ---------------------------------------------------------------- OrderMassCancelRequest(q)


def mass(cl_ord_id: str, kind: bytes, *more: Field) -> list[Field]:
    return [(35, b"q"), (11, cl_ord_id.encode()), (530, kind), *more, (60, TIME)]


def test_a_session_cancels_all_its_orders_and_nobody_elses(stage: Stage) -> None:
    stage.say("ANNA", order("A1"))
    stage.say("ANNA", order("A2", symbol=b"BIG", qty=b"1000"))
    stage.say("BERT", order("B1"))
    said = stage.say("ANNA", mass("Q", b"7"))
    assert said[0][1] == [
        (35, b"r"), (11, b"Q"), (37, b"4"), (530, b"7"), (531, b"7"), (533, b"2"), (60, TIME),
    ]  # fmt: skip
    assert shown(said[1:], 11, 41, 150, 39, 378) == [("ANNA", "A1", "", "4", "4", ""), ("ANNA", "A2", "", "4", "4", "")]
    assert shown(stage.say("ANNA", mass("Q", b"7")), 35, 533) == [("ANNA", "r", "0")]
    assert replays(stage)


def test_a_session_cancels_one_side_of_one_instrument(stage: Stage) -> None:
    stage.say("ANNA", order("A1"))
    stage.say("ANNA", order("A2", side=b"2", price=b"11.00"))
    stage.say("ANNA", order("A3", symbol=b"BIG", qty=b"1000"))
    said = stage.say("ANNA", mass("Q", b"1", (55, b"AAPL"), (54, b"2")))
    assert shown(said, 35, 11, 531, 533, 55, 54) == [
        ("ANNA", "r", "Q", "1", "1", "AAPL", "2"), ("ANNA", "8", "A2", "", "", "AAPL", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "reason", "text"),
    [
        (mass("Q", b"2"), "0", "Unsupported MassCancelRequestType(530)"),
        (mass("Q", b"1"), "1", "Unknown Symbol(55)"),
        (mass("Q", b"1", (55, b"NOTHING")), "1", "Unknown Symbol(55)"),
        (mass("Q", b"7", (54, b"3")), "99", "Unsupported Side(54)"),
        (mass("Q" * 65, b"7"), "99", "ClOrdID(11) is longer than 64 bytes"),
    ],
)
def test_a_mass_cancel_that_cannot_be_served_is_refused(request_: list[Field], reason: str, text: str) -> None:
    stage = Stage()
    stage.log_on("ANNA")
    stage.say("ANNA", order("A1"))
    assert shown(stage.say("ANNA", request_), 37, 531, 532, 533, 58) == [("ANNA", "NONE", "0", reason, "0", text)]
    assert stage.books()["AAPL"][0]


def test_a_mass_cancel_without_its_fields_is_a_business_reject_where_nobody_validates() -> None:
    stage = Stage(small_config("off"))
    stage.log_on("ANNA")
    assert shown(stage.say("ANNA", [(35, b"q"), (530, b"7"), (60, TIME)]), 35, 380) == [("ANNA", "j", "5")]
    assert shown(stage.say("ANNA", [(35, b"q"), (11, b"Q"), (60, TIME)]), 35, 380) == [("ANNA", "j", "5")]


# ---------------------------------------------------------------- names and numbers that nobody has

#: Arguments with which each verb gets to where it looks at the others.
GOOD: dict[str, dict[str, Any]] = {
    "kill": {"switch": "on", "scope": "account", "name": "X"}, "book": {"symbol": "AAPL", "depth": 1},
    "phase": {"symbol": "AAPL", "phase": "opening-auction", "seconds": 1},
    "announce": {"headline": "h", "text": "t", "session": "ANNA"},
    "cancel-all": {"session": "ANNA", "symbol": "AAPL", "account": "X", "side": "buy", "all": True},
    "sessions.set-next": {"session": "CARL", "in": 1, "out": 1}, "sessions.show": {"session": "ANNA"},
    "sessions.disconnect": {"session": "ANNA", "text": "t"}, "sessions.reset": {"session": "CARL"}, "shutdown": {"text": "t"},
    "clock.advance": {"by_ns": 1}, "clock.set": {"to_ns": 1}, "limits.show": {"scope": "account", "name": "X"},
    "limits.reset": {"scope": "account", "name": "X"}, "halt": {"symbol": "AAPL"}, "resume": {"symbol": "AAPL"},
    "journal.retire": {"floor": 0}, "calendar": {"changes": {}}, "clock.show": {}, "clock.next": {},
    "correct": {"quantity": "1", "price": "1"}, "bust": {},
}  # fmt: skip
ODD = (
    "\u20ac", "\U0001f600", "caf\u00e9", "", "*", "x" * 5_000, "nan", "1e999999999", "-1", 0, -1, 1 << 31, 1 << 64, 10**100,
    1.5, 5e-324, 1e308, True, None,
)  # fmt: skip


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_whatever_a_command_names_it_is_answered_in_one_line(verb: str) -> None:
    stage = Stage()
    stage.log_on("ANNA", "BERT", "CARL")
    stage.exchange.lose_link(stage.links["CARL"], "gone", stage.now_ns)
    stage.say("ANNA", order("A1", account=b"X"))
    stage.say("BERT", order("B1", side=b"2", account=b"X", qty=b"10"))
    good = GOOD[verb] | (told(stage, 1) if verb in ("bust", "correct") else {})
    for name in good:
        for value in ODD:
            answer = stage.exchange.command(verb, good | {name: value}, "anna", stage.now_ns)
            assert answer["ok"] or "\n" not in answer["error"]
            json.dumps(answer)
            stage.exchange.commit()


@pytest.mark.parametrize("scope", ["session", "firm", "account", "symbol"])
@pytest.mark.parametrize("switch", ["on", "off"])
def test_nobody_is_killed_by_a_name_that_no_message_can_say(stage: Stage, scope: str, switch: str) -> None:
    stage.say("ANNA", order("A1", account=b"X"))
    assert refused(stage, "kill", switch=switch, scope=scope, name="\u20ac") == f"unknown {scope} '\u20ac'"


def test_an_account_beyond_ascii_is_killed_by_what_its_bytes_are_shown_as(stage: Stage) -> None:
    stage.say("ANNA", order("A1", account=b"caf\xe9"))
    answer, _ = stage.commanded("kill", switch="on", scope="account", name="caf\u00e9")
    assert answer["cancelled"] == 1
    assert replays(stage)
