"""What each connection is still owed: journal positions, nothing else. The journal is the send buffer.

A message is said when its batch is sealed; until then it is noted but hidden (`say`, then `release`). A
connection that cannot take more costs eight bytes for each message it is owed, and its bytes wait in the
journal. A resend is one position too: its frames are rendered when their turn comes, which is before anything
that was said after it.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fixsim.journal.reader import Reader
from fixsim.journal.record import record_at
from fixsim.journal.resend import Resending
from fixsim.layout import NEVER, Kind
from fixsim.limits import RECORD_HEADER_BYTES

#: Kind and length of a record, for the gathering loop.
EXTENT: Final = Struct("<2xBxI")
#: Parts handed to the transport in one call; systems take 1,024.
PARTS_MAX: Final = 256
#: Bytes after which no further part is added.
GATHERED_BYTES: Final = 256 << 10
#: So many positions and more are looked up together.
MANY: Final = 32
#: Frames of a resend rendered ahead of the transport.
RENDERED_MAX: Final = 64
#: How often that is done in one call.
HELPINGS_MAX: Final = 2
#: Records a resend walks back over in one call: a millisecond or two; the next call goes on.
BACK_STEPS: Final = 2_048
#: Positions that were sent are dropped from the front of a queue in pieces of at least this many.
COMPACT_MIN: Final = 4_096
#: Positions looked at to tell how far back the journal is needed for one connection.
LOOK_MAX: Final = 4_096

#: Positions of records, rising.
Positions = npt.NDArray[np.int64]
#: Takes views in order and returns how many bytes it took; fewer than offered means: no more now.
Transport = Callable[[list[memoryview]], int]


class Owed(NamedTuple):
    """What a connection is owed: journal entries, how many of them are resends, and bytes (those of resends
    not counted).
    """

    messages: int
    resends: int
    bytes: int


class _Queue:
    """One connection: positions said, how many are visible, how many are gone, and how far into the next one.
    """

    __slots__ = ("head", "job", "offset", "positions", "rendered", "session", "visible")

    def __init__(self, session: int) -> None:
        self.session = session
        self.positions = array("q")
        self.head = 0
        self.visible = 0
        #: Bytes of the first frame that are sent already.
        self.offset = 0
        #: The resend at the head of the queue: its frames, once the first one is found.
        self.job: Resending | Iterator[bytes] | None = None
        self.rendered: deque[bytes] = deque()

    def drop_heads(self, count: int) -> None:
        self.head += count
        if self.head >= COMPACT_MIN and self.head * 2 >= len(self.positions):
            del self.positions[: self.head]
            self.visible -= self.head
            self.head = 0


class Outbox:
    """What is owed, by link number. `reader` reads the journal the positions are in."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._queues: dict[int, _Queue] = {}
        self._hidden: dict[int, _Queue] = {}
        self._ready: dict[int, None] = {}

    def open(self, link: int, session: int) -> None:
        """A connection of `session` may be owed something from now on."""
        self._queues[link] = _Queue(session)

    def close(self, link: int) -> None:
        """The connection is gone, and with it what it is owed; an unknown link is fine."""
        self._queues.pop(link, None)
        self._hidden.pop(link, None)
        self._ready.pop(link, None)

    def say(self, link: int, session: int, position: int) -> None:
        """The OUT record at `position` is for `link`; hidden until `release`. Nothing happens for a link that
        is not open.
        """
        queue = self._queues.get(link)
        if queue is None:
            return
        assert queue.session == session, "a message of another session"
        queue.positions.append(position)
        self._hidden[link] = queue

    def resend(self, link: int, session: int, position: int) -> None:
        """The RESEND record at `position` is to be served on `link`, after what was said before it."""
        self.say(link, session, position)

    def say_all(self, link: int, session: int, positions: Positions) -> None:
        """As `say` and `resend` for each of `positions`, which rise."""
        queue = self._queues.get(link)
        if queue is None or not len(positions):
            return
        assert queue.session == session, "a message of another session"
        queue.positions.frombytes(positions.tobytes())
        self._hidden[link] = queue

    def skip(self, link: int, count: int) -> None:
        """The transport took `count` bytes of what was said last, past this outbox; the link was owed nothing before."""
        queue = self._queues[link]
        while count and queue.head < queue.visible:
            parts = self._said(queue)
            _advance(queue, parts, min(count, sum(map(len, parts))))
            count -= min(count, sum(map(len, parts)))

    def release(self) -> None:
        """Everything noted so far lies in the journal, sealed: it may be sent."""
        for link, queue in self._hidden.items():
            queue.visible = len(queue.positions)
            self._ready[link] = None
        self._hidden.clear()

    def take_ready(self) -> list[int]:
        """Links that something was released for since the last call, each once."""
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def pending(self, link: int) -> bool:
        """Is anything to be sent on `link` now?"""
        queue = self._queues.get(link)
        return queue is not None and queue.head < queue.visible

    def owed(self, link: int) -> Owed:
        """How much is visible and not sent yet. Walks over what is owed: for people, not for every turn."""
        queue = self._queues.get(link)
        if queue is None:
            return Owed(0, 0, 0)
        resends, total = 0, -queue.offset if queue.job is None else 0
        for index in range(queue.head, queue.visible):
            kind, length = self._extent(queue.positions[index])
            if kind == Kind.RESEND:
                resends += 1
            else:
                total += length
        return Owed(queue.visible - queue.head, resends, total)

    def owed_from(self) -> int:
        """Position from which on the journal is still needed for what is owed; a number beyond every position for nothing.

        A connection that is owed very much is not walked over: it may need everything.
        """
        lowest = NEVER
        for queue in self._queues.values():
            owed = queue.positions[queue.head : queue.visible]
            if len(owed) > LOOK_MAX:
                return 0
            for position in owed:
                view, offset = self._reader.locate(position)
                record = record_at(view, offset, position)
                lowest = min(lowest, record.resend_floor() if record.kind == Kind.RESEND else position)
        return lowest

    def let_go(self, position: int) -> None:
        """Nothing in front of `position` will be needed again: give back what is kept of it in memory."""
        self._reader.let_go(min(position, self.owed_from()))

    def send(self, link: int, send: Transport) -> int:
        """Hand what is owed to `send` until it takes less than it was offered; bytes taken.

        What `send` raises passes through, and nothing is lost then. A long resend needs several calls, so that others
        get theirs in between: `pending` stays true, also where nothing was sent because its beginning is still looked for.
        """
        queue = self._queues.get(link)
        sent = helpings = 0
        while queue is not None and queue.head < queue.visible:
            parts = self._parts(queue)
            if parts is None:
                continue  # the resend at the head is served
            if not parts:
                break
            helpings += queue.job is not None
            taken = send(parts)
            _advance(queue, parts, taken)
            sent += taken
            if taken < sum(map(len, parts)) or helpings == HELPINGS_MAX:
                break
        return sent

    # ------------------------------------------------------------ gathering

    def _extent(self, position: int) -> tuple[int, int]:
        """Kind and payload length of the record at `position`."""
        view, offset = self._reader.locate(position)
        kind, length = EXTENT.unpack_from(view, offset)
        return kind, length

    def _parts(self, queue: _Queue) -> list[memoryview] | None:
        """Views of the next bytes to send; empty when they must still be looked for, None when the head was
        dropped.
        """
        if queue.job is None:
            parts = self._said(queue)
            if parts:
                return parts
            position = queue.positions[queue.head]
            queue.job = Resending(self._reader, record_at(*self._reader.locate(position), position))
        if isinstance(queue.job, Resending):
            if not queue.job.gather(BACK_STEPS):
                return []
            queue.job = queue.job.frames()
        return _rendered(queue, queue.job)

    def _said(self, queue: _Queue) -> list[memoryview]:
        """Payloads of the OUT records at the head of the queue, up to a resend."""
        parts: list[memoryview] = []
        total, locate, unpack = 0, self._reader.locate, EXTENT.unpack_from
        last = min(queue.visible, queue.head + PARTS_MAX)
        if last - queue.head >= MANY:
            parts = self._many(queue.positions[queue.head : last])
            last = queue.head
        for position in queue.positions[queue.head : last]:
            view, offset = locate(position)
            kind, length = unpack(view, offset)
            if kind == Kind.RESEND:
                break
            begin = offset + RECORD_HEADER_BYTES
            parts.append(view[begin : begin + length])
            total += length
            if total >= GATHERED_BYTES:
                break
        if parts and queue.offset:
            parts[0] = parts[0][queue.offset :]
        return parts

    def _many(self, queued: "array[int]") -> list[memoryview]:
        """Payloads of the records at the first of these positions: those in one segment, up to a resend."""
        view, offset = self._reader.locate(queued[0])
        places = np.frombuffer(queued, np.int64) - (queued[0] - offset)
        places = places[places < len(view)]
        # magic, kind and flags are one word of a header, the length is the next
        words = np.frombuffer(view[: len(view) & -4], np.uint32)
        lengths = words[(places >> 2) + 1].astype(np.int64)
        count = int(np.searchsorted(np.cumsum(lengths), GATHERED_BYTES)) + 1
        resends = np.flatnonzero((words[places >> 2] >> 16) & 0xFF == Kind.RESEND)
        if len(resends):
            count = min(count, int(resends[0]))
        begins = (places + RECORD_HEADER_BYTES)[:count]
        return [view[begin:end] for begin, end in zip(begins.tolist(), (begins + lengths[:count]).tolist(), strict=True)]


def _rendered(queue: _Queue, frames: Iterator[bytes]) -> list[memoryview] | None:
    """Views of the next frames of a resend; None when it is served, and dropped from the queue."""
    rendered = queue.rendered
    while len(rendered) < RENDERED_MAX and (frame := next(frames, None)) is not None:
        rendered.append(frame)
    if not rendered:
        queue.job = None
        queue.drop_heads(1)
        return None
    parts = [memoryview(frame) for frame in rendered]
    parts[0] = parts[0][queue.offset :]
    return parts


def _advance(queue: _Queue, parts: Sequence[memoryview], taken: int) -> None:
    """`taken` bytes of `parts`, which are the next of `queue`, are gone."""
    ends = list(accumulate(map(len, parts)))
    whole = bisect_right(ends, taken)
    if whole == 0:
        queue.offset += taken
        return
    queue.offset = taken - ends[whole - 1]
    if queue.job is None:
        queue.drop_heads(whole)
        return
    for _ in range(whole):
        queue.rendered.popleft()
