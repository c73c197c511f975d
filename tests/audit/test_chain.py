"""The hash chain: written as the journal grows, taken up where it stopped, and never over another history."""

import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from audit_stage import Stage, tell_story

from fixsim.audit.chain import ENTRY, HINT_DTYPE, MAGIC, ChainFiles, Keeper, hash_batch
from fixsim.audit.hasher import Hasher
from fixsim.audit.heads import head_of, make_key
from fixsim.audit.merkle import leaf_hash, tree_hash
from fixsim.errors import AuditError
from fixsim.journal.record import records


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    tell_story(stage)
    stage.seal()
    return stage


def kept(data_dir: Path) -> ChainFiles:
    """The chain after everything sealed was hashed."""
    hasher = Hasher(data_dir, lambda line: pytest.fail(line))
    hasher.finish()
    assert hasher.run()
    return ChainFiles(data_dir)


def test_every_batch_has_an_entry_and_every_record_a_leaf(stage: Stage, tmp_path: Path) -> None:
    chain = kept(tmp_path)
    batches = list(stage.reader.batches())
    assert [(entry.begin, entry.end) for entry in map(chain.entry, range(len(chain)))] == [b[:2] for b in batches]
    for index, batch in enumerate(batches):
        view, offset = stage.reader.locate(batch.begin)
        octets = bytes(view[offset : offset + batch.end - batch.begin])
        cuts = [record.position - batch.begin for record in records(batch.view)] + [len(batch.view), len(octets)]
        leaves = [leaf_hash(octets[a:b]) for a, b in pairwise(cuts)]
        entry = chain.entry(index)
        assert (entry.records, entry.root) == (len(leaves), tree_hash(leaves))
        assert entry.time_ns == stage.reader.seal(batch).time_ns
        assert (chain.hints(index) == hash_batch(octets).hints()).all()
    assert (tmp_path / "chain" / "seals").stat().st_size == len(MAGIC) + ENTRY.size * len(batches)
    assert (tmp_path / "chain" / "records").stat().st_size == HINT_DTYPE.itemsize * chain.records()
    stage.close()


def test_it_is_the_same_chain_however_often_it_was_interrupted(stage: Stage, tmp_path: Path) -> None:
    for number in range(40):
        stage.order(b"BUYER", b"N%d" % number, b"1", b"10", b"10.00")
        stage.seal()
    whole = kept(tmp_path).octets
    shutil.move(tmp_path / "chain", tmp_path / "first")
    for size in range(0, 45, 7):
        keeper = Keeper(tmp_path)
        left = [size]

        def enough(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] <= 0

        keeper.catch_up(enough)
        keeper.close()
        with (tmp_path / "chain" / "seals").open("ab") as file:
            file.write(b"torn" if size % 2 else bytes(64))  # what a crash may leave behind
    assert kept(tmp_path).octets == whole
    stage.close()


def test_another_history_is_not_written_over(stage: Stage, tmp_path: Path) -> None:
    chain = kept(tmp_path)
    stage.close()
    shutil.rmtree(tmp_path / "journal")
    other = Stage(tmp_path)
    other.tick()
    tell_story(other)
    other.close()
    said: list[str] = []
    hasher = Hasher(tmp_path, said.append)
    hasher.finish()
    assert not hasher.run()
    assert len(said) == 1 and "does not hold what the hash chain has" in said[0]
    assert ChainFiles(tmp_path).octets == chain.octets


def test_one_process_keeps_it(stage: Stage, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    with pytest.raises(AuditError, match="another process"):
        Keeper(tmp_path)
    keeper.close()
    Keeper(tmp_path).close()
    stage.close()


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    path = tmp_path / "chain" / "key.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert make_key(tmp_path).public == key.public
    assert sorted(os.listdir(path.parent)) == ["key.pem"]


def test_without_a_database_the_reader_process_keeps_the_chain(stage: Stage, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fixsim.cli.main", "ship", "--data-dir", str(tmp_path), "--database-url", "none"]
    child = subprocess.Popen([*command, "--full-speed"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (tmp_path / "chain" / "seals").exists() or len(ChainFiles(tmp_path)) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stage.order(b"BUYER", b"LATER", b"1", b"10", b"10.00")
    stage.seal()
    assert child.communicate(b"finish\n", timeout=30)[1] == b"" and child.returncode == 0
    assert head_of(ChainFiles(tmp_path)).position == stage.writer.position
    assert not (tmp_path / "postgres").exists()
    stage.close()


def test_there_is_nothing_made_where_there_is_no_journal(tmp_path: Path) -> None:
    hasher = Hasher(tmp_path / "typo")
    hasher.finish()
    assert hasher.run()
    assert not (tmp_path / "typo").exists()
    with pytest.raises(AuditError, match="no hash chain"):
        ChainFiles(tmp_path)
