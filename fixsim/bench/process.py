"""Acceptors as processes of their own, pinned to a processor: the exchange with everything on, and what stands beside it."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from fixsim.errors import VenueError

READY_TIMEOUT_S: Final = 300.0
#: Port and data directory in a line of output, None when it is not the one that is waited for.
Ready = Callable[[str], tuple[int, Path | None] | None]
#: How long the embedded database may take to come up at idle priority.
DATABASE_TIMEOUT_S: Final = 180.0
#: How long those that were ended may take to be gone.
LEAVE_TIMEOUT_S: Final = 20.0


def leave_in_order() -> None:
    """Make SIGTERM end this process as an exception does, so that those it started are ended, too."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def processors() -> tuple[int, int] | None:
    """The first two processors we may use, for server and client; None where they cannot be chosen."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else None


@contextlib.contextmanager
def on_processor(number: int | None) -> Iterator[None]:
    """This process, and those it starts meanwhile, on one processor."""
    if number is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, kept)


@dataclass
class Acceptor:
    """A process that takes FIX connections on a port of this machine."""

    popen: subprocess.Popen[bytes]
    port: int
    data_dir: Path | None = None

    def cpu_s(self) -> tuple[float, float]:
        """Processor seconds the process has used: user, system. Not those of its children."""
        times = psutil.Process(self.popen.pid).cpu_times()
        return float(times.user), float(times.system)

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        return int(psutil.Process(self.popen.pid).memory_info().rss)


def start(command: Sequence[str], ready: Ready, cpu: int | None, stderr: int = subprocess.DEVNULL) -> Acceptor:
    """Start a process and wait for the line that `ready` understands. Raises VenueError when it does not come.

    `stderr` is STDOUT for those who tell it there.
    """
    with on_processor(cpu):
        popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL)
    assert popen.stdout is not None
    deadline, text = time.monotonic() + READY_TIMEOUT_S, b""
    while time.monotonic() < deadline:
        if not select.select([popen.stdout], [], [], 1.0)[0]:
            continue
        got = os.read(popen.stdout.fileno(), 4_096)
        text += got
        for line in text.decode("utf-8", "replace").splitlines():
            if (told := ready(line)) is not None:
                return Acceptor(popen, *told)
        if not got:
            break
    stop(Acceptor(popen, 0))
    raise VenueError(f"{' '.join(command[:4])} did not get ready")


def stop(acceptor: Acceptor) -> None:
    """End a process and what it started, at once, and remove its data directory."""
    popen = acceptor.popen
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(popen.pid).children(recursive=True)
        popen.send_signal(signal.SIGKILL)
        popen.wait()
        # readers of the exchange notice its death by themselves, and the last one stops the database
        psutil.wait_procs(family, timeout=LEAVE_TIMEOUT_S)
    popen.wait()
    if popen.stdout is not None:
        popen.stdout.close()
    if acceptor.data_dir is not None:
        if (acceptor.data_dir / "postgres").exists():
            from fixsim.audit.server import Server

            Server(acceptor.data_dir, create=False).remove()
        shutil.rmtree(acceptor.data_dir, ignore_errors=True)


@contextlib.contextmanager
def running(command: Sequence[str], ready: Ready, cpu: int | None, stderr: int = subprocess.DEVNULL) -> Iterator[Acceptor]:
    """`start`, and `stop` afterwards."""
    acceptor = start(command, ready, cpu, stderr)
    try:
        yield acceptor
    finally:
        stop(acceptor)


def exchange_ready(line: str) -> tuple[int, Path | None] | None:
    """Port and data directory in the exchange's ready line."""
    found = re.match(r"fixsim ready fix \S*:(\d+) data (.*) database .* pid \d+$", line)
    return (int(found[1]), Path(found[2])) if found else None


def port_ready(line: str) -> tuple[int, Path | None] | None:
    """Port in a line that ends with `ready PORT`."""
    found = re.search(r"\bready(?: on)? (\d+)$", line.strip())
    return (int(found[1]), None) if found else None


@contextlib.contextmanager
def exchange(config: str, database_url: str, cpu: int | None) -> Iterator[Acceptor]:
    """`fixsim serve --fresh` as anybody starts it, its database up if it has one."""
    command = [sys.executable, "-m", "fixsim.cli.main", "serve", "--fresh", "--port", "0", "--config", config]
    command += ["--database-url", database_url, "--log-level", "error"]
    with running(command, exchange_ready, cpu) as acceptor:
        if database_url == "embedded":
            assert acceptor.data_dir is not None
            wait_for_database(acceptor.data_dir)
        yield acceptor


def canned(cpu: int | None) -> contextlib.AbstractContextManager[Acceptor]:
    """The acceptor that knows nothing."""
    return running([sys.executable, "-m", "fixsim.bench.canned", "--port", "0"], port_ready, cpu)


def wait_for_database(data_dir: Path) -> None:
    """Return when the shipper has shipped something. Raises VenueError when that takes too long."""
    command = [sys.executable, "-m", "fixsim.cli.main", "audit", "lag", "--json", "--data-dir", str(data_dir)]
    deadline = time.monotonic() + DATABASE_TIMEOUT_S
    while time.monotonic() < deadline:
        asked = subprocess.run(command, capture_output=True, timeout=DATABASE_TIMEOUT_S, check=False)
        answer: dict[str, Any] = json.loads(asked.stdout) if asked.returncode == 0 and asked.stdout else {}
        if answer.get("written_at"):
            return
        time.sleep(0.5)
    raise VenueError("the embedded database did not come up")
