"""Whatever happens to the files: a reader gives what was sealed, or cuts a torn tail, or refuses."""

import os
from pathlib import Path

import pytest
from journals import append, open_writer, payloads_of, write

from fixsim.errors import JournalCorrupt, JournalError
from fixsim.journal.reader import Reader, Tail
from fixsim.journal.record import HEADER
from fixsim.journal.segments import segment_path

FIRST = f"{0:020d}.fixj"
BATCHES = [[b"Logon"], [b"order" * 9, b"report" * 11, b""], [b"fill" * 20, b"fill" * 21]]


def sealed_end(directory: Path) -> tuple[list[list[bytes]], Tail]:
    """What a reader accepts, and where it ends."""
    reader = Reader(directory)
    return payloads_of(reader), reader.last_seal()


def ends_of(directory: Path) -> list[int]:
    """Positions behind the seals."""
    return [batch.end for batch in Reader(directory).batches()]


@pytest.mark.parametrize("cut_short", [False, True], ids=["zeros follow", "the file ends"])
def test_a_tail_torn_at_any_byte_is_cut_to_the_last_seal(tmp_path, cut_short):
    end = write(tmp_path, BATCHES)
    path = tmp_path / FIRST
    whole = path.read_bytes()
    ends = ends_of(tmp_path)
    for size in range(end):
        torn = whole[:size] + (b"" if cut_short else bytes(len(whole) - size))
        path.write_bytes(torn)
        payloads, tail = sealed_end(tmp_path)
        # zeros that are missing at the very end of a seal do not tear it
        sealed = [batch_end for batch_end in ends if torn[:batch_end] == whole[:batch_end]]
        assert payloads == BATCHES[: len(sealed)], size
        if torn[:64] != whole[:64]:
            assert (tail.end, tail.spoiled) == (0, (0,)), size
        else:
            assert tail.end == (sealed[-1] if sealed else 64), size
            assert tail.torn_end == max(tail.end, len(torn.rstrip(b"\0"))), size


def test_a_tail_torn_at_any_byte_is_written_over(tmp_path):
    end = write(tmp_path, BATCHES)
    path = tmp_path / FIRST
    whole = path.read_bytes()
    for size in range(0, end, 7):
        path.write_bytes(whole[:size] + bytes(len(whole) - size))
        kept = payloads_of(Reader(tmp_path))
        writer = open_writer(tmp_path)
        append(writer, [b"after"])
        writer.close()
        assert payloads_of(Reader(tmp_path)) == [*kept, [b"after"]], size


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    write(tmp_path, [[b"x" * 120, b"y" * 33]] * 16)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 2
    whole, end = sealed_end(tmp_path)
    starts = [0, *(batch.begin for batch in Reader(tmp_path).batches()), 8192]
    for path in paths:
        first, octets = int(path.stem), path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for at in [*range(min(len(octets), end.end - first)), len(octets) - 1]:
                os.pwrite(file.fileno(), bytes([octets[at] ^ 1 << at % 8]), at)
                check_found(tmp_path, first + at, starts, whole)
                os.pwrite(file.fileno(), octets[at : at + 1], at)
    assert sealed_end(tmp_path) == (whole, end)


def check_found(directory: Path, damaged: int, starts: list[int], whole: list[list[bytes]]) -> None:
    """The journal is refused at the batch with the `damaged` byte, or it was the last one and only that is
    cut.
    """
    try:
        payloads, tail = sealed_end(directory)
    except JournalCorrupt as error:
        batch = max(start for start in starts if start <= damaged)
        assert error.position >= batch
        assert error.position <= damaged
    else:
        assert tail.torn
        assert payloads == whole[: len(payloads)]
        assert len(payloads) >= len(whole) - 1
        assert tail.end <= damaged < tail.torn_end


def test_damage_in_front_of_a_sealed_batch_is_refused_with_its_position(tmp_path):
    write(tmp_path, BATCHES)
    begins = [batch.begin for batch in Reader(tmp_path).batches()]
    path = tmp_path / FIRST
    octets = bytearray(path.read_bytes())
    octets[begins[1] + 70] ^= 4
    path.write_bytes(octets)
    reader = Reader(tmp_path)
    batches = reader.batches()
    assert next(batches).begin == begins[0]
    with pytest.raises(JournalCorrupt, match="checksum") as raised:
        next(batches)
    assert raised.value.position == begins[1]


def test_zeros_in_place_of_a_batch_are_damage_when_another_follows(tmp_path):
    write(tmp_path, BATCHES)
    ends = ends_of(tmp_path)
    path = tmp_path / FIRST
    octets = path.read_bytes()
    path.write_bytes(octets[: ends[0]] + bytes(ends[1] - ends[0]) + octets[ends[1] :])
    with pytest.raises(JournalCorrupt, match="a batch is missing") as raised:
        sealed_end(tmp_path)
    assert raised.value.position == ends[0]


def test_a_batch_that_is_skipped_without_a_gap_breaks_the_chain(tmp_path):
    write(tmp_path / "one", [[b"a"], [b"b"], [b"c"]])
    write(tmp_path / "two", [[b"a"], [b"B"], [b"c"]])
    ends = ends_of(tmp_path / "one")
    one, two = (tmp_path / name / FIRST for name in ("one", "two"))
    spliced = one.read_bytes()[: ends[1]] + two.read_bytes()[ends[1] :]
    one.write_bytes(spliced)
    with pytest.raises(JournalCorrupt, match="does not name the seal before it"):
        sealed_end(tmp_path / "one")


def several_segments(directory: Path) -> list[int]:
    """A journal of four segments; their first positions."""
    write(directory, [[b"z" * 300]] * 50)
    firsts = [int(path.stem) for path in sorted(directory.iterdir())]
    assert len(firsts) == 4
    return firsts


@pytest.mark.parametrize("index", [1, 2])
def test_a_missing_segment_in_the_middle_is_refused(tmp_path, index):
    firsts = several_segments(tmp_path)
    segment_path(tmp_path, firsts[index]).unlink()
    with pytest.raises(JournalCorrupt, match="missing") as raised:
        sealed_end(tmp_path)
    assert raised.value.position == firsts[index]


def test_a_missing_first_segment_is_refused_for_recovery_and_readable_for_people(tmp_path):
    firsts = several_segments(tmp_path)
    segment_path(tmp_path, 0).unlink()
    reader = Reader(tmp_path)
    assert reader.first == firsts[1]
    assert payloads_of(reader)[0] == [b"z" * 300]
    with pytest.raises(JournalCorrupt, match="the start is missing"):
        reader.last_seal()


@pytest.mark.parametrize("size", [0, 40, 64, 3000])
def test_a_segment_cut_short_in_the_middle_is_refused(tmp_path, size):
    firsts = several_segments(tmp_path)
    path = segment_path(tmp_path, firsts[1])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(JournalCorrupt):
        sealed_end(tmp_path)


def test_batches_lost_at_the_end_of_a_finished_segment_are_refused(tmp_path):
    firsts = several_segments(tmp_path)
    path = segment_path(tmp_path, firsts[0])
    last = [batch for batch in Reader(tmp_path).batches() if batch.end <= firsts[1]][-1]
    path.write_bytes(path.read_bytes()[: last.begin] + bytes(8192 - last.begin))
    with pytest.raises(JournalCorrupt, match="continues seal"):
        sealed_end(tmp_path)


def test_a_segment_of_another_journal_is_refused(tmp_path):
    firsts = several_segments(tmp_path / "one")
    write(tmp_path / "two", [[b"w" * 300]] * 50)
    segment_path(tmp_path / "one", firsts[2]).write_bytes(segment_path(tmp_path / "two", firsts[2]).read_bytes())
    with pytest.raises(JournalCorrupt, match="continues seal"):
        sealed_end(tmp_path / "one")


def test_a_journal_of_another_version_is_refused_by_name(tmp_path):
    write(tmp_path, BATCHES)
    path = tmp_path / FIRST
    octets = bytearray(path.read_bytes())
    fields = list(HEADER.unpack_from(octets))
    fields[8] = 99
    HEADER.pack_into(octets, 0, *fields)
    path.write_bytes(octets)
    with pytest.raises(JournalCorrupt, match="journal version 99, this is 1"):
        sealed_end(tmp_path)
    fields[8], fields[6] = 1, 12345
    HEADER.pack_into(octets, 0, *fields)
    path.write_bytes(octets)
    with pytest.raises(JournalCorrupt, match="another layout"):
        sealed_end(tmp_path)


def test_a_last_segment_in_which_nothing_was_sealed_is_removed_when_its_head_is_damaged(tmp_path):
    firsts = several_segments(tmp_path)
    whole = payloads_of(Reader(tmp_path))
    last = segment_path(tmp_path, firsts[3])
    kept = [payloads for batch, payloads in zip(Reader(tmp_path).batches(), whole, strict=True) if batch.end < firsts[3]]
    last.write_bytes(b"\x55" * 8192)
    payloads, tail = sealed_end(tmp_path)
    assert payloads == kept and tail.spoiled == (firsts[3],) and tail.torn
    writer = open_writer(tmp_path)
    assert f"removed {last.name}" in writer.note
    append(writer, [b"again"])
    writer.close()
    assert payloads_of(Reader(tmp_path)) == [*kept, [b"again"]]


def test_a_first_segment_of_nothing_but_rubbish_is_a_new_journal_with_a_note(tmp_path):
    (tmp_path / FIRST).write_bytes(b"\x55" * 8192)
    writer = open_writer(tmp_path)
    assert "removed" in writer.note
    append(writer, [b"first"])
    writer.close()
    assert payloads_of(Reader(tmp_path)) == [[b"first"]]


def test_an_empty_directory_and_a_missing_one_are_empty_journals(tmp_path):
    for directory in (tmp_path, tmp_path / "none"):
        assert sealed_end(directory) == ([], Tail(0, 0, 0, (), ""))


def test_files_that_are_no_segments_are_left_alone(tmp_path):
    write(tmp_path, BATCHES)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "abc.fixj").write_text("hello")
    assert payloads_of(Reader(tmp_path)) == BATCHES


def test_a_directory_in_place_of_a_segment_is_an_error_in_words(tmp_path):
    (tmp_path / FIRST).mkdir()
    with pytest.raises(JournalError, match="cannot be read"):
        payloads_of(Reader(tmp_path))
