"""Exactly once, whatever is killed when: the shipper, PostgreSQL, or one of its backends, at random
moments.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from audit_stage import Stage, reachable_directory
from test_shipping import rows, stored

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.server import Server
from fixsim.layout import Kind


@pytest.fixture
def own_data_dir() -> Iterator[Path]:
    """A data directory whose server may be killed."""
    path = reachable_directory()
    yield path
    Server(path).remove()
    shutil.rmtree(path, ignore_errors=True)


class Shipping:
    """A shipper process, and the means to kill it and what it works with."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.data_dir, self.chance = data_dir, random.Random(seed)
        self.child: subprocess.Popen[bytes] | None = None
        self.server = Server(data_dir, idle=False)
        self.log = (data_dir / "log").open("ab")

    def start(self) -> None:
        """Start the process as `fixsim serve` does; it starts PostgreSQL."""
        self.child = subprocess.Popen(
            [sys.executable, "-m", "fixsim.cli.main", "ship", "--data-dir", str(self.data_dir), "--full-speed"],
            stdin=subprocess.PIPE,
            stderr=self.log,
        )

    def kill_something(self) -> None:
        """kill -9 the shipper, the postmaster or a backend, whichever chance points at and there is."""
        assert self.child is not None
        victim = self.chance.choice(("shipper", "shipper", "postmaster", "backend"))
        postmaster = self.server.postmaster
        if victim == "shipper" or postmaster is None:
            self.child.kill()
            self.child.communicate()
            self.start()
            return
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):  # it may be dying already
            pids = [child.pid for child in psutil.Process(postmaster).children()] if victim == "backend" else []
            os.kill(self.chance.choice(pids or [postmaster]), signal.SIGKILL)

    def finish(self) -> None:
        """Have the process ship what is left."""
        assert self.child is not None
        try:
            self.child.communicate(b"finish\n", timeout=120)
        finally:
            self.child.kill()
            self.log.close()
        assert self.child.returncode == 0, (self.data_dir / "log").read_text()


@pytest.mark.parametrize("kills", [12, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_rows_equal_the_journal_after_kills_at_random_moments(own_data_dir: Path, kills: int) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    shipping, stage = Shipping(own_data_dir, seed), Stage(own_data_dir)
    stage.log_on(b"BUYER")
    stage.log_on(b"SELLER")
    shipping.start()
    for number in range(kills):
        for order in range(300):
            name = b"%d-%d" % (number, order)
            sell = stage.order(b"SELLER", b"S" + name, b"2", b"100", b"187.25")
            buy = stage.order(b"BUYER", b"B" + name, b"1", b"100", b"187.25")
            stage.trade((b"BUYER", buy, b"B" + name), (b"SELLER", sell, b"S" + name), b"100", b"187.25")
        said = stage.sequences[b"BUYER", Kind.OUT]
        stage.resend(b"BUYER", said - shipping.chance.randrange(600), said)
        stage.seal()
        time.sleep(shipping.chance.random() * 1.2)
        shipping.kill_something()
    stage.close()
    shipping.finish()

    async def check() -> None:
        with shipping.server:
            database = EmbeddedDatabase(shipping.server)
            assert await stored(database) == stage.said
            assert await rows(database, "SELECT count(*), count(DISTINCT match_id) FROM trades") == [(kills * 300, kills * 300)]
            assert await rows(database, "SELECT count(*) FROM executions") == [(kills * 1200,)]
            assert await rows(database, "SELECT messages FROM shipped") == [(len(stage.said),)]

    asyncio.run(check())
