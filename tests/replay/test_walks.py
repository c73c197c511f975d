"""A journal carried out again by kernels and by plain Python: the same bytes, the same state, the same first difference."""

import os
from pathlib import Path
from random import Random

import pytest
from exchange.stage import small_config

import fixsim.engine.tape
from fixsim.engine.jit import IS_COMPILED
from fixsim.errors import JournalError, ReplayDivergence
from fixsim.exchange.course import Until
from fixsim.exchange.digest import state_digest
from fixsim.exchange.walker import skimmer
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import INBOUND, Kind
from fixsim.limits import BATCH_BYTES
from replay import recording
from replay.forgery import Loose, forge, reframed
from replay.recording import Recording
from replay.walks import WALKS, Walked, restless_day

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
COUNT = 80 if PLAIN else 1_200


@pytest.fixture(scope="module", params=range(1 if PLAIN else 3))
def restless(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory in which much has happened, and the digest of the exchange that lived it."""
    data_dir = tmp_path_factory.mktemp("restless")
    return data_dir, restless_day(data_dir, 500 + request.param, COUNT)


def everything(data_dir: Path) -> list[tuple[int, int, int]]:
    """Position, time and kind of all records."""
    batches = Reader(journal_directory(data_dir)).batches()
    return [(record.position, record.time_ns, record.kind) for batch in batches for record in records(batch.view)]


@pytest.mark.parametrize("walk", WALKS)
def test_each_walk_comes_to_what_was_lived(restless: tuple[Path, str], walk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir, digest = restless
    walked = Walked(data_dir, walk, monkeypatch)
    told = everything(data_dir)
    inbound = sum(kind in INBOUND for _, _, kind in told)
    records_read, inbound_read, position, time_ns, digest_found = walked.outcome()
    assert (records_read, inbound_read, time_ns, digest_found) == (len(told), inbound, told[-1][1], digest)
    assert position > told[-1][0]
    orders = sum(kind == Kind.IN for _, _, kind in told)
    if walk == "slow":
        assert walked.plain_orders > orders / 2
    else:
        assert walked.plain_orders < orders / 2, "kernels take most of it, or nothing is tested here"


def test_cut_anywhere_each_walk_stops_behind_the_same_record(
    restless: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, random = restless[0], Random(1)
    told = [record for record in everything(data_dir) if record[2] in INBOUND]
    for position, time_ns, _ in random.sample(told, 2 if PLAIN else 3):
        for until in (Until(position=position), Until(time_ns=time_ns), Until(position + 8, time_ns)):
            outcomes = [Walked(data_dir, walk, monkeypatch, until).outcome() for walk in WALKS]
            assert outcomes == outcomes[:1] * len(WALKS), until
            assert outcomes[0][1] >= 1


def test_digests_on_the_way_are_the_same_and_each_behind_so_many_records(
    restless: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [list(Walked(restless[0], walk, monkeypatch).digests(17)) for walk in WALKS]
    assert found == found[:1] * len(WALKS)
    assert len(found[0]) > 3
    numbers = [digested.inbound // 17 for digested in found[0]]
    assert numbers == sorted(set(numbers)), "at most one for each seventeen"


def test_a_forged_report_is_found_by_each_walk_at_the_same_record(
    restless: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [position for position, _, kind in everything(restless[0]) if kind == Kind.OUT]
    for number, position in enumerate(Random(2).sample(said, 1 if PLAIN else 5)):

        def change(loose: list[Loose], position: int = position) -> list[Loose]:
            return [
                (header, reframed(payload, b"\x0156=", b"\x0156=X") if header[4] == position else payload)
                for header, payload in loose
            ]

        forge(restless[0], tmp_path / str(number), change)
        found = []
        for walk in WALKS:
            with pytest.raises(ReplayDivergence) as raised:
                Walked(tmp_path / str(number), walk, monkeypatch).run()
            found.append((raised.value.position, raised.value.expected, raised.value.actual))
        assert found == found[:1] * len(WALKS)
        assert b"\x0156=X" in found[0][1]


# ---------------------------------------------------------------- orders larger than a batch


@pytest.mark.parametrize("walk", WALKS)
def test_a_sweep_over_several_batches_is_walked(walk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makers = 700 if PLAIN else 4_000
    if PLAIN:  # without compilation batches are made smaller instead
        monkeypatch.setattr(fixsim.engine.tape, "FILLS_BYTES", 128 << 10)
    else:
        monkeypatch.setattr(recording, "BATCH_BYTES", BATCH_BYTES)
        monkeypatch.setattr(recording, "SEGMENT_BYTES", 24 << 20)
    stage = Crowd(tmp_path)
    stage.log_on("ALPHA", "BRAVO")
    for number in range(makers):
        stage.enter("ALPHA", b"m%d" % number, b"2", 1)
        if number % 200 == 0:
            stage.drain()
    stage.drain()
    before = len(stage.writer.batches)
    stage.enter("BRAVO", b"sweep", b"1", makers - 5)
    stage.enter("BRAVO", b"more", b"1", 2)  # it is carried out in the batch in which the sweep ends
    stage.enter("ALPHA", b"last", b"2", 1)
    stage.drain()
    assert len(stage.writer.batches) - before >= 2, "it does not fit one batch"
    lived = state_digest(stage.exchange)
    stage.close()
    assert Walked(tmp_path, walk, monkeypatch).outcome()[-1] == lived


class Crowd(Recording):
    """Many orders of few."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, small_config(orders=20_000, clordid_memory=200_000))

    def enter(self, name: str, cl_ord_id: bytes, side: bytes, qty: int) -> None:
        """A limit order for AAPL; the batch is left open."""
        head = [(35, b"D"), (11, cl_ord_id), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00")]
        self.feed(name, self.frame(name, [*head, (38, b"%d" % qty), (40, b"2"), (44, b"10.00")]))


# ---------------------------------------------------------------- where the journal ends


def test_the_end_is_found_at_the_same_place_in_a_journal_with_bytes_changed(restless: tuple[Path, str], tmp_path: Path) -> None:
    """Whoever skims over batches sees the same damage as who looks at each."""
    if not IS_COMPILED:
        assert skimmer() is None
        return
    random = Random(3)
    directory = journal_directory(tmp_path)
    directory.mkdir(parents=True)
    sources = sorted(journal_directory(restless[0]).glob("*.fixj"))
    end = Reader(journal_directory(restless[0])).last_seal()
    assert Reader(journal_directory(restless[0]), skimmer()).last_seal() == end
    for _ in range(30):
        for source in sources:
            octets = bytearray(source.read_bytes())
            if source is sources[0]:
                octets[random.randrange(min(len(octets), end.end))] ^= 1 << random.randrange(8)
            (directory / source.name).write_bytes(octets)
        found = []
        for skim in (None, skimmer()):
            try:
                found.append(repr(Reader(directory, skim).last_seal()))
            except JournalError as error:
                found.append(repr(error))
        assert found[0] == found[1]


