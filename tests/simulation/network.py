"""Sockets without a system: bytes that travel for a while, arrive in pieces cut anywhere, or do not arrive at all.

A `Wire` has two `Pipe`s. The exchange holds the far end as a `Socket`, which has the few methods that the gateway uses;
a client holds the near end. The `Poller` finds out what is ready, and lets the world go on while nothing is.
"""

import heapq
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from fixsim.gateway.poller import READ, WRITE, Ready

#: What a pipe holds at most: small, so that readers who stop reading are noticed.
ROOM_BYTES = 16_384
MS = 1_000_000
#: What a turn takes at least.
TURN_NS = 10_000


class Agenda:
    """What is going to happen, and the time it is."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when_ns: int, action: Callable[[], None]) -> None:
        """Do something at that time, or now if that is over."""
        self._count += 1
        heapq.heappush(self._events, (max(when_ns, self.now_ns), self._count, action))

    def after(self, wait_ns: int, action: Callable[[], None]) -> None:
        """Do something so much later."""
        self.at(self.now_ns + wait_ns, action)

    def advance(self, end_ns: int) -> bool:
        """Let the next thing happen that is due until `end_ns`; False when there is none, and it is `end_ns`."""
        if not self._events or self._events[0][0] > end_ns:
            self.now_ns = max(self.now_ns, end_ns)
            return False
        when_ns, _, action = heapq.heappop(self._events)
        self.now_ns = max(self.now_ns, when_ns)
        action()
        return True


class Pipe:
    """One direction: `here` has arrived, the rest flies."""

    def __init__(self, agenda: Agenda, chance: Random, arrived: Callable[[], None]) -> None:
        self._agenda, self._chance, self._arrived = agenda, chance, arrived
        self.here = bytearray()
        self.flying = 0
        self._last_ns = 0
        #: The writer has ended it; after the last byte the reader sees that.
        self.ended = False
        #: What flies is lost, and so is what comes.
        self.cut = False
        #: Longest flight.
        self.delay_ns = 2 * MS

    @property
    def over(self) -> bool:
        """Is there nothing more to come?"""
        return self.cut or (self.ended and not self.flying)

    @property
    def room(self) -> int:
        """Bytes it takes now."""
        return max(0, ROOM_BYTES - self.flying - len(self.here))

    def put(self, octets: bytes) -> None:
        """Send bytes on their way, in pieces."""
        at = 0
        while at < len(octets):
            size = len(octets) - at if self._chance.random() < 0.7 else self._chance.randint(1, len(octets) - at)
            self._fly(octets[at : at + size])
            at += size

    def _fly(self, piece: bytes) -> None:
        self.flying += len(piece)
        self._last_ns = max(self._last_ns, self._agenda.now_ns + self._chance.randint(0, self.delay_ns))
        self._agenda.at(self._last_ns, lambda: self._land(piece))

    def _land(self, piece: bytes) -> None:
        self.flying -= len(piece)
        if not self.cut:
            self.here += piece
            self._arrived()

    def end(self) -> None:
        """No more will be written."""
        self.ended = True
        self._agenda.at(self._last_ns, self._arrived)

    def break_off(self) -> None:
        """The line is cut; what has not arrived never will."""
        self.cut = True
        self._agenda.after(self._chance.randint(0, self.delay_ns), self._arrived)


class Socket:
    """The exchange's end of a wire. `watch` is told what the exchange sends, at the moment it does."""

    def __init__(self, fd: int, heard: Pipe, said: Pipe, chance: Random, watch: Callable[[bytes], None]) -> None:
        self._fd, self.heard, self.said = fd, heard, said
        self._chance, self._watch = chance, watch
        self.is_open = True

    def fileno(self) -> int:
        return self._fd

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *_: Any) -> None:
        pass

    def getsockopt(self, *_: Any) -> bytes:
        """Who is at the other end: process, user, group."""
        return struct.pack("3i", 1, 0, 0)

    def ready(self, mask: int) -> int:
        """READ, WRITE or both, of those asked for."""
        found = READ if mask & READ and (self.heard.here or self.heard.over) else 0
        return found | (WRITE if mask & WRITE and (self.said.room or self.said.cut) else 0)

    def recv(self, size: int) -> bytes:
        if not self.heard.here:
            if self.heard.cut:
                raise ConnectionResetError
            if self.heard.over:
                return b""
            raise BlockingIOError
        count = min(size, len(self.heard.here))
        if self._chance.random() < 0.3:
            count = self._chance.randint(1, count)
        octets = bytes(self.heard.here[:count])
        del self.heard.here[:count]
        return octets

    def recv_into(self, view: memoryview) -> int:
        octets = self.recv(len(view))
        view[: len(octets)] = octets
        return len(octets)

    def send(self, octets: bytes | bytearray) -> int:
        return self.sendmsg([memoryview(octets)])

    def sendmsg(self, views: Sequence[memoryview]) -> int:
        if self.said.cut:
            raise BrokenPipeError
        whole = b"".join(views)
        count = min(len(whole), self.said.room)
        if count and self._chance.random() < 0.2:
            count = self._chance.randint(0, count)
        if not count:
            raise BlockingIOError
        self._watch(whole[:count])
        self.said.put(whole[:count])
        return count

    def shutdown(self, how: int) -> None:
        if self.said.cut:
            raise OSError
        self.said.end()

    def close(self) -> None:
        self.is_open = False
        self.heard.cut = True
        self.said.end()


class Listener:
    """A listening socket: who connects waits in `backlog`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.backlog: list[Socket] = []

    def fileno(self) -> int:
        return self._fd

    def setsockopt(self, *_: Any) -> None:
        pass

    def listen(self, backlog: int) -> None:
        pass

    def ready(self, mask: int) -> int:
        return READ if mask & READ and self.backlog else 0

    def accept(self) -> tuple[Socket, tuple[str, int]]:
        if not self.backlog:
            raise BlockingIOError
        return self.backlog.pop(0), ("127.0.0.1", 1)

    def close(self) -> None:
        self._fd = -1


class Poller:
    """As `gateway.poller.Poller`; while nothing is ready the world goes on."""

    def __init__(self, agenda: Agenda, find: Callable[[int], Socket | Listener | None]) -> None:
        self._agenda, self._find = agenda, find
        self._owners: dict[int, Any] = {}
        self._masks: dict[int, int] = {}

    def add(self, fd: int, owner: Ready, mask: int = READ) -> None:
        self._owners[fd], self._masks[fd] = owner, mask

    def change(self, fd: int, mask: int) -> None:
        self._masks[fd] = mask

    def remove(self, fd: int) -> None:
        self._owners.pop(fd, None)
        self._masks.pop(fd, None)

    def give_to(self, fd: int, owner: Ready) -> None:
        self._owners[fd] = owner

    def owner(self, fd: int) -> Any:
        return self._owners.get(fd)

    def epoll_descriptor(self) -> int:
        return -1

    def close(self) -> None:
        pass

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """What is ready, after at most `timeout_s` of the world's time."""
        self._agenda.now_ns += TURN_NS
        end_ns = self._agenda.now_ns + int(timeout_s * 1e9)
        while not (found := self._ready()) and self._agenda.advance(end_ns):
            pass
        return found

    def _ready(self) -> list[tuple[int, int]]:
        found = []
        for fd, mask in self._masks.items():
            line = self._find(fd)
            if line is not None and (ready := line.ready(mask)):
                found.append((fd, ready))
        return found
