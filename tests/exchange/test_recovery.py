"""From a journal on disk to the same exchange again: after any batch, in the middle of an order, and not after damage."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import google_crc32c
import pytest
from flows import SESSIONS, seeded_flow

import fixsim.engine.tape
import fixsim.exchange.tape
from exchange.stage import DAY_NS, Field, MemoryWriter, Said, Stage, each_record, rehearsed, small_config, with_counterparty
from fixsim.config import Config
from fixsim.errors import JournalCorrupt, ReplayDivergence, VenueError
from fixsim.exchange.digest import state_digest
from fixsim.exchange.recovery import inbound
from fixsim.fix import codec
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_BODY, SEAL_RECORD_BYTES, records
from fixsim.journal.segments import segment_path
from fixsim.journal.writer import Writer
from fixsim.layout import Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.session import State

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
#: Segments small enough for a test to fill one, large enough for a batch.
SEGMENT_BYTES = 12 << 20
NS_PER_S = 1_000_000_000


class DiskWriter(MemoryWriter):
    """The real journal, and a copy of its batches in memory for the test to read."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.reader = Reader(directory)
        self.journal = Writer.open(directory, reader=self.reader, segment_bytes=SEGMENT_BYTES)
        self.before = [(batch.begin, batch.view) for batch in self.reader.batches()]

    def begin_batch(self) -> int:
        return self.journal.begin_batch()

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        begin = self.journal.position
        self.batches.append((begin, memoryview(bytes(buffer[:length]))))
        return self.journal.append(buffer, length, count, time_ns)

    def fetch(self, position: int) -> bytes:
        return bytes(self.reader.read(position).payload)


Opener = Callable[..., Stage]


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Opener]:
    """Opens the journal in `tmp_path`, as a process that starts; the one before it is dropped where it stands."""
    opened: list[DiskWriter] = []

    def open_journal(config: Config | None = None, **stage: int) -> Stage:
        for writer in opened:
            writer.journal.close()
        writer = DiskWriter(tmp_path)
        opened.append(writer)
        return Stage(config or small_config(), writer, writer.before, Outbox(writer.reader), **stage)

    yield open_journal
    for writer in opened:
        writer.journal.close()


def reconnect(stage: Stage, *names: str) -> None:
    """Sessions log on again, with the numbers that the exchange has kept."""
    for name in names:
        member = stage.exchange.members.find(name.encode())
        stage.numbers[name] = int(member.row["next_in"]) - 1 if member else 0
        stage.heard[name] = int(member.row["next_out"]) - 1 if member else 0
    stage.log_on(*names)


def turn(stage: Stage, messages: list[tuple[str, list[Field]]]) -> list[Said]:
    """Some messages in one batch, and everything they cause."""
    stage.now_ns += NS_PER_S
    for name, fields in messages:
        stage.feed(name, stage.frame(name, fields))
    return stage.drain()


# ---------------------------------------------------------------- after any batch


def test_every_batch_is_a_place_to_start_from() -> None:
    """The state after each batch is a function of the journal up to there, whatever happened in between."""
    stage = Stage()
    stage.log_on(*SESSIONS[:2])
    stage.log_on(SESSIONS[2], heartbeat_s=30)
    digests = {len(stage.writer.batches): state_digest(stage.exchange)}
    random = Random(1)
    for message in seeded_flow(1, 40 if PLAIN else 300):
        turn(stage, [message])
        happenings = [
            lambda: stage.command("halt", symbol="AAPL"),
            lambda: stage.command("resume", symbol="AAPL"),
            lambda: stage.tick(stage.exchange.next_deadline_ns()),
            lambda: stage.command("sessions.show"),
            lambda: _garble(stage),
            lambda: _come_too_early(stage),
            lambda: _lose(stage, SESSIONS[random.randrange(2)]),
        ]
        if random.random() < 0.2:
            random.choice(happenings)()
        stage.exchange.commit()
        digests[len(stage.writer.batches)] = state_digest(stage.exchange)
        for name in SESSIONS:
            member = stage.exchange.members.find(name.encode())
            assert member is not None
            if member.session.state is State.DISCONNECTED:
                _lose(stage, name)
    for count in sorted(digests)[:: 5 if PLAIN else 10]:
        assert state_digest(rehearsed(stage.writer.batches[:count])) == digests[count], f"after {count} batches"


def _garble(stage: Stage) -> None:
    stage.exchange.receive(stage.links["ALPHA"], bytearray(b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01"), stage.now_ns)


def _come_too_early(stage: Stage) -> None:
    """Two messages change places, in two batches: the first is kept by its position until the second has come."""
    first, second = (stage.frame("BRAVO", [(35, b"0")]) for _ in range(2))
    stage.feed("BRAVO", second)
    stage.exchange.commit()
    stage.feed("BRAVO", first)
    stage.drain()


def _lose(stage: Stage, name: str) -> None:
    """The connection breaks and comes back."""
    stage.exchange.take_closings()
    stage.exchange.lose_link(stage.links[name], "test", stage.now_ns)
    stage.drain()
    reconnect(stage, name)


@pytest.mark.parametrize("seed", range(1 if PLAIN else 3))
def test_nobody_notices_that_the_process_was_killed(on_disk: Opener, seed: int) -> None:
    """Next to an exchange that lives through it all, one that is killed again and again says the same."""
    random = Random(seed)
    lives, dies = Stage(), on_disk()
    for stage in (lives, dies):
        stage.log_on(*SESSIONS)
    flow = list(seeded_flow(seed + 50, 60 if PLAIN else 600))
    while flow:
        batch = [flow.pop(0) for _ in range(min(len(flow), random.randint(1, 30)))]
        assert turn(lives, batch) == turn(dies, batch)
        if random.random() < 0.5:
            for name in SESSIONS:
                lives.exchange.lose_link(lives.links[name], "killed", lives.now_ns)
            lives.drain()
            dies = on_disk(now_ns=lives.now_ns)
            reconnect(lives, *SESSIONS)
            reconnect(dies, *SESSIONS)
        assert lives.books() == dies.books()
        if random.random() < 0.1:
            midnight = (lives.now_ns // DAY_NS + 1) * DAY_NS
            assert lives.tick(midnight) == dies.tick(midnight)
    again = on_disk(now_ns=lives.now_ns)
    assert again.books() == lives.books()
    for name in ("order_id", "exec_id", "match_id", "response_id", "day", "sessions_id"):
        assert again.exchange.core[name] == lives.exchange.core[name]


def test_what_was_not_committed_never_happened(on_disk: Opener) -> None:
    stage = on_disk()
    stage.log_on("ALPHA")
    stage.say("ALPHA", limit(b"kept"))
    stage.feed("ALPHA", stage.frame("ALPHA", limit(b"lost")))
    again = on_disk()
    assert [order[1] for _, queue in again.books()["AAPL"][0] for order in queue] == [b"kept"]
    member = again.exchange.members.find(b"ALPHA")
    assert member is not None and int(member.row["next_in"]) == 3


def test_a_start_closes_all_links(on_disk: Opener) -> None:
    stage = on_disk()
    stage.log_on(*SESSIONS)
    links = list(stage.links.values())
    again = on_disk()
    assert not again.exchange.links and again.exchange.take_closings() == []
    for name in SESSIONS:
        member = again.exchange.members.find(name.encode())
        assert member is not None and member.link == 0 and member.session.state is State.DISCONNECTED
        assert again.exchange.admits(name.encode(), b"FIXSIM", "127.0.0.1").counterparty is not None
    assert again.exchange.receive(links[0], bytearray(b"8=FIX.4.4\x01"), again.now_ns) == 10, "bytes of a dead link are dropped"
    reconnect(again, *SESSIONS)
    assert min(again.links.values()) > max(links), "link numbers are not used twice"


def test_a_maker_who_is_offline_gets_its_report_numbered_and_keeps_it_through_a_restart(on_disk: Opener) -> None:
    stage = on_disk()
    stage.log_on("ALPHA", "BRAVO")
    stage.say("ALPHA", limit(b"maker"))
    stage.exchange.lose_link(stage.links["ALPHA"], "gone", stage.now_ns)
    said = stage.say("BRAVO", limit(b"taker", side=b"2"))
    assert [name for name, _ in said] == ["BRAVO", "BRAVO", "ALPHA"]
    again = on_disk()
    reconnect(again, "ALPHA")
    wanted = [(35, b"2"), (7, b"3"), (16, b"3")]
    again.feed("ALPHA", again.frame("ALPHA", wanted))
    again.exchange.commit()
    taken: list[bytes] = []
    assert again.outbox is not None

    def take(parts: list[memoryview]) -> int:
        taken.extend(map(bytes, parts))
        return sum(map(len, parts))

    again.outbox.send(again.links["ALPHA"], take)
    resent = [codec.decode(frame) for frame in taken if b"\x0143=Y\x01" in frame]
    assert [(message.msg_type, message.get(34), message.get(150), message.get(11)) for message in resent] == [
        (b"8", b"3", b"F", b"maker")
    ]


def test_secrets_are_replayed_as_they_were_kept(on_disk: Opener) -> None:
    stage = on_disk()
    stage.connect("ALPHA", 0, (553, b"me"), (554, b"hunter2"))
    stage.drain()
    journal = b"".join(bytes(view) for _, view in stage.writer.batches)
    assert b"hunter2" not in journal and b"\x01554=*******\x01" in journal
    on_disk()


# ---------------------------------------------------------------- orders larger than a batch


def limit(name: bytes, side: bytes = b"1", qty: int = 10, price: bytes = b"10.00", tif: bytes = b"0") -> list[Field]:
    """A limit order for AAPL."""
    return [
        (35, b"D"), (11, name), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00"), (38, b"%d" % qty), (40, b"2"),
        (44, price), (59, tif),
    ]  # fmt: skip


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many makers that reports to them and to who sweeps them need several batches."""
    if not PLAIN:
        return 32_000
    # without compilation batches are made smaller instead
    for module in (fixsim.engine.tape, fixsim.exchange.tape):
        monkeypatch.setattr(module, "BATCH_BYTES", 384 << 10)
    return 900


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many makers that the fills of who sweeps them need several batches."""
    if not PLAIN:
        return 4_000
    monkeypatch.setattr(fixsim.engine.tape, "FILLS_BYTES", 128 << 10)
    return 900


def crowded(stage: Stage, makers: int, tif: bytes = b"0") -> None:
    """One sell order after another at a handful of prices, a few in each batch's worth of bytes."""
    stage.log_on("ALPHA", "BRAVO")
    for begin in range(0, makers, 500):
        for number in range(begin, min(begin + 500, makers)):
            name, price = b"m%d" % number, b"10.%02d" % (number % 7)
            stage.feed("ALPHA", stage.frame("ALPHA", limit(name, b"2", 1, price, tif)))
        stage.exchange.commit()
    stage.drain()


def large_config() -> Config:
    return small_config(orders=40_000, clordid_memory=400_000)


def test_a_sweep_larger_than_a_batch_goes_on_in_the_next_ones_and_replays(swept: int) -> None:
    stage = Stage(large_config())
    crowded(stage, swept)
    before = len(stage.writer.batches)
    said = stage.say("BRAVO", limit(b"sweep", b"1", swept + 5, b"11.00"))
    spent = stage.writer.batches[before:]
    assert len(spent) >= 3, "it does not fit one batch"
    assert len(said) == 1 + 2 * swept
    assert said[0][1][3:6] == [(17, b"%d" % (swept + 1)), (150, b"0"), (39, b"0")]
    fills = [dict(fields) for name, fields in said if name == "BRAVO"][1:]
    assert [int(fill[14]) for fill in fills] == list(range(1, swept + 1)), "every fill once, in order"
    assert len({fill[60] for fill in fills}) == 1, "all at one time"
    assert stage.books()["AAPL"][1] == []
    assert [order[3] for _, queue in stage.books()["AAPL"][0] for order in queue] == [5]
    assert stage.exchange.core["taker"] == -1
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_a_sweep_that_a_cut_journal_leaves_half_done_is_finished_at_the_start(swept: int) -> None:
    config = large_config()
    stage = Stage(config)
    crowded(stage, swept)
    before = len(stage.writer.batches)
    whole = stage.say("BRAVO", limit(b"sweep", b"1", swept, b"11.00"))
    for kept in range(before + 1, len(stage.writer.batches)):
        writer = MemoryWriter(stage.writer.batches[kept][0])
        again = Stage(config, writer, stage.writer.batches[:kept], now_ns=stage.now_ns)
        assert again.books() == stage.books()
        rest = [record for _, view in writer.batches for record in records(view) if record.kind == Kind.OUT]
        seen = sum(record.kind == Kind.OUT for _, view in stage.writer.batches[before:kept] for record in records(view))
        assert seen + len(rest) == len(whole), "nothing is lost, nothing said twice"
        said = [(record.session, bytes(record.payload)) for record in rest]
        wanted = [(record.session, bytes(record.payload)) for record in each_record(stage, Kind.OUT)]
        assert said == wanted[len(wanted) - len(said) :], "said as it would have been"
        journal = [*stage.writer.batches[:kept], *writer.batches]
        assert state_digest(rehearsed(journal)) == state_digest(again.exchange), "and this too is replayed"


@pytest.mark.parametrize("kept", ["all", "the first"])
def test_a_day_that_ends_with_more_orders_than_a_batch_holds(makers: int, kept: str) -> None:
    config = large_config()
    stage = Stage(config)
    crowded(stage, makers)
    before = len(stage.writer.batches)
    said = stage.tick(stage.now_ns + DAY_NS)
    assert len(said) == makers and stage.books()["AAPL"] == ([], [])
    assert len(stage.writer.batches) - before >= 2
    if kept == "all":
        assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)
        return
    writer = MemoryWriter(stage.writer.batches[before + 1][0])
    again = Stage(config, writer, stage.writer.batches[: before + 1], now_ns=stage.now_ns)
    assert again.books()["AAPL"] == ([], [])
    journal = [*stage.writer.batches[: before + 1], *writer.batches]
    assert sum(record.kind == Kind.OUT for _, view in journal[before:] for record in records(view)) == makers


# ---------------------------------------------------------------- damage


def _traded(on_disk: Opener) -> Stage:
    stage = on_disk()
    stage.log_on("ALPHA", "BRAVO")
    stage.say("ALPHA", limit(b"a"))
    stage.say("BRAVO", limit(b"b", b"2"))
    stage.say("ALPHA", limit(b"c"))
    return stage


def _poke(directory: Path, position: int, octets: bytes) -> None:
    """Change bytes of the first segment."""
    with segment_path(directory, 0).open("r+b") as file:
        file.seek(position)
        file.write(octets)


def test_a_report_that_would_not_be_said_again_stops_the_start_at_its_position(on_disk: Opener, tmp_path: Path) -> None:
    stage = _traded(on_disk)
    begin, view = stage.writer.batches[-1]
    report = [record for record in records(view) if record.kind == Kind.OUT][-1]
    at = bytes(report.payload).index(b"\x0155=AAPL") + 4
    changed = bytearray(view)
    changed[report.position - begin + RECORD_HEADER_BYTES + at] = ord("B")
    end = begin + len(view)
    seal = stage.writer.journal.position - SEAL_RECORD_BYTES
    assert seal == end
    _poke(tmp_path, begin, bytes(changed))
    with segment_path(tmp_path, 0).open("rb") as file:
        file.seek(begin)
        octets = file.read(len(view) + SEAL_RECORD_BYTES)
    count, _, previous, spare, first = SEAL_BODY.unpack_from(octets, len(view) + RECORD_HEADER_BYTES)
    crc = google_crc32c.value(octets[: len(view) + RECORD_HEADER_BYTES])
    _poke(tmp_path, end + RECORD_HEADER_BYTES, SEAL_BODY.pack(count, crc, previous, spare, first))
    with pytest.raises(ReplayDivergence) as caught:
        on_disk()
    assert caught.value.position == report.position
    assert b"BAPL" in caught.value.expected and b"AAPL" in caught.value.actual


def test_a_byte_that_rotted_stops_the_start_before_anything_is_replayed(on_disk: Opener, tmp_path: Path) -> None:
    stage = _traded(on_disk)
    begin, _ = stage.writer.batches[-2]
    _poke(tmp_path, begin + RECORD_HEADER_BYTES + 20, b"?")
    with pytest.raises(JournalCorrupt) as caught:
        on_disk()
    assert caught.value.position == begin


def test_a_torn_tail_is_cut_and_what_was_sealed_stays(on_disk: Opener, tmp_path: Path) -> None:
    stage = _traded(on_disk)
    begin, view = stage.writer.batches[-1]
    books = stage.books()
    _poke(tmp_path, begin + len(view), bytes(SEAL_RECORD_BYTES))
    again = on_disk()
    assert "cut" in again.writer.journal.note and str(begin) in again.writer.journal.note
    assert books["AAPL"][0] and again.books()["AAPL"] == ([], []), "order c was never sealed, hence never said"
    reconnect(again, "ALPHA", "BRAVO")
    said = again.say("ALPHA", limit(b"c"))
    assert [(name, dict(fields)[150]) for name, fields in said] == [("ALPHA", b"0")]
    third = on_disk()
    assert third.writer.journal.note == "" and third.books() == again.books()


def test_a_flow_that_fills_segments_is_replayed_over_their_borders(on_disk: Opener, makers: int) -> None:
    config = large_config()
    stage = on_disk(config)
    crowded(stage, makers)
    stage.say("BRAVO", limit(b"sweep", b"1", makers, b"11.00"))
    again = on_disk(config)
    assert len(list(again.writer.reader.segments())) >= (1 if PLAIN else 3)
    assert again.books() == stage.books()


# ---------------------------------------------------------------- another configuration


def _changed(config: Config, **instrument: object) -> Config:
    first, *others = config.instruments
    return replace(config, instruments=(replace(first, **instrument), *others))  # type: ignore[arg-type]


def test_what_a_journal_stands_on_may_not_change() -> None:
    config = small_config()
    stage = Stage(config)
    others = (
        small_config(orders=8_192),
        replace(config, venue=replace(config.venue, comp_id="OTHER")),
        replace(config, venue=replace(config.venue, avg_px_decimals=4)),
        replace(config, instruments=config.instruments[1:]),
        _changed(config, tick_size=config.instruments[0].tick_size * 5),
        _changed(config, lot_size=config.instruments[0].lot_size * 5),
    )
    for other in others:
        with pytest.raises(VenueError, match="data directory"):
            Stage(other, MemoryWriter(stage.writer.position), stage.writer.batches)


def test_what_may_change_does_so_at_the_start_and_is_replayed() -> None:
    config = small_config()
    stage = Stage(config)
    stage.log_on("ALPHA")
    stage.say("ALPHA", limit(b"a"))
    other = with_counterparty(config, last_msg_seq_num_processed=True)
    other = replace(other, venue=replace(other.venue, timestamp_precision="us"))
    new = replace(config.instruments[1], symbol="NEW")
    other = replace(other, instruments=(*config.instruments, new))
    writer = MemoryWriter(stage.writer.position)
    again = Stage(other, writer, stage.writer.batches)
    assert list(again.exchange.listings.by_symbol) == [b"AAPL", b"BIG", b"BTC-USDT", b"NEW"]
    member = again.exchange.members.find(b"ALPHA")
    assert member is not None and member.row["tells_processed"] == 1
    journal = [*stage.writer.batches, *writer.batches]
    assert sum(kind == Kind.START for _, view in journal for kind, *_ in inbound(view)) == 2
    assert state_digest(rehearsed(journal)) == state_digest(again.exchange)
