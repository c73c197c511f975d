"""Which texts are values: one check for each data type of FIX 4.4 (volume 1, data types).

A check takes a non-empty value and is true if the value has the type's format. What the format leaves open (a
price off the tick grid, an unknown symbol) is not decided here.
"""

import re
from collections.abc import Callable
from typing import Final

from fixsim.fix.dictionary import FieldSpec
from fixsim.units import parse_utc_timestamp

Check = Callable[[bytes], object]

#: Digits of a decimal, point and sign included: what no real number reaches, and no arithmetic chokes on.
DECIMAL_TEXT_MAX: Final = 40

_DAY: Final = rb"(?!0000)[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK: Final = rb"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.(?:[0-9]{3}){1,3})?"
_TIMESTAMP: Final = re.compile(_DAY + b"-" + _CLOCK).fullmatch
_DATE: Final = re.compile(_DAY).fullmatch
_MONTH_YEAR: Final = re.compile(rb"(?!0000)[0-9]{4}(?:0[1-9]|1[0-2])(?:w[1-5])?").fullmatch
_INT: Final = re.compile(rb"-?[0-9]{1,18}").fullmatch
_COUNT: Final = re.compile(rb"[0-9]{1,18}").fullmatch
_DECIMAL: Final = re.compile(rb"(?=.{1,%d}\Z)-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)" % DECIMAL_TEXT_MAX).fullmatch
_WORD: Final = re.compile(rb"[!-~]+").fullmatch


def is_utc_timestamp(value: bytes) -> bool:
    """`YYYYMMDD-HH:MM:SS`, with 3, 6 or 9 digits of fraction or none, on a day the calendar has."""
    # every month has 28 days; only later ones need the calendar
    return _TIMESTAMP(value) is not None and (value[6:8] < b"29" or parse_utc_timestamp(value) is not None)


def is_date(value: bytes) -> bool:
    """`YYYYMMDD`, a day the calendar has."""
    return _DATE(value) is not None and (
        value[6:8] < b"29" or parse_utc_timestamp(value + b"-00:00:00") is not None
    )


def is_month_year(value: bytes) -> bool:
    """`YYYYMM`, `YYYYMMDD` or `YYYYMMw1` to `w5`."""
    return _MONTH_YEAR(value) is not None or is_date(value)


#: The check of each type. Currencies may be longer than ISO 4217's three letters: coins are quoted in USDT.
FORMATS: Final[dict[str, Check]] = {
    "AMT": _DECIMAL,
    "BOOLEAN": frozenset((b"Y", b"N")).__contains__,
    "CHAR": re.compile(rb"[^\x00-\x1f]").fullmatch,
    "COUNTRY": re.compile(rb"[A-Z]{2}").fullmatch,
    "CURRENCY": re.compile(rb"[A-Z][A-Z0-9]{2,7}").fullmatch,
    "DATA": len,
    "EXCHANGE": _WORD,
    "FLOAT": _DECIMAL,
    "INT": _INT,
    "LENGTH": _COUNT,
    "LOCALMKTDATE": is_date,
    "MONTHYEAR": is_month_year,
    "MULTIPLEVALUESTRING": re.compile(rb"[!-~]+(?: [!-~]+)*").fullmatch,
    "NUMINGROUP": _COUNT,
    "PERCENTAGE": _DECIMAL,
    "PRICE": _DECIMAL,
    "PRICEOFFSET": _DECIMAL,
    "QTY": _DECIMAL,
    "SEQNUM": _COUNT,
    "STRING": len,
    "UTCDATEONLY": is_date,
    "UTCTIMEONLY": re.compile(_CLOCK).fullmatch,
    "UTCTIMESTAMP": is_utc_timestamp,
}


def one_of(spec: FieldSpec) -> Check | None:
    """The check that a well-formed value is one the dictionary lists; None if it lists none."""
    if not spec.values:
        return None
    listed = frozenset(spec.values)
    if spec.type == "MULTIPLEVALUESTRING":
        return lambda value: listed.issuperset(value.split(b" "))
    return listed.__contains__


def acceptable(spec: FieldSpec) -> Check:
    """One check for both: the format of the type, and the listed values (which have that format)."""
    return one_of(spec) or FORMATS[spec.type]
