"""A recorded day before another judge: the conversations are held again, the orders go to the plain-Python oracle.

The session layer decides as always which frames reach the market. Behind it stands `reference.ReferenceExchange`
instead of desk, kernels and books, so what it makes of D, F, G, H, x and V is an opinion of its own. Every message
that is said must be the recorded one, to the same session in the same order, field by field and byte by byte.

The oracle has no capacities: a day on which one was reached cannot be judged further, and that is said.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fixsim.config import Config
from fixsim.errors import FixsimError, JournalError, ReplayDivergence, UsageError
from fixsim.exchange.course import THE_END, Course, Until
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import EVERYTHING, Member
from fixsim.exchange.operator.orders import FILTERS, SIDES
from fixsim.exchange.recovery import carry_out, started_with
from fixsim.exchange.replay import Digested, Nowhere, Unheard, begun
from fixsim.exchange.second_breakers import SecondBreakers
from fixsim.exchange.second_phases import SecondPhases
from fixsim.exchange.second_risk import SecondRisk
from fixsim.exchange.tape import Tape
from fixsim.fix.dictionary import Dictionary
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Message
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, pack, records
from fixsim.layout import INBOUND, NIL, Kind
from fixsim.limits import RECORD_HEADER_BYTES
from fixsim.reference.book import ANY_PRICE
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing, Permission
from fixsim.reference.message import Inbound
from fixsim.reference.number import show_number
from fixsim.reference.phases import CONTINUOUS, Turn
from fixsim.reference.report import Reply
from fixsim.reference.sight import Ladder

#: Routing fields, which stand in front of LastMsgSeqNumProcessed(369) in what we say.
ROUTE: Final = frozenset({50, 57, 115, 116, 128, 129, 142, 143, 144, 145})
#: What only an exchange with capacities says.
AT_CAPACITY: Final = b"\x0158=Exchange capacity reached\x01"

#: What the oracle is not asked: the phases that are told are those of the exchange around it.
STATUS_REQUESTS: Final = (MsgType.SECURITY_STATUS_REQUEST, MsgType.TRADING_SESSION_STATUS_REQUEST)

Door = Callable[[Member, Message, bool], None]


class Voice(Tape):
    """A tape that writes nothing: inbound records lie where the journal has them, what is said is gathered in `said`."""

    def __init__(self, tape: Tape, fetch: Callable[[int], bytes]) -> None:
        super().__init__(tape.machine, Nowhere(0), tape.timestamp_digits)
        self._fetch = fetch
        #: Position of the inbound record that is being carried out.
        self.position = 0
        self.said: deque[Said] = deque()

    def has_room(self) -> bool:
        """There is always room."""
        return True

    def record(
        self, kind: int, payload: bytes, session: int = 0, run: int = 0, seq: int = 0, back: int = NIL,
        msg_type: bytes = b"", link: int = 0,
    ) -> int:  # fmt: skip
        """Note a record that is said; the position of the inbound one."""
        if kind not in INBOUND and kind != Kind.EVENT:
            self.said.append(Said(kind, payload, session, run, seq, msg_type, link))
        return self.position

    def frame(self, position: int) -> bytes:
        """Payload of a record of the journal."""
        return self._fetch(position)


class Said(NamedTuple):
    """An OUT or RESEND record as the exchange would write it."""

    kind: int
    payload: bytes
    session: int
    run: int
    seq: int
    msg_type: bytes
    link: int


class Doors(dict[bytes, Door]):
    """Every MsgType but questions about phases leads to the oracle; it knows itself what it does not serve."""

    def __init__(self, door: Door, status: Door) -> None:
        super().__init__(dict.fromkeys(STATUS_REQUESTS, status))
        self._door = door

    def get(self, msg_type: bytes, default: Any = None) -> Any:
        """The door of the oracle, where there is no other."""
        return super().get(msg_type, self._door)


class SecondOpinion:
    """One pass over a journal; verbs and attributes are those of `exchange.replay.Replay`."""

    def __init__(self, reader: Reader, dictionary: Dictionary, until: Until = THE_END) -> None:
        """Raises JournalError for a journal that is empty, damaged at its beginning, or not there from the start."""
        config = started_with(begun(reader, until))
        self.reader, self.until = reader, until
        self.position = self.inbound = self.records = 0
        self.exchange = Exchange(config, Nowhere(0), Unheard(reader), self._fetch, dictionary)
        self.exchange.fast_door = False
        self._doors, self.exchange._doors = self.exchange._doors, Doors(self._deliver, self._answer)
        self.exchange.tape = self._voice = Voice(self.exchange.tape, self._fetch)
        self.exchange.status.tape = self._voice
        self.oracle = ReferenceExchange(
            map(Listing.of, config.instruments),
            permissions={},
            avg_px_decimals=config.venue.avg_px_decimals,
            timestamp_digits=config.venue.timestamp_digits,
        )
        self._permissions: dict[str, Permission] = {}
        self.oracle.permissions = self._permissions
        self._phases = SecondPhases(self.exchange, self.oracle)
        self._breakers = SecondBreakers(self.exchange, self.oracle)
        SecondRisk(self.exchange, self.oracle)
        self.oracle.say, self.oracle.tell = self._say, self._tell

    @property
    def time_ns(self) -> int:
        """Venue time of the last record carried out, ns since 1970 UTC."""
        return self._voice.now_ns

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """To the end. Raises ReplayDivergence at the first message on which the two do not agree, JournalError where the
        journal is damaged or a record cannot be carried out.
        """
        for _ in self.digests(0, progress):
            pass

    def digests(self, every: int, progress: Callable[[int], None] | None = None) -> Iterator[Digested]:
        """As `run`, with the oracle's digest after each `every` inbound records, at the end of that batch; 0 for none."""
        due = every
        for begin, view in Course(self.reader, self.until):
            self._take(view)
            if progress is not None:
                progress(begin)
            if every and self.inbound >= due:
                due = self.inbound - self.inbound % every + every
                yield self.digest()
        self._nothing_left(None)

    def digest(self) -> Digested:
        """The oracle's digest now: of books, counters and halts."""
        return Digested(self.position, self.time_ns, self.inbound, self.oracle.digest())

    def book(self, symbol: str, depth: int) -> dict[str, Any]:
        """Levels of one instrument in the oracle's book. Raises UsageError for an unknown one."""
        listing = self.oracle.board.listed.get(symbol)
        state = self.oracle.state().get(symbol)
        if listing is None or state is None:
            raise UsageError(f"unknown symbol {symbol!r}")

        def side(ladder: Ladder) -> list[dict[str, Any]]:
            return [
                {
                    "price": "market" if price == ANY_PRICE else show_number(price, listing.price_decimals).decode(),
                    "quantity": show_number(sum((order[3] for order in queue), Decimal()), listing.qty_decimals).decode(),
                    "orders": len(queue),
                }
                for price, queue in ladder[:depth]
            ]

        halted = symbol in self.oracle.halted
        return {
            "symbol": symbol, "halted": halted, "phase": self.oracle.floor.phase(symbol),
            "bids": side(state.bids), "asks": side(state.asks), "last": None,
        }  # fmt: skip

    def broken_laws(self) -> list[str]:
        """What must hold of every state and does not, in words: here, that no book is crossed."""
        return [
            f"the book of {symbol} is crossed"
            for symbol, book in self.oracle.state().items()
            if self.oracle.floor.phase(symbol) == CONTINUOUS
            and book.bids and book.asks and book.bids[0][0] >= book.asks[0][0]
        ]

    # ---- the recorded day

    def _take(self, view: memoryview) -> None:
        """One batch: each inbound record is carried out, each one that was said must be what we have to say next."""
        heard: set[int] = set()
        for record in records(view):
            if record.kind in INBOUND:
                self._nothing_left(record)
                self._carry_out(record)
                self.inbound += 1
            elif record.kind != Kind.EVENT:  # happenings are told by who makes them happen, which is not the oracle
                self._compare(record)
                heard.add(record.link)
            self.position = record.end
            self.records += 1
        for link in heard & self.exchange.links.keys():
            self.exchange.links[link].session.sent(self.time_ns)
        self.exchange.take_closings()

    def _carry_out(self, record: Record) -> None:
        self._voice.position = record.position
        try:
            carry_out(self.exchange, record.kind, record.time_ns, record.link, bytes(record.payload))
            self._follow(record)
        except FixsimError:
            raise
        except Exception as error:
            text = f"the record at position {record.position} cannot be carried out ({type(error).__name__}: {error})"
            raise JournalError(text, record.position) from error

    def _follow(self, record: Record) -> None:
        """Tell the oracle what a new configuration has changed."""
        if record.kind in (Kind.START, Kind.CONFIG):
            self._adopt(self.exchange.config)
        elif record.kind == Kind.OPERATOR:
            self._operate(json.loads(bytes(record.payload)))
            self.exchange.look()
        if record.kind in (Kind.START, Kind.CONFIG, Kind.LINK):
            for member in self.exchange.members.by_name.values():
                if member.counterparty.permissions != EVERYTHING:
                    self._permissions[member.name.decode("latin-1")] = Permission.of(member.counterparty.permissions)

    def _operate(self, said: dict[str, Any]) -> None:
        """What an operator asks of orders, trades and sums; the exchange has none, and so has answered nothing."""
        arguments, now_ns = said["arguments"], self.exchange.venue_ns
        if said["verb"] == "cancel-all":
            self._cancel_all(arguments, now_ns)
        elif said["verb"] == "limits.reset":
            scope, name = (str(arguments.get(key) or "") for key in ("scope", "name"))
            self.oracle.risk.reset(scope, name, self.oracle.board.listed)
        elif said["verb"] in ("bust", "correct"):
            terms = [arguments.get(name) for name in ("quantity", "price")] if said["verb"] == "correct" else [None, None]
            if type(arguments.get("match_id")) is int:
                qty, price = (None if text is None else str(text).encode() for text in terms)
                self.oracle.amend(arguments["match_id"], now_ns, qty, price)

    def _cancel_all(self, arguments: dict[str, Any], now_ns: int) -> None:
        given = {name: str(arguments[name]) for name in FILTERS if arguments.get(name) is not None}
        if "side" in given and given["side"] not in SIDES:
            return
        which: dict[str, Any] = {name: given[name] for name in ("session", "symbol") if name in given}
        if "account" in given:
            which["account"] = given["account"].encode()
        if "side" in given:
            which["side"] = bytes([SIDES[given["side"]]])
        if given or arguments.get("all") is True:
            self.oracle.cancel_all(now_ns, **which)

    def _adopt(self, config: Config) -> None:
        self.oracle.timestamp_digits = config.venue.timestamp_digits
        self._permissions.clear()
        self._list()

    def _list(self) -> None:
        """Instruments that the oracle has made of a pattern are instruments of the session layer's venue too."""
        listings, board = self.exchange.listings, self.oracle.board
        if len(listings.by_symbol) == len(board.listed):
            return
        for symbol in board.listed:
            listing = listings.find_or_possible(symbol.encode("latin-1"))
            if listing is not None:
                listings.create(listing)
                self.exchange.phases.begin(listing)

    # ---- the oracle's part

    def _deliver(self, member: Member, message: Message, poss_resend: bool) -> None:
        """An application message in sequence."""
        self.oracle.receive(member.name.decode("latin-1"), message.fields, self.exchange.venue_ns)
        self._list()

    def _answer(self, member: Member, message: Message, poss_resend: bool) -> None:
        """A question about phases: the exchange's to answer, unless the session says too much."""
        inbound = Inbound(message.fields)
        refused = self.oracle.refuse_for_rate(member.name.decode("latin-1"), inbound, self.exchange.venue_ns)
        for reply in refused:
            self._say(reply)
        if not refused:
            self._doors[message.msg_type](member, message, poss_resend)

    def _say(self, reply: Reply) -> None:
        session, ((_, msg_type), *fields) = reply
        member = self.exchange.members.by_name[session.encode("latin-1")]
        split = next((at for at, (tag, _) in enumerate(fields) if tag not in ROUTE), len(fields))
        self._voice.say(member.slot, msg_type, tuple(fields[:split]), tuple(fields[split:]))

    def _tell(self, turn: Turn) -> None:
        self._list()
        if not self._phases.tell(turn):
            self._breakers.tell(turn)

    # ---- judging

    def _compare(self, record: Record) -> None:
        """The recorded message must be the next one said."""
        recorded = bytes(record.payload)
        said = self._voice.said.popleft() if self._voice.said else None
        fields = None if said is None else (said.kind, said.payload, said.session, said.run, said.seq)
        if fields == (record.kind, recorded, record.session, record.run, record.seq):
            return
        if AT_CAPACITY in recorded:
            raise JournalError(f"a capacity was reached at position {record.position}: the oracle has none", record.position)
        # which record a session heard before is no opinion of the oracle's: it writes none
        packed = self._packed(record.position, said, record.back)
        raise ReplayDivergence(record.position, self._bytes_of(record.position), packed)

    def _nothing_left(self, following: Record | None) -> None:
        """Everything we had to say was recorded."""
        if self._voice.said and (following is not None or self.until == THE_END):
            position = self.position if following is None else following.position
            recorded = b"" if following is None else self._bytes_of(position)
            raise ReplayDivergence(position, recorded, self._packed(position, self._voice.said[0]))

    def _packed(self, position: int, said: Said | None, back: int = NIL) -> bytes:
        if said is None:
            return b""
        return pack(
            said.kind, position, self.time_ns, said.payload, session=said.session, run=said.run, seq=said.seq,
            back=back, msg_type=said.msg_type[:2], link=said.link,
        )  # fmt: skip

    def _bytes_of(self, position: int) -> bytes:
        record = self.reader.read(position)
        view, offset = self.reader.locate(position)
        return bytes(view[offset : offset + RECORD_HEADER_BYTES + record.length])

    def _fetch(self, position: int) -> bytes:
        return bytes(self.reader.read(position).payload)
