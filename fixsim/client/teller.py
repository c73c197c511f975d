"""Carries out requests with a `Client` and shows what the exchange says, to a person or as JSON lines."""

import json
import sys

from rich.console import Console
from rich.text import Text

from fixsim.client import display
from fixsim.client.desk import Client
from fixsim.client.grammar import USAGE, Request
from fixsim.client.orders import Order, order_from_status
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType


class Teller:
    """Shows every message of one client; `perform` says whether a request was accepted."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._console = Console(highlight=False)
        self._silent = False

    def show(self, message: Message) -> None:
        """Print one message of the exchange."""
        if self._silent:
            return
        if self.as_json:
            print(json.dumps(display.as_json(message), ensure_ascii=False), flush=True)
        elif message.msg_type == MsgType.SECURITY_LIST and tags.NO_RELATED_SYM in message:
            self._console.print(display.symbols_table(message))
        elif message.msg_type == MsgType.MARKET_DATA_SNAPSHOT_FULL_REFRESH:
            self._console.print(display.book_table(message))
        else:
            self._console.print(display.line(message), soft_wrap=True)

    def remark(self, text: str) -> None:
        """A word of our own, not the exchange's; on stderr, so that output stays the exchange's."""
        print(text, file=sys.stderr, flush=True)

    def perform(self, client: Client, request: Request) -> bool:
        """Carry out one request other than `quit`. Raises UsageError, NoAnswer, ConnectionLost."""
        match request.verb:
            case "buy" | "sell":
                return self._order(client, request)
            case "cancel":
                found = self._find(client, request.subject)
                return isinstance(found, Order) and _is(
                    client.cancel(found, request.cl_ord_id), ExecType.CANCELED
                )
            case "replace":
                found = self._find(client, request.subject)
                return isinstance(found, Order) and _is(
                    client.replace(found, request.qty, request.price, request.cl_ord_id), ExecType.REPLACED
                )
            case "status":
                report = client.status(request.subject)
                return report.msg_type == MsgType.EXECUTION_REPORT and order_from_status(report) is not None
            case "symbols":
                return client.symbols().get(tags.SECURITY_REQUEST_RESULT) == b"0"
            case "book":
                answer = client.book(request.subject, request.levels)
                return answer.msg_type == MsgType.MARKET_DATA_SNAPSHOT_FULL_REFRESH
            case "orders":
                self._open_orders(client)
            case "help":
                self.remark("\n".join(USAGE.values()))
        return True

    def _order(self, client: Client, request: Request) -> bool:
        send = client.buy if request.verb == "buy" else client.sell
        order = send(
            request.qty or "",
            request.subject,
            request.price,
            tif=request.tif,
            cl_ord_id=request.cl_ord_id,
            account=request.account,
        )
        return not order.rejected

    def _find(self, client: Client, cl_ord_id: str) -> Order | Message:
        """The order; the question behind it is only shown when the answer is that there is none."""
        self._silent = True
        try:
            found = client.find(cl_ord_id)
        finally:
            self._silent = False
        if isinstance(found, Message):
            self.show(found)
        return found

    def _open_orders(self, client: Client) -> None:
        alive = {id(order): order for order in client.orders.values() if order.reports and not order.closed}
        if not alive:
            self.remark("no open orders of this conversation")
        for order in alive.values():
            if self.as_json:
                self.show(order.reports[-1])
            else:
                self._console.print(Text.assemble(display.line(order.reports[-1])), soft_wrap=True)


def _is(message: Message, exec_type: bytes) -> bool:
    return message.msg_type == MsgType.EXECUTION_REPORT and message.get(tags.EXEC_TYPE) == exec_type
