"""A data directory's journal becomes a living exchange: read, rehearsed, opened for writing."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fixsim.config import Config
from fixsim.exchange.course import Course, Until
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.recovery import open_exchange
from fixsim.exchange.walker import skimmer
from fixsim.fix.dictionary import fix44
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer


class Opened(NamedTuple):
    """An exchange and its journal; whoever opened it closes `writer`."""

    exchange: Exchange
    writer: Writer
    reader: Reader


def open_venue(
    config: Config,
    data_dir: Path,
    now_ns: int,
    progress: Callable[[int, int], None] | None = None,
    clock_start_ns: int | None = None,
) -> Opened:
    """The exchange of `data_dir`, recovered from its journal and started at `now_ns` under `config`.

    Without `clock_start_ns` its time is the wall's; with it an operator drives it from there, or for 0 from where it was.

    The caller holds the lock of the directory. `progress` is told position and end while the journal is replayed. `writer.note`
    says what was cut from the journal, empty for nothing. Raises JournalError, ReplayDivergence or VenueError.
    """
    directory = journal_directory(data_dir)
    reader = Reader(directory, skimmer())
    writer = Writer.open(
        directory,
        reader=reader,
        segment_bytes=config.journal.segment_bytes,
        durability=config.journal.durability,  # type: ignore[arg-type]  # checked when the configuration was read
    )
    end = writer.position
    exchange = open_exchange(
        config,
        Course(reader, Until(position=end - 1)),
        writer,
        Outbox(reader),
        lambda position: bytes(reader.read(position).payload),
        fix44(),
        now_ns,
        None if progress is None else lambda position: progress(position, end),
        clock_start_ns,
    )
    return Opened(exchange, writer, reader)
