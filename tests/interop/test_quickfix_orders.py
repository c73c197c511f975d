"""The QuickFIX initiator trades against `fixsim serve`: every order message, every kind of answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import quickfix
from harness import QuickFixClient, ServerProcess, fields, order, stamp

from fixsim.fix import tags
from fixsim.fix.message import Message

BUY, SELL = "1", "2"


@pytest.fixture
def client(server: ServerProcess, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[QuickFixClient]:
    name = request.node.name[:60].upper()
    with QuickFixClient(server.port, tmp_path, sender=name, ResetOnLogon="Y") as client:
        yield client


def shown(report: Message, *wanted: int) -> list[str | None]:
    values = [report.get(tag) for tag in wanted]
    return [None if value is None else value.decode() for value in values]


def group(count_tag: int, first_tag: int, value: str) -> Any:
    entry = quickfix.Group(count_tag, first_tag)
    entry.setField(first_tag, value)
    return entry


def test_a_market_order_fills_against_the_house(client: QuickFixClient) -> None:
    client.send("D", order("M1", BUY, 10, "AAPL"))
    new, trade = client.expect(2, cl_ord_id="M1")
    state = (tags.EXEC_TYPE, tags.ORD_STATUS, tags.CUM_QTY, tags.LEAVES_QTY)
    assert shown(new, *state) == ["0", "0", "0", "10"]
    assert shown(trade, *state) == ["F", "2", "10", "0"]
    assert shown(trade, tags.LAST_PX, tags.LAST_QTY) == ["187.34", "10"]
    assert float(trade.get(tags.AVG_PX, b"")) == 187.34


def test_fractions_of_a_coin_are_traded(client: QuickFixClient) -> None:
    client.send("D", order("B1", SELL, "0.0123", "BTC-USDT"))
    trade = client.expect(1, cl_ord_id="B1", exec_type="F")[0]
    assert shown(trade, tags.LAST_QTY, tags.LAST_PX) == ["0.0123", "64967.50"]


def test_a_limit_order_rests_is_asked_for_replaced_and_cancelled(client: QuickFixClient) -> None:
    client.send("D", order("L1", BUY, 100, "MSFT", "400.00", time_in_force=1))
    new = client.expect(1, cl_ord_id="L1", exec_type="0")[0]
    about = [*fields(symbol="MSFT", side=BUY)]

    client.send("H", [*fields(cl_ord_id="L1"), *about])
    status = client.expect(1, exec_type="I")[0]
    assert shown(status, tags.ORD_STATUS, tags.LEAVES_QTY, tags.EXEC_ID) == ["0", "100", "0"]

    change = fields(orig_cl_ord_id="L1", cl_ord_id="L2", transact_time=stamp(), order_qty=150, ord_type=2, price="401")
    client.send("G", [*change, *about])
    replaced = client.expect(1, exec_type="5")[0]
    wanted = (tags.CL_ORD_ID, tags.ORIG_CL_ORD_ID, tags.ORDER_QTY, tags.PRICE, tags.ORD_STATUS)
    assert shown(replaced, *wanted) == ["L2", "L1", "150", "401.00", "0"]
    assert replaced.get(tags.ORDER_ID) == new.get(tags.ORDER_ID)

    end = fields(orig_cl_ord_id="L2", cl_ord_id="L3", transact_time=stamp(), order_qty=150)
    client.send("F", [*end, *about])
    cancelled = client.expect(1, exec_type="4")[0]
    wanted = (tags.CL_ORD_ID, tags.ORIG_CL_ORD_ID, tags.ORD_STATUS, tags.LEAVES_QTY)
    assert shown(cancelled, *wanted) == ["L3", "L2", "4", "0"]


def test_an_ioc_order_takes_what_there_is(client: QuickFixClient) -> None:
    client.send("D", order("I1", BUY, 1_000_000, "INTC", "31.42", time_in_force=3))
    client.expect(1, cl_ord_id="I1", exec_type="F")
    end = client.expect(1, cl_ord_id="I1", exec_type="4")[0]
    assert shown(end, tags.ORD_STATUS, tags.LEAVES_QTY) == ["4", "0"]


def test_a_fok_order_that_cannot_fill_trades_nothing(client: QuickFixClient) -> None:
    client.send("D", order("K1", BUY, 1_000_000, "INTC", "31.50", time_in_force=4))
    end = client.expect(2, cl_ord_id="K1")[1]
    assert shown(end, tags.EXEC_TYPE, tags.CUM_QTY) == ["4", "0"]


def test_two_clients_trade_with_each_other(
    server: ServerProcess, client: QuickFixClient, tmp_path: Path
) -> None:
    client.send("D", order("S1", SELL, 30, "SAP", "178.40"))
    client.expect(1, cl_ord_id="S1", exec_type="0")
    with QuickFixClient(server.port, tmp_path / "other", sender="OTHER", ResetOnLogon="Y") as other:
        other.send("D", order("X1", BUY, 20, "SAP", "178.40", time_in_force=3))
        taker = other.expect(1, cl_ord_id="X1", exec_type="F")[0]
    maker = client.expect(1, cl_ord_id="S1", exec_type="F")[0]
    same = (tags.LAST_PX, tags.LAST_QTY, tags.TRANSACT_TIME, tags.SECONDARY_EXEC_ID)
    assert shown(taker, *same) == shown(maker, *same)
    assert taker.get(tags.EXEC_ID) != maker.get(tags.EXEC_ID)
    assert shown(maker, tags.ORD_STATUS, tags.LEAVES_QTY) == ["1", "10"]


def test_orders_that_cannot_be_taken_are_refused(client: QuickFixClient) -> None:
    client.send("D", order("R1", BUY, 1, "NOBODY"))
    client.send("D", order("R2", BUY, 1, "AAPL", "1.005"))
    client.send("D", order("R3", BUY, 50, "HSBC", "60.00"))
    refused = client.expect(3, exec_type="8")
    wanted = (tags.CL_ORD_ID, tags.ORD_STATUS, tags.ORD_REJ_REASON, tags.ORDER_ID)
    assert [shown(report, *wanted) for report in refused] == [
        ["R1", "8", "1", "NONE"],
        ["R2", "8", "99", "NONE"],
        ["R3", "8", "13", "NONE"],
    ]


def test_a_cancel_of_an_unknown_order_is_refused(client: QuickFixClient) -> None:
    request = fields(orig_cl_ord_id="GHOST", cl_ord_id="C1", symbol="AAPL", side=BUY)
    client.send("F", [*request, *fields(transact_time=stamp(), order_qty=1)])
    reject = client.expect(1, msg_type="9")[0]
    wanted = (tags.ORDER_ID, tags.ORD_STATUS, tags.CXL_REJ_REASON, tags.CXL_REJ_RESPONSE_TO)
    assert shown(reject, *wanted) == ["NONE", "8", "1", "1"]


def test_a_message_nobody_serves_gets_a_business_reject(client: QuickFixClient) -> None:
    client.send("AF", fields(mass_status_req_id="Q1", mass_status_req_type=7))
    reject = client.expect(1, msg_type="j")[0]
    assert shown(reject, tags.REF_MSG_TYPE, tags.BUSINESS_REJECT_REASON) == ["AF", "3"]


def test_a_message_against_the_dictionary_gets_a_reject(client: QuickFixClient) -> None:
    body = [field for field in order("V1", BUY, 1, "AAPL") if field[0] != tags.SIDE]
    client.send("D", body)
    client.wait(lambda: any(message.msg_type == b"3" for message in client.admin), "a Reject")
    reject = next(message for message in client.admin if message.msg_type == b"3")
    assert shown(reject, tags.REF_TAG_ID, tags.SESSION_REJECT_REASON, tags.REF_MSG_TYPE) == ["54", "1", "D"]


def test_the_list_of_securities_names_everything(client: QuickFixClient) -> None:
    client.send("x", fields(security_req_id="X1", security_list_request_type=4))
    answer = client.expect(1, msg_type="y")[0]
    symbols = {symbol.decode() for symbol in answer.all(tags.SYMBOL)}
    assert symbols == {"AAPL", "MSFT", "INTC", "HSBC", "SAP", "BTC-USDT"}


def test_a_snapshot_shows_the_house_on_both_sides(client: QuickFixClient) -> None:
    request = fields(md_req_id="V1", subscription_request_type=0, market_depth=2)
    kinds = [group(267, 269, "0"), group(267, 269, "1")]
    client.send("V", request, (*kinds, group(146, 55, "HSBC")))
    snapshot = client.expect(1, msg_type="W")[0]
    assert snapshot.all(tags.MD_ENTRY_PX) == [b"62.30", b"62.25", b"62.40", b"62.45"]


def test_a_request_for_updates_is_refused_with_its_reason(client: QuickFixClient) -> None:
    request = fields(md_req_id="V2", subscription_request_type=1, market_depth=0, md_update_type=0)
    client.send("V", request, (group(267, 269, "0"), group(146, 55, "AAPL")))
    reject = client.expect(1, msg_type="Y")[0]
    assert shown(reject, tags.MD_REQ_ID, tags.MD_REQ_REJ_REASON) == ["V2", "4"]
