"""Bad peers against `fixsim serve`, a process of its own: bounded, logged once, and hardly felt by their neighbour.

Limits on times are wide: what counts here is that nobody waits for all a bad peer asks for. `hostile.nuisances` measures.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.nuisances import NUISANCES, GoodPeer, Peer, pestered

ROOT = Path(__file__).parents[2]
READY = re.compile(r"fixsim ready fix [^ ]*:(\d+) .* pid (\d+)$")
CONFIG = """
[venue]
logon_timeout_s = 3
stalled_reader_timeout_s = 2

[capacities]
orders = 65_536
sessions = 1_024
instruments = 16
price_levels = 16_384
clordid_memory = 65_536
greetings = 256

[[instruments]]
symbol = "AAPL"
tick_size = 0.01
lot_size = 1

[[counterparties]]
sender_comp_id = "*"

[[counterparties]]
sender_comp_id = "SECRET*"
password_hash = "{}"
"""


class Venue:
    """`fixsim serve` and what can be seen of it from outside."""

    def __init__(self, folder: Path) -> None:
        hashing = [sys.executable, "-m", "fixsim.cli.main", "password"]
        typed = subprocess.run(hashing, input="sesame\n", capture_output=True, text=True, cwd=ROOT, check=True)
        config = folder / "hostile.toml"
        config.write_text(CONFIG.format(typed.stdout.strip()))
        self.journal = folder / "data" / "journal"
        self.log = (folder / "log").open("w+")
        command = [sys.executable, "-m", "fixsim.cli.main", "serve", "--port", "0", "--database-url", "none"]
        command += ["--config", str(config), "--data-dir", str(folder / "data")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=ROOT)
        self.port = self._port()

    def _port(self) -> int:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 400)[0], "not ready in time"
        found = READY.match(self.process.stdout.readline().rstrip())
        assert found is not None, self.told()
        assert int(found[2]) == self.process.pid
        return int(found[1])

    def told(self) -> str:
        """What it logged."""
        self.log.seek(0)
        return self.log.read()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_mib(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        told = self.told()
        self.log.close()
        assert code == 0, told
        assert "Traceback" not in told, told


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    venue = Venue(tmp_path_factory.mktemp("hostile"))
    yield venue
    venue.close()


@pytest.fixture(scope="module")
def good(venue: Venue) -> Iterator[GoodPeer]:
    good = GoodPeer(venue.port)
    good.trade(0.3)
    yield good
    good.close()


@pytest.mark.parametrize("kind", NUISANCES)
def test_a_nuisance_is_hardly_felt(venue: Venue, good: GoodPeer, kind: str) -> None:
    alone = good.trade(0.3)
    with pestered(kind, venue.port) as steps:
        deadline = time.monotonic() + 30
        while steps.value == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        felt = good.trade(0.8)
        assert steps.value > 0, "it was no nuisance"
    # a snapshot of a thousand levels alone takes tens of ms on a busy machine; nothing may wait for many of them
    assert felt.p50_ms < alone.p50_ms + 150, f"alone {alone}, pestered {felt}"
    assert felt.max_ms < 2_500, f"alone {alone}, pestered {felt}"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux shows them")
def test_nothing_of_them_stays(venue: Venue, good: GoodPeer) -> None:
    deadline = time.monotonic() + 20
    while venue.descriptors() > 40 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert venue.descriptors() <= 40, "their connections are still open"
    assert venue.resident_mib() < 900
    lines = venue.told().splitlines()
    assert len(lines) < 400, "a line for each of them"
    assert good.trade(0.2).count > 0


def test_guesses_keep_nobody_else_waiting(venue: Venue) -> None:
    def log_on() -> float:
        began = time.monotonic()
        peer = Peer(venue.port, b"SECRET-ALICE")
        answer = peer.log_on((554, b"sesame"))
        peer.line.close()
        assert answer is not None and answer.msg_type == b"A", answer
        return time.monotonic() - began

    log_on()
    with pestered("wrong_passwords", venue.port) as steps:
        while steps.value < 400:
            time.sleep(0.02)
        assert max(log_on() for _ in range(3)) < 2.5
    assert "guess" not in venue.told()
    for segment in venue.journal.glob("*.fixj"):
        held = segment.read_bytes()
        assert b"guess" not in held and b"sesame" not in held
