"""What the tests of all rooms stand on: this folder is importable (`flows`), compiled kernels are kept between runs.

The kernel cache is named before anything of fixsim is imported, so that processes a test starts, with whatever HOME it gives
them, find the same kernels. Without compilation (NUMBA_DISABLE_JIT=1) property tests try fewer examples.
"""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_base = os.environ.get("XDG_CACHE_HOME")
_cache = os.environ.get("FIXSIM_KERNEL_CACHE") or str((Path(_base) if _base else Path.home() / ".cache") / "fixsim")
if os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0") and not _cache.endswith("bounds-checked"):
    # numba's own cache does not tell kernels that check their bounds from those that do not
    _cache = str(Path(_cache) / "bounds-checked")
os.environ["FIXSIM_KERNEL_CACHE"] = _cache
# hundreds of processes are started: none of them should compile our modules again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Do the kernels run as plain Python?
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

#: Rooms whose tests start, kill and wait for processes.
PATIENT = frozenset({"e2e", "interop", "shadow"})

# The first call of a kernel may compile for seconds: a deadline for one example would say nothing.
# Under CI the examples are always the same ones: what fails there fails here.
settings.register_profile(
    "compiled", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.register_profile("plain", settings.get_profile("compiled"), max_examples=25)
settings.load_profile("plain" if PLAIN else "compiled")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the simulation is asked to live through, see tests/simulation/README.md."""
    parser.addoption("--seed", type=int, help="the one world that tests/simulation lives through")
    parser.addoption("--seeds", type=int, default=None, help="how many worlds it lives through, instead of its usual number")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for processes most begin first, or the run would end with one worker that waits."""
    items.sort(key=lambda item: not PATIENT.intersection(item.path.parts))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the kernels once, before the first test waits for them; a moment when they are in the cache."""
    if PLAIN or hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    from fixsim.gateway.warmup import compile_kernels

    compile_kernels(lambda line: print(line, flush=True))


@pytest.fixture(autouse=True, scope="module")
def _swept() -> Iterator[None]:
    """An exchange is a ring of objects around megabytes the collector does not count: they go with the file that made them."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """A command that runs in this process logs to the terminal it has now, and chooses the memory pages of its arrays: neither
    outlives the test.
    """
    logger = logging.getLogger("fixsim")
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    pages = os.environ.get("NUMPY_MADVISE_HUGEPAGE")
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)
    if pages is None:
        os.environ.pop("NUMPY_MADVISE_HUGEPAGE", None)
