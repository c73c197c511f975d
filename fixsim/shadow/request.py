"""`fixsim snapshot`: one snapshot now, by the shadow that runs, or else by a pass of our own over what the newest one lacks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fixsim.errors import SnapshotError, VenueError
from fixsim.exchange.shadow import Shadow
from fixsim.exchange.snapshot import Standing, read_header
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.feed.mapped import SHADOW_NAME, PageError, PageReader
from fixsim.feed.page import SHADOW
from fixsim.fix.dictionary import fix44
from fixsim.gateway.directory import SHADOW_LOCK, claim_if_free
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import NIL

#: In the folder of snapshots: somebody wants one.
WANTED: Final = "wanted"
#: Between two looks at what a shadow, or a running exchange, does.
LOOK_S: Final = 0.02

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Taken:
    """A snapshot that stands at the journal's end, as it was when it was asked for."""

    path: Path
    position: int
    digest: str
    time_ns: int
    #: By the shadow, by us, or there already.
    by: str


def want(directory: Path) -> None:
    """Ask the shadow for a snapshot. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / WANTED).touch()


def is_wanted(directory: Path) -> bool:
    """Has somebody asked?"""
    return (directory / WANTED).exists()


def answer(directory: Path) -> None:
    """The wish was looked at."""
    (directory / WANTED).unlink(missing_ok=True)


def take_snapshot(data_dir: Path, timeout_s: float, tell: Callable[[str], None], progress: Progress | None = None) -> Taken:
    """Have a snapshot at the journal's present end. Raises VenueError, SnapshotError, JournalError, or ReplayDivergence."""
    if not journal_directory(data_dir).is_dir():
        raise VenueError(f"there is no journal in {data_dir}")
    deadline = time.monotonic() + timeout_s
    asked = False
    directory = snapshots_directory(data_dir)
    before = Snapshots(directory).positions()
    while True:
        held = claim_if_free(data_dir, SHADOW_LOCK)
        if held is not None:
            try:
                answer(directory)
                return _take_alone(data_dir, deadline, tell, progress)
            finally:
                held.release()
        if not asked:
            want(directory)
            asked = True
        elif not is_wanted(directory):
            return _taken_by_shadow(data_dir, before)
        _check_shadow(data_dir)
        if time.monotonic() > deadline:
            answer(directory)
            raise VenueError(f"the shadow has taken no snapshot within {timeout_s:g} s; it may be far behind")
        time.sleep(LOOK_S)


def _check_shadow(data_dir: Path) -> None:
    try:
        row = PageReader(data_dir / SHADOW_NAME, SHADOW).read()
    except PageError:
        return  # it has just started, or just left
    if int(row["divergence"]) != NIL:
        answer(snapshots_directory(data_dir))
        at = int(row["divergence"])
        raise SnapshotError(f"the shadow has found a difference at position {at}: no snapshot is taken behind it")


def _taken_by_shadow(data_dir: Path, before: list[int]) -> Taken:
    paths = Snapshots(snapshots_directory(data_dir)).paths()
    if not paths:
        raise SnapshotError("the shadow could not take a snapshot; its log says why")
    header = read_header(paths[0])
    by = "there already" if header.position in before else "shadow"
    return Taken(paths[0], header.position, header.digest, header.time_ns, by)


def _take_alone(data_dir: Path, deadline: float, tell: Callable[[str], None], progress: Progress | None) -> Taken:
    """Replay what the newest snapshot lacks, and write the next one."""
    snapshots = Snapshots(snapshots_directory(data_dir))
    shadow = Shadow.open(Reader(journal_directory(data_dir)), snapshots, fix44(), lambda: _patience(deadline), tell)
    if shadow is None:
        raise VenueError(f"nothing is sealed in {journal_directory(data_dir)}")
    while shadow.turn():
        if progress is not None:
            progress(shadow.position)
    place = shadow.place
    if place is None:
        raise SnapshotError("the journal ends in the middle of an order that is larger than a batch; a start finishes it")
    return _written(snapshots, shadow, place)


def _patience(deadline: float) -> bool:
    """A batch is missing in the middle of an order: a running exchange will seal it soon."""
    time.sleep(LOOK_S)
    return time.monotonic() < deadline


def _written(snapshots: Snapshots, shadow: Shadow, place: Standing) -> Taken:
    if place.position == shadow.snapshot:
        path = snapshots.path_of(place.position)
        header, by = read_header(path), "there already"
    else:
        path, header = snapshots.write(shadow.exchange, place, shadow.exchange.config.shadow.keep)
        by = "replay"
    return Taken(path, header.position, header.digest, header.time_ns, by)
