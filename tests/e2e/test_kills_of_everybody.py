"""kill -9 of the shipper, of PostgreSQL and now and then of the exchange, beside each other and under load; in the end the
database holds the journal exactly once. A failure names its seed.
"""

import contextlib
import random
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from e2e.ledger import Ledger, check_ids, check_peer
from e2e.load import Load
from e2e.rows import check_database
from e2e.venue import ForkedServer, Nursery, kill, postmaster_of, processes_of, shipper_of, wait_until

SESSIONS = 4
SYMBOLS = 6


class Massacre:
    """An exchange with its shipper and its database, of which somebody is killed all the time."""

    def __init__(self, server: ForkedServer, seed: str) -> None:
        self.server, self.chance = server, random.Random(seed)
        self.load = Load(self.chance.randrange(1 << 30), SESSIONS, SYMBOLS)
        self.kills: Counter[str] = Counter()

    def rage(self, kills: int) -> None:
        """Kill `kills` times; in the end everybody has what was said to it, and the exchange is alive."""
        self.load.connect(self.server.port)
        while self.kills.total() < kills:
            until = time.monotonic() + self.chance.uniform(0.0, 0.6)
            self.load.run(until=lambda limit=until: time.monotonic() > limit, rest_s=0.004)  # type: ignore[misc]
            self.kill_somebody()
        self.load.settle()

    def kill_somebody(self) -> None:
        """Whoever chance points at, if it is there: it may be dead already, or not born again."""
        victims = ("shipper", "shipper", "shipper", "postmaster", "postmaster", "backend", "backend", "exchange")
        victim = self.chance.choice(victims)
        if victim == "exchange":
            self.server.kill()
            self.load.drain()
            self.server.start()
            self.load.connect(self.server.port)
            self.kills[victim] += 1
        elif kill(self.find(victim)):
            self.kills[victim] += 1

    def find(self, victim: str) -> psutil.Process | None:
        """The process, None while there is none."""
        if victim == "shipper":
            return shipper_of(self.server.data_dir)
        postmaster = postmaster_of(self.server.data_dir)
        if victim == "postmaster" or postmaster is None:
            return postmaster
        with contextlib.suppress(psutil.Error):
            return self.chance.choice(postmaster.children() or [postmaster])
        return None


def massacre(nursery: Nursery, config: Path, data_dir: Path, seed: str, kills: int) -> None:
    """`kills` kills around one data directory."""
    with ForkedServer(nursery, data_dir, config, "embedded") as server:
        one = Massacre(server, seed)
        try:
            one.rage(kills)
            one.load.log_out()
            assert server.stop() == 0
            # the shipper of an exchange that was killed a moment ago may be the last to leave
            wait_until(lambda: processes_of(data_dir) == [], "the end of everybody")
            ledger = Ledger(data_dir)
            ledger.read_on()
            check_database(ledger, data_dir)
            for trader in one.load.traders:
                check_peer(ledger, trader.peer, trader.entered)
            check_ids(ledger)
        except (AssertionError, OSError) as failure:
            raise AssertionError(f"seed {seed!r}, killed {dict(one.kills)}: {failure}\n{nursery.tell()}") from failure
        finally:
            one.load.close()


@pytest.mark.timeout(900)
def test_the_database_holds_the_journal_once_whoever_is_killed(nursery: Nursery, small: Path, data_dir: Path) -> None:
    massacre(nursery, small, data_dir, f"{time.time_ns()}", 30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("journal", range(5))
def test_the_database_holds_the_journal_once_for_long(nursery: Nursery, small: Path, data_dir: Path, journal: int) -> None:
    massacre(nursery, small, data_dir, f"{time.time_ns()}-long-{journal}", 100)
