"""Who is told what an instrument or a trading session is doing: SecurityStatus(f) and TradingSessionStatus(h).

Both answer a request (e, g) and are told on each change to those who subscribed. What a call would come to is told at most once
a second, when it has changed. A subscription ends with the connection. See docs/phases.md.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from fixsim.engine.machine import Machine
from fixsim.exchange import orders
from fixsim.exchange.auction import Auctions, Indication
from fixsim.exchange.listings import Listing, Listings
from fixsim.exchange.members import Member
from fixsim.exchange.names import NAMES
from fixsim.exchange.orders import required
from fixsim.exchange.tape import Tape
from fixsim.fix import tags
from fixsim.fix.enums import MsgType
from fixsim.fix.message import Field, Message
from fixsim.layout import CALLS, NEVER, Phase
from fixsim.units import NS_PER_S, format_decimal

#: How often what a call would come to is told.
TELL_NS: Final = NS_PER_S
#: TradingSessionID(336) of instruments without a schedule.
ALWAYS: Final = b"24H"
SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE = b"0", b"1", b"2"
UNSUPPORTED: Final = b"Unsupported SubscriptionRequestType(263)"


class Words(NamedTuple):
    """How a phase is said: SecurityTradingStatus(326), TradingSessionSubID(625), TradSesStatus(340)."""

    security: bytes
    sub_id: bytes
    session: bytes


#: 625 has the values of FIX 5.0, where it is no free text any more.
WORDS: Final = {
    Phase.CONTINUOUS: Words(b"17", b"3", b"2"),
    Phase.HALTED: Words(b"2", b"7", b"1"),
    Phase.PRE_OPEN: Words(b"21", b"1", b"4"),
    Phase.OPENING_AUCTION: Words(b"22", b"2", b"4"),
    Phase.VOLATILITY_AUCTION: Words(b"5", b"6", b"2"),
    Phase.CLOSING_AUCTION: Words(b"5", b"4", b"5"),
    Phase.AT_LAST: Words(b"17", b"5", b"2"),
    Phase.CLOSED: Words(b"18", b"7", b"3"),
}
#: 326 when trading goes on after a halt.
RESUME: Final = b"3"
PRICE, NEW_PRICE = b"5", b"15"
#: 326 of what is left over: buyers, sellers, nobody; and the same before the close.
IMBALANCE: Final = (b"7", b"8", b"12")
CLOSING_IMBALANCE: Final = (b"9", b"10", b"13")
UNKNOWN: Final = b"20"


class Status:
    """Answers e and g, and tells subscribers."""

    def __init__(
        self, machine: Machine, tape: Tape, listings: Listings, auctions: Auctions, venue_ns: Callable[[], int]
    ) -> None:
        self.machine = machine
        self.tape = tape
        self.listings = listings
        self.auctions = auctions
        self.venue_ns = venue_ns
        #: Phase of each trading session by TradingSessionID(336), as `exchange.phases` knows it.
        self.sessions: Callable[[], dict[bytes, int]] = dict
        #: SecurityStatusReqID(324) of each subscription: by symbol, then SESSION row.
        self.securities: dict[bytes, dict[int, bytes]] = {}
        #: TradSesReqID(335) and the TradingSessionID(336) asked for, empty for all, of each subscription: by SESSION row.
        self.watchers: dict[int, tuple[bytes, bytes]] = {}
        #: Writes what has happened into the journal, for those who ask later.
        self.note: Callable[..., None] = lambda event, **facts: None
        self._next_ns = 0

    # ---- SecurityStatusRequest(e)

    def security_status_request(self, member: Member, message: Message) -> None:
        """Say what an instrument is doing, once or from now on."""
        request_id = required(message, tags.SECURITY_STATUS_REQ_ID)
        symbol, kind = message.get(tags.SYMBOL, b""), message.get(tags.SUBSCRIPTION_REQUEST_TYPE)
        listing = self.listings.find(symbol)
        fault = b"Unknown Symbol(55)" if listing is None else UNSUPPORTED
        if listing is None or kind not in (SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE):
            said = [(tags.SYMBOL, symbol)] if symbol else []
            body = [*said, (tags.SECURITY_TRADING_STATUS, UNKNOWN), (tags.TRANSACT_TIME, self.tape.venue_stamp)]
            body.append((tags.TEXT, fault))
            self._say(member.slot, MsgType.SECURITY_STATUS, message, [(tags.SECURITY_STATUS_REQ_ID, request_id), *body])
            return
        if kind != SNAPSHOT:
            subscribed = self.securities.setdefault(symbol, {})
            subscribed.pop(member.slot, None)
            if kind == SUBSCRIBE:
                subscribed[member.slot] = request_id
            if not subscribed:
                del self.securities[symbol]
            self._listen(listing.book)
        phase = int(self.machine.books[listing.book]["phase"])
        body = self._status(listing, WORDS[phase].security, self.auctions.indication(listing.book))
        self._say(member.slot, MsgType.SECURITY_STATUS, message, [(tags.SECURITY_STATUS_REQ_ID, request_id), *body])

    # ---- TradingSessionStatusRequest(g)

    def session_status_request(self, member: Member, message: Message) -> None:
        """Say what a trading session is doing, or every one, once or from now on."""
        request_id = required(message, tags.TRAD_SES_REQ_ID)
        wanted, kind = message.get(tags.TRADING_SESSION_ID, b""), message.get(tags.SUBSCRIPTION_REQUEST_TYPE)
        known = self.sessions()
        asked: list[Field] = [(tags.TRAD_SES_REQ_ID, request_id)]
        unknown = bool(wanted) and wanted not in known
        if unknown or kind not in (SNAPSHOT, SUBSCRIBE, UNSUBSCRIBE):
            body: list[Field] = [(tags.TRADING_SESSION_ID, wanted or ALWAYS), (tags.TRAD_SES_STATUS, b"6")]
            body.append((tags.TRAD_SES_STATUS_REJ_REASON, b"1" if unknown else b"99"))
            body.append((tags.TEXT, b"Unknown TradingSessionID(336)" if unknown else UNSUPPORTED))
            self._say(member.slot, MsgType.TRADING_SESSION_STATUS, message, [*asked, *body])
            return
        if kind == SUBSCRIBE:
            self.watchers[member.slot] = (request_id, wanted)
        elif kind == UNSUBSCRIBE:
            self.watchers.pop(member.slot, None)
        for name, phase in known.items():
            if wanted in (b"", name):
                self.auctions.make_room()
                told = self._session(name, WORDS[phase].session, WORDS[phase].sub_id, None)
                self._say(member.slot, MsgType.TRADING_SESSION_STATUS, message, [*asked, *told])

    def forget(self, slot: int) -> None:
        """The connection of a SESSION row is gone, and what it listened to."""
        self.watchers.pop(slot, None)
        for symbol in [symbol for symbol, subscribed in self.securities.items() if slot in subscribed]:
            del self.securities[symbol][slot]
            if not self.securities[symbol]:
                del self.securities[symbol]
            listing = self.listings.by_symbol[symbol]
            self._listen(listing.book)

    # ---- telling

    def tell_phase(self, book: int, resumed: bool) -> None:
        """An instrument goes on in another phase, or its call was prolonged."""
        listing, row = self._listing(book), self.machine.books[book]
        phase = NAMES[int(row["phase"])]
        self.note("phase", symbol=listing.symbol.decode(), phase=phase, until_ns=int(row["until_ns"]))
        found = self.auctions.indication(book)
        self._listen(book)
        security = RESUME if resumed and row["phase"] == Phase.CONTINUOUS else WORDS[int(row["phase"])].security
        self._tell(listing, self._status(listing, security, found))

    def tell_session(self, name: bytes, session: bytes, sub_id: bytes, text: str = "") -> None:
        """To whoever listens: trading session `name` is in TradSesStatus(340) `session`, TradingSessionSubID(625) `sub_id`."""
        for slot, (request_id, wanted) in sorted(self.watchers.items()):
            if wanted in (b"", name):
                self.auctions.make_room()
                body = self._session(name, session, sub_id, text)
                self.tape.say(slot, MsgType.TRADING_SESSION_STATUS, (), ((tags.TRAD_SES_REQ_ID, request_id), *body))

    def tell_security(self, book: int, security: bytes, text: str = "", reason: bytes = b"") -> None:
        """To whoever listens: SecurityTradingStatus(326) `security` of an instrument, with HaltReasonChar(327) where given."""
        listing = self._listing(book)
        body = list(self._status(listing, security, self.auctions.indication(book)))
        if reason:
            place = body.index((tags.SECURITY_TRADING_STATUS, security)) + 1
            body.insert(place, (tags.HALT_REASON_CHAR, reason))
        self._tell(listing, [*body, (tags.TEXT, text.encode())] if text else body)

    # ---- time

    def next_ns(self) -> int:
        """When what a call would come to may be told next."""
        if self._next_ns == 0:
            times = self.machine.books["told_ns"]
            times = times[times > 0]
            self._next_ns = int(times.min()) if len(times) else NEVER
        return self._next_ns

    def due(self, venue_ns: int) -> None:
        """Tell what has changed of what calls would come to."""
        times = self.machine.books["told_ns"]
        for book in ((times > 0) & (times <= venue_ns)).nonzero()[0]:
            self._indicate(int(book))
            self.machine.books[book]["told_ns"] = venue_ns + TELL_NS
        self._next_ns = 0

    def _indicate(self, book: int) -> None:
        listing, row = self._listing(book), self.machine.books[book]
        found = self.auctions.indication(book)
        told = Indication(int(row["told_price"]), int(row["told_buys"]), int(row["told_sells"]))
        if found == told:
            return
        if found.lots:
            self._tell(listing, self._status(listing, NEW_PRICE if row["indicated"] else PRICE, found))
            row["indicated"] = 1
        words = CLOSING_IMBALANCE if row["phase"] == Phase.CLOSING_AUCTION else IMBALANCE
        if found.surplus != told.surplus:
            left_over = 0 if found.surplus > 0 else 1 if found.surplus < 0 else 2
            self._tell(listing, self._status(listing, words[left_over], found))
        self._told(book, found)

    def _told(self, book: int, found: Indication) -> None:
        row = self.machine.books[book]
        row["told_price"], row["told_buys"], row["told_sells"] = found

    def _listen(self, book: int) -> None:
        """Whether what the call of an instrument would come to is told from now on, and what is known of it already."""
        row: Any = self.machine.books[book]
        heard = self._listing(book).symbol in self.securities and int(row["phase"]) in CALLS
        row["told_ns"] = (int(row["told_ns"]) or self.venue_ns() + TELL_NS) if heard else 0
        self._told(book, self.auctions.indication(book) if heard else Indication(0, 0, 0))
        row["indicated"] = int(heard and row["told_price"] > 0)
        self._next_ns = 0

    # ---- saying

    def _listing(self, book: int) -> Listing:
        row = self.machine.books[book]
        return self.listings.by_symbol[row["symbol"][: row["symbol_length"]].tobytes()]

    def _status(self, listing: Listing, security: bytes, found: Indication) -> list[Field]:
        """Body of an f without 324 and 325."""
        row: Any = self.machine.books[listing.book]
        phase = int(row["phase"])
        return [
            (tags.SYMBOL, listing.symbol),
            (tags.TRADING_SESSION_ID, session_of(listing)),
            (tags.TRADING_SESSION_SUB_ID, WORDS[phase].sub_id),
            (tags.SECURITY_TRADING_STATUS, security),
            *(_volumes(listing, found) if phase in CALLS else ()),
            *_last_price(listing, found.price if phase in CALLS else self.auctions.last(listing.book)),
            (tags.TRANSACT_TIME, self.tape.venue_stamp),
        ]

    def _session(self, name: bytes, session: bytes, sub_id: bytes, text: str | None) -> Iterator[Field]:
        """Body of an h without 335; `text` is None where it answers a request."""
        yield tags.TRADING_SESSION_ID, name
        yield tags.TRADING_SESSION_SUB_ID, sub_id
        if text is not None:
            yield tags.UNSOLICITED_INDICATOR, b"Y"
        yield tags.TRAD_SES_STATUS, session
        if text:
            yield tags.TEXT, text.encode()

    def _say(self, slot: int, msg_type: bytes, message: Message, body: list[Field]) -> None:
        self.tape.say(slot, msg_type, orders.route_of(message), tuple(body))

    def _tell(self, listing: Listing, body: list[Field]) -> None:
        """To every subscriber of an instrument, in the order of their SESSION rows."""
        place = next(at for at, (tag, _) in enumerate(body) if tag == tags.SECURITY_TRADING_STATUS)
        told = [*body[:place], (tags.UNSOLICITED_INDICATOR, b"Y"), *body[place:]]
        for slot, request_id in sorted(self.securities.get(listing.symbol, {}).items()):
            self.auctions.make_room()
            self.tape.say(slot, MsgType.SECURITY_STATUS, (), ((tags.SECURITY_STATUS_REQ_ID, request_id), *told))


def session_of(listing: Listing) -> bytes:
    """TradingSessionID(336) of an instrument."""
    schedule = listing.instrument.schedule
    return ALWAYS if schedule is None else schedule.encode()


def _volumes(listing: Listing, found: Indication) -> Iterator[Field]:
    """BuyVolume(330) and SellVolume(331): what buys and what sells at the price, or, without one, at any."""
    for tag, lots in ((tags.BUY_VOLUME, found.buys), (tags.SELL_VOLUME, found.sells)):
        yield tag, format_decimal(lots * listing.lot_mantissa, listing.qty_decimals)


def _last_price(listing: Listing, ticks: int) -> Iterator[Field]:
    """LastPx(31): of the last trade; in a call, the price it would come to. Nothing for none."""
    if ticks:
        yield tags.LAST_PX, format_decimal(ticks * listing.tick_mantissa, listing.price_decimals)
