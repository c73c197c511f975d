"""Readers beside the exchange: restarted with patience, told to finish, left alone with their secrets."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fixsim.feed.priority import MODEST_NICE
from fixsim.gateway.supervisor import BACK_OFF_MIN_NS, CHECK_NS, Supervisor

SECOND = 1_000_000_000

#: Writes its environment and pid down, then waits for a word on its standard input; leaves another when it comes.
OBEDIENT = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "secret").write_text(os.environ["SECRET"])
word = sys.stdin.readline()
(folder / "word").write_text(word or "the end")
"""
DYING = "import sys; sys.exit(7)"


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def supervisor(program: str, *arguments: str) -> Supervisor:
    return Supervisor("reader", [sys.executable, "-c", program, *arguments], {"SECRET": "sesame"})


def test_a_reader_is_told_to_finish_and_leaves(tmp_path: Path) -> None:
    reader = supervisor(OBEDIENT, str(tmp_path))
    reader.start(0)
    assert reader.pid is not None and os.getpriority(os.PRIO_PROCESS, reader.pid) == MODEST_NICE, "orders come first"
    wait_for((tmp_path / "secret").exists)
    assert not reader.finished()
    reader.tell_to_finish()
    wait_for(reader.finished)
    assert (tmp_path / "word").read_text() == "finish\n"
    assert (tmp_path / "secret").read_text() == "sesame"


def test_the_end_of_the_pipe_says_that_the_exchange_is_dead(tmp_path: Path) -> None:
    reader = supervisor(OBEDIENT, str(tmp_path))
    reader.start(0)
    wait_for((tmp_path / "secret").exists)
    reader.let_go()
    wait_for((tmp_path / "word").exists)
    wait_for(reader.finished)
    assert (tmp_path / "word").read_text() == "the end"


def test_a_reader_that_dies_is_started_again_with_growing_patience() -> None:
    reader = supervisor(DYING)
    now_ns, waits = 0, []
    reader.start(now_ns)
    for _ in range(4):
        pid = reader.pid
        assert pid is not None
        while reader.pid == pid:  # until its death is noticed
            time.sleep(0.01)
            now_ns += CHECK_NS
            reader.check(now_ns)
        died_ns = now_ns
        while reader.pid is None:
            now_ns += CHECK_NS
            reader.check(now_ns)
        waits.append(now_ns - died_ns)
    reader.kill()
    assert waits == [BACK_OFF_MIN_NS, 2 * BACK_OFF_MIN_NS, 4 * BACK_OFF_MIN_NS, 8 * BACK_OFF_MIN_NS]


def test_a_reader_that_is_killed_is_started_again_without_growing_patience(tmp_path: Path) -> None:
    reader = supervisor("import time; time.sleep(600)")
    now_ns, waits = 0, []
    reader.start(now_ns)
    for _ in range(3):
        pid = reader.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while reader.pid == pid:  # until its death is noticed
            time.sleep(0.01)
            now_ns += CHECK_NS
            reader.check(now_ns)
        died_ns = now_ns
        while reader.pid is None:
            now_ns += CHECK_NS
            reader.check(now_ns)
        waits.append(now_ns - died_ns)
    reader.kill()
    assert waits == [BACK_OFF_MIN_NS] * 3


def test_a_reader_that_is_not_there_is_started_to_finish(tmp_path: Path) -> None:
    reader = supervisor(OBEDIENT, str(tmp_path))
    reader.start(0)
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGKILL)  # nobody has looked since
    reader.tell_to_finish()
    wait_for(reader.finished)
    assert (tmp_path / "word").read_text() == "finish\n"


def test_a_reader_that_is_killed_while_it_finishes_is_started_again(tmp_path: Path) -> None:
    reader = supervisor(f"import os, time; os.path.exists({str(tmp_path / 'again')!r}) or time.sleep(600)")
    reader.start(0)
    reader.tell_to_finish()
    assert not reader.finished()
    (tmp_path / "again").touch()
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGKILL)
    wait_for(reader.finished)


def test_a_reader_that_does_not_finish_is_ended() -> None:
    reader = supervisor("import time; time.sleep(600)")
    reader.start(0)
    reader.tell_to_finish()
    assert not reader.finished()
    reader.kill()
    assert reader.finished()
