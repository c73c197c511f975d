"""The exchange as its journal left it, with the real disk behind it and the clock going on where it stopped."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fixsim.config import Config
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.recovery import open_exchange
from fixsim.fix.dictionary import fix44
from fixsim.gateway.clock import Clock
from fixsim.gateway.log import LOGGER
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer

#: A recovery that takes longer tells how far it is, this often.
PROGRESS_S: Final = 2.0


class SyncedWriter:
    """The journal's writer as the exchange sees it: what `append` returned for may be said."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def begin_batch(self) -> int:
        """Position of the next batch."""
        return self._writer.begin_batch()

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Seal and write a batch, as durably as configured."""
        position = self._writer.append(buffer, length, count, time_ns)
        self._writer.sync()
        return position


class Told:
    """Says how far a recovery is, not more often than people read."""

    def __init__(self, end: int, progress: Callable[[str], None]) -> None:
        self._end, self._progress = end, progress
        self._said = time.monotonic()

    def __call__(self, position: int) -> None:
        if time.monotonic() - self._said >= PROGRESS_S:
            self._said = time.monotonic()
            self._progress(f"recovering: {100 * position // max(1, self._end)} % of the journal")


def open_journaled_exchange(
    config: Config,
    data_dir: Path,
    clock_from: Callable[[int], Clock],
    progress: Callable[[str], None],
    stack: contextlib.ExitStack,
) -> tuple[Exchange, Clock]:
    """Replay the journal of `data_dir` and go on with it; its writer is closed by `stack`.

    Raises JournalCorrupt for damage, ReplayDivergence when the code gives other bytes than it did, VenueError when `config`
    cannot go on where the journal stopped.
    """
    reader = Reader(journal_directory(data_dir))
    writer = Writer.open(
        reader.directory,
        reader=reader,
        segment_bytes=config.journal.segment_bytes,
        durability=config.journal.durability,  # type: ignore[arg-type]  # checked by the configuration
    )
    stack.callback(writer.close)
    if writer.note:
        LOGGER.warning("journal: %s", writer.note)
    exchange = open_exchange(
        config,
        ((batch.begin, batch.view) for batch in reader.batches()),
        SyncedWriter(writer),
        Outbox(reader),
        lambda position: bytes(reader.read(position).payload),
        fix44(),
        time.time_ns(),
        Told(writer.position, progress),
    )
    return exchange, clock_from(exchange.tape.now_ns)
