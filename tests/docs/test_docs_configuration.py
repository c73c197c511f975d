"""`docs/configuration.md` is the configuration: every key, with its default and its range."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from decimal import Decimal
from typing import Any

import pytest
from pages import ROOT, Block, blocks, the_block

from fixsim.config import (
    Capacities,
    Config,
    Console,
    Counterparty,
    CpuAffinity,
    Database,
    House,
    Instrument,
    JournalSettings,
    Limits,
    Permissions,
    Process,
    Rate,
    Risk,
    ShadowSettings,
    StreetSettings,
    Tls,
    Venue,
    load,
)
from fixsim.config.breakers import Band, Breaker, Constituent, Level, MarketBreaker
from fixsim.config.reader import from_tables
from fixsim.config.schedules import Schedule, Step
from fixsim.errors import ConfigError

PAGE = ROOT / "docs" / "configuration.md"
TABLES = {
    "[venue]": Venue,
    "[[instruments]]": Instrument,
    "[[schedules]]": Schedule,
    "[[schedules.phases]]": Step,
    "[[breakers]]": Breaker,
    "[[breakers.bands]]": Band,
    "[market_breaker]": MarketBreaker,
    "[[market_breaker.constituents]]": Constituent,
    "[[market_breaker.levels]]": Level,
    "[[counterparties]]": Counterparty,
    "permissions": Permissions,
    "[risk]": Risk,
    "[[limits]]": Limits,
    "[[rates]]": Rate,
    "[house]": House,
    "[capacities]": Capacities,
    "[journal]": JournalSettings,
    "[database]": Database,
    "[process]": Process,
    "cpu_affinity": CpuAffinity,
    "[street]": StreetSettings,
    "[console]": Console,
    "[shadow]": ShadowSettings,
    "[tls]": Tls,
}
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", re.M)
BETWEEN = re.compile(r"([\d.]+) to ([\d.]+)")


def sections() -> dict[str, str]:
    """The page below each heading that names a table."""
    parts = re.split(r"^##+ `(.*)`$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def keys() -> Iterator[tuple[str, Field[Any], tuple[str, str]]]:
    """(table, field, (range, default) as documented) of every key that has a row."""
    for name, text in sections().items():
        rows = {key: (span, default) for key, span, default, _ in ROW.findall(text)}
        for item in fields(TABLES[name]):
            if item.name in rows:
                yield name, item, rows[item.name]


KEYS = [pytest.param(item, span, default, id=f"{name} {item.name}") for name, item, (span, default) in keys()]


def test_every_table_has_its_section_and_every_key_its_row() -> None:
    assert sections().keys() == TABLES.keys()
    assert len(TABLES) == len(fields(Config)) + 6  # those that are inside others
    for name, text in sections().items():
        assert [row[0] for row in ROW.findall(text)] == [item.name for item in fields(TABLES[name])], name


@pytest.mark.parametrize(("item", "span", "default"), KEYS)
def test_a_default_is_the_one_documented(item: Field[Any], span: str, default: str) -> None:
    if default == "required":
        assert item.default is MISSING
    elif default == "absent":
        assert item.default is None
    elif default.startswith("`"):
        written = tomllib.loads(f"it = {default.strip('`')}", parse_float=Decimal)["it"]
        meant = tuple(written) if isinstance(written, list) else written
        assert item.default == (float(meant) if isinstance(item.default, float) else meant)
    else:  # told in words: it depends on another key, and is tested with the reader
        assert (item.name, default) in {
            ("min_qty", "one lot"),
            ("max_qty", "1,000,000 lots"),
            ("heartbeat_min_s", "the venue's"),
            ("heartbeat_max_s", "the venue's"),
            ("permissions", "everything"),
            ("cpu_affinity", "every processor"),
            ("levels", "7, 13 and 20 %"),
        }


@pytest.mark.parametrize(("item", "span", "default"), KEYS)
def test_a_range_ends_where_it_is_documented(item: Field[Any], span: str, default: str) -> None:
    check = item.metadata.get("check")
    limits = BETWEEN.fullmatch(span)
    if limits is not None:
        kind = int if item.type is int else float
        low, high = (kind(text) for text in limits.groups())
        step = kind(1) if kind is int else kind("0.001")
        assert check is not None
        assert check(low) is None and check(high) is None
        assert check(low - step) is not None and check(high + step) is not None
    elif re.fullmatch(r"(list of )?`[a-z-]+`(, `[a-z-]+`)+", span) and "true" not in span:
        words = re.findall(r"`(.*?)`", span)
        for word in [*words, "other"]:
            assert (check([word] if "list" in span else word) is None) is (word in words)


def test_what_defaults_in_words_is_so() -> None:
    instrument = '[[instruments]]\nsymbol = "X"\ntick_size = 0.01\nlot_size = 100\n'
    venue = "[venue]\nheartbeat_min_s = 7\nheartbeat_max_s = 70\n"
    config = from_toml(f'{venue}{instrument}[[counterparties]]\nsender_comp_id = "*"')
    assert (config.instruments[0].min_qty_lots, config.instruments[0].max_qty_lots) == (1, 1_000_000)
    assert (config.counterparties[0].heartbeat_min_s, config.counterparties[0].heartbeat_max_s) == (7, 70)
    assert config.counterparties[0].permissions == Permissions()


def from_toml(text: str) -> Config:
    return from_tables(tomllib.loads(text, parse_float=Decimal), "exchange.toml")


@pytest.mark.parametrize("block", blocks(marker="config"), ids=lambda block: block.place)
def test_a_whole_configuration_loads(block: Block) -> None:
    assert from_toml(block.text).instruments


def test_a_piece_of_configuration_fits_into_the_default() -> None:
    whole = tomllib.loads((ROOT / "sessions" / "exchange.toml").read_text(encoding="utf-8"), parse_float=Decimal)
    for block in blocks("toml", marker=""):
        from_tables(whole | tomllib.loads(block.text, parse_float=Decimal), block.place)


def test_faults_read_as_documented() -> None:
    with pytest.raises(ConfigError) as caught:
        from_toml(the_block("faults").text)
    assert "".join(f"fixsim: {fault}\n" for fault in caught.value.faults) == the_block("faults expected").text


@pytest.mark.parametrize("file", sorted((ROOT / "sessions").glob("*.toml")), ids=lambda file: file.name)
def test_the_files_that_come_along_load_and_are_named(file: Any) -> None:
    assert load(file).counterparties
    assert f"sessions/{file.name}" in PAGE.read_text(encoding="utf-8")
