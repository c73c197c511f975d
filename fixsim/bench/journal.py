"""What the journal costs: appending batches, reading them back, walking records, and handing them to
connections.

Writes batches of OUT records with 192 bytes of payload (an ExecutionReport of an equity), then reads what it
wrote. The batches are rendered before the clock starts: what is timed is `Writer.append` (seal, CRC, one
pwrite) and, with `sync`, the fdatasync. Reading is from the page cache, which is where live readers find it.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from fixsim import limits
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.record import HEADER, SEAL_RECORD_BYTES, headers, offsets, pack, records
from fixsim.journal.writer import Writer
from fixsim.layout import NIL, Kind

#: Bytes of a batch: a turn under load.
BATCH_BYTES: Final = 65_536
PAYLOAD: Final = b"8=FIX.4.4\x019=160\x0135=8\x0149=FIXSIM\x0156=CLIENT\x0134=000001\x0152=20260101-12:00:00.000\x01".ljust(
    192, b"x"
)
RECORD: Final = pack(Kind.OUT, 0, 0, PAYLOAD, session=1, run=1, seq=1, back=NIL, msg_type=b"8", link=1)


def rendered(batch_bytes: int) -> tuple[np.ndarray, int, int]:
    """A batch whose positions are filled in later: the buffer, its length, its count."""
    count = batch_bytes // len(RECORD)
    buffer = np.zeros(count * len(RECORD) + SEAL_RECORD_BYTES, np.uint8)
    buffer[: count * len(RECORD)] = np.frombuffer(RECORD * count, np.uint8)
    return buffer, count * len(RECORD), count


def place(buffer: np.ndarray, length: int, begin: int) -> None:
    """Give every record its position, as the kernels do while they render."""
    rows = buffer[:length].reshape(-1, len(RECORD))
    rows[:, 8:16] = (begin + np.arange(len(rows)) * len(RECORD))[:, None].view(np.uint8).reshape(-1, 8)


def append_all(directory: Path, batches: int, batch_bytes: int, durability: str) -> dict[str, Any]:
    """Append `batches`; microseconds of each append, rolls to a new segment told apart."""
    writer = Writer.open(directory, durability=durability)  # type: ignore[arg-type]
    buffer, length, count = rendered(batch_bytes)
    took, rolls = [], []
    first = writer.position
    for _ in range(batches):
        before = time.perf_counter_ns()
        begin = writer.begin_batch()
        rolled = time.perf_counter_ns()
        if begin % limits.SEGMENT_BYTES == limits.RECORD_HEADER_BYTES:
            rolls.append(rolled - before)
        place(buffer, length, begin)
        before = time.perf_counter_ns()
        writer.append(buffer, length, count, 1)
        writer.sync()
        took.append(time.perf_counter_ns() - before)
    writer.close()
    took_us = np.sort(np.array(took)) / 1e3
    return {
        "batches": batches,
        "records": batches * count,
        "bytes": writer.position - first,
        "append us p50": round(float(took_us[len(took_us) // 2]), 1),
        "append us p99": round(float(took_us[int(len(took_us) * 0.99)]), 1),
        "append us max": round(float(took_us[-1]), 1),
        "MB/s": round(batches * length / took_us.sum()),
        "ns per record": round(float(took_us.sum()) * 1e3 / (batches * count), 1),
        "rolls": len(rolls),
        "roll us max": round(max(rolls) / 1e3, 1) if rolls else None,
    }


def baseline(directory: Path, batches: int, batch_bytes: int) -> dict[str, Any]:
    """The same bytes with a bare pwrite into a file of zeros: what no journal can beat."""

    length = rendered(batch_bytes)[1] + SEAL_RECORD_BYTES
    buffer = bytes(length)
    path = directory / "bare"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(descriptor, bytes(limits.SEGMENT_BYTES), 0)
    room = limits.SEGMENT_BYTES // length
    before = time.perf_counter_ns()
    for index in range(batches):
        os.pwrite(descriptor, buffer, index % room * length)
    took = time.perf_counter_ns() - before
    os.close(descriptor)
    path.unlink()
    return {"pwrite us mean": round(took / batches / 1e3, 1)}


def rate(count: int, work: Callable[[], object]) -> dict[str, Any]:
    """Records per second of `work` on the clock, and ns of processor time per record: the best of three
    passes each.
    """
    wall, busy = float("inf"), float("inf")
    for _ in range(3):
        before, before_busy = time.perf_counter(), time.process_time()
        work()
        wall, busy = min(wall, time.perf_counter() - before), min(busy, time.process_time() - before_busy)
    return {"records/s": round(count / wall), "cpu ns per record": round(busy / count * 1e9)}


def read_all(directory: Path, count: int) -> dict[str, Any]:
    """Readers of different appetite over the whole journal."""

    def sealed() -> None:
        for _ in Reader(directory).batches():
            pass

    def as_tuples() -> None:
        for batch in Reader(directory).batches():
            for _ in records(batch.view):
                pass

    def as_columns() -> None:
        for batch in Reader(directory).batches():
            headers(batch.view, offsets(batch.view))["seq"].sum()

    return {
        "batches, checked": rate(count, sealed),
        "batches and records as tuples": rate(count, as_tuples),
        "batches and headers as columns": rate(count, as_columns),
    }


def send_all(directory: Path, count: int) -> dict[str, Any]:
    """Hand every OUT record to a transport that takes all: note, release, gather."""
    reader = Reader(directory)
    positions = [HEADER.unpack_from(batch.view, int(at))[4] for batch in reader.batches() for at in offsets(batch.view)]

    def hand_over() -> None:
        outbox = Outbox(reader)
        outbox.open(1, 1)
        for position in positions:
            outbox.say(1, 1, position)
        outbox.release()
        outbox.send(1, lambda parts: sum(map(len, parts)))

    return rate(count, hand_over)


def measure_journal(
    batches: int, batch_bytes: int = BATCH_BYTES, syncs: int = 500, directory: Path | None = None
) -> dict[str, Any]:
    """Everything about the journal, beside a bare pwrite; files are written under `directory` and removed."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="fixsim-bench-") as name:
        place = Path(name)
        figures: dict[str, Any] = {
            "append, durability os": append_all(place / "os", batches, batch_bytes, "os"),
            "append, durability sync": append_all(place / "sync", syncs, batch_bytes, "sync"),
            "one small record, durability os": append_all(place / "small", batches, len(RECORD), "os"),
            "baseline": baseline(place, batches, batch_bytes),
        }
        count = figures["append, durability os"]["records"]
        figures["read"] = read_all(place / "os", count)
        figures["outbox"] = send_all(place / "os", count)
    return figures
