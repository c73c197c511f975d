"""What a client may ask of an order, checked in plain Python: the first fault of a message is the answer it gets.

The order of the checks is spec/rules-of-engagement.md's. Nothing here changes anything.
"""

from dataclasses import dataclass
from typing import Final

from fixsim.config import Counterparty
from fixsim.config.model import name_matches
from fixsim.errors import BusinessRejection
from fixsim.exchange.listings import Listing
from fixsim.fix import tags
from fixsim.fix.enums import BusinessRejectReason, OrdRejReason, OrdType, Side, TimeInForce
from fixsim.fix.message import Message
from fixsim.limits import ROUTE_BYTES_MAX, TEXT_BYTES_MAX
from fixsim.units import DECIMAL_BYTES_MAX, parse_decimal

#: Reversed routing: what a field of the message becomes in the answer.
REVERSED: Final = {
    tags.SENDER_SUB_ID: tags.TARGET_SUB_ID,
    tags.TARGET_SUB_ID: tags.SENDER_SUB_ID,
    tags.ON_BEHALF_OF_COMP_ID: tags.DELIVER_TO_COMP_ID,
    tags.DELIVER_TO_COMP_ID: tags.ON_BEHALF_OF_COMP_ID,
    tags.ON_BEHALF_OF_SUB_ID: tags.DELIVER_TO_SUB_ID,
    tags.DELIVER_TO_SUB_ID: tags.ON_BEHALF_OF_SUB_ID,
    tags.SENDER_LOCATION_ID: tags.TARGET_LOCATION_ID,
    tags.TARGET_LOCATION_ID: tags.SENDER_LOCATION_ID,
    tags.ON_BEHALF_OF_LOCATION_ID: tags.DELIVER_TO_LOCATION_ID,
    tags.DELIVER_TO_LOCATION_ID: tags.ON_BEHALF_OF_LOCATION_ID,
}

#: Tags that ask for what is not offered, in the order they are looked at.
NOT_OFFERED: Final = (
    (tags.STOP_PX, "StopPx(99)"),
    (tags.MIN_QTY, "MinQty(110)"),
    (tags.MAX_FLOOR, "MaxFloor(111)"),
    (tags.MAX_SHOW, "MaxShow(210)"),
    (tags.EXEC_INST, "ExecInst(18)"),
    (tags.EXPIRE_TIME, "ExpireTime(126)"),
    (tags.EFFECTIVE_TIME, "EffectiveTime(168)"),
    (tags.EXPIRE_DATE, "ExpireDate(432)"),
    (tags.CASH_ORDER_QTY, "CashOrderQty(152)"),
    (tags.ORDER_PERCENT, "OrderPercent(516)"),
    (tags.PEG_OFFSET_VALUE, "PegOffsetValue(211)"),
    (tags.DISCRETION_INST, "DiscretionInst(388)"),
)
MISSING: Final = "Conditionally Required Field Missing"
#: Words of ExecInst(18) that only say how to handle an order, and what is to become of it when trading is halted.
HANDLING_WORDS: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"J", b"K"})
#: Tags that go with one TimeInForce(59).
FOR_DATE: Final = frozenset({tags.EXPIRE_TIME, tags.EXPIRE_DATE})

#: Sides an order may have, and the permission each needs.
SIDES: Final = {
    Side.BUY: "buy",
    Side.SELL: "sell",
    Side.SELL_SHORT: "sell",
    Side.SELL_SHORT_EXEMPT: "sell",
}
ORDER_TYPES: Final = {OrdType.MARKET: "market", OrdType.LIMIT: "limit"}
TIMES_IN_FORCE: Final = frozenset(
    {
        TimeInForce.DAY, TimeInForce.GOOD_TILL_CANCEL, TimeInForce.AT_THE_OPENING, TimeInForce.IMMEDIATE_OR_CANCEL,
        TimeInForce.FILL_OR_KILL, TimeInForce.GOOD_TILL_DATE, TimeInForce.AT_THE_CLOSE,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Why an order is refused: OrdRejReason(103) and Text(58)."""

    reason: int
    text: str


def route_of(message: Message) -> tuple[tuple[int, bytes], ...]:
    """Routing fields of the answer to `message`: reversed, in ascending tag order."""
    index = message.index
    if len(index) > len(REVERSED) and index.keys().isdisjoint(REVERSED):
        return ()
    return tuple(sorted((back, index[tag]) for tag, back in REVERSED.items() if tag in index))


def required(message: Message, tag: int) -> bytes:
    """A field the answer cannot do without; validation may be off. Raises BusinessRejection, 380=5."""
    value = message.get(tag)
    if not value:
        raise BusinessRejection(BusinessRejectReason.CONDITIONALLY_REQUIRED_FIELD_MISSING, MISSING)
    return value


def text_fault(cl_ord_id: bytes, account: bytes | None, route: tuple[tuple[int, bytes], ...]) -> Fault | None:
    """Texts that are too long to be kept."""
    if len(cl_ord_id) > TEXT_BYTES_MAX:
        return Fault(OrdRejReason.OTHER, f"ClOrdID(11) is longer than {TEXT_BYTES_MAX} bytes")
    if account is not None and len(account) > TEXT_BYTES_MAX:
        return Fault(OrdRejReason.OTHER, f"Account(1) is longer than {TEXT_BYTES_MAX} bytes")
    if route and sum(len(b"%d=%b|" % pair) for pair in route) > ROUTE_BYTES_MAX:
        return Fault(OrdRejReason.OTHER, f"Routing fields are longer than {ROUTE_BYTES_MAX} bytes")
    return None


def offer_fault(message: Message) -> Fault | None:
    """OrdType(40), TimeInForce(59) or a tag that is not offered here."""
    if message.get(tags.ORD_TYPE) not in ORDER_TYPES:
        return Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, "Unsupported OrdType(40)")
    if message.get(tags.TIME_IN_FORCE, TimeInForce.DAY) not in TIMES_IN_FORCE:
        return Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, "Unsupported TimeInForce(59)")
    return tag_fault(message, message.get(tags.TIME_IN_FORCE, TimeInForce.DAY))


def tag_fault(message: Message, tif: bytes) -> Fault | None:
    """The first tag of `message` that asks for what is not offered to an order of this TimeInForce(59)."""
    index = message.index
    for tag, name in NOT_OFFERED:
        value = index.get(tag)
        if value is None:
            continue
        if tag == tags.MIN_QTY and parse_decimal(value, 0) == 0:
            continue
        if tag == tags.EXEC_INST and is_offered(value.split(b" ")):
            continue
        if tag in FOR_DATE and tif == TimeInForce.GOOD_TILL_DATE:
            continue
        return Fault(OrdRejReason.UNSUPPORTED_ORDER_CHARACTERISTIC, f"Unsupported {name}")
    return None


def is_offered(words: list[bytes]) -> bool:
    """Whether ExecInst(18) says only how to handle an order, and at most one thing about a halt."""
    return HANDLING_WORDS.issuperset(words) and not {b"J", b"K"}.issubset(words)


def permission_fault(message: Message, symbol: bytes, counterparty: Counterparty) -> Fault | None:
    """What this counterparty may not do."""
    permissions = counterparty.permissions
    side = SIDES[message.get(tags.SIDE, b"")]
    order_type = ORDER_TYPES[message.get(tags.ORD_TYPE, b"")]
    name = symbol.decode("ascii")
    if (
        side in permissions.sides
        and order_type in permissions.order_types
        and any(name_matches(pattern, name) for pattern in permissions.symbols)
    ):
        return None
    return Fault(OrdRejReason.BROKER_EXCHANGE_OPTION, "Not permitted")


def quantity(message: Message, listing: Listing) -> int | Fault:
    """OrderQty(38) in lots, or why it cannot be taken."""
    text = message.get(tags.ORDER_QTY)
    if not text:
        return Fault(OrdRejReason.INCORRECT_QUANTITY, "OrderQty(38) is missing")
    if not _is_positive(text):
        return Fault(OrdRejReason.INCORRECT_QUANTITY, "OrderQty(38) is not a positive number")
    lots = listing.lots(text)
    if lots is None:
        return Fault(OrdRejReason.INCORRECT_QUANTITY, "OrderQty(38) is off the lot grid")
    if lots < listing.min_lots:
        return Fault(OrdRejReason.INCORRECT_QUANTITY, "OrderQty(38) is below the minimum")
    if lots > listing.max_lots:
        return Fault(OrdRejReason.ORDER_EXCEEDS_LIMIT, "OrderQty(38) exceeds the maximum")
    return lots


def price(message: Message, listing: Listing) -> int | Fault:
    """Price(44) in ticks, 0 for a market order, or why it cannot be taken."""
    text = message.get(tags.PRICE)
    if message.get(tags.ORD_TYPE) == OrdType.MARKET:
        return 0 if text is None else Fault(OrdRejReason.OTHER, "Price(44) does not belong to a market order")
    if not text:
        return Fault(OrdRejReason.OTHER, "Price(44) is missing")
    if not _is_positive(text):
        return Fault(OrdRejReason.OTHER, "Price(44) is not a positive number")
    ticks = listing.price_ticks(text)
    if ticks is None:
        return Fault(OrdRejReason.OTHER, "Price(44) is off the tick grid")
    if ticks > listing.max_price:
        return Fault(OrdRejReason.OTHER, "Price(44) exceeds the maximum")
    return ticks


def _is_positive(text: bytes) -> bool:
    if text[:1] == b"-" or not text.strip(b"0."):
        return False
    return parse_decimal(text, DECIMAL_BYTES_MAX) is not None
