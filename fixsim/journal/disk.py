"""The operating system as the journal sees it: one small port, so that a test can fill the disk or break it.

Every method raises OSError as the operating system does; the writer turns that into JournalFull and
JournalError.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

#: Zeros are written in pieces, in between which the filling thread looks whether it is enough. The system finishes a piece
#: before it gives the processor to anybody else: a quarter of a millisecond where memory comes from a host.
FILL_CHUNK: Final = bytes(256 << 10)
#: Priority of work in the background: a loop that is busy comes first.
BACKGROUND_NICE: Final = 19


def never() -> bool:
    """No."""
    return False


def at_once() -> float:
    """No pause."""
    return 0.0


class Disk:
    """Files of the real disk."""

    #: Processors for work in the background when the loop has its own; empty for where the owner runs.
    background_cpus: ClassVar[frozenset[int]] = frozenset()
    #: How long work in the background pauses before each piece, s.
    pause_s: Callable[[], float] = staticmethod(at_once)

    def create(self, path: Path) -> int:
        """Open a new, empty file for writing; its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)

    def open(self, path: Path) -> int:
        """Open an existing file for writing; its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def fill(self, descriptor: int, size: int, begin: int = 0, enough: Callable[[], bool] = never) -> None:
        """Make the file zeros from `begin` to `size` that are really there: later writes need no new room on
        the disk.

        Space is reserved first, which tells a full disk at once; then zeros are written, so that the memory behind each page is
        there before the exchange writes to it: up to twenty times quicker where it comes from a host (docs/journal.md). As
        soon as it is `enough` that ends, where space could be reserved: what is left reads as zeros all the same.
        """
        reserved = hasattr(os, "posix_fallocate")
        if reserved:
            os.posix_fallocate(descriptor, begin, size - begin)
        for offset in range(begin, size, len(FILL_CHUNK)):
            if reserved and enough():
                break
            self.write_all(descriptor, memoryview(FILL_CHUNK)[: size - offset], offset)

    def pwrite(self, descriptor: int, view: memoryview, offset: int) -> int:
        """Write at `offset`; how many bytes were taken."""
        return os.pwrite(descriptor, view, offset)

    def write_all(self, descriptor: int, view: memoryview, offset: int) -> None:
        """Write all of `view` at `offset`; one call to the system unless it takes less."""
        done = 0
        while done < len(view):
            done += self.pwrite(descriptor, view[done:] if done else view, offset + done)

    def sync(self, descriptor: int) -> None:
        """Return when the file's bytes are on the disk."""
        getattr(os, "fdatasync", os.fsync)(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Return when the names in `directory` are on the disk."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name."""
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Remove a file that was never part of the journal, or that held nothing sealed."""
        path.unlink(missing_ok=True)

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)

    def background(self, work: Callable[[], None]) -> Callable[[], None]:
        """Start `work` beside the caller; what is returned waits for its end."""
        thread = threading.Thread(target=self._apart, args=(work,), name="journal-ahead", daemon=True)
        thread.start()
        return thread.join

    def _apart(self, work: Callable[[], None]) -> None:
        if sys.platform == "linux":  # where each thread has a priority of its own
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICE)
        if self.background_cpus:
            with contextlib.suppress(OSError):  # they were taken away meanwhile: then it works where the owner does
                os.sched_setaffinity(0, self.background_cpus)
        work()
