"""Who is answered what: the rules of engagement, read out once more in plain Python.

`ReferenceExchange.receive` takes one application message of a named session and returns every reply it
causes, in the order they are said. Capacities are not modelled: there is always room, and no id is forgotten
within the day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from fixsim.config.breakers import Breaker, MarketBreaker
from fixsim.reference import check_order as rules
from fixsim.reference.book import Book, Fill, Order
from fixsim.reference.breakers import Breakers, What
from fixsim.reference.inquiry import Inquiries
from fixsim.reference.listing import Board, Listing, Permission
from fixsim.reference.message import Field, Inbound, Wire
from fixsim.reference.number import read_date, read_number, read_time, show_time, trading_day
from fixsim.reference.operator import Interventions, Ledger
from fixsim.reference.phases import CONTINUOUS, HALTED, SHUT, Floor, Turn
from fixsim.reference.report import (
    Execution,
    Occasion,
    Refusal,
    Reply,
    business_reject,
    cancel_reject,
    duplicate_report,
    order_report,
    refusal_report,
)
from fixsim.reference.risk import RiskDesk
from fixsim.reference.sight import Sight

CANCELED: Final = b"4"
EXPIRED: Final = b"C"
DAY: Final = b"0"
GOOD_TILL_CANCEL: Final = b"1"
GOOD_TILL_DATE: Final = b"6"
#: What does not outlive its day: Day, at the opening, at the close.
FOR_A_DAY: Final = (DAY, b"2", b"7")
FILL_OR_KILL: Final = b"4"
ANYTHING: Final = Permission()

#: Tags without which a message cannot be answered by its own kind of answer.
NEEDED: Final[dict[bytes, tuple[int, ...]]] = {
    b"D": (11,), b"F": (11, 41), b"G": (11, 41), b"H": (11,), b"q": (11, 530), b"x": (320,), b"V": (262,),
}  # fmt: skip

TOO_LATE: Final = Refusal(b"0", b"Too late to cancel")
UNKNOWN: Final = Refusal(b"1", b"Unknown order")
RATE: Final = b"Message rate exceeded"
DUPLICATE: Final = Refusal(b"6", b"Duplicate ClOrdID(11)")

class ReferenceExchange(Interventions, Sight):
    """All books and every order ever accepted; ids are counters from 1."""

    def __init__(
        self,
        listings: Iterable[Listing],
        permissions: Mapping[str, Permission] | None = None,
        *,
        avg_px_decimals: int = 6,
        timestamp_digits: int = 3,
        breakers: dict[str, Breaker] | None = None,
        market_breaker: MarketBreaker | None = None,
        risk: RiskDesk | None = None,
    ) -> None:
        super().__init__()
        self.board = Board.of(listings)
        self.permissions = permissions or {}
        self.risk = risk or RiskDesk()
        self.avg_px_decimals, self.timestamp_digits = avg_px_decimals, timestamp_digits
        self.books: dict[str, Book] = {symbol: Book() for symbol in self.board.listed}
        self.floor = Floor(self.board, self.books)
        self.breakers = Breakers(self.floor, breakers or {}, market_breaker)
        for listing in self.board.listed.values():
            self.breakers.begin(listing, self.books[listing.symbol])
        self.names: dict[tuple[str, bytes], Order] = {}  # every ClOrdID accepted, of orders and requests
        self.open: dict[int, Order] = {}  # by OrderID, in the order they were accepted
        self.order_id = self.exec_id = self.match_id = 0  # the last ones given out
        self.ledger = Ledger()
        self.inquiries = Inquiries(self.board, self.books)
        self._handlers: dict[bytes, Callable[[str, Inbound], Iterable[Reply]]] = {
            b"D": self._new_order,
            b"F": self._cancel,
            b"G": self._replace,
            b"H": self._order_status,
            b"q": self._mass_cancel,
            b"x": self.inquiries.security_list,
            b"V": self.inquiries.market_data,
        }

    # ------------------------------------------------------------ what happens to it

    def receive(self, session: str, wire: Wire, now_ns: int) -> list[Reply]:
        """Every reply that `wire`, an application message in sequence, causes at `now_ns` (since 1970 UTC).

        Raises GarbledMessage for what could not have passed a session layer.
        """
        return self._speak(self._answers(session, Inbound(wire), now_ns), now_ns)

    def _answers(self, session: str, message: Inbound, now_ns: int) -> Iterator[Reply]:
        refused = self.refuse_for_rate(session, message, now_ns)
        if refused:
            yield from refused
            return
        handler = self._handlers.get(message.msg_type)
        if handler is None:
            yield Reply(session, business_reject(message, b"3", b"Unsupported Message Type"))
        elif any(message.get(tag) is None for tag in NEEDED[message.msg_type]):
            yield Reply(session, business_reject(message, b"5", b"Conditionally Required Field Missing"))
        else:
            self.breakers.index.now_ns = now_ns
            yield from handler(session, message)
            yield from self._happen(self.breakers.mind(now_ns))

    def expire(self, now_ns: int) -> list[Reply]:
        """A new trading day's first deadline: what was good for an earlier date, or until one, is over."""
        over = [
            order
            for order in self.open.values()
            if self.board.listed[order.symbol].schedule is None
            and (
                (order.time_in_force in FOR_A_DAY and order.day < trading_day(now_ns))
                or (order.last_day is not None and order.last_day < trading_day(now_ns))
            )
        ]
        replies = self._speak(self._end(over), now_ns)
        current = [((order.session, order.cl_ord_id), order) for order in self.open.values()]
        self.names = dict(current)
        return replies

    def know(self, listing: Listing) -> None:
        """There is an instrument, whether or not an order was the first to name it."""
        self.board.create(listing)
        self.breakers.begin(listing, self.books.setdefault(listing.symbol, Book()))

    def run_out(self, now_ns: int) -> list[Reply]:
        """A time has come: orders whose ExpireTime(126) is not later are over, the earliest first."""
        over = [order for order in self.open.values() if order.until_ns is not None and order.until_ns <= now_ns]
        return self._speak(self._end(sorted(over, key=lambda order: (order.until_ns, order.order_id))), now_ns)

    def end_day(self, symbol: str, day: int, now_ns: int) -> list[Reply]:
        """The trading day `day` of a scheduled instrument is over."""
        over = [
            order
            for order in self.open.values()
            if order.symbol == symbol
            and (order.time_in_force in FOR_A_DAY or (order.last_day is not None and order.last_day <= day))
        ]
        return self._speak(self._end(over), now_ns)

    def _end(self, over: Iterable[Order]) -> Iterator[Reply]:
        for order in over:
            self._take_out(order, EXPIRED)
            yield self._report(order, b"C")

    def happen(self, happenings: Iterable[What], now_ns: int) -> list[Reply]:
        """What happens to instruments and orders without a message; nobody looks at bands and index yet, see `look`."""
        self.breakers.index.now_ns = now_ns
        return self._speak(self._happen(happenings), now_ns)

    def look(self, now_ns: int) -> list[Reply]:
        """Breakers look at what has happened."""
        return self.happen(self.breakers.mind(now_ns), now_ns)

    def move(self, symbol: str, phase: str, now_ns: int) -> list[Reply]:
        """The instrument goes on with `phase`, by its name."""
        return self.happen(self.breakers.leave_call(symbol, phase), now_ns) + self.look(now_ns)

    def step(self, symbol: str, phase: str, now_ns: int) -> list[Reply]:
        """The schedule of an instrument goes on to `phase`."""
        return self.happen(self.breakers.step(symbol, phase, now_ns), now_ns)

    def due(self, now_ns: int) -> list[Reply]:
        """A time has come: calls end, windows move, limit states and halts have lasted."""
        return self.happen(self.breakers.due(now_ns), now_ns) + self.look(now_ns)

    def _happen(self, happenings: Iterable[What]) -> Iterator[Reply]:
        """Say what happens to orders that nobody asked for."""
        for what in happenings:
            if isinstance(what, Fill):
                yield from self._trade([what])
            elif isinstance(what, Turn):
                self.tell(what)
            else:
                if not what.order.is_open:
                    self.open.pop(what.order.order_id, None)
                yield self._report(what.order, what.exec_type, reason=what.reason)

    @property
    def halted(self) -> set[str]:
        return {symbol for symbol, phase in self.floor.phases.items() if phase == HALTED}

    def halt(self, symbol: str, now_ns: int = 0) -> list[Reply]:
        """No D and no G for `symbol` until it is resumed."""
        return self.move(symbol, HALTED, now_ns)

    def resume(self, symbol: str, now_ns: int = 0) -> list[Reply]:
        """Back to continuous trading, if it is halted."""
        return self.move(symbol, CONTINUOUS, now_ns) if symbol in self.halted else []

    # ------------------------------------------------------------ NewOrderSingle(D)

    def _new_order(self, session: str, message: Inbound) -> Iterator[Reply]:
        seen = self.names.get((session, _id(message)))
        if message.poss_resend and seen is not None:
            yield self._status(seen, message)
            return
        listing = self.board.find(message.symbol)
        refusal = self._refuse_order(session, message, listing)
        if refusal is None:
            assert listing is not None
            order = self._open_order(session, message, listing)
            book, meets = self.books[listing.symbol], self.floor.meets(message)
            self.risk.accepted(order, message, listing, book, self._now_ns, meets=meets)
            yield from self._accept(order)
        else:
            yield self._refuse(session, message, refusal, seen if refusal is DUPLICATE else None)

    def _refuse_order(self, session: str, message: Inbound, listing: Listing | None) -> Refusal | None:
        """The first of the checks that fails, in the order of the rules page."""
        if text := rules.too_long(message):
            return Refusal(b"99", text)
        if listing is None:
            return Refusal(b"1", b"Unknown Symbol(55)")
        if text := SHUT.get(self.floor.phase(listing.symbol)):
            return Refusal(b"2", text)
        if text := rules.unsupported_type(message):
            return Refusal(b"11", text)
        if refusal := self.floor.refuse(message, listing.symbol, self._now_ns):
            return refusal
        if message.get(54) not in rules.SIDES:
            return Refusal(b"11", b"Unsupported Side(54)")
        if not self.permissions.get(session, ANYTHING).allows(message):
            return Refusal(b"0", b"Not permitted")
        if refusal := self.risk.standing(session, message, message.get(1)):
            return refusal
        if (session, _id(message)) in self.names:
            return DUPLICATE
        if refusal := rules.wrong_qty(message, listing):
            return refusal
        if text := rules.wrong_price(message, listing):
            return Refusal(b"99", text)
        book, orders = self.books.get(listing.symbol) or Book(), list(self.open.values())
        now_ns, meets = self._now_ns, self.floor.meets(message)
        return self.risk.refuse_order(session, message, listing, book, orders, self.board.listed, now_ns, meets=meets)

    def _refuse(self, session: str, message: Inbound, refusal: Refusal, owner: Order | None) -> Reply:
        occasion = self._occasion(b"8", _id(message), message.route)
        if owner is None or not owner.is_open:
            return Reply(session, refusal_report(message, occasion, refusal))
        listing = self.board.listed[owner.symbol]
        fields = duplicate_report(message, occasion, refusal, owner, listing, self.avg_px_decimals)
        return Reply(session, fields)

    def _open_order(self, session: str, message: Inbound, listing: Listing) -> Order:
        """Give a good order its id and its place among the open ones."""
        side, ord_type, qty = message.get(54), message.get(40), read_number(message.get(38))
        assert side is not None and ord_type is not None and qty is not None
        self.floor.phases.setdefault(listing.symbol, self.floor.phase(listing.symbol))
        self.know(listing)
        self.order_id += 1
        order = Order(
            session=session,
            order_id=self.order_id,
            cl_ord_id=_id(message),
            symbol=listing.symbol,
            side=side,
            ord_type=ord_type,
            time_in_force=message.get(59) or DAY,
            price=read_number(message.get(44)),
            qty=qty,
            day=trading_day(self._now_ns),
            account=message.get(1),
            route=message.route,
            terms=rules.terms(message),
            instructions=frozenset((message.get(18) or b"").split(b" ")) & {b"J", b"K"},
        )
        if order.time_in_force == GOOD_TILL_DATE:
            order.last_day, order.until_ns = read_date(message.get(432)), read_time(message.get(126))
        order.waits = self.floor.waits(order)
        self.names[session, order.cl_ord_id] = order
        self.open[order.order_id] = order
        return order

    def _accept(self, order: Order) -> Iterator[Reply]:
        """The order is acknowledged, trades, and what may not rest is cancelled."""
        book = self.books[order.symbol]
        yield self._report(order, b"0")
        if self.floor.holds(order):
            yield from self._trade(self.floor.put(order))
            return
        rests = order.ord_type == rules.LIMIT and order.time_in_force in (DAY, GOOD_TILL_CANCEL, GOOD_TILL_DATE)
        if order.time_in_force != FILL_OR_KILL or book.can_fill(order):
            yield from self._trade(book.place(order, rests=rests))
            yield from self._happen(self.breakers.go_on(book, order, self._now_ns))
        if order.is_open and not rests and order not in book.own(order):
            order.close(CANCELED)
            yield self._report(order, b"4")
        if not order.is_open:
            self.open.pop(order.order_id, None)

    def _trade(self, fills: Iterable[Fill]) -> Iterator[Reply]:
        """Both sides of each fill, the taker first; in an auction the buyer, and nobody has added or removed liquidity."""
        for taker, maker, price, qty, auction in fills:
            self.match_id += 1
            for order in (taker, maker):
                self.risk.traded(order, price, qty, self.board.listed[order.symbol])
            removed, added = (None, None) if auction else (b"2", b"1")
            yield self._report(taker, b"F", execution=Execution(price, qty, self.match_id, removed))
            yield self._report(maker, b"F", execution=Execution(price, qty, self.match_id, added))
            for order in (taker, maker) if auction else (maker,):
                if not order.is_open:
                    del self.open[order.order_id]

    # ------------------------------------------------------------ F, G and H

    def _cancel(self, session: str, message: Inbound) -> Iterator[Reply]:
        name = _id(message)
        seen = self.names.get((session, name))
        if message.poss_resend and seen is not None:
            yield self._status(seen, message)
            return
        order = self._named(session, message)
        refusal = self._refuse_request(session, message, order)
        if refusal is not None or order is None:
            yield self._reject_request(session, message, order, refusal or UNKNOWN)
            return
        self.risk.requested(order, self._now_ns, ordering=False)
        self._take_out(order, CANCELED)
        self.names[session, name] = order
        yield self._report(order, b"4", request=message)

    def _replace(self, session: str, message: Inbound) -> Iterator[Reply]:
        name = _id(message)
        seen = self.names.get((session, name))
        if message.poss_resend and seen is not None:
            yield self._status(seen, message)
            return
        order = self._named(session, message)
        refusal = self._refuse_request(session, message, order) or self._refuse_terms(message, order)
        if refusal is not None or order is None:
            yield self._reject_request(session, message, order, refusal or UNKNOWN)
            return
        price, qty = read_number(message.get(44)), read_number(message.get(38))
        assert qty is not None
        self.risk.replaced(order, price, qty, self.books[order.symbol], self._now_ns)
        fills: Iterator[Fill]
        if self.floor.holds(order):
            fills = self.floor.replace(order, price, qty)
        else:
            assert price is not None, "a market order rests in calls only"
            fills = self.books[order.symbol].replace(order, price, qty)
        former, order.cl_ord_id = order.cl_ord_id, name
        self.names[session, name] = order
        yield self._report(order, b"5", request=message, former=former)
        yield from self._trade(fills)
        yield from self._happen(self.breakers.go_on(self.books[order.symbol], order, self._now_ns))
        if not order.is_open:
            self.open.pop(order.order_id, None)

    def _named(self, session: str, message: Inbound) -> Order | None:
        """The order that OrigClOrdID(41) names now, if symbol and side are its own."""
        orig = message.get(41) or b""
        order = self.names.get((session, orig))
        if order is None or order.cl_ord_id != orig:
            return None
        return order if (order.symbol, order.side) == (message.symbol, message.get(54)) else None

    def _refuse_request(self, session: str, message: Inbound, order: Order | None) -> Refusal | None:
        """The checks that F and G share."""
        if order is None:
            return UNKNOWN
        if not order.is_open:
            return TOO_LATE
        if text := rules.too_long_id(message):
            return Refusal(b"99", text)
        return DUPLICATE if (session, _id(message)) in self.names else None

    def _refuse_terms(self, message: Inbound, order: Order | None) -> Refusal | None:
        """What only G is checked for; every fault has the same CxlRejReason(102)."""
        assert order is not None
        listing = self.board.listed[order.symbol]
        qty_refusal = rules.wrong_qty(message, listing)
        text: bytes | None
        if shut := SHUT.get(self.floor.phase(order.symbol)):
            text = shut
        elif message.get(40) != order.ord_type:
            text = b"OrdType(40) differs from the order's"
        elif message.get(59) not in (None, order.time_in_force):
            text = b"TimeInForce(59) differs from the order's"
        else:
            text = rules.unsupported_tag(message, order.time_in_force) or rules.changed_term(message, order.terms)
            text = text or (qty_refusal and qty_refusal.text)
            text = text or rules.wrong_price(message, listing)
        return Refusal(b"2", text) if text else self._refuse_for_risk(message, order)

    def _refuse_for_risk(self, message: Inbound, order: Order) -> Refusal | None:
        """What limits have against a G that is good by itself."""
        refusal = self.risk.standing(order.session, message, order.account)
        if refusal is not None:
            return Refusal(b"2", refusal.text)
        qty, orders = read_number(message.get(38)), list(self.open.values())
        assert qty is not None
        price, book = read_number(message.get(44)), self.books[order.symbol]
        text = self.risk.refuse_replace(order, price, qty, book, orders, self.board.listed, self._now_ns)
        return Refusal(b"2", text) if text else None

    def refuse_for_rate(self, session: str, message: Inbound, now_ns: int) -> list[Reply]:
        """Another application message of a session, whoever answers it: one too many is refused in the way of its kind."""
        self._now_ns = now_ns
        if self.risk.says_too_much(session, now_ns) != "reject":
            return []
        if message.msg_type not in (b"D", b"F", b"G"):
            return [Reply(session, business_reject(message, b"0", RATE))]
        if any(message.get(tag) is None for tag in NEEDED[message.msg_type]):
            return [Reply(session, business_reject(message, b"5", b"Conditionally Required Field Missing"))]
        if message.msg_type == b"D":
            return [self._refuse(session, message, Refusal(b"3", RATE), None)]
        order = self._named(session, message)
        return [self._reject_request(session, message, order, Refusal(b"1" if order is None else b"2", RATE))]

    def _reject_request(self, session: str, message: Inbound, order: Order | None, refusal: Refusal) -> Reply:
        return Reply(session, cancel_reject(message, order, refusal, self._time()))

    def _order_status(self, session: str, message: Inbound) -> Iterator[Reply]:
        order = self.names.get((session, _id(message)))
        if order is not None and message.get(37) in (None, b"%d" % order.order_id):
            yield self._status(order, message)
            return
        occasion = Occasion(b"I", 0, self._time(), _id(message), message.route, ord_status_req_id=message.get(790))
        yield Reply(session, refusal_report(message, occasion, Refusal(b"5", b"Unknown order")))

    # ------------------------------------------------------------ reports

    def _take_out(self, order: Order, status: bytes) -> None:
        self.floor.take_out(order, status)
        del self.open[order.order_id]

    def _report(
        self,
        order: Order,
        exec_type: bytes,
        *,
        request: Inbound | None = None,
        former: bytes | None = None,
        execution: Execution | None = None,
        reason: bytes | None = None,
    ) -> Reply:
        """Tell the owner of `order` what happened; an answer to a `request` has its id and its routing."""
        if request is None:
            occasion = self._occasion(exec_type, order.cl_ord_id, order.route, None, execution, reason)
        else:
            occasion = self._occasion(exec_type, _id(request), request.route, former or order.cl_ord_id)
        return self._say(order, occasion)

    def _status(self, order: Order, message: Inbound) -> Reply:
        """One report of the state `order` is in; it uses up no ExecID."""
        request_id = message.get(790) if message.msg_type == b"H" else None
        occasion = Occasion(
            b"I", 0, self._time(), order.cl_ord_id, message.route, ord_status_req_id=request_id
        )
        return self._say(order, occasion)

    def _occasion(
        self,
        exec_type: bytes,
        cl_ord_id: bytes,
        route: tuple[Field, ...],
        orig: bytes | None = None,
        execution: Execution | None = None,
        reason: bytes | None = None,
    ) -> Occasion:
        """What happened now, under the next ExecID."""
        self.exec_id += 1
        return Occasion(exec_type, self.exec_id, self._time(), cl_ord_id, route, orig, execution=execution, restatement=reason)

    def _say(self, order: Order, occasion: Occasion) -> Reply:
        listing = self.board.listed[order.symbol]
        if occasion.exec_type == b"F" and occasion.execution is not None:
            self.ledger.note(order, occasion.exec_id, occasion.execution)
        return Reply(order.session, order_report(order, listing, occasion, self.avg_px_decimals))

    def _time(self) -> bytes:
        return show_time(self._now_ns, self.timestamp_digits)


def _id(message: Inbound) -> bytes:
    return message.get(11) or b""
