"""Golden journals: what was said once is said again by every release, on every machine."""

import os
import subprocess
import sys
from pathlib import Path

from replay.golden import DAYS, check, make

GOLDEN = Path(__file__).parents[2] / "fixtures" / "journals"


def test_golden_journals_are_carried_out_to_the_same_bytes_and_digests() -> None:
    assert set(check(GOLDEN)) == set(DAYS)


def test_the_same_days_give_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    one, two = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert one == two
    assert sum(map(len, one.values())) < 600_000
    assert check(tmp_path / "one") == sorted(DAYS)
    # and without compilation, in a process of its own
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "replay.golden", "--check", str(tmp_path / "one")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (sorted(DAYS), "")
