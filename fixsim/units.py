"""Text to integer and back, exactly: the only place where FIX numbers and times are turned into ours.

Decimals are held as an integer count of `10**-decimals`; times as nanoseconds since 1970-01-01 UTC. Nothing here rounds
what a peer sent: text that is finer than asked for has no value (`None`).
"""

import re
from datetime import date
from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_S
EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()

#: Longest text taken for a number: far more than any price needs, far less than what is dear to convert.
DECIMAL_BYTES_MAX: Final = 64
DECIMAL: Final = re.compile(rb"(-?)(\d*)(?:\.(\d*))?")
TIMESTAMP: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)-(\d\d):(\d\d):(\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?")


def parse_decimal(text: bytes, decimals: int) -> int | None:
    """`text` as a count of `10**-decimals`; None if it is no FIX decimal or finer than that.

    FIX decimals (FIX 4.4 volume 1, data types): an optional minus, digits, an optional point; leading and trailing zeros
    are fine, a plus sign and an exponent are not.
    """
    match = DECIMAL.fullmatch(text) if len(text) <= DECIMAL_BYTES_MAX else None
    if match is None:
        return None
    sign, whole, fraction = match[1], match[2], match[3] or b""
    if not whole and not fraction:
        return None
    fraction = fraction.rstrip(b"0")
    if len(fraction) > decimals:
        return None
    value = int(whole + fraction.ljust(decimals, b"0") or b"0")
    return -value if sign else value


def format_decimal(value: int, decimals: int) -> bytes:
    """`value` counts of `10**-decimals` as FIX text with exactly that many decimals."""
    if decimals == 0:
        return b"%d" % value
    digits = b"%0*d" % (decimals + 1, abs(value))
    return (b"-" if value < 0 else b"") + digits[:-decimals] + b"." + digits[-decimals:]


def parse_utc_timestamp(text: bytes) -> int | None:
    """UTCTimestamp `YYYYMMDD-HH:MM:SS[.sss[sss[sss]]]` as ns since 1970 UTC; None if it is none. A leap second counts as 60."""
    match = TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(year, month, day).toordinal() - EPOCH_ORDINAL
    except ValueError:
        return None
    fraction = int((match[7] or b"").ljust(9, b"0"))
    return ((days * 24 + hour) * 60 + minute) * 60 * NS_PER_S + second * NS_PER_S + fraction


def format_utc_timestamp(ns: int, digits: int) -> bytes:
    """`ns` since 1970 UTC as UTCTimestamp with `digits` (0, 3, 6 or 9) of fraction, cut and not rounded."""
    seconds, fraction = divmod(ns, NS_PER_S)
    days, clock = divmod(seconds, 86_400)
    day = date.fromordinal(EPOCH_ORDINAL + days)
    text = b"%04d%02d%02d-%02d:%02d:%02d" % (
        day.year, day.month, day.day, clock // 3600, clock // 60 % 60, clock % 60,
    )
    if digits == 0:
        return text
    return text + b".%0*d" % (digits, fraction // 10 ** (9 - digits))


def utc_day(ns: int) -> int:
    """Days since 1970-01-01 of the UTC date of `ns`: the trading day until phases exist."""
    return ns // NS_PER_DAY
