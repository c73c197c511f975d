"""The sealed batches of a journal, one after the other, as far as somebody wants them."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from fixsim.journal.reader import Batch, Place, Reader
from fixsim.journal.record import HEADER
from fixsim.layout import INBOUND, NEVER, NIL
from fixsim.limits import RECORD_HEADER_BYTES


class Until(NamedTuple):
    """Where a replay stops: behind the record at `position`, or behind the last one whose time is not above `time_ns`.

    What follows from such a record, its answers, is part of it. None for no limit.
    """

    position: int | None = None
    time_ns: int | None = None

    @property
    def last_position(self) -> int:
        """The same as a number."""
        return NEVER if self.position is None else self.position

    @property
    def last_ns(self) -> int:
        """The same as a number."""
        return NEVER if self.time_ns is None else self.time_ns

    def first_beyond(self, batch: Batch) -> int:
        """Offset of the first inbound record of a batch that comes after the end, NIL when there is none."""
        if self.time_ns is None and batch.end <= self.last_position:
            return NIL
        at, view = 0, batch.view
        last_position, last_ns = self.last_position, self.last_ns
        while at < len(view):
            header = HEADER.unpack_from(view, at)
            if header[1] in INBOUND and (header[4] > last_position or header[5] > last_ns):
                return at
            at += RECORD_HEADER_BYTES + ((header[3] + 7) & ~7)
        return NIL


#: No limit: to the end of what is sealed.
THE_END: Final = Until()


class Ahead(NamedTuple):
    """What lies behind `position`: the bytes of its segment, the position of their first, and the CRC of the seal in front."""

    octets: memoryview
    first: int
    position: int
    crc: int


class Course:
    """Sealed batches as (position, records); the last one is cut in front of the first inbound record beyond the end.

    Whoever reads on by himself from `ahead` tells by `skip_to` how far.
    """

    def __init__(self, reader: Reader, until: Until = THE_END, position: int | None = None) -> None:
        self.until = until
        self._reader = reader
        self._batches = reader.batches(position)
        #: The batch given last, or the place to which was skipped; None when nothing more is wanted.
        self._last: Batch | Place | None = None

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        return self

    def __next__(self) -> tuple[int, memoryview]:
        batch = next(self._batches)
        beyond = self.until.first_beyond(batch)
        if beyond == NIL:
            self._last = batch
            return batch.begin, batch.view
        self._last, self._batches = None, iter(())
        if beyond == 0:
            raise StopIteration
        return batch.begin, batch.view[:beyond]

    def ahead(self) -> Ahead | None:
        """What lies behind; None when nothing more is wanted, or nothing was given yet."""
        last = self._last
        if last is None:
            return None
        place = last if isinstance(last, Place) else Place(last.end, self._reader.seal(last).crc)
        octets, offset = self._reader.locate(place.position)
        return Ahead(octets, place.position - offset, place.position, place.crc)

    def skip_to(self, position: int, crc: int) -> None:
        """Go on with the batch at `position`; the seal in front of it has this CRC."""
        self._last = Place(position, crc)
        self._batches = self._reader.batches(position, crc=crc)
