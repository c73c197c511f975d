"""Thousands of small worlds, each from one number: whatever fails, fails again under its seed.

    uv run pytest -n 0 tests/simulation/test_simulation.py --seed 17     # one world
    uv run pytest -n 0 tests/simulation/test_simulation.py --seeds 5000  # that many, from 0 on
"""

import os
from pathlib import Path
from random import Random

import pytest

from fixsim.errors import JournalCorrupt
from simulation.disk import SimulatedDisk
from simulation.stage import explain, live, place
from simulation.world import SEGMENTS, World

#: Worlds of one run: as many as fit a minute of one core.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
SEEDS = 20 if PLAIN else 400
SEEDS_SLOW = 200 if PLAIN else 2_000
#: Worlds of one test, so that a failure is told soon.
TOGETHER = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Some seeds for each test; `--seed` and `--seeds` choose others."""
    if "first" not in metafunc.fixturenames:
        return
    one, count = metafunc.config.getoption("seed"), metafunc.config.getoption("seeds")
    slow = "slow" in metafunc.function.__name__
    if one is not None:
        ranges = [] if slow else [(one, one + 1)]
    else:
        begin, end = (SEEDS, SEEDS + SEEDS_SLOW) if slow else (0, SEEDS if count is None else count)
        ranges = [(first, min(end, first + TOGETHER)) for first in range(begin, end, TOGETHER)]
    metafunc.parametrize(("first", "last"), ranges, ids=[f"{first}-{last - 1}" for first, last in ranges])


@pytest.mark.timeout(600)
def test_a_world_with_faults_comes_to_rest_and_agrees(first: int, last: int) -> None:
    for seed in range(first, last):
        live(seed)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_world_with_faults_comes_to_rest_and_agrees_slowly(first: int, last: int) -> None:
    for seed in range(first, last):
        live(seed)


def test_the_same_seed_is_the_same_world() -> None:
    journals = []
    for _ in range(2):
        with place() as directory:
            world = World(5, directory)
            world.run(120)
            journals.append((b"".join(world.scribe.batches), world.deaths, world.agenda.now_ns))
    assert journals[0] == journals[1]


def test_many_worlds_meet_every_fault() -> None:
    """A world in which nothing happens proves nothing: deaths, cut tails, resends, resets and full segments do occur."""
    deaths = resends = runs = segments = commands = fills = shipped = restored = 0
    for seed in range(1_000, 1_012):
        with place() as directory:
            world = World(seed, directory)
            world.run(150)
            deaths += world.deaths
            resends += sum(len(one) for one in world.scribe.story.resent.values())
            runs += sum(run > 0 for _, run in world.scribe.story.said)
            segments += world.scribe.story.end // SEGMENTS["segment_bytes"]
            commands += world.scribe.story.operators
            fills += world.scribe.story.fills
            shipped += len(world.shipper.rows)
            restored += world.restored
    assert min(deaths, resends, segments, commands, fills) >= 10 and min(runs, restored) >= 3 and shipped >= 500


def test_with_durability_os_a_power_cut_is_a_shorter_journal_or_a_start_refused() -> None:
    """Nobody promised more: what is found is a beginning of what was, or is called damaged, and never something else."""
    refused = shorter = 0
    for seed in range(40):
        with place() as directory:
            world = World(seed, directory, "os")
            world.be_born()
            for trader in world.traders:
                trader.start()
            for _ in range(60):
                world.turn()
            world.die(power=True, floor=0)
            try:
                world.be_born()
                shorter += 1
            except JournalCorrupt as error:
                refused += 1
                assert "sealed records follow" in str(error)
            world.close()
    assert refused >= 3 and shorter >= 3


@pytest.mark.parametrize("durability", ["os", "sync"])
def test_a_disk_that_is_never_killed_holds_what_was_written(durability: str) -> None:
    with place() as directory:
        world = World(3, directory, durability)
        world.be_born()
        for trader in world.traders:
            trader.start()
        for _ in range(100):
            world.turn()
        world.look_at_the_files(world.scribe.story.end)
        world.close()


def test_a_torn_file_is_what_was_safe_and_some_of_the_rest(tmp_path: Path) -> None:
    """The disk itself: a sector is there or not, and what was synced always is."""
    outcomes = set()
    for seed in range(60):
        disk = SimulatedDisk(Random(seed), lambda *_: None, lambda: None)
        path = tmp_path / f"{seed}"
        descriptor = disk.create(path)
        disk.write_all(descriptor, memoryview(b"a" * 512), 0)
        disk.sync(descriptor)
        disk.sync_directory(tmp_path)
        disk.write_all(descriptor, memoryview(b"b" * 1536), 512)
        disk.lose_power()
        found = path.read_bytes()
        assert found[:512] == b"a" * 512
        assert set(found[512:]) <= set(b"b\0") and all(found[at] == found[at + 511] for at in range(512, len(found), 512))
        outcomes.add(found)
    assert len(outcomes) > 4


def test_a_failure_names_its_seed_and_how_to_live_through_it_again() -> None:
    text = explain(17, AssertionError("the book is crossed"))
    assert "seed 17" in text and "--seed 17" in text and "the book is crossed" in text
