"""The checks of an order or request by itself: what its fields ask for, in the order of the rules page."""

from decimal import Decimal
from typing import Final

from fixsim.reference.listing import Listing
from fixsim.reference.message import Field, Inbound
from fixsim.reference.number import EXACT, read_number
from fixsim.reference.report import Refusal

LIMIT: Final = b"2"
ORD_TYPES: Final = frozenset({b"1", LIMIT})
TIMES_IN_FORCE: Final = frozenset({b"0", b"1", b"2", b"3", b"4", b"6", b"7"})
SIDES: Final = frozenset({b"1", b"2", b"5", b"6"})
HANDLING: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"J", b"K"})

TEXT_BYTES_MAX: Final = 64
ROUTE_BYTES_MAX: Final = 240

#: Tags that ask for what is not offered, in the order they are looked at; 110 and 18 may be harmless.
UNSUPPORTED: Final = {
    99: b"StopPx",
    110: b"MinQty",
    111: b"MaxFloor",
    210: b"MaxShow",
    18: b"ExecInst",
    126: b"ExpireTime",
    168: b"EffectiveTime",
    432: b"ExpireDate",
    152: b"CashOrderQty",
    516: b"OrderPercent",
    211: b"PegOffsetValue",
    388: b"DiscretionInst",
}


def too_long_id(message: Inbound) -> bytes | None:
    """The text of the refusal when ClOrdID(11) is longer than can be kept."""
    return b"ClOrdID(11) is longer than 64 bytes" if len(message.get(11) or b"") > TEXT_BYTES_MAX else None


def too_long(message: Inbound) -> bytes | None:
    """The text of the refusal when something that would be kept is too long to be."""
    if text := too_long_id(message):
        return text
    if len(message.get(1) or b"") > TEXT_BYTES_MAX:
        return b"Account(1) is longer than 64 bytes"
    if sum(len(b"%d=%s\x01" % routing) for routing in message.route) > ROUTE_BYTES_MAX:
        return b"Routing fields are longer than 240 bytes"
    return None


def unsupported_type(message: Inbound) -> bytes | None:
    """The text of the refusal when OrdType(40), TimeInForce(59) or a tag asks for what is not offered."""
    if message.get(40) not in ORD_TYPES:
        return b"Unsupported OrdType(40)"
    if (message.get(59) or b"0") not in TIMES_IN_FORCE:
        return b"Unsupported TimeInForce(59)"
    return unsupported_tag(message, message.get(59) or b"0")


def unsupported_tag(message: Inbound, time_in_force: bytes) -> bytes | None:
    """The text of the refusal for the first tag that asks for what is not offered."""
    for tag, name in UNSUPPORTED.items():
        value = message.get(tag)
        if value is None or (tag == 110 and read_number(value) == 0):
            continue
        words = value.split(b" ")
        if tag == 18 and HANDLING.issuperset(words) and not (b"J" in words and b"K" in words):
            continue
        if tag in (126, 432) and time_in_force == b"6":
            continue
        return b"Unsupported %s(%d)" % (name, tag)
    return None


def terms(message: Inbound) -> tuple[Field, ...]:
    """What every report of the order repeats of 18, 432 and 126."""
    halting = b" ".join(word for word in (b"J", b"K") if word in (message.get(18) or b"").split(b" "))
    dates = message.echo(432, 126) if message.get(59) == b"6" else []
    return (*([(18, halting)] if halting else []), *dates)


def changed_term(message: Inbound, own: tuple[Field, ...]) -> bytes | None:
    """The text of the refusal when a G asks for another 18, 432 or 126 than the order has."""
    given = dict([*message.echo(432, 126), *(term for term in terms(message) if term[0] == 18)])
    for tag, name in ((18, b"ExecInst(18)"), (432, b"ExpireDate(432)"), (126, b"ExpireTime(126)")):
        if tag in given and given[tag] != dict(own).get(tag):
            return name + b" differs from the order's"
    return None


def wrong_qty(message: Inbound, listing: Listing) -> Refusal | None:
    """Why OrderQty(38) is no quantity of this instrument, with its OrdRejReason(103)."""
    text, qty = message.get(38), read_number(message.get(38))
    if text is None:
        return Refusal(b"13", b"OrderQty(38) is missing")
    if qty is None or qty <= 0:
        return Refusal(b"13", b"OrderQty(38) is not a positive number")
    if not on_grid(qty, listing.lot_size):
        return Refusal(b"13", b"OrderQty(38) is off the lot grid")
    if qty < listing.min_qty:
        return Refusal(b"13", b"OrderQty(38) is below the minimum")
    if qty > listing.max_qty:
        return Refusal(b"3", b"OrderQty(38) exceeds the maximum")
    return None


def wrong_price(message: Inbound, listing: Listing) -> bytes | None:
    """Why Price(44) does not go with the order type and the instrument."""
    text, price = message.get(44), read_number(message.get(44))
    if message.get(40) != LIMIT:
        return None if text is None else b"Price(44) does not belong to a market order"
    if text is None:
        return b"Price(44) is missing"
    if price is None or price <= 0:
        return b"Price(44) is not a positive number"
    if not on_grid(price, listing.tick_size):
        return b"Price(44) is off the tick grid"
    if price > listing.highest_price:
        return b"Price(44) exceeds the maximum"
    return None


def on_grid(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is a multiple of `step`."""
    return not EXACT.remainder(value, step)
