"""A snapshot is the exchange: the same digest, and the same bytes from there on."""

import contextlib
import copy
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from exchange.limited import Trading, limited
from exchange.stage import DAY_NS, MORNING_NS, NOWHERE, MemoryWriter, Stage, small_config, with_counterparty
from exchange.test_breakers import Day
from exchange.test_digest import walk
from flows import SESSIONS, seeded_flow

from fixsim.config import Counterparty, Limits
from fixsim.errors import SnapshotError
from fixsim.exchange import digest, snapshot
from fixsim.exchange.digest import beside, state_digest, tables
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.plain import from_plain, sorted_text, to_plain
from fixsim.exchange.snapshot import PREFIX, Standing
from fixsim.fix.dictionary import fix44
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.session import State

SOMEWHERE = Standing(64, 0, 0, 0)
NS_PER_S = 1_000_000_000


def write(stage: Stage, path: Path) -> Path:
    with path.open("wb") as file:
        snapshot.write(stage.exchange, SOMEWHERE, file)
    return path


def twin_of(stage: Stage, path: Path) -> Stage:
    """A stage whose exchange is that of `stage` after a way through a file; both go on from here."""
    twin = copy.copy(stage)
    twin.writer = MemoryWriter(stage.writer.position)
    twin.writer.batches = list(stage.writer.batches)
    twin.links, twin.numbers, twin.heard = dict(stage.links), dict(stage.numbers), dict(stage.heard)
    twin.outbox = Outbox(Reader(NOWHERE))
    _, twin.exchange = snapshot.restore(write(stage, path), twin.writer, twin.outbox, twin.writer.fetch, fix44())
    return twin


def assert_alike(one: Stage, other: Stage) -> None:
    """Part by part, so that a difference has a name."""
    assert {name: bytes(view) for name, view in tables(one.exchange.machine)} == {
        name: bytes(view) for name, view in tables(other.exchange.machine)
    }
    assert list(beside(one.exchange)) == list(beside(other.exchange))
    assert state_digest(one.exchange) == state_digest(other.exchange)
    assert one.exchange.next_deadline_ns() == other.exchange.next_deadline_ns()


def lived(flawed: float = 0.1) -> Stage:
    """A stage that has seen something of everything."""
    stage = Stage()
    stage.log_on(*SESSIONS[:2])
    stage.log_on(SESSIONS[2], heartbeat_s=30)
    for name, fields in seeded_flow(3, 120, flawed=flawed):
        stage.say(name, fields)
    return stage


def go_on(stage: Stage, seed: int = 9) -> None:
    """Orders, heartbeats, a day that ends, a connection that breaks and comes back."""
    while stage.exchange._postponed:
        stage.tick(stage.now_ns + 1)
    for name, fields in seeded_flow(seed, 100, flawed=0.1):
        stage.now_ns += 7_000_000
        stage.say(name, [(tag, value if tag not in (11, 41) else b"n" + value) for tag, value in fields])
    stage.tick(stage.now_ns + 31 * NS_PER_S)
    stage.exchange.take_closings()
    stage.exchange.lose_link(stage.links[SESSIONS[0]], "test", stage.now_ns)
    stage.drain()
    member = stage.exchange.members.by_name[SESSIONS[0].encode()]
    stage.numbers[SESSIONS[0]], stage.heard[SESSIONS[0]] = int(member.row["next_in"]) - 1, int(member.row["next_out"]) - 1
    stage.log_on(SESSIONS[0], "NEWCOMER")
    stage.tick((stage.now_ns // DAY_NS + 1) * DAY_NS)


def halted(stage: Stage) -> None:
    stage.command("halt", symbol="AAPL")


def with_a_gap(stage: Stage) -> None:
    """Early messages wait for what is missing, some in the batch in front of the last one."""
    stage.numbers[SESSIONS[1]] += 1
    for number in range(20):
        stage.feed(SESSIONS[1], stage.frame(SESSIONS[1], [(35, b"1"), (112, b"%d" % number)]))
        stage.drain()
    missing, stage.numbers[SESSIONS[1]] = stage.numbers[SESSIONS[1]], stage.numbers[SESSIONS[1]] - 21
    stage.late = (missing, stage.frame(SESSIONS[1], [(35, b"0")]))  # type: ignore[attr-defined]
    stage.numbers[SESSIONS[1]] = missing


def with_early_messages_that_are_due(stage: Stage) -> None:
    """The gap is closed, and more early messages are due than one turn takes."""
    with_a_gap(stage)
    stage.feed(SESSIONS[1], stage.late[1])  # type: ignore[attr-defined]
    stage.drain()
    assert stage.exchange._postponed


def leaving(stage: Stage) -> None:
    stage.command("sessions.disconnect", session=SESSIONS[2])


def reset_while_connected(stage: Stage) -> None:
    stage.exchange.reset_at_ns = stage.now_ns + 1
    stage.tick(stage.now_ns + 1)


def with_routes(stage: Stage) -> None:
    """Accounts and routing that reports repeat."""
    for number in range(5):
        body = [(35, b"D"), (115, b"DESK%d" % number), (11, b"route%d" % number), (1, b"ACCOUNT%d" % (number % 2)),
                (55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), (38, b"10"), (40, b"2"), (44, b"1.00")]  # fmt: skip
        stage.say(SESSIONS[0], body)


MOMENTS: list[Callable[[Stage], None]] = [
    lambda stage: None, halted, with_a_gap, with_early_messages_that_are_due, leaving, reset_while_connected, with_routes,
    lambda stage: with_a_call(stage),
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__.strip("<>"))
def test_a_restored_exchange_says_the_same_bytes_from_there_on(tmp_path: Path, moment: Callable[[Stage], None]) -> None:
    stage = lived()
    moment(stage)
    twin = twin_of(stage, tmp_path / "one")
    assert_alike(stage, twin)
    for one in (stage, twin):
        if moment is with_a_gap:
            one.feed(SESSIONS[1], one.late[1])  # type: ignore[attr-defined]
            one.drain()
        go_on(one)
    assert stage.writer.batches == twin.writer.batches
    assert_alike(stage, twin)


#: Not a word of the state: which door, what the last call said, what only this process hears, an order of deadlines.
OF_THE_PROCESS = {
    "Exchange.fast_door", "Exchange.unfinished", "Exchange._closings", "Member.noted_ns", "Deadlines._pushed",
    "Deadlines._heap", "Phases._next_ns", "Status._next_ns",
}  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__.strip("<>"))
def test_a_restored_exchange_has_every_value_that_can_be_told(tmp_path: Path, moment: Callable[[Stage], None]) -> None:
    """Beyond what is registered: what is found anew from the state has to be there again too."""
    stage = lived()
    moment(stage)
    twin = twin_of(stage, tmp_path / "one")
    passing = {name for name, why in digest.NOT_STATE.items() if why == digest._TURN} | OF_THE_PROCESS
    mine, theirs = (told(one.exchange, passing) for one in (stage, twin))
    assert mine.keys() == theirs.keys()
    assert {name for name in mine if mine[name] != theirs[name]} == set()
    assert len(mine) > 60


def told(exchange: Exchange, passing: set[str]) -> dict[str, list[str]]:
    """Every attribute of everything an exchange is made of, as far as it is a value, by its name."""
    found: dict[str, list[str]] = {}
    for name, value in walk(exchange, set()):
        if name not in passing and not isinstance(value, np.ndarray | np.void):
            with contextlib.suppress(TypeError):
                found.setdefault(name, []).append(sorted_text(to_plain(value)))
    return {name: sorted(texts) for name, texts in found.items()}


def test_a_snapshot_of_an_exchange_in_which_nothing_happened(tmp_path: Path) -> None:
    stage = Stage()
    assert_alike(stage, twin_of(stage, tmp_path / "one"))


def test_many_sessions_that_made_way_for_each_other(tmp_path: Path) -> None:
    """Rows that were given to others: the order of the names is that in which they came, not that of the rows."""
    stage = Stage(small_config(sessions=8))
    for number in range(30):
        stage.log_on(f"GUEST{number:02}{'X' * (number % 5)}")
        if number % 3:
            name = list(stage.links)[-1]
            stage.exchange.lose_link(stage.links.pop(name), "gone", stage.now_ns)
            stage.drain()
        if len(stage.links) > 5:
            name = next(iter(stage.links))
            stage.exchange.lose_link(stage.links.pop(name), "gone", stage.now_ns)
            stage.drain()
    twin = twin_of(stage, tmp_path / "one")
    assert list(stage.exchange.members.by_name) == list(twin.exchange.members.by_name)
    assert_alike(stage, twin)
    for one in (stage, twin):
        one.log_on("LATECOMER")
    assert stage.writer.batches == twin.writer.batches


def test_what_an_instrument_was_when_it_was_listed_is_kept(tmp_path: Path) -> None:
    """A later configuration changes what new instruments are, not those that have a book."""
    stage = lived(0)
    config = stage.config
    changed = replace(config, instruments=tuple(replace(one, currency="CHF") for one in config.instruments))
    stage.exchange.start(b"{}", stage.now_ns)
    stage.exchange.adopt(changed)
    stage.drain()
    twin = twin_of(stage, tmp_path / "one")
    assert twin.exchange.listings.by_symbol == stage.exchange.listings.by_symbol
    assert twin.exchange.config == changed


def test_a_password_hash_never_gets_into_the_file(tmp_path: Path) -> None:
    secret = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
    stage = Stage(with_counterparty(small_config(), password_hash=secret))
    stage.log_on("ALPHA")
    path = write(stage, tmp_path / "one")
    assert secret.encode() not in path.read_bytes() and b"$argon2" not in path.read_bytes()
    assert_alike(stage, twin_of(stage, tmp_path / "two"))


def test_in_the_middle_of_a_turn_none_is_taken(tmp_path: Path) -> None:
    stage = lived()
    stage.feed(SESSIONS[0], stage.frame(SESSIONS[0], [(35, b"0")]))
    with pytest.raises(SnapshotError, match="in the middle of a turn"):
        write(stage, tmp_path / "one")
    stage.drain()
    stage.exchange.core["taker"] = 0
    with pytest.raises(SnapshotError, match="in the middle of a turn"):
        write(stage, tmp_path / "one")


# ---------------------------------------------------------------- phases, breakers, subscriptions


def with_a_call(stage: Stage) -> None:
    """Orders gather for an auction that ends by itself, one is good until a time, and somebody is told what happens."""
    stage.say(SESSIONS[0], [(35, b"e"), (324, b"S"), (55, b"AAPL"), (263, b"1")])
    stage.say(SESSIONS[0], limit(b"g", b"1", b"10.00", (126, b"20240102-10:00:40"), tif=b"6"))
    stage.command("phase", symbol="AAPL", phase="volatility-auction", seconds=20)
    stage.say(SESSIONS[1], limit(b"s", b"2", b"9.99"))


def limit(name: bytes, side: bytes, price: bytes, *more: tuple[int, bytes], tif: bytes = b"0") -> list[tuple[int, bytes]]:
    return [
        (35, b"D"), (11, name), (55, b"AAPL"), (54, side), (60, b"20240102-10:00:00"), (38, b"5"), (40, b"2"), (44, price),
        (59, tif), *more,
    ]  # fmt: skip


def test_a_driven_clock_goes_on_from_where_it_stands(tmp_path: Path) -> None:
    stage = Stage(clock_start_ns=MORNING_NS + 7 * NS_PER_S)
    stage.log_on(*SESSIONS)
    for name, fields in seeded_flow(3, 30):
        stage.say(name, fields)
    stage.command("clock.advance", by_ns=90 * NS_PER_S)
    twin = twin_of(stage, tmp_path / "one")
    assert twin.exchange.venue_ns == stage.exchange.venue_ns == MORNING_NS + 97 * NS_PER_S
    for one in (stage, twin):
        one.say(SESSIONS[0], limit(b"now", b"1", b"10.00"))
        one.command("clock.advance", by_ns=30 * 3_600 * NS_PER_S)
        one.say(SESSIONS[0], limit(b"then", b"1", b"10.00"))
    assert stage.writer.batches == twin.writer.batches
    assert_alike(stage, twin)


@pytest.mark.parametrize("breaker", ["price-monitoring", "velocity-logic", "luld-tier-1"])
@pytest.mark.parametrize("tripped", [False, True])
def test_what_breakers_remember_goes_on_as_it_would_have(tmp_path: Path, breaker: str, tripped: bool) -> None:
    day = Day(breaker)
    for price in ("100.10", "100.50", "101.00"):
        day.asks(price)
        day.order("TAKER", b"1", price, 4)
        day.wait(40)
    if tripped:
        day.asks("101.10", "125.00")
        day.order("TAKER", b"1", "125.00", 40)
    other = copy.copy(day)
    other.stage = twin_of(day.stage, tmp_path / "one")
    assert_alike(day.stage, other.stage)
    passing = {name for name, why in digest.NOT_STATE.items() if why == digest._TURN} | OF_THE_PROCESS
    assert told(day.exchange, passing) == told(other.exchange, passing)
    for one in (day, other):
        one.wait(100)
        one.bids("100.90", "90.00")
        one.order("TAKER", b"2", "80.00", 30)
        one.asks("103.00")
        one.wait(700)
        one.order("TAKER", b"1", "103.00", 3)
    assert day.stage.writer.batches == other.stage.writer.batches
    assert_alike(day.stage, other.stage)


def test_limits_positions_and_switches_go_on_as_they_would_have(tmp_path: Path) -> None:
    limits = Limits("session", "ALPHA", order_qty_max=Decimal(100)), Limits("firm", "ONE", position_max=Decimal(500))
    stage = Stage(limited(*limits))
    stage.log_on(*SESSIONS)
    flow = list(seeded_flow(4, 160, flawed=0.02, spread=6))
    for name, fields in flow[:80]:
        stage.say(name, fields)
    assert stage.command("kill", switch="on", scope="firm", name="TWO")["ok"]
    twin = twin_of(stage, tmp_path / "one")
    passing = {name for name, why in digest.NOT_STATE.items() if why == digest._TURN} | OF_THE_PROCESS
    assert told(stage.exchange, passing) == told(twin.exchange, passing)
    assert_alike(stage, twin)
    for one in (stage, twin):
        for name, fields in flow[80:]:
            one.say(name, fields)
        one.tick((one.now_ns // DAY_NS + 1) * DAY_NS)
    assert stage.writer.batches == twin.writer.batches
    assert_alike(stage, twin)


def test_who_logs_on_afterwards_is_heard_and_told(tmp_path: Path) -> None:
    stage = lived(0)
    twin = twin_of(stage, tmp_path / "one")
    for link in list(twin.exchange.links):
        twin.exchange.lose_link(link, "test", twin.now_ns)
    twin.drain()
    twin.log_on("FRESH")
    assert twin.outbox is not None and twin.outbox.pending(twin.links["FRESH"])


# ---------------------------------------------------------------- what others add


class Breaker:
    """Something that remembers, as a later room of the exchange might."""

    __module__ = "fixsim.exchange.breakers"

    def __init__(self) -> None:
        self.tripped: dict[bytes, Any] = {}
        self.history: Any = ()
        self.wired = object()


def test_what_is_registered_is_kept_without_another_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(digest.DIGESTED, "Breaker", ("tripped", "history"))
    made = Exchange.__init__

    def with_breaker(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        self.breaker = Breaker()

    monkeypatch.setattr(Exchange, "__init__", with_breaker)
    stage = lived(0)
    before = state_digest(stage.exchange)
    breaker: Any = stage.exchange.breaker  # type: ignore[attr-defined]
    breaker.tripped[b"AAPL"] = stage.exchange.listings.by_symbol[b"AAPL"]
    breaker.tripped[b"\xff\x01"] = {State.ACTIVE: [1, None, True, "text", 1 << 62, 0.1]}
    breaker.history = (deque([Decimal("1.50")]), {3, 1, 2}, frozenset({b"x"}), np.arange(4, dtype=np.int32), bytearray(b"z"))
    assert state_digest(stage.exchange) != before
    twin = twin_of(stage, tmp_path / "one")
    again: Any = twin.exchange.breaker  # type: ignore[attr-defined]
    assert again.tripped == breaker.tripped
    for one, other in zip(again.history, breaker.history, strict=True):
        assert type(one) is type(other) and list(one) == list(other)
    assert_alike(stage, twin)


def test_what_cannot_be_kept_says_so_at_once() -> None:
    stage = Stage()
    stage.exchange._postponed = {1: object()}  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="cannot be remembered beside the tables"):
        state_digest(stage.exchange)


def test_the_order_of_keys_is_kept_and_does_not_count() -> None:
    one, other = {b"b": 1, b"a": 2}, {b"a": 2, b"b": 1}
    assert list(from_plain(to_plain(one), {})) == [b"b", b"a"]
    assert sorted_text(to_plain(one)) == sorted_text(to_plain(other))


# ---------------------------------------------------------------- what is not believed


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(lived(), tmp_path_factory.mktemp("good") / "one").read_bytes()


def refused(path: Path, octets: bytes) -> str:
    path.write_bytes(octets)
    writer = MemoryWriter()
    with pytest.raises(SnapshotError) as caught:
        snapshot.restore(path, writer, Outbox(Reader(NOWHERE)), writer.fetch, fix44())
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.9999, 1.0])
def test_one_flipped_bit_anywhere_is_noticed(good: bytes, tmp_path: Path, share: float) -> None:
    at = min(len(good) - 1, int(share * len(good)))
    octets = bytearray(good)
    octets[at] ^= 1 << (at % 8)
    assert refused(tmp_path / "one", bytes(octets))


@pytest.mark.parametrize("length", [0, 7, 23, 24, 1_000, -1_000_000, -4, -1])
def test_a_file_cut_short_is_noticed(good: bytes, tmp_path: Path, length: int) -> None:
    assert refused(tmp_path / "one", good[:length])


def test_a_file_with_more_behind_its_end_is_noticed(good: bytes, tmp_path: Path) -> None:
    assert refused(tmp_path / "one", good + b"\0") == "its checksum is wrong"


def with_header(octets: bytes, change: Callable[[str], str]) -> bytes:
    """The file with another header, its checksum made right."""
    magic, number, _, length = PREFIX.unpack_from(octets)
    text = change(octets[PREFIX.size : PREFIX.size + length].decode()).encode()
    return PREFIX.pack(magic, number, google_crc32c.value(text), len(text)) + text + octets[PREFIX.size + length :]


def test_another_layout_is_refused(good: bytes, tmp_path: Path) -> None:
    layout = snapshot.layout_digest()
    text = refused(tmp_path / "one", with_header(good, lambda text: text.replace(layout, "0" * len(layout))))
    assert text.startswith("was written by another release, fixsim")


@pytest.mark.parametrize(("old", "new", "why"), [
    ('"reset_at_ns":9223372036854775807', '"reset_at_ns":1704189600000000001', "comes to the state digest"),
    ('{"enum":["fixsim.session.states:State","ACTIVE"]}', '{"enum":["os:System","ACTIVE"]}', "no exchange can be made of"),
    ('["names",', '["nomes",', "no exchange can be made of"),
    ('["orders",', '["orders",9999', "bytes of orders"),
    ('"exchange"', '"exchanje"', "remembers other things"),
])  # fmt: skip
def test_contents_that_cannot_be_are_refused(good: bytes, tmp_path: Path, old: str, new: str, why: str) -> None:
    assert why in refused(tmp_path / "one", with_header(good, lambda text: text.replace(old, new, 1)))


def test_a_counterparty_that_the_configuration_no_longer_names_is_kept(tmp_path: Path) -> None:
    stage = lived(0)
    stage.exchange.start(b"{}", stage.now_ns)
    stage.exchange.adopt(replace(stage.config, counterparties=(Counterparty("ELSE"),)))
    stage.drain()
    twin = twin_of(stage, tmp_path / "one")
    for name, member in stage.exchange.members.by_name.items():
        assert twin.exchange.members.by_name[name].counterparty == member.counterparty
    assert_alike(stage, twin)


def test_limits_and_switches_go_on_from_a_snapshot(tmp_path: Path) -> None:
    limits = (
        Limits("session", "ALPHA", position_max=Decimal(100), duplicate_window_ms=60_000),
        Limits("account", "*", open_orders_max=2),
    )
    trading = Trading(*limits, counterparty={"cancel_on_disconnect": True, "cancel_grace_s": 5.0})
    trading.buy("ALPHA", 60, "10.00", "1=ACC")
    trading.sell("CHARLIE", 50, "10.00")
    trading.stage.command("kill", switch="on", scope="firm", name="TWO")
    trading.buy("BRAVO", 1, "9.00")
    trading.stage.exchange.lose_link(trading.stage.links["BRAVO"], "cable", trading.stage.now_ns)
    trading.stage.drain()
    other = Trading.__new__(Trading)
    other.count, other.stage = trading.count, twin_of(trading.stage, tmp_path / "one")
    for one in (trading, other):
        assert one.buy("ALPHA", 60, "10.00", "1=ACC") == "Same terms as an order just entered (session)"
        assert one.buy("ALPHA", 41, "9.00") == "Position limit exceeded (session)"
        assert one.buy("ALPHA", 1, "9.00", "1=NEW|11=n1") == "0"
        assert one.buy("CHARLIE", 1, "9.00") == "Kill switch is on (firm)"
        assert [dict(fields)[378] for _, fields in one.wait(5_000)] == [b"7"]
    assert state_digest(trading.stage.exchange) == state_digest(other.stage.exchange)
