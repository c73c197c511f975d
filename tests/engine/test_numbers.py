"""Numbers the kernels write and read: AvgPx(6) against decimals, text against `fixsim.units`."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

import google_crc32c
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.walk import machine_of, text
from fixsim.engine import scan
from fixsim.engine.ascii import byte_sum, put_decimal, put_padded, put_uint
from fixsim.engine.checksum import LANE_BYTES, crc32c
from fixsim.engine.report import average_price
from fixsim.layout import NIL
from fixsim.limits import NOTIONAL_MAX, QTY_LOTS_MAX
from fixsim.units import NS_PER_DAY, format_decimal, format_utc_timestamp, parse_decimal, parse_utc_timestamp

WIDE = Context(prec=200, rounding=ROUND_HALF_EVEN)


@st.composite
def averages(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """notional, cum, tick_mantissa, price_decimals, avg_px_decimals, as large as a configuration lets them be."""
    mantissa = draw(st.sampled_from((1, 5, 25, 125, 100)))
    price_decimals, avg_decimals = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    scale = mantissa * 10 ** max(0, avg_decimals - price_decimals)
    down = 10 ** max(0, price_decimals - avg_decimals)
    cum = draw(st.integers(1, min(QTY_LOTS_MAX, NOTIONAL_MAX // scale // 2, NOTIONAL_MAX // down)))
    notional = draw(st.integers(cum, max(cum, min(NOTIONAL_MAX, cum * (NOTIONAL_MAX // scale // 2)))))
    return notional, cum, mantissa, price_decimals, avg_decimals


@given(averages())
@example(case=(368_934_881_474_191_033, 368_934_882, 25, 9, 0))  # a product beyond 64 bits
@settings(max_examples=1_000)
def test_the_average_price_is_the_exact_one_rounded_half_even(case: tuple[int, int, int, int, int]) -> None:
    notional, cum, mantissa, price_decimals, avg_decimals = case
    exact = WIDE.divide(Decimal(notional * mantissa).scaleb(-price_decimals, WIDE), Decimal(cum))
    rounded = exact.quantize(Decimal(1).scaleb(-avg_decimals), context=WIDE)
    value = int(average_price(notional, cum, mantissa, price_decimals, avg_decimals))
    assert Decimal(value).scaleb(-avg_decimals, WIDE) == rounded


@pytest.mark.parametrize(("notional", "cum", "decimals", "shown"), [
    (5, 2, 0, 2), (7, 2, 0, 4), (1, 3, 0, 0), (2, 3, 0, 1), (25, 10, 0, 2), (35, 10, 0, 4), (26, 10, 0, 3),
])  # fmt: skip
def test_a_half_goes_to_the_even_neighbour(notional: int, cum: int, decimals: int, shown: int) -> None:
    assert average_price(notional, cum, 1, 0, decimals) == shown


@given(value=st.integers(0, 2**62), decimals=st.integers(0, 9))
def test_numbers_are_written_as_units_writes_them(value: int, decimals: int) -> None:
    buffer = text(bytes(64))
    end = int(put_decimal(buffer, 5, value, decimals))
    assert buffer[5:end].tobytes() == format_decimal(value, decimals)
    end = int(put_uint(buffer, 0, value))
    assert buffer[:end].tobytes() == b"%d" % value
    assert int(put_padded(buffer, 0, value % 1000, 3)) == 3 and buffer[:3].tobytes() == b"%03d" % (value % 1000)


@given(st.one_of(st.binary(max_size=300), st.integers(900, 2_200).map(lambda length: b"\xff" * length)))
def test_bytes_are_added_up(octets: bytes) -> None:
    assert int(byte_sum(text(octets + b"."), 0, len(octets))) == sum(octets)


NUMBERS = st.one_of(
    st.from_regex(rb"-?[0-9]{0,12}\.?[0-9]{0,8}", fullmatch=True),
    st.text("0123456789.-+e ", max_size=18).map(str.encode),
    st.binary(max_size=18),
)


@given(number=NUMBERS, decimals=st.integers(0, 9))
@settings(max_examples=500)
def test_what_the_fast_door_reads_as_a_number_is_that_number(number: bytes, decimals: int) -> None:
    """It may leave a number to the slow door, never misread one."""
    read = int(scan.read_decimal(text(b"=" + number + b"\x01"), 1, 1 + len(number), decimals))
    exact = parse_decimal(number, decimals)
    assert read == exact or read == NIL
    if exact is not None and exact > 0 and len(number) <= 12 and number.isdigit():
        assert read == exact or decimals > 5, "plain numbers are worth the fast door"
    counted = int(scan.read_uint(text(b"=" + number + b"\x01"), 1, 1 + len(number)))
    assert counted == NIL or b"%d" % counted == number


@given(
    now_ns=st.integers(NS_PER_DAY * 18_000, NS_PER_DAY * 22_000),
    away_ns=st.integers(-NS_PER_DAY, NS_PER_DAY),
    digits=st.sampled_from((0, 3, 6, 9)),
    spoiled=st.one_of(st.none(), st.tuples(st.integers(0, 26), st.integers(2, 255))),
)
def test_a_time_of_today_is_read_exactly(now_ns: int, away_ns: int, digits: int, spoiled: tuple[int, int] | None) -> None:
    machine = machine_of()
    stamp = format_utc_timestamp(now_ns, 3)
    machine.tape[0]["stamp"][: len(stamp)] = text(stamp)
    sent = bytearray(format_utc_timestamp(now_ns + away_ns, digits))
    if spoiled is not None:
        sent[spoiled[0] % len(sent)] = spoiled[1]
    read = int(scan.time_of_today(machine, text(bytes(sent) + b"\x01"), 0, len(sent)))
    exact = parse_utc_timestamp(bytes(sent))
    today = exact is not None and exact // NS_PER_DAY == now_ns // NS_PER_DAY
    assert read == NIL or (today and read == (exact or 0) % NS_PER_DAY)
    if spoiled is None:
        assert (read != NIL) == today


@pytest.mark.parametrize("lanes", [0, 1, 3, 5, 6])
@pytest.mark.parametrize("more", [-8, 0, 8, 272])
def test_the_checksum_of_a_batch_is_crc32c_however_long_it_is(lanes: int, more: int) -> None:
    length = max(0, lanes * LANE_BYTES + more)
    octets = np.random.default_rng(length).integers(0, 256, length + 64).astype(np.uint8)
    assert int(crc32c(octets, length)) == google_crc32c.value(octets[:length].tobytes())
