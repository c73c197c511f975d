"""FIX text and exact numbers, by `decimal`: nothing is rounded but AvgPx(6), and that half-even."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation
from typing import Final

NS_PER_DAY: Final = 86_400_000_000_000
NUMBER: Final = re.compile(r"-?(\d+\.?\d*|\.\d+)", re.ASCII)
NUMBER_BYTES_MAX: Final = 64
TIME: Final = re.compile(rb"(\d{8})-(\d\d):(\d\d):(\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?", re.ASCII)
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


def read_date(text: bytes | None) -> int | None:
    """`YYYYMMDD` as days since 1970-01-01, None if it is no date."""
    return None if text is None or not re.fullmatch(rb"\d{8}", text, re.ASCII) else _days(text)


def read_time(text: bytes | None) -> int | None:
    """UTCTimestamp as ns since 1970 UTC, None if it is none; a second may be the 60th."""
    found = TIME.fullmatch(text or b"")
    days = _days(found[1]) if found else None
    if found is None or days is None:
        return None
    hour, minute, second = (int(part) for part in found.group(2, 3, 4))
    if hour > 23 or minute > 59 or second > 60:
        return None
    whole = ((days * 24 + hour) * 60 + minute) * 60 + second
    return whole * 1_000_000_000 + int((found[5] or b"").ljust(9, b"0"))


def _days(text: bytes) -> int | None:
    try:
        return (datetime(int(text[:4]), int(text[4:6]), int(text[6:]), tzinfo=UTC) - EPOCH).days
    except ValueError:
        return None


def trading_day(now_ns: int) -> int:
    """The UTC date of `now_ns` as days since 1970-01-01."""
    return now_ns // NS_PER_DAY
