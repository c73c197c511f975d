"""What differs between two configurations, as an operator is told it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from fixsim.config import (
    Capacities,
    Config,
    Counterparty,
    Instrument,
    Limits,
    Permissions,
    Venue,
    default_config,
    load,
    packaged,
)
from fixsim.config.breakers import Band, Breaker
from fixsim.config.difference import FIXED, differences, fixed_faults

APPLE = Instrument("AAPL", Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000))
BASE = Config(instruments=(APPLE,), counterparties=(Counterparty("ANNA", password_hash="$argon2id$one"),))


def shown(after: Config, before: Config = BASE) -> list[str]:
    return [str(change) for change in differences(before, after)]


def test_equal_configurations_do_not_differ():
    assert shown(default_config(), default_config()) == []


def test_a_key_that_changed_is_named_with_both_values():
    assert shown(replace(BASE, venue=Venue(logon_timeout_s=5.0))) == ["changed venue.logon_timeout_s from 10.0 to 5.0"]


def test_entries_go_by_their_names_wherever_they_stand():
    other = replace(APPLE, symbol="MSFT")
    before = replace(BASE, instruments=(APPLE, other))
    assert shown(replace(BASE, instruments=(other, APPLE)), before) == ["changed order of instruments"]
    assert shown(replace(BASE, instruments=(other, replace(APPLE, max_qty=Decimal(500)))), before) == [
        "changed instruments[AAPL].max_qty from 1000 to 500", "changed order of instruments",
    ]  # fmt: skip


def test_limits_go_by_scope_and_name():
    entries = tuple(Limits(scope, name, order_qty_max=Decimal(5)) for scope in ("session", "firm") for name in ("A", "B*"))
    before = replace(BASE, limits=entries)
    for index, entry in enumerate(entries):
        after = replace(BASE, limits=(*entries[:index], replace(entry, order_qty_max=Decimal(6)), *entries[index + 1 :]))
        assert shown(after, before) == [f"changed limits[{entry.scope} {entry.name}].order_qty_max from 5 to 6"]
    assert shown(replace(BASE, limits=entries[1:]), before) == ["removed limits[session A]"]
    (line,) = shown(replace(BASE, limits=(*entries, Limits("account", "A"))), before)
    assert line.startswith("added limits[account A] scope account, name A,")


def test_entries_that_go_by_the_same_are_told_apart():
    bands = (Band(Decimal(0), 100), Band(Decimal(0), 200))
    before = replace(BASE, breakers=(Breaker("b", bands=bands),))
    after = replace(BASE, breakers=(Breaker("b", bands=(replace(bands[0], width_bps=300), bands[1])),))
    assert shown(after, before) == ["changed breakers[b].bands[0].width_bps from 100 to 300"]


def changed(value: Any) -> Iterator[Any]:
    """`value`, each time with one other value somewhere in it."""
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from (replace(value, **{item.name: inner}) for inner in changed(getattr(value, item.name)))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from ((*value[:index], other, *value[index + 1 :]) for other in changed(inner))
            yield value[:index] + value[index + 1 :]
    elif value is not None:
        yield not value if isinstance(value, bool) else value + "X" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("name", sorted(path.name for path in packaged("exchange.toml").parent.glob("*.toml")))
def test_whatever_is_different_is_told(name: str):
    config = load(packaged(name))
    for kind in ("session", "firm"):
        config = replace(config, limits=(*config.limits, Limits(kind, "A"), Limits(kind, "B")))
    assert all(differences(config, other) for other in changed(config))


def test_an_entry_that_is_new_or_gone_is_one_line():
    lines = shown(replace(BASE, instruments=(replace(APPLE, symbol="MSFT"),)))
    assert lines[0] == "removed instruments[AAPL]"
    assert lines[1].startswith("added instruments[MSFT] symbol MSFT, tick_size 0.01, lot_size 1,")
    assert shown(Config(instruments=(APPLE,))) == ["removed counterparties[ANNA]"]


def test_permissions_are_told_by_their_words():
    after = replace(BASE, counterparties=(replace(BASE.counterparties[0], permissions=Permissions(sides=("buy",))),))
    assert shown(after) == ["changed counterparties[ANNA].permissions.sides from buy, sell to buy"]


def test_that_a_secret_changed_is_told_and_nothing_of_it():
    after = replace(BASE, counterparties=(Counterparty("ANNA", password_hash="$argon2id$two"),))
    assert shown(after) == ["changed counterparties[ANNA].password_hash"]
    fresh = replace(BASE, counterparties=(*BASE.counterparties, Counterparty("BERT", password_hash="$argon2id$two")))
    assert "argon2" not in shown(fresh)[0]


def test_what_only_a_new_process_can_change_is_refused_with_every_reason():
    after = replace(BASE, venue=Venue(comp_id="X", logon_timeout_s=1.0), capacities=Capacities(orders=20, sessions=3))
    assert [key for key, _ in fixed_faults(differences(BASE, after))] == [
        "venue.comp_id", "capacities.orders", "capacities.sessions",
    ]  # fmt: skip


def test_every_fixed_key_is_one_there_is():
    keys = {change.key for change in differences(Config(), default_config())} | {"venue.comp_id", "venue.avg_px_decimals"}
    known = set(Config.__dataclass_fields__)
    for key in FIXED:
        section, _, name = key.partition(".")
        assert section in known, keys
        if name:
            assert name in type(getattr(default_config(), section)).__dataclass_fields__
