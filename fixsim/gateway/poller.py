"""Which file descriptors are ready: epoll where there is one, else whatever `selectors` finds best.

`selectors` costs several microseconds per turn in objects nobody needs; on Linux this goes to epoll directly.
"""

import select
import selectors
from typing import Any, Final, Protocol

READ: Final = 1
WRITE: Final = 4


class Ready(Protocol):
    """Whoever owns a file descriptor. `ready` may close it, and others too."""

    def ready(self, mask: int, now_ns: int) -> None:
        """READ, WRITE or both; an error or a hang-up counts as READ, since reading shows it."""


class Poller:
    """File descriptors and their owners."""

    def __init__(self) -> None:
        self._owners: dict[int, Any] = {}
        self._epoll: Any = select.epoll() if hasattr(select, "epoll") else None
        self._selector = None if self._epoll is not None else selectors.DefaultSelector()

    def add(self, fd: int, owner: Ready, mask: int = READ) -> None:
        self._owners[fd] = owner
        if self._epoll is not None:
            self._epoll.register(fd, mask)
        elif self._selector is not None:
            self._selector.register(fd, _portable(mask))

    def change(self, fd: int, mask: int) -> None:
        """Wait for `mask` from now on; 0 for errors only."""
        if self._epoll is not None:
            self._epoll.modify(fd, mask)
        elif self._selector is not None:
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            if mask:
                self._selector.register(fd, _portable(mask))

    def remove(self, fd: int) -> None:
        """Forget `fd`, which is about to be closed."""
        if self._owners.pop(fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(fd)
        elif self._selector is not None and fd in self._selector.get_map():
            self._selector.unregister(fd)

    def epoll_descriptor(self) -> int:
        """Descriptor of the epoll instance, -1 where there is none."""
        return int(self._epoll.fileno()) if self._epoll is not None else -1

    def give_to(self, fd: int, owner: Ready) -> None:
        """Another owner for `fd`, which stays registered as it is."""
        self._owners[fd] = owner

    def wait(self, timeout_s: float) -> list[tuple[int, int]]:
        """File descriptors and masks that are ready, after at most `timeout_s`."""
        if self._epoll is not None:
            found: list[tuple[int, int]] = self._epoll.poll(timeout_s)
            return found
        assert self._selector is not None
        return [
            (
                key.fd,
                (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0),
            )
            for key, mask in self._selector.select(timeout_s)
        ]

    def owner(self, fd: int) -> Any:
        """Who `fd` belongs to now; None when it was closed earlier in this turn."""
        return self._owners.get(fd)

    def close(self) -> None:
        for used in (self._epoll, self._selector):
            if used is not None:
                used.close()


def _portable(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)
