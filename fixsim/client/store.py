"""What an initiator must remember to continue a session: the next number each way, and every message it sent.

A store is the session's `Counters` (it has `next_in` and `next_out`) and the source of what a
ResendRequest(2) asks for. The file store writes a message before it goes on the wire, so a number that was
used is never used for something else.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

#: Width of a number in the store's files: any int64.
NUMBER_WIDTH: Final = 19


class Store(Protocol):
    """Where an initiator keeps its side of a session."""

    next_in: int
    next_out: int

    def keep(self, seq: int, frame: bytes) -> None:
        """Remember that `frame` is sent with MsgSeqNum(34) `seq`."""

    def sent(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        """The kept frames numbered `begin` to `end`, both inclusive, in order; a number that was not kept
        is left out.
        """

    def restart(self) -> None:
        """The sequence numbers begin anew: nothing of the run so far can be asked for again."""

    def settle(self) -> None:
        """Everything counted so far was dealt with: make the counters last."""

    def close(self) -> None:
        """Let go of what is open."""


class MemoryStore:
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self.next_in = 1
        self.next_out = 1
        self._frames: dict[int, bytes] = {}

    def keep(self, seq: int, frame: bytes) -> None:
        self._frames[seq] = frame

    def sent(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        for seq in sorted(seq for seq in self._frames if begin <= seq <= end):
            yield seq, self._frames[seq]

    def restart(self) -> None:
        self._frames.clear()

    def settle(self) -> None:
        pass

    def close(self) -> None:
        pass


class FileStore:
    """A store in a directory: `counters` holds both numbers, `sent` each message behind its number and
    length.

    Raises OSError when the directory cannot be used. One process at a time may use it.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT
        self._counters = os.open(directory / "counters", flags, 0o600)
        self._sent = os.open(directory / "sent", flags, 0o600)
        self._places: dict[int, tuple[int, int]] = {}  # MsgSeqNum -> offset and length of the frame
        self._end = 0
        self.next_in, self.next_out = self._read_counters()
        self._index()

    def _read_counters(self) -> tuple[int, int]:
        numbers = os.pread(self._counters, 4 * NUMBER_WIDTH, 0).split()
        return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (1, 1)

    def _index(self) -> None:
        """Find the kept frames; an end that was not wholly written is cut."""
        head_bytes = 2 * (NUMBER_WIDTH + 1)
        size = os.fstat(self._sent).st_size
        while self._end + head_bytes <= size:
            head = os.pread(self._sent, head_bytes, self._end).split()
            seq, length = int(head[0]), int(head[1])
            if self._end + head_bytes + length + 1 > size:
                break
            self._places[seq] = (self._end + head_bytes, length)
            self._end += head_bytes + length + 1
            self.next_out = max(self.next_out, seq + 1)
        os.ftruncate(self._sent, self._end)

    def keep(self, seq: int, frame: bytes) -> None:
        head = b"%0*d %0*d\n" % (NUMBER_WIDTH, seq, NUMBER_WIDTH, len(frame))
        os.pwrite(self._sent, head + frame + b"\n", self._end)
        self._places[seq] = (self._end + len(head), len(frame))
        self._end += len(head) + len(frame) + 1

    def sent(self, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
        for seq in sorted(seq for seq in self._places if begin <= seq <= end):
            offset, length = self._places[seq]
            yield seq, os.pread(self._sent, length, offset)

    def restart(self) -> None:
        os.ftruncate(self._sent, 0)
        self._places.clear()
        self._end = 0
        self.settle()

    def settle(self) -> None:
        numbers = (NUMBER_WIDTH, self.next_in, NUMBER_WIDTH, self.next_out)
        os.pwrite(self._counters, b"%0*d %0*d\n" % numbers, 0)

    def close(self) -> None:
        if self._counters < 0:
            return
        self.settle()
        os.close(self._counters)
        os.close(self._sent)
        self._counters = self._sent = -1
