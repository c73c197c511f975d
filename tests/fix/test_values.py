"""One table for each data type: what is one of its values, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixsim.fix.dictionary import fix44
from fixsim.fix.values import FORMATS, acceptable, is_utc_timestamp
from fixsim.units import parse_decimal, parse_utc_timestamp

DECIMALS = "1 0 -1 002000.00 .5 5. 0.10 " + "1" * 40, ". - -. +1 1e3 1,0 NaN 0x1 1.2.3 --1 " + "1" * 41
DATES = "20240229 20240430", "20230229 20240431 20241301 20240001 20240100 240430 2024-04-30 00000101"

TIMESTAMPS = (
    """20240229-23:59:60 20240131-00:00:00.123 19990101-00:00:00.123456 20240131-00:00:00.123456789""",
    """20230229-00:00:00 20240431-00:00:00 20240100-00:00:00 20240101-24:00:00 20240101-00:60:00
    20240101-00:00:61 20240101-00:00:00.1 20240101-00:00:00. 20240101T00:00:00 20240101 00000101-00:00:00""",
)

VALUES = {
    "INT": ("0 7 -7 007 " + "9" * 18, "+7 7.0 a --7 - 1_0 " + "9" * 19),
    "LENGTH": ("0 12", "-1 x 1.5"),
    "SEQNUM": ("1 007", "-1 1.0 1e3"),
    "NUMINGROUP": ("0 2", "-1 two"),
    **dict.fromkeys(("QTY", "PRICE", "PRICEOFFSET", "AMT", "PERCENTAGE", "FLOAT"), DECIMALS),
    "CHAR": ("O 1 +", "OO 12 \x02"),
    "BOOLEAN": ("Y N", "y 1 YES T"),
    "STRING": ("anything +1", ""),
    "DATA": ("anything \x01", ""),
    "UTCTIMESTAMP": TIMESTAMPS,
    "UTCTIMEONLY": ("23:59:59 00:00:00.123", "24:00:00 0:00:00 00:00 00:00:00.12"),
    "UTCDATEONLY": DATES,
    "LOCALMKTDATE": DATES,
    "MONTHYEAR": ("202401 20240131 202401w5", "202413 20240132 202401w6 2024 202401w"),
    "COUNTRY": ("US DE", "USA us U"),
    "CURRENCY": ("USD USDT", "US usd U$D"),
    "EXCHANGE": ("XNAS N", "\x7f"),
    "MULTIPLEVALUESTRING": ("1 AB", "\x02"),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_values_have_the_format_of_their_type(kind: str) -> None:
    good, bad = VALUES[kind]
    assert [value for value in good.split() if not FORMATS[kind](value.encode())] == []
    assert [value for value in bad.split() if FORMATS[kind](value.encode())] == []


def test_multiple_values_are_separated_by_one_space() -> None:
    fits = FORMATS["MULTIPLEVALUESTRING"]
    assert fits(b"1 6")
    assert not any(map(fits, (b"1 ", b" 1", b"1  6")))


def test_listed_values_are_the_only_ones() -> None:
    assert acceptable(fix44().fields[54])(b"1")
    assert not acceptable(fix44().fields[54])(b"Z")
    assert acceptable(fix44().fields[18])(b"1 6")
    assert not acceptable(fix44().fields[18])(b"1 !")
    assert acceptable(fix44().fields[38])(b"100")


LOOKS_LIKE_TIME = r"[0-9]{4}[01][0-9][0-3][0-9]-[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?"


@given(st.text("0123456789-:.", max_size=24) | st.from_regex(LOOKS_LIKE_TIME, fullmatch=True))
def test_timestamps_are_those_the_ground_can_read(text: str) -> None:
    assert is_utc_timestamp(text.encode()) == (parse_utc_timestamp(text.encode()) is not None)


@given(st.text("0123456789-+.e ", max_size=8))
def test_decimals_are_those_the_ground_can_read(text: str) -> None:
    assert bool(FORMATS["PRICE"](text.encode())) == (parse_decimal(text.encode(), 8) is not None)
