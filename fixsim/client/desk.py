"""`Client`: what a trader does with an initiator, one call each.

    with Client("127.0.0.1", 9878, "ALICE", "FIXSIM") as client:
        order = client.buy(100, "AAPL", limit="187.25", tif="ioc")
        client.cancel(order)

Each call waits for the answer unless `wait=False`; an order is given back when all that followed from it at
once (its acknowledgement, its fills) has come. Refusals are answers, not exceptions: look at `order.rejected`
and `order.answer`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack

from fixsim.client import orders as fix_orders
from fixsim.client.orders import Body, Order
from fixsim.client.wire import Wire, WireOptions
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType, OrdType, Side
from fixsim.units import format_utc_timestamp

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Messages that answer a request by refusing to look at it; RefSeqNum(45) names the request.
REFUSALS: Final = frozenset({MsgType.REJECT, MsgType.BUSINESS_MESSAGE_REJECT})


@dataclass
class Question:
    """A request and, as soon as it came, its answer."""

    seq: int
    answers: Callable[[Message], bool]
    answer: Message | None = None

    def offer(self, message: Message) -> None:
        """Take `message` if it is the answer."""
        if self.answer is None:
            refused = message.msg_type in REFUSALS and message.get_int(tags.REF_SEQ_NUM) == self.seq
            if refused or self.answers(message):
                self.answer = message


def base36(number: int) -> str:
    """A number from 0 in digits and capitals."""
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text or "0"


class OrderOptions(TypedDict, total=False):
    """What may be said about an order besides what and how much."""

    #: day, gtc, ioc, fok, open or close.
    tif: str
    #: ClOrdID(11); one is made when it is absent.
    cl_ord_id: str | None
    #: Account(1).
    account: str | None
    #: False: do not wait for the answer.
    wait: bool


class Client(Wire):
    """A `Wire` that knows orders. `orders` holds each by all its ClOrdIDs, current and former."""

    orders: dict[str, Order]
    #: Start of the ids given out; distinct for each start, so that they can go on in one session.
    id_prefix: str

    def __init__(
        self, host: str, port: int, sender: str, target: str, **options: Unpack[WireOptions]
    ) -> None:
        super().__init__(host, port, sender, target, **options)
        self.orders = {}
        self.id_prefix = base36(time.time_ns() // 1000)
        self._ids = 0
        self._questions: list[Question] = []
        self._order_by_seq: dict[int, Order] = {}

    # ------------------------------------------------------------ orders

    def buy(
        self, qty: int | str, symbol: str, limit: str | None = None, **more: Unpack[OrderOptions]
    ) -> Order:
        """Buy `qty` of `symbol`: a limit order at `limit`, a market order without. See `submit`."""
        return self.submit(Side.BUY, qty, symbol, limit, **more)

    def sell(
        self, qty: int | str, symbol: str, limit: str | None = None, **more: Unpack[OrderOptions]
    ) -> Order:
        """Sell `qty` of `symbol`: a limit order at `limit`, a market order without. See `submit`."""
        return self.submit(Side.SELL, qty, symbol, limit, **more)

    def submit(
        self, side: bytes, qty: int | str, symbol: str, limit: str | None, **more: Unpack[OrderOptions]
    ) -> Order:
        """Send NewOrderSingle(D); numbers are sent as they are written.

        Raises UsageError for an unknown `tif`, NoAnswer, ConnectionLost.
        """
        force = fix_orders.time_in_force(more.get("tif", "day"))
        ord_type = OrdType.MARKET if limit is None else OrdType.LIMIT
        order = Order(more.get("cl_ord_id") or self.next_id(), symbol, side, str(qty), limit, ord_type)
        self.orders[order.cl_ord_id] = order
        body = fix_orders.new_order(order, force, self._now(), more.get("account"))
        question = self._ask(MsgType.NEW_ORDER_SINGLE, body, about(order.cl_ord_id), order)
        if more.get("wait", True):
            self._answer(question)
            if not order.closed and order.reports:
                self.settle()
        return order

    def cancel(self, which: Order | str, cl_ord_id: str | None = None) -> Message:
        """Send OrderCancelRequest(F) for the rest of an order; the 8 or 9 (or 3, j) that answers it.

        An order this client does not know is asked for first by OrderStatusRequest(H); if the exchange does
        not know it either, that answer is returned.
        """
        order = which if isinstance(which, Order) else self.find(which)
        return order if isinstance(order, Message) else self._answer(self.send_cancel(order, cl_ord_id))

    def replace(
        self, which: Order | str, qty: int | str | None = None, limit: str | None = None, cl_ord_id: str | None = None
    ) -> Message:
        """Send OrderCancelReplaceRequest(G); what is not given stays. `qty` is the new total. Answers as
        `cancel`.
        """
        order = which if isinstance(which, Order) else self.find(which)
        if isinstance(order, Message):
            return order
        answer = self._answer(self.send_replace(order, qty, limit, cl_ord_id))
        self.settle()
        return answer

    def send_cancel(self, order: Order, cl_ord_id: str | None = None) -> Question:
        """Send OrderCancelRequest(F) without waiting. Raises ConnectionLost."""
        request_id = cl_ord_id or self.next_id()
        self.orders[request_id] = order
        body = fix_orders.cancel_request(order, request_id, self._now())
        return self._ask(MsgType.ORDER_CANCEL_REQUEST, body, about(request_id), order)

    def send_replace(
        self, order: Order, qty: int | str | None = None, limit: str | None = None, cl_ord_id: str | None = None
    ) -> Question:
        """Send OrderCancelReplaceRequest(G) without waiting. Raises ConnectionLost."""
        request_id = cl_ord_id or self.next_id()
        self.orders[request_id] = order
        total = order.order_qty if qty is None else str(qty)
        body = fix_orders.replace_request(order, request_id, total, limit or order.price, self._now())
        return self._ask(MsgType.ORDER_CANCEL_REPLACE_REQUEST, body, about(request_id), order)

    def status(self, cl_ord_id: str) -> Message:
        """Send OrderStatusRequest(H); the ExecutionReport(8) with 150=I that answers it."""
        known = self.orders.get(cl_ord_id)
        symbol = fix_orders.NO_SYMBOL if known is None else known.symbol.encode()
        side = Side.BUY if known is None else known.side
        request_id = self.next_id().encode()
        body = fix_orders.status_request(cl_ord_id, symbol, side)
        body.append((tags.ORD_STATUS_REQ_ID, request_id))

        def answers(message: Message) -> bool:
            is_status = message.get(tags.EXEC_TYPE) == ExecType.ORDER_STATUS
            return is_status and message.get(tags.ORD_STATUS_REQ_ID, request_id) == request_id

        return self._answer(self._ask(MsgType.ORDER_STATUS_REQUEST, body, answers))

    def find(self, cl_ord_id: str) -> Order | Message:
        """The order with this ClOrdID, asked for when this client did not send it; the refusal when there
        is none.
        """
        if cl_ord_id in self.orders:
            return self.orders[cl_ord_id]
        report = self.status(cl_ord_id)
        order = fix_orders.order_from_status(report)
        if order is None:
            return report
        self.orders[cl_ord_id] = self.orders[order.cl_ord_id] = order
        return order

    # ------------------------------------------------------------ what there is to trade

    def symbols(self) -> Message:
        """SecurityList(y) of everything the exchange lists."""
        request_id = self.next_id()
        body = fix_orders.security_list_request(request_id)
        return self._answer(
            self._ask(MsgType.SECURITY_LIST_REQUEST, body, has(tags.SECURITY_REQ_ID, request_id))
        )

    def book(self, symbol: str, depth: int = 0) -> Message:
        """The book of `symbol` as a snapshot (W), `depth` levels (0 for all); a Y when it is refused."""
        request_id = self.next_id()
        body = fix_orders.book_request(request_id, [symbol], depth)
        return self._answer(self._ask(MsgType.MARKET_DATA_REQUEST, body, has(tags.MD_REQ_ID, request_id)))

    # ------------------------------------------------------------ inside

    def next_id(self) -> str:
        """A ClOrdID or request id this session has not seen."""
        self._ids += 1
        return f"{self.id_prefix}-{self._ids}"

    def _now(self) -> bytes:
        return format_utc_timestamp(time.time_ns(), 3)

    def _ask(
        self, msg_type: bytes, body: Body, answers: Callable[[Message], bool], order: Order | None = None
    ) -> Question:
        question = Question(self.say(msg_type, body), answers)
        if order is not None:
            self._order_by_seq[question.seq] = order
        return question

    def _answer(self, question: Question) -> Message:
        self._questions.append(question)
        try:
            self.wait_until(lambda: question.answer is not None, "the answer")
        finally:
            self._questions.remove(question)
        assert question.answer is not None, "wait_until returned without an answer"
        return question.answer

    def _received(self, message: Message) -> None:
        for question in self._questions:
            question.offer(message)
        if message.msg_type == MsgType.EXECUTION_REPORT:
            self._report(message)
        elif message.msg_type == MsgType.ORDER_CANCEL_REJECT:
            order = self.orders.get(text_of(message, tags.CL_ORD_ID))
            if order is not None:
                order.answer = message
        elif message.msg_type in REFUSALS:
            order = self._order_by_seq.get(message.get_int(tags.REF_SEQ_NUM) or 0)
            if order is not None:
                order.answer = message
        super()._received(message)

    def _report(self, message: Message) -> None:
        cl_ord_id = text_of(message, tags.CL_ORD_ID)
        order = self.orders.get(cl_ord_id) or self.orders.get(text_of(message, tags.ORIG_CL_ORD_ID))
        if order is not None:
            order.take(message)
            self.orders[cl_ord_id] = order


def text_of(message: Message, tag: int) -> str:
    """Value of `tag` as text, empty when there is none."""
    return message.get(tag, b"").decode("latin-1")


def has(tag: int, value: str) -> Callable[[Message], bool]:
    """A predicate: the message has `tag` with this value."""
    wanted = value.encode()
    return lambda message: message.get(tag) == wanted


def about(cl_ord_id: str) -> Callable[[Message], bool]:
    """A predicate: an ExecutionReport(8) or OrderCancelReject(9) about this ClOrdID(11)."""
    wanted = cl_ord_id.encode()
    kinds = (MsgType.EXECUTION_REPORT, MsgType.ORDER_CANCEL_REJECT)
    return lambda message: message.msg_type in kinds and message.get(tags.CL_ORD_ID) == wanted
