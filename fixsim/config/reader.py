"""From a TOML file to a Config. Nothing is guessed: unknown keys are faults, and all faults come at once."""

import tomllib
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from datetime import date, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from fixsim.config.breakers import PROFILES, Breaker, named, profile_values
from fixsim.config.checks import too_long
from fixsim.config.model import Capacities, Config, Counterparty, Instrument, Tls, Venue
from fixsim.config.risk import check_limits
from fixsim.config.schedules import Schedule
from fixsim.errors import ConfigError, Fault
from fixsim.limits import NOTIONAL_MAX, QTY_LOTS_MAX

T = TypeVar("T")
#: A value that could not be read; its fault is noted already.
UNREADABLE: Final = object()
#: Lots an order may have when the file does not say.
DEFAULT_MAX_LOTS: Final = 1_000_000
#: Keys people will try, and what to write instead.
HINTS: Final = {
    "password": "write password_hash; make one with: fixsim password",
    "min_quantity": "write min_qty",
    "max_quantity": "write max_qty",
}


@dataclass
class Faults:
    """The faults found so far in one file."""

    file: str
    found: list[Fault]

    def note(self, key: str, reason: str) -> None:
        self.found.append(Fault(self.file, key, reason))


def load(path: Path) -> Config:
    """The configuration in the TOML file `path`; ConfigError with every fault of it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise ConfigError((Fault(str(path), "file", error.strerror or str(error)),)) from error
    except InvalidOperation as error:  # an exponent that no decimal has
        raise ConfigError((Fault(str(path), "file", "has a number that is beyond all bounds"),)) from error
    except (ValueError, RecursionError) as error:  # beside what is no TOML or no UTF-8: thousands of digits or brackets
        raise ConfigError((Fault(str(path), "file", f"is not TOML: {error}"),)) from error
    return from_tables(tables, str(path), path.parent)


def packaged(name: str) -> Path:
    """A file of `sessions/`: beside the package in a checkout, inside it in an installed wheel."""
    inside = Path(str(files("fixsim"))) / "sessions" / name
    return inside if inside.exists() else Path(str(files("fixsim"))).parent / "sessions" / name


def default_config() -> Config:
    """What `fixsim serve` without `--config` uses."""
    return load(packaged("exchange.toml"))


def from_tables(tables: dict[str, Any], file: str, folder: Path | None = None) -> Config:
    """The configuration in parsed TOML or JSON. Paths in it are taken relative to `folder`."""
    faults = Faults(file, [])
    config = _build(Config, tables, "", faults)
    if isinstance(config, Config) and not faults.found:
        _check_whole(config, faults)
        if config.tls is not None and folder is not None:
            config = replace(config, tls=_located(config.tls, folder, faults))
    if faults.found:
        raise ConfigError(tuple(faults.found))
    assert isinstance(config, Config)
    return config


def _build(kind: type[T], table: Any, where: str, faults: Faults, inherited: dict[str, Any] | None = None) -> T | object:
    """A dataclass from a table; `where` is its key, `inherited` gives values for keys that are absent."""
    if not isinstance(table, dict):
        faults.note(where.removesuffix("."), "is not a table")
        return UNREADABLE
    if kind is Breaker and "like" in table:
        inherited = _profile(table.pop("like"), f"{where}like", faults)
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            faults.note(f"{where}{key}", f"unknown key{_hint(key, list(known))}")
    hints = _types_of(kind)  # type: ignore[arg-type]  # a class can be hashed
    values: dict[str, Any] = dict(inherited or {})
    for name, item in known.items():
        if name in table:
            passed_on = _inherited_by(name, values)
            values[name] = _value(item, hints[name], table[name], f"{where}{name}", faults, passed_on)
    if kind is Instrument:
        _fill_quantities(values)
    for name, item in known.items():
        if name not in values and item.default is MISSING:
            faults.note(f"{where}{name}", "is missing")
            values[name] = UNREADABLE
    if any(value is UNREADABLE for value in values.values()):
        return UNREADABLE
    built = kind(**values)
    _check_entry(built, where, faults)
    return built


@cache
def _types_of(kind: type) -> dict[str, Any]:
    """Types of the fields of a dataclass: found once, a start reads as many configurations as there were starts before."""
    return get_type_hints(kind)


def _hint(key: str, known: list[str]) -> str:
    if key in HINTS:
        return f"; {HINTS[key]}"
    close = get_close_matches(key, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _inherited_by(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """What a counterparty takes from the venue where it says nothing itself."""
    venue = values.get("venue", Venue())
    if name != "counterparties" or not isinstance(venue, Venue):
        return {}
    return {"heartbeat_min_s": venue.heartbeat_min_s, "heartbeat_max_s": venue.heartbeat_max_s}


def _profile(like: Any, key: str, faults: Faults) -> dict[str, Any]:
    """What a breaker takes from the ready-made profile it is like."""
    if isinstance(like, str) and like in PROFILES:
        return profile_values(like)
    faults.note(key, f"is {_shown(like)}, expected one of {', '.join(PROFILES)}")
    return {}


def _fill_quantities(values: dict[str, Any]) -> None:
    lot = values.get("lot_size")
    if isinstance(lot, Decimal):
        values.setdefault("min_qty", lot)
        values.setdefault("max_qty", lot * DEFAULT_MAX_LOTS)
    elif lot is UNREADABLE:  # one fault is enough
        values.setdefault("min_qty", UNREADABLE)
        values.setdefault("max_qty", UNREADABLE)


def _value(item: Field[Any], hint: Any, found: Any, key: str, faults: Faults, inherited: dict[str, Any]) -> Any:
    """One value, converted to the type of its field and checked."""
    if get_origin(hint) in (Union, types.UnionType):  # only ever "or None": absent is the only None there is
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if is_dataclass(hint):
        return _build(hint, found, f"{key}.", faults)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        value = _sequence(get_args(hint)[0], found, key, faults, inherited)
    else:
        value = _scalar(hint, found, key, faults)
    check: Callable[[Any], str | None] | None = item.metadata.get("check")
    if value is UNREADABLE or check is None:
        return value
    reason = check(value)
    if reason is None:
        return value
    faults.note(key, reason)
    return UNREADABLE


def _sequence(kind: Any, found: Any, key: str, faults: Faults, inherited: dict[str, Any]) -> Any:
    if not isinstance(found, list):
        faults.note(key, f"is {_shown(found)}, expected a list")
        return UNREADABLE
    if is_dataclass(kind):
        values = [
            _build(kind, table, f"{key}[{index}].", faults, inherited)  # type: ignore[arg-type]
            for index, table in enumerate(found)
        ]
    else:
        values = [_scalar(kind, entry, f"{key}[{index}]", faults) for index, entry in enumerate(found)]
    return UNREADABLE if any(value is UNREADABLE for value in values) else tuple(values)


#: What TOML and the normalised JSON may hold for each type of field, and how it becomes one.
SCALARS: Final[dict[type, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, Decimal), "a number"),
    Decimal: ((int, Decimal, str), "a decimal number"),
    str: ((str,), "a text"),
}
NUMBERS: Final = (int, float, Decimal)


def _scalar(kind: type, found: Any, key: str, faults: Faults) -> Any:
    accepted, words = SCALARS[kind]
    good = isinstance(found, accepted) and (kind is bool or not isinstance(found, bool))
    try:
        reason = too_long(found) if good and kind in NUMBERS else None
        if good and reason is None:
            return kind(found)
    except (InvalidOperation, ValueError):  # a text that is no number
        reason = None
    faults.note(key, reason or f"is {_shown(found)}, expected {words}")
    return UNREADABLE


def _shown(found: Any) -> str:
    if isinstance(found, dict | list):
        return "a table" if isinstance(found, dict) else "a list"
    if isinstance(found, int) and too_long(found):  # has too many digits to be written at all
        return "a number"
    return str(found) if isinstance(found, Decimal | date | time) else repr(found)


def _check_entry(built: object, where: str, faults: Faults) -> None:
    """Relations inside one table."""
    if isinstance(built, Instrument):
        _check_instrument(built, where, faults)
    if isinstance(built, Venue | Counterparty) and built.heartbeat_min_s > built.heartbeat_max_s:
        faults.note(f"{where}heartbeat_min_s", f"is above heartbeat_max_s ({built.heartbeat_max_s})")
    if isinstance(built, Schedule):
        for key, reason in built.faults():
            faults.note(f"{where}{key}", reason)
    if isinstance(built, Venue) and built.test_request_after >= built.disconnect_after:
        faults.note(f"{where}test_request_after", "is not before disconnect_after")


def _check_instrument(entry: Instrument, where: str, faults: Faults) -> None:
    for name, size in (("tick_size", entry.tick_size), ("lot_size", entry.lot_size)):
        if len(size.as_tuple().digits) > 12 or not -9 <= size.adjusted() <= 9:
            faults.note(f"{where}{name}", f"is {size}: at most 9 decimals and 12 digits are supported")
            return
    for name in ("min_qty", "max_qty"):
        if getattr(entry, name) % entry.lot_size:
            faults.note(f"{where}{name}", f"is not a multiple of lot_size {entry.lot_size}")
    if entry.max_qty_lots > QTY_LOTS_MAX:
        faults.note(f"{where}max_qty", f"is {entry.max_qty_lots} lots, at most {QTY_LOTS_MAX}")
    if entry.min_qty > entry.max_qty:
        faults.note(f"{where}min_qty", f"is above max_qty ({entry.max_qty})")
    if entry.reference_price is None:
        return
    if entry.reference_price % entry.tick_size:
        faults.note(f"{where}reference_price", f"is not a multiple of tick_size {entry.tick_size}")
    if entry.reference_price / entry.tick_size > entry.price_ticks_max:
        faults.note(
            f"{where}reference_price",
            f"times max_qty is beyond 2^62: the highest price with this max_qty is {entry.price_ticks_max * entry.tick_size}",
        )


def _check_whole(config: Config, faults: Faults) -> None:
    """Relations between tables."""
    _check_unique("instruments", "symbol", [entry.symbol for entry in config.instruments], faults)
    senders = [entry.sender_comp_id for entry in config.counterparties]
    _check_unique("counterparties", "sender_comp_id", senders, faults)
    _check_unique("schedules", "name", [entry.name for entry in config.schedules], faults)
    names = [entry.name for entry in config.schedules]
    for index, instrument in enumerate(config.instruments):
        if instrument.schedule is not None and instrument.schedule not in names:
            known = f"there are {', '.join(names)}" if names else "there is no [[schedules]]"
            faults.note(f"instruments[{index}].schedule", f"is {instrument.schedule!r}, but {known}")
    if not config.instruments:
        faults.note("instruments", "is empty: there is nothing to trade")
    if not config.counterparties:
        faults.note("counterparties", "is empty: nobody may log on")
    if config.house is not None and config.house.comp_id in senders:
        faults.note("house.comp_id", f"is {config.house.comp_id!r}, which a counterparty has too")
    check_limits(config, faults.note)
    for index, entry in enumerate(config.instruments):
        _check_products(entry, config.venue.avg_px_decimals, f"instruments[{index}].", faults)
    _check_breakers(config, faults)
    _check_capacities(config, config.capacities, faults)


def _check_breakers(config: Config, faults: Faults) -> None:
    """Breakers that are asked for are there, and know where to begin."""
    _check_unique("breakers", "name", [entry.name for entry in config.breakers], faults)
    for index, entry in enumerate(config.breakers):
        widths = [name for name in ("range_bps", "dynamic_bps", "bands") if getattr(entry, name)]
        if len(widths) > 1 or not (widths or entry.static_bps):
            reason = f"has {' and '.join(widths) or 'none'}, expected one of dynamic_bps, range_bps, bands or static_bps"
            faults.note(f"breakers[{index}].{entry.name}", reason)
        if list(entry.bands) != sorted(entry.bands, key=lambda band: band.above):
            faults.note(f"breakers[{index}].bands", "are not in ascending order of above")
    for index, instrument in enumerate(config.instruments):
        if instrument.breaker is None:
            continue
        if named(config.breakers, instrument.breaker) is None:
            known = ", ".join([*(entry.name for entry in config.breakers), *PROFILES])
            faults.note(f"instruments[{index}].breaker", f"is {instrument.breaker!r}, known are {known}")
        if instrument.reference_price is None:
            faults.note(f"instruments[{index}].reference_price", "is missing: a breaker begins there")
    if config.market_breaker is not None:
        _check_market(config, faults)


def _check_market(config: Config, faults: Faults) -> None:
    """The index is made of instruments that are there, each once, with a price to begin with."""
    assert config.market_breaker is not None
    constituents = config.market_breaker.constituents
    _check_unique("market_breaker.constituents", "symbol", [entry.symbol for entry in constituents], faults)
    if not constituents:
        faults.note("market_breaker.constituents", "is empty")
    for index, entry in enumerate(constituents):
        found = next((one for one in config.instruments if one.symbol == entry.symbol and not one.is_pattern), None)
        if found is None or found.reference_price is None:
            reason = f"is {entry.symbol!r}: no instrument of that name has a reference_price"
            faults.note(f"market_breaker.constituents[{index}].symbol", reason)
    weights = config.index_weights()
    highest = sum(weights[entry.symbol] * entry.price_ticks_max for entry in config.instruments if entry.symbol in weights)
    if highest >= NOTIONAL_MAX:
        faults.note("market_breaker.constituents", "are too heavy: with every price at its highest the index is beyond 2^62")
    declines = [level.decline_bps for level in config.market_breaker.levels]
    if declines != sorted(set(declines)):
        faults.note("market_breaker.levels", "are not in ascending order of decline_bps")


def _check_products(entry: Instrument, avg_px_decimals: int, where: str, faults: Faults) -> None:
    """Numbers that are multiplied while a report is written must stay exact in 64 bits."""
    averaged = entry.tick_mantissa * 10 ** max(0, avg_px_decimals - entry.price_decimals)
    for what, factor in (("lot_size", entry.lot_mantissa), ("tick_size at avg_px_decimals", averaged)):
        if entry.max_qty_lots * factor >= NOTIONAL_MAX:
            faults.note(f"{where}max_qty", f"is {entry.max_qty_lots} lots: times the digits of {what} that is beyond 2^62")


def _check_unique(table: str, key: str, names: list[str], faults: Faults) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            faults.note(f"{table}[{index}].{key}", f"is {name!r}, as in {table}[{first[name]}]")
        first.setdefault(name, index)


def _check_capacities(config: Config, capacities: Capacities, faults: Faults) -> None:
    named = sum(not entry.is_pattern for entry in config.instruments)
    if named > capacities.instruments:
        faults.note("capacities.instruments", f"is {capacities.instruments}, but {named} are named")
    known = sum(not entry.is_pattern for entry in config.counterparties) + (config.house is not None)
    if known > capacities.sessions:
        faults.note("capacities.sessions", f"is {capacities.sessions}, but {known} are named")


def _located(tls: Tls, folder: Path, faults: Faults) -> Tls:
    """`tls` with whole paths; a file that is not there is a fault."""
    names = {key: getattr(tls, key) for key in ("certificate", "private_key", "client_ca")}
    paths = {key: folder / name for key, name in names.items() if name is not None}
    for key, path in paths.items():
        if not path.is_file():
            faults.note(f"tls.{key}", f"is {names[key]!r}: there is no such file beside the configuration")
    return replace(tls, **{key: str(path) for key, path in paths.items()})
