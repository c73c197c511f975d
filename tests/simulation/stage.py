"""Worlds to live through, and how a failure is told."""

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from simulation.world import World

#: Turns with faults; a world is over some turns later, when everybody is at rest. One in fifty is longer.
STEPS, LONG_STEPS, LONG_EACH = 60, 400, 50


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory for one world, in memory where there is room in memory. What the exchange logs of it is nobody's concern."""
    memory = Path("/dev/shm")
    logger = logging.getLogger("fixsim")
    before, logger.level = logger.level, logging.CRITICAL
    directory = Path(tempfile.mkdtemp(prefix="fixsim-world-", dir=memory if memory.is_dir() else None))
    try:
        yield directory
    finally:
        logger.level = before
        shutil.rmtree(directory)


def explain(seed: int, failure: BaseException) -> str:
    """What happened, and one command that makes it happen again."""
    again = f"uv run pytest -n 0 tests/simulation/test_simulation.py --seed {seed}"
    return f"seed {seed}: {type(failure).__name__}: {failure}\nAgain: {again}"


def live(seed: int) -> None:
    """One world from its beginning to its end. Raises AssertionError that names the seed."""
    steps = LONG_STEPS if seed % LONG_EACH == LONG_EACH - 1 else STEPS
    with place() as directory:
        world = World(seed, directory)
        try:
            world.run(steps)
        except Exception as failure:
            raise AssertionError(explain(seed, failure)) from failure
        finally:
            world.close()
