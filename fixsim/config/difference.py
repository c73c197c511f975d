"""What one configuration says and another does not, key by key; entries of lists go by their names, not their places."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fixsim.config.model import Config

#: Sections and keys that hold for the life of the process, and why.
_MEMORY: Final = "memory is claimed for it when the process starts"
_OPENED: Final = "it is looked at when the process starts"
FIXED: Final = {
    "venue.comp_id": "every session goes by it",
    "venue.avg_px_decimals": _MEMORY,
    "capacities": _MEMORY,
    "tls": _OPENED,
    "journal": _OPENED,
    "database": _OPENED,
    "process": _OPENED,
    "street": _OPENED,
    "console": _OPENED,
    "house.comp_id": "the house is logged on by it",
}
#: Keys whose values are nobody's business.
SECRETS: Final = ("password_hash", "database.url")


class Change(NamedTuple):
    """One key that differs; None where a configuration does not have it."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"added {self.key}" + (f" {self.after}" if self.after else "")
        if self.after is None:
            return f"removed {self.key}"
        return f"changed {self.key}" + (f" from {self.before} to {self.after}" if self.after else "")


def differences(before: Config, after: Config) -> list[Change]:
    """Every key that differs, in the order of the sections. An entry that is new or gone is one change."""
    return list(_between("", before, after))


def fixed_faults(changes: list[Change]) -> list[tuple[str, str]]:
    """Changes that only a new process can make: key, and why."""
    return [
        (change.key, f"cannot be changed while the exchange runs: {reason}")
        for change in changes
        for key, reason in FIXED.items()
        if change.key == key or change.key.startswith(f"{key}.")
    ]


def _between(key: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if is_dataclass(before) and is_dataclass(after):
        for item in fields(before):
            inner = f"{key}.{item.name}" if key else item.name
            yield from _between(inner, getattr(before, item.name), getattr(after, item.name))
    elif _is_list(before) or _is_list(after):
        mine, theirs = ({_name(entry): entry for entry in entries} for entries in (before, after))
        for name in dict.fromkeys((*mine, *theirs)):
            yield from _between(f"{key}[{name}]", mine.get(name), theirs.get(name))
    elif key.endswith(SECRETS):
        yield Change(key, "", "")
    else:
        yield Change(key, _shown(before), _shown(after))


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and is_dataclass(value[0])


def _name(entry: Any) -> str:
    """An entry of a list goes by its first field."""
    return str(getattr(entry, fields(entry)[0].name))


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if is_dataclass(value):
        shown = ((item.name, getattr(value, item.name)) for item in fields(value))
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in shown if inner is not None and name not in SECRETS)
    if isinstance(value, tuple):
        return ", ".join(str(_shown(entry)) for entry in value) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
