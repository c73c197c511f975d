"""The exchange as a process, in two ways: `fixsim serve` as everybody starts it (`harness.ServerProcess`), or forked from a
nursery that has imported everything already, which makes hundreds of starts affordable. Both are killed by their own pid.
"""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from harness import ROOT

READY = re.compile(r"fixsim ready fix \S+:(\d+) .* pid (\d+)$")
ENDED = re.compile(r"ended (-?\d+)$")
#: Whatever is waited for takes milliseconds on an idle machine; this one is shared.
PATIENCE_S = 120.0


def wait_until(done: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Look every few milliseconds until `done`; AssertionError in the end."""
    limit = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < limit, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.01)


class Nursery:
    """The process of `nursery.py`; one exchange at a time."""

    def __init__(self) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as we do
        command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=ROOT, env=environment
        )
        self._said = b""
        assert self.line(3 * PATIENCE_S) == "nursery ready"

    def line(self, timeout_s: float = PATIENCE_S) -> str:
        """The next line it prints."""
        assert self._process.stdout is not None
        limit = time.monotonic() + timeout_s
        while b"\n" not in self._said:
            if not select.select([self._process.stdout], [], [], max(0.0, limit - time.monotonic()))[0]:
                raise AssertionError(f"nothing said in {timeout_s:.0f} s: {self.tell()}")
            said = os.read(self._process.stdout.fileno(), 4096)
            assert said, f"the nursery ended: {self.tell()}"
            self._said += said
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()

    def ask(self, arguments: list[str]) -> None:
        """Have it fork a `fixsim` with these arguments."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it, and what it forked."""
        self._process.communicate(timeout=PATIENCE_S)
        self.log.close()

    def tell(self) -> str:
        """What it and its forks wrote to stderr."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-4000:]


class ForkedServer:
    """`fixsim serve` forked from a nursery. Each start has a port of its own: the old one may be somebody else's by then."""

    def __init__(self, nursery: Nursery, data_dir: Path, config: Path, database: str = "none") -> None:
        self.data_dir = data_dir
        self.port = self.pid = 0
        self._nursery = nursery
        self._arguments = ["serve", "--config", str(config), "--port", "0", "--data-dir", str(data_dir)]
        self._arguments += ["--database-url", database, "--log-level", "warning"]

    def __enter__(self) -> "ForkedServer":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.pid:
            self.kill()

    def launch(self) -> None:
        """Start without waiting."""
        self._nursery.ask(self._arguments)
        word, _, pid = self._nursery.line().partition(" ")
        assert word == "born"
        self.pid = int(pid)

    def start(self) -> None:
        """Start, and wait for the ready line."""
        self.launch()
        line = self._nursery.line()
        found = READY.match(line)
        if found is None:
            self.pid = 0
            raise AssertionError(f"the exchange did not get ready: {line}\n{self._nursery.tell()}")
        assert int(found[2]) == self.pid
        self.port = int(found[1])

    def kill(self) -> None:
        """kill -9, at once."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """The exit code."""
        while (found := ENDED.match(self._nursery.line(timeout_s))) is None:
            pass
        self.pid = 0
        return int(found[1])


# ---------------------------------------------------------------- processes around a data directory


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Everybody who works for the exchange of `data_dir`: named in the command line, or living in its cluster."""
    found, home = [], os.path.realpath(data_dir / "postgres" / "cluster")
    for process in psutil.process_iter(["pid", "cmdline", "cwd", "status"]):
        facts = process.info
        named = any(word == str(data_dir) for word in facts["cmdline"] or ())
        if (named or facts["cwd"] == home) and facts["status"] != psutil.STATUS_ZOMBIE and facts["pid"] != os.getpid():
            found.append(process)
    return found


def shipper_of(data_dir: Path) -> psutil.Process | None:
    """The shipper that runs for `data_dir`, None while there is none."""
    return next((process for process in processes_of(data_dir) if "ship" in _words(process)), None)


def postmaster_of(data_dir: Path) -> psutil.Process | None:
    """The embedded database's first process, None while there is none."""
    try:
        pid = int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split("\n")[0])
        process = psutil.Process(pid)
        return process if process.cwd() == os.path.realpath(data_dir / "postgres" / "cluster") else None
    except (OSError, ValueError, psutil.Error):
        return None


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def kill(process: psutil.Process | None) -> bool:
    """kill -9; whether there was somebody."""
    if process is None:
        return False
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        return True
    return False
