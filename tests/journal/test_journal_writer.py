"""The writer: what goes in comes out, batches always fit, and a disk that fails leaves nothing half said."""

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import SMALL, Fault, FaultyDisk, append, open_writer, payloads_of, render, write

from fixsim.errors import JournalCorrupt, JournalError, JournalFull
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_RECORD_BYTES

PAYLOADS = st.lists(st.binary(max_size=300), min_size=1, max_size=5)


@given(batches=st.lists(PAYLOADS, max_size=40), reopened_at=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_also_when_the_writer_was_opened_again(tmp_path_factory, batches, reopened_at):
    directory = tmp_path_factory.mktemp("journal")
    writer = open_writer(directory, disk=FaultyDisk())
    for index, payloads in enumerate(batches):
        if index == reopened_at:
            writer.close()
            writer = open_writer(directory, disk=FaultyDisk())
            assert writer.note == ""
        append(writer, payloads)
    reader = Reader(directory)
    assert payloads_of(reader) == batches
    tail = reader.last_seal()
    assert (tail.end, tail.crc, tail.torn) == (writer.position, writer.crc, False)
    writer.close()


def test_the_seal_counts_the_records_and_chains_to_the_seal_before(tmp_path):
    write(tmp_path, [[b"a", b"b"], [b"c"], [b"d" * 100]])
    reader = Reader(tmp_path)
    seals = [reader.seal(batch) for batch in reader.batches()]
    assert [seal.count for seal in seals] == [2, 1, 1]
    assert [seal.previous_crc for seal in seals] == [0, seals[0].crc, seals[1].crc]
    assert [seal.begin for seal in seals] == [batch.begin for batch in reader.batches()]
    assert all(seal.time_ns == 5 for seal in seals)


def test_a_batch_of_the_largest_size_always_fits(tmp_path):
    writer = open_writer(tmp_path, disk=FaultyDisk())
    payload = bytes(SMALL["batch_bytes"] - 64)
    for _ in range(20):
        writer.begin_batch()
        assert writer.room() == SMALL["batch_bytes"]
        append(writer, [payload])
    reader = Reader(tmp_path)
    assert len(payloads_of(reader)) == 20
    assert len({segment.first for segment in reader.segments()}) > 6


def test_the_next_segment_is_there_before_it_is_needed(tmp_path):
    writer = open_writer(tmp_path)
    append(writer, [b"x"])
    writer._ahead[0].wait()
    assert (tmp_path / f"{8192:020d}.fixj.new").stat().st_size == 8192
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == [f"{0:020d}.fixj"]


@pytest.mark.parametrize(("durability", "enough"), [("os", True), ("sync", False)])
def test_a_segment_that_is_needed_is_used_before_it_is_full_of_zeros(tmp_path, durability, enough):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability=durability)
    while not writer._ahead[0].first > 8192:  # nobody waited for the second one
        append(writer, [b"x" * 200])
    assert disk.enough == [False, enough], "the first is filled before anything is said; sync needs what it writes to be there"


@pytest.mark.parametrize("durability", ["os", "sync"])
def test_filling_pauses_for_a_busy_exchange(tmp_path, durability):
    disk = FaultyDisk()
    paused: list[float] = []
    disk.pause_s = lambda: paused.append(0.001) or 0.001
    writer = open_writer(tmp_path, disk=disk, durability=durability)
    before = len(paused)
    writer._ahead[0].wait()
    assert len(paused) == before + 1


def test_a_segment_that_nobody_needs_yet_is_filled(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    writer._ahead[0].wait()
    assert disk.enough == [False, False]


def test_zeros_that_are_not_written_are_read_where_space_can_be_reserved(tmp_path):
    from fixsim.journal.disk import FILL_CHUNK, Disk

    disk = Disk()
    path: Path = tmp_path / "segment"
    asked: list[bool] = []
    descriptor = disk.create(path)
    disk.fill(descriptor, 5 * len(FILL_CHUNK), enough=lambda: bool(asked) or asked.append(True))
    disk.close(descriptor)
    assert path.read_bytes() == bytes(5 * len(FILL_CHUNK))


def test_an_empty_batch_is_not_written(tmp_path):
    writer = open_writer(tmp_path)
    begin = writer.begin_batch()
    assert writer.append(memoryview(bytearray(200)), 0, 0, 5) == begin
    writer.close()
    assert payloads_of(Reader(tmp_path)) == []


def test_a_numpy_buffer_serves_as_well_as_a_memoryview(tmp_path):
    writer = open_writer(tmp_path)
    batch, length = render(writer, [b"one", b"two"])
    array = np.frombuffer(batch, np.uint8).copy()
    writer.append(array, length, 2, 7)
    writer.close()
    assert payloads_of(Reader(tmp_path)) == [[b"one", b"two"]]


def test_what_a_failed_write_left_does_not_look_like_damage_once_the_segment_is_left(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    while writer.begin_batch() < 5000:
        append(writer, [b"x" * 200])
    batch, length = render(writer, [b"never said" * 120])
    disk.faults.append(Fault("pwrite", partial=1200))
    with pytest.raises(JournalFull):
        writer.append(memoryview(batch), length, 1, 5)
    disk.faults.clear()
    for _ in range(4):
        append(writer, [b"y" * 200])
    writer.close()
    reader = Reader(tmp_path)
    assert payloads_of(reader)[-4:] == [[b"y" * 200]] * 4
    assert not reader.last_seal().torn and len(list(reader.segments())) == 2


@pytest.mark.parametrize(("durability", "syncs"), [("os", 0), ("sync", 1)])
def test_sync_asks_the_disk_only_when_that_is_promised(tmp_path, durability, syncs):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability=durability)
    append(writer, [b"x"])
    disk.calls.clear()
    writer.sync()
    assert disk.calls.count("sync") == syncs


def test_a_write_that_takes_less_is_finished(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    disk.pwrite_bytes_max = 7
    append(writer, [b"a" * 100, b"b"])
    assert payloads_of(Reader(tmp_path)) == [[b"a" * 100, b"b"]]


@pytest.mark.parametrize("partial", [0, 1, 64, 100, 300])
def test_a_full_disk_in_the_middle_of_a_batch_says_nothing_of_it_and_it_may_be_tried_again(tmp_path, partial):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    append(writer, [b"first"])
    batch, length = render(writer, [b"second" * 20] * 2)
    before = writer.position
    disk.faults.append(Fault("pwrite", partial=partial))
    with pytest.raises(JournalFull) as raised:
        writer.append(memoryview(batch), length, 2, 5)
    assert raised.value.position == before == writer.position
    assert payloads_of(Reader(tmp_path)) == [[b"first"]]
    disk.faults.clear()
    append(writer, [b"other"])
    assert payloads_of(Reader(tmp_path)) == [[b"first"], [b"other"]]


def test_a_broken_disk_is_an_error_but_not_full(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    batch, length = render(writer, [b"x"])
    disk.faults.append(Fault("pwrite", error=errno.EIO))
    with pytest.raises(JournalError) as raised:
        writer.append(memoryview(batch), length, 1, 5)
    assert not isinstance(raised.value, JournalFull)
    disk.faults[:] = [Fault("sync", error=errno.EIO)]
    writer.append(memoryview(batch), length, 1, 5)
    with pytest.raises(JournalError):
        writer.sync()


@pytest.mark.parametrize("method", ["create", "fill", "rename"])
def test_without_another_segment_the_kept_tail_still_takes_logouts(tmp_path, method):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    disk.faults.append(Fault(method))
    said = []
    with pytest.raises(JournalFull):
        while True:
            append(writer, [b"order" * 30])
            said.append([b"order" * 30])
    with pytest.raises(JournalFull):
        writer.begin_batch()
    writer.begin_batch(closing=True)
    assert writer.room() >= SMALL["tail_bytes"]
    append(writer, [b"logout" * 10], closing=True)
    assert payloads_of(Reader(tmp_path)) == [*said, [b"logout" * 10]]
    disk.faults.clear()
    append(writer, [b"room again"])
    writer.close()
    assert payloads_of(Reader(tmp_path))[-1] == [b"room again"]


def test_a_segment_that_could_not_be_prepared_ahead_is_made_when_it_is_needed(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk)
    disk.faults.append(Fault("fill"))
    writer._ahead[0].wait()
    disk.faults.clear()
    for _ in range(60):
        append(writer, [b"x" * 200])
    assert len(payloads_of(Reader(tmp_path))) == 60


def test_opening_cuts_an_unsealed_tail_and_says_so(tmp_path):
    end = write(tmp_path, [[b"a"], [b"b"]])
    path = tmp_path / f"{0:020d}.fixj"
    with path.open("r+b") as file:
        file.seek(end)
        file.write(b"junk that no seal covers")
    writer = open_writer(tmp_path)
    assert writer.position == end
    assert f"cut 24 unsealed bytes at position {end}" in writer.note
    append(writer, [b"c"])
    writer.close()
    assert payloads_of(Reader(tmp_path)) == [[b"a"], [b"b"], [b"c"]]
    assert open_writer(tmp_path).note == ""


def test_opening_a_damaged_journal_is_refused_and_touches_nothing(tmp_path):
    write(tmp_path, [[b"a"], [b"b"], [b"c"]])
    path = tmp_path / f"{0:020d}.fixj"
    spoiled = bytearray(path.read_bytes())
    spoiled[64 + 64] ^= 1
    path.write_bytes(spoiled)
    with pytest.raises(JournalCorrupt) as raised:
        open_writer(tmp_path)
    assert raised.value.position == 64
    assert path.read_bytes() == spoiled


def test_what_an_earlier_writer_prepared_and_never_used_is_removed(tmp_path):
    write(tmp_path, [[b"a"]])
    (tmp_path / f"{8192:020d}.fixj.new").write_bytes(b"half a segment")
    writer = open_writer(tmp_path, disk=FaultyDisk())
    assert [path.name for path in tmp_path.iterdir()] == [f"{0:020d}.fixj"]
    for _ in range(40):
        append(writer, [b"x" * 200])
    assert len(payloads_of(Reader(tmp_path))) == 41


def test_another_segment_size_than_the_journal_has_is_refused(tmp_path):
    write(tmp_path, [[b"x" * 200]] * 60)
    with pytest.raises(JournalError, match="segments of 8192 bytes, not of 16384"):
        open_writer(tmp_path, segment_bytes=16384)
    with pytest.raises(JournalError, match="segments of 8192 bytes, not of 4096"):
        open_writer(tmp_path, segment_bytes=4096, batch_bytes=1024)


def test_a_segment_size_that_splits_a_record_is_refused(tmp_path):
    with pytest.raises(JournalError, match="not a multiple of 8"):
        open_writer(tmp_path, segment_bytes=8193)


def test_a_directory_that_cannot_be_made_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be created"):
        open_writer(tmp_path / "file" / "journal")


def test_a_segment_that_lost_its_zeros_gets_them_back(tmp_path):
    end = write(tmp_path, [[b"a"]])
    path = tmp_path / f"{0:020d}.fixj"
    path.write_bytes(path.read_bytes()[:end])
    writer = open_writer(tmp_path)
    assert path.stat().st_size == 8192
    append(writer, [b"b"])
    writer.close()
    assert payloads_of(Reader(tmp_path)) == [[b"a"], [b"b"]]


def test_the_same_input_gives_the_same_files(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, [[b"x" * 150, b"y"]] * 30)
    files = {name: sorted(path.read_bytes() for path in (tmp_path / name).iterdir()) for name in ("one", "two")}
    assert files["one"] == files["two"]
    assert SEAL_RECORD_BYTES == 88


def test_the_real_disk_fills_segments_with_zeros_with_and_without_fallocate(tmp_path, monkeypatch: pytest.MonkeyPatch):
    from fixsim.journal.disk import Disk

    monkeypatch.delattr("os.posix_fallocate", raising=False)
    disk = Disk()
    path: Path = tmp_path / "segment"
    descriptor = disk.create(path)
    disk.fill(descriptor, 300_000, enough=lambda: True)
    disk.sync(descriptor)
    disk.sync_directory(tmp_path)
    disk.close(descriptor)
    assert path.read_bytes() == bytes(300_000)


# ---------------------------------------------------------------- sync


def test_with_sync_a_batch_is_on_the_disk_before_the_next_one_is_written(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    disk.calls.clear()
    append(writer, [b"a"])
    append(writer, [b"b"])
    writer.sync()
    writer.sync()
    assert [call for call in disk.calls if call in ("pwrite", "sync")] == ["pwrite", "sync", "pwrite", "sync"]


def test_with_sync_a_segment_is_on_the_disk_before_the_next_one_begins(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    while writer.begin_batch() < 5000:
        append(writer, [b"x" * 200])
    while writer._first == 0:
        disk.calls.clear()
        append(writer, [b"x" * 200])
    assert disk.calls.index("sync") < disk.calls.index("rename")


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_after_a_failed_sync_nothing_is_written_and_nothing_synced_any_more(tmp_path, error):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    append(writer, [b"a"])
    disk.faults.append(Fault("sync", error=error))
    with pytest.raises(JournalError) as raised:
        writer.sync()
    assert not isinstance(raised.value, JournalFull)
    disk.faults.clear()
    disk.calls.clear()
    for closing in (False, True):
        with pytest.raises(JournalError, match="nothing more is written"):
            writer.begin_batch(closing)
    with pytest.raises(JournalError, match="nothing more is written"):
        writer.sync()
    writer.close()
    assert "pwrite" not in disk.calls and disk.calls.count("sync") <= 1  # that of a segment nobody will use
    assert payloads_of(Reader(tmp_path)) == [[b"a"]]


def test_a_segment_whose_name_cannot_be_synced_ends_the_one_before_all_the_same(tmp_path):
    disk = FaultyDisk()
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    disk.faults.append(Fault("sync_directory"))
    said = []
    with pytest.raises(JournalError, match="nothing more is written"):
        while True:
            append(writer, [b"x" * 200])
            said.append([b"x" * 200])
    with pytest.raises(JournalError):
        writer.begin_batch(closing=True)
    writer.close()
    again = open_writer(tmp_path, durability="sync")
    append(again, [b"on"])
    again.close()
    assert payloads_of(Reader(tmp_path)) == [*said, [b"on"]]


def test_with_sync_a_start_writes_what_the_last_segment_holds_once_more(tmp_path):
    end = write(tmp_path, [[b"a"], [b"b" * 100]])
    held = (tmp_path / f"{0:020d}.fixj").read_bytes()
    disk = FaultyDisk()
    written: list[tuple[bytes, int]] = []
    pwrite = disk.pwrite
    disk.pwrite = lambda descriptor, view, offset: written.append((bytes(view), offset)) or pwrite(descriptor, view, offset)
    writer = open_writer(tmp_path, disk=disk, durability="sync")
    assert written == [(held[:end], 0)] and disk.calls[-2:] == ["sync", "sync_directory"]
    writer.close()
    assert (tmp_path / f"{0:020d}.fixj").read_bytes() == held
