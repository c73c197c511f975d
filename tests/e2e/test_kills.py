"""kill -9 of the exchange at random moments, under load; afterwards nothing is lost, doubled or renumbered.

Sometimes it is killed again while it recovers, and after every restart its books, its numbers and what its clients took are
compared with the journal. A failure names its seed.
"""

import random
import threading
import time
from pathlib import Path

import pytest

from e2e.book import Books, shown
from e2e.ledger import Ledger, check_ids, check_peer, check_wires
from e2e.load import Load, market_data_request
from e2e.peer import Peer, value
from e2e.venue import PATIENCE_S, ForkedServer, Nursery
from fixsim.gateway.control import ask
from fixsim.limits import BATCH_BYTES, SEGMENT_BYTES

#: A new journal after so many kills, so that recovery stays short.
KILLS_PER_JOURNAL = 25
SESSIONS = 4
SYMBOLS = 6


class Observer:
    """A session that looks at the books, order by order."""

    def __init__(self) -> None:
        self.peer = Peer("OBSERVER")

    def look(self, port: int, symbols: list[bytes]) -> dict[bytes, bytes]:
        """Snapshots(W) by symbol."""
        peer = self.peer
        peer.connect(port)
        for symbol in symbols:
            peer.say(b"V", market_data_request(symbol, aggregated=False, depth=0))
        text, seen, limit = peer.ping(), peer.next_in, time.monotonic() + PATIENCE_S
        while not peer.has_echoed(text):
            assert peer.connected and time.monotonic() < limit
            if not peer.turn():
                time.sleep(0.001)
        peer.log_out()
        while peer.connected:
            peer.turn()
        snapshots = [frame for seq, frame in peer.taken.items() if seq >= seen and value(frame, b"35") == b"W"]
        return {value(frame, b"55"): frame for frame in snapshots}

    def compare(self, port: int, books: Books) -> None:
        """Every resting order has its place."""
        snapshots = self.look(port, books.symbols)
        assert sorted(snapshots) == books.symbols
        for symbol, snapshot in snapshots.items():
            sides = shown(snapshot)
            for side in (b"1", b"2"):
                assert sides[side] == books.side(symbol, side), f"{symbol!r} side {side!r}"


def check_numbers(ledger: Ledger, data_dir: Path) -> None:
    """The exchange goes on counting where the journal stopped, in both directions."""
    for shown_session in ask(data_dir, "sessions.show", {})["sessions"]:
        told = ledger.sessions[shown_session["session"]]
        if shown_session["next_in"] in told.waited:
            told.next_in = shown_session["next_in"]
        told.waited.clear()
        numbers = shown_session["next_in"], shown_session["next_out"], shown_session["run"]
        assert numbers == (told.next_in, told.next_out, 0), shown_session["session"]


class Storm:
    """One journal: load, kill, recovery, and the same again."""

    def __init__(self, server: ForkedServer, seed: str) -> None:
        self.server, self.chance = server, random.Random(seed)
        self.load = Load(self.chance.randrange(1 << 30), SESSIONS, SYMBOLS)
        self.observer = Observer()
        self.ledger = Ledger(server.data_dir)
        self.rest_s = 0.003
        self.kills = 0

    def fill(self, segments: int) -> None:
        """Trade in peace until so many segments are nearly full, and faster from then on."""
        if segments == 0:
            return
        self.rest_s = 0.0
        self.load.connect(self.server.port)
        while self.ledger.position < segments * SEGMENT_BYTES - 2 * BATCH_BYTES:
            self.load.say(1000)
            self.load.settle()
            self.ledger.read_on()
        self.load.log_out()

    def rage(self, kills: int) -> None:
        """Kill `kills` times; the exchange is alive and at peace in the end."""
        self.load.connect(self.server.port)
        while self.kills < kills:
            self.kill_under_load()
            while self.kills < kills and self.chance.random() < 0.2:
                self.kill_while_it_starts()
            self.recover()
        self.load.settle()

    def kill_under_load(self) -> None:
        """Sometimes in the middle of a Logon or of a resend, mostly later."""
        timer = threading.Timer(self.chance.uniform(0.0, 0.25), self.server.kill)
        timer.start()
        self.load.run(until=lambda: not timer.is_alive(), rest_s=self.rest_s)
        timer.join()
        self.load.drain()
        self.kills += 1

    def kill_while_it_starts(self) -> None:
        """Recovery may be killed as well."""
        self.server.launch()
        time.sleep(self.chance.uniform(0.0, 0.15))
        self.server.kill()
        self.kills += 1

    def recover(self) -> None:
        """Start again, look at everything, go on."""
        self.server.start()
        self.ledger.read_on()
        check_numbers(self.ledger, self.server.data_dir)
        self.observer.compare(self.server.port, self.ledger.books)
        if self.chance.random() < 0.7:
            self.load.connect(self.server.port)
        else:  # nobody waits: the next kill meets Logons and resends
            for peer in self.load.peers:
                peer.connect(self.server.port)

    def settle_accounts(self) -> None:
        """Everybody has left: the journal, the wires and the peers tell one story."""
        self.ledger.read_on()
        peers = [*self.load.peers, self.observer.peer]
        check_wires(self.ledger, [(peer.name.decode(), one) for peer in peers for one in peer.conversations])
        for trader in self.load.traders:
            check_peer(self.ledger, trader.peer, trader.entered)
        check_ids(self.ledger)


def storm(nursery: Nursery, config: Path, data_dir: Path, seed: str, kills: int, *, segments: int = 1) -> None:
    """`kills` kills on one journal, the last of them where its segment number `segments` begins."""
    with ForkedServer(nursery, data_dir, config) as server:
        one = Storm(server, seed)
        try:
            one.fill(segments - 1)
            one.rage(kills)
            one.load.log_out()
            assert server.stop() == 0
            one.settle_accounts()
        except (AssertionError, OSError) as failure:
            raise AssertionError(f"seed {seed!r}, after {one.kills} kills: {failure}\n{nursery.tell()}") from failure
        finally:
            one.load.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("journal", range(6))
def test_a_killed_exchange_forgets_nothing(nursery: Nursery, small: Path, data_dir: Path, journal: int) -> None:
    storm(nursery, small, data_dir, f"{time.time_ns()}-{journal}", KILLS_PER_JOURNAL)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("journal", range(60))
def test_a_killed_exchange_forgets_nothing_for_long(nursery: Nursery, small: Path, data_dir: Path, journal: int) -> None:
    storm(nursery, small, data_dir, f"{time.time_ns()}-long-{journal}", KILLS_PER_JOURNAL)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_is_lost_where_a_segment_ends(nursery: Nursery, small: Path, data_dir: Path) -> None:
    storm(nursery, small, data_dir, f"{time.time_ns()}-segments", 12, segments=2)
    assert len(list((data_dir / "journal").glob("*.fixj"))) > 1
