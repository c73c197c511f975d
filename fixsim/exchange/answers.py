"""Answers that are rare enough for plain Python: refusals and status reports. Field order is spec/rules-of-engagement.md's."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fixsim.engine.index import put_name
from fixsim.engine.machine import Machine
from fixsim.engine.report import average_price
from fixsim.exchange.orders import Fault
from fixsim.fix import tags
from fixsim.fix.enums import ExecType, OrdStatus, OrdType
from fixsim.fix.message import Field, Message
from fixsim.layout import NIL, PARKED
from fixsim.limits import TEXT_BYTES_MAX
from fixsim.units import format_decimal

NONE: Final = b"NONE"
Body = tuple[Field, ...]


@dataclass(frozen=True)
class CancelRejection:
    """Why a request is refused: CxlRejReason(102) and Text(58)."""

    reason: int
    text: str


@dataclass(frozen=True)
class OrderView:
    """One order as a report shows it: texts as they are written."""

    order_id: int
    cl_ord_id: bytes
    account: bytes
    symbol: bytes
    side: bytes
    ord_type: bytes
    time_in_force: bytes
    ord_status: bytes
    order_qty: bytes
    price: bytes
    leaves_qty: bytes
    cum_qty: bytes
    avg_px: bytes
    #: ExecInst(18), ExpireDate(432) and ExpireTime(126), as far as they are kept.
    terms: Body = ()
    #: It waits outside of the book.
    waits: bool = False

    @classmethod
    def of(cls, machine: Machine, slot: int) -> "OrderView":
        """The order in ORDER row `slot`, now."""
        row = machine.orders[slot]
        book = machine.books[int(row["book"])]
        lot, decimals = int(book["lot_mantissa"]), int(book["qty_decimals"])
        tick, price_decimals = int(book["tick_mantissa"]), int(book["price_decimals"])
        avg_decimals = int(machine.core[0]["avg_px_decimals"])
        own = own_fields(machine, int(row["echo"]))
        avg_px = b"0"
        if row["cum"]:
            value = average_price(int(row["notional"]), int(row["cum"]), tick, price_decimals, avg_decimals)
            avg_px = format_decimal(int(value), avg_decimals)
        return cls(
            order_id=int(row["order_id"]),
            cl_ord_id=name_text(machine, int(row["name"])),
            account=dict(own).get(tags.ACCOUNT, b""),
            symbol=book["symbol"][: book["symbol_length"]].tobytes(),
            side=bytes([int(row["side"])]),
            ord_type=bytes([int(row["ord_type"])]),
            time_in_force=bytes([int(row["tif"])]),
            ord_status=bytes([int(row["status"])]),
            order_qty=format_decimal(int(row["qty"]) * lot, decimals),
            price=format_decimal(int(row["price"]) * tick, price_decimals),
            leaves_qty=format_decimal(int(row["leaves"]) * lot, decimals),
            cum_qty=format_decimal(int(row["cum"]) * lot, decimals),
            avg_px=avg_px,
            terms=tuple(field for field in own if field[0] != tags.ACCOUNT),
            waits=int(row["level"]) == PARKED,
        )


def name_text(machine: Machine, name: int) -> bytes:
    """ClOrdID in NAME row `name`."""
    buffer = np.zeros(TEXT_BYTES_MAX, np.uint8)
    return buffer[: put_name(machine, buffer, 0, name)].tobytes()


def own_fields(machine: Machine, echo: int) -> Body:
    """What a report repeats of the order itself."""
    return _fields(machine, echo, own=True)


def route_fields(machine: Machine, echo: int) -> Body:
    """Routing of a report that answers no message: that of the order, reversed."""
    return _fields(machine, echo, own=False)


def _fields(machine: Machine, echo: int, *, own: bool) -> Body:
    if echo == NIL:
        return ()
    row = machine.echoes[echo]
    begin, end = (row["split"], row["length"]) if own else (0, row["split"])
    text: bytes = row["text"][begin:end].tobytes()
    pairs = (part.partition(b"=") for part in text.split(b"\x01")[:-1])
    return tuple((int(tag), value) for tag, _, value in pairs)


def status_report(view: OrderView, request_id: bytes | None, stamp: bytes) -> Body:
    """ExecutionReport 150=I: the state of an order."""
    body: list[Field] = [(tags.ORDER_ID, b"%d" % view.order_id), (tags.CL_ORD_ID, view.cl_ord_id)]
    if request_id:
        body.append((tags.ORD_STATUS_REQ_ID, request_id))
    body += [(tags.EXEC_ID, b"0"), (tags.EXEC_TYPE, ExecType.ORDER_STATUS), (tags.ORD_STATUS, view.ord_status)]
    return (*body, *_terms(view), *_progress(view.leaves_qty, view.cum_qty, view.avg_px, stamp))


def amended_report(
    view: OrderView, exec_id: int, refers_to: int, match_id: int, last: tuple[bytes, bytes] | None, stamp: bytes
) -> Body:
    """ExecutionReport of a trade that was corrected (150=G) to `last`, quantity and price, or busted (150=H) where it is None.

    `refers_to` is the ExecID(17) of the report that spoke of the trade before.
    """
    body: list[Field] = [(tags.ORDER_ID, b"%d" % view.order_id), (tags.CL_ORD_ID, view.cl_ord_id)]
    body += [(tags.EXEC_ID, b"%d" % exec_id), (tags.EXEC_REF_ID, b"%d" % refers_to)]
    body += [(tags.EXEC_TYPE, ExecType.TRADE_CANCEL if last is None else ExecType.TRADE_CORRECT)]
    body += [(tags.ORD_STATUS, view.ord_status), *_terms(view)]
    if last is not None:
        body += [(tags.LAST_QTY, last[0]), (tags.LAST_PX, last[1])]
    body += _progress(view.leaves_qty, view.cum_qty, view.avg_px, stamp)
    return (*body, (tags.SECONDARY_EXEC_ID, b"%d" % match_id))


def _terms(view: OrderView) -> list[Field]:
    """What the order asks for, and whether it waits outside of the book."""
    body: list[Field] = [(tags.WORKING_INDICATOR, b"N")] if view.waits else []
    if view.account:
        body.append((tags.ACCOUNT, view.account))
    body += view.terms
    body += [(tags.SYMBOL, view.symbol), (tags.SIDE, view.side)]
    body += [(tags.ORDER_QTY, view.order_qty), (tags.ORD_TYPE, view.ord_type)]
    if view.ord_type != OrdType.MARKET:
        body.append((tags.PRICE, view.price))
    body.append((tags.TIME_IN_FORCE, view.time_in_force))
    return body


def order_rejected(message: Message, fault: Fault, owner: OrderView | None, exec_id: int | None, stamp: bytes) -> Body:
    """ExecutionReport 150=8 for a D, or 150=I, 39=8 for an H (`exec_id` None).

    `owner` is the live order that owns a duplicate ClOrdID; its state is told with the refusal.
    """
    status = OrdStatus.REJECTED if owner is None else owner.ord_status
    body: list[Field] = [(tags.ORDER_ID, NONE if owner is None else b"%d" % owner.order_id)]
    body.append((tags.CL_ORD_ID, message.get(tags.CL_ORD_ID, b"")))
    request_id = message.get(tags.ORD_STATUS_REQ_ID)
    if exec_id is None and request_id:
        body.append((tags.ORD_STATUS_REQ_ID, request_id))
    body += [
        (tags.EXEC_ID, b"0" if exec_id is None else b"%d" % exec_id),
        (tags.EXEC_TYPE, ExecType.ORDER_STATUS if exec_id is None else ExecType.REJECTED),
        (tags.ORD_STATUS, status),
        (tags.ORD_REJ_REASON, b"%d" % fault.reason),
    ]
    echoed: dict[int, bytes | None] = {
        tag: message.get(tag)
        for tag in (
            tags.ACCOUNT, tags.SYMBOL, tags.SIDE, tags.ORDER_QTY, tags.ORD_TYPE, tags.PRICE, tags.TIME_IN_FORCE,
        )
    }  # fmt: skip
    if owner is not None:
        echoed[tags.ORDER_QTY] = owner.order_qty
        echoed[tags.PRICE] = None if owner.ord_type == OrdType.MARKET else owner.price
    body += [(tag, value) for tag, value in echoed.items() if value]
    if owner is None:
        body += _progress(b"0", b"0", b"0", stamp)
    else:
        body += _progress(owner.leaves_qty, owner.cum_qty, owner.avg_px, stamp)
    return (*body, (tags.TEXT, fault.text.encode()))


def cancel_rejected(message: Message, rejection: CancelRejection, view: OrderView | None, to: bytes, stamp: bytes) -> Body:
    """OrderCancelReject(9): `to` is CxlRejResponseTo(434), `view` the order it is about, None when unknown."""
    return (
        (tags.ORDER_ID, NONE if view is None else b"%d" % view.order_id),
        (tags.CL_ORD_ID, message.get(tags.CL_ORD_ID, b"")),
        (tags.ORIG_CL_ORD_ID, message.get(tags.ORIG_CL_ORD_ID, b"")),
        (tags.ORD_STATUS, OrdStatus.REJECTED if view is None else view.ord_status),
        (tags.CXL_REJ_RESPONSE_TO, to),
        (tags.CXL_REJ_REASON, b"%d" % rejection.reason),
        (tags.TRANSACT_TIME, stamp),
        (tags.TEXT, rejection.text.encode()),
    )


def business_reject(message: Message, reason: int, text: str) -> Body:
    """BusinessMessageReject(j)."""
    return (
        (tags.REF_SEQ_NUM, message.get(tags.MSG_SEQ_NUM, b"0")),
        (tags.REF_MSG_TYPE, message.msg_type),
        (tags.BUSINESS_REJECT_REASON, b"%d" % reason),
        (tags.TEXT, text.encode()),
    )


def _progress(leaves_qty: bytes, cum_qty: bytes, avg_px: bytes, stamp: bytes) -> Body:
    return (
        (tags.LEAVES_QTY, leaves_qty), (tags.CUM_QTY, cum_qty), (tags.AVG_PX, avg_px), (tags.TRANSACT_TIME, stamp),
    )  # fmt: skip
