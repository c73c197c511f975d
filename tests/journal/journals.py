"""Small journals for tests: segments of 8 KiB, so that a few batches fill one."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixsim.journal.disk import Disk, never
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_RECORD_BYTES, pack, records
from fixsim.journal.writer import Writer
from fixsim.layout import Kind

SMALL: dict[str, Any] = {"segment_bytes": 8192, "batch_bytes": 2048, "tail_bytes": 512}


def open_writer(directory: Path, **changes: Any) -> Writer:
    """A writer of small segments."""
    return Writer.open(directory, **{**SMALL, **changes})


def render(writer: Writer, payloads: Sequence[bytes], closing: bool = False, **fields: Any) -> tuple[bytearray, int]:
    """A batch of OUT records for `writer`, with room for the seal; its length."""
    position = writer.begin_batch(closing)
    batch = bytearray()
    for index, payload in enumerate(payloads):
        batch += pack(Kind.OUT, position + len(batch), 1_000 + index, payload, seq=index + 1, **fields)
    length = len(batch)
    return batch + bytes(SEAL_RECORD_BYTES), length


def append(writer: Writer, payloads: Sequence[bytes], closing: bool = False) -> int:
    """Write a batch of OUT records; the position behind its seal."""
    batch, length = render(writer, payloads, closing)
    return writer.append(memoryview(batch), length, len(payloads), 5)


def write(directory: Path, batches: Sequence[Sequence[bytes]]) -> int:
    """Write a journal of these payloads; the position where it ends."""
    writer = open_writer(directory)
    for payloads in batches:
        append(writer, payloads)
    writer.close()
    return writer.position


def payloads_of(reader: Reader, position: int | None = None) -> list[list[bytes]]:
    """Payloads of the sealed batches."""
    return [[bytes(record.payload) for record in records(batch.view)] for batch in reader.batches(position)]


@dataclass
class Fault:
    """Which calls of a FaultyDisk fail: the method's name, how many good calls come first, and the error."""

    method: str
    after: int = 0
    error: int = errno.ENOSPC
    #: Bytes a failing pwrite still takes.
    partial: int = 0


class FaultyDisk(Disk):
    """A disk that fails on demand and prepares segments only when they are asked for."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.calls: list[str] = []
        self.pwrite_bytes_max = 1 << 30
        #: Whether zeros were enough, as each segment was asked for them.
        self.enough: list[bool] = []

    def _meet(self, method: str) -> Fault | None:
        self.calls.append(method)
        for fault in self.faults:
            if fault.method == method:
                fault.after -= 1
                if fault.after < 0:
                    return fault
        return None

    def _fail(self, method: str) -> None:
        fault = self._meet(method)
        if fault is not None:
            raise OSError(fault.error, os.strerror(fault.error))

    def pwrite(self, descriptor: int, view: memoryview, offset: int) -> int:
        fault = self._meet("pwrite")
        if fault is not None:
            if fault.partial:
                taken, fault.partial = min(fault.partial, len(view)), 0
                return super().pwrite(descriptor, view[:taken], offset)
            raise OSError(fault.error, os.strerror(fault.error))
        return super().pwrite(descriptor, view[: self.pwrite_bytes_max], offset)

    def fill(self, descriptor: int, size: int, begin: int = 0, enough: Callable[[], bool] = never) -> None:
        self._fail("fill")
        self.enough.append(enough())
        os.ftruncate(descriptor, size)

    def create(self, path: Path) -> int:
        self._fail("create")
        return super().create(path)

    def rename(self, old: Path, new: Path) -> None:
        self._fail("rename")
        super().rename(old, new)

    def sync(self, descriptor: int) -> None:
        self._fail("sync")

    def sync_directory(self, directory: Path) -> None:
        self._fail("sync_directory")

    def background(self, work: Callable[[], None]) -> Callable[[], None]:
        done: list[bool] = []

        def run_once() -> None:
            if not done:
                done.append(True)
                work()

        return run_once
