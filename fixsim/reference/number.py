"""FIX text and exact numbers, by `decimal`: nothing is rounded but AvgPx(6), and that half-even."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from typing import Final

NS_PER_DAY: Final = 86_400_000_000_000
NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)", re.ASCII)
NUMBER_BYTES_MAX: Final = 64
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Digits enough for any number that fits a frame; what would lose one raises instead.
EXACT: Final = Context(prec=100_000, traps=[Inexact, InvalidOperation, DivisionByZero])


def read_number(text: bytes | None) -> Decimal | None:
    """The value of a FIX decimal, None if `text` is none or too long: a minus at most, no plus, no exponent."""
    if text is None or len(text) > NUMBER_BYTES_MAX:
        return None
    plain = text.decode("latin-1")
    return Decimal(plain) if NUMBER.fullmatch(plain) else None


def places(step: Decimal) -> int:
    """Decimals that `step` (a tick or lot size) is written with."""
    exponent = step.as_tuple().exponent
    assert isinstance(exponent, int), f"{step} is no size"
    return max(0, -exponent)


def show_number(value: Decimal, decimals: int) -> bytes:
    """`value`, which needs no more than `decimals` decimals, written with exactly that many."""
    return f"{value.quantize(Decimal(1).scaleb(-decimals, EXACT), context=EXACT):f}".encode()


def show_average(total: Decimal, count: Decimal, decimals: int) -> bytes:
    """`total / count` rounded half-even to `decimals` decimals; a bare 0 when `count` is 0."""
    if not count:
        return b"0"
    top, top_unit = total.as_integer_ratio()
    low, low_unit = count.as_integer_ratio()
    units, rest = divmod(top * low_unit * 10**decimals, top_unit * low)
    twice, whole = 2 * rest, top_unit * low
    if twice > whole or (twice == whole and units % 2):
        units += 1
    return show_number(Decimal(units).scaleb(-decimals, EXACT), decimals)


def show_time(now_ns: int, digits: int) -> bytes:
    """UTCTimestamp of `now_ns` (ns since 1970 UTC) with `digits` fraction digits, the rest cut off."""
    seconds, fraction = divmod(now_ns, 1_000_000_000)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y%m%d-%H:%M:%S")
    return (f"{text}.{fraction:09d}"[: len(text) + 1 + digits] if digits else text).encode()


def trading_day(now_ns: int) -> int:
    """The UTC date of `now_ns` as days since 1970-01-01."""
    return now_ns // NS_PER_DAY
