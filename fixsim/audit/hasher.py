"""Keeps the hash chain, in a thread of the reader process: beside the shipper, or alone where there is no database.

Whatever goes wrong is told once and tried again; nothing of it stops shipping, let alone trading. The chain is late then,
and `fixsim audit head` says how far it reaches.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fixsim.audit.chain import Keeper
from fixsim.audit.heads import make_key
from fixsim.errors import AuditError, JournalError
from fixsim.journal.segments import journal_directory

#: How often a quiet journal is looked at, and how long is waited after a failure, s.
POLL_S: Final = 0.05
RETRY_S: Final = 1.0


class Hasher:
    """One chain being kept. `finish` and `stop` may be called from any thread."""

    def __init__(self, data_dir: Path, log: Callable[[str], None] = lambda line: None) -> None:
        self._data_dir, self._log = data_dir, log
        self._said = ""
        self._keeper: Keeper | None = None
        self._finish, self._stop = threading.Event(), threading.Event()

    @property
    def finishing(self) -> bool:
        """Was it told to leave?"""
        return self._finish.is_set()

    @property
    def reached(self) -> tuple[int, int]:
        """Everything in front of this position is hashed, and the venue time of the last of it; zeros before anything is."""
        keeper = self._keeper
        return (0, 0) if keeper is None else (keeper.position or 0, keeper.time_ns)

    def finish(self) -> None:
        """Hash what is sealed, then leave."""
        self._finish.set()

    def stop(self) -> None:
        """Leave after the batch at hand."""
        self._stop.set()
        self._finish.set()

    def run(self) -> bool:
        """Keep the chain until told to leave; True when everything sealed is in it."""
        try:
            while True:
                finishing, done = self._finish.is_set(), self._once()
                if self._stop.is_set():
                    return False
                if finishing and not done:
                    return done == 0
                if not done:
                    self._finish.wait(POLL_S if done == 0 else RETRY_S)
        finally:
            self._close()

    def _once(self) -> int | None:
        """Hash what is there; batches done, None when it could not be done."""
        try:
            if self._keeper is None:
                if not journal_directory(self._data_dir).is_dir():
                    return 0  # there is no data directory to make anything in yet
                make_key(self._data_dir)
                self._keeper = Keeper(self._data_dir)
            return self._keeper.catch_up(self._stop.is_set)
        except (AuditError, JournalError, OSError) as error:
            text = str(error)
            if text != self._said:
                self._log(f"the hash chain waits: {text}")
                self._said = text
            self._close()
            return None

    def _close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
