"""How the exchange ends, and who is left then: nobody, whichever way it ended."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from harness import ROOT, ServerProcess

from e2e.ledger import Ledger, check_ids, check_peer, check_wires
from e2e.load import Load, MakeLoad
from e2e.rows import check_database
from e2e.venue import PATIENCE_S, ForkedServer, Nursery, kill, postmaster_of, processes_of, shipper_of, wait_until

pytestmark = pytest.mark.timeout(600)
#: What an orphaned reader may take to leave: two seconds, and what a busy machine adds.
ORPHANED_S = 2.0 + 18.0
#: What a stop may take: two seconds for the answers to Logouts, as many for the last bytes, and shipping the rest.
STOPPED_S = PATIENCE_S


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A data directory that all tests of this file use one after the other: its cluster is made once."""
    path = Path(tempfile.mkdtemp(prefix="fixsim-e2e-"))
    path.chmod(0o711)
    (path / "data").mkdir(mode=0o711)
    yield path / "data"
    for process in processes_of(path / "data"):
        kill(process)
    shutil.rmtree(path)


@pytest.fixture
def server(nursery: Nursery, home: Path, small: Path) -> Iterator[ForkedServer]:
    """An exchange with its shipper and its database, all of them at work."""
    with ForkedServer(nursery, home, small, "embedded") as one:
        wait_until(lambda: shipper_of(home) and postmaster_of(home), "shipper and database")
        yield one


def check_everything(home: Path, load: Load) -> None:
    """Journal, wires, peers and database tell one story."""
    ledger = Ledger(home)
    ledger.read_on()
    mine = {peer.name.decode() for peer in load.peers}
    ledger.links = {number: link for number, link in ledger.links.items() if link.sender in mine}
    check_wires(ledger, [(peer.name.decode(), one) for peer in load.peers for one in peer.conversations])
    for trader in load.traders:
        check_peer(ledger, trader.peer, trader.entered)
    check_ids(ledger)
    check_database(ledger, home)


def test_a_stop_under_load_says_goodbye_ships_everything_and_leaves_nobody(
    server: ForkedServer, home: Path, make_load: MakeLoad
) -> None:
    load = make_load(1, sessions=6, symbols=6, prefix="STOPPED")
    load.connect(server.port)
    timer = threading.Timer(0.5, os.kill, (server.pid, signal.SIGTERM))
    timer.start()
    load.run(until=lambda: False)
    began = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - began < STOPPED_S
    assert processes_of(home) == []
    assert {peer.farewell for peer in load.peers} == {b"The exchange is closing"}
    assert all(peer.conversations[-1].closed_in_order for peer in load.peers)
    server.start()  # what crossed the Logouts is asked for again
    load.connect(server.port)
    load.log_out()
    assert server.stop() == 0
    check_everything(home, load)


def test_sessions_that_do_not_answer_are_not_waited_for(server: ForkedServer, home: Path, make_load: MakeLoad) -> None:
    load = make_load(2, sessions=3, symbols=6, prefix="SILENT")
    load.connect(server.port)
    assert server.stop() == 0  # nobody reads meanwhile
    load.drain()
    assert processes_of(home) == []
    assert {peer.farewell for peer in load.peers} == {b"The exchange is closing"}


def test_a_killed_exchange_takes_shipper_and_database_with_it(server: ForkedServer, home: Path, make_load: MakeLoad) -> None:
    load = make_load(3, sessions=3, symbols=6, prefix="KILLED")
    load.connect(server.port)
    timer = threading.Timer(0.3, server.kill)
    timer.start()
    load.run(until=lambda: not timer.is_alive())
    timer.join()
    wait_until(lambda: shipper_of(home) is None, "the end of the shipper", ORPHANED_S)
    wait_until(lambda: processes_of(home) == [], "the end of PostgreSQL")
    load.drain()
    server.start()
    load.connect(server.port)
    load.log_out()
    assert server.stop() == 0
    check_everything(home, load)


@pytest.mark.parametrize("victims", ["shipper", "postmaster", "both"])
def test_whoever_was_killed_a_moment_ago_a_stop_ships_everything(
    server: ForkedServer, home: Path, victims: str, make_load: MakeLoad
) -> None:
    load = make_load(4, sessions=3, symbols=6, prefix=f"LATE-{victims.upper()}")
    load.connect(server.port)
    load.say(40)
    load.settle()
    shipper, postmaster = shipper_of(home), postmaster_of(home)
    assert victims == "postmaster" or kill(shipper)
    assert victims == "shipper" or kill(postmaster)
    load.log_out()
    assert server.stop() == 0
    assert processes_of(home) == []
    check_everything(home, load)


def test_a_database_that_everybody_left_is_stopped_by_the_next_who_uses_it(server: ForkedServer, home: Path) -> None:
    shipper, postmaster = shipper_of(home), postmaster_of(home)
    os.kill(shipper.pid if shipper else 0, signal.SIGSTOP)  # it cannot leave in order
    server.kill()
    assert kill(shipper) and postmaster is not None
    assert postmaster.is_running()
    asked = subprocess.run(
        [sys.executable, "-m", "fixsim.cli.main", "audit", "lag", "--json", "--data-dir", str(home)],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=ROOT,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    wait_until(lambda: processes_of(home) == [], "the end of PostgreSQL")


@pytest.mark.parametrize("after_s", [0.02, 0.2, 1.0])
def test_a_stop_while_it_starts_leaves_nobody(nursery: Nursery, home: Path, small: Path, after_s: float) -> None:
    server = ForkedServer(nursery, home, small, "embedded")
    server.launch()
    time.sleep(after_s)
    server.stop()
    wait_until(lambda: processes_of(home) == [], "the end of everybody")


def test_a_fresh_exchange_leaves_nothing(small: Path, make_load: MakeLoad) -> None:
    with ServerProcess(config=small, database="embedded") as server:
        shipper = next(child for child in psutil.Process(server.pid).children() if "ship" in child.cmdline())
        data_dir = Path(shipper.cmdline()[shipper.cmdline().index("--data-dir") + 1])
        load = make_load(5, sessions=2, symbols=4)
        load.connect(server.port)
        load.say(40)
        load.settle()
        load.log_out()
        note = data_dir / "postgres" / "place"
        wait_until(lambda: note.exists() or (data_dir / "postgres" / "cluster").exists(), "the cluster")
        cluster = Path(note.read_text().strip()) if note.exists() else data_dir
        assert data_dir.is_dir()
        assert server.stop(PATIENCE_S) == 0, server.tell()
    assert processes_of(data_dir) == []
    assert not data_dir.exists()
    assert not cluster.exists()
