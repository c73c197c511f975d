"""The books as they follow from reports: nothing but ExecutionReports goes in, the order of every queue comes out."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from e2e.peer import fields

#: What a report says about an order that is not in the book (any more).
CLOSED = frozenset({b"2", b"4", b"8", b"C"})


@dataclass
class Resting:
    """An order in a book."""

    price: Decimal
    leaves: Decimal


class Books:
    """All books: orders by symbol and side, oldest of a price first."""

    def __init__(self) -> None:
        self._sides: dict[tuple[bytes, bytes], dict[bytes, Resting]] = defaultdict(dict)

    @property
    def symbols(self) -> list[bytes]:
        """Instruments that ever had an order."""
        return sorted({symbol for symbol, _ in self._sides})

    def take(self, frame: bytes) -> None:
        """Follow one ExecutionReport(8)."""
        report = fields(frame)
        exec_type, order_id = report[b"150"], report[b"37"]
        if exec_type in (b"I", b"8"):
            return
        side = b"1" if report[b"54"] == b"1" else b"2"
        orders = self._sides[report[b"55"], side]
        if report[b"39"] in CLOSED:
            orders.pop(order_id, None)
        elif exec_type == b"F":
            orders[order_id].leaves = Decimal(report[b"151"].decode())
        else:
            price = Decimal(report.get(b"44", b"0").decode())  # a market order is never in the book for long
            self._place(orders, order_id, Resting(price, Decimal(report[b"151"].decode())))

    def _place(self, orders: dict[bytes, Resting], order_id: bytes, order: Resting) -> None:
        """New, or replaced: only the same price and no more quantity keeps the place."""
        before = orders.get(order_id)
        if before is not None and (before.price != order.price or before.leaves < order.leaves):
            del orders[order_id]
        orders[order_id] = order

    def side(self, symbol: bytes, side: bytes) -> list[tuple[bytes, Decimal, Decimal]]:
        """(OrderID, price, leaves) of one side, in the order in which they would trade."""
        orders = self._sides[symbol, side].items()
        sign = -1 if side == b"1" else 1
        return [(name, one.price, one.leaves) for name, one in sorted(orders, key=lambda pair: sign * pair[1].price)]

    def everything(self) -> Iterator[tuple[bytes, Decimal, Decimal]]:
        """(OrderID, price, leaves) of every resting order."""
        for orders in self._sides.values():
            yield from ((name, one.price, one.leaves) for name, one in orders.items())


def shown(snapshot: bytes) -> dict[bytes, list[tuple[bytes, Decimal, Decimal]]]:
    """The two sides of a MarketDataSnapshotFullRefresh(W) that was asked for with 266=N, by Side(54)."""
    sides: dict[bytes, list[tuple[bytes, Decimal, Decimal]]] = {b"1": [], b"2": []}
    entry: dict[bytes, bytes] = {}
    for part in [*snapshot.split(b"\x01"), b"269=end"]:
        tag, _, text = part.partition(b"=")
        if tag == b"269":
            if b"37" in entry:
                side = b"1" if entry[b"269"] == b"0" else b"2"
                sides[side].append((entry[b"37"], Decimal(entry[b"270"].decode()), Decimal(entry[b"271"].decode())))
            entry = {}
        entry[tag] = text
    return sides
