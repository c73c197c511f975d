"""A start with a snapshot is a start without one, only sooner; a snapshot that fails a check is passed over."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from exchange.stage import DAY_NS, MORNING_NS, small_config
from flows import SESSIONS, seeded_flow
from replay.forgery import Loose, forge
from replay.recording import Recording

from fixsim.errors import JournalCorrupt, ReplayDivergence, VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.opening import open_venue
from fixsim.exchange.shadow import Shadow
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import NIL

LATER_NS = MORNING_NS + DAY_NS
CONFIG = small_config()


def shadow_of(data_dir: Path, told: list[str] | None = None) -> Shadow:
    """A shadow that has seen everything sealed in `data_dir`."""
    reader = Reader(journal_directory(data_dir))
    notes: list[str] = [] if told is None else told
    shadow = Shadow.open(reader, Snapshots(snapshots_directory(data_dir)), fix44(), lambda: False, notes.append)
    assert shadow is not None
    while shadow.turn():
        pass
    return shadow


def take_snapshot(data_dir: Path, keep: int = 9) -> int:
    """A snapshot at the end of the journal; where it stands."""
    shadow = shadow_of(data_dir)
    place = shadow.place
    assert place is not None
    Snapshots(snapshots_directory(data_dir)).write(shadow.exchange, place, keep)
    return place.position


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[int]]]:
    """A data directory with three snapshots on the way of a journal, and where they stand, newest first."""
    data_dir = tmp_path_factory.mktemp("morning")
    stage, places = Recording(data_dir, CONFIG), []
    stage.log_on(*SESSIONS)
    for part in range(4):
        flow = seeded_flow(part, 40, flawed=0.1)
        stage.play([(name, [(tag, b"%d-%b" % (part, value) if tag in (11, 41) else value) for tag, value in fields])
                    for name, fields in flow], together=3)  # fmt: skip
        if part < 3:
            places.append(take_snapshot(data_dir))
    stage.close()
    yield data_dir, places[::-1]
    shutil.rmtree(data_dir)


@pytest.fixture
def data_dir(morning: tuple[Path, list[int]], tmp_path: Path) -> Path:
    """A copy that a test may ruin."""
    return shutil.copytree(morning[0], tmp_path / "data")


@pytest.fixture(scope="module")
def wanted(morning: tuple[Path, list[int]], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest after a start that replays everything."""
    return start(shutil.copytree(morning[0], tmp_path_factory.mktemp("whole") / "data"), snapshots=False)[0]


def start(data_dir: Path, *, snapshots: bool = True) -> tuple[str, int, tuple[str, ...]]:
    """Digest after a start, the snapshot it began with, and what the log heard."""
    opened = open_venue(CONFIG, data_dir, LATER_NS, snapshots=snapshots)
    opened.writer.close()
    return state_digest(opened.exchange), opened.snapshot, opened.notes


def test_a_start_with_a_snapshot_comes_to_the_same_state(
    data_dir: Path, morning: tuple[Path, list[int]], wanted: str
) -> None:
    assert start(data_dir) == (wanted, morning[1][0], ())


def test_what_is_in_front_of_the_snapshot_is_not_read(data_dir: Path, wanted: str, morning: tuple[Path, list[int]]) -> None:
    path = next(journal_directory(data_dir).glob("*.fixj"))
    octets = bytearray(path.read_bytes())
    octets[200] ^= 1
    path.write_bytes(octets)
    assert start(data_dir)[:2] == (wanted, morning[1][0])
    shutil.rmtree(snapshots_directory(data_dir))
    with pytest.raises(JournalCorrupt):
        start(data_dir)


def test_after_the_start_the_next_one_goes_on_from_there(data_dir: Path) -> None:
    start(data_dir)
    one, two = (shutil.copytree(data_dir, data_dir.with_name(name)) for name in ("one", "two"))
    assert start(one)[0] == start(two, snapshots=False)[0]


Ruin = Callable[[Path, Path], None]


def _flip(path: Path, _: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 4
    path.write_bytes(octets)


def _cut(path: Path, _: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def _unreadable(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("ruin", [_flip, _cut, _empty, _unreadable])
def test_a_snapshot_that_fails_a_check_is_passed_over_with_a_line(
    data_dir: Path, morning: tuple[Path, list[int]], wanted: str, ruin: Ruin
) -> None:
    newest = Snapshots(snapshots_directory(data_dir)).paths()[0]
    ruin(newest, data_dir)
    digest, snapshot, notes = start(data_dir)
    assert (digest, snapshot) == (wanted, morning[1][1])
    (note,) = notes
    assert note.startswith("snapshot ") and "passed over: it " in note


def test_where_all_fail_the_whole_journal_is_replayed(data_dir: Path, wanted: str) -> None:
    for path in Snapshots(snapshots_directory(data_dir)).paths():
        _flip(path, data_dir)
    digest, snapshot, notes = start(data_dir)
    assert (digest, snapshot, len(notes)) == (wanted, NIL, 3)


def test_snapshots_of_another_journal_are_passed_over(data_dir: Path, tmp_path: Path) -> None:
    """Another day, in which a batch happens to end at the same position."""
    other = tmp_path / "other"
    forge(data_dir, other, _an_hour_later)
    shutil.copytree(snapshots_directory(data_dir), snapshots_directory(other))
    reader, told = Reader(journal_directory(other)), list[str]()
    found = Snapshots(snapshots_directory(other)).find(reader, None, None, fix44(), told.append)  # type: ignore[arg-type]
    assert list(found) == []
    assert len(told) == 3 and all("stands behind another seal at position" in line for line in told)


def _an_hour_later(batch: list[Loose]) -> list[Loose]:
    for header, _ in batch:
        header[5] += 3_600_000_000_000
    return batch


def test_a_journal_that_lost_its_tail_uses_an_older_one(data_dir: Path, morning: tuple[Path, list[int]]) -> None:
    """The newest snapshot stands where the journal does not reach any more."""
    path = next(journal_directory(data_dir).glob("*.fixj"))
    octets = bytearray(path.read_bytes())
    octets[morning[1][0] - 8 :] = bytes(len(octets) - morning[1][0] + 8)
    path.write_bytes(octets)
    _, snapshot, notes = start(data_dir)
    assert snapshot == morning[1][1]
    assert "where no batch of the journal ends" in notes[0]
    assert "unsealed bytes" in notes[1]


def test_a_tail_that_differs_is_refused_with_and_without_snapshots(data_dir: Path, morning: tuple[Path, list[int]]) -> None:
    """Every byte behind a snapshot is compared as ever: a snapshot cannot hide what is there."""
    newest, other = morning[1][0], data_dir.with_name("other")

    def change(batch: list[Loose]) -> list[Loose]:
        for header, payload in batch:
            if header[1] == 6 and header[4] > newest:
                batch[batch.index((header, payload))] = (header, payload.replace(b"|", b"!").replace(b"\x0139=", b"\x0193="))
                break
        return batch

    forge(data_dir, other, change)
    shutil.copytree(snapshots_directory(data_dir), snapshots_directory(other))
    with pytest.raises(ReplayDivergence):
        start(other)


def test_a_configuration_that_cannot_go_on_is_refused_with_a_snapshot_too(data_dir: Path) -> None:
    with pytest.raises(VenueError, match=r"comp_id.* cannot change"):
        open_venue(replace(CONFIG, venue=replace(CONFIG.venue, comp_id="OTHER")), data_dir, LATER_NS)


def test_only_the_newest_are_kept_and_half_written_ones_removed(data_dir: Path, morning: tuple[Path, list[int]]) -> None:
    folder = snapshots_directory(data_dir)
    (folder / f"{77:020d}.fixs.new").write_bytes(b"half")
    end = take_snapshot(data_dir, keep=2)
    assert Snapshots(folder).positions() == [end, morning[1][0]]
    assert len(list(folder.iterdir())) == 2


def test_a_shadow_that_begins_with_a_snapshot_counts_as_one_that_did_not(data_dir: Path) -> None:
    with_one = shadow_of(data_dir)
    shutil.rmtree(snapshots_directory(data_dir))
    without = shadow_of(data_dir)
    assert with_one.snapshot != NIL and without.snapshot == NIL
    assert with_one.place == without.place
    assert state_digest(with_one.exchange) == state_digest(without.exchange)
