"""The shadow: a second exchange that carries out the journal of the first as it grows, and compares every byte it says.

It begins with the newest good snapshot, or with the first record. Whoever drives it decides when it waits: in between turns
nothing waits; in the middle of an order that is larger than a batch the next batch is waited for, and a snapshot is not
possible. When the exchange is gone the shadow can be it: `promote`.
"""

from collections.abc import Callable
from typing import Final

from fixsim.config import Config
from fixsim.errors import FixsimError, JournalError
from fixsim.exchange.course import THE_END, Course
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.opening import Opened, open_writer
from fixsim.exchange.recovery import Rehearsal, check_change, go_live, new_exchange, turns
from fixsim.exchange.replay import Nowhere
from fixsim.exchange.snapshot import Standing, is_between_turns
from fixsim.exchange.snapshots import Snapshots
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Batch, Place, Reader
from fixsim.journal.record import SEAL_RECORD_BYTES
from fixsim.journal.writer import Writer
from fixsim.layout import NIL

#: What the driver is asked when a batch is missing: wait a little and look again, or is this the end?
Wait = Callable[[], bool]
NO_BATCH: Final = None
#: Inbound records carried out in one turn, at the end of a batch: some tenths of a second.
AT_ONCE: Final = 50_000


class Asleep(Outbox):
    """An outbox to which nobody is connected, until the exchange is ours: what is said was said by somebody else."""

    is_awake = False

    def open(self, link: int, session: int) -> None:
        """A connection of `session` may be owed something from now on, if it is one of ours."""
        if self.is_awake:
            super().open(link, session)


class Growing(Course):
    """Sealed batches of a journal that may grow, as a rehearsal takes them: (position, records)."""

    def __init__(self, reader: Reader, position: int | None, wait: Wait) -> None:
        """`wait` is called when a batch is needed and none is sealed; False ends it."""
        super().__init__(reader, THE_END, position)
        self._wait = wait
        self._place = None if position is None else Place(position, reader.crc_at(position))
        self._batches = iter(())
        self._last = self._place
        #: The next batch, as far as it was looked for.
        self._next: Batch | None = NO_BATCH
        #: The end was told when a batch was needed to go on, in the middle of an order.
        self.ended_inside = False
        #: Called once, when no further batch will come.
        self.at_end: Callable[[], None] = lambda: None

    def is_there(self) -> bool:
        """Is another batch sealed? Looks, and does not wait."""
        if self._next is NO_BATCH:
            self._next = next(self._batches, NO_BATCH)
        if self._next is NO_BATCH:
            position, crc = self._place or (None, None)
            self._batches = self._reader.batches(position, live=True, crc=crc)
            self._next = next(self._batches, NO_BATCH)
        return self._next is not NO_BATCH

    def __next__(self) -> tuple[int, memoryview]:
        while not self.is_there():
            if self.ended_inside:
                self.at_end()
                raise StopIteration
            # once more after the end was told: the last batch may have been sealed just before
            self.ended_inside = not self._wait()
        batch, self._next = self._next, NO_BATCH
        assert batch is not NO_BATCH
        self._last, self._place = batch, Place(batch.end, self._reader.seal(batch).crc)
        return batch.begin, batch.view

    def skip_to(self, position: int, crc: int) -> None:
        """Go on with the batch at `position`; the seal in front of it has this CRC."""
        self._last = self._place = Place(position, crc)
        self._batches, self._next = iter(()), NO_BATCH


class Shadow:
    """One pass over a journal that may grow."""

    def __init__(self, reader: Reader, batches: Growing, rehearsal: Rehearsal, exchange: Exchange, snapshot: int) -> None:
        self.reader, self.exchange = reader, exchange
        assert isinstance(exchange.outbox, Asleep)
        self._outbox = exchange.outbox
        #: Where the snapshot stood it began with, NIL for the first record of the journal.
        self.snapshot = snapshot
        self._batches, self._rehearsal = batches, rehearsal
        self._turns = turns(exchange, rehearsal)
        self._config: Config | None = None
        self._writer: Writer | None = None
        self._inside = False

    @classmethod
    def open(
        cls, reader: Reader, snapshots: Snapshots, dictionary: Dictionary, wait: Wait, passed_over: Callable[[str], None]
    ) -> "Shadow | None":
        """Begin with the newest good snapshot, else with the first record; None when nothing is sealed yet.

        Raises JournalError for a journal that is damaged, or whose beginning is neither there nor in a snapshot.
        """
        for found in snapshots.find(reader, Asleep(reader), Nowhere(0), dictionary, passed_over):
            header = found.header
            reader.trust(header.position)
            batches = Growing(reader, header.position, wait)
            rehearsal = Rehearsal(batches, Nowhere(header.position))
            rehearsal.end, rehearsal.carried = header.position - SEAL_RECORD_BYTES, header.inbound
            rehearsal.compared = header.records
            found.exchange.tape.writer = rehearsal
            return cls(reader, batches, rehearsal, found.exchange, header.position)
        if reader.first != 0:
            raise JournalError(f"the journal begins at position {reader.first}, and no snapshot stands there", reader.first)
        batches = Growing(reader, None, wait)
        if not batches.is_there():
            return None
        rehearsal = Rehearsal(batches, Nowhere(0))
        exchange = new_exchange(rehearsal, Asleep(reader), lambda position: bytes(reader.read(position).payload), dictionary)
        return cls(reader, batches, rehearsal, exchange, NIL)

    @property
    def position(self) -> int:
        """Position behind the seal of the last batch compared, 0 before the first."""
        return self._rehearsal.end + SEAL_RECORD_BYTES if self.records else 0

    @property
    def inbound(self) -> int:
        """Inbound records carried out since the beginning of the journal."""
        return self._rehearsal.carried

    @property
    def records(self) -> int:
        """Records compared since the beginning of the journal, in and out."""
        return self._rehearsal.compared

    def turn(self) -> bool:
        """Carry out the next batch, if one is sealed; was there one?

        Raises ReplayDivergence at the first record that differs, JournalError where the journal is damaged or a record
        cannot be carried out.
        """
        if self._batches.ended_inside or not (self._rehearsal.has_begun or self._batches.is_there()):
            return False
        self._inside = True
        self._rehearsal.pause = self._rehearsal.carried + AT_ONCE
        try:
            next(self._turns)
        except FixsimError:
            raise
        except Exception as error:
            at = self._rehearsal.at
            text = f"the record at position {at} cannot be carried out ({type(error).__name__}: {error})"
            raise JournalError(text, at) from error
        self._inside = False
        return True

    @property
    def place(self) -> Standing | None:
        """Where it stands, between two turns; None in the middle of one: no snapshot can be taken there."""
        if self._inside or self._batches.ended_inside or not is_between_turns(self.exchange):
            return None
        return Standing(self.position, self.reader.crc_at(self.position), self.inbound, self.records)

    def check_change(self, config: Config) -> None:
        """Could it go on under `config`? Raises VenueError."""
        check_change(self.exchange, config)

    def inherit(self, config: Config) -> None:
        """The data directory is ours: nobody else seals a batch any more. From the last one on our own writer writes, under
        `config`; what no seal covers is cut. Whoever waits for a batch may say now that this is the end.
        """
        self._config = config
        self._batches.at_end = self._take_pen

    def _take_pen(self) -> None:
        assert self._config is not None
        if self._writer is None:
            if self.records:
                self.reader.trust(self.position)
            self._writer = open_writer(self._config, self.reader)
            self._rehearsal.take_over(self._writer)

    def promote(self, now_ns: int) -> Opened:
        """Be the exchange, after `inherit`: what is sealed is carried out, what an interrupted order still owed is said, and
        the START record is sealed. Raises JournalError, VenueError, ReplayDivergence.
        """
        assert self._config is not None
        try:
            while self.turn():
                pass
            self._take_pen()
            assert self._writer is not None
            self._outbox.is_awake = True
            # a clock that was driven goes on from where it stands
            go_live(self.exchange, self._config, self._writer, now_ns, 0 if self.exchange.core["venue_ns"] else None)
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            raise
        notes = (f"journal: {self._writer.note}",) if self._writer.note else ()
        return Opened(self.exchange, self._writer, self.reader, self.snapshot, notes)
