"""Connections that logged on: their bytes to the exchange, and what they are owed from the journal to them.

The journal is the send buffer: a slow reader is a cursor into it, and costs no memory here. Bytes go out
only after the commit of the turn, one gathered write per connection; write readiness is asked for only
while bytes are owed.
"""

import contextlib
from typing import Final

from fixsim.config import Venue
from fixsim.exchange.exchange import Exchange
from fixsim.gateway.lane import HELPING_BYTES, Lane
from fixsim.gateway.log import LOGGER
from fixsim.gateway.meter import FRAMES, Meter
from fixsim.gateway.meter import READ as READING
from fixsim.gateway.poller import READ, WRITE, Poller
from fixsim.gateway.transport import GONE, NOTHING, Plain
from fixsim.layout import NEVER, NIL

#: Work the exchange may do for one connection in one turn (`Exchange.receive`): a millisecond or so.
WORK_PER_TURN_MAX: Final = 8
#: Bytes one connection may be sent in one turn, so that a long resend starves nobody.
SENT_PER_TURN_MAX: Final = 1 << 20
#: How long a connection we ended may take to end its side, so that our last bytes are not torn by a reset.
LINGER_NS: Final = 1_000_000_000
#: How often slow readers are looked at.
STALL_CHECK_NS: Final = 100_000_000


class Connection:
    """One link of the exchange and its transport."""

    __slots__ = (
        "_street", "allowance", "buffer", "ending", "is_open", "link", "mask", "place", "progress_ns", "transport",
        "unfinished", "waits_ns",
    )  # fmt: skip

    def __init__(self, street: "Street", transport: Plain, link: int, buffer: bytearray) -> None:
        self._street = street
        self.transport = transport
        self.link = link
        self.buffer = buffer
        self.mask = READ
        self.is_open = True
        #: Its row in the compiled loop, NIL for none.
        self.place = NIL
        #: Whether `buffer` holds whole frames that wait for the next turn.
        self.unfinished = False
        #: When its rate lets the exchange take more of it, ns; until then nothing is read. 0 while it does not wait.
        self.waits_ns = 0
        #: When the transport last took something while bytes were owed; 0 while nothing is owed.
        self.progress_ns = 0
        #: Bytes that may still be sent in this turn.
        self.allowance = 0
        #: Why the exchange wants it closed; empty while it does not.
        self.ending = ""

    def ready(self, mask: int, now_ns: int) -> None:
        if mask & WRITE:
            self._street.note_room(self)
        if mask & ~WRITE and self.is_open:
            self._street.read(self, now_ns)

    def take(self, views: list[memoryview]) -> int:
        """What the outbox sends through: the transport, as far as this turn allows."""
        if self.allowance <= 0:
            return 0
        taken = self.transport.send(views)
        self.allowance -= taken
        return taken


class Leaving:
    """A connection whose end we have announced: what still comes is thrown away until it ends too."""

    __slots__ = ("_street", "deadline_ns", "transport")

    def __init__(self, street: "Street", transport: Plain, deadline_ns: int) -> None:
        self._street = street
        self.transport = transport
        self.deadline_ns = deadline_ns

    def ready(self, mask: int, now_ns: int) -> None:
        self._street.read_farewell(self)


class Street:
    """All connections that have a link, by link number."""

    def __init__(
        self, exchange: Exchange, poller: Poller, stalled_reader_timeout_s: float, scratch: memoryview, meter: Meter
    ) -> None:
        self._exchange, self._poller, self._scratch, self._meter = exchange, poller, scratch, meter
        self._helping = scratch[:HELPING_BYTES]
        self._outbox = exchange.outbox
        self._stall_ns = int(stalled_reader_timeout_s * 1_000_000_000)
        self._stall_check_ns = 0
        self._connections: dict[int, Connection] = {}
        self._blocked: dict[int, Connection] = {}
        self._ending: dict[int, Connection] = {}
        self._leaving: dict[int, Leaving] = {}
        #: The compiled loop, where there is one, and the connections it knows.
        self._lane: Lane | None = None
        self._by_place: dict[int, Connection] = {}
        #: Connections that were owed something and take bytes again.
        self._roomy: dict[int, Connection] = {}
        #: Connections with bytes that no poller will tell about: decrypted already, or stopped by a full
        #: batch.
        self._again: dict[int, Connection] = {}
        #: Connections that said more than their rate allows.
        self._waiting: dict[int, Connection] = {}

    def adopt(self, venue: Venue) -> None:
        """Take what a configuration says of connections; deadlines that are set already stay."""
        self._stall_ns = int(venue.stalled_reader_timeout_s * 1_000_000_000)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is owed to anybody, and nobody is being closed."""
        return not (self._blocked or self._ending or self._leaving or self._again)

    @property
    def has_backlog(self) -> bool:
        """Whether the next turn has something to do at once."""
        return bool(self._again)

    def take_over(self, transport: Plain, link: int, buffer: bytearray, now_ns: int) -> None:
        """A greeting became a link; `buffer` begins with its Logon."""
        connection = Connection(self, transport, link, buffer)
        self._connections[link] = connection
        self._poller.add(transport.fd, connection)
        if self._lane is not None and type(transport) is Plain:
            connection.place = self._lane.attach(transport.fd, self._exchange.links[link].slot, link)
        if connection.place != NIL:
            self._by_place[connection.place] = connection
        self._feed(connection, now_ns)

    def use(self, lane: Lane) -> None:
        """Let the compiled loop serve what it can; before the first connection."""
        self._lane = lane

    def attend(self, place: int, octets: bytes, now_ns: int) -> None:
        """The loop read `octets` and does not understand them, or found that the connection has ended."""
        connection = self._by_place[place]
        if octets:
            self._take_back(connection)
            connection.buffer += octets
            self._feed(connection, now_ns)
        else:
            self.read(connection, now_ns)

    def _take_back(self, connection: Connection) -> None:
        """The loop leaves the connection alone."""
        if connection.place != NIL and self._lane is not None:
            connection.buffer[:0] = self._lane.take_back(connection.place)

    def _settle(self, connection: Connection) -> None:
        """Let the loop serve the connection exactly when nothing is unusual about it."""
        if connection.place == NIL or self._lane is None or not connection.is_open:
            return
        unusual = connection.ending or connection.unfinished or connection.waits_ns or connection.progress_ns
        unusual = unusual or connection.mask != READ
        if unusual or self._outbox.pending(connection.link):
            self._take_back(connection)
        elif not self._lane.serves(connection.place):
            self._lane.hand_over(connection.place, connection.buffer)

    def read(self, connection: Connection, now_ns: int) -> None:
        """Take one helping from the transport, and give the exchange what is whole."""
        if connection.ending or connection.unfinished or connection.waits_ns:
            return
        self._take_back(connection)
        try:
            count = connection.transport.read(self._scratch if len(self._connections) == 1 else self._helping)
        except GONE as error:
            self._lose(connection, f"connection failed: {type(error).__name__}", now_ns)
            return
        if count == NOTHING:
            return
        if count == 0:
            self._lose(connection, "peer closed the connection", now_ns)
            return
        connection.buffer += self._scratch[:count]
        self._meter.lap(READING)
        self._feed(connection, now_ns)

    def catch_up(self, now_ns: int) -> None:
        """Serve those whose bytes wait on our side."""
        for connection in [one for one in self._waiting.values() if one.waits_ns <= now_ns]:
            del self._waiting[connection.link]
            connection.waits_ns = 0
            self._wait_for(connection)
            self._feed(connection, now_ns)
        if not self._again:
            return
        waiting, self._again = self._again, {}
        for connection in waiting.values():
            if connection.is_open and not connection.ending:
                if connection.transport.holds_more and not connection.unfinished:
                    self.read(connection, now_ns)
                else:
                    self._feed(connection, now_ns)

    def _feed(self, connection: Connection, now_ns: int) -> None:
        buffer = connection.buffer
        consumed = self._exchange.receive(connection.link, buffer, now_ns, WORK_PER_TURN_MAX)
        connection.unfinished = self._exchange.unfinished
        if consumed:
            del buffer[:consumed]
        self._meter.lap(FRAMES)
        if self._exchange.waits_until_ns:
            connection.waits_ns = self._exchange.waits_until_ns
            self._waiting[connection.link] = connection
            self._wait_for(connection)
        elif connection.unfinished or connection.transport.holds_more:
            self._again[connection.link] = connection
        self._settle(connection)

    def end(self, link: int, reason: str) -> None:
        """The exchange wants a link closed once what it is owed is out; nothing more is taken from it."""
        connection = self._connections.get(link)
        if connection is not None and not connection.ending:
            connection.ending = reason or "closed"
            self._ending[link] = connection
            self._wait_for(connection)
            self._settle(connection)

    def flush(self, now_ns: int) -> None:
        """After a commit: send what became visible, and close what has ended."""
        roomy, self._roomy = self._roomy, {}
        for slow in roomy.values():
            if slow.is_open:
                self.send(slow, now_ns)
        for link in self._outbox.take_ready():
            connection = self._connections.get(link)
            if connection is not None and not connection.progress_ns:
                self.send(connection, now_ns)
        for connection in list(self._ending.values()):
            if not self._outbox.pending(connection.link):
                self._leave(connection, now_ns)

    def note_room(self, connection: Connection) -> None:
        """A slow reader takes bytes again: it gets them after the commit of the turn, like everybody.

        In the middle of a turn a batch may have been sealed, because it was full, that is not on the disk yet.
        """
        self._roomy[connection.link] = connection

    def send(self, connection: Connection, now_ns: int) -> None:
        """Send what is owed, as far as the transport and this turn allow."""
        connection.allowance = SENT_PER_TURN_MAX
        try:
            sent = self._outbox.send(connection.link, connection.take)
        except GONE as error:
            self._lose(connection, f"connection failed: {type(error).__name__}", now_ns)
            return
        if not self._outbox.pending(connection.link):
            if connection.progress_ns:
                connection.progress_ns = 0
                del self._blocked[connection.link]
                self._wait_for(connection)
        elif sent or not connection.progress_ns:
            if not connection.progress_ns:
                self._blocked[connection.link] = connection
            connection.progress_ns = now_ns
            self._wait_for(connection)
        self._settle(connection)

    def next_deadline_ns(self) -> int:
        """When a slow reader, a farewell or somebody who said too much has to be looked at."""
        first_ns = min((connection.waits_ns for connection in self._waiting.values()), default=NEVER)
        if self._blocked:
            return min(first_ns, self._stall_check_ns + STALL_CHECK_NS)
        for leaving in self._leaving.values():
            return min(first_ns, leaving.deadline_ns)
        return first_ns

    def expire(self, now_ns: int) -> None:
        """Cut readers that made no progress, and end farewells that took too long."""
        if now_ns - self._stall_check_ns >= STALL_CHECK_NS:
            self._stall_check_ns = now_ns
            for connection in list(self._blocked.values()):
                if now_ns - connection.progress_ns >= self._stall_ns:
                    LOGGER.warning("link %d cut: it takes no bytes", connection.link)
                    self._lose(connection, "peer does not read", now_ns)
        for leaving in list(self._leaving.values()):  # in the order they were announced, which is that of time
            if leaving.deadline_ns > now_ns:
                break
            self._end_farewell(leaving)

    def read_farewell(self, leaving: Leaving) -> None:
        """Throw away what a leaving peer says; close when it ends."""
        try:
            if leaving.transport.read(self._scratch) not in (0,):
                return
        except GONE:
            pass
        self._end_farewell(leaving)

    def close(self, reason: str, now_ns: int) -> None:
        """Lose every connection at once."""
        for connection in list(self._connections.values()):
            self._lose(connection, reason, now_ns)
        for leaving in list(self._leaving.values()):
            self._end_farewell(leaving)

    def abandon(self) -> None:
        """Close every transport; the exchange, which is not asked any more, finds out from its next start."""
        for connection in list(self._connections.values()):
            self._forget(connection)
            connection.transport.say_goodbye()
            with contextlib.suppress(*GONE):
                connection.transport.read(self._scratch)  # unread bytes would make a reset of the last message
            connection.transport.close()
        for leaving in list(self._leaving.values()):
            self._end_farewell(leaving)

    def _wait_for(self, connection: Connection) -> None:
        mask = (0 if connection.ending or connection.waits_ns else READ) | (WRITE if connection.progress_ns else 0)
        if mask != connection.mask:
            connection.mask = mask
            self._poller.change(connection.transport.fd, mask)

    def _lose(self, connection: Connection, reason: str, now_ns: int) -> None:
        """The transport is gone, or is given up."""
        self._forget(connection)
        connection.transport.close()
        self._exchange.lose_link(connection.link, connection.ending or reason, now_ns)

    def _leave(self, connection: Connection, now_ns: int) -> None:
        """Everything said is out: announce the end, and wait a little for theirs."""
        self._forget(connection)
        self._exchange.lose_link(connection.link, connection.ending, now_ns)
        connection.transport.say_goodbye()
        leaving = Leaving(self, connection.transport, now_ns + LINGER_NS)
        self._leaving[connection.transport.fd] = leaving
        self._poller.add(connection.transport.fd, leaving)

    def _forget(self, connection: Connection) -> None:
        connection.is_open = False
        if connection.place != NIL and self._lane is not None:
            self._lane.detach(connection.place)
            del self._by_place[connection.place]
            connection.place = NIL
        del self._connections[connection.link]
        self._blocked.pop(connection.link, None)
        self._ending.pop(connection.link, None)
        self._again.pop(connection.link, None)
        self._roomy.pop(connection.link, None)
        self._waiting.pop(connection.link, None)
        self._poller.remove(connection.transport.fd)

    def _end_farewell(self, leaving: Leaving) -> None:
        del self._leaving[leaving.transport.fd]
        self._poller.remove(leaving.transport.fd)
        leaving.transport.close()
