"""The plain-Python side of `engine.rehearse`: where its kernels walk, and what they left for others."""

from typing import NamedTuple

from fixsim.engine.jit import IS_COMPILED
from fixsim.engine.rehearse import rehearse, walk
from fixsim.engine.seals import skim
from fixsim.engine.track import ROWS, Track
from fixsim.exchange.course import Course
from fixsim.exchange.exchange import Exchange
from fixsim.journal.reader import Place, Skim
from fixsim.layout import NIL
from fixsim.units import NS_PER_S


def skimmer() -> Skim | None:
    """What a journal's reader looks for the end with, None where it is quicker without."""
    track = Track()

    def go_on(octets: memoryview, first: int, place: Place) -> Place:
        track.follow(octets, first)
        track.row["at"], track.row["crc"] = place.position - first, place.crc
        skim(track)
        return Place(first + int(track.row["at"]), int(track.row["crc"]))

    return go_on if IS_COMPILED else None


class Begun(NamedTuple):
    """Whole batches were carried out up to `position`.

    Where `why` is not ENDED the one there was begun, and is for others from the offset `at` on.
    """

    position: int
    at: int
    why: int


class Walker:
    """Walks for one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._track = Track()
        self._row = self._track.row
        self._view: memoryview | None = None
        self._configured: object = None
        #: Without compilation whole batches are not worth while: their checksums would cost more than their frames.
        self.takes_whole = IS_COMPILED

    def walk(self, begin: int, view: memoryview, at: int) -> tuple[int, int]:
        """Carry out the batch `view` at position `begin` from offset `at` on; how far, and why no farther."""
        self._follow(view, begin)
        self._row["at"], self._row["end"] = at, len(view)
        tape = self._exchange.tape
        tape.begin(tape.now_ns)
        why = int(walk(self._exchange.machine, self._track))
        tape.catch_up(tape.written)
        return int(self._row["at"]), why

    def take_whole(self, course: Course, pause: int) -> Begun | None:
        """Carry out whole batches from where `course` is, until `pause` inbound records are; None where none was begun.

        No batch is open.
        """
        ahead = course.ahead()
        if ahead is None:
            return None
        self._follow(ahead.octets, ahead.first)
        row, tape = self._row, self._exchange.tape
        row["at"], row["crc"], row["pause"] = ahead.position - ahead.first, ahead.crc, pause
        row["last_position"], row["last_ns"] = course.until.last_position, course.until.last_ns
        why = int(rehearse(self._exchange.machine, self._track))
        tape.catch_up(tape.written)
        begun = int(row["begin"])
        at = int(row["at"]) if begun == NIL else begun
        if begun == NIL and ahead.first + at == ahead.position:
            return None
        course.skip_to(ahead.first + at, int(row["crc"]))
        return Begun(ahead.first + at, 0 if begun == NIL else int(row["at"]) - begun, why)

    def take_counts(self) -> tuple[int, int]:
        """Inbound records carried out and records compared since the last call."""
        counts = int(self._row["inbound"]), int(self._row["compared"])
        self._row["inbound"] = self._row["compared"] = 0
        return counts

    def know(self, link: int) -> None:
        """A connection may have got another SESSION row, or one that the kernels do not find."""
        member = self._exchange.links.get(link)
        if member is not None:
            self._track.rows[link & (ROWS - 1)] = member.slot

    def _follow(self, view: memoryview, first: int) -> None:
        if view is not self._view:
            self._view = view
            self._track.follow(view, first)
        if self._configured is not self._exchange.config:
            venue = self._exchange.config.venue
            self._configured = self._exchange.config
            self._row["digits"], self._row["max_length"] = venue.timestamp_digits, venue.max_message_size
            self._row["tolerance_ns"] = int(venue.sending_time_tolerance_s * NS_PER_S)
