"""The reader: random access, starting anywhere, following a live writer, and records as tuples or columns."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import FaultyDisk, append, open_writer, payloads_of, write

from fixsim import layout
from fixsim.errors import JournalCorrupt, JournalError
from fixsim.journal import segments
from fixsim.journal.reader import Reader
from fixsim.journal.record import (
    HEADER,
    KIND_NAMES,
    Record,
    garbled_payload,
    headers,
    json_payload,
    offsets,
    pack,
    record_at,
    record_bytes,
    records,
    resend_payload,
)
from fixsim.layout import NIL, RECORD, Kind

BATCHES = [[b"a", b"bb" * 50], [b"c" * 100], [b"", b"d", b"e"]] * 12


@pytest.fixture
def journal(tmp_path):
    """A journal of 36 batches over several segments."""
    write(tmp_path, BATCHES)
    return tmp_path


def test_every_record_is_found_by_its_position(journal):
    reader = Reader(journal)
    everything = [record for batch in reader.batches() for record in records(batch.view)]
    other = Reader(journal)
    for record in reversed(everything):
        found = other.read(record.position)
        assert found == record
        assert found.end == record.position + record_bytes(record.length)


@pytest.mark.parametrize("shift", [-8, 1, 8, 64])
def test_a_position_at_which_no_record_lies_is_an_error(journal, shift):
    reader = Reader(journal)
    batch = next(reader.batches())
    with pytest.raises(JournalCorrupt):
        reader.read(batch.begin + shift)
    for position in (-1, 10**9):
        with pytest.raises(JournalCorrupt):
            reader.read(position)


def test_reading_goes_on_from_any_seal_with_the_chain_intact(journal):
    batches = list(Reader(journal).batches())
    for index, batch in enumerate(batches):
        rest = list(Reader(journal).batches(batch.end))
        assert [found.begin for found in rest] == [found.begin for found in batches[index + 1 :]]
    for index, batch in enumerate(batches):
        rest = list(Reader(journal).batches_since(batch.end - 1))
        assert [found.begin for found in rest] == [found.begin for found in batches[index:]]


def test_the_beginning_of_a_segment_is_a_place_to_start(journal):
    firsts = [segment.first for segment in Reader(journal).segments()]
    assert len(firsts) > 1
    for place in (firsts[1], firsts[1] + 64):
        assert next(Reader(journal).batches(place)).begin == firsts[1] + 64
        assert next(Reader(journal).batches_since(place)).begin == firsts[1] + 64


def test_a_place_between_seals_is_refused(journal):
    batch = list(Reader(journal).batches())[1]
    for position in (batch.begin + 8, batch.end + 8, batch.end - 88):
        with pytest.raises(JournalError, match="no batch begins"):
            next(Reader(journal).batches(position))
    with pytest.raises(JournalError, match="does not reach"):
        next(Reader(journal).batches(10**9))


def test_a_place_whose_chain_does_not_fit_is_refused(journal):
    batches = list(Reader(journal).batches())
    path = journal / f"{0:020d}.fixj"
    octets = bytearray(path.read_bytes())
    octets[batches[1].end - 16] ^= 1  # previous_crc of the second seal
    path.write_bytes(octets)
    with pytest.raises(JournalCorrupt, match="does not name the seal before it"):
        next(Reader(journal).batches(batches[0].end))


def test_following_gives_only_what_is_sealed_and_stops_when_told(tmp_path):
    writer = open_writer(tmp_path, disk=FaultyDisk())
    script = iter(BATCHES)
    waits = []

    def wait() -> bool:
        waits.append(1)
        payloads = next(script, None)
        if payloads is None:
            return False
        append(writer, payloads)
        return True

    followed = [
        [bytes(record.payload) for record in records(batch.view)] for batch in Reader(tmp_path).follow(0, wait)
    ]
    assert followed == BATCHES and len(waits) == len(BATCHES) + 1


def test_following_a_writer_in_another_thread_loses_and_invents_nothing(tmp_path):
    wanted = [[b"%d" % index, bytes(index % 400)] for index in range(3_000)]
    finished = threading.Event()

    def keep_writing() -> None:
        writer = open_writer(tmp_path)
        for payloads in wanted:
            append(writer, payloads)
        writer.close()
        finished.set()

    thread = threading.Thread(target=keep_writing)
    thread.start()
    # what a reader that polls does, and one that also searches behind every end it meets
    reader, found, position = Reader(tmp_path), [], 0
    while True:
        last_look = finished.is_set()
        for batch in reader.batches(position, live=len(found) % 2 == 0):
            found.append([bytes(record.payload) for record in records(batch.view)])
            position = batch.end
        if last_look:
            break
    thread.join()
    assert found == wanted


def test_more_segments_than_are_kept_mapped_are_still_read(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "MAPPED_MAX", 2)
    write(tmp_path, [[b"z" * 300]] * 60)
    reader = Reader(tmp_path)
    positions = [batch.begin for batch in reader.batches()]
    assert len(list(reader.segments())) > 3
    for position in [*positions, *reversed(positions)]:
        assert reader.read(position).payload == b"z" * 300


@given(payloads=st.lists(st.binary(max_size=200), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_records_as_tuples_and_as_columns_say_the_same(payloads):
    view = bytearray()
    for index, payload in enumerate(payloads):
        view += pack(
            Kind.IN, 640 + len(view), index * 10, payload, session=index + 1, run=2, seq=index, back=NIL,
            msg_type=b"D", at=(1, 2, 3, 4), link=70_000 + index,
        )  # fmt: skip
    batch = memoryview(view)
    tuples = list(records(batch))
    places = offsets(batch)
    rows = headers(batch, places)
    assert [bytes(record.payload) for record in tuples] == payloads
    for record, row, at in zip(tuples, rows, places, strict=True):
        assert record == record_at(batch, int(at), record.position)
        for name in RECORD.names or ():
            if name in Record._fields and name != "msg_type":
                assert getattr(record, name) == row[name]
        assert record.msg_type == row["msg_type"].tobytes() == b"D\0"


def test_the_struct_of_a_header_is_the_dtype_of_the_layout():
    values = (0xF144, 1, 2, 3, 4, 5, 6, 7, 8, 9, b"AB", 10, 11, 12, 13, 14, 15)
    row = np.frombuffer(HEADER.pack(*values), RECORD)[0]
    assert [row[name].tobytes() if name == "msg_type" else row[name] for name in RECORD.names or ()] == list(values)


def test_payloads_that_are_no_frames_come_back():
    link = record(Kind.LINK, json_payload({"event": "connected", "sender": "ÄB", "target": "FIXSIM"}))
    assert link.json() == {"event": "connected", "sender": "ÄB", "target": "FIXSIM"}
    assert record(Kind.RESEND, resend_payload(3, 2**40)).resend_range() == (3, 2**40)
    assert record(Kind.GARBLED, garbled_payload(5000, b"x" * 300)).garbled() == (5000, b"x" * 256)
    for payload in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(JournalCorrupt, match="no JSON object"):
            record(Kind.LINK, payload).json()


@pytest.mark.parametrize(
    ("payload", "offset", "value"),
    [
        (b"55=AAPL\x0110=000\x01", 3, b"AAPL"),
        (b"55=AAPL", 3, b"AAPL"),
        (b"55=AAPL\x01", 0, None),
        (b"11=" + b"x" * 300 + b"\x01", 3, b"x" * 300),
    ],
)
def test_a_value_is_cut_out_of_the_payload_without_parsing(payload, offset, value):
    assert record(Kind.IN, payload).value_at(offset) == value


def test_every_kind_has_a_name():
    assert KIND_NAMES[Kind.SEAL] == "SEAL"
    assert len(KIND_NAMES) == len({value for name, value in vars(layout.Kind).items() if name.isupper()})


def record(kind: int, payload: bytes) -> Record:
    """A record alone."""
    return record_at(memoryview(pack(kind, 0, 0, payload)), 0, 0)


def test_reading_and_recovery_share_one_pass(journal):
    reader = Reader(journal)
    assert payloads_of(reader) == BATCHES
    seen = []
    step = reader._step
    reader._step = lambda place: seen.append(place) or step(place)
    assert reader.last_seal().end == list(Reader(journal).batches())[-1].end
    assert len(seen) <= 3
