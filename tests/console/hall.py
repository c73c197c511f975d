"""A served exchange with its console, for the tests that look at it from outside."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fixsim.client import Client

FIXSIM = [sys.executable, "-m", "fixsim.cli.main"]
READY = re.compile(r"fixsim ready fix 127\.0\.0\.1:(\d+) data (\S+) database (\S+) pid (\d+)\n")
#: A first start may compile kernels; a console at idle priority beside busy neighbours may take its time.
START_TIMEOUT_S = 300
PATIENCE_S = 240
CONFIG = """
[[instruments]]
symbol = "ACME"
tick_size = 0.01
lot_size = 1

[[counterparties]]
sender_comp_id = "*"

[capacities]
orders = 65536
clordid_memory = 65536
price_levels = 65536

[console]
port = 0
"""


class Hall:
    """A running `fixsim serve`, and its console's address."""

    def __init__(self, data_dir: Path, *options: str, config: str = CONFIG, database: str = "none") -> None:
        self.data_dir = data_dir
        path = data_dir.parent / f"{data_dir.name}.toml"
        path.write_text(config)
        command = [*FIXSIM, "serve", "--port", "0", "--database-url", database, "--config", str(path)]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = READY.fullmatch(line)
        assert found is not None, (line, self.process.communicate())
        self.fix_port, self.pid = int(found[1]), int(found[4])

    def console(self) -> tuple[int, int]:
        """Port and pid of the console, once it has told them."""
        told = soon(lambda: (self.data_dir / "console").read_text())
        address, pid = told.split()
        return int(address.rpartition(":")[2]), int(pid)

    def get(self, path: str, accept: str = "", port: int | None = None) -> tuple[int, str, str]:
        """Status, content type and text the console answers with."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.console()[0], timeout=PATIENCE_S)
        try:
            connection.request("GET", path, headers={"Accept": accept} if accept else {})
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read().decode()
        finally:
            connection.close()

    def metrics(self) -> dict[str, float]:
        """Every sample as Prometheus would have it."""
        from prometheus_client.parser import text_string_to_metric_families

        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[2]):
            for sample in family.samples:
                labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def client(self, name: str = "DESK") -> Client:
        """A counterparty."""
        return Client("127.0.0.1", self.fix_port, name, "FIXSIM")

    def end(self) -> str:
        """Stop in good order; what was logged."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err
        return err


@contextlib.contextmanager
def hall(data_dir: Path, *options: str, **others: Any) -> Iterator[Hall]:
    """A served exchange while the block runs."""
    one = Hall(data_dir, *options, **others)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def soon(look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it gives something and raises nothing of the world."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = look()
        except (OSError, http.client.HTTPException):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, look
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether there is a process that is not a corpse."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*FIXSIM, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


def figures(*arguments: str) -> list[dict[str, Any]]:
    """What a command prints as JSON lines."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
