"""The QuickFIX initiator's session against `fixsim serve`: gaps, resends, resets, reconnects and kill -9."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import QuickFixClient, ServerProcess, fields, order

from fixsim.fix import tags
from fixsim.fix.message import Message

BUY, SELL = "1", "2"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[:60].upper()


@pytest.fixture
def client(server: ServerProcess, tmp_path: Path, name: str) -> Iterator[QuickFixClient]:
    with QuickFixClient(server.port, tmp_path / "client", sender=name) as client:
        yield client


def of_type(messages: list[Message], msg_type: bytes) -> list[Message]:
    return [message for message in messages if message.msg_type == msg_type]


def test_heartbeats_and_test_requests_are_answered(server: ServerProcess, tmp_path: Path, name: str) -> None:
    with QuickFixClient(server.port, tmp_path, sender=name, HeartBtInt=1) as client:
        client.send("1", fields(test_req_id="ARE-YOU-THERE"))
        client.wait(
            lambda: any(message.get(tags.TEST_REQ_ID) == b"ARE-YOU-THERE" for message in client.admin), "an echo"
        )
        client.wait(lambda: len(of_type(client.admin, b"0")) >= 3, "heartbeats")
        assert client.logouts == 0


def test_a_client_that_lost_its_place_gets_the_same_reports_again(client: QuickFixClient) -> None:
    for number in range(3):
        client.send("D", order(f"A{number}", BUY, 1, "AAPL", "1.00"))
    first = client.expect(3, exec_type="0")
    client.wait(lambda: client.session.getExpectedTargetNum() == 5, "the count of the third report")
    client.session.setNextTargetMsgSeqNum(2)
    client.send("D", order("LAST", BUY, 1, "AAPL", "1.00"))
    client.expect(1, cl_ord_id="LAST")
    client.wait(lambda: len(client.application) >= 7, "the resent reports")
    again = [message for message in client.application[3:] if message.get(tags.POSS_DUP_FLAG) == b"Y"]
    for tag in (tags.MSG_SEQ_NUM, tags.EXEC_ID, tags.CL_ORD_ID):
        assert [message.get(tag) for message in again[:3]] == [message.get(tag) for message in first]
    assert [message.get(tags.ORIG_SENDING_TIME) for message in again[:3]] == [
        message.get(tags.SENDING_TIME) for message in first
    ]


def test_a_gap_of_the_client_is_asked_for_and_closed(client: QuickFixClient) -> None:
    client.send("D", order("ONE", BUY, 1, "AAPL", "1.00"))
    client.expect(1, cl_ord_id="ONE")
    client.session.setNextSenderMsgSeqNum(10)
    client.send("D", order("TWO", BUY, 1, "AAPL", "1.00"))
    client.expect(1, cl_ord_id="TWO", exec_type="0")
    (request,) = of_type(client.admin, b"2")
    assert request.get(tags.BEGIN_SEQ_NO) == b"3"
    client.send("D", order("THREE", BUY, 1, "AAPL", "1.00"))
    client.expect(1, cl_ord_id="THREE", exec_type="0")
    assert len(of_type(client.admin, b"2")) == 1


def test_a_sequence_reset_moves_the_expected_number(client: QuickFixClient) -> None:
    client.send("4", fields(gap_fill_flag="N", new_seq_no=50))
    client.session.setNextSenderMsgSeqNum(50)
    client.send("D", order("AFTER", BUY, 1, "AAPL", "1.00"))
    client.expect(1, cl_ord_id="AFTER", exec_type="0")
    assert of_type(client.admin, b"2") == of_type(client.admin, b"3") == []


def test_a_number_that_is_too_low_ends_the_session_with_the_reason(
    server: ServerProcess, tmp_path: Path, name: str
) -> None:
    client = QuickFixClient(server.port, tmp_path, sender=name)
    client.start()
    for number in range(3):
        client.send("D", order(f"A{number}", BUY, 1, "AAPL", "1.00"))
    client.expect(3, exec_type="0")
    client.session.setNextSenderMsgSeqNum(2)
    client.send("D", order("LOW", BUY, 1, "AAPL", "1.00"))
    client.wait(lambda: bool(of_type(client.admin, b"5")), "a Logout")
    assert b"MsgSeqNum too low, expecting 5 but received 2" in of_type(client.admin, b"5")[0].get(tags.TEXT, b"")
    client.drop()


def test_a_client_that_comes_back_continues_where_it_was(
    server: ServerProcess, tmp_path: Path, name: str
) -> None:
    with QuickFixClient(server.port, tmp_path, sender=name) as client:
        client.send("D", order("FIRST", BUY, 1, "AAPL", "1.00"))
        client.expect(1, cl_ord_id="FIRST")
        said = client.session.getExpectedSenderNum()
    again = QuickFixClient(server.port, tmp_path, sender=name)
    with again:
        assert again.session.getExpectedSenderNum() > said
        again.send("D", order("SECOND", BUY, 1, "AAPL", "1.00"))
        again.expect(1, cl_ord_id="SECOND")
        assert of_type(again.admin, b"2") == []


def test_a_client_that_forgot_everything_may_reset(server: ServerProcess, tmp_path: Path, name: str) -> None:
    with QuickFixClient(server.port, tmp_path / "old", sender=name) as client:
        client.send("D", order("RESTING", BUY, 1, "AAPL", "1.00", time_in_force=1))
        client.expect(1, cl_ord_id="RESTING")
    with QuickFixClient(server.port, tmp_path / "new", sender=name, ResetOnLogon="Y") as client:
        assert of_type(client.admin, b"A")[0].get(tags.MSG_SEQ_NUM) == b"1"
        client.send("H", fields(cl_ord_id="RESTING", symbol="AAPL", side=BUY))
        assert client.expect(1, exec_type="I")[0].get(tags.ORD_STATUS) == b"0"


def test_a_fill_while_the_client_was_away_comes_at_its_return(
    server: ServerProcess, tmp_path: Path, name: str
) -> None:
    away = QuickFixClient(server.port, tmp_path / "away", sender=name)
    away.start()
    away.send("D", order("REST", SELL, 5, "SAP", "178.34"))
    away.expect(1, cl_ord_id="REST", exec_type="0")
    away.drop()
    with QuickFixClient(server.port, tmp_path / "other", sender=name[:50] + "-OTHER") as other:
        other.send("D", order("TAKE", BUY, 5, "SAP", "178.34", time_in_force=3))
        taken = other.expect(1, cl_ord_id="TAKE", exec_type="F")[0]
    away.application.clear()
    with away:
        filled = away.expect(1, cl_ord_id="REST", exec_type="F")[0]
        assert filled.get(tags.POSS_DUP_FLAG) == b"Y"
        assert filled.get(tags.SECONDARY_EXEC_ID) == taken.get(tags.SECONDARY_EXEC_ID)


def test_after_kill_minus_nine_sessions_books_and_missed_reports_are_back(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        maker = QuickFixClient(server.port, tmp_path / "maker", sender="MAKER")
        taker = QuickFixClient(server.port, tmp_path / "taker", sender="TAKER")
        maker.start()
        maker.send("D", order("FIRST", SELL, 10, "MSFT", "415.50", time_in_force=1))
        maker.send("D", order("SECOND", SELL, 10, "MSFT", "415.50", time_in_force=1))
        maker.expect(2, exec_type="0")
        maker.drop()
        taker.start()
        taker.send("D", order("T1", BUY, 4, "MSFT", "415.50", time_in_force=3))
        before = taker.expect(1, cl_ord_id="T1", exec_type="F")[0]
        # what QuickFIX expects next moves on only behind the callback that has just been heard: the report says it itself
        heard, sent = before.get_int(tags.MSG_SEQ_NUM) or 0, taker.session.getExpectedSenderNum()

        server.kill()
        taker.wait(lambda: taker.logouts == 1, "the loss of the connection")
        server.start()

        taker.wait(lambda: taker.logons == 2, "a second Logon", timeout_s=20)
        # QuickFIX uses up a number for each vain attempt to connect; the exchange uses none meanwhile
        assert of_type(taker.admin, b"A")[-1].get_int(tags.MSG_SEQ_NUM) == heard + 1
        assert taker.session.getExpectedSenderNum() > sent
        taker.send("D", order("T2", BUY, 10, "MSFT", "415.50", time_in_force=3))
        after = taker.expect(2, cl_ord_id="T2", exec_type="F")
        assert int(after[0].get(tags.EXEC_ID, b"")) > int(before.get(tags.EXEC_ID, b""))

        maker.application.clear()
        maker.start()
        fills = maker.expect(3, exec_type="F")
        told = [(fill.get(tags.CL_ORD_ID), fill.get(tags.LAST_QTY), fill.get(tags.LEAVES_QTY)) for fill in fills]
        assert told == [(b"FIRST", b"4", b"6"), (b"FIRST", b"6", b"0"), (b"SECOND", b"4", b"6")]
        assert [fill.get(tags.SECONDARY_EXEC_ID) for fill in fills] == [
            report.get(tags.SECONDARY_EXEC_ID) for report in (before, *after)
        ]
        time.sleep(0.2)
        assert len(maker.application) == 3
        maker.stop()
        taker.stop()


def test_a_stopping_exchange_logs_everybody_out(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        client = QuickFixClient(server.port, tmp_path / "client")
        client.start()
        assert server.stop() == 0
        client.wait(lambda: bool(of_type(client.admin, b"5")), "a Logout")
        client.drop()
