"""One recorded day for all tests of this room."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixsim.cli.main import main
from replay.recording import record_day

Fixsim = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The data directory of the day, which nobody changes, and the digest of the exchange that lived it."""
    data_dir = tmp_path_factory.mktemp("day")
    yield data_dir, record_day(data_dir)
    shutil.rmtree(data_dir)


@pytest.fixture
def fixsim(capsys: pytest.CaptureFixture[str]) -> Fixsim:
    """Runs a command; exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return run
