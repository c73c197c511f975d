"""A QuickFIX client while somebody operates the venue: a clock that hurries, a file read again, a trade taken back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, QuickFixClient, ServerProcess, order

from fixsim.fix import tags

BUY, SELL = "1", "2"
OPENING = "2030-05-06T08:00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("operated")
    shutil.copy(ROOT / "sessions" / "exchange.toml", folder / "venue.toml")
    return folder


@pytest.fixture(scope="module")
def operated(folder: Path) -> Iterator[ServerProcess]:
    """An exchange with a clock of its own and a configuration of its own."""
    clock = ("--clock", "simulated", "--clock-start", OPENING)
    with ServerProcess(folder / "data", config=folder / "venue.toml", options=clock) as server:
        yield server


def fixsim(folder: Path, *words: str) -> dict[str, Any]:
    """A command, as somebody at a terminal gives it; its JSON."""
    command = [sys.executable, "-m", "fixsim.cli.main", *words, "--data-dir", str(folder / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_days_pass_for_orders_and_not_for_the_conversation(operated: ServerProcess, folder: Path, tmp_path: Path) -> None:
    with QuickFixClient(operated.port, tmp_path, sender="CLOCK", HeartBtInt=1, ResetOnLogon="Y") as client:
        client.send("D", order("DAY", BUY, 10, "AAPL", "1.00", time_in_force=0))
        client.send("D", order("GTC", BUY, 10, "AAPL", "1.00", time_in_force=1))
        new = client.expect(1, cl_ord_id="DAY")[0]
        assert new.get(tags.TRANSACT_TIME, b"")[:8] == b"20300506"
        assert new.get(tags.SENDING_TIME, b"")[:4] == time.strftime("%Y", time.gmtime()).encode()
        moved = fixsim(folder, "clock", "advance", "2d", "--why", "a long weekend")
        assert (moved["reached"], moved["venue_time"][:19]) == (True, "2030-05-08T08:00:00")
        over = client.expect(1, cl_ord_id="DAY", exec_type="C")[0]
        assert over.get(tags.TRANSACT_TIME, b"")[:17] == b"20300507-00:00:00"
        beats = len(client.admin)
        client.wait(lambda: sum(message.msg_type == b"0" for message in client.admin[beats:]) >= 3, "three Heartbeats")
        client.send("D", order("AFTER", BUY, 10, "AAPL", "1.00"))
        assert client.expect(1, cl_ord_id="AFTER")[0].get(tags.TRANSACT_TIME, b"")[:8] == b"20300508"
        assert client.logouts == 0
        assert not [message for message in client.admin if message.msg_type == b"3"]


def test_a_hang_up_reads_the_file_again_under_a_live_client(operated: ServerProcess, folder: Path, tmp_path: Path) -> None:
    file = folder / "venue.toml"
    with QuickFixClient(operated.port, tmp_path, sender="RELOAD", ResetOnLogon="Y") as client:
        client.send("D", order("BEFORE", BUY, 1000, "AAPL", "1.00"))
        client.expect(1, cl_ord_id="BEFORE", exec_type="0")
        file.write_text(file.read_text().replace("max_qty = 1_000_000", "max_qty = 500", 1))
        os.kill(operated.pid, signal.SIGHUP)
        deadline, number = time.monotonic() + 10, 0
        while True:
            number += 1
            client.send("D", order(f"TRY{number}", BUY, 1000, "AAPL", "1.00"))
            if client.expect(1, cl_ord_id=f"TRY{number}")[0].get(tags.ORD_REJ_REASON) == b"3":
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.send("D", order("SMALL", BUY, 500, "AAPL", "1.00"))
        client.expect(1, cl_ord_id="SMALL", exec_type="0")
        assert client.logouts == 0
    assert fixsim(folder, "reload")["changes"] == []


def test_a_client_understands_a_bust_and_hears_the_news(operated: ServerProcess, folder: Path, tmp_path: Path) -> None:
    with QuickFixClient(operated.port, tmp_path, sender="BUSTED", ResetOnLogon="Y") as client:
        client.send("D", order("HIT", BUY, 10, "MSFT", "500.00", time_in_force=3))
        trade = client.expect(1, cl_ord_id="HIT", exec_type="F")[0]
        match_id, exec_id = (trade.get(tag, b"").decode() for tag in (tags.SECONDARY_EXEC_ID, tags.EXEC_ID))
        corrected = fixsim(folder, "correct", match_id, "--price", "411.00", "--why", "fat finger")
        assert corrected["price"] == "411.00"
        fixed = client.expect(1, exec_type="G", exec_ref_id=exec_id)[0]
        assert fixed.get(tags.LAST_PX) == b"411.00"
        fixsim(folder, "bust", "--exec-id", exec_id)
        bust = client.expect(1, exec_type="H", exec_ref_id=fixed.get(tags.EXEC_ID, b"").decode())[0]
        assert [bust.get(tag) for tag in (tags.ORD_STATUS, tags.CUM_QTY, tags.LEAVES_QTY)] == [b"4", b"0", b"0"]
        client.send("D", order("REST", BUY, 10, "MSFT", "1.00"))
        client.expect(1, cl_ord_id="REST", exec_type="0")
        assert fixsim(folder, "cancel-all", "--session", "BUSTED")["orders"] == 1
        client.expect(1, cl_ord_id="REST", exec_type="4", exec_restatement_reason="8")
        assert fixsim(folder, "announce", "Lunch", "--session", "BUSTED")["sessions"] == ["BUSTED"]
        assert client.expect(1, "B")[0].get(tags.HEADLINE) == b"Lunch"
        fixsim(folder, "disconnect", "BUSTED", "--text", "enough")
        client.wait(lambda: any(message.get(tags.TEXT) == b"enough" for message in client.admin), "a Logout")
