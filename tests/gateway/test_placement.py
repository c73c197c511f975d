"""Where processes run and what sockets are like: the configuration, as the system shows it afterwards."""

import ctypes
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from stage import running, small
from test_serve import LOAD, run, served

from fixsim.config import CpuAffinity, Process, StreetSettings, packaged
from fixsim.errors import UsageError
from fixsim.gateway.acceptor import SO_BUSY_POLL, bind, set_options
from fixsim.gateway.placement import (
    CALM_S,
    HUGE_PAGES_VARIABLE,
    PAUSE_S,
    Patience,
    check_affinity,
    place_child,
    populate,
    processors,
)
from fixsim.gateway.supervisor import Readers, Supervisor
from fixsim.journal.disk import Disk
from fixsim.layout import NEVER

#: The configuration for load tests, ready for a [process] of our own.
LOAD_TEXT = packaged("load.toml").read_text(encoding="utf-8").partition("[process]")[0]

pytestmark = pytest.mark.timeout(600)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_processes_run_where_they_are_told_to(tmp_path: Path) -> None:
    there = sorted(processors())
    one, other = there[0], there[-1]
    path = tmp_path / "placed.toml"
    more = f"[process]\ncpu_affinity = {{ exchange = [{one}], console = [{other}] }}\n[console]\nport = 0\n"
    path.write_text(LOAD_TEXT + more)
    with served("--data-dir", str(tmp_path / "data"), "--config", str(path)) as exchange:
        assert os.sched_getaffinity(exchange.pid) == {one}
        deadline = time.monotonic() + 20
        while not (found := [pid for pid in children(exchange.pid) if "console" in psutil.Process(pid).cmdline()]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        console = found[0]
        while os.sched_getaffinity(console) != {other}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert exchange.end()[0] == 0


def test_a_processor_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "placed.toml"
    path.write_text(LOAD_TEXT + "[process]\ncpu_affinity = { shipper = [1023] }\n")
    ended = run("serve", "--port", "0", "--config", str(path), "--data-dir", str(tmp_path / "data"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "process.cpu_affinity.shipper: processor 1023" in ended.stderr and ended.stderr.count("\n") == 1
    with pytest.raises(UsageError, match="does not let"):
        check_affinity(CpuAffinity(exchange=(0,)), frozenset())
    check_affinity(CpuAffinity(), frozenset())


def resident(table: np.ndarray) -> int:
    """Bytes of a table that the system has brought in."""
    libc = ctypes.CDLL(None)
    first = -(-table.ctypes.data // mmap.PAGESIZE)
    pages = (table.ctypes.data + table.nbytes) // mmap.PAGESIZE - first
    there = (ctypes.c_ubyte * pages)()
    assert libc.mincore(ctypes.c_void_p(first * mmap.PAGESIZE), ctypes.c_size_t(pages * mmap.PAGESIZE), there) == 0
    return sum(byte & 1 for byte in there) * mmap.PAGESIZE


def test_work_in_the_background_pauses_while_the_loop_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 5.0
    monkeypatch.setattr("fixsim.gateway.placement.time.monotonic", lambda: now_s)
    tape = {"now_ns": 7}
    patience = Patience(tape)
    assert patience() == PAUSE_S, "it has just turned, for all that is known"
    now_s += 1.01 * CALM_S
    assert patience() == 0.0
    tape["now_ns"] = 8
    assert patience() == PAUSE_S
    now_s += CALM_S / 2
    assert patience() == PAUSE_S
    now_s += 0.51 * CALM_S
    assert patience() == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="madvise(2) with MADV_POPULATE_WRITE is Linux's")
def test_what_the_first_orders_use_is_there_before_the_first_order(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {name: np.frombuffer(mmap.mmap(-1, 32 << 20), np.uint8) for name in ("rows", "index")}  # never used before
    started: list[threading.Thread] = []
    with monkeypatch.context() as patch:
        patch.setattr("fixsim.gateway.placement.FIRST_BYTES", 4 << 20)
        patch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
        populate(tables, ("index",), lambda: 0.0)
    assert resident(tables["index"]) > 31 << 20
    assert 4 << 20 <= resident(tables["rows"]) < 8 << 20
    started[0].start()
    started[0].join()
    assert resident(tables["rows"]) > 31 << 20


def test_helpers_do_not_run_where_the_loop_does() -> None:
    all_of_them = processors()
    found: list[set[int]] = []

    def loop() -> None:
        os.sched_setaffinity(0, {min(all_of_them)})
        Disk().background(lambda: found.append(os.sched_getaffinity(0)))()

    Disk.background_cpus = all_of_them
    try:
        thread = threading.Thread(target=loop)
        thread.start()
        thread.join()
    finally:
        Disk.background_cpus = frozenset()
    assert found == [set(all_of_them)]


def test_a_child_that_is_gone_is_nobodys_trouble() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    place_child(child.pid, processors())
    assert child.returncode == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_large_tables_ask_for_huge_pages_or_do_not(tmp_path: Path, wanted: bool) -> None:
    path = tmp_path / "pages.toml"
    more = f"[process]\nhuge_pages = {str(wanted).lower()}\n[console]\nenabled = false\n"
    path.write_text(LOAD_TEXT + more)
    with served("--data-dir", str(tmp_path / "data"), "--config", str(path)) as exchange:
        flags = [line for line in Path(f"/proc/{exchange.pid}/smaps").read_text().splitlines() if line.startswith("VmFlags:")]
    assert any(" hg" in line for line in flags) is wanted
    assert HUGE_PAGES_VARIABLE not in os.environ


def test_connections_have_the_options_that_were_asked_for(tmp_path: Path) -> None:
    settings = StreetSettings(receive_buffer_bytes=65_536, send_buffer_bytes=32_768, no_delay=False)
    with running(small(street=settings), tmp_path) as stage, stage.client() as client:
        client.log_on()
        (connection,) = stage.server._street._connections.values()
        ours = connection.transport.socket
        # Linux keeps twice the number
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (65_536, 131_072)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (32_768, 65_536)
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0


def test_without_a_word_the_system_decides_and_nothing_waits(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, stage.client() as client:
        client.log_on()
        (connection,) = stage.server._street._connections.values()
        plain = socket.socket()
        assert connection.transport.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert connection.transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= plain.getsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF
        )
        plain.close()


def test_an_option_that_is_refused_is_said_and_left(caplog: pytest.LogCaptureFixture) -> None:
    listener = bind("127.0.0.1", 0)
    set_options(listener, StreetSettings(busy_poll_us=50))
    taken = listener.getsockopt(socket.SOL_SOCKET, SO_BUSY_POLL)
    listener.close()
    # a closed socket refuses everything
    set_options(listener, StreetSettings(send_buffer_bytes=50_000))
    assert [record.getMessage().partition(" is left")[0] for record in caplog.records][-1] == "street.send_buffer_bytes = 50000"
    assert taken == 50 or len(caplog.records) == 2


def test_readers_are_looked_after_together() -> None:
    assert Readers().next_check_ns == NEVER
    assert Readers().shipper_pid() is None
    shipper = Supervisor("shipper", [sys.executable, "-c", "import time; time.sleep(600)"], {})
    console = Supervisor("console", [sys.executable, "-c", "import time; time.sleep(600)"], {}, processors())
    readers = Readers(shipper, console)
    readers.check(1)
    assert shipper.pid is not None and console.pid is not None and readers.shipper_pid() == shipper.pid
    assert readers.next_check_ns == min(shipper.next_check_ns, console.next_check_ns)
    for reader in (shipper, console):
        reader.kill()


def test_the_default_leaves_everything_to_the_system() -> None:
    assert Process() == Process(CpuAffinity(), busy_poll=False, huge_pages=True)
    assert LOAD[0] == "--config"
