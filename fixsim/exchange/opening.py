"""A data directory's journal becomes a living exchange: read, rehearsed, opened for writing.

Where there are snapshots the newest good one is the beginning, and only the journal behind it is rehearsed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fixsim.config import Config
from fixsim.errors import ReplayDivergence
from fixsim.exchange.course import Course, Until
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.recovery import Rehearsal, go_live, open_exchange, replay
from fixsim.exchange.replay import Nowhere
from fixsim.exchange.snapshots import Found, Snapshots, snapshots_directory
from fixsim.exchange.walker import skimmer
from fixsim.fix.dictionary import fix44
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer
from fixsim.layout import NIL

Progress = Callable[[int, int], None]


class Opened(NamedTuple):
    """An exchange and its journal; whoever opened it closes `writer`."""

    exchange: Exchange
    writer: Writer
    reader: Reader
    #: Where the snapshot stood that was the beginning, NIL where the journal was replayed from its first record on.
    snapshot: int = NIL
    #: What the log should hear: snapshots that were passed over, and why; what was cut from the journal.
    notes: tuple[str, ...] = ()


def open_venue(
    config: Config,
    data_dir: Path,
    now_ns: int,
    progress: Progress | None = None,
    clock_start_ns: int | None = None,
    *,
    snapshots: bool = True,
) -> Opened:
    """The exchange of `data_dir`, recovered from its newest good snapshot (unless `snapshots` is False) and its journal, and
    started at `now_ns` under `config`.

    Without `clock_start_ns` its time is the wall's; with it an operator drives it from there, or for 0 from where it was.

    The caller holds the lock of the directory. `progress` is told position and end while the journal is replayed. Raises
    JournalError, ReplayDivergence or VenueError.
    """
    reader = Reader(journal_directory(data_dir), skimmer())
    outbox, notes = Outbox(reader), list[str]()
    writer: Writer | None = None
    try:
        for found in _candidates(data_dir, reader, outbox, notes.append) if snapshots else ():
            reader.trust(found.header.position)
            writer = writer or open_writer(config, reader)
            try:
                _rehearse_tail(found, reader, writer, progress)
            except ReplayDivergence as divergence:
                notes.append(f"snapshot {found.path.name} passed over: {divergence}")
                continue
            go_live(found.exchange, config, writer, now_ns, clock_start_ns)
            return Opened(found.exchange, writer, reader, found.header.position, _told(notes, writer))
        writer = writer or open_writer(config, reader)
        end = writer.position
        exchange = open_exchange(
            config,
            Course(reader, Until(position=end - 1)),
            writer,
            outbox,
            lambda position: bytes(reader.read(position).payload),
            fix44(),
            now_ns,
            None if progress is None else lambda position: progress(position, end),
            clock_start_ns,
        )
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    return Opened(exchange, writer, reader, NIL, _told(notes, writer))


def open_writer(config: Config, reader: Reader) -> Writer:
    """The journal that `reader` has read, for writing: what no seal covers is cut. Raises JournalError."""
    return Writer.open(
        reader.directory,
        reader=reader,
        segment_bytes=config.journal.segment_bytes,
        segments_ahead=config.journal.segments_ahead,
        durability=config.journal.durability,  # type: ignore[arg-type]  # checked when the configuration was read
    )


def _candidates(data_dir: Path, reader: Reader, outbox: Outbox, passed_over: Callable[[str], None]) -> Iterator[Found]:
    return Snapshots(snapshots_directory(data_dir)).find(reader, outbox, Nowhere(0), fix44(), passed_over)


def _rehearse_tail(found: Found, reader: Reader, writer: Writer, progress: Progress | None) -> None:
    """Carry out what the journal holds behind a snapshot, every byte compared."""
    end = writer.position
    rehearsal = Rehearsal(Course(reader, Until(position=end - 1), found.header.position), writer)
    found.exchange.tape.writer = rehearsal
    replay(found.exchange, rehearsal, None if progress is None else lambda position: progress(position, end))


def _told(notes: list[str], writer: Writer) -> tuple[str, ...]:
    return (*notes, f"journal: {writer.note}") if writer.note else tuple(notes)
