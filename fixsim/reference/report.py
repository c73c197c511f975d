"""The answers to orders, field by field, in the order the rules of engagement give them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from fixsim.reference.book import Order
from fixsim.reference.listing import Listing
from fixsim.reference.message import Field, Inbound
from fixsim.reference.number import show_average, show_number

NO_ORDER: Final = b"NONE"


class Reply(NamedTuple):
    """One message for one session: 35, the routing fields, then the body; the session layer adds the rest."""

    session: str
    fields: list[Field]


class Refusal(NamedTuple):
    """Why not: OrdRejReason(103) for an order or CxlRejReason(102) for a request, and Text(58)."""

    reason: bytes
    text: bytes


@dataclass(frozen=True)
class Execution:
    """One order's half of a fill."""

    price: Decimal
    qty: Decimal
    match_id: int
    liquidity: bytes | None  # LastLiquidityInd(851): 1 added, 2 removed; None in an auction


@dataclass(frozen=True)
class Occasion:
    """What a report says beside the state of the order."""

    exec_type: bytes
    exec_id: int  # 0 for a status report
    transact_time: bytes
    cl_ord_id: bytes
    route: tuple[Field, ...]
    orig_cl_ord_id: bytes | None = None
    ord_status_req_id: bytes | None = None
    execution: Execution | None = None
    restatement: bytes | None = None  # ExecRestatementReason(378)
    exec_ref_id: int | None = None  # ExecRefID(19): of the report that spoke of an amended trade before


def order_report(order: Order, listing: Listing, occasion: Occasion, avg_px_decimals: int) -> list[Field]:
    """ExecutionReport(8) about an accepted order, as it now is."""
    price = None if order.price is None else show_number(order.price, listing.price_decimals)
    execution = occasion.execution
    working = b"N" if order.waits else b"Y" if occasion.exec_type == b"D" else None
    return [
        (35, b"8"),
        *occasion.route,
        (37, b"%d" % order.order_id),
        (11, occasion.cl_ord_id),
        *given((41, occasion.orig_cl_ord_id), (790, occasion.ord_status_req_id)),
        (17, b"%d" % occasion.exec_id),
        *given((19, None if occasion.exec_ref_id is None else b"%d" % occasion.exec_ref_id)),
        (150, occasion.exec_type),
        (39, order.status),
        *given((378, occasion.restatement), (636, working), (1, order.account)),
        *order.terms,
        (55, order.symbol.encode("latin-1")),
        (54, order.side),
        (38, show_number(order.qty, listing.qty_decimals)),
        (40, order.ord_type),
        *given((44, price)),
        (59, order.time_in_force),
        *(_last(execution, listing) if execution and execution.qty else ()),
        *_progress(order, listing, avg_px_decimals),
        (60, occasion.transact_time),
        *(given((527, b"%d" % execution.match_id), (851, execution.liquidity)) if execution else ()),
    ]


def refusal_report(message: Inbound, occasion: Occasion, refusal: Refusal) -> list[Field]:
    """ExecutionReport(8) that refuses what never became an order: nothing but echoes and zeros."""
    return [
        (35, b"8"),
        *occasion.route,
        (37, NO_ORDER),
        (11, occasion.cl_ord_id),
        *given((790, occasion.ord_status_req_id)),
        (17, b"%d" % occasion.exec_id),
        (150, occasion.exec_type),
        (39, b"8"),
        (103, refusal.reason),
        *message.echo(1, 55, 54, 38, 40, 44, 59),
        (151, b"0"),
        (14, b"0"),
        (6, b"0"),
        (60, occasion.transact_time),
        (58, refusal.text),
    ]


def duplicate_report(
    message: Inbound,
    occasion: Occasion,
    refusal: Refusal,
    order: Order,
    listing: Listing,
    avg_px_decimals: int,
) -> list[Field]:
    """Reject of a second order and status of the live first one in one (FIX 4.4 vol. 4, App. D, F.1.a)."""
    price = None if order.price is None else show_number(order.price, listing.price_decimals)
    return [
        (35, b"8"),
        *occasion.route,
        (37, b"%d" % order.order_id),
        (11, occasion.cl_ord_id),
        (17, b"%d" % occasion.exec_id),
        (150, occasion.exec_type),
        (39, order.status),
        (103, refusal.reason),
        *message.echo(1, 55, 54),
        (38, show_number(order.qty, listing.qty_decimals)),
        *message.echo(40),
        *given((44, price)),
        *message.echo(59),
        *_progress(order, listing, avg_px_decimals),
        (60, occasion.transact_time),
        (58, refusal.text),
    ]


def cancel_reject(
    message: Inbound, order: Order | None, refusal: Refusal, transact_time: bytes
) -> list[Field]:
    """OrderCancelReject(9) to an F or G; `order` is None when it is unknown."""
    return [
        (35, b"9"),
        *message.route,
        (37, NO_ORDER if order is None else b"%d" % order.order_id),
        *message.echo(11, 41),
        (39, b"8" if order is None else order.status),
        (434, b"1" if message.msg_type == b"F" else b"2"),
        (102, refusal.reason),
        (60, transact_time),
        (58, refusal.text),
    ]


def business_reject(message: Inbound, reason: bytes, text: bytes) -> list[Field]:
    """BusinessMessageReject(j): nothing else can answer `message`."""
    ref_seq_num = message.echo(34)
    return [
        (35, b"j"),
        *message.route,
        *((45, value) for _, value in ref_seq_num),
        (372, message.msg_type),
        (380, reason),
        (58, text),
    ]


def given(*fields: tuple[int, bytes | None]) -> list[Field]:
    """Those of `fields` that have a value."""
    return [(tag, value) for tag, value in fields if value is not None]


def _last(execution: Execution, listing: Listing) -> tuple[Field, Field]:
    qty = show_number(execution.qty, listing.qty_decimals)
    return (32, qty), (31, show_number(execution.price, listing.price_decimals))


def _progress(order: Order, listing: Listing, avg_px_decimals: int) -> tuple[Field, Field, Field]:
    return (
        (151, show_number(order.leaves, listing.qty_decimals)),
        (14, show_number(order.cum, listing.qty_decimals)),
        (6, show_average(order.notional, order.cum, avg_px_decimals)),
    )
