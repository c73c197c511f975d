"""Which processors the processes run on, and what kind of memory pages they get (`[process]` of the configuration)."""

import contextlib
import ctypes
import mmap
import os
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Final

from fixsim.config import CpuAffinity, Process
from fixsim.errors import UsageError
from fixsim.journal.disk import Disk

#: madvise(2): fetch the pages now, and leave what is in them as it is.
MADV_POPULATE_WRITE: Final = 23
#: Fetched at once: a huge page, a millisecond where memory comes from a host.
PIECE_BYTES: Final = 2 << 20
#: How many pauses of work in the background precede it.
PIECE_PAUSES: Final = 50
#: Of each array so much is fetched before the first order: three hundred thousand orders and their ids, a fifth of a second.
FIRST_BYTES: Final = 32 << 20
#: A loop that has turned so short a time ago is busy, s; then work in the background pauses after each piece, s.
CALM_S: Final = 0.02
PAUSE_S: Final = 0.002
#: What numpy asks before it makes its first large array.
HUGE_PAGES_VARIABLE: Final = "NUMPY_MADVISE_HUGEPAGE"


def prefer_pages(process: Process) -> None:
    """Choose the pages of large tables; must come before anything imports numpy."""
    os.environ[HUGE_PAGES_VARIABLE] = "1" if process.huge_pages else "0"


def processors() -> frozenset[int]:
    """Those this process may use; empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def check_affinity(affinity: CpuAffinity, available: frozenset[int]) -> None:
    """Raises UsageError when a process is to run on a processor that is not there."""
    for name in ("exchange", "shipper", "console"):
        wanted = getattr(affinity, name)
        if wanted and not available:
            raise UsageError(f"process.cpu_affinity.{name}: this system does not let a process choose its processors")
        missing = sorted(set(wanted) - available)
        if missing:
            there = ", ".join(map(str, sorted(available)))
            raise UsageError(f"process.cpu_affinity.{name}: processor {missing[0]} cannot be used here, only {there}")


def pin_loop(cpus: Iterable[int], helpers: frozenset[int]) -> None:
    """Keep the calling thread, which is the loop's, to `cpus`; nothing happens when there are none.

    Threads inherit the place of the one that starts them: those that prepare segments are sent to `helpers`.
    """
    wanted = frozenset(cpus)
    if wanted:
        Disk.background_cpus = helpers
        os.sched_setaffinity(0, wanted)


def leave_the_loop() -> None:
    """Let the calling thread, which is a helper, run where `pin_loop` sends helpers."""
    if Disk.background_cpus:
        with contextlib.suppress(OSError):  # they were taken away meanwhile
            os.sched_setaffinity(0, Disk.background_cpus)


class Patience:
    """How long work in the background should pause after a piece of it: the loop comes first.

    Priority alone does not do it. A processor that brings in memory is in the system's hands until the piece is there, a
    millisecond or two for a huge page, and a loop that becomes ready meanwhile waits for it.
    """

    def __init__(self, tape: Any) -> None:
        """`tape` is the machine's row with the time of the last turn."""
        self._tape = tape
        self._seen, self._changed_s = 0, 0.0

    def __call__(self) -> float:
        """Seconds to pause."""
        seen, now_s = int(self._tape["now_ns"]), time.monotonic()
        if seen != self._seen:
            self._seen, self._changed_s = seen, now_s
        return PAUSE_S if now_s - self._changed_s < CALM_S else 0.0


def populate(tables: Mapping[str, Any], scattered: Container[str], pause_s: Callable[[], float]) -> None:
    """Fetch the memory of arrays from the system; where that is not possible it comes as it is used.

    What the first three hundred thousand orders use is there when this returns: the beginning of each array, and all of
    those whose rows are used in no order (`scattered`). The rest is fetched by a thread beside the loop, which is as nice as
    can be and pauses between its pieces: an exchange that is busy from its first second on comes first. All arrays begin
    together, because they fill up together.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "madvise") or not hasattr(mmap, "PAGESIZE"):
        return
    pieces = sorted(piece for name, table in tables.items() for piece in _pieces(table, name in scattered))

    def fetch(at: int, length: int) -> None:
        libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(length), MADV_POPULATE_WRITE)

    def fetch_rest() -> None:
        leave_the_loop()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        for _, at, length in rest:
            time.sleep(PIECE_PAUSES * pause_s())
            fetch(at, length)

    rest = [piece for piece in pieces if piece[0] >= FIRST_BYTES]
    for _, at, length in pieces[: len(pieces) - len(rest)]:
        fetch(at, length)
    threading.Thread(target=fetch_rest, name="populate", daemon=True).start()


def _pieces(table: Any, scattered: bool) -> Iterator[tuple[int, int, int]]:
    """Whole pages of an array: place in it (0 where that says nothing), address, bytes."""
    begin = -(-table.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (table.ctypes.data + table.nbytes - begin) // mmap.PAGESIZE * mmap.PAGESIZE
    for at in range(0, length, PIECE_BYTES):
        yield 0 if scattered else at, begin + at, min(PIECE_BYTES, length - at)


def place_child(pid: int, cpus: frozenset[int]) -> None:
    """Let a process that was just started run on `cpus`, whatever we keep to ourselves; nothing for none."""
    if cpus:
        with contextlib.suppress(OSError):  # it is gone already, which is its supervisor's business
            os.sched_setaffinity(pid, cpus)
