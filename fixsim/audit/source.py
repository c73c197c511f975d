"""Where rows come from: the journal behind the cursor, gathered into shipments that PostgreSQL takes in
one transaction.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from fixsim.audit.rows import BINARY_BEGIN, BINARY_END, Rows
from fixsim.errors import JournalError, ShippingError
from fixsim.journal.reader import Batch, Reader
from fixsim.journal.record import SEAL_BODY
from fixsim.journal.resend import expand
from fixsim.layout import Kind

#: Rows of `messages` after which a shipment is closed: enough to make a transaction cheap, little enough to
#: be quick.
SHIPMENT_ROWS: Final = 20_000


@dataclass(frozen=True)
class Cursor:
    """What is shipped: everything in front of record `position`, and of that record the first `part` frames.

    `batch` is where reading goes on. The newest seal shipped is remembered, so that a database is never
    filled from a journal other than the one it was begun with. `messages` counts rows, `last_time_ns` is
    the newest record's.
    """

    batch: int
    position: int
    part: int
    seal_position: int | None
    seal_crc: int | None
    last_time_ns: int | None
    messages: int


@dataclass(frozen=True)
class Shipment:
    """COPY data, and the cursor before and behind it."""

    before: Cursor
    after: Cursor
    messages: bytes
    executions: bytes
    sessions: bytes
    events: bytes
    names: dict[int, bytes]


class Source:
    """Shipments of one journal from a cursor on. Blocking; used by one thread at a time, and not again
    after an error.
    """

    def __init__(self, reader: Reader, cursor: Cursor, names: dict[int, bytes]) -> None:
        self.reader = reader
        self.rows = Rows(names)
        self._shipped = self._gathered = cursor
        self._shipments = self._gather()

    def next(self) -> Shipment | None:
        """The next shipment; None when everything sealed was given (ask again later). JournalError as the
        reader.
        """
        return next(self._shipments)

    def check(self) -> None:
        """ShippingError unless the newest seal that was shipped lies in this journal, unchanged."""
        position = self._shipped.seal_position
        if position is None or position < self.reader.first:
            return
        try:
            record = self.reader.read(position)
            same = record.kind == Kind.SEAL and SEAL_BODY.unpack(record.payload)[1] == self._shipped.seal_crc
        except JournalError:
            same = False
        if not same:
            raise ShippingError(
                f"the database was filled up to position {position} of another journal than {self.reader.directory}; "
                "use an empty database, or the data directory it belongs to"
            )

    def _gather(self) -> Iterator[Shipment | None]:
        while True:
            for batch in self.reader.batches(self._gathered.batch, live=True):
                yield from self._take(batch)
                seal = self.reader.seal(batch)
                self._gathered = Cursor(batch.end, batch.end, 0, seal.position, seal.crc, seal.time_ns, 0)
                if len(self.rows.messages) >= SHIPMENT_ROWS:
                    yield self._close()
            yield self._close() if self._gathered != self._shipped else None

    def _take(self, batch: Batch) -> Iterator[Shipment]:
        """Gather a batch; a long resend is closed into shipments on the way."""
        skip_to, done = self._gathered.position, self._gathered.part
        for resend in self.rows.take(batch.view, skip_to, done):
            frames = expand(self.reader, self.reader.read(resend.position))
            first = done + 1 if resend.position == skip_to else 1
            for part, frame in enumerate(islice(frames, first - 1, None), first):
                self.rows.add_resent(resend, part, frame)
                if len(self.rows.messages) >= SHIPMENT_ROWS:
                    self._gathered = replace(self._gathered, batch=batch.begin, position=resend.position, part=part)
                    yield self._close()

    def _close(self) -> Shipment:
        """What was gathered, as a shipment; gathering begins anew behind it."""
        rows = self.rows
        messages = self._shipped.messages + len(rows.messages)
        self._gathered = replace(self._gathered, messages=messages)
        shipment = Shipment(
            before=self._shipped,
            after=self._gathered,
            messages=b"".join((BINARY_BEGIN, *rows.messages, BINARY_END)) if rows.messages else b"",
            executions=b"".join(rows.executions),
            sessions=b"".join(rows.sessions),
            events=b"".join(rows.events),
            names=rows.new_names,
        )
        self._shipped = self._gathered
        rows.clear()
        return shipment
