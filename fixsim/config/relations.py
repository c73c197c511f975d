"""What tables of a configuration have to do with each other, judged as far as they could be read.

Names are looked at as they stand in the file: whatever else is wrong with an entry, its name is taken and it may ask for
another. Numbers are reckoned with where the entries they stand in have no fault of their own.
"""

from collections.abc import Iterable
from typing import Any, Final

from fixsim.config.breakers import PROFILES
from fixsim.config.faults import Faults
from fixsim.config.model import Config, House, Instrument
from fixsim.config.risk import Note, Numbered, check_amounts, check_collar, check_worth, fits
from fixsim.limits import NOTIONAL_MAX

#: Parsed TOML or JSON.
Tables = dict[str, Any]
#: Tables whose entries go by a name, and the key of that.
NAMED: Final = (("instruments", "symbol"), ("counterparties", "sender_comp_id"), ("schedules", "name"), ("breakers", "name"))


def check_whole(tables: Tables, config: Config, faults: Faults) -> None:
    """Note every relation that does not hold. `config` is what could be read, with defaults for what could not."""
    unread = [fault.key for fault in faults.found]
    for table, key in NAMED:
        _check_unique(table, key, _texts(tables, table, key), faults.note)
    _check_presence(tables, faults.note)
    _check_schedules(tables, faults.note)
    _check_house(tables, faults.note)
    _check_limits(tables, faults.note)
    _check_breakers(tables, faults.note)
    _check_constituents(tables, faults.note)
    instruments: Numbered[Instrument] = _flawless("instruments", tables, faults)
    every = [instrument for _, instrument in instruments]
    for index, entry in _flawless("limits", tables, faults):
        check_collar(entry, f"limits[{index}].", every, faults.note)
        if not _any_within(unread, "risk.money_decimals"):
            check_amounts(entry, f"limits[{index}].", config.risk.money_decimals, faults.note)
    if not _any_within(unread, "risk.currency"):
        _check_rates(tables, config.risk.currency, faults.note)
    if not _any_within(unread, "limits", "rates", "risk", "capacities.instruments"):
        check_worth(config, instruments, faults.note)
    if not _any_within(unread, "venue.avg_px_decimals"):
        for index, instrument in instruments:
            _check_products(instrument, config.venue.avg_px_decimals, f"instruments[{index}].", faults.note)
    if not _any_within(unread, "market_breaker", "instruments"):
        _check_weights(config, faults.note)
    for key, names in (("instruments", _texts(tables, *NAMED[0])), ("sessions", _texts(tables, *NAMED[1]))):
        if not _any_within(unread, f"capacities.{key}"):
            more = key == "sessions" and isinstance(tables.get("house"), dict)
            _check_capacity(key, names, getattr(config.capacities, key), more, faults.note)


# ---- what can be judged


def _entries(table: Any) -> Numbered[dict[str, Any]]:
    """The entries of a list that are tables."""
    return [(index, entry) for index, entry in enumerate(table) if isinstance(entry, dict)] if isinstance(table, list) else []


def _texts(tables: Tables, table: str, key: str) -> Numbered[str]:
    """The values of one key in the entries of a table, where they are texts."""
    return [(index, entry[key]) for index, entry in _entries(tables.get(table)) if isinstance(entry.get(key), str)]


def _flawless(table: str, tables: Tables, faults: Faults) -> Numbered[Any]:
    """The entries of a table that hold together."""
    named = ((index, f"{table}[{index}]") for index, _ in _entries(tables.get(table)))
    return [(index, faults.flawless[key]) for index, key in named if key in faults.flawless]


def _any_within(keys: Iterable[str], *wanted: str) -> bool:
    """Is any of `keys` one that is wanted, in one, or around one?"""
    return any(_is_within(key, one) or _is_within(one, key) for key in keys for one in wanted)


def _is_within(key: str, outer: str) -> bool:
    return key == outer or key.startswith((f"{outer}.", f"{outer}["))


# ---- names


def _check_unique(table: str, key: str, names: Numbered[str], note: Note) -> None:
    first: dict[str, int] = {}
    for index, name in names:
        if name in first:
            note(f"{table}[{index}].{key}", f"is {name!r}, as in {table}[{first[name]}]")
        first.setdefault(name, index)


def _check_presence(tables: Tables, note: Note) -> None:
    for table, reason in (("instruments", "there is nothing to trade"), ("counterparties", "nobody may log on")):
        if tables.get(table, []) == []:
            note(table, f"is empty: {reason}")


def _check_schedules(tables: Tables, note: Note) -> None:
    """Schedules that are asked for are there."""
    names = list(dict.fromkeys(name for _, name in _texts(tables, "schedules", "name")))
    known = f"there are {', '.join(names)}" if names else "there is no [[schedules]]"
    for index, name in _texts(tables, "instruments", "schedule"):
        if name not in names:
            note(f"instruments[{index}].schedule", f"is {name!r}, but {known}")


def _check_house(tables: Tables, note: Note) -> None:
    house = tables.get("house")
    name = house.get("comp_id", House.comp_id) if isinstance(house, dict) else None
    if name in [sender for _, sender in _texts(tables, "counterparties", "sender_comp_id")]:
        note("house.comp_id", f"is {name!r}, which a counterparty has too")


def _check_limits(tables: Tables, note: Note) -> None:
    """Each has limits once, and firms that have some are there."""
    first: dict[tuple[str, str], int] = {}
    firms = [firm for _, firm in _texts(tables, "counterparties", "firm")]
    scopes = dict(_texts(tables, "limits", "scope"))
    for index, name in _texts(tables, "limits", "name"):
        scope = scopes.get(index, "")
        if (scope, name) in first:
            note(f"limits[{index}].name", f"is {name!r} of scope {scope}, as in limits[{first[scope, name]}]")
        first.setdefault((scope, name), index)
        if scope == "firm" and not any(fits(name, firm) for firm in firms):
            note(f"limits[{index}].name", f"is {name!r}, but no counterparty has such a firm")


def _check_rates(tables: Tables, own: str, note: Note) -> None:
    """A currency has one rate, and the venue's none."""
    seen = {own}
    for index, currency in _texts(tables, "rates", "currency"):
        if currency in seen:
            note(f"rates[{index}].currency", f"is {currency!r}, which has a rate already")
        seen.add(currency)


def _check_breakers(tables: Tables, note: Note) -> None:
    """Breakers that are asked for are there, and know where to begin."""
    known = dict.fromkeys((*(name for _, name in _texts(tables, "breakers", "name")), *PROFILES))
    instruments = dict(_entries(tables.get("instruments")))
    for index, name in _texts(tables, "instruments", "breaker"):
        if name not in known:
            note(f"instruments[{index}].breaker", f"is {name!r}, known are {', '.join(known)}")
        if "reference_price" not in instruments[index]:
            note(f"instruments[{index}].reference_price", "is missing: a breaker begins there")


def _check_constituents(tables: Tables, note: Note) -> None:
    """The index is made of instruments that are there, each once, with a price to begin with."""
    market = tables.get("market_breaker")
    if not isinstance(market, dict):
        return
    names = _texts(market, "constituents", "symbol")
    _check_unique("market_breaker.constituents", "symbol", names, note)
    instruments = dict(_entries(tables.get("instruments")))
    priced = {name for index, name in _texts(tables, "instruments", "symbol") if "reference_price" in instruments[index]}
    for index, symbol in names:
        if symbol not in priced or symbol.endswith("*"):
            reason = f"is {symbol!r}: no instrument of that name has a reference_price"
            note(f"market_breaker.constituents[{index}].symbol", reason)


# ---- numbers


def _check_weights(config: Config, note: Note) -> None:
    """The index can be counted."""
    weights = config.index_weights()
    highest = sum(weights[entry.symbol] * entry.price_ticks_max for entry in config.instruments if entry.symbol in weights)
    if highest >= NOTIONAL_MAX:
        note("market_breaker.constituents", "are too heavy: with every price at its highest the index is beyond 2^62")


def _check_products(entry: Instrument, avg_px_decimals: int, where: str, note: Note) -> None:
    """Numbers that are multiplied while a report is written must stay exact in 64 bits."""
    averaged = entry.tick_mantissa * 10 ** max(0, avg_px_decimals - entry.price_decimals)
    for what, factor in (("lot_size", entry.lot_mantissa), ("tick_size at avg_px_decimals", averaged)):
        if entry.max_qty_lots * factor >= NOTIONAL_MAX:
            note(f"{where}max_qty", f"is {entry.max_qty_lots} lots: times the digits of {what} that is beyond 2^62")


def _check_capacity(key: str, names: Numbered[str], capacity: int, more: bool, note: Note) -> None:
    named = sum(not name.endswith("*") for _, name in names) + more
    if named > capacity:
        note(f"capacities.{key}", f"is {capacity}, but {named} are named")
