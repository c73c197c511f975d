"""What is done to many orders, or to a trade, afterwards: the oracle's cancel-all, mass cancel, bust and correction."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from fixsim.reference.book import FILLED, NEW, PARTIALLY_FILLED, Order
from fixsim.reference.check_order import SIDES
from fixsim.reference.listing import Board
from fixsim.reference.message import Field, Inbound
from fixsim.reference.number import read_number
from fixsim.reference.report import Execution, Refusal

CANCELED: Final = b"4"
SECURITY, ALL = b"1", b"7"
#: Longest ClOrdID(11).
ID_MAX: Final = 64


def meant(
    orders: Iterator[Order],
    *,
    session: str | None = None,
    symbol: str | None = None,
    account: bytes | None = None,
    side: bytes | None = None,
) -> list[Order]:
    """Those of the open `orders` that have all of these; None for any."""
    wanted = {"session": session, "symbol": symbol, "account": account, "side": side}
    given = {name: value for name, value in wanted.items() if value is not None}
    return [order for order in orders if all(getattr(order, name) == value for name, value in given.items())]


def refuse_mass_cancel(message: Inbound, board: Board) -> Refusal | None:
    """Why an OrderMassCancelRequest(q) cannot be served."""
    if len(message.get(11) or b"") > ID_MAX:
        return Refusal(b"99", b"ClOrdID(11) is longer than 64 bytes")
    if message.get(530) not in (SECURITY, ALL):
        return Refusal(b"0", b"Unsupported MassCancelRequestType(530)")
    if message.get(530) == SECURITY and message.symbol not in board.listed:
        return Refusal(b"1", b"Unknown Symbol(55)")
    side = message.get(54)
    return Refusal(b"99", b"Unsupported Side(54)") if side is not None and side not in SIDES else None


def mass_cancel_report(
    message: Inbound, order_id: int, count: int, refusal: Refusal | None, transact_time: bytes
) -> list[Field]:
    """OrderMassCancelReport(r)."""
    kind = message.get(530) or b""
    return [
        (35, b"r"),
        *message.route,
        *message.echo(11),
        (37, b"NONE" if refusal else b"%d" % order_id),
        (530, kind),
        (531, b"0" if refusal else kind),
        *([(532, refusal.reason)] if refusal else []),
        (533, b"%d" % count),
        *message.echo(55, 54),
        (60, transact_time),
        *([(58, refusal.text)] if refusal else []),
    ]


@dataclass
class Half:
    """One side of a trade, and the ExecID(17) that last spoke of it to its owner."""

    order: Order
    exec_id: int


@dataclass
class Trade:
    """A trade as it is by now: quantity 0 when it was busted."""

    price: Decimal
    qty: Decimal
    halves: list[Half] = field(default_factory=list)


@dataclass
class Ledger:
    """Every trade, by its match id."""

    trades: dict[int, Trade] = field(default_factory=dict)

    def note(self, order: Order, exec_id: int, execution: Execution) -> None:
        """One side of a trade is told."""
        trade = self.trades.setdefault(execution.match_id, Trade(execution.price, execution.qty))
        trade.halves.append(Half(order, exec_id))

    def ask(self, match_id: int, qty: bytes | None, price: bytes | None) -> tuple[Trade, Decimal, Decimal] | None:
        """The trade and what it shall become; None where it cannot. Without quantity and price it is busted."""
        trade = self.trades.get(match_id)
        if trade is None or not trade.qty:
            return None
        if qty is None and price is None:
            return trade, Decimal(0), Decimal(0)
        wanted = trade.qty if qty is None else read_number(qty)
        worth = trade.price if price is None else read_number(price)
        if wanted is None or worth is None or not 0 < wanted <= trade.qty or worth <= 0:
            return None
        return None if (wanted, worth) == (trade.qty, trade.price) else (trade, wanted, worth)


def restate(order: Order, trade: Trade, qty: Decimal, price: Decimal) -> None:
    """`order` has traded less, or at another price. What it lost works again if the order still works."""
    less = trade.qty - qty
    order.cum -= less
    order.notional += qty * price - trade.qty * trade.price
    if order.is_open:
        order.leaves += less
        if order.status in (NEW, PARTIALLY_FILLED):
            order.status = PARTIALLY_FILLED if order.cum else NEW
    elif order.status == FILLED and less:
        order.status = CANCELED
