"""Points in time as people write them on a command line, and as answers show them."""

import re
from datetime import date
from typing import Final

from fixsim.errors import UsageError
from fixsim.units import NS_PER_S, format_utc_timestamp, parse_utc_timestamp

_AGO: Final = re.compile(r"(\d{1,9})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ISO: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T -](\d\d:\d\d)(:\d\d)?(?:\.(\d{1,9}))?Z?)?")


def parse_moment(text: str, now_ns: int) -> int:
    """`text` as ns since 1970 UTC. UsageError unless it is ISO 8601 in UTC, a FIX UTCTimestamp, a date, or
    `15m` (ago).
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ns - int(ago[1]) * _SECONDS[ago[2]] * NS_PER_S
    found = _ISO.fullmatch(text.strip())
    if found:
        year, month, day, minutes, seconds, fraction = found.groups(default="")
        digits = fraction.ljust(9, "0")
        written = f"{year}{month}{day}-{minutes or '00:00'}{seconds or ':00'}.{digits}"
        ns = parse_utc_timestamp(written.encode())
        if ns is not None:
            return ns
    raise UsageError(f"{text!r} is no time: write 2025-11-20T14:30:00.5 (UTC), 2025-11-20, or 15m for 15 minutes ago")


def show_moment(ns: int | None) -> str:
    """`ns` since 1970 UTC as ISO 8601 to the nanosecond; empty for None."""
    if ns is None:
        return ""
    text = format_utc_timestamp(ns, 9).decode()
    return f"{date(int(text[:4]), int(text[4:6]), int(text[6:8]))}T{text[9:]}Z"
