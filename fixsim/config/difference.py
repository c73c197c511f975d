"""What one configuration says and another does not, key by key; entries of lists go by their names, not their places."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fixsim.config.model import Config
from fixsim.config.risk import Limits

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
#: What tells one entry from another where its first field alone does not.
IDENTITY: Final[dict[type, tuple[str, ...]]] = {Limits: ("scope", "name")}
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
    """Every key that differs, in the order of the sections; none for equal configurations alone.

    An entry that is new or gone is one change, and so is another order of those that stay.
    """
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
        mine, theirs = _named(before), _named(after)
        for name in dict.fromkeys((*mine, *theirs)):
            yield from _between(f"{key}[{name}]", mine.get(name), theirs.get(name))
        if [name for name in mine if name in theirs] != [name for name in theirs if name in mine]:
            yield Change(f"order of {key}", "", "")
    elif key.endswith(SECRETS):
        yield Change(key, "", "")
    else:
        yield Change(key, _shown(before), _shown(after))


def _is_list(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and is_dataclass(value[0])


def _named(entries: tuple[Any, ...]) -> dict[str, Any]:
    """Entries of a list by what they go by; of those that go by the same, the second is called #2, and so on."""
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for entry in entries:
        name = _name(entry)
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name}#{seen[name]}"] = entry
    return found


def _name(entry: Any) -> str:
    """An entry of a list goes by its key: the first field, unless IDENTITY says more."""
    keys = IDENTITY.get(type(entry), (fields(entry)[0].name,))
    return " ".join(str(_shown(getattr(entry, key))) for key in keys)


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
