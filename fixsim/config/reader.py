"""From a TOML file to a Config. Nothing is guessed: unknown keys are faults, and all faults come at once."""

import tomllib
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from datetime import date, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from fixsim.config.breakers import PROFILES, Breaker, MarketBreaker, profile_values
from fixsim.config.checks import too_long
from fixsim.config.faults import Faults
from fixsim.config.model import HEARTBEAT_S_MAX, Config, Counterparty, Instrument, Tls, Venue
from fixsim.config.relations import check_whole
from fixsim.config.risk import Limits, check_keys
from fixsim.config.schedules import Schedule
from fixsim.errors import ConfigError, Fault
from fixsim.limits import QTY_LOTS_MAX

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
    faults = Faults(file)
    config = _readable(_values(Config, tables, "", faults, None), faults)
    check_whole(tables, config, faults)
    if config.tls is not None and folder is not None:
        config = replace(config, tls=_located(config.tls, folder, faults))
    if faults.found:
        raise ConfigError(tuple(faults.found))
    return config


def _readable(sections: dict[str, Any], faults: Faults) -> Config:
    """What could be read of a configuration: sections, entries of lists and keys that could not are left out."""
    read = {name: section for name, section in sections.items() if section is not UNREADABLE}
    for name in sections.keys() - read.keys():
        if name in faults.partly:
            read[name] = faults.partly[name]
        elif get_origin(_types_of(Config)[name]) is tuple:
            read[name] = tuple(entry for key, entry in faults.flawless.items() if key.rpartition("[")[0] == name)
    return Config(**read)


def _build(kind: type[T], table: Any, where: str, faults: Faults, inherited: dict[str, Any] | None = None) -> T | object:
    """A dataclass from a table; `where` is its key, `inherited` gives values for keys that are absent."""
    key = where.removesuffix(".")
    if not isinstance(table, dict):
        faults.note(key, "is not a table")
        return UNREADABLE
    values = _values(kind, table, where, faults, inherited)
    read = {name: value for name, value in values.items() if value is not UNREADABLE}
    if len(read) < len(values):
        if all(item.default is not MISSING for item in fields(kind)):  # type: ignore[arg-type]
            faults.partly[key] = kind(**read)
        return UNREADABLE
    built, before = kind(**values), len(faults.found)
    _check_entry(built, where, faults)
    if len(faults.found) == before:
        faults.flawless[key] = built
    return built


def _values(
    kind: type, table: dict[str, Any], where: str, faults: Faults, inherited: dict[str, Any] | None
) -> dict[str, Any]:
    """The values of the fields of a dataclass, UNREADABLE for those that could not be read."""
    if kind is Breaker and "like" in table:
        inherited = _profile(table.pop("like"), f"{where}like", faults)
    known = {item.name: item for item in fields(kind)}
    for key in table:
        if key not in known:
            faults.note(f"{where}{key}", f"unknown key{_hint(key, list(known))}")
    hints = _types_of(kind)
    values: dict[str, Any] = dict(inherited or {})
    for name, item in known.items():
        if name in table:
            passed_on = _inherited_by(name, values, faults)
            values[name] = _value(item, hints[name], table[name], f"{where}{name}", faults, passed_on)
    if kind is Instrument:
        _fill_quantities(values)
    for name, item in known.items():
        if name not in values and item.default is MISSING:
            faults.note(f"{where}{name}", "is missing")
            values[name] = UNREADABLE
    return values


@cache
def _types_of(kind: type) -> dict[str, Any]:
    """Types of the fields of a dataclass: found once, a start reads as many configurations as there were starts before."""
    return get_type_hints(kind)


def _hint(key: str, known: list[str]) -> str:
    if key in HINTS:
        return f"; {HINTS[key]}"
    close = get_close_matches(key, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _inherited_by(name: str, values: dict[str, Any], faults: Faults) -> dict[str, Any]:
    """What a counterparty takes from the venue where it says nothing itself."""
    if name != "counterparties":
        return {}
    if "venue" in values and "venue" not in faults.flawless:  # nothing is held against what the venue means to allow
        return {"heartbeat_min_s": 0, "heartbeat_max_s": HEARTBEAT_S_MAX}
    venue = values.get("venue", Venue())
    return {"heartbeat_min_s": venue.heartbeat_min_s, "heartbeat_max_s": venue.heartbeat_max_s}


def _profile(like: Any, key: str, faults: Faults) -> dict[str, Any]:
    """What a breaker takes from the ready-made profile it is like."""
    if isinstance(like, str) and like in PROFILES:
        return profile_values(like)
    faults.note(key, f"is {_shown(like)}, expected one of {', '.join(PROFILES)}")
    return {"static_bps": UNREADABLE}  # what it stops is not known


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
    if isinstance(built, Breaker):
        _check_breaker(built, where, faults)
    if isinstance(built, MarketBreaker):
        _check_market(built, where, faults)
    if isinstance(built, Limits):
        check_keys(built, where, faults.note)
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


def _check_breaker(entry: Breaker, where: str, faults: Faults) -> None:
    """It stops something, in one way."""
    widths = [name for name in ("range_bps", "dynamic_bps", "bands") if getattr(entry, name)]
    if len(widths) > 1 or not (widths or entry.static_bps):
        reason = f"has {' and '.join(widths) or 'none'}, expected one of dynamic_bps, range_bps, bands or static_bps"
        faults.note(where.removesuffix("."), reason)
    if list(entry.bands) != sorted(entry.bands, key=lambda band: band.above):
        faults.note(f"{where}bands", "are not in ascending order of above")


def _check_market(entry: MarketBreaker, where: str, faults: Faults) -> None:
    if not entry.constituents:
        faults.note(f"{where}constituents", "is empty")
    declines = [level.decline_bps for level in entry.levels]
    if declines != sorted(set(declines)):
        faults.note(f"{where}levels", "are not in ascending order of decline_bps")


def _located(tls: Tls, folder: Path, faults: Faults) -> Tls:
    """`tls` with whole paths; a file that is not there is a fault."""
    names = {key: getattr(tls, key) for key in ("certificate", "private_key", "client_ca")}
    paths = {key: folder / name for key, name in names.items() if name is not None}
    for key, path in paths.items():
        if not path.is_file():
            faults.note(f"tls.{key}", f"is {names[key]!r}: there is no such file beside the configuration")
    return replace(tls, **{key: str(path) for key, path in paths.items()})
