"""What is done to many orders, or to a trade, afterwards: the oracle's cancel-all, mass cancel, bust and correction."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from fixsim.reference.book import FILLED, NEW, PARTIALLY_FILLED, Book, Order
from fixsim.reference.check_order import SIDES
from fixsim.reference.listing import Board
from fixsim.reference.message import Field, Inbound
from fixsim.reference.number import read_number
from fixsim.reference.phases import OPTION
from fixsim.reference.report import Execution, Occasion, Refusal, Reply
from fixsim.reference.risk import RiskDesk
from fixsim.reference.speech import Speaker

CANCELED: Final = b"4"
SECURITY, ALL = b"1", b"7"
GOOD_TILL_CANCEL: Final = b"1"
#: Words of the configuration, in the order owners are asked.
SCOPES: Final = ("session", "firm", "account", "instrument")
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


class Interventions(Speaker, ABC):
    """What the oracle does besides taking orders, to the orders and trades it has."""

    board: Board
    ledger: Ledger
    risk: RiskDesk
    books: dict[str, Book]
    names: dict[tuple[str, bytes], Order]
    open: dict[int, Order]
    order_id: int
    exec_id: int

    @abstractmethod
    def _take_out(self, order: Order, status: bytes) -> None:
        """An open order is closed with OrdStatus `status`."""

    @abstractmethod
    def _report(self, order: Order, exec_type: bytes, *, reason: bytes | None = None) -> Reply:
        """Tell the owner of `order` what happened."""

    @abstractmethod
    def _occasion(
        self, exec_type: bytes, cl_ord_id: bytes, route: tuple[Field, ...], orig: bytes | None = None,
        execution: Execution | None = None,
    ) -> Occasion:  # fmt: skip
        """What happened now, under the next ExecID."""

    @abstractmethod
    def _say(self, order: Order, occasion: Occasion) -> Reply:
        """The report of an occasion."""

    @abstractmethod
    def _time(self) -> bytes:
        """Now, as it is written."""

    def cancel_all(self, now_ns: int, **which: Any) -> list[Reply]:
        """The exchange cancels the open orders that are meant: `session`, `symbol`, `account`, `side`."""
        return self._speak(self._withdraw(meant(iter(self.open.values()), **which), OPTION), now_ns)

    def amend(self, match_id: int, now_ns: int, qty: bytes | None = None, price: bytes | None = None) -> list[Reply]:
        """A trade is busted, or corrected to `qty` and `price`; nothing where that cannot be."""
        found = self.ledger.ask(match_id, qty, price)
        if found is None or not all(self._is_known(half.order) for half in found[0].halves):
            return []
        return self._speak(self._amended(match_id, *found), now_ns)

    def _is_known(self, order: Order) -> bool:
        return order.is_open or order in self.names.values()

    def _amended(self, match_id: int, trade: Trade, qty: Decimal, price: Decimal) -> Iterator[Reply]:
        for half in sorted(trade.halves, key=lambda half: not half.order.is_buy):
            order = half.order
            restate(order, trade, qty, price)
            self.risk.amended(order, (trade.qty, trade.price), (qty, price), self.board.listed[order.symbol])
            execution = Execution(price, qty, match_id, None)
            occasion = self._occasion(b"G" if qty else b"H", order.cl_ord_id, order.route, None, execution)
            yield self._say(order, replace(occasion, exec_ref_id=half.exec_id))
            half.exec_id = self.exec_id
        trade.qty, trade.price = qty, price

    def _withdrawn(self, order: Order, reason: bytes | None) -> Reply:
        self._take_out(order, CANCELED)
        return self._report(order, b"4", reason=reason)

    def _withdraw(self, orders: Iterable[Order], reason: bytes | None) -> Iterator[Reply]:
        return (self._withdrawn(order, reason) for order in orders)

    def look_at_risk(self, now_ns: int) -> list[Reply]:
        """A new day's sums, new marks; what is cancelled because somebody has lost too much."""
        return self._speak(self._stop_losses(now_ns), now_ns)

    def _stop_losses(self, now_ns: int) -> Iterator[Reply]:
        lost = self.risk.tick(self.books, self.board.listed, now_ns)
        for owner in sorted(lost, key=lambda owner: (SCOPES.index(owner.scope), owner.name)):
            yield from self._withdraw(self._orders_of(owner.scope, owner.name), b"8")

    def kill(self, scope: str, name: str, now_ns: int) -> list[Reply]:
        """Turn a kill switch on: whom it names is blocked, and what rests of it is cancelled."""
        if (scope, name) not in self.risk.switches:
            self.risk.switches.append((scope, name))
        return self._speak(self._withdraw(self._orders_of(scope, name), b"8"), now_ns)

    def unkill(self, scope: str, name: str) -> None:
        """Lift it."""
        self.risk.switches = [switch for switch in self.risk.switches if switch != (scope, name)]

    def gone(self, session: str, now_ns: int, reason: bytes, *, keeps_gtc: bool) -> list[Reply]:
        """A session did not come back in time: its orders are cancelled."""
        orders = [
            order
            for order in self._orders_of("session", session)
            if not (keeps_gtc and order.time_in_force == GOOD_TILL_CANCEL)
        ]
        return self._speak(self._withdraw(orders, reason), now_ns)

    def _orders_of(self, scope: str, name: str) -> list[Order]:
        return [order for order in self.open.values() if self.risk.belongs(order, scope, name)]

    def _mass_cancel(self, session: str, message: Inbound) -> Iterator[Reply]:
        refusal = refuse_mass_cancel(message, self.board)
        orders: list[Order] = []
        if refusal is None:
            self.order_id += 1
            symbol = message.symbol if message.get(530) == SECURITY else None
            orders = meant(iter(self.open.values()), session=session, symbol=symbol, side=message.get(54))
        yield Reply(session, mass_cancel_report(message, self.order_id, len(orders), refusal, self._time()))
        yield from self._withdraw(orders, None)
