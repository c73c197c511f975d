"""Archived segments are read by every command as if they were plain, and damage in them is named where it is."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from exchange.stage import MORNING_NS

from fixsim.audit.hasher import Hasher
from fixsim.audit.retention import ASK_AGAIN_S, Policy, Reached, Retention
from fixsim.cli.main import main
from fixsim.errors import VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.operator.journal import needed_from
from fixsim.journal import segments
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.resend import expand
from fixsim.journal.segments import firsts, journal_directory, segment_path
from fixsim.layout import Kind
from replay import recording
from replay.recording import Recording, record_day

Run = Callable[..., tuple[int, str, str]]
#: A batch's room, and 80 KiB that are filled until the next segment is begun.
SEGMENT_BYTES = (1 << 20) + (80 << 10)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A day in several small segments, hashed; and its state digest."""
    data_dir = tmp_path_factory.mktemp("archived")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "SEGMENT_BYTES", SEGMENT_BYTES)
        digest = record_day(data_dir, 500, seed=5)
    hasher = Hasher(data_dir, lambda line: pytest.fail(line))
    hasher.finish()
    assert hasher.run() and len(firsts(journal_directory(data_dir))) >= 4
    yield data_dir, digest
    shutil.rmtree(data_dir)


@pytest.fixture
def copy(day: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy that may be archived and spoiled."""
    return Path(shutil.copytree(day[0], tmp_path / "copy"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `fixsim ...`; exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return call


def archived(run: Run, data_dir: Path) -> list[Path]:
    """Archive what can be; the files."""
    code, out, _ = run("journal", "archive", "--data-dir", data_dir)
    files = sorted(journal_directory(data_dir).glob("*.zst"))
    assert code == 0 and out.count("\n") == len(files) + 1
    return files


def findings(run: Run, data_dir: Path) -> list[dict[str, Any]]:
    code, out, err = run("audit", "verify", "--data-dir", data_dir, "--json")
    assert out, err
    found = list(json.loads(out)["findings"])
    assert bool(found) == (code == 1)
    return found


def test_every_command_reads_an_archived_journal_as_before(day: tuple[Path, str], copy: Path, run: Run, tmp_path: Path) -> None:
    data_dir, digest = day
    assert len(archived(run, copy)) == len(firsts(journal_directory(copy))) - 2
    there = ("--data-dir", copy)
    for command in (["journal", "cat", "--json"], ["journal", "cat", "--expand"], ["journal", "verify"]):
        before, after = run(*command, "--data-dir", data_dir), run(*command, *there)
        assert after == before and after[0] == 0 and after[1]
    code, out, _ = run("replay", copy, "--json")
    told = json.loads(out)
    assert code == 0 and told["digest"] == digest
    assert findings(run, copy) == []
    first = next(records(next(Reader(journal_directory(copy)).batches()).view))
    assert run("audit", "prove", first.position, *there, "--out", tmp_path / "proof")[0] == 0
    assert run("audit", "check-proof", tmp_path / "proof")[0] == 0


def test_a_start_recovers_from_an_archived_journal(
    day: tuple[Path, str], copy: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived(run, copy)
    monkeypatch.setattr(recording, "SEGMENT_BYTES", SEGMENT_BYTES)
    mapped = Recording(copy, now_ns=MORNING_NS)
    plain = Recording(day[0].parent / shutil.copytree(day[0], copy.parent / "plain"), now_ns=MORNING_NS)
    assert state_digest(mapped.exchange) == state_digest(plain.exchange)
    mapped.close()
    plain.close()


def test_no_more_than_two_segments_are_unpacked_at_once(copy: Path, run: Run) -> None:
    archived(run, copy)
    reader = Reader(journal_directory(copy))
    assert sum(1 for _ in reader.batches()) > 10
    assert len(reader._segments._unpacked) <= segments.UNPACKED_MAX
    assert [segment.archived for segment in reader.segments()][-2:] == [False, False]


def test_ls_shows_what_is_archived_and_what_it_takes(copy: Path, run: Run) -> None:
    files = archived(run, copy)
    listed = json.loads(run("journal", "ls", "--data-dir", copy, "--json")[1])["segments"]
    assert [Path(row["file"]).suffix for row in listed] == [".zst"] * len(files) + [".fixj"] * 2
    assert all(row["bytes"] == SEGMENT_BYTES and (row["stored"] < row["bytes"] // 3) == row["archived"] for row in listed)
    assert run("journal", "archive", "--data-dir", copy)[2] == "nothing to archive\n"


def test_only_what_ends_in_front_of_a_position_is_archived(copy: Path, run: Run) -> None:
    second = firsts(journal_directory(copy))[1]
    code, out, _ = run("journal", "archive", "--before", second, "--data-dir", copy, "--json")
    assert code == 0 and [told["file"] for told in json.loads(out)["archived"]] == [f"{0:020d}.fixj"]


@pytest.mark.parametrize("seed", range(8))
def test_a_bit_flipped_in_an_archive_is_found_and_named(seed: int, copy: Path, run: Run) -> None:
    random = Random(seed)
    file = random.choice(archived(run, copy))
    octets = bytearray(file.read_bytes())
    octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    file.write_bytes(octets)
    first = int(file.name[:20])
    found = findings(run, copy)
    assert found and all(first <= finding["position"] < first + SEGMENT_BYTES for finding in found)
    assert {finding["where"] for finding in found} == {"journal"}
    assert any(file.name in finding["message"] for finding in found)


def test_an_archive_cut_short_or_gone_is_found(copy: Path, run: Run) -> None:
    files = archived(run, copy)
    octets = files[0].read_bytes()
    for kept in (0, 3, 20, len(octets) // 2, len(octets) - 1):
        files[0].write_bytes(octets[:kept])
        assert any(files[0].name in finding["message"] for finding in findings(run, copy))
    files[0].unlink()
    assert findings(run, copy)
    assert run("journal", "verify", "--data-dir", copy)[0] == 1


# ---------------------------------------------------------------- what is retired is not said again


def test_a_retired_range_is_answered_by_a_gap_fill_and_replays_to_the_same(tmp_path: Path) -> None:
    stage = Recording(tmp_path)
    stage.log_on("ALPHA", "BRAVO")
    for number in range(4):
        stage.say("ALPHA", [(35, b"D"), (11, b"O%d" % number), (55, b"AAPL"), (54, b"1"), (38, b"100"), (40, b"2"),
                            (44, b"10"), (59, b"0"), (60, b"20240102-10:00:00")])  # fmt: skip
    out = [record.position for _, view in stage.writer.batches for record in records(view) if record.kind == Kind.OUT]
    floor = out[-2]
    assert stage.command("journal.retire", floor=floor)["floor"] == floor
    stage.say("BRAVO", [(35, b"1"), (112, b"HERE")])
    assert needed_from(stage.exchange) < floor  # nobody took what was said
    for link in stage.exchange.links:
        stage.exchange.outbox.send(link, lambda parts: sum(map(len, parts)))
    assert needed_from(stage.exchange) >= floor
    assert stage.command("journal.retire", floor=5)["floor"] == floor
    for wrong in (-1, "x", True, None, 1 << 60):
        assert not stage.command("journal.retire", floor=wrong)["ok"]
    stage.say("ALPHA", [(35, b"2"), (7, b"1"), (16, b"0")])
    (resend,) = (record for _, view in stage.writer.batches for record in records(view) if record.kind == Kind.RESEND)
    frames = [frame.split(b"\x01") for frame in expand(stage.file.reader, resend)]
    assert resend.resend_floor() == floor
    assert b"35=4" in frames[0] and b"34=1" in frames[0] and b"36=4" in frames[0]
    assert [next(field for field in frame if field[:3] == b"11=") for frame in frames[1:]] == [b"11=O2", b"11=O3"]
    digest = state_digest(stage.exchange)
    stage.close()
    again = Recording(tmp_path)
    assert int(again.exchange.core["floor"]) == floor
    again.close()
    assert digest


class Told:
    """An exchange as the one who retires segments sees it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.at = 0
        self.owed_from = 1 << 60

    def __call__(self, floor: int) -> dict[str, int]:
        self.asked.append(floor)
        return {"floor": floor, "at": self.at, "owed_from": self.owed_from}


def stand(data_dir: Path, position: int) -> None:
    """A snapshot at a position."""
    (data_dir / "snapshots").mkdir(exist_ok=True)
    (data_dir / "snapshots" / f"{position:020d}.snapshot").touch()


def test_a_segment_goes_only_when_nobody_needs_it_any_more(copy: Path) -> None:
    directory, told, said = journal_directory(copy), Told(), list[str]()
    begins = firsts(directory)
    end = 1 << 60
    late = MORNING_NS + 1_000 * 86_400 * 1_000_000_000
    reached = {"now": Reached(end, late, end)}
    retention = Retention(copy, Policy(3_600), lambda: reached["now"], told, said.append)
    assert retention.once() == 0 and told.asked == []  # there is no snapshot
    stand(copy, begins[1] + 5)
    for short in (Reached(begins[1] - 1, late, end), Reached(end, late, begins[1] - 1), Reached(end, MORNING_NS, end)):
        reached["now"] = short
        assert retention.once() == 0 and told.asked == []
    reached["now"] = Reached(end, late, None)
    assert retention.once() == 1 and told.asked == [begins[1]]
    assert not segment_path(directory, 0).exists() and firsts(directory) == begins
    assert retention.once() == 0 and told.asked == [begins[1]]
    stand(copy, end)
    assert retention.once() == len(begins) - 2 and told.asked == [begins[1], begins[-1]]
    assert segment_path(directory, begins[-1]).exists() and len(said) == len(begins) - 1
    assert Retention(copy, Policy(0), lambda: reached["now"], told).once() == 0


def test_a_segment_is_removed_when_the_floor_is_recorded_shipped_and_nothing_owed(copy: Path) -> None:
    directory, told = journal_directory(copy), Told()
    begins = firsts(directory)
    late = MORNING_NS + 1_000 * 86_400 * 1_000_000_000
    reached = {"now": Reached(begins[-1], late, begins[-1])}
    retention = Retention(copy, Policy(3_600, archived=False), lambda: reached["now"], told)
    stand(copy, begins[2])
    told.at = begins[-1] + 1
    assert [retention.once() for _ in range(3)] == [0, 0, 0]  # the record of the floor is not read by everybody
    assert retention._wait_s == ASK_AGAIN_S
    reached["now"] = Reached(told.at, late, told.at)
    told.owed_from = begins[1] - 8
    assert retention.once() == 0  # somebody is still owed what lies there
    told.owed_from = begins[1] + 8
    assert retention.once() == 1 and firsts(directory) == begins[1:]
    told.owed_from = 1 << 60
    assert retention.once() == 1 and firsts(directory) == begins[2:]


def test_an_exchange_that_does_not_answer_is_told_and_nothing_happens(copy: Path) -> None:
    def ask(floor: int) -> dict[str, int]:
        raise VenueError("no exchange answers")

    stand(copy, 1 << 60)
    retention = Retention(copy, Policy(1), lambda: Reached(1 << 60, 1 << 62, None), ask)
    with pytest.raises(VenueError):
        retention.once()
    assert not list(journal_directory(copy).glob("*.zst"))
