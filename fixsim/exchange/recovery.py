"""From a journal to a living exchange: inbound records are carried out again, and every byte said is compared.

The exchange does not know whether it lives or rehearses: it writes into its batch as always, and the writer it was
given compares instead of writing. When the journal ends, the real writer takes over; what an interrupted order still
owed is said then.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from fixsim.config import Config
from fixsim.engine.rehearse import BREAK, ENDED, LARGE, PLAIN
from fixsim.errors import ReplayDivergence, VenueError
from fixsim.exchange.course import Course
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.payloads import Hello, start_payload
from fixsim.exchange.reload import change_faults
from fixsim.exchange.tape import JournalWriter
from fixsim.exchange.walker import Begun, Walker
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.record import HEADER, SEAL_RECORD_BYTES
from fixsim.layout import INBOUND, NEVER, Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.units import format_utc_timestamp

#: (position of its first byte, its records without the seal) of each sealed batch, in order.
Batches = Iterator[tuple[int, memoryview]]


class Rehearsal:
    """A journal writer that compares: what the exchange writes must be what the journal holds. Then the real one takes over."""

    def __init__(self, batches: Batches, writer: JournalWriter) -> None:
        self._batches = batches
        self._writer = writer
        self._batch: tuple[int, memoryview] | None = None
        #: Whether the batch after the last one compared was looked for.
        self._is_found = False
        #: Records compared, and inbound ones carried out.
        self.compared = 0
        self.carried = 0
        #: No further batch is begun in one go with others when so many inbound records were carried out.
        self.pause = NEVER
        #: Position of the inbound record that is being carried out, and behind the last record compared.
        self.at = 0
        self.end = 0

    @property
    def batch(self) -> tuple[int, memoryview] | None:
        """The batch to compare with next, None behind the last one."""
        if not self._is_found:
            self._batch, self._is_found = next(self._batches, None), True
        return self._batch

    def is_at(self, batch: tuple[int, memoryview]) -> bool:
        """Is this batch still to be compared?"""
        return self._is_found and self._batch is batch

    @property
    def has_begun(self) -> bool:
        """Was the next batch looked for already? An order that ends in it has."""
        return self._is_found and self._batch is not None

    def take_over(self, writer: JournalWriter) -> None:
        """Behind the journal's end `writer` writes."""
        self._writer = writer

    def begin_batch(self) -> int:
        """Position of the recorded batch, or of a fresh one behind the journal's end."""
        return self._writer.begin_batch() if self.batch is None else self.batch[0]

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Compare a batch with the recorded one. Raises ReplayDivergence at the first record that differs."""
        if self.batch is None:
            return self._writer.append(buffer, length, count, time_ns)
        begin, recorded = self.batch
        if bytes(buffer[:length]) != bytes(recorded):  # views would be compared item by item
            raise _divergence(begin, recorded, buffer[:length])
        self.compared += count
        self.end = begin + length
        self._is_found = False
        return begin + length

    def take_whole(self, walker: Walker) -> Begun | None:
        """Let `walker` carry out the batches behind the last one compared, as far as it can; None where that is nowhere."""
        if self._is_found or not walker.takes_whole or not isinstance(self._batches, Course):
            return None
        begun = walker.take_whole(self._batches, self.pause - self.carried)
        if begun is not None:
            self.tally(walker)
            self.end = begun.position - SEAL_RECORD_BYTES
        return begun

    def tally(self, walker: Walker) -> None:
        """Count what the walker did."""
        carried, compared = walker.take_counts()
        self.carried += carried
        self.compared += compared


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


def replay(exchange: Exchange, rehearsal: Rehearsal, progress: Callable[[int], None] | None = None) -> None:
    """Carry out everything `rehearsal` has left; `progress` is told the position after each batch."""
    for position in turns(exchange, rehearsal):
        if progress is not None:
            progress(position)


def turns(exchange: Exchange, rehearsal: Rehearsal) -> Iterator[int]:
    """Carry out one batch after the other, or many in one go; the position of the last one each time.

    Raises ReplayDivergence.
    """
    walker = Walker(exchange)
    while True:
        begun = rehearsal.take_whole(walker) if exchange.fast_door else None
        if begun is not None and begun.why == ENDED:
            yield begun.position
            continue
        batch = rehearsal.batch
        if batch is None:
            return
        if begun is not None:
            _go_on(exchange, begun.why)
        _carry_out_batch(exchange, rehearsal, walker, batch, 0 if begun is None else begun.at)
        exchange.take_closings()
        yield batch[0]


def _go_on(exchange: Exchange, why: int) -> None:
    """Do what the walk could not, where that is no record: an order was larger than its batch, or a breaker must look."""
    if why == LARGE:
        exchange.go_on()
    elif why == BREAK:
        exchange.look()


def _carry_out_batch(
    exchange: Exchange, rehearsal: Rehearsal, walker: Walker, batch: tuple[int, memoryview], at: int
) -> None:
    """Carry out a batch from offset `at` on, and compare it."""
    begin, view = batch
    while rehearsal.is_at(batch) and at < len(view):
        why = PLAIN
        if exchange.fast_door:
            at, why = walker.walk(begin, view, at)
            rehearsal.tally(walker)
        _go_on(exchange, why)
        if why == PLAIN:
            at = _carry_out_record(exchange, rehearsal, walker, view, at)
    if rehearsal.is_at(batch):
        exchange.commit()
    if rehearsal.is_at(batch):
        raise _divergence(*batch, memoryview(b""))  # nothing in it makes us say what it says


def _carry_out_record(exchange: Exchange, rehearsal: Rehearsal, walker: Walker, view: memoryview, at: int) -> int:
    """Carry out the record at offset `at` of a batch if it is an inbound one; the offset behind it."""
    header = HEADER.unpack_from(view, at)
    kind, length, link = header[1], header[3], header[15]
    begin = at + RECORD_HEADER_BYTES
    if kind in INBOUND:
        rehearsal.at = header[4]
        carry_out(exchange, kind, header[5], link, bytes(view[begin : begin + length]))
        walker.know(link)
        rehearsal.carried += 1
    return int(begin + ((length + 7) & ~7))


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


def new_exchange(rehearsal: Rehearsal, outbox: Outbox, fetch: Callable[[int], bytes], dictionary: Dictionary) -> Exchange:
    """An exchange that has seen nothing yet, under the configuration of the START record that `rehearsal` begins with."""
    assert rehearsal.batch is not None
    first = next(inbound(rehearsal.batch[1]))
    return Exchange(started_with(first[3]), rehearsal, outbox, fetch, dictionary)


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
    if rehearsal.batch is None:
        exchange = Exchange(config, writer, outbox, fetch, dictionary)
        begin(exchange, config, now_ns, clock_start_ns)
        return exchange
    exchange = new_exchange(rehearsal, outbox, fetch, dictionary)
    replay(exchange, rehearsal, progress)
    go_live(exchange, config, writer, now_ns, clock_start_ns)
    return exchange


def go_live(
    exchange: Exchange, config: Config, writer: JournalWriter, now_ns: int, clock_start_ns: int | None = None
) -> None:
    """Behind the end of the journal: from here on `writer` writes what `exchange` says, under `config`. Raises VenueError."""
    check_change(exchange, config)
    exchange.tape.writer = writer
    begin(exchange, config, max(now_ns, exchange.tape.now_ns), clock_start_ns, exchange.venue_ns)


def begin(
    exchange: Exchange, config: Config, now_ns: int, clock_start_ns: int | None = None, venue_before_ns: int = 0
) -> None:
    """The START record of this process, sealed; venue time goes on from `venue_before_ns`. Raises VenueError."""
    venue_ns = 0 if clock_start_ns is None else clock_start_ns or venue_before_ns or now_ns
    _check_time(venue_before_ns, venue_ns or now_ns)
    exchange.start(start_payload(config, venue_ns or now_ns, venue_ns), now_ns)
    exchange.adopt(config)
    exchange.commit()


def _check_time(before_ns: int, after_ns: int) -> None:
    """Whatever clock there was and is, the venue's time does not go back. Raises VenueError."""
    if after_ns < before_ns:
        before, after = (format_utc_timestamp(ns, 9).decode() for ns in (before_ns, after_ns))
        raise VenueError(
            f"venue time was {before} when this data directory was left, and would go back to {after}; "
            "start with --clock simulated and a later --clock-start or none, or use another data directory"
        )


def check_change(exchange: Exchange, after: Config) -> None:
    """What a configuration may not change while a journal goes on. Raises VenueError with all of it."""
    faults = change_faults(exchange, after)
    if faults:
        raise VenueError("\n".join(f"{key}: {reason}" for key, reason in faults))
