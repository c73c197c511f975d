"""Passwords: hashed with argon2, checked off the exchange's thread, and not as often as a guesser would
like.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fixsim.config import Counterparty

#: What the peer is told; which of the two was wrong is nobody's business.
REFUSAL: Final = "Invalid Username(553) or Password(554)"
#: Checks that may wait for the worker.
WAITING_MAX: Final = 256
#: Failures one (address, CompID) may have at once, and how fast they are forgiven.
FAILURES_MAX: Final = 5
FORGIVEN_AFTER_NS: Final = 2_000_000_000
PAUSE_AFTER_FAILURE_S: Final = 0.2
#: (address, CompID) pairs whose failures are remembered.
REMEMBERED_MAX: Final = 10_000


def hash_password(clear: bytes) -> str:
    """An argon2id hash for the configuration: 19 MiB, two passes, one lane, some 20 ms to check."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(clear)


def needs_check(entry: Counterparty) -> bool:
    """Whether a Logon of `entry` must carry credentials."""
    return entry.password_hash is not None or entry.username is not None


class Attempts:
    """Failed Logons by (address, CompID): a bucket that leaks, so that guessing is slow and nobody is locked
    out.
    """

    def __init__(self) -> None:
        self._failures: dict[tuple[str, bytes], tuple[float, int]] = {}

    def may_try(self, address: str, sender: bytes, now_ns: int) -> bool:
        """Whether another check may be spent on this pair."""
        return self._level(address, sender, now_ns) < FAILURES_MAX

    def note_failure(self, address: str, sender: bytes, now_ns: int) -> None:
        """A check failed."""
        if len(self._failures) >= REMEMBERED_MAX:
            self._failures.pop(next(iter(self._failures)))
        self._failures[address, sender] = (self._level(address, sender, now_ns) + 1, now_ns)

    def _level(self, address: str, sender: bytes, now_ns: int) -> float:
        level, since_ns = self._failures.get((address, sender), (0.0, now_ns))
        return max(0.0, level - (now_ns - since_ns) / FORGIVEN_AFTER_NS)


class Verifier:
    """One worker thread; `wake` is called from it whenever a verdict is there.

    It runs at normal priority on purpose: argon2 works without the interpreter lock, but a thread of low
    priority that is preempted while it holds that lock would hold up the exchange.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked: SimpleQueue[tuple[int, str, bytes] | None] = SimpleQueue()
        self._verdicts: deque[tuple[int, bool]] = deque()
        self._waiting = 0
        self._stopped = threading.Event()
        self._worker: threading.Thread | None = None

    def ask(self, ticket: int, password_hash: str, clear: bytes) -> bool:
        """Have `clear` checked; the verdict comes under `ticket`. False when too many wait already."""
        if self._waiting >= WAITING_MAX:
            return False
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="credentials", daemon=True)
            self._worker.start()
        self._waiting += 1
        self._asked.put((ticket, password_hash, clear))
        return True

    def verdicts(self) -> list[tuple[int, bool]]:
        """Tickets that were decided since the last call, and whether the password was right."""
        found = []
        while self._verdicts:
            found.append(self._verdicts.popleft())
        self._waiting -= len(found)
        return found

    def close(self) -> None:
        """Stop the worker, and forget what still waits."""
        if self._worker is None:
            return
        with contextlib.suppress(Empty):
            while True:
                self._asked.get_nowait()
        self._asked.put(None)
        self._stopped.set()
        self._worker.join()
        self._worker = None

    def _work(self) -> None:
        hasher = PasswordHasher()
        while (asked := self._asked.get()) is not None:
            ticket, password_hash, clear = asked
            right = _matches(hasher, password_hash, clear)
            self._verdicts.append((ticket, right))
            self._wake()
            if not right:  # a guesser gets a tenth of one processor, whatever name it guesses under
                self._stopped.wait(PAUSE_AFTER_FAILURE_S)


def _matches(hasher: PasswordHasher, password_hash: str, clear: bytes) -> bool:
    try:
        return hasher.verify(password_hash, clear)
    except (VerificationError, InvalidHashError):
        return False
