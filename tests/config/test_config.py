"""A configuration is read whole or refused whole, with every fault named."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest

from fixsim.config import SECRET, Config, default_config, load, packaged
from fixsim.errors import ConfigError
from fixsim.limits import NOTIONAL_MAX

SMALLEST = """
[[instruments]]
symbol = "AAPL"
tick_size = 0.01
lot_size = 1

[[counterparties]]
sender_comp_id = "*"
"""
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str) -> Path:
        path = tmp_path / "exchange.toml"
        path.write_text(text)
        return path

    return write_file


def faults_of(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert all(fault.file == str(path) for fault in caught.value.faults)
    return {fault.key: fault.reason for fault in caught.value.faults}


@pytest.mark.parametrize("name", sorted(path.name for path in packaged("exchange.toml").parent.glob("*.toml")))
def test_packaged_configurations_load(name: str) -> None:
    assert load(packaged(name)).instruments


def test_default_has_six_instruments_of_different_kinds_a_wildcard_and_a_house() -> None:
    config = default_config()
    assert len(config.instruments) == 6
    assert config.venue.comp_id == "FIXSIM"
    assert config.counterparty_for("ANYBODY") is not None
    assert config.house is not None
    assert all(entry.reference_price is not None for entry in config.instruments)
    assert load(packaged("load.toml")).house is None
    assert load(packaged("conformance.toml")).house is None


def test_what_the_file_does_not_say_has_a_default(write) -> None:
    config = load(write(SMALLEST))
    (apple,) = config.instruments
    assert (apple.min_qty, apple.max_qty) == (Decimal(1), Decimal(1_000_000))
    assert (apple.currency, apple.matching, apple.reference_price) == ("USD", "price-time", None)
    assert config.database.url == "embedded"


@pytest.mark.parametrize(
    ("size", "decimals", "mantissa"),
    [
        ("0.01", 2, 1),
        ("0.05", 2, 5),
        ("0.0001", 4, 1),
        ("1", 0, 1),
        ("100", 0, 100),
        ("2.5", 1, 25),
        ("1e2", 0, 100),
    ],
)
def test_grids_are_exact_integers(write, size: str, decimals: int, mantissa: int) -> None:
    text = SMALLEST.replace("0.01", size).replace("lot_size = 1", f"lot_size = {size}")
    (entry,) = load(write(text)).instruments
    assert (entry.price_decimals, entry.tick_mantissa) == (decimals, mantissa)
    assert (entry.qty_decimals, entry.lot_mantissa) == (decimals, mantissa)
    assert entry.max_qty_lots == 1_000_000


def test_all_faults_come_at_once(write) -> None:
    path = write(
        """
        [venue]
        comp_id = "A*"
        timestamp_precision = "s"
        heartbeet_min_s = 1
        reset_time = "25:00:00"
        [capacities]
        orders = "many"
        sessions = 0
        [[instruments]]
        symbol = "AAPL"
        tick_size = 0
        lot_size = true
        [[instruments]]
        symbol = "SYM*B"
        tick_size = 0.01
        lot_size = 10
        min_qty = 15
        currency = "dollar"
        [[counterparties]]
        password = "secret"
        allowed_addresses = ["10.0.0.0/8", "here"]
        permissions = { sides = ["short"] }
        """
    )
    found = faults_of(path)
    assert set(found) == {
        "venue.comp_id",
        "venue.timestamp_precision",
        "venue.heartbeet_min_s",
        "venue.reset_time",
        "capacities.orders",
        "capacities.sessions",
        "instruments[0].tick_size",
        "instruments[0].lot_size",
        "instruments[1].symbol",
        "instruments[1].currency",
        "counterparties[0].sender_comp_id",
        "counterparties[0].password",
        "counterparties[0].allowed_addresses",
        "counterparties[0].permissions.sides",
    }
    assert found["venue.heartbeet_min_s"] == "unknown key; did you mean heartbeat_min_s?"
    assert "fixsim password" in found["counterparties[0].password"]
    assert found["counterparties[0].sender_comp_id"] == "is missing"


#: Faults of keys beside faults of names and numbers.
FAULTY = """
[venue]
heartbeat_max_s = 100_000
[capacities]
sessions = 1
orders = 0
[house]
levels = 0
comp_id = "ANNA"
[[instruments]]
symbol = "A"
tick_size = 0
lot_size = 1
schedule = "day"
breaker = "calm"
[[instruments]]
symbol = "A"
tick_size = 1
lot_size = 1234567.891
max_qty = 4938271564000000
[[instruments]]
symbol = "EURO"
tick_size = 0.01
lot_size = 1
currency = "EUR"
[[schedules]]
name = "night"
phases = []
[[breakers]]
name = "wild"
like = "nothing"
[[counterparties]]
sender_comp_id = "ANNA"
heartbeat_min_s = 90_000
[[counterparties]]
sender_comp_id = "ANNA"
heartbeat_min_s = 7_200
firm = "ONE"
[[limits]]
scope = "firm"
name = "TWO"
order_qty_max = -1
[[limits]]
scope = "firm"
name = "TWO"
gross_max = 1e18
[[limits]]
scope = "session"
name = "ANNA"
price_min = 1
[[rates]]
currency = "USD"
rate = 0
[market_breaker]
constituents = [{ symbol = "A", weight = 0 }, { symbol = "NONE" }]
"""


def test_faults_of_keys_hold_no_fault_of_names_and_numbers_back(write) -> None:
    assert set(faults_of(write(FAULTY))) == {
        # keys by themselves
        "venue.heartbeat_max_s", "capacities.orders", "house.levels", "instruments[0].tick_size", "schedules[0].phases",
        "breakers[0].like", "counterparties[0].heartbeat_min_s", "limits[0].order_qty_max", "rates[0].rate",
        "market_breaker.constituents[0].weight",
        # entries by themselves
        "limits[2].price_min",
        # names
        "house.comp_id", "instruments[0].schedule", "instruments[0].breaker", "instruments[0].reference_price",
        "instruments[1].symbol", "counterparties[1].sender_comp_id", "limits[0].name", "limits[1].name", "rates[0].currency",
        "market_breaker.constituents[0].symbol", "market_breaker.constituents[1].symbol",
        # numbers
        "instruments[1].max_qty", "limits[1].gross_max", "capacities.sessions",
    }  # fmt: skip


def test_nothing_is_held_against_what_could_not_be_read(write) -> None:
    more = """
        [risk]
        money_decimals = 13
        currency = "usd"
        [capacities]
        instruments = 0
        [[limits]]
        scope = "account"
        name = "*"
        gross_max = 1e15
        [[rates]]
        currency = "EUR"
        rate = "much"
        [[instruments]]
        symbol = "EURO"
        tick_size = 0.01
        lot_size = 1
        currency = "EUR"
        schedule = "day"
        [[schedules]]
        name = "day"
        time_zone = "nowhere"
        phases = [{ at = "09:00:00", phase = "closed" }]
        [[counterparties]]
        sender_comp_id = "A"
        heartbeat_min_s = 7_200
        [venue]
        heartbeat_max_s = "long"
    """
    assert set(faults_of(write(SMALLEST + more))) == {
        "risk.money_decimals", "risk.currency", "capacities.instruments", "rates[0].rate", "schedules[0].time_zone",
        "venue.heartbeat_max_s",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('[[instruments]]\nsymbol = "AAPL"\ntick_size = 1\nlot_size = 1', "instruments[1].symbol"),
        ('[[counterparties]]\nsender_comp_id = "*"', "counterparties[1].sender_comp_id"),
        (
            "[capacities]\ninstruments = 1\n[[instruments]]\nsymbol='B'\ntick_size=1\nlot_size=1",
            "capacities.instruments",
        ),
        ('[[counterparties]]\nsender_comp_id = "HOUSE"\n[house]', "house.comp_id"),
        ("[venue]\nheartbeat_min_s = 60\nheartbeat_max_s = 30", "venue.heartbeat_min_s"),
        ("[tls]\ncertificate = 'no.pem'\nprivate_key = 'no.pem'", "tls.certificate"),
        (
            "[[instruments]]\nsymbol='B'\ntick_size=0.05\nlot_size=1\nreference_price=1.02",
            "instruments[1].reference_price",
        ),
        ("[[instruments]]\nsymbol='B'\ntick_size=0.05\nlot_size=1\nmax_qty=1e10", "instruments[1].max_qty"),
        ("[[instruments]]\nsymbol='B'\ntick_size=1e-10\nlot_size=1", "instruments[1].tick_size"),
        ("[[instruments]]\nsymbol='B'\ntick_size=1\nlot_size=1234567.891\nmax_qty=4938271564000000", "instruments[1].max_qty"),
        (
            "[venue]\navg_px_decimals=9\n[[instruments]]\nsymbol='B'\ntick_size=5\nlot_size=1\nmax_qty=4e9",
            "instruments[1].max_qty",
        ),
        ("[[instruments]]\nsymbol='Ä'\ntick_size=1\nlot_size=1", "instruments[1].symbol"),
        ("[market]\nopen = true", "market"),
        ("house = 5", "house"),
    ],
)
def test_relations_are_checked(write, more: str, key: str) -> None:
    head, rest = (more, SMALLEST) if more.startswith("house") else (SMALLEST, more)
    assert key in faults_of(write(f"{head}\n{rest}"))


def test_price_times_quantity_cannot_leave_the_machine_word(write) -> None:
    text = SMALLEST.replace("lot_size = 1", "lot_size = 1\nmax_qty = 4_000_000_000\nreference_price = 20_000_000")
    assert "beyond 2^62" in faults_of(write(text))["instruments[0].reference_price"]
    (entry,) = load(write(text.replace("20_000_000", "200"))).instruments
    assert entry.price_ticks_max * entry.max_qty_lots < NOTIONAL_MAX


def test_a_file_that_is_not_there_or_not_toml_is_one_fault(write, tmp_path: Path) -> None:
    assert faults_of(tmp_path / "none.toml") == {"file": "No such file or directory"}
    assert "line 1" in faults_of(write("venue = ["))["file"] or "is not TOML" in faults_of(write("venue = ["))["file"]


def test_exact_entries_win_over_patterns_and_longer_patterns_over_shorter(write) -> None:
    text = SMALLEST
    for sender in ("DESK*", "DESK1*", "DESK1"):
        text += f'[[counterparties]]\nsender_comp_id = "{sender}"\n'
    config = load(write(text))
    found = {name: config.counterparty_for(name) for name in ("DESK1", "DESK12", "DESK2", "X")}
    assert {name: entry.sender_comp_id for name, entry in found.items() if entry} == {
        "DESK1": "DESK1",
        "DESK12": "DESK1*",
        "DESK2": "DESK*",
        "X": "*",
    }


def test_a_pattern_makes_an_instrument_under_the_asked_symbol() -> None:
    config = load(packaged("load.toml"))
    made = config.instrument_for("SYM042")
    assert made is not None
    assert (made.symbol, made.is_pattern) == ("SYM042", False)
    assert config.instrument_for("OTHER") is None


@pytest.mark.parametrize("name", ["", "*", "A*", "S\x1b[31m", "\u00c4", "A" * 65])
def test_a_pattern_makes_only_names_a_configuration_could_have(name: str) -> None:
    config = load(packaged("load.toml"))
    assert config.counterparty_for(name) is None
    assert config.instrument_for(f"SYM{name}") is None or not name


def test_counterparties_take_heartbeat_limits_from_the_venue(write) -> None:
    text = "[venue]\nheartbeat_min_s = 5\nheartbeat_max_s = 60\n" + SMALLEST
    text += '[[counterparties]]\nsender_comp_id = "A"\nheartbeat_max_s = 30\n'
    config = load(write(text))
    assert [(entry.heartbeat_min_s, entry.heartbeat_max_s) for entry in config.counterparties] == [
        (5, 60),
        (5, 30),
    ]


def test_normalised_text_gives_the_configuration_back(write) -> None:
    config = load(write(SMALLEST + f'password_hash = "{HASH}"\nallowed_addresses = ["127.0.0.0/8"]\n[house]\n'))
    text = config.normalised()
    again = Config.from_normalised(text)
    assert again.normalised() == text
    (entry,) = config.counterparties
    assert again == dataclasses.replace(config, counterparties=(dataclasses.replace(entry, password_hash=SECRET),))


def test_normalised_text_holds_no_secret(write) -> None:
    text = SMALLEST + f'password_hash = "{HASH}"\n[database]\nurl = "postgresql://me:hidden@db/fix"\n'
    normalised = load(write(text)).normalised()
    assert "argon2" not in normalised
    assert "hidden" not in normalised


def test_equal_configurations_have_equal_text(write) -> None:
    plain = load(write(SMALLEST)).normalised()
    spelt_out = SMALLEST.replace("lot_size = 1", 'lot_size = "1"\nmin_qty = 1')
    assert load(write("[venue]\ncomp_id = 'FIXSIM'\n" + spelt_out)).normalised() == plain


def test_addresses_are_networks(write) -> None:
    config = load(write(SMALLEST + 'allowed_addresses = ["10.0.0.0/8", "::1"]\n'))
    (entry,) = config.counterparties
    assert entry.allows_address("10.1.2.3")
    assert entry.allows_address("::1")
    assert not entry.allows_address("127.0.0.1")
    assert not entry.allows_address("nonsense")
