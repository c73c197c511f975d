"""The shadow follows a journal that grows: it waits where it must, notices every difference, and can take over anywhere."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from exchange.stage import DAY_NS, MORNING_NS, Stage, small_config
from flows import SESSIONS, seeded_flow
from replay import recording
from replay.forgery import Loose, forge, reframed
from replay.recording import Recording

import fixsim.engine.tape
from fixsim import limits
from fixsim.errors import JournalError, ReplayDivergence, VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.opening import Opened, open_venue
from fixsim.exchange.shadow import Shadow, Wait
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import NIL, Kind

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
LATER_NS = MORNING_NS + DAY_NS
LARGE = small_config(orders=40_000, clordid_memory=400_000)


def shadow_of(data_dir: Path, wait: Wait = lambda: False) -> Shadow | None:
    snapshots = Snapshots(snapshots_directory(data_dir))
    return Shadow.open(Reader(journal_directory(data_dir)), snapshots, fix44(), wait, pytest.fail)


def test_a_shadow_is_what_the_exchange_is_after_every_batch(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert shadow_of(tmp_path) is None, "nothing is sealed yet"
    stage = Recording(tmp_path)
    shadow = shadow_of(tmp_path, lambda: pytest.fail("between two turns nothing waits"))
    assert shadow is not None
    for number, (name, fields) in enumerate(seeded_flow(4, 60, flawed=0.1)):
        if number == 0:
            stage.log_on(*SESSIONS)
        stage.say(name, fields)
        while shadow.turn():
            pass
        assert shadow.position == stage.file.real.position
        assert state_digest(shadow.exchange) == state_digest(stage.exchange)
        if number % 20 == 7:
            place = shadow.place
            assert place is not None
            Snapshots(snapshots_directory(tmp_path)).write(shadow.exchange, place, keep=2)
            again = shadow_of(tmp_path)
            assert again is not None and again.snapshot == place.position and not again.turn()
            assert again.place == place
    stage.close()


@pytest.mark.parametrize("kind", [Kind.OUT, Kind.IN])
def test_a_planted_difference_is_found_at_its_record(tmp_path: Path, kind: int) -> None:
    """Somebody wrote a journal in which every seal is right and one price is not."""
    stage = Recording(tmp_path / "good")
    stage.log_on(*SESSIONS)
    stage.play(seeded_flow(5, 40))
    stage.close()
    planted: list[int] = []

    def plant(batch: list[Loose]) -> list[Loose]:
        for place, (header, payload) in enumerate(batch):
            good = b"\x0135=8\x01" if kind == Kind.OUT else b"\x0135=D\x01"
            if not planted and header[1] == kind and good in payload and header[4] > 10_000:
                planted.append(header[4])
                batch[place] = (header, reframed(payload, b"\x0138=", b"\x0138=9"))
        return batch

    forge(tmp_path / "good", tmp_path / "forged", plant)
    shadow = shadow_of(tmp_path / "forged")
    assert shadow is not None
    with pytest.raises(ReplayDivergence) as caught:
        while shadow.turn():
            pass
    assert caught.value.position == planted[0] if kind == Kind.OUT else caught.value.position > planted[0]
    assert shadow.place is None, "no snapshot of what differs"


def test_an_engine_that_was_altered_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange that wrote the journal gave other answers than this one does."""
    with monkeypatch.context() as altered:
        altered.setattr("fixsim.exchange.desk.CAPACITY", "Exchange capacity was reached")
        stage = Recording(tmp_path, small_config(orders=16))
        stage.log_on("ALPHA")
        for number in range(20):
            stage.say("ALPHA", limit(b"%d" % number))
        stage.close()
    shadow = shadow_of(tmp_path)
    assert shadow is not None
    with pytest.raises(ReplayDivergence) as caught:
        while shadow.turn():
            pass
    assert b"Exchange capacity was reached" in caught.value.expected
    assert b"Exchange capacity reached" in caught.value.actual


def test_a_journal_without_its_beginning_needs_a_snapshot(tmp_path: Path) -> None:
    stage = Recording(tmp_path)
    stage.close()
    path = next(journal_directory(tmp_path).glob("*.fixj"))
    path.rename(path.with_name(f"{recording.SEGMENT_BYTES:020d}.fixj"))
    with pytest.raises(JournalError, match="no snapshot stands there"):
        shadow_of(tmp_path)


# ---------------------------------------------------------------- in the middle of an order


def limit(name: bytes, side: bytes = b"1", qty: int = 1, price: bytes = b"10.00") -> list[tuple[int, bytes]]:
    return [
        (35, b"D"), (11, name), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00"), (38, b"%d" % qty), (40, b"2"),
        (44, price),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[int], str]]:
    """A journal with an order that takes several batches: its data directory, where they begin, the state behind it."""
    makers = 900 if PLAIN else 4_000
    data_dir = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "SEGMENT_BYTES", limits.SEGMENT_BYTES)
        patch.setattr(recording, "BATCH_BYTES", limits.BATCH_BYTES)
        if PLAIN:  # without compilation batches are made smaller instead
            patch.setattr(fixsim.engine.tape, "FILLS_BYTES", 128 << 10)
        stage = Recording(data_dir, LARGE)
        stage.log_on("ALPHA", "BRAVO")
        for number in range(makers):
            stage.feed("ALPHA", stage.frame("ALPHA", limit(b"m%d" % number, b"2", 1, b"10.%02d" % (number % 7))))
            if number % 500 == 499:
                stage.drain()
        stage.drain()
        before = len(stage.writer.batches)
        stage.say("BRAVO", limit(b"sweep", b"1", makers, b"11.00"))
        begins = [begin for begin, _ in stage.writer.batches[before:]]
        digest = state_digest(stage.exchange)
        stage.close()
        assert len(begins) >= 3
        yield data_dir, begins, digest
    shutil.rmtree(data_dir)


def cut(source: Path, target: Path, position: int) -> Path:
    """A copy of the journal of `source` that ends in front of `position`."""
    journal_directory(target).mkdir(parents=True)
    for path in sorted(journal_directory(source).glob("*.fixj")):
        first = int(path.stem)
        if first < position:
            octets = path.read_bytes()
            kept = octets[: position - first]
            (journal_directory(target) / path.name).write_bytes(kept + bytes(len(octets) - len(kept)))
    return target


def test_in_the_middle_of_an_order_the_next_batch_is_waited_for_and_no_snapshot_is_taken(
    tmp_path: Path, sweep: tuple[Path, list[int], str]
) -> None:
    source, begins, digest = sweep
    target = cut(source, tmp_path / "cut", begins[1])
    waited = []

    def wait() -> bool:
        assert shadow is not None and shadow.place is None
        assert shadow.exchange.core["taker"] != NIL, "the order goes on in the next batch"
        waited.append(shadow.position)
        more = begins[len(waited) + 1] if len(waited) + 1 < len(begins) else 1 << 62
        grow(source, target, more)
        return True

    shadow = shadow_of(target, wait)
    assert shadow is not None
    while shadow.turn():
        pass
    assert len(waited) == len(begins) - 1, "once for each batch that was not there yet"
    assert state_digest(shadow.exchange) == digest
    assert shadow.place is not None


def grow(source: Path, target: Path, position: int) -> None:
    """Let the journal of `target` reach `position`, as that of `source` does."""
    for path in sorted(journal_directory(source).glob("*.fixj")):
        first = int(path.stem)
        if first < position:
            octets, copy = path.read_bytes(), journal_directory(target) / path.name
            if not copy.exists():
                copy.write_bytes(bytes(len(octets)))
            with copy.open("r+b") as file:
                file.write(octets[: max(0, position - first)])


def start_of(opened: Opened) -> tuple[str, int]:
    opened.writer.close()
    return state_digest(opened.exchange), opened.writer.position


@pytest.mark.parametrize("kept", [1, 2])
def test_a_shadow_that_takes_over_in_the_middle_of_an_order_finishes_it_as_a_start_does(
    tmp_path: Path, sweep: tuple[Path, list[int], str], kept: int
) -> None:
    source, begins, _ = sweep
    one, two = (cut(source, tmp_path / name, begins[kept]) for name in ("one", "two"))

    def ours() -> bool:
        assert shadow is not None
        shadow.inherit(LARGE)
        return False

    shadow = shadow_of(one, ours)
    assert shadow is not None
    while shadow.turn():
        pass
    assert start_of(shadow.promote(LATER_NS)) == start_of(open_venue(LARGE, two, LATER_NS))
    assert files(one) == files(two), "the same journal, byte for byte"


def files(data_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in journal_directory(data_dir).glob("*.fixj")}


def test_a_snapshot_then_a_cut_order_comes_to_the_same(tmp_path: Path, sweep: tuple[Path, list[int], str]) -> None:
    """A start from a snapshot that stands in front of a half-done order finishes it too."""
    source, begins, _ = sweep
    one, two = (cut(source, tmp_path / name, begins[0]) for name in ("one", "two"))
    shadow = shadow_of(one)
    assert shadow is not None
    while shadow.turn():
        pass
    place = shadow.place
    assert place is not None
    Snapshots(snapshots_directory(one)).write(shadow.exchange, place, keep=1)
    for data_dir in (one, two):
        grow(source, data_dir, begins[2])
    opened = open_venue(LARGE, one, LATER_NS)
    assert opened.snapshot == place.position
    assert start_of(opened) == start_of(open_venue(LARGE, two, LATER_NS))
    assert files(one) == files(two)


# ---------------------------------------------------------------- taking over


def test_a_torn_tail_is_cut_and_the_rest_is_as_a_start_would_have_it(tmp_path: Path) -> None:
    stage = Recording(tmp_path / "one")
    stage.log_on(*SESSIONS)
    stage.play(seeded_flow(6, 50))
    position = stage.file.real.position
    stage.close()
    path = next(journal_directory(tmp_path / "one").glob("*.fixj"))
    with path.open("r+b") as file:
        file.seek(position)
        file.write(b"\x44\xf1\x05\x00" + b"torn" * 50)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shadow = shadow_of(tmp_path / "one")
    assert shadow is not None
    while shadow.turn():
        pass
    shadow.inherit(small_config())
    opened = shadow.promote(LATER_NS)
    assert "unsealed bytes" in opened.notes[0]
    again = open_venue(small_config(), tmp_path / "two", LATER_NS)
    assert start_of(opened) == start_of(again)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_what_was_sealed_just_before_the_end_is_carried_out_first(tmp_path: Path) -> None:
    stage = Recording(tmp_path)
    stage.log_on(*SESSIONS)
    shadow = shadow_of(tmp_path)
    assert shadow is not None
    while shadow.turn():
        pass
    stage.play(seeded_flow(6, 50))
    books = stage.books()
    stage.close()
    shadow.inherit(small_config())
    opened = shadow.promote(LATER_NS)
    opened.writer.close()
    promoted = Stage.__new__(Stage)
    promoted.exchange = opened.exchange
    assert promoted.books() == books


def test_a_shadow_says_early_that_it_could_not_take_over(tmp_path: Path) -> None:
    stage = Recording(tmp_path)
    stage.close()
    shadow = shadow_of(tmp_path)
    assert shadow is not None and shadow.turn()
    with pytest.raises(VenueError, match="capacities"):
        shadow.check_change(replace(small_config(), venue=replace(small_config().venue, avg_px_decimals=2)))
