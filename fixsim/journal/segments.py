"""The files of a journal: which there are, and their bytes, mapped for reading.

A segment is `%020d.fixj`, named by the position of its first byte. It gets that name only when it is whole
and its SEGMENT record is written; before that it is `%020d.fixj.new` and nobody reads it. An archived one is
`%020d.fixj.zst`: this is the one place that opens either, and nobody else knows the difference.
"""

import mmap
from bisect import bisect_right
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from fixsim.errors import JournalError
from fixsim.journal.archive import ARCHIVED, archive_of, unpack, unpacked_size
from fixsim.journal.record import Octets

SUFFIX: Final = ".fixj"
UNFINISHED: Final = ".new"
DIGITS: Final = 20
#: What may follow the digits.
NAMED: Final = (SUFFIX, SUFFIX + ARCHIVED)
#: Segments kept mapped at once; each costs a descriptor and address space, no memory of its own.
MAPPED_MAX: Final = 64
#: Archived segments kept unpacked at once: those do cost memory, a whole segment each.
UNPACKED_MAX: Final = 2


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
    """First positions of the segments there are, plain or archived, ascending; empty when there is no journal."""
    try:
        names = [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise JournalError(f"{directory} cannot be read: {error.strerror}") from error
    return sorted({int(name[:DIGITS]) for name in names if name[DIGITS:] in NAMED and name[:DIGITS].isdecimal()})


class Segment:
    """One segment: `view` and `octets` are its bytes, `first` is the position of byte 0.

    A plain one is mapped and shared with the writer's page cache: what the writer appends appears here without reading
    again. An archived one is unpacked when its bytes are first asked for; `fault` tells then what is wrong with the file.
    """

    def __init__(self, directory: Path, first: int, until: int = 0) -> None:
        """`until` is where the next segment begins, 0 for none: how long an archived one is whose header is damaged."""
        self.first = first
        self.path = segment_path(directory, first)
        self.archived = False
        self.fault = ""
        try:
            self._open(until)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror}", first) from error
        self.end = first + self.size

    def _open(self, until: int) -> None:
        mapped: mmap.mmap | bytes = b""
        try:
            with self.path.open("rb") as file:
                self.size = file.seek(0, 2)
                if self.size:
                    mapped = mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            packed = archive_of(self.path)
            try:
                size = unpacked_size(packed)
            except FileNotFoundError:
                size = None
            if size is None and not packed.exists():
                raise
            self.path, self.archived = packed, True
            self.size = until - self.first if until else size or 0
            return
        self.bytes = mapped

    @cached_property
    def bytes(self) -> mmap.mmap | bytes:
        """All of it."""
        try:
            octets, self.fault = unpack(self.path, self.size)
        except OSError as error:
            raise JournalError(f"{self.path} cannot be read: {error.strerror}", self.first) from error
        return octets

    @cached_property
    def view(self) -> memoryview:
        """The same, for slices that copy nothing."""
        return memoryview(self.bytes)

    @cached_property
    def octets(self) -> Octets:
        """The same as uint8[size]."""
        return np.frombuffer(self.view, np.uint8)

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
        self._unpacked: OrderedDict[int, Segment] = OrderedDict()

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
        self._unpacked.pop(first, None)

    def let_go(self, position: int) -> None:
        """Keep nothing of what lies in front of `position` in memory."""
        for first in [first for first in self._mapped if self._mapped[first].end <= position]:
            self.forget(first)

    def _index(self, position: int) -> int:
        return bisect_right(self.firsts, position) - 1

    def _starting(self, index: int) -> Segment | None:
        if not 0 <= index < len(self.firsts):
            return None
        first = self.firsts[index]
        kept = self._unpacked if first in self._unpacked else self._mapped
        segment = kept.get(first)
        if segment is not None:
            kept.move_to_end(first)
            return segment
        segment = Segment(self.directory, first, self.firsts[index + 1] if index + 1 < len(self.firsts) else 0)
        kept, most = (self._unpacked, UNPACKED_MAX) if segment.archived else (self._mapped, MAPPED_MAX)
        kept[first] = segment
        if len(kept) > most:
            kept.popitem(last=False)
        return segment
