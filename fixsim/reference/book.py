"""A book as one would draw it: sorted prices, each with a queue; the oldest of the best price trades first.

Prices and quantities are decimals in the instrument's own units. The book knows nothing of reports, of who
may do what, or of what a client may call an order. `place` and `replace` yield each Fill as it happens,
with both orders already updated, so that the caller can report the state of that moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from sortedcontainers import SortedDict

from fixsim.reference.message import Field

BUY: Final = b"1"
SELLS: Final = frozenset({b"2", b"5", b"6"})

NEW: Final = b"0"
PARTIALLY_FILLED: Final = b"1"
FILLED: Final = b"2"
SUSPENDED: Final = b"9"

ZERO: Final = Decimal(0)
#: Where market orders stand that rest in a call: in front of every limit.
FIRST: Final = Decimal("-Infinity")
#: Under which price they are shown.
ANY_PRICE: Final = Decimal("Infinity")


@dataclass(slots=True, eq=False)
class Order:
    """One accepted order, from its NewOrderSingle(D) on; closed ones are kept for status requests."""

    session: str
    order_id: int
    cl_ord_id: bytes
    symbol: str
    side: bytes
    ord_type: bytes
    time_in_force: bytes
    price: Decimal | None  # None for a market order
    qty: Decimal
    day: int  # trading day it was accepted, days since 1970
    account: bytes | None = None
    route: tuple[Field, ...] = ()
    terms: tuple[Field, ...] = ()  # what else its reports repeat: 18, 432, 126
    instructions: frozenset[bytes] = frozenset()  # J and K of ExecInst(18)
    last_day: int | None = None  # last trading day of a GTD order with a date
    until_ns: int | None = None  # end of a GTD order with a time
    waits: bool = False  # held outside of the book
    leaves: Decimal = ZERO
    cum: Decimal = ZERO
    notional: Decimal = ZERO  # exact sum of price x quantity executed
    status: bytes = NEW  # OrdStatus(39)
    worst: Decimal | None = None  # price that a market order may not trade beyond

    def __post_init__(self) -> None:
        self.leaves = self.qty

    @property
    def is_buy(self) -> bool:
        return self.side == BUY

    @property
    def limit(self) -> Decimal | None:
        """The price it may not trade beyond, None for any."""
        return self.worst if self.price is None else self.price

    @property
    def is_open(self) -> bool:
        return self.status in (NEW, PARTIALLY_FILLED, SUSPENDED)

    def close(self, status: bytes) -> None:
        """Nothing is left to trade: cancelled, expired or replaced away, as `status` says."""
        self.leaves, self.status = ZERO, status

    def trade(self, qty: Decimal, price: Decimal) -> None:
        self.leaves -= qty
        self.cum += qty
        self.notional += qty * price
        self.status = PARTIALLY_FILLED if self.leaves else FILLED


class Guard(Protocol):
    """Who says at which prices an instrument may trade."""

    def allows(self, price: Decimal) -> bool:
        """May it trade at `price`?"""

    def lets_wait(self, order: Order) -> bool:
        """May what is left of an order rest at its price?"""

    def traded(self, price: Decimal) -> bool:
        """It has; False when everything must stop."""


class Fill(NamedTuple):
    """One execution: between the order that came and one that rested, or between a buyer and a seller of an auction."""

    taker: Order
    maker: Order
    price: Decimal
    qty: Decimal
    auction: bool = False


@dataclass(slots=True)
class Side:
    """One side of a book. Keys put the best price first: bids are kept under their negated price."""

    is_buy: bool
    levels: SortedDict = field(default_factory=SortedDict)  # key -> {order_id: Order}, oldest first

    def key(self, price: Decimal | None) -> Decimal:
        if price is None:
            return FIRST
        return price.copy_negate() if self.is_buy else price

    def __iter__(self) -> Iterator[tuple[Decimal, list[Order]]]:
        """Levels as (price, orders), best price first, oldest order first."""
        for key, level in self.levels.items():
            yield ANY_PRICE if key == FIRST else self.key(key), list(level.values())

    def __contains__(self, order: Order) -> bool:
        return order.order_id in self.levels.get(self.key(order.price), ())

    def add(self, order: Order) -> None:
        assert order.leaves > 0, "only what has a rest can rest"
        self.levels.setdefault(self.key(order.price), {})[order.order_id] = order

    def remove(self, order: Order) -> None:
        key = self.key(order.price)
        level = self.levels[key]
        del level[order.order_id]
        if not level:
            del self.levels[key]

    def first_at(self, price: Decimal) -> Order | None:
        """The first order that would trade at `price`."""
        if not self.levels or self.levels.peekitem(0)[0] > self.key(price):
            return None
        first: Order = next(iter(self.levels.peekitem(0)[1].values()))
        return first

    def best_for(self, taker: Order) -> Order | None:
        """The resting order that `taker` trades with next, None when its price reaches none."""
        if not self.levels:
            return None
        key, level = self.levels.peekitem(0)
        if taker.limit is not None and key > self.key(taker.limit):
            return None
        best: Order = next(iter(level.values()))
        return best


class Book:
    """Both sides of one instrument, and its last trade."""

    def __init__(self) -> None:
        self.bids, self.asks = Side(is_buy=True), Side(is_buy=False)
        self.last_trade: tuple[Decimal, Decimal] | None = None  # price, quantity
        self.guard: Guard | None = None
        self.held: Order | None = None  # an order on its way that `guard` has stopped

    def own(self, order: Order) -> Side:
        return self.bids if order.is_buy else self.asks

    def opposite(self, order: Order) -> Side:
        return self.asks if order.is_buy else self.bids

    def can_fill(self, taker: Order) -> bool:
        """Whether all that is left of `taker` could trade now: fill-or-kill asks before anything moves."""
        opposite, wanted = self.opposite(taker), taker.leaves
        for key, level in opposite.levels.items():
            if taker.limit is not None and key > opposite.key(taker.limit):
                break
            if self.guard is not None and not self.guard.allows(opposite.key(key)):
                break
            for maker in level.values():
                wanted -= maker.leaves
                if wanted <= 0:
                    return True
        return False

    def place(self, order: Order, *, rests: bool) -> Iterator[Fill]:
        """Trade `order` as far as its price allows, then let the remainder rest if it `rests`.

        Nothing happens until the iterator is run; it must be run to its end. Where the guard stops the order it is `held`
        afterwards, wherever it was.
        """
        opposite, guard = self.opposite(order), self.guard
        while order.leaves:
            maker = opposite.best_for(order)
            if maker is None:
                break
            qty, price = min(order.leaves, maker.leaves), maker.price
            assert price is not None, "market orders rest in calls only"
            if guard is not None and not guard.allows(price):
                self.held = order
                return
            order.trade(qty, price)
            maker.trade(qty, price)
            if not maker.leaves:
                opposite.remove(maker)
            self.last_trade = price, qty
            yield Fill(order, maker, price, qty)
            if guard is not None and not guard.traded(price):
                self.held = order
                return
        if not order.leaves or not rests:
            return
        if guard is not None and not guard.lets_wait(order):
            self.held = order
        else:
            self.own(order).add(order)

    def uncross(self, price: Decimal) -> Iterator[Fill]:
        """Let bids and asks meet at `price`, best and oldest first, as long as there are both."""
        while (bid := self.bids.first_at(price)) and (ask := self.asks.first_at(price)):
            qty = min(bid.leaves, ask.leaves)
            for order, side in ((bid, self.bids), (ask, self.asks)):
                order.trade(qty, price)
                if not order.leaves:
                    side.remove(order)
            self.last_trade = price, qty
            yield Fill(bid, ask, price, qty, auction=True)

    def cancel(self, order: Order, status: bytes) -> None:
        """Take a resting order out; it is closed with OrdStatus `status`."""
        self.own(order).remove(order)
        order.close(status)

    def reduce(self, order: Order, qty: Decimal) -> None:
        """Lower a resting order's total to `qty` (above what it traded); it keeps its place."""
        assert order.cum < qty <= order.qty
        order.leaves, order.qty = qty - order.cum, qty

    def replace(self, order: Order, price: Decimal, qty: Decimal) -> Iterator[Fill]:
        """Give a resting order a new price and total; at once, then the fills that follow from it.

        A total of no more than was traded ends the order. The same price with no more quantity keeps the
        place in the queue; all else goes to the back of its level, trading first where the new price
        crosses.
        """
        if qty > order.cum and price == order.price and qty <= order.qty:
            self.reduce(order, qty)
            return iter(())
        self.own(order).remove(order)
        order.price = price
        if qty <= order.cum:
            order.qty = order.cum
            order.close(FILLED)
            return iter(())
        order.leaves, order.qty = qty - order.cum, qty
        return self.place(order, rests=True)
