"""A page as a file that two processes have mapped: the one who writes it, and whoever looks.

On Linux the file lies in memory and the name in the data directory is a link to it, `/proc/<pid>/fd/<n>`: a page that
lies on a disk stops its writer now and then while the system writes it back, and a counter must not cost a pause. What the
link leads to is gone with the process that wrote the page; one that ends in good order leaves a copy of the last figures
in its place. Elsewhere it is a file on the disk.
"""

import contextlib
import mmap
import os
import stat
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fixsim.errors import FixsimError
from fixsim.feed.page import HEADER, MAGIC, PAGE_VERSION, digest_of, word_of

#: The pages of the exchange, the shipper and the shadow, in the data directory.
COUNTERS_NAME: Final = "counters"
SHIPPING_NAME: Final = "shipping"
SHADOW_NAME: Final = "shadow"

Words = npt.NDArray[np.int64]


class PageError(FixsimError):
    """There is no page, or none that this release can read; the text says which."""


class PageWriter:
    """A page being written. `words` is all of it as int64, `row` the same by the names of `layout`; a compiled kernel
    may add to `words`, plain Python is quickest with `view`.
    """

    def __init__(self, path: Path, layout: np.dtype[Any], started_ns: int) -> None:
        """Make the page at `path`; one that is there is replaced, and those who have it mapped keep the old one. Raises
        OSError.
        """
        self.path, self.layout = path, layout
        self._descriptor = _new_file(path)
        os.ftruncate(self._descriptor, layout.itemsize)
        self._map = mmap.mmap(self._descriptor, layout.itemsize)
        self._map.write(bytes(layout.itemsize))  # every page of memory is touched now, not while somebody trades
        self.words: Words = np.frombuffer(self._map, np.int64)
        self.view = memoryview(self._map).cast("q")
        self.row: Any = np.frombuffer(self._map, layout)[0]
        header = self.row["header"]
        header["version"], header["digest"], header["size"] = PAGE_VERSION, digest_of(layout), layout.itemsize
        header["pid"], header["started_ns"], header["updated_ns"] = os.getpid(), started_ns, started_ns
        header["magic"] = MAGIC
        _show(path, self._descriptor)

    def touch(self, now_ns: int) -> None:
        """The page is up to date as of `now_ns`."""
        self.view[_UPDATED] = now_ns

    def close(self, now_ns: int | None = None) -> None:
        """The writer ends in good order; the last figures stay in the data directory. Never raises OSError: nobody who
        ends should fail for this.
        """
        if self._descriptor == -1:
            return
        self.row["header"]["ended_ns"] = time.time_ns() if now_ns is None else now_ns
        with contextlib.suppress(OSError):
            if self.path.is_symlink():
                beside = self.path.with_name(f"{self.path.name}.new")
                beside.write_bytes(self.words.tobytes())
                beside.replace(self.path)
        # the map is left to the interpreter: arrays over it may still be held, and adding to them must not crash
        os.close(self._descriptor)
        self._descriptor = -1


_UPDATED: Final = word_of(HEADER, "updated_ns")


def _new_file(path: Path) -> int:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        return os.memfd_create(f"fixsim-{path.name}", os.MFD_CLOEXEC)
    return os.open(path.with_name(f"{path.name}.new"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _show(path: Path, descriptor: int) -> None:
    """Give the new page its name, in one step."""
    beside = path.with_name(f"{path.name}.new")
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"/proc/{os.getpid()}/fd/{descriptor}")
    beside.replace(path)


class PageReader:
    """Somebody else's page. `read` gives a copy of it; a page that was replaced meanwhile is followed."""

    def __init__(self, path: Path, layout: np.dtype[Any]) -> None:
        self.path, self.layout = path, layout
        self._identity: tuple[int, int] | None = None
        self._map: mmap.mmap | None = None

    def read(self) -> Any:
        """A record of `layout`, copied. Raises PageError.

        Each value is whole: one that two copies agree on was not being written, and one they do not agree on is fetched by
        itself, which is a single load of eight bytes. Values that belong together may be a moment apart.
        """
        words = np.frombuffer(self._mapped(), np.int64)
        first = words.copy()
        second = words.copy()
        for index in np.flatnonzero(first != second):
            second[index] = words.data[index]
        row = second.view(self.layout)[0]
        self._check(row["header"])
        return row

    def _mapped(self) -> mmap.mmap:
        try:
            found = self.path.stat()
            if self._map is None or self._identity != (found.st_dev, found.st_ino):
                self._map = self._open()
                self._identity = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            raise PageError(f"no running exchange has left its counters in {self.path.parent}") from None
        except OSError as error:
            raise PageError(f"{self.path} cannot be read: {error.strerror}") from error
        return self._map

    def _open(self) -> mmap.mmap:
        # after the writer's death its link may lead to anything another process has open: nothing but a file of the right
        # size is looked at
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFoundError
            if found.st_size != self.layout.itemsize:
                raise PageError(f"{self.path} was written by another release of fixsim")
            return mmap.mmap(descriptor, self.layout.itemsize, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)

    def _check(self, header: Any) -> None:
        if int(header["magic"]) != MAGIC:
            raise PageError(f"{self.path} is no page of counters, or is not ready yet")
        if int(header["version"]) != PAGE_VERSION or int(header["digest"]) != digest_of(self.layout):
            raise PageError(f"{self.path} was written by another release of fixsim")


def is_alive(pid: int) -> bool:
    """Whether there is a process `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
