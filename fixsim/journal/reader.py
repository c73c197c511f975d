"""Reading the journal: whole sealed batches from a position, single records by their position, and where it
ends.

A reader never waits for the writer and never changes a file. It accepts a batch when every record header
names its own position, the seal counts them, the CRC fits, and the seal names the CRC of the seal before it.
Where that stops it looks on: something sealed behind means damage (JournalCorrupt), nothing sealed behind
means the end, clean or torn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from fixsim.errors import JournalCorrupt, JournalError
from fixsim.journal import damage
from fixsim.journal.record import (
    SEAL_BODY,
    SEAL_RECORD_BYTES,
    STEP,
    Record,
    record_at,
    segment_record,
)
from fixsim.journal.segments import Segment, Segments
from fixsim.layout import RECORD_MAGIC, Kind
from fixsim.limits import RECORD_HEADER_BYTES


class Batch(NamedTuple):
    """A sealed batch. `view` holds its records without the seal; `end` is the position behind the seal."""

    begin: int
    end: int
    view: memoryview


@dataclass(frozen=True, slots=True)
class Seal:
    """What a SEAL record says; `position` is its own, `end` the position behind it."""

    position: int
    end: int
    time_ns: int
    count: int
    crc: int
    previous_crc: int
    begin: int


class Tail(NamedTuple):
    """Where the sealed journal ends.

    `end` is the position behind the last seal (or behind a fresh SEGMENT record; 0 when there is no journal),
    `crc` that seal's CRC (0 for none). `torn_end` is the position behind the last byte that no seal covers,
    `end` when there is none; `spoiled` are first positions of files behind that hold nothing sealed.
    """

    end: int
    crc: int
    torn_end: int
    spoiled: tuple[int, ...]
    reason: str

    @property
    def torn(self) -> bool:
        """Is there something to cut?"""
        return self.torn_end > self.end or bool(self.spoiled)


class Place(NamedTuple):
    """Between two batches: the position, and the CRC of the seal in front of it."""

    position: int
    crc: int


#: From a place on over whole batches in the bytes of a segment, whose first lies at the position that is given: the place
#: in front of the first thing that is not plainly a batch in order.
Skim = Callable[[memoryview, int, Place], Place]


class Stop(NamedTuple):
    """Why there is no batch: `position` of the first byte to blame, `end` of what is sealed; no reason means
    a clean end.
    """

    position: int
    end: int
    reason: str


class Reader:
    """A journal directory, read. `directory` need not exist yet: that is an empty journal."""

    def __init__(self, directory: Path, skim: Skim | None = None) -> None:
        """`skim`, where there is one, goes over batches quicker than this reader when it looks for the end."""
        self._segments = Segments(directory)
        self._skim = skim
        self._known = Place(0, 0)
        self._hot: Segment | None = None

    @property
    def directory(self) -> Path:
        """Where the segments lie."""
        return self._segments.directory

    @property
    def first(self) -> int:
        """First position that is still there; 0 for an empty journal and for a whole one."""
        return self._segments.firsts[0] if self._segments.firsts else 0

    def segments(self) -> Iterator[Segment]:
        """The segments there are now, oldest first."""
        self._segments.refresh()
        for first in list(self._segments.firsts):
            segment = self._segments.at(first)
            if segment is not None and segment.first == first:
                yield segment

    def segment_at(self, position: int) -> Segment | None:
        """The segment that holds `position`; None when there is none."""
        segment = self._segments.at(position)
        return segment if segment is not None and segment.first <= position < segment.end else None

    def batches(self, position: int | None = None, *, live: bool = False, crc: int | None = None) -> Iterator[Batch]:
        """Sealed batches from `position` on, which is where a batch may begin (`Batch.end`), or None for the
        first.

        Ends where the sealed journal ends. Raises JournalCorrupt at damage in front of sealed records. With
        `live` a clean end is believed without searching behind it: for readers that come back every few
        milliseconds. `crc` is that of the seal in front of `position`, where the caller has checked it.
        """
        if position is None or crc is None:
            place = self._place(self.first if position is None else position)
        else:
            place = Place(position, crc)
        while True:
            step = self._step(place)
            if isinstance(step, Stop):
                if live and not step.reason:
                    return
                step = self._look_behind(place, step)
                if isinstance(step, Stop):
                    return
            batch, following = step
            if place == self._known:
                self._known = following
            yield batch
            place = following

    def batches_since(self, position: int) -> Iterator[Batch]:
        """As `batches`, from the batch that holds `position` or the next one; any position will do."""
        segment = self._segments.at(max(position, self.first))
        start = self.first if segment is None else segment.first
        return (batch for batch in self.batches(start) if batch.end > position)

    def follow(self, position: int, wait: Callable[[], bool]) -> Iterator[Batch]:
        """As `batches`, and at the end calls `wait`: True to look again, False to stop. Only sealed batches
        are given.
        """
        while True:
            for batch in self.batches(position, live=True):
                yield batch
                position = batch.end
            if not wait():
                return

    def read(self, position: int) -> Record:
        """The record at `position`; JournalCorrupt when none lies there. Its CRC is not checked again."""
        view, offset = self.locate(position)
        return record_at(view, offset, position)

    def locate(self, position: int) -> tuple[memoryview, int]:
        """The bytes of the segment that holds `position`, and its offset in them."""
        segment = self._hot
        if segment is None or not segment.first <= position < segment.end:
            segment = self._segments.at(position)
            if segment is None or position < segment.first:
                raise JournalCorrupt(f"no segment holds position {position}", position)
            self._hot = segment
        return segment.view, position - segment.first

    def seal(self, batch: Batch) -> Seal:
        """The seal behind `batch`."""
        return self._seal_at(batch.end - SEAL_RECORD_BYTES)

    def crc_at(self, position: int) -> int:
        """CRC of the seal that ends at `position`, 0 in front of the first. JournalError when none that holds does."""
        return self._place(position).crc

    def trust(self, position: int) -> None:
        """What lies in front of `position`, which is behind a seal, is not read again to find the end of the journal. Raises
        JournalError when no seal ends there.
        """
        self._known = self._place(position)

    def last_seal(self) -> Tail:
        """Where the sealed journal ends; JournalCorrupt for damage in front of it.

        Goes on from the last batch that this reader was already asked for, or that it was told to trust, so that recovery
        reads everything at most once.
        """
        if self.first > self._known.position:
            raise JournalCorrupt(f"the journal begins at position {self.first}: the start is missing", 0)
        while next(self.batches(self._known.position), None) is not None:
            if self._skim is not None:
                octets, offset = self.locate(self._known.position - 1)
                self._known = self._skim(octets, self._known.position - 1 - offset, self._known)
        while True:
            stop = self._step(self._known)
            if isinstance(stop, Stop):
                break
            self._known = stop[1]
        if stop.end == 0:
            # no journal yet, or a first file in which nothing holds
            return Tail(0, 0, 0, tuple(self._segments.firsts), stop.reason)
        segment = self._segments.at(stop.end - 1)
        assert segment is not None
        spoiled = tuple(first for first in self._segments.firsts if first > segment.first)
        torn_end = segment.first + segment.last_said(stop.end - segment.first)
        return Tail(stop.end, self._known.crc, torn_end, spoiled, stop.reason)

    def forget(self, first: int) -> None:
        """Map the segment at `first` anew when it is read again: its file was changed in size or removed by
        the writer.
        """
        self._segments.forget(first)
        self._hot = None

    def let_go(self, position: int) -> None:
        """Give back the memory of segments in front of `position`: nobody asks for them any more."""
        self._segments.let_go(position)
        self._hot = None

    # ------------------------------------------------------------ one step

    def _place(self, position: int) -> Place:
        """The place at `position`, with the CRC the next seal must name."""
        if position == self._known.position:
            return self._known
        segment = self._segments.at(position)
        if segment is None:
            raise JournalError(f"the journal does not reach position {position}", position)
        offset = position - segment.first
        if offset in (0, RECORD_HEADER_BYTES):
            if not damage.begun(segment):
                return Place(segment.first, 0)
            return Place(segment.first, record_at(segment.view, 0, segment.first).back)
        if offset > SEAL_RECORD_BYTES and damage.seal_holds(segment, offset - SEAL_RECORD_BYTES):
            return Place(position, self._seal_at(position - SEAL_RECORD_BYTES).crc)
        raise JournalError(f"no batch begins at position {position}", position)

    def _seal_at(self, position: int) -> Seal:
        view, offset = self.locate(position)
        record = record_at(view, offset, position)
        count, crc, previous, _spare, begin = SEAL_BODY.unpack(record.payload)
        return Seal(position, record.end, record.time_ns, count, crc, previous, begin)

    def _step(self, place: Place) -> tuple[Batch, Place] | Stop:
        """The batch at `place` and the place behind it, or why there is none."""
        position, crc = place
        end = position
        while True:
            segment = self._segments.at(position)
            if segment is None:
                return Stop(position, end, "" if position == 0 else f"no segment holds position {position}")
            offset = position - segment.first
            if offset == 0:
                wanted = segment_record(segment.first, crc)
                if segment.view[:RECORD_HEADER_BYTES] != wanted:
                    return Stop(position, end, damage.segment_fault(segment, wanted))
                offset = RECORD_HEADER_BYTES
                end = position = segment.first + offset
            if not _is_blank(segment, offset):
                return _sealed(segment, offset, crc)
            following = self._segments.after(segment)
            if following is None:
                return Stop(end, end, "")
            if not _is_blank(segment, offset):
                continue  # sealed between the two looks
            if following.first != segment.end:
                return Stop(segment.end, end, f"a segment is missing or cut short at position {segment.end}")
            if not segment.is_zero(offset, segment.size):
                return Stop(position, end, "bytes behind the last seal of a finished segment")
            position = following.first

    def _look_behind(self, place: Place, stop: Stop) -> tuple[Batch, Place] | Stop:
        """`stop`, if nothing sealed lies behind it; JournalCorrupt if something does.

        A live writer may have gone on in between: then the answer is looked for again.
        """
        while True:
            segment = self._segments.at(stop.end)
            if segment is None:
                return stop
            # from the sealed end, not from the fault: a damaged length may have led over many good batches
            behind = damage.said_behind(self._segments, segment, stop.end - segment.first)
            if behind is None:
                return stop
            again = self._step(place)
            if not isinstance(again, Stop):
                return again
            if again == stop:
                reason = stop.reason or "a batch is missing"
                text = f"journal damaged at position {stop.position} ({reason}), sealed records follow at {behind}"
                raise JournalCorrupt(text, stop.position)
            stop = again


def _is_blank(segment: Segment, offset: int) -> bool:
    """Is nothing written at byte `offset`?"""
    return not segment.view[offset : offset + STEP.size].tobytes().strip(b"\0")


def _sealed(segment: Segment, offset: int, previous_crc: int) -> tuple[Batch, Place] | Stop:
    """The batch whose first record lies at byte `offset`, checked whole."""
    begin = segment.first + offset
    at, count = _walk(segment, offset)
    if at + SEAL_RECORD_BYTES > segment.size:
        return Stop(begin, begin, "the batch does not end in its segment")
    magic, kind, length, position = STEP.unpack_from(segment.view, at)
    if magic != RECORD_MAGIC or kind != Kind.SEAL or position != segment.first + at:
        return Stop(begin, begin, f"no record of the batch lies at {segment.first + at}")
    said = SEAL_BODY.unpack_from(segment.view, at + RECORD_HEADER_BYTES)
    if length != SEAL_BODY.size or (said[0], said[3], said[4]) != (count, 0, begin):
        return Stop(begin, begin, f"the seal at {segment.first + at} does not fit its batch")
    crc: int = google_crc32c.value(segment.octets[offset : at + RECORD_HEADER_BYTES])
    if said[1] != crc:
        return Stop(begin, begin, "the checksum of the batch is wrong")
    if said[2] != previous_crc:
        return Stop(begin, begin, f"the seal at {segment.first + at} does not name the seal before it")
    end = segment.first + at + SEAL_RECORD_BYTES
    return Batch(begin, end, segment.view[offset:at]), Place(end, crc)


def _walk(segment: Segment, at: int) -> tuple[int, int]:
    """Offset of the first thing at or behind `at` that is no ordinary record, and how many lie in front of
    it.
    """
    view, first, unpack, count = segment.view, segment.first, STEP.unpack_from, 0
    last = segment.size - STEP.size
    while at <= last:
        magic, kind, length, position = unpack(view, at)
        if magic != RECORD_MAGIC or kind == Kind.SEAL or position != first + at:
            break
        at += RECORD_HEADER_BYTES + (length + 7 & -8)
        count += 1
    return at, count
