"""A journal carried out once more by a fresh exchange that writes nothing: every byte it says is compared.

Recovery and replay share the rehearsal of `exchange.recovery`. A replay may stop at a position or a time, and then
holds the state as it stood there. The journal may be a copy, or that of an exchange that is running: sealed batches are
read, nothing is written.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fixsim.errors import FixsimError, JournalError
from fixsim.exchange.course import THE_END, Course, Until
from fixsim.exchange.digest import state_digest
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.laws import broken_laws
from fixsim.exchange.operator import books
from fixsim.exchange.recovery import Rehearsal, inbound, started_with, turns
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.layout import NEVER, Kind


class Digested(NamedTuple):
    """A digest of the state in front of `position`, when `inbound` records had been carried out, the last at `time_ns`."""

    position: int
    time_ns: int
    inbound: int
    digest: str


class Nowhere:
    """A journal writer for what an order still says behind the end of the journal: it is kept nowhere."""

    def __init__(self, position: int) -> None:
        self._position = position

    def begin_batch(self) -> int:
        """Where it would lie."""
        return self._position

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Forget it."""
        self._position += length
        return self._position


class Unheard(Outbox):
    """An outbox to which nobody is connected: what is said was said long ago."""

    def open(self, link: int, session: int) -> None:
        """Nobody is there."""

    def say(self, link: int, session: int, position: int) -> None:
        """Nobody hears it."""


class Replay:
    """One pass over a journal."""

    def __init__(self, reader: Reader, dictionary: Dictionary, until: Until = THE_END) -> None:
        """Raises JournalError for a journal that is empty, damaged at its beginning, or not there from the start."""
        config = started_with(begun(reader, until))
        self.reader, self.until = reader, until
        self._rehearsal = Rehearsal(Course(reader, until), Nowhere(0))
        self.exchange = Exchange(config, self._rehearsal, Unheard(reader), self._fetch, dictionary)

    @property
    def position(self) -> int:
        """Position behind the last record compared; of the seal there, when it was the last of its batch."""
        return self._rehearsal.end

    @property
    def time_ns(self) -> int:
        """Venue time of the last record carried out, ns since 1970 UTC."""
        return int(self.exchange.tape.now_ns)

    @property
    def inbound(self) -> int:
        """Inbound records carried out so far."""
        return self._rehearsal.carried

    @property
    def records(self) -> int:
        """Records compared so far, in and out."""
        return self._rehearsal.compared

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """To the end. `progress` is told the position after each batch.

        Raises ReplayDivergence at the first record that differs, JournalError where the journal is damaged or a record
        cannot be carried out.
        """
        for _ in self.digests(0, progress):
            pass

    def digests(self, every: int, progress: Callable[[int], None] | None = None) -> Iterator[Digested]:
        """As `run`, with the state digest after each `every` inbound records, at the end of that batch; 0 for none."""
        due = self._rehearsal.pause = every or NEVER
        for begin in self._turns():
            if progress is not None:
                progress(begin)
            if self.inbound >= due:
                yield self.digest()
                due = self._rehearsal.pause = self.inbound - self.inbound % every + every

    def digest(self) -> Digested:
        """The state digest now."""
        return Digested(self.position, self.time_ns, self.inbound, state_digest(self.exchange))

    def book(self, symbol: str, depth: int) -> dict[str, Any]:
        """Levels of one instrument as an operator is shown them. Raises UsageError for an unknown one."""
        return books.book(self.exchange, {"symbol": symbol, "depth": depth})

    def broken_laws(self) -> list[str]:
        """What must hold of every state and does not, in words."""
        return broken_laws(self.exchange)

    def _turns(self) -> Iterator[int]:
        """Batch after batch; whatever a record that no exchange could have written does to us is told with its position."""
        try:
            yield from turns(self.exchange, self._rehearsal)
        except FixsimError:
            raise
        except Exception as error:
            at = self._rehearsal.at
            text = f"the record at position {at} cannot be carried out ({type(error).__name__}: {error})"
            raise JournalError(text, at) from error

    def _fetch(self, position: int) -> bytes:
        return bytes(self.reader.read(position).payload)


def begun(reader: Reader, until: Until) -> bytes:
    """Payload of the START record a journal begins with. JournalError when there is none, or `until` is in front of it."""
    if reader.first != 0:
        raise JournalError(f"the journal begins at position {reader.first}: its start is missing", reader.first)
    first = next(Course(reader, until), None)
    if first is None:
        raise JournalError("nothing is sealed in this journal up to there", 0)
    kind, _, _, payload = next(inbound(first[1]), (0, 0, 0, b""))
    if kind != Kind.START:
        raise JournalError(f"the journal does not begin with a START record at position {first[0]}", first[0])
    return payload
