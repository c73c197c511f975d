"""kill -9 of a writer at any moment: what it was told is written is there, whole, and the journal goes on."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from journals import append, open_writer, payloads_of

from fixsim.journal.reader import Reader

HERE = Path(__file__).parent
WRITING = """
import sys
from pathlib import Path
from journals import append, open_writer

writer = open_writer(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10**9):
    append(writer, [b"%d" % number, bytes(number % 700)])
    sys.stdout.write("%d\\n" % number)
    sys.stdout.flush()
"""


def write_until_killed(directory: Path, number: int, lines: int) -> int:
    """Let a process write batches from `number` on, kill it after about `lines` of them; the last it said was
    written."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(directory), str(number)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])},
    )
    assert child.stdout is not None
    with child.stdout:
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    child.wait()
    return int([line for line in said if line.endswith(b"\n")][-1])


def check(directory: Path, kills: int, seed: int) -> None:
    """Kill a writer again and again; after each time everything it said is there, in order, once."""
    moments = random.Random(seed)
    number = 0
    for _ in range(kills):
        told = write_until_killed(directory, number, moments.randint(1, 120))
        written = [int(first) for first, _ in payloads_of(Reader(directory))]
        assert written == list(range(len(written))), f"seed {seed}"
        assert len(written) > told, f"seed {seed}"
        number = len(written)
    writer = open_writer(directory)
    append(writer, [b"%d" % number, b""])
    writer.close()
    assert len(payloads_of(Reader(directory))) == number + 1


def test_a_writer_killed_at_any_moment_loses_nothing_it_was_told_is_written(tmp_path):
    check(tmp_path, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_writer_killed_hundreds_of_times_loses_nothing(tmp_path):
    check(tmp_path, kills=200, seed=2)
