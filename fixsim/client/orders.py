"""Order messages as an initiator writes them, and one order followed through the reports about it.

Numbers stay text as they are on the wire: a client must not round what it asks for. Every function returns a
body, the fields behind the standard header in the order they are sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fixsim.errors import UsageError
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, OrdStatus, OrdType, Side, TimeInForce

Body = list[tuple[int, bytes]]

#: How a person names TimeInForce(59).
TIF_NAMES: Final = {
    "day": TimeInForce.DAY,
    "gtc": TimeInForce.GOOD_TILL_CANCEL,
    "ioc": TimeInForce.IMMEDIATE_OR_CANCEL,
    "fok": TimeInForce.FILL_OR_KILL,
    "open": TimeInForce.AT_THE_OPENING,
    "close": TimeInForce.AT_THE_CLOSE,
}
#: OrdStatus(39) after which an order does nothing any more.
CLOSED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED, OrdStatus.DONE_FOR_DAY}
)
#: Symbol(55) of a request that only knows the ClOrdID(11): the dictionary requires one.
NO_SYMBOL: Final = b"[N/A]"


@dataclass
class Order:
    """One order: what was asked for, and every report about it so far.

    `cl_ord_id` is the current ClOrdID(11): an accepted replace moves it on. `answer` is the last refusal of a
    message about it: OrderCancelReject(9), Reject(3) or BusinessMessageReject(j).
    """

    cl_ord_id: str
    symbol: str
    side: bytes
    order_qty: str
    price: str | None
    ord_type: bytes = OrdType.LIMIT
    reports: list[Message] = field(default_factory=list)
    answer: Message | None = None

    def text(self, tag: int) -> str | None:
        """The latest report's value of `tag`; None when there is no report or it has none."""
        value = self.reports[-1].get(tag) if self.reports else None
        return None if value is None else value.decode("latin-1")

    @property
    def ord_status(self) -> bytes | None:
        """OrdStatus(39) of the latest report, None before the first."""
        return self.reports[-1].get(tags.ORD_STATUS) if self.reports else None

    @property
    def closed(self) -> bool:
        """Nothing more can happen to it."""
        return self.ord_status in CLOSED

    @property
    def rejected(self) -> bool:
        """The exchange refused it: by an ExecutionReport(8) with 150=8, or by a Reject(3) or j of its
        message.
        """
        if not self.reports:
            return self.answer is not None
        return self.reports[0].get(tags.EXEC_TYPE) == ExecType.REJECTED

    @property
    def order_id(self) -> str | None:
        """OrderID(37) as the exchange named it."""
        return self.text(tags.ORDER_ID)

    @property
    def cum_qty(self) -> str:
        """CumQty(14), "0" before the first report."""
        return self.text(tags.CUM_QTY) or "0"

    @property
    def leaves_qty(self) -> str:
        """LeavesQty(151); the whole quantity before the first report."""
        return self.text(tags.LEAVES_QTY) or self.order_qty

    @property
    def fills(self) -> list[Message]:
        """The reports that are trades (150=F)."""
        return [report for report in self.reports if report.get(tags.EXEC_TYPE) == ExecType.TRADE]

    def take(self, report: Message) -> None:
        """Follow one ExecutionReport(8); a replaced order takes its new id, quantity and price from it."""
        self.reports.append(report)
        if report.get(tags.EXEC_TYPE) == ExecType.REPLACED:
            self.cl_ord_id = self.text(tags.CL_ORD_ID) or self.cl_ord_id
            self.order_qty = self.text(tags.ORDER_QTY) or self.order_qty
            self.price = self.text(tags.PRICE) or self.price


def order_from_status(report: Message) -> Order | None:
    """The order an ExecutionReport(8) with 150=I speaks of; None when the exchange knows none."""
    if report.get(tags.ORD_STATUS) == OrdStatus.REJECTED and report.get(tags.ORDER_ID, b"NONE") == b"NONE":
        return None
    order = Order(
        cl_ord_id=_text(report, tags.CL_ORD_ID),
        symbol=_text(report, tags.SYMBOL),
        side=report.get(tags.SIDE) or Side.BUY,
        order_qty=_text(report, tags.ORDER_QTY),
        price=_text(report, tags.PRICE) or None,
        ord_type=report.get(tags.ORD_TYPE) or OrdType.LIMIT,
    )
    order.reports.append(report)
    return order


def _text(report: Message, tag: int) -> str:
    return (report.get(tag) or b"").decode("latin-1")


def time_in_force(name: str) -> bytes:
    """TimeInForce(59) of `day`, `gtc`, `ioc`, `fok`, `open` or `close`. Raises UsageError for another name."""
    if name.lower() not in TIF_NAMES:
        raise UsageError(f"--tif {name}: expected one of {', '.join(TIF_NAMES)}")
    return TIF_NAMES[name.lower()]


def new_order(order: Order, tif: bytes, transact_time: bytes, account: str | None = None) -> Body:
    """NewOrderSingle(D) for `order`: a Market when it has no price, a Limit otherwise."""
    body: Body = [(tags.CL_ORD_ID, order.cl_ord_id.encode())]
    if account is not None:
        body.append((tags.ACCOUNT, account.encode()))
    body += [
        (tags.SYMBOL, order.symbol.encode()),
        (tags.SIDE, order.side),
        (tags.TRANSACT_TIME, transact_time),
        (tags.ORDER_QTY, order.order_qty.encode()),
        (tags.ORD_TYPE, order.ord_type),
    ]
    if order.price is not None:
        body.append((tags.PRICE, order.price.encode()))
    body.append((tags.TIME_IN_FORCE, tif))
    return body


def cancel_request(order: Order, cl_ord_id: str, transact_time: bytes) -> Body:
    """OrderCancelRequest(F) for the rest of `order`; `cl_ord_id` names the request."""
    return [
        (tags.ORIG_CL_ORD_ID, order.cl_ord_id.encode()),
        (tags.CL_ORD_ID, cl_ord_id.encode()),
        (tags.SYMBOL, order.symbol.encode()),
        (tags.SIDE, order.side),
        (tags.TRANSACT_TIME, transact_time),
        (tags.ORDER_QTY, order.order_qty.encode()),
    ]


def replace_request(order: Order, cl_ord_id: str, qty: str, price: str | None, transact_time: bytes) -> Body:
    """OrderCancelReplaceRequest(G): `qty` is the new total quantity, `price` None for a market order."""
    body: Body = [
        (tags.ORIG_CL_ORD_ID, order.cl_ord_id.encode()),
        (tags.CL_ORD_ID, cl_ord_id.encode()),
        (tags.SYMBOL, order.symbol.encode()),
        (tags.SIDE, order.side),
        (tags.TRANSACT_TIME, transact_time),
        (tags.ORDER_QTY, qty.encode()),
        (tags.ORD_TYPE, order.ord_type),
    ]
    if price is not None:
        body.append((tags.PRICE, price.encode()))
    return body


def status_request(cl_ord_id: str, symbol: bytes = NO_SYMBOL, side: bytes = Side.BUY) -> Body:
    """OrderStatusRequest(H) by ClOrdID(11)."""
    return [(tags.CL_ORD_ID, cl_ord_id.encode()), (tags.SYMBOL, symbol), (tags.SIDE, side)]


def security_list_request(request_id: str) -> Body:
    """SecurityListRequest(x) for everything the exchange lists."""
    return [(tags.SECURITY_REQ_ID, request_id.encode()), (tags.SECURITY_LIST_REQUEST_TYPE, b"4")]


def book_request(request_id: str, symbols: Iterable[str], depth: int = 0) -> Body:
    """MarketDataRequest(V) for one snapshot per symbol: bids, offers and the last trade, `depth` levels (0
    for all).
    """
    names = list(symbols)
    body: Body = [
        (tags.MD_REQ_ID, request_id.encode()),
        (tags.SUBSCRIPTION_REQUEST_TYPE, b"0"),
        (tags.MARKET_DEPTH, b"%d" % depth),
        (tags.NO_MD_ENTRY_TYPES, b"3"),
        (tags.MD_ENTRY_TYPE, b"0"),
        (tags.MD_ENTRY_TYPE, b"1"),
        (tags.MD_ENTRY_TYPE, b"2"),
        (tags.NO_RELATED_SYM, b"%d" % len(names)),
    ]
    return body + [(tags.SYMBOL, name.encode()) for name in names]
