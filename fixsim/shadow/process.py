"""The shadow's loop: follow, compare, keep the page up to date, take a snapshot when one is due or wanted.

Nothing here can stop the exchange: the worst that happens is that there is no shadow. Who started us may want us to stay when
a difference was found, so that it can be seen on `/metrics`; alone, we leave with it.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from fixsim.errors import ReplayDivergence, SnapshotError, VenueError
from fixsim.exchange.shadow import Shadow
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.exchange.walker import skimmer
from fixsim.feed.priority import make_idle, make_normal
from fixsim.fix.dictionary import fix44
from fixsim.gateway.directory import SHADOW_LOCK, claim_if_free, holder_of
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import NIL
from fixsim.shadow import request
from fixsim.shadow.gauge import TOUCH_S, Gauge
from fixsim.shadow.lifeline import Lifeline

#: Wait between two looks for a batch, when there is none.
LOOK_S: Final = 0.005
#: Wait for a journal that has not begun.
BEGIN_S: Final = 0.1
#: One that the system refused is tried again after this time at the earliest.
AGAIN_S: Final = 1.0
#: Bytes of a record that a log line shows.
SHOWN_BYTES: Final = 300


#: Asked while nothing is to be done: has the data directory become ours?
Ours = Callable[[Shadow], bool]


class Log(Protocol):
    """Where the shadow says what happens to it."""

    def info(self, text: str, *values: object) -> None:
        """For those who want to know."""

    def warning(self, text: str, *values: object) -> None:
        """For those who should know."""

    def error(self, text: str, *values: object) -> None:
        """For those who must know."""


class Left(Exception):
    """We were told to leave, now."""


class Watch:
    """One shadow of one data directory."""

    def __init__(self, data_dir: Path, log: Log, *, until_end: bool = False, ours: Ours | None = None) -> None:
        """With `until_end` it leaves when everything sealed was compared. `ours` is asked, while nothing is to be done, whether
        the data directory has become ours; then it ends, and the shadow is at the journal's end.
        """
        self._data_dir, self._log, self._until_end, self._ours = data_dir, log, until_end, ours
        self._snapshots = Snapshots(snapshots_directory(data_dir))
        self._reader = Reader(journal_directory(data_dir), skimmer())
        self._gauge = Gauge(data_dir, ours is not None)
        self._lifeline = Lifeline()
        self._shadow: Shadow | None = None
        self._looked = self._tried = time.monotonic()
        self._saved = NIL
        self._won = False

    def run(self) -> Shadow | None:
        """Follow until told to leave, until the end, or until the data directory is ours: then the shadow is given.

        Raises ReplayDivergence, JournalError.
        """
        self._lifeline.watch_signals()
        try:
            self._shadow = self._begin()
            while self._shadow.turn() or self._wait():
                self._look()
            if self._won:
                return self._shadow
            self._save()
        except Left:
            pass
        except ReplayDivergence as divergence:
            self._tell(divergence)
            if not self._lifeline.is_pipe:
                raise
            self._stay()
        finally:
            self._lifeline.let_go_of_signals()
            self._gauge.close()
        return None

    def _begin(self) -> Shadow:
        while True:
            shadow = Shadow.open(self._reader, self._snapshots, fix44(), self._wait, lambda text: self._log.warning("%s", text))
            if shadow is not None:
                self._saved = shadow.snapshot
                self._gauge.begins_with(shadow.snapshot)
                self._log.info("shadow begins at position %d", max(0, shadow.snapshot))
                return shadow
            if self._until_end:
                raise VenueError(f"nothing is sealed in {self._reader.directory}")
            self._listen()
            time.sleep(BEGIN_S)

    # ---- now and then

    def _look(self) -> None:
        """Every now and then: the page, the lifeline, what is due."""
        now = time.monotonic()
        if now - self._looked < TOUCH_S:
            return
        self._looked = now
        shadow = self._shadow
        assert shadow is not None
        self._gauge.follows(shadow)
        self._listen()
        settings = shadow.exchange.config.shadow
        waited_s, new = now - self._tried, shadow.position - max(0, self._saved)
        if waited_s >= settings.snapshot_interval_s or (waited_s >= AGAIN_S and new >= settings.snapshot_interval_bytes):
            self._save()

    def _listen(self) -> None:
        self._lifeline.listen()
        if self._lifeline.cut:
            raise Left
        if self._lifeline.finishing:
            make_normal(os.getpid())  # somebody waits for us, and nobody trades any more

    def _wait(self) -> bool:
        """No batch is sealed: is one to be waited for? Called between two turns, and in the middle of a large order."""
        self._looked = 0.0
        if self._shadow is not None:
            self._look()
            if request.is_wanted(self._snapshots.directory) and self._shadow.place is not None:
                self._save()
                request.answer(self._snapshots.directory)
            if self._ours is not None and self._ours(self._shadow):
                self._won = True
                return False
        if self._until_end or self._lifeline.finishing:
            return False
        time.sleep(LOOK_S)
        return True

    def _save(self) -> None:
        """Take a snapshot, if anything is new and no order is half done."""
        shadow = self._shadow
        assert shadow is not None
        place = shadow.place
        if place is None:
            return
        self._tried = began = time.monotonic()
        if place.position == self._saved:
            return
        try:
            path, _ = self._snapshots.write(shadow.exchange, place, shadow.exchange.config.shadow.keep)
        except SnapshotError as error:
            self._gauge.failed(error)
            self._log.warning("snapshot: %s", error)
            return
        took_s = time.monotonic() - began
        self._saved = place.position
        self._gauge.took_snapshot(place.position, took_s)
        self._log.info("snapshot %s, %d MB in %.2f s", path.name, path.stat().st_size >> 20, took_s)

    # ---- a difference

    def _tell(self, divergence: ReplayDivergence) -> None:
        self._gauge.diverged(divergence.position)
        self._log.error(
            "the shadow differs from the journal at position %d: the journal holds %s, replaying gives %s; no more snapshots",
            divergence.position, _shown(divergence.expected), _shown(divergence.actual),
        )  # fmt: skip

    def _stay(self) -> None:
        """Nothing more to do but to be seen, until told to leave."""
        while not self._lifeline.finishing and not self._lifeline.cut:
            self._lifeline.listen()
            time.sleep(TOUCH_S)


def _shown(record: bytes) -> str:
    text = record[64 : 64 + SHOWN_BYTES].rstrip(b"\0").replace(b"\x01", b"|").decode("latin-1")
    return repr(text) if text else "nothing"


def follow(
    data_dir: Path,
    log: Log,
    *,
    idle: bool = True,
    until_end: bool = False,
    ours: Ours | None = None,
) -> Shadow | None:
    """Be the shadow of `data_dir`; there is one at most. See `Watch.run`.

    Raises VenueError when there is one already, ReplayDivergence, JournalError.
    """
    if not journal_directory(data_dir).parent.is_dir():
        raise VenueError(f"there is no data directory {data_dir}")
    held = claim_if_free(data_dir, SHADOW_LOCK)
    if held is None:
        raise VenueError(f"the data directory {data_dir} has a shadow already (pid {holder_of(data_dir, SHADOW_LOCK)})")
    try:
        if idle:
            make_idle(os.getpid())
        return Watch(data_dir, log, until_end=until_end, ours=ours).run()
    finally:
        held.release()
