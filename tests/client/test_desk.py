"""`Client` on a real socket, against the acceptor role of the session layer."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptor import Answer, Peer, acknowledge, report

from fixsim.client import Client
from fixsim.client.faults import ConnectionLost, LogonRefused, NoAnswer, NobodyListens
from fixsim.client.store import FileStore
from fixsim.errors import UsageError
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType, OrdStatus


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def client_of(peer: Peer, **options: object) -> Client:
    return Client("127.0.0.1", peer.port, "ALICE", "FIXSIM", **{"timeout_s": 3.0, **options})  # type: ignore[arg-type]


def test_a_limit_order_is_sent_and_followed(peer: Peer) -> None:
    with client_of(peer) as client:
        order = client.buy(100, "AAPL", limit="187.25", tif="gtc", account="ACC")
    (sent,) = peer.received
    wanted = {
        tags.ACCOUNT: b"ACC",
        tags.SYMBOL: b"AAPL",
        tags.SIDE: b"1",
        tags.ORDER_QTY: b"100",
        tags.ORD_TYPE: b"2",
        tags.PRICE: b"187.25",
        tags.TIME_IN_FORCE: b"1",
    }
    assert {tag: sent.get(tag) for tag in wanted} == wanted
    assert (order.ord_status, order.closed, order.rejected, order.leaves_qty) == (b"0", False, False, "100")


def test_an_order_without_limit_is_a_market_order(peer: Peer) -> None:
    with client_of(peer) as client:
        client.sell("0.5", "BTC-USDT")
    assert peer.received[0].get(tags.ORD_TYPE) == b"1"
    assert tags.PRICE not in peer.received[0]


def test_fills_that_follow_are_there_when_the_call_returns(peer: Peer) -> None:
    def fill(message: Message) -> list[Answer]:
        trade = {"last_qty": b"40", "last_px": b"10", "cum_qty": b"40", "leaves_qty": b"60"}
        return [*acknowledge(message), report(message, ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, **trade)]

    peer.rules = fill
    with client_of(peer) as client:
        order = client.buy(100, "AAPL", limit="10")
        assert [report.get(tags.EXEC_TYPE) for report in order.reports] == [b"0", b"F"]
        assert (order.cum_qty, order.leaves_qty, len(order.fills)) == ("40", "60", 1)


def test_a_cancel_names_the_order_and_closes_it(peer: Peer) -> None:
    with client_of(peer) as client:
        order = client.buy(100, "AAPL", limit="10", cl_ord_id="MINE")
        answer = client.cancel("MINE")
        assert answer.get(tags.EXEC_TYPE) == ExecType.CANCELED
        assert order.closed
    assert peer.received[1].get(tags.ORIG_CL_ORD_ID) == b"MINE"


def test_a_replace_moves_the_order_to_its_new_id(peer: Peer) -> None:
    with client_of(peer) as client:
        order = client.buy(100, "AAPL", limit="10", cl_ord_id="OLD")
        client.replace(order, qty=200, cl_ord_id="NEW")
        assert (order.cl_ord_id, order.order_qty, order.price) == ("NEW", "200", "10")
        client.cancel("OLD")
    assert peer.received[1].get(tags.PRICE) == b"10"
    assert peer.received[2].get(tags.ORIG_CL_ORD_ID) == b"NEW"


def test_a_cancel_reject_is_the_answer_and_leaves_the_order_open(peer: Peer) -> None:
    def too_late(message: Message) -> list[Answer]:
        if message.msg_type != MsgType.ORDER_CANCEL_REQUEST:
            return acknowledge(message)
        copied = [(tag, message.get(tag, b"")) for tag in (tags.CL_ORD_ID, tags.ORIG_CL_ORD_ID)]
        return [(MsgType.ORDER_CANCEL_REJECT, [*copied, (tags.CXL_REJ_REASON, b"0")])]

    peer.rules = too_late
    with client_of(peer) as client:
        order = client.buy(100, "AAPL", limit="10")
        assert client.cancel(order).msg_type == MsgType.ORDER_CANCEL_REJECT
        assert order.answer is not None
        assert not order.closed


def test_an_order_of_another_process_is_asked_for_before_it_is_cancelled(peer: Peer) -> None:
    def remember(message: Message) -> list[Answer]:
        if message.msg_type != MsgType.ORDER_STATUS_REQUEST:
            return acknowledge(message)
        known = {"symbol": b"MSFT", "side": b"2", "order_qty": b"7", "order_id": b"12"}
        return [report(message, ExecType.ORDER_STATUS, OrdStatus.NEW, **known)]

    peer.rules = remember
    with client_of(peer) as client:
        client.cancel("EARLIER")
    cancel = peer.received[-1]
    asked = [cancel.get(tag) for tag in (tags.SYMBOL, tags.SIDE, tags.ORDER_QTY)]
    assert asked == [b"MSFT", b"2", b"7"]


def test_a_cancel_of_what_nobody_knows_is_not_sent(peer: Peer) -> None:
    peer.rules = lambda message: [
        report(message, ExecType.ORDER_STATUS, OrdStatus.REJECTED, order_id=b"NONE", ord_rej_reason=b"5")
    ]
    with client_of(peer) as client:
        answer = client.cancel("NEVER")
    assert answer.get(tags.ORD_REJ_REASON) == b"5"
    assert [message.msg_type for message in peer.received] == [MsgType.ORDER_STATUS_REQUEST]


def test_a_business_reject_is_an_answer_to_what_it_names(peer: Peer) -> None:
    with client_of(peer) as client:
        assert client.symbols().msg_type == MsgType.BUSINESS_MESSAGE_REJECT
        assert client.book("AAPL", 3).msg_type == MsgType.BUSINESS_MESSAGE_REJECT
    assert peer.received[1].all(tags.MD_ENTRY_TYPE) == [b"0", b"1", b"2"]


def test_a_reject_of_an_order_makes_it_rejected(peer: Peer) -> None:
    peer.rules = lambda message: [
        (MsgType.BUSINESS_MESSAGE_REJECT, [(tags.REF_SEQ_NUM, message.get(tags.MSG_SEQ_NUM, b""))])
    ]
    with client_of(peer) as client:
        assert client.buy(1, "AAPL").rejected


def test_nobody_listening_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NobodyListens, match=f"nobody listens at 127.0.0.1:{port}"):
        Client("127.0.0.1", port, "ALICE", "FIXSIM").connect()


def test_a_refused_logon_says_why(peer: Peer) -> None:
    peer.core.verdict = "Bad credentials"
    with pytest.raises(LogonRefused, match="Bad credentials"):
        client_of(peer).connect()


def test_silence_is_told_after_the_timeout(peer: Peer) -> None:
    peer.rules = lambda message: []
    with client_of(peer, timeout_s=0.2) as client, pytest.raises(NoAnswer, match="did not answer"):
        client.buy(1, "AAPL")


def test_a_lost_connection_is_told_and_the_session_goes_on(peer: Peer) -> None:
    with client_of(peer) as client:
        client.buy(1, "AAPL", limit="1")
        peer.cut()
        with pytest.raises(ConnectionLost):
            client.wait_until(lambda: False, "nothing")
        with pytest.raises(ConnectionLost, match="not logged on"):
            client.buy(1, "AAPL", limit="1")
        client.connect()
        assert client.buy(2, "AAPL", limit="1").ord_status == b"0"
        assert client.core.store.next_out == peer.core.store.next_in


def test_a_report_said_to_a_dead_connection_comes_after_the_reconnect(peer: Peer) -> None:
    with client_of(peer) as client:
        order = client.buy(1, "AAPL", limit="1")
        peer.cut()
        with pytest.raises(ConnectionLost):
            client.wait_until(lambda: False, "nothing")
        body = report(order.reports[0], ExecType.TRADE, OrdStatus.FILLED, cum_qty=b"1", leaves_qty=b"0")[1]
        peer.core.say(MsgType.EXECUTION_REPORT, body, time.time_ns())
        peer.core.take_bytes()
        client.connect()
        client.wait_until(lambda: order.closed, "the fill")
        assert order.reports[-1].get(tags.POSS_DUP_FLAG) == b"Y"


def test_a_client_with_a_store_continues_in_another_process(peer: Peer, tmp_path: Path) -> None:
    for expected in (b"2", b"5"):  # a Logon, the order, a TestRequest, a Logout; then a Logon and the order
        with client_of(peer, store=FileStore(tmp_path)) as client:
            client.buy(1, "AAPL", limit="1")
        assert peer.received[-1].get(tags.MSG_SEQ_NUM) in (expected, b"6")


def test_an_unknown_tif_is_a_usage_error(peer: Peer) -> None:
    with client_of(peer) as client, pytest.raises(UsageError, match="--tif sometime"):
        client.buy(1, "AAPL", tif="sometime")
