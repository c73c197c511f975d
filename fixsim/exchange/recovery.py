"""From a journal to a living exchange: inbound records are carried out again, and every byte said is compared.

The exchange does not know whether it lives or rehearses: it writes into its batch as always, and the writer it was
given compares instead of writing. When the journal ends, the real writer takes over; what an interrupted order still
owed is said then.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from fixsim.config import Config
from fixsim.errors import ReplayDivergence, VenueError
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import Hello, start_payload
from fixsim.exchange.reload import change_faults
from fixsim.exchange.tape import JournalWriter
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.record import HEADER
from fixsim.layout import INBOUND, Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import format_utc_timestamp

#: MsgTypes, zero-padded as in a header, of frames that are taken together when they came together.
ORDERS: Final = frozenset({b"D\0", b"F\0", b"G\0"})

#: (position of its first byte, its records without the seal) of each sealed batch, in order.
Batches = Iterator[tuple[int, memoryview]]


class Rehearsal:
    """A journal writer that compares: what the exchange writes must be what the journal holds. Then the real one takes over."""

    def __init__(self, batches: Batches, writer: JournalWriter) -> None:
        self._batches = batches
        self._writer = writer
        self.batch = next(batches, None)
        #: Records compared, and inbound ones carried out.
        self.compared = 0
        self.carried = 0
        #: Position of the inbound record that is being carried out, and behind the last record compared.
        self.at = 0
        self.end = 0

    def begin_batch(self) -> int:
        """Position of the recorded batch, or of a fresh one behind the journal's end."""
        return self._writer.begin_batch() if self.batch is None else self.batch[0]

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Compare a batch with the recorded one. Raises ReplayDivergence at the first record that differs."""
        if self.batch is None:
            return self._writer.append(buffer, length, count, time_ns)
        begin, recorded = self.batch
        if buffer[:length] != recorded:
            raise _divergence(begin, recorded, buffer[:length])
        self.compared += count
        self.end = begin + length
        self.batch = next(self._batches, None)
        return begin + length


def _divergence(begin: int, recorded: memoryview, replayed: memoryview) -> ReplayDivergence:
    """The first record that differs."""
    at = 0
    while True:
        expected, actual = _record_at(recorded, at), _record_at(replayed, at)
        if expected != actual or not expected:
            return ReplayDivergence(begin + at, expected, actual)
        at += len(expected)


def _record_at(batch: memoryview, at: int) -> bytes:
    if at >= len(batch):
        return b""
    length = HEADER.unpack_from(batch, at)[3]
    return bytes(batch[at : at + RECORD_HEADER_BYTES + ((length + 7) & ~7)])


class Step(NamedTuple):
    """An inbound record, or several orders that came on one connection in one turn: `records` of them from `position` on."""

    position: int
    kind: int
    time_ns: int
    link: int
    payload: bytes
    records: int = 1


def inbound(batch: memoryview) -> Iterator[tuple[int, int, int, bytes]]:
    """(kind, time_ns, link, payload) of the records of a batch that change state."""
    at = 0
    while at < len(batch):
        header = HEADER.unpack_from(batch, at)
        kind, length = header[1], header[3]
        if kind in INBOUND:
            begin = at + RECORD_HEADER_BYTES
            yield kind, header[5], header[15], bytes(batch[begin : begin + length])
        at += RECORD_HEADER_BYTES + ((length + 7) & ~7)


def steps(batch: memoryview) -> Iterator[Step]:
    """The records of a batch that change state, orders of one connection and turn together: one call takes them all."""
    unpack, octets, at = HEADER.unpack_from, bytes(batch), 0
    run: list[bytes] = []
    position = time_ns = link = 0
    while at < len(octets):
        header = unpack(octets, at)
        kind, length = header[1], header[3]
        begin = at + RECORD_HEADER_BYTES
        at = begin + ((length + 7) & ~7)
        if kind == Kind.OUT:
            continue
        together = kind == Kind.IN and header[10] in ORDERS
        if run and not (together and header[15] == link and header[5] == time_ns):
            yield Step(position, Kind.IN, time_ns, link, b"".join(run), len(run))
            run = []
        if together:
            if not run:
                position, time_ns, link = header[4], header[5], header[15]
            run.append(octets[begin : begin + length])
        elif kind in INBOUND:
            yield Step(header[4], kind, header[5], header[15], octets[begin : begin + length])
    if run:
        yield Step(position, Kind.IN, time_ns, link, b"".join(run), len(run))


def replay(exchange: Exchange, rehearsal: Rehearsal, progress: Callable[[int], None] | None = None) -> None:
    """Carry out everything `rehearsal` has left; `progress` is told the position after each batch."""
    for position in turns(exchange, rehearsal):
        if progress is not None:
            progress(position)


def turns(exchange: Exchange, rehearsal: Rehearsal) -> Iterator[int]:
    """Carry out one batch after the other; the position of each. Raises ReplayDivergence."""
    while rehearsal.batch is not None:
        batch = rehearsal.batch
        for step in steps(batch[1]):
            rehearsal.at = step.position
            if step.records == 1:
                carry_out(exchange, step.kind, step.time_ns, step.link, step.payload)
            else:
                exchange.receive(step.link, bytearray(step.payload), step.time_ns)
            rehearsal.carried += step.records
            if rehearsal.batch is not batch:
                break  # an order larger than a batch went on in the next one
        if rehearsal.batch is batch:
            exchange.commit()
        if rehearsal.batch is batch:
            raise _divergence(*batch, memoryview(b""))  # nothing in it makes us say what it says
        exchange.take_closings()
        yield batch[0]


def carry_out(exchange: Exchange, kind: int, time_ns: int, link: int, payload: bytes) -> None:
    """Do with a record what was done when it was written."""
    exchange.tape.begin(time_ns)
    match kind:
        case Kind.IN:
            exchange.take_frame(link, payload)
        case Kind.GARBLED:
            exchange.repeat_garbled(link, payload)
        case Kind.TICK:
            exchange.tick(time_ns)
        case Kind.LINK:
            _link(exchange, link, json.loads(payload), time_ns)
        case Kind.OPERATOR:
            said = json.loads(payload)
            exchange.command(said["verb"], said["arguments"], said["who"], time_ns, said["why"])
        case Kind.START:
            exchange.start(payload, time_ns)
            exchange.adopt(started_with(payload))
        case Kind.CONFIG:
            exchange.reload(started_with(payload), payload, time_ns)


def _link(exchange: Exchange, link: int, said: dict[str, Any], time_ns: int) -> None:
    if said["event"] == "connected":
        exchange.open_link(Hello(said["sender"], said["target"], said["peer"], said["verdict"]), time_ns)
    else:
        exchange.lose_link(link, said["reason"], time_ns)


def started_with(payload: bytes) -> Config:
    """The configuration in a START or CONFIG record."""
    return Config.from_normalised(json.dumps(json.loads(payload)["config"]))


def open_exchange(
    config: Config,
    batches: Batches,
    writer: JournalWriter,
    outbox: Outbox,
    fetch: Callable[[int], bytes],
    dictionary: Dictionary,
    now_ns: int,
    progress: Callable[[int], None] | None = None,
    clock_start_ns: int | None = None,
) -> Exchange:
    """The exchange as the journal says it was, started under `config` at `now_ns`; its START record is sealed.

    Venue time is that of the turns; with `clock_start_ns` it begins there and is driven (0: it goes on where it was). Raises
    ReplayDivergence when replaying gives other bytes than were said, VenueError when `config` or the clock cannot go on where
    the journal stopped.
    """
    rehearsal = Rehearsal(batches, writer)
    venue_before_ns = 0
    if rehearsal.batch is None:
        exchange = Exchange(config, writer, outbox, fetch, dictionary)
    else:
        first = next(inbound(rehearsal.batch[1]))
        before = started_with(first[3])
        exchange = Exchange(before, rehearsal, outbox, fetch, dictionary)
        replay(exchange, rehearsal, progress)
        _check_change(exchange, config)
        exchange.tape.writer = writer
        now_ns = max(now_ns, exchange.tape.now_ns)
        venue_before_ns = exchange.venue_ns
    venue_ns = 0 if clock_start_ns is None else clock_start_ns or venue_before_ns or now_ns
    _check_time(venue_before_ns, venue_ns or now_ns)
    exchange.start(start_payload(config, venue_ns or now_ns, venue_ns), now_ns)
    exchange.adopt(config)
    exchange.commit()
    return exchange


def _check_time(before_ns: int, after_ns: int) -> None:
    """Whatever clock there was and is, the venue's time does not go back. Raises VenueError."""
    if after_ns < before_ns:
        before, after = (format_utc_timestamp(ns, 9).decode() for ns in (before_ns, after_ns))
        raise VenueError(
            f"venue time was {before} when this data directory was left, and would go back to {after}; "
            "start with --clock simulated and a later --clock-start or none, or use another data directory"
        )


def _check_change(exchange: Exchange, after: Config) -> None:
    """What a configuration may not change while a journal goes on. Raises VenueError with all of it."""
    faults = change_faults(exchange, after)
    if faults:
        raise VenueError("\n".join(f"{key}: {reason}" for key, reason in faults))
