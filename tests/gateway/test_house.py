"""The house on a real exchange and a real journal, in invented time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from fixsim.client.core import Core, Identity, Received
from fixsim.client.orders import Order, new_order
from fixsim.client.store import MemoryStore
from fixsim.config import Capacities, Config, Counterparty, Instrument
from fixsim.config import House as HouseSettings
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import Hello
from fixsim.exchange.recovery import open_exchange
from fixsim.fix import codec, tags
from fixsim.fix.dictionary import fix44
from fixsim.fix.message import Message
from fixsim.fix.tags import MsgType, Side, TimeInForce
from fixsim.gateway.house import NOTES, PATIENCE_NS, House
from fixsim.gateway.quoter import Place, wishes
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.writer import Writer
from fixsim.layout import Kind
from fixsim.units import NS_PER_S, format_utc_timestamp

START_NS = 1_800_000_000 * NS_PER_S


def instrument(symbol: str, tick: str, lot: str, price: str | None) -> Instrument:
    return Instrument(
        symbol=symbol,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_qty=Decimal(lot),
        max_qty=Decimal(lot) * 1_000_000,
        reference_price=None if price is None else Decimal(price),
    )


CONFIG = Config(
    instruments=(
        instrument("AAPL", "0.01", "1", "187.25"),
        instrument("BTC-USDT", "0.01", "0.0001", "65000"),
        instrument("QUIET", "0.01", "1", None),
        instrument("SYM*", "0.01", "1", "10"),
    ),
    counterparties=(Counterparty(sender_comp_id="*"),),
    house=HouseSettings(levels=2),
    capacities=Capacities(orders=4096, sessions=16, instruments=16, price_levels=1024, clordid_memory=4096),
)


class Venue:
    """An exchange with its house, driven turn by turn; `die` is kill -9."""

    def __init__(self, directory: Path, config: Config = CONFIG, now_ns: int = START_NS) -> None:
        self.config, self.now_ns = config, now_ns
        self.reader = Reader(directory)
        batches = ((batch.begin, batch.view) for batch in self.reader.batches())
        self.writer = Writer.open(directory, reader=self.reader, segment_bytes=16 << 20)
        self.exchange: Exchange = open_exchange(
            config, batches, self.writer, Outbox(self.reader), lambda at: bytes(self.reader.read(at).payload),
            fix44(), now_ns,
        )  # fmt: skip
        assert config.house is not None
        self.house = House(config.house, self.exchange, directory)
        self.house.open(self.now_ns)
        self.settle()

    def settle(self) -> None:
        """Turn until nobody has anything to do at once."""
        for _ in range(200):
            self.exchange.commit()
            self.house.act(self.now_ns)
            for link, reason in self.exchange.take_closings():
                if link == self.house.link:
                    self.house.lose(self.now_ns, reason)
                else:
                    self.exchange.lose_link(link, reason, self.now_ns)
            if self.exchange.tape.used == 0 and self.house.next_deadline_ns() > self.now_ns:
                return
        raise AssertionError("the house does not come to rest")

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)
        self.exchange.tick(self.now_ns)
        self.settle()

    def die(self) -> None:
        self.writer.close()

    def book(self) -> dict[Place, str]:
        """What rests, by place, as a counterparty sees it in snapshots."""
        trader = Trader(self, "VIEWER")
        found: dict[Place, str] = {}
        for symbol in ("AAPL", "BTC-USDT", "QUIET"):
            for snapshot in trader.say(MsgType.MARKET_DATA_REQUEST, snapshot_request(symbol)):
                found |= places(symbol, snapshot)
        trader.leave()
        return found


def snapshot_request(symbol: str) -> list[tuple[int, bytes]]:
    return [
        (tags.MD_REQ_ID, b"1"), (tags.SUBSCRIPTION_REQUEST_TYPE, b"0"), (tags.MARKET_DEPTH, b"0"),
        (tags.NO_MD_ENTRY_TYPES, b"2"), (tags.MD_ENTRY_TYPE, b"0"), (tags.MD_ENTRY_TYPE, b"1"),
        (tags.NO_RELATED_SYM, b"1"), (tags.SYMBOL, symbol.encode()),
    ]  # fmt: skip


def places(symbol: str, snapshot: Message) -> dict[Place, str]:
    columns = (tags.MD_ENTRY_TYPE, tags.MD_ENTRY_PX, tags.MD_ENTRY_SIZE)
    rows = zip(*(snapshot.all(tag) for tag in columns), strict=True)
    sides = {b"0": "1", b"1": "2"}
    return {Place(symbol, sides[kind], price.decode()): size.decode() for kind, price, size in rows if size != b"0"}


class Trader:
    """A counterparty on an in-process link of its own."""

    def __init__(self, venue: Venue, name: str) -> None:
        self.venue = venue
        self.core = Core(Identity(name.encode(), b"FIXSIM", heartbeat_s=0), MemoryStore())
        self.link = venue.exchange.open_link(Hello(name, "FIXSIM", "in-process"), venue.now_ns)
        self.heard = bytearray()
        venue.exchange.listen(self.link, self._hear)
        self.core.connected(venue.now_ns, reset=True)
        self._carry()

    def _hear(self, views: Sequence[memoryview]) -> int:
        before = len(self.heard)
        for view in views:
            self.heard += view
        return len(self.heard) - before

    def _carry(self) -> list[Message]:
        self.venue.exchange.receive(self.link, bytearray(self.core.take_bytes()), self.venue.now_ns)
        self.venue.settle()
        self.core.receive(bytes(self.heard), self.venue.now_ns)
        self.heard.clear()
        return [item.message for item in self.core.take_news() if isinstance(item, Received)]

    def say(self, msg_type: bytes, body: list[tuple[int, bytes]]) -> list[Message]:
        self.core.say(msg_type, body, self.venue.now_ns)
        return self._carry()

    def market(self, cl_ord_id: str, side: bytes, qty: str, symbol: str = "AAPL") -> list[Message]:
        order = Order(cl_ord_id, symbol, side, qty, None, b"1")
        stamp = format_utc_timestamp(self.venue.now_ns, 3)
        return self.say(MsgType.NEW_ORDER_SINGLE, new_order(order, TimeInForce.DAY, stamp))

    def leave(self) -> None:
        self.venue.exchange.lose_link(self.link, "done", self.venue.now_ns)
        self.venue.exchange.commit()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(tmp_path)
    yield venue
    venue.die()


WISHED = {
    Place("AAPL", "1", "187.16"): "534",
    Place("AAPL", "1", "187.07"): "534",
    Place("AAPL", "2", "187.34"): "534",
    Place("AAPL", "2", "187.43"): "534",
    Place("BTC-USDT", "1", "64967.50"): "1.5384",
    Place("BTC-USDT", "1", "64935.00"): "1.5384",
    Place("BTC-USDT", "2", "65032.50"): "1.5384",
    Place("BTC-USDT", "2", "65065.00"): "1.5384",
}


def frames_of(directory: Path, kind: int, msg_type: bytes) -> list[Message]:
    found = []
    for batch in Reader(directory).batches():
        for record in records(batch.view):
            if record.kind == kind:
                message = codec.decode(bytes(record.payload), check=False)
                if message.msg_type == msg_type:
                    found.append(message)
    return found


def test_the_wishes_are_levels_around_each_reference_price() -> None:
    assert {place: wish.text(wish.lots) for place, wish in wishes(CONFIG).items()} == WISHED


def test_the_house_quotes_what_it_wishes_and_nothing_else(venue: Venue) -> None:
    assert venue.book() == WISHED


def test_quotes_are_journaled_like_anybodys_orders(venue: Venue, tmp_path: Path) -> None:
    orders = frames_of(tmp_path, Kind.IN, MsgType.NEW_ORDER_SINGLE)
    assert len(orders) == len(WISHED)
    assert {order.get(tags.SENDER_COMP_ID) for order in orders} == {b"HOUSE"}


def test_a_market_order_fills_and_the_level_is_full_again(venue: Venue) -> None:
    reports = Trader(venue, "NEWCOMER").market("1", Side.BUY, "100")
    assert [report.get(tags.LAST_PX) for report in reports] == [None, b"187.34"]
    assert venue.book() == WISHED


def test_a_sweep_through_every_level_is_replenished(venue: Venue) -> None:
    trader = Trader(venue, "NEWCOMER")
    reports = trader.market("1", Side.SELL, "2000")
    assert reports[-1].get(tags.CUM_QTY) == b"1068"
    assert venue.book() == WISHED


def test_after_a_crash_the_quotes_rest_and_nothing_is_doubled(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    Trader(venue, "NEWCOMER").market("1", Side.BUY, "100")
    orders = venue.house.quoter.last_id
    venue.die()
    again = Venue(tmp_path, now_ns=START_NS + NS_PER_S)
    assert again.book() == WISHED
    assert again.house.quoter.last_id == orders
    again.die()


@pytest.mark.parametrize("notes", ["fresh", "old", "none", "broken"])
def test_fills_the_house_did_not_hear_of_are_made_good_after_a_crash(tmp_path: Path, notes: str) -> None:
    venue = Venue(tmp_path)
    venue.sleep(2)
    trader = Trader(venue, "NEWCOMER")
    kept = (tmp_path / NOTES).read_bytes()
    trader.market("0", Side.BUY, "1")
    venue.sleep(2)
    venue.house.act = lambda now_ns: False  # type: ignore[method-assign]  # the process dies before it hears
    venue.house.next_deadline_ns = lambda: venue.now_ns + 1  # type: ignore[method-assign]
    trader.market("1", Side.BUY, "600")
    trader.market("2", Side.SELL, "0.5", "BTC-USDT")
    venue.die()
    match notes:
        case "old":
            (tmp_path / NOTES).write_bytes(kept)
        case "none":
            (tmp_path / NOTES).unlink()
        case "broken":
            (tmp_path / NOTES).write_bytes(kept[:40])
    again = Venue(tmp_path, now_ns=venue.now_ns + NS_PER_S)
    assert again.book() == WISHED
    again.die()


def test_a_crash_between_quotes_and_their_answers_doubles_nothing(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    trader = Trader(venue, "NEWCOMER")
    venue.house._hear = lambda views: sum(map(len, views))  # type: ignore[method-assign]
    venue.exchange.listen(venue.house.link, venue.house._hear)  # what is said to it is lost from now on
    trader.market("1", Side.BUY, "600")
    venue.die()
    for _ in range(3):
        again = Venue(tmp_path, now_ns=venue.now_ns + NS_PER_S)
        assert again.book() == WISHED
        again.die()


def test_a_run_restarted_by_an_operator_doubles_nothing(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    Trader(venue, "NEWCOMER").market("1", Side.BUY, "600")
    venue.sleep(2)
    for verb in ("sessions.disconnect", "sessions.reset"):
        assert venue.exchange.command(verb, {"session": "HOUSE"}, "test", venue.now_ns)["ok"]
        venue.settle()
    venue.sleep(PATIENCE_NS / NS_PER_S)
    assert venue.book() == WISHED
    Trader(venue, "OTHER").market("1", Side.BUY, "100")
    assert venue.book() == WISHED
    venue.die()


def test_a_halted_instrument_is_quoted_again_after_it_resumes(venue: Venue) -> None:
    trader = Trader(venue, "NEWCOMER")
    trader.market("1", Side.BUY, "600")
    venue.exchange.command("halt", {"symbol": "AAPL"}, "test", venue.now_ns)
    venue.settle()
    assert venue.book() == WISHED  # resting orders stay
    venue.exchange.command("resume", {"symbol": "AAPL"}, "test", venue.now_ns)
    trader.market("2", Side.BUY, "600")
    assert venue.book() == WISHED


def test_quotes_at_prices_nobody_wishes_any_more_are_cancelled(tmp_path: Path) -> None:
    Venue(tmp_path).die()
    moved = (replace(CONFIG.instruments[0], reference_price=Decimal("190")), *CONFIG.instruments[1:])
    again = Venue(tmp_path, replace(CONFIG, instruments=moved), START_NS + NS_PER_S)
    book = again.book()
    prices = {place.price for place in book if place.symbol == "AAPL"}
    assert prices == {"189.91", "189.82", "190.09", "190.18"}
    assert len(book) == len(WISHED)
    again.die()


def test_a_clean_stop_needs_no_resend_at_the_next_start(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    Trader(venue, "NEWCOMER").market("1", Side.BUY, "600")
    venue.exchange.shut_down("The exchange is closing", venue.now_ns)
    venue.settle()
    venue.exchange.commit()
    venue.die()
    again = Venue(tmp_path, now_ns=START_NS + NS_PER_S)
    assert again.book() == WISHED
    assert frames_of(tmp_path, Kind.IN, MsgType.RESEND_REQUEST) == []
    again.die()
