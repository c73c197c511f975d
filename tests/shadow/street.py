"""Exchanges, standbys and shadows as processes, and a FIX peer that says exactly what it is told to."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gateway.stage import Client

from fixsim.feed.mapped import SHADOW_NAME, PageError, PageReader
from fixsim.feed.page import SHADOW

FIXSIM = [sys.executable, "-m", "fixsim.cli.main"]
READY = re.compile(r"fixsim ready fix 127\.0\.0\.1:(\d+) data (\S+) database none pid (\d+)")
#: A first start may compile kernels; a shadow at idle priority beside busy neighbours may take its time.
PATIENCE_S = 300
CONFIG = """
[[instruments]]
symbol = "ACME"
tick_size = 0.01
lot_size = 1

[[counterparties]]
sender_comp_id = "*"

[capacities]
orders = 4096
clordid_memory = 4096
price_levels = 4096
sessions = 64

[console]
enabled = false

[shadow]
snapshot_interval_s = 1
"""


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def soon(look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, look
        time.sleep(0.02)
    return found


class Process:
    """A command that runs until it is told otherwise; its log is in a file."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.log_path = folder / f"{name}.log"
        config = folder / "exchange.toml"
        if not config.exists():
            config.write_text(CONFIG)
        command = [*FIXSIM, *arguments, "--data-dir", str(folder / "data"), "--config", str(config)]
        self.data_dir = folder / "data"
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.port = self.pid = 0

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text()

    def ready(self) -> "Process":
        """Waits for the ready line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = READY.fullmatch(line.rstrip("\n"))
        assert found is not None, (line, self.log)
        self.port, self.pid = int(found[1]), int(found[3])
        return self

    def client(self, name: str, next_out: int = 1) -> Client:
        """A peer whose next message has this number."""
        client = Client(self.port, name)
        client.next_out = next_out
        return client

    def end(self, number: int) -> int:
        """Send a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def process(folder: Path, name: str, *arguments: str) -> Iterator[Process]:
    """A process while the block runs."""
    one = Process(folder, name, *arguments)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def serve(folder: Path, *options: str, port: int = 0) -> contextlib.AbstractContextManager[Process]:
    """`fixsim serve` without a database."""
    return process(folder, "serve", "serve", "--port", str(port), "--database-url", "none", *options)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*FIXSIM, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False, stdin=subprocess.DEVNULL
    )


def page(data_dir: Path) -> Any | None:
    """What the shadow shows, None while there is none that lives."""
    try:
        row = PageReader(data_dir / SHADOW_NAME, SHADOW).read()
        os.kill(int(row["header"]["pid"]), 0)
    except (PageError, ProcessLookupError):
        return None
    return row
