"""A database that is absent, stopped or asleep costs lag and nothing else, and `fixsim audit lag` tells the truth about it."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from harness import ROOT

from e2e.ledger import Ledger, check_ids, check_peer
from e2e.load import Load, MakeLoad
from e2e.rows import check_database
from e2e.venue import PATIENCE_S, ForkedServer, Nursery, processes_of, shipper_of, wait_until
from fixsim.audit.server import OWNER, Server

pytestmark = pytest.mark.timeout(600)
NOWHERE = "postgresql://127.0.0.1:1/none"


def ask_lag(data_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`fixsim audit lag --json`."""
    command = [sys.executable, "-m", "fixsim.cli.main", "audit", "lag", "--json", "--data-dir", str(data_dir), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=ROOT)


def lag(data_dir: Path, *options: str) -> dict[str, object]:
    """What it answers."""
    asked = ask_lag(data_dir, *options)
    assert asked.returncode == 0, asked.stderr
    answer: dict[str, object] = json.loads(asked.stdout)
    return answer


def messages_of(data_dir: Path) -> int:
    """Messages in the journal, those of resends included."""
    ledger = Ledger(data_dir)
    ledger.read_on()
    return len(ledger.rows)


def check_everything(data_dir: Path, load: Load, url: str) -> None:
    """Journal, peers and database tell one story."""
    ledger = Ledger(data_dir)
    ledger.read_on()
    for trader in load.traders:
        check_peer(ledger, trader.peer, trader.entered)
    check_ids(ledger)
    check_database(ledger, data_dir, url)


@contextlib.contextmanager
def own_server() -> Iterator[tuple[Server, str]]:
    """A PostgreSQL of the user's, and its URL."""
    home = Path(tempfile.mkdtemp(prefix="fixsim-e2e-"))
    home.chmod(0o711)
    server = Server(home, idle=False)
    try:
        server.start()
        login = server.connection()
        host = quote(str(login["host"]), safe="")
        yield server, f"postgresql://{OWNER}:{login['password']}@/{login['database']}?host={host}"
    finally:
        server.remove()
        shutil.rmtree(home, ignore_errors=True)


def test_absent_at_the_start_and_all_day_it_is_filled_afterwards(
    nursery: Nursery, small: Path, data_dir: Path, make_load: MakeLoad
) -> None:
    load = make_load(11, sessions=3, symbols=6)
    with ForkedServer(nursery, data_dir, small, NOWHERE) as server:
        load.connect(server.port)
        load.say(100)
        load.settle()
        told = lag(data_dir)  # of the embedded one, which nobody has made
        assert told["messages_behind"] == messages_of(data_dir)
        assert told["messages_shipped"] == 0
        asked = ask_lag(data_dir, "--database-url", NOWHERE)
        assert asked.returncode == 1 and asked.stdout == ""
        assert "127.0.0.1:1" in asked.stderr
        load.log_out()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < PATIENCE_S
    assert processes_of(data_dir) == []
    with ForkedServer(nursery, data_dir, small, "embedded") as server:
        load.connect(server.port)
        load.say(20)
        load.settle()
        load.log_out()
        assert server.stop() == 0
    told = lag(data_dir)
    assert (told["messages_behind"], told["seconds_behind"]) == (0, 0.0)
    assert told["messages_shipped"] == messages_of(data_dir)
    assert processes_of(data_dir) == []
    check_everything(data_dir, load, "embedded")


def test_stopped_and_started_again_it_is_caught_up(nursery: Nursery, small: Path, data_dir: Path, make_load: MakeLoad) -> None:
    load = make_load(12, sessions=3, symbols=6)
    with own_server() as (database, url), ForkedServer(nursery, data_dir, small, url) as server:
        load.connect(server.port)
        load.say(60)
        load.settle()
        wait_until(lambda: lag(data_dir, "--database-url", url)["messages_behind"] == 0, "the first shipment")
        database.leave()
        load.say(60)
        load.settle()
        asked = ask_lag(data_dir, "--database-url", url)
        assert asked.returncode == 1 and asked.stdout == ""
        database.start()
        wait_until(lambda: lag(data_dir, "--database-url", url)["messages_behind"] == 0, "the second shipment")
        load.say(60)
        load.settle()
        load.log_out()
        assert server.stop() == 0
        assert processes_of(data_dir) == []
        check_everything(data_dir, load, url)


def test_a_shipper_that_sleeps_is_so_many_messages_behind(
    nursery: Nursery, small: Path, data_dir: Path, make_load: MakeLoad
) -> None:
    load = make_load(13, sessions=3, symbols=6)
    with ForkedServer(nursery, data_dir, small, "embedded") as server:
        load.connect(server.port)
        load.say(60)
        load.settle()
        wait_until(lambda: shipper_of(data_dir) and messages_behind(data_dir) == 0, "the first shipment")
        shipper = shipper_of(data_dir)
        assert shipper is not None
        shipper.suspend()
        before = messages_of(data_dir)
        load.say(60)
        load.settle()
        told = lag(data_dir)
        assert told["messages_shipped"] == before
        assert told["messages_behind"] == messages_of(data_dir) - before > 0
        assert float(str(told["seconds_behind"])) > 0
        shipper.resume()
        wait_until(lambda: messages_behind(data_dir) == 0, "the second shipment")
        load.log_out()
        assert server.stop() == 0
    check_everything(data_dir, load, "embedded")


def messages_behind(data_dir: Path) -> object:
    """What `audit lag` says; None while there is no database to ask."""
    asked = ask_lag(data_dir)
    return json.loads(asked.stdout)["messages_behind"] if asked.returncode == 0 else None
