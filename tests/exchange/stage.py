"""An exchange in one process, on a stage: a journal in memory, a clock the test moves, and every report as it was said.

A `Stage` is driven as the gateway drives an exchange: bytes go into `receive`, and what was said is read from the
sealed batches. Each session's frames are checked on the way: framed right, numbered without a gap, said at the time of
the turn.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows import LISTINGS

from fixsim.config import Capacities, Config, Counterparty, Instrument, Venue
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.market import levels, queue
from fixsim.exchange.payloads import Hello
from fixsim.exchange.recovery import Rehearsal, inbound, open_exchange, replay, started_with
from fixsim.fix.codec import decode, encode
from fixsim.fix.dictionary import fix44
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_RECORD_BYTES, Record, records
from fixsim.layout import Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import format_utc_timestamp

Field = tuple[int, bytes]
#: One message that was said: to whom, and its fields from 35 on without what the session layer adds.
Said = tuple[str, list[Field]]
#: What rests on one side of a book: price, and (session, ClOrdID, OrderID, LeavesQty, CumQty, OrderQty) of each order.
Side = list[tuple[Decimal, list[tuple[str, bytes, int, Decimal, Decimal, Decimal]]]]

DAY_NS = 86_400_000_000_000
#: 2024-01-02 10:00 UTC.
MORNING_NS = 1_704_189_600_000_000_000
TARGET = "FIXSIM"
#: No journal lies there: the outbox of a stage is never read from.
NOWHERE = Path("/nonexistent/journal")
#: Tags the session layer adds to what the exchange says.
ENVELOPE = frozenset({8, 9, 49, 56, 34, 52, 369, 10})

#: Values that readers of numbers, times and single characters have stumbled over.
NASTY = (
    b"", b"0", b"00", b"-0", b"-1", b"+1", b"1e3", b"1.", b".5", b".", b"0.0", b"1.0000000", b" 1", b"1 ", b"007", b"1_0",
    b"\xff", b"99999999999999999999", b"9223372036854775808", b"0.00000000000000000001", b"18446744073709551617", b"1.5",
    b"12", b"Y", b"N", b"20240102-10:00:00", b"20240102-25:00:00", b"20240102-10:00:60", b"20240102-10:00:00.1",
    b"20240101-10:00:00.000", b"20240102-10:00:00.000000", b"20240102-10:00:00.000000000", b"x" * 30, b"x" * 31, b"x" * 64,
    b"x" * 65, b"0" * 63 + b"1", b"0" * 64 + b"1", b"1." + b"0" * 62, b"1." + b"0" * 63,
)  # fmt: skip

INSTRUMENTS = tuple(
    Instrument(
        listing.symbol, listing.tick_size, listing.lot_size, listing.min_qty, listing.max_qty, listing.currency,
        listing.reference_price,
    )
    for listing in LISTINGS
)


def small_config(strictness: str = "strict", **capacities: int) -> Config:
    """Everybody may log on and trade the instruments of `flows`; small tables, no look at SendingTime(52)."""
    chosen = {"orders": 4_096, "sessions": 16, "instruments": 16, "price_levels": 1_024, "clordid_memory": 32_768}
    return Config(
        venue=Venue(sending_time_tolerance_s=0.0),
        instruments=INSTRUMENTS,
        counterparties=(Counterparty("*", strictness=strictness),),
        capacities=Capacities(**(chosen | capacities)),
    )


class MemoryWriter:
    """A journal that is a list: `batches` are (position, records) as they were sealed."""

    def __init__(self, position: int = RECORD_HEADER_BYTES) -> None:
        self.position = position
        self.batches: list[tuple[int, memoryview]] = []

    def begin_batch(self) -> int:
        return self.position

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        self.batches.append((self.position, memoryview(bytes(buffer[:length]))))
        self.position += length + SEAL_RECORD_BYTES
        return self.position

    def fetch(self, position: int) -> bytes:
        """Payload of the record at `position`."""
        for begin, view in self.batches:
            if begin <= position < begin + len(view):
                return next(bytes(r.payload) for r in records(view) if r.position == position)
        raise KeyError(position)


@dataclass
class Stage:
    """An exchange that lives, its journal, and one link per session that logged on."""

    config: Config = field(default_factory=small_config)
    writer: Any = field(default_factory=MemoryWriter)
    batches: Iterable[tuple[int, memoryview]] = ()
    outbox: Outbox | None = None
    now_ns: int = MORNING_NS
    #: Where a driven clock begins, 0 for where it was; None for the wall's time.
    clock_start_ns: int | None = None

    def __post_init__(self) -> None:
        self.outbox = self.outbox or Outbox(Reader(NOWHERE))
        self.links: dict[str, int] = {}
        self.numbers: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        self.read = 0
        self.exchange: Exchange = open_exchange(
            self.config, iter(self.batches), self.writer, self.outbox, self.writer.fetch, fix44(), self.now_ns,
            clock_start_ns=self.clock_start_ns,
        )  # fmt: skip
        self.read = len(self.writer.batches)
        for name, member in self.exchange.members.by_name.items():
            self.heard[name.decode()] = int(member.row["next_out"]) - 1

    # ---- doing

    def frame(self, name: str, fields: Iterable[Field]) -> bytes:
        """The next message of `name`: MsgType(35) first, then header fields and the body."""
        (_, msg_type), *rest = fields
        number = self.numbers.get(name, 0) + 1
        self.numbers[name] = number
        head = ((49, name.encode()), (56, TARGET.encode()), (34, b"%d" % number))
        return encode(msg_type, (*head, (52, format_utc_timestamp(self.now_ns, 3))), rest)

    def connect(self, name: str, heartbeat_s: int = 0, *more: Field) -> None:
        """A connection of `name` and its Logon, which goes on with its sequence numbers; the batch is left open."""
        self.links[name] = self.exchange.open_link(Hello(name, TARGET, "127.0.0.1"), self.now_ns)
        self.feed(name, self.frame(name, [(35, b"A"), (98, b"0"), (108, b"%d" % heartbeat_s), *more]))

    def log_on(self, *names: str, heartbeat_s: int = 0) -> None:
        """Each of `names` connects and logs on."""
        for name in names:
            self.connect(name, heartbeat_s)
        self.drain()

    def feed(self, name: str, frames: bytes) -> None:
        """Bytes of `name`, which are whole frames, without sealing the batch."""
        buffer = bytearray(frames)
        assert self.exchange.receive(self.links[name], buffer, self.now_ns) == len(frames)

    def say(self, name: str, fields: Iterable[Field]) -> list[Said]:
        """One message of `name`, and everything it causes."""
        self.feed(name, self.frame(name, fields))
        return self.drain()

    def tick(self, now_ns: int) -> list[Said]:
        """A deadline."""
        self.now_ns = now_ns
        self.exchange.tick(now_ns)
        return self.drain()

    def command(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """An operator's command."""
        return self.commanded(verb, **arguments)[0]

    def commanded(self, verb: str, **arguments: Any) -> tuple[dict[str, Any], list[Said]]:
        """An operator's command: the answer to it, and everything it makes the exchange say."""
        answer = self.exchange.command(verb, arguments, "test", self.now_ns)
        return answer, self.drain()

    # ---- seeing

    def drain(self) -> list[Said]:
        """Seal the batch; what was said since the last call, to all sessions, in order."""
        self.exchange.commit()
        fresh = self.writer.batches[self.read :]
        self.read = len(self.writer.batches)
        names = {member.id: name.decode() for name, member in self.exchange.members.by_name.items()}
        return [
            (names[record.session], self._checked(names[record.session], record))
            for _, view in fresh
            for record in records(view)
            if record.kind == Kind.OUT
        ]

    def _checked(self, name: str, record: Record) -> list[Field]:
        """Fields of an OUT record, the session layer's taken off after they were checked."""
        message = decode(bytes(record.payload))
        said = dict(message.fields[:7])
        assert (said[8], said[49], said[56]) == (b"FIX.4.4", TARGET.encode(), name.encode())
        expected = self.heard.get(name, 0) + 1
        assert int(said[34]) == record.seq == expected, f"{name} should hear number {expected}: {message}"
        self.heard[name] = expected
        assert said[52] == format_utc_timestamp(record.time_ns, 3), f"said at {record.time_ns}: {message}"
        assert record.msg_type.rstrip(b"\0") == message.msg_type
        for tag, at in ((11, record.at_cl_ord_id), (37, record.at_order_id), (17, record.at_exec_id), (55, record.at_symbol)):
            assert record.value_at(at) == message.get(tag), f"the header points wrong at {tag}: {message}"
        return [(tag, value) for tag, value in message.fields if tag not in ENVELOPE]

    def books(self) -> dict[str, tuple[Side, Side]]:
        """What rests, by symbol: bids and asks, best first, oldest first."""
        return {symbol.decode(): (self._side(symbol, 0), self._side(symbol, 1)) for symbol in self.exchange.listings.by_symbol}

    def _side(self, symbol: bytes, number: int) -> Side:
        machine = self.exchange.machine
        listing = self.exchange.listings.by_symbol[symbol]
        tick, lot = listing.instrument.tick_size, listing.instrument.lot_size
        names = {slot: member.name.decode() for slot, member in self.exchange.members.by_slot.items()}
        side: Side = []
        for level in levels(machine, listing.book, number):
            orders = []
            for slot in queue(machine, level):
                row = machine.orders[slot]
                view = self.exchange.desk.view(slot)
                amounts = (int(row[key]) * lot for key in ("leaves", "cum", "qty"))
                orders.append((names[int(row["session"])], view.cl_ord_id, view.order_id, *amounts))
            side.append((Decimal("Infinity") if level.is_market else level.price * tick, orders))
        return side


def shown(fields: Iterable[Field]) -> str:
    """Fields as one line."""
    return "|".join(f"{tag}={value.decode('latin-1')}" for tag, value in fields)


def rehearsed(batches: Iterable[tuple[int, memoryview]]) -> Exchange:
    """The exchange as a journal left it, before another process starts: everything carried out again and compared."""
    writer = MemoryWriter()
    writer.batches = list(batches)
    rehearsal = Rehearsal(iter(writer.batches), writer)
    assert rehearsal.batch is not None
    start = next(inbound(rehearsal.batch[1]))
    exchange = Exchange(started_with(start[3]), rehearsal, Outbox(Reader(NOWHERE)), writer.fetch, fix44())
    replay(exchange, rehearsal)
    return exchange


def replayed(stage: Stage, config: Config | None = None) -> Stage:
    """Another process that starts from the journal of `stage`, writing on behind it in memory of its own."""
    writer = MemoryWriter(stage.writer.position)
    writer.batches = list(stage.writer.batches)
    return Stage(config or stage.config, writer, stage.writer.batches, now_ns=stage.now_ns)


def each_record(stage: Stage, kind: int) -> Iterator[Record]:
    """Records of one kind in the stage's journal."""
    return (record for _, view in stage.writer.batches for record in records(view) if record.kind == kind)


def with_counterparty(config: Config, **changes: Any) -> Config:
    """`config` with its one counterparty changed."""
    return replace(config, counterparties=(replace(config.counterparties[0], **changes),))
