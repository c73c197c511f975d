"""Golden journals: what was said once is said again by every release, on every machine."""

import json
from pathlib import Path

from replay.golden import DAYS, expected, make, unpack

GOLDEN = Path(__file__).parents[2] / "fixtures" / "journals"


def replayed(golden: Path, scratch: Path) -> list[str]:
    """Replay every golden journal below `golden` with both engines; their names."""
    folders = sorted(path.parent for path in golden.glob("*/expected.json"))
    for folder in folders:
        unpack(folder, scratch / folder.name / "journal")
        assert expected(scratch / folder.name / "journal") == json.loads((folder / "expected.json").read_text()), folder.name
    return [folder.name for folder in folders]


def test_golden_journals_are_carried_out_to_the_same_bytes_and_digests(tmp_path: Path) -> None:
    assert set(replayed(GOLDEN, tmp_path)) <= set(DAYS)


def test_the_same_days_give_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    one, two = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert one == two
    assert sum(map(len, one.values())) < 600_000
    assert replayed(tmp_path / "one", tmp_path / "scratch") == sorted(DAYS)
