"""What differs between two configurations, as an operator is told it."""

from dataclasses import replace
from decimal import Decimal

from fixsim.config import Capacities, Config, Counterparty, Instrument, Permissions, Venue, default_config
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
    assert shown(replace(BASE, instruments=(other, APPLE)), before) == []
    assert shown(replace(BASE, instruments=(other, replace(APPLE, max_qty=Decimal(500)))), before) == [
        "changed instruments[AAPL].max_qty from 1000 to 500"
    ]


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
