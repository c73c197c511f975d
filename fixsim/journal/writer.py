"""Writing the journal: one batch, its seal behind it, one write.

The owner renders records straight into a buffer of its own: each carries its position, so it asks first where
the batch will lie (`begin_batch`). `append` puts the seal behind them and hands the whole to the system in
one call. Only when `append` (and `sync`, where that is asked for) has returned may anything in the batch be
said.

The next segments are prepared by a thread while the present one fills up, because the first touch of new disk
space costs milliseconds. If the disk is full the present segment still has `tail_bytes` of room, for Logouts
and a closing seal.
"""

import errno
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NoReturn

import google_crc32c
import numpy as np

from fixsim import limits
from fixsim.errors import JournalError, JournalFull
from fixsim.journal.disk import Disk, never
from fixsim.journal.reader import Reader, Tail
from fixsim.journal.record import HEADER, SEAL_BODY, SEAL_RECORD_BYTES, Octets, segment_record
from fixsim.journal.segments import (
    SUFFIX,
    UNFINISHED,
    Segment,
    segment_path,
    unfinished_path,
)
from fixsim.layout import NIL, RECORD_MAGIC, Kind
from fixsim.limits import RECORD_ALIGN, RECORD_HEADER_BYTES

Durability = Literal["os", "sync"]

#: Bytes written at once when a segment is written again.
REWRITE_BYTES: Final = 4 << 20

#: Errors that say there is no room left, rather than that something broke.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def journal_error(error: OSError, what: str, position: int) -> JournalError:
    """The operating system's refusal in the journal's words."""
    kind = JournalFull if error.errno in FULL else JournalError
    return kind(f"{what}: {error.strerror or error}", position)


class Ahead:
    """A segment file on its way: created and filled with zeros beside the writer, under a name nobody reads.

    The filling gives way to the writer, and ends when the file is needed: space on the disk is reserved by then, and the writer
    brings in the rest of the memory as it goes. What is to be on the disk (`sync`) is filled to the end.
    """

    def __init__(
        self, disk: Disk, directory: Path, first: int, size: int, sync: bool, before: "Ahead | None" = None
    ) -> None:
        """`before` is one that is needed sooner: it comes first."""
        self.first = first
        self._before = before
        self._disk, self._size, self._sync = disk, size, sync
        self._path = unfinished_path(directory, first)
        self._descriptor = NIL
        self._needed = threading.Event()
        #: Returns when the thread has done what it could.
        self.wait = disk.background(self._prepare)

    def _prepare(self) -> None:
        if self._before is not None:
            self._before.wait()
            self._before = None
        try:
            self._descriptor = prepared(self._disk, self._path, self._size, self._sync, self._is_enough)
        except OSError:
            self._descriptor = NIL  # tried again where the error can be told

    def _is_enough(self) -> bool:
        """Is the file needed as it is? Looking pauses while the writer is busy with another one."""
        needed = self._needed.wait(self._disk.pause_s())
        return needed and not self._sync

    def take(self, *, filled: bool) -> int:
        """The descriptor, waiting for it if need be, and for all of the filling if it is to be `filled`; what the thread could
        not do is tried once more. Raises OSError.
        """
        if not filled:
            self._needed.set()
        self.wait()
        if self._descriptor == NIL:
            self._descriptor = prepared(self._disk, self._path, self._size, self._sync)
        descriptor, self._descriptor = self._descriptor, NIL
        return descriptor

    def drop(self) -> None:
        """Not needed any more."""
        self._needed.set()
        self.wait()
        if self._descriptor != NIL:
            self._disk.close(self._descriptor)
            self._descriptor = NIL
        self._disk.unlink(self._path)


def prepared(disk: Disk, path: Path, size: int, sync: bool, enough: Callable[[], bool] = never) -> int:
    """A new file of `size` zeros, open for writing: in memory until it is `enough`, on the disk already if `sync`. Raises
    OSError, leaving nothing behind.
    """
    descriptor = disk.create(path)
    try:
        disk.fill(descriptor, size, enough=enough)
        if sync:
            disk.sync(descriptor)
    except OSError:
        disk.close(descriptor)
        disk.unlink(path)
        raise
    return descriptor


class Writer:
    """The one writer of a journal directory; whoever opens it holds the data directory's lock.

    `position` is where the next batch will lie, `crc` the CRC of the last seal. `note` says what was cut when
    the journal was opened, empty for nothing: it belongs into the log.
    """

    def __init__(
        self,
        directory: Path,
        tail: Tail,
        *,
        segment_bytes: int = limits.SEGMENT_BYTES,
        batch_bytes: int = limits.BATCH_BYTES,
        tail_bytes: int = limits.SEGMENT_TAIL_BYTES,
        durability: Durability = "os",
        segments_ahead: int = 1,
        disk: Disk | None = None,
    ) -> None:
        """`segments_ahead` empty segments are kept ready."""
        if segment_bytes % RECORD_ALIGN:
            raise JournalError(f"segments of {segment_bytes} bytes: not a multiple of {RECORD_ALIGN}")
        assert RECORD_HEADER_BYTES + batch_bytes + SEAL_RECORD_BYTES + tail_bytes <= segment_bytes
        self.directory, self.durability = directory, durability
        self.segment_bytes, self.batch_bytes, self.tail_bytes = segment_bytes, batch_bytes, tail_bytes
        self.position, self.crc, self.note = tail.end, tail.crc, ""
        self._disk = disk or Disk()
        self._descriptor, self._first = NIL, 0
        self._limit = 0
        #: "sync": a batch was written that is not on the disk yet; and a sync has failed, so that nobody knows what is.
        self._unsynced, self._lost = False, False
        #: Position behind what a failed write may have left; what no seal covers is zeroed before the segment
        #: is left.
        self._soiled_end = 0
        self._ahead: deque[Ahead] = deque()
        self._segments_ahead = segments_ahead

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        reader: Reader | None = None,
        segment_bytes: int = limits.SEGMENT_BYTES,
        batch_bytes: int = limits.BATCH_BYTES,
        tail_bytes: int = limits.SEGMENT_TAIL_BYTES,
        durability: Durability = "os",
        segments_ahead: int = 1,
        disk: Disk | None = None,
    ) -> "Writer":
        """Go on behind the last seal, or begin a new journal.

        An unsealed tail is zeroed, and `note` says so; damage in front of sealed records raises
        JournalCorrupt and nothing is touched. `reader` is one that has read the journal already (recovery),
        so that it is not read twice.
        """
        disk = disk or Disk()
        try:
            if not directory.is_dir():
                directory.mkdir(parents=True, exist_ok=True)
                if durability == "sync":
                    disk.sync_directory(directory.parent)
        except OSError as error:
            raise journal_error(error, f"{directory} cannot be created", NIL) from error
        reader = reader or Reader(directory)
        tail = reader.last_seal()
        writer = cls(
            directory,
            tail,
            segment_bytes=segment_bytes,
            batch_bytes=batch_bytes,
            tail_bytes=tail_bytes,
            durability=durability,
            segments_ahead=segments_ahead,
            disk=disk,
        )
        try:
            writer._begin(reader, tail)
        except OSError as error:
            raise journal_error(error, f"the journal in {directory} cannot be opened", tail.end) from error
        return writer

    # ------------------------------------------------------------ batches

    def begin_batch(self, closing: bool = False) -> int:
        """Position of the first record of the next batch; `room()` says how long it may be.

        Goes to the next segment when a whole batch and the kept tail would not fit. Raises JournalFull when
        that cannot be made: then `begin_batch(closing=True)` still gives room in the kept tail, for Logouts
        and nothing else.
        """
        self._check_trust()
        end = self._first + self.segment_bytes
        needed = self.batch_bytes + SEAL_RECORD_BYTES + self.tail_bytes
        if self.position + needed > end and not closing:
            try:
                self._roll(end)
            except OSError as error:
                self._check_trust(error)
                raise journal_error(error, f"segment {end} cannot be made", self.position) from error
            end = self._first + self.segment_bytes
        self._limit = end - self.position - SEAL_RECORD_BYTES
        if not closing:
            self._limit = min(self._limit, self.batch_bytes)
        return self.position

    def place(self) -> tuple[int, int, int]:
        """For one who writes batches itself: descriptor and first position of the segment, and the last at which a batch may
        begin in it; the writer has begun a batch.
        """
        needed = self.batch_bytes + SEAL_RECORD_BYTES + self.tail_bytes
        return self._descriptor, self._first, self._first + self.segment_bytes - needed

    def go_on(self, position: int, crc: int) -> None:
        """Batches up to `position` were written to the segment meanwhile, the last with the seal `crc`."""
        self.position, self.crc = position, crc
        self._limit = min(self._first + self.segment_bytes - position - SEAL_RECORD_BYTES, self.batch_bytes)

    def room(self) -> int:
        """Bytes of records, without the seal, the batch that was begun may have."""
        return max(0, self._limit)

    def append(self, buffer: memoryview | Octets, length: int, count: int, time_ns: int) -> int:
        """Seal the `count` records in the first `length` bytes of `buffer` and write them; the position
        behind the seal.

        `buffer` is writable and has room for the seal (SEAL_RECORD_BYTES) behind `length`. Nothing is written
        for an empty batch. Raises JournalFull or JournalError; then nothing of the batch counts, and it may
        be tried again.

        With "sync" at most one batch is not on the disk yet: of two, a power cut could keep the second alone, and the start
        after it would have to call that damage.
        """
        if length == 0:
            return self.position
        self.sync()
        view = buffer.data if isinstance(buffer, np.ndarray) else buffer
        octets: Octets = np.frombuffer(view, np.uint8)
        begin, end = self.position, length + SEAL_RECORD_BYTES
        assert length % RECORD_ALIGN == 0 and 0 < length <= self._limit and count > 0
        assert HEADER.unpack_from(view, 0)[4] == begin
        HEADER.pack_into(
            view, length, RECORD_MAGIC, Kind.SEAL, 0, SEAL_BODY.size, begin + length, time_ns,
            0, 0, 0, NIL, b"", 0, 0, 0, 0, 0, 0,
        )  # fmt: skip
        crc: int = google_crc32c.value(octets[: length + RECORD_HEADER_BYTES])
        SEAL_BODY.pack_into(view, length + RECORD_HEADER_BYTES, count, crc, self.crc, 0, begin)
        try:
            self._disk.write_all(self._descriptor, view[:end], begin - self._first)
        except OSError as error:
            self._soiled_end = max(self._soiled_end, begin + end)
            raise journal_error(error, "a batch cannot be written", begin) from error
        self.position, self.crc = begin + end, crc
        self._unsynced = self.durability == "sync"
        return self.position

    def sync(self) -> None:
        """Return when everything appended is as durable as configured: at once for "os", on the disk for
        "sync".

        Raises JournalError when that fails. It is not tried again, and nothing more is written: what the system could not
        write it may have forgotten, and a second try would call that done.
        """
        self._check_trust()
        if not self._unsynced:
            return
        try:
            self._disk.sync(self._descriptor)
        except OSError as error:
            self.distrust(error)
        self._unsynced = False

    def distrust(self, error: OSError) -> NoReturn:
        """Bringing bytes to the disk has failed, here or where others did it: nothing more is written. Raises JournalError."""
        self._lost = True
        text = f"the journal cannot be brought to the disk: {error.strerror or error}"
        raise JournalError(text, self.position) from error

    def _check_trust(self, error: OSError | None = None) -> None:
        if self._lost:
            text = "the journal could not be brought to the disk: nothing more is written"
            raise JournalError(text, self.position) from error

    def close(self) -> None:
        """Bring everything to the disk and let go of the files."""
        while self._ahead:
            with suppress(OSError):
                self._ahead.popleft().drop()
        if self._descriptor == NIL:
            return
        descriptor, self._descriptor = self._descriptor, NIL
        try:
            if not self._lost:
                self._disk.sync(descriptor)
        except OSError as error:
            raise journal_error(error, "the journal cannot be brought to the disk", self.position) from error
        finally:
            self._disk.close(descriptor)

    # ------------------------------------------------------------ segments

    def _begin(self, reader: Reader, tail: Tail) -> None:
        """Open the segment that holds the end of the journal, cut what is torn, and start the one after it.
        """
        for path in self.directory.glob(f"*{SUFFIX}{UNFINISHED}"):
            self._disk.unlink(path)
        for first in tail.spoiled:
            path = segment_path(self.directory, first)
            self._disk.unlink(path)
            reader.forget(first)
            self.note += f"removed {path.name}, in which nothing was sealed ({tail.reason}); "
        segments = list(reader.segments())
        if not segments:
            self._roll(0)
            return
        self._check_sizes([segment.size for segment in segments], segments[-1].first)
        self._go_on(reader, segments[-1])
        self.note += self._cut_bytes(tail)
        if self.durability == "sync":
            self._write_again(segments[-1], tail.end)
            self._disk.sync(self._descriptor)
            # the process before may have ended between giving the segment its name and syncing that
            self._disk.sync_directory(self.directory)
        self._look_ahead(self._first + self.segment_bytes)

    def _check_sizes(self, sizes: list[int], last: int) -> None:
        wrong = [size for size in sizes[:-1] if size != self.segment_bytes]
        wrong += [sizes[-1]] if sizes[-1] > self.segment_bytes or last % self.segment_bytes else []
        if wrong:
            raise JournalError(
                f"{self.directory} has segments of {wrong[0]} bytes, not of {self.segment_bytes}", last
            )

    def _go_on(self, reader: Reader, last: Segment) -> None:
        """Open the last segment for writing; one that lost its end gets zeros there."""
        self._first = last.first
        self._descriptor = self._disk.open(last.path)
        if last.size < self.segment_bytes:
            self._disk.fill(self._descriptor, self.segment_bytes, last.size)
            reader.forget(last.first)

    def _cut_bytes(self, tail: Tail) -> str:
        """Zero the bytes behind the last seal; what was done, in words."""
        size = tail.torn_end - tail.end
        if size == 0:
            return ""
        self._disk.write_all(self._descriptor, memoryview(bytes(size)), tail.end - self._first)
        return f"cut {size} unsealed bytes at position {tail.end} ({tail.reason or 'no batch begins there'})"

    def _write_again(self, last: Segment, end: int) -> None:
        """Write what is sealed in the last segment once more, as it is.

        The process before may have been stopped by a sync that failed. What the system could not write then it takes for
        written, and only what is written anew goes to the disk with the next sync.
        """
        for offset in range(0, end - last.first, REWRITE_BYTES):
            piece = bytes(last.view[offset : min(end - last.first, offset + REWRITE_BYTES)])
            self._disk.write_all(self._descriptor, memoryview(piece), offset)

    def _roll(self, first: int) -> None:
        """Go to the segment at `first`. Raises OSError; then the present one stays in use, unless `_lost`."""
        self.sync()
        if self._soiled_end > self.position:
            zeros = memoryview(bytes(self._soiled_end - self.position))
            self._disk.write_all(self._descriptor, zeros, self.position - self._first)
            self._soiled_end = self.position
        unprepared = not self._ahead or self._ahead[0].first != first
        if unprepared:
            self._ahead.appendleft(self._prepare(first))
        descriptor = self._ahead[0].take(filled=unprepared)
        self._ahead.popleft()
        try:
            self._disk.write_all(descriptor, memoryview(segment_record(first, self.crc)), 0)
            if self.durability == "sync":
                self._disk.sync(descriptor)
            self._disk.rename(unfinished_path(self.directory, first), segment_path(self.directory, first))
        except OSError:
            self._disk.close(descriptor)
            raise
        self._settle_name(descriptor)
        if self._descriptor != NIL:
            self._disk.close(self._descriptor)
        self._descriptor, self._first = descriptor, first
        self.position = first + RECORD_HEADER_BYTES
        self._look_ahead(self._first + self.segment_bytes)

    def _settle_name(self, descriptor: int) -> None:
        """Bring the name of the new segment to the disk. When that fails the segment before is over all the same: the new
        one follows its last seal.
        """
        if self.durability != "sync":
            return
        try:
            self._disk.sync_directory(self.directory)
        except OSError:
            self._lost = True
            self._disk.close(descriptor)
            raise

    def _look_ahead(self, first: int) -> None:
        """Have the segments from `first` on prepared, one after the other."""
        while len(self._ahead) < self._segments_ahead:
            last = self._ahead[-1] if self._ahead else None
            self._ahead.append(self._prepare(first if last is None else last.first + self.segment_bytes, last))

    def _prepare(self, first: int, before: Ahead | None = None) -> Ahead:
        return Ahead(self._disk, self.directory, first, self.segment_bytes, self.durability == "sync", before)
