"""One nursery for the whole run, and data directories that an unprivileged PostgreSQL can walk to."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "interop"))

from e2e.load import Load, MakeLoad
from e2e.venue import Nursery, kill, processes_of


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that forks exchanges."""
    one = Nursery()
    yield one
    one.close()


@pytest.fixture
def make_load() -> Iterator[MakeLoad]:
    """Makes loads; whatever happens, none stays connected."""
    made: list[Load] = []

    def make(seed: int, sessions: int, symbols: int, prefix: str = "PEER") -> Load:
        made.append(Load(seed, sessions, symbols, prefix))
        return made[-1]

    yield make
    for load in made:
        load.close()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory whose cluster lies in it whoever runs the tests; nobody works for it afterwards."""
    home = Path(tempfile.mkdtemp(prefix="fixsim-e2e-"))
    home.chmod(0o711)
    (home / "data").mkdir(mode=0o711)  # made beforehand: the exchange would close its own to everybody else
    yield home / "data"
    for process in processes_of(home / "data"):
        kill(process)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A configuration that starts quickly: without the console, an interpreter of its own at each of hundreds of starts."""
    path = tmp_path / "small.toml"
    path.write_text(
        "[capacities]\norders = 65_536\nsessions = 64\ninstruments = 16\nprice_levels = 16_384\nclordid_memory = 65_536\n"
        '[[instruments]]\nsymbol = "SYM*"\ntick_size = 0.01\nlot_size = 1\nmax_qty = 1_000_000\n'
        '[[counterparties]]\nsender_comp_id = "*"\n[console]\nenabled = false\n'
    )
    return path
