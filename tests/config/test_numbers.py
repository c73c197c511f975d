"""Whatever a file holds where a value belongs is taken, or is a fault with its key and a reason."""

import copy
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fixsim.config import Config, load, packaged
from fixsim.config.reader import from_tables
from fixsim.errors import ConfigError

#: A value at every kind of key there is.
TEXT = """
[venue]
logon_timeout_s = 3
reset_time = "10:00:00"

[[instruments]]
symbol = "A"
tick_size = 0.01
lot_size = 1
min_qty = 1
max_qty = 100
reference_price = 10
schedule = "S"
breaker = "b"

[[counterparties]]
sender_comp_id = "D"
firm = "F"
cancel_grace_s = 1
allowed_addresses = ["10.0.0.0/8"]
permissions = { symbols = ["A"], sides = ["buy"] }

[[schedules]]
name = "S"
time_zone = "Europe/Berlin"
holidays = "XETR"
closed = ["2025-01-02"]
phases = [{ at = "08:00:00", phase = "opening-auction", random_end_s = 3 }, { at = "09:00:00", phase = "closed" }]

[[breakers]]
name = "b"
bands = [{ above = 0, width_bps = 10, width_max = 3 }]

[[breakers]]
name = "c"
like = "luld-tier-1"

[house]
half_spread_bps = 1
step_bps = 3
level_value = 1000

[[limits]]
scope = "session"
name = "D"
order_qty_max = 5
order_notional_max = 5
open_notional_max = 4
position_max = 3
gross_max = 5
net_max = 5
credit_max = 5
daily_loss_max = 4

[[limits]]
scope = "instrument"
name = "A"
price_min = 1
price_max = 20

[[rates]]
currency = "EUR"
rate = 1

[process]
cpu_affinity = { exchange = [0] }
"""
TABLES = tomllib.loads(TEXT, parse_float=Decimal)
#: As they are written in a file.
AWKWARD = (
    "nan", "inf", "-inf", "-0", "-0.0", "1e400", "-1e400", "1e-400", "1e30", "1e999999", "0e999999", "1e19", "1e18", "1e-18",
    "1.0000000000000000000000000000001", "1" + "0" * 400, "0x" + "f" * 5_000, "9223372036854775808", "true", "''", "'nan'",
    "'1e30'", "'1e99999999999999999999'", "'sNaN'", "'x\\u0000'", "'*'", "'..'", "2025-01-01", "10:00:00",
    "2025-01-01T10:00:00Z", "[]", "{}", "[[]]", "[{}]", "[nan]", "{ a = 1 }",
)  # fmt: skip
VALUES = [tomllib.loads(f"value = {text}", parse_float=Decimal)["value"] for text in AWKWARD]
Path_ = tuple[str | int, ...]


def places(table: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The way to every value of a table, the tables in it included."""
    if path:
        yield path
    entries = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    for key, inner in entries:
        yield from places(inner, (*path, key))


def with_value(path: Path_, value: Any) -> dict[str, Any]:
    tables = copy.deepcopy(TABLES)
    inner: Any = tables
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = copy.deepcopy(value)
    return tables


@pytest.mark.parametrize("place", list(places(TABLES)), ids=lambda path: ".".join(map(str, path)))
def test_any_value_at_any_place_is_taken_or_is_a_fault(place: Path_) -> None:
    for value in VALUES:
        try:
            config = from_tables(with_value(place, value), "file")
        except ConfigError as error:
            assert all(fault.file == "file" and fault.key and fault.reason for fault in error.faults)
            continue
        text = config.normalised()
        assert len(text) < 20_000
        assert Config.from_normalised(text).normalised() == text


DECIMAL_KEYS = [
    ("instruments", 0, "tick_size"), ("instruments", 0, "lot_size"), ("instruments", 0, "min_qty"),
    ("instruments", 0, "max_qty"), ("instruments", 0, "reference_price"), ("breakers", 0, "bands", 0, "above"),
    ("breakers", 0, "bands", 0, "width_max"), ("house", "half_spread_bps"), ("house", "step_bps"), ("house", "level_value"),
    *(("limits", 0, key) for key in (
        "order_qty_max", "order_notional_max", "open_notional_max", "position_max", "gross_max", "net_max", "credit_max",
        "daily_loss_max",
    )),
    ("limits", 1, "price_min"), ("limits", 1, "price_max"), ("rates", 0, "rate"),
]  # fmt: skip


@pytest.mark.parametrize("place", DECIMAL_KEYS, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", ["1e30", "nan", "inf", "1e-30"])
def test_a_number_beyond_all_use_is_a_fault_of_its_key(place: Path_, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_tables(with_value(place, Decimal(value)), "file")
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    assert [fault.key for fault in caught.value.faults] == [key]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("max_qty = 1e30", "is 1E+30: at most 19 digits before and 18 behind the point are supported"),
        ("max_qty = 0x" + "f" * 5_000, "is a number of more than 64 bits"),
        ("max_qty = 2025-01-01", "is 2025-01-01, expected a decimal number"),
    ],
)
def test_what_is_wrong_with_a_number_is_told(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "venue.toml"
    head, tail = "[[instruments]]\nsymbol = 'A'\ntick_size = 1\nlot_size = 1", "[[counterparties]]\nsender_comp_id = '*'"
    path.write_text(f"{head}\n{text}\n{tail}")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [(fault.key, fault.reason) for fault in caught.value.faults] == [("instruments[0].max_qty", reason)]


@pytest.mark.parametrize("text", ["a = 1e9999999999999999999", "a = 1" + "0" * 5_000, "a = " + "[" * 100_000])
def test_what_python_cannot_read_is_one_fault_of_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "venue.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [fault.key for fault in caught.value.faults] == ["file"]


def test_a_tick_that_is_worth_more_than_can_be_counted_is_a_fault() -> None:
    tables = with_value(("rates", 0, "rate"), Decimal("1e18"))
    tables["instruments"][0] |= {"currency": "EUR"}
    tables["limits"][0] = {"scope": "session", "name": "D", "order_notional_max": 5}
    tables["risk"] = {"money_decimals": 12}
    with pytest.raises(ConfigError, match="worth more than can be counted"):
        from_tables(tables, "file")


def test_numbers_as_large_as_they_can_be_of_use_are_taken() -> None:
    text = packaged("exchange.toml").read_text() + '\n[[limits]]\nscope = "session"\nname = "*"\n'
    text += "order_qty_max = 9_999_999_999_999_999_999.9\n"
    entry = from_tables(tomllib.loads(text, parse_float=Decimal), "file").limits[0]
    assert entry.order_qty_max == Decimal("9999999999999999999.9")
