"""A journal on the disk as an exchange writes it: a stage whose batches go into files, and a day to play on it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exchange.stage import DAY_NS, MORNING_NS, MemoryWriter, Stage, small_config
from flows import SESSIONS, Message, seeded_flow

from fixsim.config import Config
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer

#: Small files: what is sealed at once on a stage is short.
SEGMENT_BYTES = 4 << 20
BATCH_BYTES = 1 << 20


class FileWriter(MemoryWriter):
    """The real journal, and the list that a stage reads."""

    def __init__(self, data_dir: Path) -> None:
        self.reader = Reader(journal_directory(data_dir))
        self.real = Writer.open(
            self.reader.directory, reader=self.reader, segment_bytes=SEGMENT_BYTES, batch_bytes=BATCH_BYTES, tail_bytes=1 << 12
        )
        super().__init__(self.real.position)

    def begin_batch(self) -> int:
        return self.real.begin_batch()

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        self.batches.append((self.real.position, memoryview(bytes(buffer[:length]))))
        return self.real.append(buffer, length, count, time_ns)

    def fetch(self, position: int) -> bytes:
        return bytes(self.reader.read(position).payload)


class Recording(Stage):
    """A stage that leaves a journal in `data_dir`; made again on the same directory it is the next start."""

    def __init__(
        self, data_dir: Path, config: Config | None = None, now_ns: int = MORNING_NS, clock_start_ns: int | None = None
    ) -> None:
        self.file: Any = FileWriter(data_dir)
        batches = [(batch.begin, batch.view) for batch in self.file.reader.batches()]
        super().__init__(config or small_config(), self.file, batches, Outbox(self.file.reader), now_ns, clock_start_ns)

    def close(self) -> None:
        """Let go of the files, as a process that ends does."""
        self.file.real.close()

    def play(self, flow: Iterable[Message], together: int = 1) -> None:
        """Messages of sessions that are logged on, `together` of them in a batch, a millisecond apart."""
        for count, (name, fields) in enumerate(flow, 1):
            self.feed(name, self.frame(name, fields))
            if count % together == 0:
                self.drain()
                self.now_ns += 1_000_000
        self.drain()


def record_day(data_dir: Path, count: int = 600, seed: int = 1) -> str:
    """Two days, a restart, a halt, two auctions, a resend, a gap, heartbeats: `count` order messages in all.

    Returns the state digest at the end.
    """
    from fixsim.exchange.digest import state_digest

    morning = Recording(data_dir)
    morning.log_on(*SESSIONS[:2])
    morning.connect(SESSIONS[2], heartbeat_s=30)
    flow = list(seeded_flow(seed, count))
    half = count // 2
    morning.play(flow[:half], together=7)
    morning.command("halt", symbol="AAPL")
    morning.play(flow[half : half + 20])
    morning.command("resume", symbol="AAPL")
    morning.say(SESSIONS[0], [(35, b"e"), (324, b"S"), (55, b"AAPL"), (263, b"1")])
    morning.say(SESSIONS[0], [(35, b"g"), (335, b"T"), (263, b"1")])
    morning.command("phase", symbol="AAPL", phase="opening-auction", seconds=1)
    morning.command("phase", symbol="BIG", phase="closing-auction")
    morning.play(flow[half + 20 : half + 60])
    morning.tick(morning.now_ns + 1_000_000_000)
    morning.command("phase", symbol="BIG", phase="at-last")
    morning.command("phase", symbol="BTC-USDT", phase="closed")
    morning.play(flow[half + 60 : half + 80])
    for symbol in ("BIG", "BTC-USDT"):
        morning.command("phase", symbol=symbol, phase="continuous")
    morning.say(SESSIONS[0], [(35, b"2"), (7, b"2"), (16, b"0")])
    morning.numbers[SESSIONS[1]] += 1  # a message is lost on the way
    early = morning.frame(SESSIONS[1], [(35, b"1"), (112, b"EARLY")])
    morning.feed(SESSIONS[1], early)
    morning.drain()
    morning.numbers[SESSIONS[1]] -= 2
    morning.feed(SESSIONS[1], morning.frame(SESSIONS[1], [(35, b"1"), (112, b"LATE")]))
    morning.drain()
    morning.numbers[SESSIONS[1]] += 1
    morning.feed(SESSIONS[0], b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01")
    morning.tick(morning.now_ns + 31_000_000_000)
    morning.exchange.lose_link(morning.links[SESSIONS[2]], "gone", morning.now_ns)
    morning.drain()
    numbers = dict(morning.numbers)
    morning.close()
    evening = Recording(data_dir, now_ns=morning.now_ns + 1_000_000)
    evening.numbers.update(numbers)
    evening.log_on(*SESSIONS)
    evening.play(flow[half + 80 : -30], together=3)
    evening.tick(evening.now_ns + DAY_NS)
    evening.play(flow[-30:])
    digest = state_digest(evening.exchange)
    evening.close()
    return digest
