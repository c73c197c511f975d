"""What holds of the oracle under any flow of messages, and of the flows themselves."""

from collections import Counter
from decimal import Decimal

import pytest
from flows import FLAWS, LISTINGS, Message, Step, compose, flows, frames, seeded_flow
from hypothesis import given, settings
from oracle_stage import MORNING_NS

from fixsim.reference.check import ReportChecker
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.message import Inbound
from fixsim.reference.report import Reply
from fixsim.reference.sight import BookState


def run(flow: list[Message]) -> tuple[ReferenceExchange, list[list[Reply]]]:
    """An exchange after `flow`, and the replies to each message."""
    exchange = ReferenceExchange(LISTINGS)
    return exchange, [exchange.receive(session, fields, MORNING_NS) for session, fields in flow]


@given(flows())
def test_reports_keep_the_invariants(flow: list[Message]) -> None:
    checker = ReportChecker()
    for replies in run(flow)[1]:
        for reply in replies:
            checker.see(reply.fields, reply.session)
    checker.finish()


@given(flows())
def test_books_are_never_crossed(flow: list[Message]) -> None:
    exchange = ReferenceExchange(LISTINGS)
    for session, fields in flow:
        exchange.receive(session, fields, MORNING_NS)
        for bids, asks in exchange.state().values():
            assert not bids or not asks or bids[0][0] < asks[0][0]


@given(flows())
def test_what_is_bought_is_sold_and_quantities_are_conserved(flow: list[Message]) -> None:
    exchange, replies = run(flow)
    bought: Counter[bytes] = Counter()
    for reply in (reply for group in replies for reply in group):
        values = dict(reply.fields)
        if values.get(150) == b"F":
            bought[values[55]] += Decimal(values[32].decode()) * (1 if values[54] == b"1" else -1)  # type: ignore[assignment]
    assert not any(bought.values())
    for order in exchange.names.values():
        assert order.leaves == (order.qty - order.cum if order.is_open else 0)
        assert order.is_open == (order.waits or order in exchange.books[order.symbol].own(order))
        assert order.is_open == (order.order_id in exchange.open)


@given(flows())
def test_every_message_is_answered_to_its_sender(flow: list[Message]) -> None:
    for (session, _), replies in zip(flow, run(flow)[1], strict=True):
        assert replies, "somebody would wait for ever"
        assert replies[0].session == session


@given(flows())
def test_ids_are_counted_in_the_order_they_are_said(flow: list[Message]) -> None:
    replies = [dict(reply.fields) for group in run(flow)[1] for reply in group]
    exec_ids = [int(one[17]) for one in replies if one[35] == b"8" and one[150] != b"I"]
    order_ids = [int(one[37]) for one in replies if one.get(150) == b"0"]
    match_ids = [int(one[527]) for one in replies if 527 in one]
    assert exec_ids == list(range(1, len(exec_ids) + 1))
    assert order_ids == list(range(1, len(order_ids) + 1))
    assert match_ids == [1 + half // 2 for half in range(len(match_ids))]


@given(flows())
def test_a_refused_message_changes_nothing(flow: list[Message]) -> None:
    exchange = ReferenceExchange(LISTINGS)
    for session, fields in flow:
        before = state_of(exchange)
        replies = exchange.receive(session, fields, MORNING_NS)
        kinds = {(dict(reply.fields)[35], dict(reply.fields).get(150)) for reply in replies}
        if kinds <= {(b"8", b"8"), (b"8", b"I"), (b"9", None), (b"j", None), (b"W", None), (b"y", None)}:
            assert state_of(exchange) == before


def state_of(exchange: ReferenceExchange) -> tuple[dict[str, BookState], int, int, list[tuple[str, bytes]]]:
    return exchange.state(), exchange.order_id, exchange.match_id, list(exchange.names)


@settings(max_examples=30)
@given(flows())
def test_frames_and_fields_mean_the_same(flow: list[Message]) -> None:
    exchange, replies = run(flow)
    other = ReferenceExchange(LISTINGS)
    for (session, frame), expected in zip(frames(flow), replies, strict=True):
        said = other.receive(session, frame, MORNING_NS)
        if expected[0].fields[0] != (35, b"j"):  # j names the MsgSeqNum, which only the frame has
            assert said == expected
    assert other.digest() == exchange.digest()


def test_seeded_flow_is_the_same_every_time() -> None:
    first, second = list(seeded_flow(seed=5, count=500)), list(seeded_flow(seed=5, count=500))
    assert first == second
    assert first != list(seeded_flow(seed=6, count=500))
    assert run(first)[0].digest() == run(second)[0].digest()


def test_digest_sees_a_change_of_place_in_the_queue() -> None:
    texts = []
    for pair in (("ALPHA", "BRAVO"), ("BRAVO", "ALPHA")):
        exchange = ReferenceExchange(LISTINGS)
        for session in pair:
            fields = [(35, b"D"), (11, b"a"), (55, b"AAPL"), (54, b"1"), (38, b"5"), (40, b"2"), (44, b"1")]
            exchange.receive(session, fields, MORNING_NS)
        texts.append(exchange.digest())
    assert texts[0] != texts[1]


#: Everything the exchange can say in Text(58) to the messages of a flow.
TEXTS = {
    "Account(1) is longer than 64 bytes",
    "ClOrdID(11) is longer than 64 bytes",
    "Duplicate ClOrdID(11)",
    "ExecInst(18) differs from the order's",
    "ExpireDate(432) has passed",
    "ExpireTime(126) has passed",
    "OrdType(40) differs from the order's",
    "OrderQty(38) exceeds the maximum",
    "OrderQty(38) is below the minimum",
    "OrderQty(38) is missing",
    "OrderQty(38) is not a positive number",
    "OrderQty(38) is off the lot grid",
    "Price(44) does not belong to a market order",
    "Price(44) exceeds the maximum",
    "Price(44) is missing",
    "Price(44) is not a positive number",
    "Price(44) is off the tick grid",
    "Routing fields are longer than 240 bytes",
    "TimeInForce(59) differs from the order's",
    "TimeInForce(59)=6 needs one of ExpireDate(432) and ExpireTime(126)",
    "Too late for the opening auction",
    "Too late to cancel",
    "Unknown Symbol(55)",
    "Unknown order",
    "Unsupported ExecInst(18)",
    "Unsupported ExpireDate(432)",
    "Unsupported MDEntryType(269)",
    "Unsupported MarketDepth(264)",
    "Unsupported MaxFloor(111)",
    "Unsupported Message Type",
    "Unsupported MinQty(110)",
    "Unsupported OrdType(40)",
    "Unsupported PegOffsetValue(211)",
    "Unsupported Side(54)",
    "Unsupported SubscriptionRequestType(263)",
    "Unsupported TimeInForce(59)",
}


@pytest.mark.parametrize("seed", [1, 2])
def test_seeded_flow_reaches_every_kind_of_answer(seed: int) -> None:
    kinds, texts = set(), set()
    for group in run(list(seeded_flow(seed, 12_000, flawed=0.25)))[1]:
        for reply in group:
            values = dict(reply.fields)
            kinds.add((values[35].decode(), values.get(150, b"").decode()))
            texts.add(values.get(58, b"").decode())
    assert kinds == {("8", kind) for kind in "045F8I"} | {(kind, "") for kind in "9jyWY"}
    assert {text for text in texts if text and not text.startswith("tick=")} == TEXTS


def test_every_flaw_makes_a_message() -> None:
    for flaw in FLAWS:
        for verb in ("D", "F", "G", "H", "x", "V", "R"):
            ((_, fields),) = compose([Step(verb=verb, flaw=flaw, routed=True)])
            assert Inbound(fields).msg_type == verb.encode()
