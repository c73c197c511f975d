"""The files of a journal: which there are, and their bytes, mapped for reading.

A segment is `%020d.fixj`, named by the position of its first byte. It gets that name only when it is whole
and its SEGMENT record is written; before that it is `%020d.fixj.new` and nobody reads it.
"""

import mmap
from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np

from fixsim.errors import JournalError
from fixsim.journal.record import Octets

SUFFIX: Final = ".fixj"
UNFINISHED: Final = ".new"
DIGITS: Final = 20
#: Segments kept mapped at once; each costs a descriptor and address space, no memory of its own.
MAPPED_MAX: Final = 64


def journal_directory(data_dir: Path) -> Path:
    """Where the journal of a data directory lies."""
    return data_dir / "journal"


def segment_path(directory: Path, first: int) -> Path:
    """File of the segment whose first byte is position `first`."""
    return directory / f"{first:0{DIGITS}d}{SUFFIX}"


def unfinished_path(directory: Path, first: int) -> Path:
    """The same while it is being prepared."""
    return directory / f"{first:0{DIGITS}d}{SUFFIX}{UNFINISHED}"


def firsts(directory: Path) -> list[int]:
    """First positions of the segments there are, ascending; empty when there is no journal."""
    try:
        names = [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise JournalError(f"{directory} cannot be read: {error.strerror}") from error
    length = DIGITS + len(SUFFIX)
    return sorted(
        int(name[:DIGITS])
        for name in names
        if len(name) == length and name.endswith(SUFFIX) and name[:DIGITS].isdecimal()
    )


class Segment:
    """One segment, mapped: `view` and `octets` are its bytes, `first` is the position of byte 0.

    Shared with the writer's page cache: what the writer appends appears here without reading again.
    """

    def __init__(self, directory: Path, first: int) -> None:
        self.first = first
        self.path = segment_path(directory, first)
        self.bytes: mmap.mmap | bytes = b""
        try:
            with self.path.open("rb") as file:
                self.size = file.seek(0, 2)
                if self.size:
                    self.bytes = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror}", first) from error
        self.end = first + self.size
        self.view = memoryview(self.bytes)
        self.octets: Octets = np.frombuffer(self.view, np.uint8)

    def is_zero(self, begin: int, end: int) -> bool:
        """Are the bytes `begin` to `end` of the file all zero?"""
        return not self.octets[begin:end].any()

    def last_said(self, begin: int) -> int:
        """Offset behind the last byte that is not zero, at or after `begin`; `begin` when there is none."""
        chunk, high = 1 << 20, self.size
        while high > begin:
            low = max(begin, high - chunk)
            found = np.flatnonzero(self.octets[low:high].copy())  # it may be written to meanwhile
            if len(found):
                return low + int(found[-1]) + 1
            high = low
        return begin


class Segments:
    """All segments of a directory; a live writer may add more, which are noticed when they are asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.firsts = firsts(directory)
        self._mapped: OrderedDict[int, Segment] = OrderedDict()

    def refresh(self) -> None:
        """Look into the directory again."""
        self.firsts = firsts(self.directory)

    def at(self, position: int) -> Segment | None:
        """The segment that holds `position`, or that it is the end of; None when there is none."""
        segment = self._starting(self._index(position))
        if segment is None or position >= segment.end:
            # the file that holds it may be younger than our list
            self.refresh()
            segment = self._starting(self._index(position))
        return segment if segment is not None and position <= segment.end else None

    def after(self, segment: Segment) -> Segment | None:
        """The next segment there is, None when `segment` is the last."""
        index = bisect_right(self.firsts, segment.first)
        if index == len(self.firsts):
            self.refresh()
            index = bisect_right(self.firsts, segment.first)
        return self._starting(index)

    def forget(self, first: int) -> None:
        """Drop the mapping: the file has changed its size or is gone."""
        self._mapped.pop(first, None)

    def _index(self, position: int) -> int:
        return bisect_right(self.firsts, position) - 1

    def _starting(self, index: int) -> Segment | None:
        if not 0 <= index < len(self.firsts):
            return None
        first = self.firsts[index]
        segment = self._mapped.get(first)
        if segment is None:
            segment = self._mapped[first] = Segment(self.directory, first)
            if len(self._mapped) > MAPPED_MAX:
                self._mapped.popitem(last=False)
        else:
            self._mapped.move_to_end(first)
        return segment
