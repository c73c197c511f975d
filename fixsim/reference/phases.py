"""Phases of the oracle's instruments, under the names people give them, and what an order does in each.

`Floor` holds what is beside the books: the phase of each instrument, orders that wait outside of the book, closing prices.
It yields what happens; `ReferenceExchange` says it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from fixsim.reference.auction import Outcome, outcome
from fixsim.reference.book import FILLED, Book, Fill, Order
from fixsim.reference.listing import Board
from fixsim.reference.message import Inbound
from fixsim.reference.number import NS_PER_DAY, read_date, read_time
from fixsim.reference.report import Refusal

CONTINUOUS: Final = "continuous"
HALTED: Final = "halted"
CLOSED: Final = "closed"
AT_LAST: Final = "at-last"
CALLS: Final = ("opening-auction", "volatility-auction", "closing-auction")
SHUT: Final = {HALTED: b"Instrument is halted", CLOSED: b"Instrument is closed"}
#: What is for one auction alone, by the phase with which that is over.
LAST_CHANCE: Final = {"pre-open": b"2", "opening-auction": b"2", "closing-auction": b"7"}

SUSPENDED: Final = b"9"
EXPIRED: Final = b"C"
CANCELED: Final = b"4"
#: ExecRestatementReason(378): cancel on trading halt, exchange option.
ON_HALT: Final = b"6"
OPTION: Final = b"8"


class Happening(NamedTuple):
    """Something an order was not asked for: ExecType(150), and 378 where it has a reason."""

    order: Order
    exec_type: bytes
    reason: bytes | None = None


class Turn(NamedTuple):
    """Something an instrument does that is no order's affair, for whoever tells it.

    `what` is *phase* (it goes on with `phase`), *prolonged* or *ends* (its call goes on until `until_ns`, or is over then),
    *limit-state*, *ready*, *called*, *extended* and *halted* (what its breaker does), or, of no symbol, *market-halted* and
    *market-open*.
    """

    what: str
    symbol: str = ""
    phase: str = ""
    until_ns: int | None = None
    #: It was halted before.
    resumed: bool = False
    #: Of a halt of the market, from 1.
    level: int = 0


@dataclass
class Floor:
    """The state beside the books, by symbol."""

    board: Board
    books: dict[str, Book]
    phases: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, dict[int, Order]] = field(default_factory=dict)
    closing: dict[str, Decimal] = field(default_factory=dict)
    #: Schedules are somebody else's: the phase in which an instrument begins, and its trading day where that is no UTC date.
    beginning: Callable[[str], str] = lambda symbol: CONTINUOUS
    today: Callable[[str], int] = lambda symbol: 0

    def phase(self, symbol: str) -> str:
        return self.phases.get(symbol) or self.beginning(symbol)

    # ------------------------------------------------------------ what may be entered

    def refuse(self, message: Inbound, symbol: str, now_ns: int) -> Refusal | None:
        """Why the phase does not take what is otherwise offered; then, why its lifetime is none."""
        phase, tif = self.phase(symbol), message.get(59) or b"0"
        if tif in (b"3", b"4") and phase != CONTINUOUS:
            return Refusal(b"11", b"TimeInForce(59) needs continuous trading")
        if tif == b"2" and phase not in ("pre-open", "opening-auction"):
            return Refusal(b"4", b"Too late for the opening auction")
        if tif == b"7" and phase == AT_LAST:
            return Refusal(b"4", b"Too late for the closing auction")
        return refuse_lifetime(message, now_ns, self.today(symbol) or now_ns // NS_PER_DAY) if tif == b"6" else None

    # ------------------------------------------------------------ orders

    def meets(self, message: Inbound) -> bool:
        """Would a new order trade as it comes?"""
        return self.phase(message.symbol) == CONTINUOUS and message.get(59) != b"7"

    def waits(self, order: Order) -> bool:
        """Whether an order that is accepted now would not be in the book."""
        return order.time_in_force == b"7" and self.phase(order.symbol) != "closing-auction"

    def holds(self, order: Order) -> bool:
        """Does an order not meet anybody as it comes?"""
        return order.waits or order.time_in_force == b"7" or self.phase(order.symbol) != CONTINUOUS

    def put(self, order: Order) -> Iterator[Fill]:
        """An order is taken while nothing meets as it comes; at last it meets at the closing price."""
        # one that was in a closing auction and is replaced behind it waits for the next
        order.waits = self.waits(order)
        if order.waits:
            self.waiting.setdefault(order.symbol, {})[order.order_id] = order
            return
        book = self.books[order.symbol]
        book.own(order).add(order)
        price = self.closing.get(order.symbol)
        if self.phase(order.symbol) == AT_LAST and price is not None:
            yield from book.uncross(price)

    def take_out(self, order: Order, status: bytes) -> None:
        """An order leaves the book, or those who wait, and is closed with `status`."""
        if order.waits:
            del self.waiting[order.symbol][order.order_id]
            order.waits = False
            order.close(status)
        else:
            self.books[order.symbol].cancel(order, status)

    def replace(self, order: Order, price: Decimal | None, qty: Decimal) -> Iterator[Fill]:
        """New terms of an order that does not meet anybody as it comes; what it meets at last."""
        book = self.books[order.symbol]
        if qty > order.cum and price == order.price and qty <= order.qty:
            book.reduce(order, qty)
            return iter(())
        if order.waits:
            del self.waiting[order.symbol][order.order_id]
        else:
            book.own(order).remove(order)
        order.price = price
        if qty <= order.cum:
            order.qty, order.waits = order.cum, False
            order.close(FILLED)
            return iter(())
        order.leaves, order.qty = qty - order.cum, qty
        return self.put(order)

    # ------------------------------------------------------------ changing

    def outcome(self, symbol: str) -> Outcome:
        """What an auction would come to now."""
        book, listing = self.books[symbol], self.board.listed[symbol]
        reference = book.last_trade[0] if book.last_trade else listing.reference_price
        return outcome(book, reference)

    def move(self, symbol: str, phase: str) -> Iterator[Happening | Fill]:
        """The instrument goes on with `phase`; everything that happens to orders because of that."""
        before, book = self.phase(symbol), self.books[symbol]
        if phase == before:
            return
        if before == HALTED:
            yield from self._activate(symbol, SUSPENDED)
        trades = phase in (CONTINUOUS, AT_LAST)
        if before == AT_LAST:
            yield from self._clear(symbol, before)
        elif (trades and before != CONTINUOUS) or (before in CALLS and phase == CLOSED):
            found = self.outcome(symbol)
            if found.price is not None:
                yield from book.uncross(found.price)
            yield from self._clear(symbol, before)
            if before == "closing-auction":
                self._close_at(symbol, found.price)
        self.phases[symbol] = phase
        if phase == HALTED:
            yield from self._halt(book)
        elif phase == "closing-auction":
            yield from self._activate(symbol, None)

    def _close_at(self, symbol: str, price: Decimal | None) -> None:
        last = self.books[symbol].last_trade
        price = price if price is not None else last and last[0]
        if price is None:
            self.closing.pop(symbol, None)
        else:
            self.closing[symbol] = price

    def _clear(self, symbol: str, before: str) -> Iterator[Happening]:
        """What cannot go on after a phase runs out: market orders, bids first, then what was for its auction alone."""
        book = self.books[symbol]
        market = [order for side in (book.bids, book.asks) for _, queue in side for order in queue if order.price is None]
        others = [order for order in self._open_ones(symbol) if order.time_in_force == LAST_CHANCE.get(before)]
        for order in [*market, *(order for order in others if order not in market)]:
            self.take_out(order, EXPIRED)
            yield Happening(order, EXPIRED)

    def _open_ones(self, symbol: str) -> list[Order]:
        """Every open order of an instrument, in the order they were accepted."""
        book = self.books[symbol]
        resting = [order for side in (book.bids, book.asks) for _, queue in side for order in queue]
        return sorted([*resting, *self.waiting.get(symbol, {}).values()], key=lambda order: order.order_id)

    def _halt(self, book: Book) -> Iterator[Happening]:
        """Those who asked for it leave when trading is halted, for good or for a while."""
        resting = [order for side in (book.bids, book.asks) for _, queue in side for order in queue]
        resting.sort(key=lambda order: order.order_id)
        for order in resting:
            if b"K" in order.instructions:
                self.take_out(order, CANCELED)
                yield Happening(order, CANCELED, ON_HALT)
        for order in resting:
            if b"J" in order.instructions:
                book.own(order).remove(order)
                order.waits, order.status = True, SUSPENDED
                self.waiting.setdefault(order.symbol, {})[order.order_id] = order
                yield Happening(order, SUSPENDED)

    def _activate(self, symbol: str, status: bytes | None) -> Iterator[Happening]:
        """Those who wait come into the book: with `status`, or, where that is None, at-close orders."""
        for order in list(self.waiting.get(symbol, {}).values()):
            if (order.status == status) if status else (order.time_in_force == b"7"):
                del self.waiting[symbol][order.order_id]
                order.waits, order.status = False, b"1" if order.cum else b"0"
                yield Happening(order, b"D", OPTION)
                self.books[symbol].own(order).add(order)


def refuse_lifetime(message: Inbound, now_ns: int, today: int) -> Refusal | None:
    """Why ExpireDate(432) or ExpireTime(126) give a GTD order no lifetime."""
    date, time = message.get(432), message.get(126)
    if (date is None) == (time is None):
        return Refusal(b"11", b"TimeInForce(59)=6 needs one of ExpireDate(432) and ExpireTime(126)")
    if date is not None:
        day = read_date(date)
        if day is None or not 0 < day < 65_536:
            return Refusal(b"99", b"ExpireDate(432) is not a date")
        return Refusal(b"99", b"ExpireDate(432) has passed") if day < today else None
    until_ns = read_time(time)
    if until_ns is None or until_ns >= 65_536 * NS_PER_DAY:
        return Refusal(b"99", b"ExpireTime(126) is not a time")
    return Refusal(b"99", b"ExpireTime(126) has passed") if until_ns <= now_ns else None
