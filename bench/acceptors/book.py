"""The book of the Python peers: price-time over `sortedcontainers`, as one would write it who wants it simple."""

from collections import deque
from dataclasses import dataclass
from itertools import count

from sortedcontainers import SortedDict

BUY = "1"


@dataclass(slots=True)
class Order:
    """One order; `owner` is whatever the acceptor sends reports to. Prices are in cents."""

    owner: object
    cl_ord_id: str
    order_id: int
    symbol: str
    side: str
    price: int
    quantity: int
    leaves: int
    cum: int = 0
    notional: int = 0

    def fill(self, quantity: int, price: int) -> None:
        """`quantity` has traded at `price`."""
        self.leaves -= quantity
        self.cum += quantity
        self.notional += quantity * price

    @property
    def average(self) -> float:
        """AvgPx(6)."""
        return self.notional / self.cum / 100 if self.cum else 0.0


class Books:
    """All books. Sides are kept by a key that is smallest for the best price."""

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], SortedDict] = {}
        self._open: dict[tuple[object, str], Order] = {}
        self._ids = count(1)

    def order(self, owner: object, cl_ord_id: str, symbol: str, side: str, price: int, quantity: int) -> Order:
        """A new order, not in its book yet: its New is said first."""
        return Order(owner, cl_ord_id, next(self._ids), symbol, side, price, quantity, quantity)

    def enter(self, order: Order) -> list[tuple[Order, int, int]]:
        """Match, and rest what is left; (maker, quantity, price) of each fill, in order."""
        other = self._side(order.symbol, "2" if order.side == BUY else BUY)
        fills = []
        while order.leaves and other:
            price, queue = other.peekitem(0)
            price = abs(price)
            if price > order.price if order.side == BUY else price < order.price:
                break
            maker = queue[0]
            quantity = min(order.leaves, maker.leaves)
            fills.append((maker, quantity, price))
            order.leaves -= quantity
            maker.leaves -= quantity
            if not maker.leaves:
                self._remove_first(other, queue)
        # quantities are given back: whoever reports takes them fill by fill
        left = order.leaves
        for maker, quantity, _ in fills:
            maker.leaves += quantity
            order.leaves += quantity
        if left:
            key = -order.price if order.side == BUY else order.price
            self._side(order.symbol, order.side).setdefault(key, deque()).append(order)
            self._open[order.owner, order.cl_ord_id] = order
        return fills

    def _side(self, symbol: str, side: str) -> SortedDict:
        found = self._sides.get((symbol, side))
        if found is None:
            found = self._sides[symbol, side] = SortedDict()
        return found

    def _remove_first(self, side: SortedDict, queue: "deque[Order]") -> None:
        gone = queue.popleft()
        self._open.pop((gone.owner, gone.cl_ord_id), None)
        if not queue:
            side.popitem(0)

    def cancel(self, owner: object, orig: str) -> Order | None:
        """Take an open order out of its book."""
        order = self._open.pop((owner, orig), None)
        if order is None:
            return None
        side = self._side(order.symbol, order.side)
        key = -order.price if order.side == BUY else order.price
        side[key].remove(order)
        if not side[key]:
            del side[key]
        return order
