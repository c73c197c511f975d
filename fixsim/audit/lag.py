"""How far the database is behind the journal, counted in the journal itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fixsim.errors import JournalError
from fixsim.journal.reader import Batch, Reader
from fixsim.journal.record import HEADER
from fixsim.journal.resend import expand
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import NS_PER_S

#: The cursor of a database to which nothing was ever shipped: it may have no tables yet.
NOTHING_SHIPPED: Final[Mapping[str, Any]] = {
    "batch": 0, "position": 0, "part": 0, "last_position": None, "messages": 0, "last_time_ns": None, "written_at": None,
}  # fmt: skip


@dataclass(frozen=True)
class Lag:
    """What is sealed and not shipped: messages, and the age of the oldest. `journal_end` is the end of
    what is sealed.
    """

    messages_behind: int
    seconds_behind: float
    journal_end: int


def measure_lag(data_dir: Path, progress: Mapping[str, Any], now_ns: int) -> Lag | None:
    """The lag of a database whose cursor is `progress`; None when `data_dir` has no journal.

    JournalError when the cursor is not one of this journal.
    """
    reader = Reader(journal_directory(data_dir))
    if next(reader.segments(), None) is None:
        return None
    behind, oldest_ns, end = 0, None, int(progress["batch"])
    for batch in reader.batches(end, live=True):
        count, first_ns = _count(reader, batch, int(progress["position"]), int(progress["part"]))
        behind += count
        oldest_ns = first_ns if oldest_ns is None else oldest_ns
        end = batch.end
    seconds = 0.0 if oldest_ns is None else max(0.0, (now_ns - oldest_ns) / NS_PER_S)
    return Lag(behind, seconds, end)


def is_behind(data_dir: Path, progress: Mapping[str, Any]) -> bool:
    """Whether anything sealed is not shipped; False also when there is no journal to tell."""
    reader = Reader(journal_directory(data_dir))
    try:
        return next(reader.batches(int(progress["batch"]), live=True), None) is not None
    except JournalError:
        return False


def _count(reader: Reader, batch: Batch, position: int, part: int) -> tuple[int, int | None]:
    """Messages of a batch at and behind `position`, and the time of the first."""
    view, at, count, first_ns = batch.view, 0, 0, None
    while at < len(view):
        header = HEADER.unpack_from(view, at)
        kind, length, here = header[1], header[3], header[4]
        at += RECORD_HEADER_BYTES + (length + 7 & -8)
        if here < position:
            continue
        if kind in (Kind.IN, Kind.OUT):
            count += 1
        elif kind == Kind.RESEND:
            count += sum(1 for _ in expand(reader, reader.read(here))) - (part if here == position else 0)
        if first_ns is None and count:
            first_ns = header[5]
    return count, first_ns
