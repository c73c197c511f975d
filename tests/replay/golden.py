"""Makes the golden journals: a few recorded days, compressed, with what a replay of each must come to.

PYTHONPATH=tests python -m replay.golden fixtures/journals
PYTHONPATH=tests python -m replay.golden --check fixtures/journals

With --check they are replayed, by any Python, with and without NUMBA_DISABLE_JIT.
"""

import gzip
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fixsim.exchange.replay import Replay
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from replay.recording import record_day

#: Name of a day, and what records it into a data directory.
DAYS: dict[str, Callable[[Path], object]] = {
    "quiet": lambda data_dir: record_day(data_dir, 120, seed=11),
    "busy": lambda data_dir: record_day(data_dir, 2_500, seed=12),
}


def expected(directory: Path) -> dict[str, object]:
    """What a replay of the journal in `directory` comes to; both engines must call it equal."""
    told: dict[str, object] = {}
    for name, engine in (("digest", Replay), ("oracle", SecondOpinion)):
        one_pass = engine(Reader(directory), fix44())
        one_pass.run()
        told |= {"records": one_pass.records, "inbound": one_pass.inbound, name: one_pass.digest().digest}
    return told


def make(target: Path) -> None:
    """Write every day into a folder of its own below `target`."""
    for name, record in DAYS.items():
        with tempfile.TemporaryDirectory(prefix="fixsim-golden-") as home:
            record(Path(home))
            folder = target / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            directory = journal_directory(Path(home))
            for segment in sorted(directory.glob("*.fixj")):
                # no name and no time in it: the same bytes each time
                (folder / f"{segment.name}.gz").write_bytes(gzip.compress(segment.read_bytes(), 9, mtime=0))
            (folder / "expected.json").write_text(json.dumps(expected(directory), indent=1) + "\n")


def unpack(folder: Path, directory: Path) -> None:
    """The segments of a golden journal as files again."""
    directory.mkdir(parents=True)
    for packed in sorted(folder.glob("*.fixj.gz")):
        (directory / packed.name.removesuffix(".gz")).write_bytes(gzip.decompress(packed.read_bytes()))


def check(golden: Path) -> list[str]:
    """Replay every golden journal below `golden` with both engines; their names. AssertionError for the first that differs."""
    folders = sorted(path.parent for path in golden.glob("*/expected.json"))
    for folder in folders:
        with tempfile.TemporaryDirectory(prefix="fixsim-golden-") as scratch:
            unpack(folder, Path(scratch) / "journal")
            found = expected(Path(scratch) / "journal")
        assert found == json.loads((folder / "expected.json").read_text()), folder.name
    return [folder.name for folder in folders]


def main(arguments: list[str]) -> None:
    """Make them, or tell which of them came to what they must."""
    if arguments[0] == "--check":
        print(*check(Path(arguments[1])))
    else:
        make(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
