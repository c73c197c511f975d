"""The shipper as a process: it finishes when told, and does not outlive the exchange."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from audit_stage import Stage, clear
from test_shipping import rows

from fixsim.audit.database import EmbeddedDatabase

#: What a dead exchange's shipper may take, s, and what a busy machine adds.
LEAVE_S = 2.0 + 2.0


@pytest.fixture
def live_stage(database: EmbeddedDatabase, server_home: Path) -> Iterator[Stage]:
    """A journal beside the shared server, with an empty database."""
    stage = Stage(server_home)
    stage.log_on(b"BUYER")
    yield stage
    stage.close()
    clear(server_home)


def started(data_dir: Path, *options: str) -> subprocess.Popen[bytes]:
    """A shipper with a pipe on standard input, as `fixsim serve` starts it."""
    command = [sys.executable, "-m", "fixsim.cli.main", "ship", "--data-dir", str(data_dir), "--full-speed", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)


def count(database: EmbeddedDatabase) -> int:
    """Messages stored."""
    try:
        return int(asyncio.run(rows(database, "SELECT count(*) FROM messages"))[0][0])  # type: ignore[call-overload]
    except asyncpg.UndefinedTableError:
        return 0


def wait_for(database: EmbeddedDatabase, messages: int) -> None:
    """Return when that many are stored."""
    deadline = time.monotonic() + 30
    while count(database) < messages:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_told_to_finish_it_ships_what_is_sealed_and_leaves(
    live_stage: Stage, server_home: Path, database: EmbeddedDatabase
) -> None:
    child = started(server_home)
    for number in range(500):
        live_stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
    live_stage.seal()
    assert child.communicate(b"finish\n", timeout=60)[1] == b"" and child.returncode == 0
    assert count(database) == len(live_stage.said)


@pytest.mark.parametrize("how", ["end of the pipe", "signal"])
def test_it_leaves_within_two_seconds_of_the_exchange(
    live_stage: Stage, server_home: Path, database: EmbeddedDatabase, how: str
) -> None:
    child = started(server_home)
    live_stage.seal()
    wait_for(database, len(live_stage.said))
    live_stage.order(b"BUYER", b"LAST", b"1", b"100", b"187.25")
    live_stage.seal()
    began = time.monotonic()
    assert child.stdin is not None
    if how == "signal":
        child.send_signal(signal.SIGTERM)
    else:
        child.stdin.close()
    child.wait(30)
    assert time.monotonic() - began < LEAVE_S
    assert child.stderr is not None and child.stderr.read() == b""
    assert count(database) == len(live_stage.said)
    child.stderr.close()
    child.stdin.close()


def test_alone_it_ships_to_the_end(live_stage: Stage, server_home: Path, database: EmbeddedDatabase) -> None:
    live_stage.seal()
    child = started(server_home, "--until-end")
    assert child.wait(30) == 0
    child.communicate()
    assert count(database) == len(live_stage.said)


def test_a_database_url_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    child = started(tmp_path, "--database-url", "mysql://elsewhere")
    said = child.communicate(timeout=30)[1]
    assert child.returncode == 2 and said.startswith(b"fixsim: ") and said.count(b"\n") == 1
