"""Retires segments of the journal: archived or removed, when nobody needs them as they are any more.

A thread of the reader process, at its priority. A segment may go when it is hashed, shipped (where there is a database), older
than the resend retention, and a snapshot stands behind it. The exchange is told first: it records the floor in its journal, in
front of which nothing is said again, and so every RESEND record behind that says by itself what it stands for, whatever became
of the files. Archived segments stay readable by everybody. Before one is removed everything that was recorded up to the floor's
record is hashed and shipped, and the exchange is asked once more whether anything older is still owed to a connection.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from fixsim.errors import FixsimError, JournalError
from fixsim.journal.archive import archive, remove, snapshot_positions
from fixsim.journal.record import HEADER
from fixsim.journal.segments import Segment, firsts, journal_directory, segment_path
from fixsim.layout import RECORD_MAGIC
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import NS_PER_S

#: How often is looked for something to retire, s.
POLL_S: Final = 5.0
#: The exchange is not asked more often than this: each time is a record of its journal.
ASK_AGAIN_S: Final = 60.0

#: Asks the running exchange to retire what lies in front of a position: its answer has `floor`, `at` and `owed_from`.
#: Raises VenueError when none runs.
AskExchange = Callable[[int], Mapping[str, Any]]


@dataclass(frozen=True)
class Policy:
    """What the configuration says: 0 s keeps everything as it is; `archived` compresses, otherwise segments are removed."""

    resend_retention_s: int = 0
    archived: bool = True


@dataclass(frozen=True)
class Reached:
    """How far readers are: positions, and the venue time of what was hashed last; `shipped` is None without a database."""

    hashed: int
    hashed_time_ns: int
    shipped: int | None


class Retention:
    """What one data directory keeps. `finish` may be called from any thread."""

    def __init__(
        self, data_dir: Path, policy: Policy, reached: Callable[[], Reached], ask: AskExchange,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self._data_dir, self._policy, self._reached, self._ask, self._log = data_dir, policy, reached, ask, log
        self._directory = journal_directory(data_dir)
        #: The floor that was asked for, and behind which position that stands in the journal.
        self._floor = self._recorded_at = 0
        self._said, self._wait_s = "", POLL_S
        self._finish = threading.Event()

    def finish(self) -> None:
        """Leave after the segment at hand."""
        self._finish.set()

    def run(self) -> None:
        """Look again and again until told to leave."""
        while not self._finish.wait(self._wait_s):
            try:
                self.once()
            except (FixsimError, OSError) as error:
                self._wait_s = ASK_AGAIN_S
                self._tell(f"nothing is retired: {error}")

    def once(self) -> int:
        """One look; how many segments were archived or removed. Raises VenueError, JournalError or OSError."""
        reached, self._wait_s = self._reached(), POLL_S
        limit = self._limit(reached)
        if limit == 0 or (self._policy.archived and limit <= self._floor):
            return self._retire(min(limit, self._floor))
        floor, recorded_at = self._floor, self._recorded_at
        answer, self._wait_s = self._ask(limit), ASK_AGAIN_S
        if limit > self._floor:
            self._floor, self._recorded_at = int(answer["floor"]), int(answer["at"])
        if self._policy.archived:
            return self._retire(min(limit, self._floor))
        # what was recorded in front of that floor may stand for frames behind it: it must have been read by everybody
        read = min(reached.hashed, reached.hashed if reached.shipped is None else reached.shipped)
        return self._retire(min(limit, floor, int(answer["owed_from"]))) if recorded_at <= read else 0

    # ---- how far

    def _limit(self, reached: Reached) -> int:
        """Where the first segment begins that must stay as it is; 0 when none in front of it could change."""
        snapshots = snapshot_positions(self._data_dir)
        if self._policy.resend_retention_s == 0 or not snapshots:
            return 0
        # a start may pass over the newest snapshots: what the oldest needs is not removed
        snapshot = snapshots[-1] if self._policy.archived else snapshots[0]
        limit = min(reached.hashed, snapshot)
        if reached.shipped is not None:
            limit = min(limit, reached.shipped)
        before_ns = reached.hashed_time_ns - self._policy.resend_retention_s * NS_PER_S
        found = 0
        there = firsts(self._directory)
        for first, end in pairwise(there):
            if end > limit or not self._begun_before(end, before_ns):
                break
            if not self._policy.archived or segment_path(self._directory, first).exists():
                found = end
        return found

    def _begun_before(self, first: int, time_ns: int) -> bool:
        """Was the first record of the segment at `first` written before `time_ns`? Then so was everything in front of it."""
        if not segment_path(self._directory, first).exists():
            return True  # it was archived for that reason
        with segment_path(self._directory, first).open("rb") as file:
            file.seek(RECORD_HEADER_BYTES)
            head = file.read(HEADER.size)
        if len(head) < HEADER.size:
            return False
        fields = HEADER.unpack(head)
        return bool(fields[0] == RECORD_MAGIC and fields[5] < time_ns)

    # ---- doing it

    def _retire(self, floor: int) -> int:
        done = 0
        for first in firsts(self._directory) if floor else ():
            plain = segment_path(self._directory, first)
            if self._finish.is_set() or Segment(self._directory, first).end > floor:
                break
            if not self._policy.archived:
                remove(plain)
                self._tell(f"segment {plain.name} was removed: it is hashed, shipped and older than the resend retention")
            elif plain.exists():
                before, after = archive(plain)
                self._tell(f"segment {plain.name} was archived: {before} bytes in {after}")
            else:
                continue
            done += 1
        return done

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._log(f"journal: {text}")
            self._said = text


def archive_before(directory: Path, position: int, tell: Callable[[str, int, int], None]) -> int:
    """Archive every plain segment that ends in front of `position`, the newest segment never; how many there were.

    `tell` is called with the name of each, and its bytes before and after. Raises JournalError or OSError.
    """
    done, there = 0, firsts(directory)
    for first, end in pairwise(there):
        plain = segment_path(directory, first)
        if end > position or not plain.exists():
            continue
        if Segment(directory, first).end != end:
            raise JournalError(f"{plain.name} is cut short, or the segment behind it is missing: nothing is archived", first)
        before, after = archive(plain)
        tell(plain.name, before, after)
        done += 1
    return done
