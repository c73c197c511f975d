"""Passwords: hashed with argon2, checked off the exchange's thread, and not as often as a guesser would like.

Guesses wait in a lane of their own. Who comes from where nobody failed of late, or logged on from there before, is
checked first: a storm of guesses keeps only guessers waiting, and those who share their address and their entry.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fixsim.config import Counterparty
from fixsim.gateway.placement import leave_the_loop

#: What the peer is told; which of the two was wrong is nobody's business.
REFUSAL: Final = "Invalid Username(553) or Password(554)"
#: Checks that may wait in the first lane, and in that of the suspects: those are decided before their time is up.
WAITING_MAX: Final = 256
SUSPECTS_MAX: Final = 32
#: Failures one (address, CompID) may have at once, checks under way included, and how fast they are forgiven.
FAILURES_MAX: Final = 5
FORGIVEN_AFTER_NS: Final = 2_000_000_000
#: A guesser gets a tenth of one processor, whatever names it guesses under.
PAUSE_AFTER_FAILURE_S: Final = 0.2
#: (address, CompID) pairs whose failures, or successes, are remembered.
REMEMBERED_MAX: Final = 10_000


def hash_password(clear: bytes) -> str:
    """An argon2id hash for the configuration: 19 MiB, two passes, one lane, some 20 ms to check."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(clear)


def credentials_of(entry: Counterparty) -> tuple[str | None, str | None]:
    """What a Logon of `entry` is held against."""
    return entry.username, entry.password_hash


def needs_check(entry: Counterparty) -> bool:
    """Whether a Logon of `entry` must carry credentials."""
    return entry.password_hash is not None or entry.username is not None


class Attempts:
    """Failed Logons by address and name, each a bucket that leaks, so that guessing is slow and nobody is locked out."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, bytes], tuple[float, int]] = {}
        self._under_way: dict[tuple[str, bytes], int] = {}
        self._known_good: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def may_try(self, address: str, sender: bytes, now_ns: int) -> bool:
        """Whether another check may be spent on this pair."""
        return self._level(address, sender, now_ns) + self._under_way.get((address, sender), 0) < FAILURES_MAX

    def is_suspect(self, address: str, sender: bytes, entry: Counterparty, now_ns: int) -> bool:
        """Whether others go first: somebody failed at this entry from there, and this name never succeeded from there."""
        if (address, sender) in self._known_good:
            return False
        return self._level(address, entry.sender_comp_id.encode(), now_ns) > 0

    def begin(self, address: str, sender: bytes) -> None:
        """A check is under way; `end` follows."""
        self._under_way[address, sender] = self._under_way.get((address, sender), 0) + 1

    def end(self, address: str, sender: bytes) -> None:
        """A check came to its end, or was given up."""
        left = self._under_way.pop((address, sender)) - 1
        if left:
            self._under_way[address, sender] = left

    def note_success(self, address: str, sender: bytes) -> None:
        """A check succeeded."""
        self._known_good[address, sender] = None
        self._known_good.move_to_end((address, sender))
        if len(self._known_good) > REMEMBERED_MAX:
            self._known_good.popitem(last=False)

    def note_failure(self, address: str, sender: bytes, entry: Counterparty, now_ns: int) -> None:
        """A check failed."""
        for name in {sender, entry.sender_comp_id.encode()}:
            if len(self._failures) >= REMEMBERED_MAX:
                self._failures.pop(next(iter(self._failures)))
            self._failures[address, name] = (self._level(address, name, now_ns) + 1, now_ns)

    def _level(self, address: str, name: bytes, now_ns: int) -> float:
        level, since_ns = self._failures.get((address, name), (0.0, now_ns))
        return max(0.0, level - (now_ns - since_ns) / FORGIVEN_AFTER_NS)


class Check(NamedTuple):
    """One password to be checked; the verdict comes under `ticket`."""

    ticket: int
    password_hash: str
    clear: bytes


class Verifier:
    """One worker thread; `wake` is called from it whenever a verdict is there.

    It runs at normal priority on purpose: argon2 works without the interpreter lock, but a thread of low
    priority that is preempted while it holds that lock would hold up the exchange.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._asked = threading.Condition()
        self._first: OrderedDict[int, Check] = OrderedDict()
        self._suspects: OrderedDict[int, Check] = OrderedDict()
        self._verdicts: deque[tuple[int, bool]] = deque()
        self._stopped = False
        self._worker: threading.Thread | None = None

    def ask(self, ticket: int, password_hash: str, clear: bytes, suspect: bool = False) -> bool:
        """Have `clear` checked; the verdict comes under `ticket`. False when too many wait already."""
        lane, room = (self._suspects, SUSPECTS_MAX) if suspect else (self._first, WAITING_MAX)
        if len(lane) >= room:
            return False
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="credentials", daemon=True)
            self._worker.start()
        with self._asked:
            lane[ticket] = Check(ticket, password_hash, clear)
            self._asked.notify()
        return True

    def cancel(self, ticket: int) -> None:
        """Nobody waits for this verdict any more; it may come all the same."""
        with self._asked:
            self._first.pop(ticket, None)
            self._suspects.pop(ticket, None)

    def verdicts(self) -> list[tuple[int, bool]]:
        """Tickets that were decided since the last call, and whether the password was right."""
        found = []
        while self._verdicts:
            found.append(self._verdicts.popleft())
        return found

    def close(self) -> None:
        """Stop the worker, and forget what still waits."""
        if self._worker is None:
            return
        with self._asked:
            self._stopped = True
            self._asked.notify()
        self._worker.join()
        self._worker = None

    def _work(self) -> None:
        leave_the_loop()
        hasher = PasswordHasher()
        suspects_from = 0.0
        while (check := self._next(suspects_from)) is not None:
            right = _matches(hasher, check.password_hash, check.clear)
            self._verdicts.append((check.ticket, right))
            self._wake()
            if not right:
                suspects_from = time.monotonic() + PAUSE_AFTER_FAILURE_S

    def _next(self, suspects_from: float) -> Check | None:
        """The check that is next, waiting for it; suspects not before `suspects_from`. None when the worker shall stop."""
        with self._asked:
            while not self._stopped:
                if self._first:
                    return self._first.popitem(last=False)[1]
                pause_s = suspects_from - time.monotonic()
                if self._suspects and pause_s <= 0:
                    return self._suspects.popitem(last=False)[1]
                self._asked.wait(pause_s if self._suspects else None)
            return None


def _matches(hasher: PasswordHasher, password_hash: str, clear: bytes) -> bool:
    try:
        return hasher.verify(password_hash, clear)
    except (VerificationError, InvalidHashError):
        return False
