"""A QuickFIX client lives through a trading day, which passes in seconds: every phase of sessions/trading-day.toml."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, QuickFixClient, ServerProcess, fields, order

from fixsim.fix import tags

BUY, SELL = "1", "2"
#: A Monday in summer: 07:00 in Frankfurt.
DAWN = "2030-05-06T05:00:00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def venue(folder: Path) -> Iterator[ServerProcess]:
    """The trading day on a clock of its own."""
    clock = ("--clock", "simulated", "--clock-start", DAWN)
    with ServerProcess(folder, config=ROOT / "sessions" / "trading-day.toml", options=clock) as server:
        yield server


def fixsim(folder: Path, *words: str) -> dict[str, Any]:
    """A command, as somebody at a terminal gives it; its JSON."""
    command = [sys.executable, "-m", "fixsim.cli.main", *words, "--data-dir", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_client_lives_through_a_trading_day(venue: ServerProcess, folder: Path, tmp_path: Path) -> None:
    def go_on(until: str) -> None:
        fixsim(folder, "clock", "set", f"2030-05-06T{until}")

    with QuickFixClient(venue.port, tmp_path, sender="TRADER", ResetOnLogon="Y") as client:
        client.send("e", fields(security_status_req_id="S", symbol="SAP", subscription_request_type=1))
        assert client.expect(1, "f")[0].get(tags.SECURITY_TRADING_STATUS) == b"18"
        client.send("g", fields(trad_ses_req_id="T", trading_session_id="XETR", subscription_request_type=1))
        assert client.expect(1, "h")[0].get(tags.TRAD_SES_STATUS) == b"3"
        client.send("D", order("EARLY", BUY, 100, "SAP", "178.00"))
        assert client.expect(1, cl_ord_id="EARLY")[0].get(tags.ORD_REJ_REASON) == b"2"

        go_on("05:30:00")
        client.expect(1, "h", trad_ses_status="4", trading_session_sub_id="1")
        client.send("D", order("B1", BUY, 100, "SAP", "178.40"))
        client.send("D", order("CLOSE", BUY, 30, "SAP", "179.00", time_in_force=7))
        client.send("D", order("GTD", BUY, 10, "SAP", "100.00", time_in_force=6, expire_date="20300506"))
        client.expect(1, cl_ord_id="GTD", exec_type="0")
        assert client.expect(1, cl_ord_id="CLOSE")[0].get(tags.WORKING_INDICATOR) == b"N"

        go_on("06:50:00")
        client.send("D", order("S1", SELL, 40, "SAP", ord_type=1, time_in_force=2))
        client.expect(1, cl_ord_id="S1", exec_type="0")
        go_on("06:50:02")
        told = client.expect(1, "f", security_trading_status="5", trading_session_sub_id="2")[0]
        assert [told.get(tag) for tag in (tags.LAST_PX, tags.BUY_VOLUME, tags.SELL_VOLUME)] == [b"178.40", b"100", b"40"]
        assert fixsim(folder, "phase", "SAP")["indication"]["quantity"] == "40"
        go_on("07:00:31")
        filled = client.expect(1, cl_ord_id="S1", exec_type="F")[0]
        assert [filled.get(tag) for tag in (tags.LAST_PX, tags.LAST_LIQUIDITY_IND)] == [b"178.40", None]
        client.expect(1, "f", security_trading_status="17", trading_session_sub_id="3")

        client.send("D", order("S2", SELL, 60, "SAP", "178.40"))
        assert client.expect(1, cl_ord_id="S2", exec_type="F")[0].get(tags.LAST_LIQUIDITY_IND) == b"2"
        client.send("D", order("K", BUY, 5, "SAP", "170.00", exec_inst="K"))
        client.send("D", order("J", BUY, 5, "SAP", "170.00", exec_inst="J"))
        client.expect(1, cl_ord_id="J", exec_type="0")
        fixsim(folder, "halt", "SAP", "--why", "news pending")
        client.expect(1, cl_ord_id="K", exec_type="4", exec_restatement_reason="6")
        client.expect(1, cl_ord_id="J", exec_type="9", ord_status="9")
        client.expect(1, "f", security_trading_status="2")
        fixsim(folder, "resume", "SAP")
        client.expect(1, cl_ord_id="J", exec_type="D", ord_status="0")
        client.expect(1, "f", security_trading_status="3")

        go_on("15:30:31")
        assert client.expect(1, cl_ord_id="CLOSE", exec_type="D")[0].get(tags.WORKING_INDICATOR) == b"Y"
        client.send("D", order("S3", SELL, 20, "SAP", "178.00"))
        client.expect(1, cl_ord_id="S3", exec_type="0")
        go_on("15:36:00")
        closing = client.expect(1, cl_ord_id="CLOSE", exec_type="F")[0].get(tags.LAST_PX, b"")
        client.expect(1, cl_ord_id="CLOSE", exec_type="C", ord_status="C")
        client.send("D", order("L1", BUY, 7, "SAP", "200.00"))
        client.send("D", order("L2", SELL, 7, "SAP", "150.00"))
        assert client.expect(1, cl_ord_id="L2", exec_type="F")[0].get(tags.LAST_PX) == closing
        go_on("15:45:00")
        client.expect(1, cl_ord_id="GTD", exec_type="C")
        client.expect(1, cl_ord_id="J", exec_type="C")
        client.expect(1, "h", trad_ses_status="3", trading_session_sub_id="7", unsolicited_indicator="Y")
        assert client.logouts == 0
        assert not [message for message in client.admin if message.msg_type == b"3"]
