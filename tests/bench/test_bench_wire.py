"""The load client against a real exchange process: every report is counted and read, and one that is wrong is noticed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fixsim.bench.frames import Frames
from fixsim.bench.load import Client, logged_on
from fixsim.bench.plan import Plan
from fixsim.bench.process import Acceptor, canned, exchange, port_ready, running
from fixsim.bench.reports import Checker
from fixsim.bench.wire import Load, due
from fixsim.config import load, packaged
from fixsim.errors import VenueError

ROOT = Path(__file__).parents[2]
PATH = packaged("load.toml")
PLAN = Plan(load(PATH), str(PATH), orders=2_000, database_url="none", pings=200)


@pytest.fixture
def venue() -> Iterator[Acceptor]:
    with exchange(str(PATH), "none", None) as acceptor:
        yield acceptor


@pytest.mark.parametrize(("flow", "sessions", "symbols"), [("mix", 1, 1), ("mix", 20, 3), ("cross", 4, 2), ("resting", 3, 1)])
def test_an_exchange_answers_every_order(venue: Acceptor, flow: str, sessions: int, symbols: int) -> None:
    work = Load(PLAN, sessions, symbols, flow)
    found = work.offer(venue)
    assert found["orders_per_s"] > 0 and found["reports_per_s"] >= found["orders_per_s"]
    assert venue.memory_bytes() > 0


def test_latency_is_taken_of_every_operation(venue: Acceptor) -> None:
    found = Load(PLAN, 1, 1, "resting").ping(venue)
    assert 0 < found["p50"] <= found["p99"] <= found["p99_9"] <= found["max"]


def test_the_canned_acceptor_answers_every_order() -> None:
    with canned(None) as acceptor:
        assert Load(PLAN, 5, 1, "mix").offer(acceptor, answers=False)["orders_per_s"] > 0
        assert Load(PLAN, 1, 1, "resting").ping(acceptor, answers=False)["p50"] > 0


def test_canned_answers_are_not_taken_for_right_ones() -> None:
    with canned(None) as acceptor, pytest.raises(VenueError, match=r"reports are wrong in .*acknowledgements"):
        Load(PLAN, 1, 1, "resting").offer(acceptor)


@pytest.mark.parametrize("script", ["on_simplefix.py", "on_quickfix.py"])
def test_the_peers_answer_as_the_exchange_does(script: str) -> None:
    with running([sys.executable, str(ROOT / "bench" / "acceptors" / script)], port_ready, None) as acceptor:
        assert Load(PLAN, 1, 1, "mix").offer(acceptor)["orders_per_s"] > 0


def taken(venue: Acceptor, work: Load, frames: Frames, memory_bytes: int = 1 << 30) -> Iterator[tuple[Client, Checker]]:
    """A client that has got everything, not checked yet."""
    before, total = due(work.made)
    with logged_on(venue.port, frames, work.names.venue, total, memory_bytes) as client:
        checker = Checker(client, work.made, work.names.grid)
        client.run(frames.first[:-1] + frames.preload, before, 100)
        client.run(frames.first[1:], total, 100)
        yield client, checker


def spoil(octets: np.ndarray, mark: bytes) -> None:
    """Change the first digit behind the last `mark`; the checksum stays as it was."""
    at = octets.tobytes().rindex(mark) + len(mark)
    octets[at] = 48 + (octets[at] - 48 + 1) % 10


@pytest.mark.parametrize(
    ("mark", "noticed"),
    [
        (b"\x01151=", "acknowledgements"), (b"\x0132=", "traded_lots"), (b"\x0131=", "trades"), (b"\x0134=", "sequence_gaps"),
        (b"\x0111=O", "unknown_ids"), (b"\x01150=", "other_messages"), (b"\x0160=", "garbled"),
    ],
)  # fmt: skip
def test_a_spoiled_report_is_noticed(venue: Acceptor, mark: bytes, noticed: str) -> None:
    work = Load(PLAN, 1, 1, "cross" if mark in (b"\x0132=", b"\x0131=") else "resting")
    for client, checker in taken(venue, work, work.render()):
        line = client.lines[0]
        spoil(client.arena[line["begin"] : line["parsed"]], mark)
        verdict = checker.verdict()
        assert not verdict["correct"] and "garbled" in verdict["wrong"]
        assert noticed in verdict["wrong"]


def test_a_full_buffer_is_checked_and_used_again(venue: Acceptor) -> None:
    work = Load(PLAN, 1, 1, "mix")
    for client, checker in taken(venue, work, work.render(), memory_bytes=1):
        assert client.lines[0]["end"] - client.lines[0]["begin"] < client.counts[0] * 150
        verdict = checker.verdict()
        assert verdict["correct"] and verdict["reports"] == due(work.made)[1]


def test_nobody_there_is_one_sentence() -> None:
    with canned(None) as acceptor:
        port = acceptor.port
    work = Load(PLAN, 1, 1, "resting")
    with pytest.raises(VenueError, match="session 1 cannot log on"), logged_on(port, work.render(), b"FIXSIM", 10):
        raise AssertionError("nobody answered")


def test_an_exchange_that_dies_is_noticed(venue: Acceptor) -> None:
    work = Load(PLAN, 1, 1, "resting")
    frames = work.render()
    with logged_on(venue.port, frames, work.names.venue, 10_000) as client:
        venue.popen.kill()
        venue.popen.wait()
        with pytest.raises(VenueError, match="disconnected after 0 of"):
            client.run(frames.first[1:], 10_000, 100)
