"""What is remembered beside the tables, as JSON values and back: equal things give equal text, and text gives equal things.

Numbers, texts, None, bytes, Decimals, arrays, members of enumerations, and lists, sets, mappings and dataclasses of such.
A Member is told by its row: whoever reads it back has made it already. What is nothing of all this cannot be remembered,
and says so when it is first digested.
"""

import base64
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import Any, Final

import numpy as np

from fixsim.exchange.members import Member

#: Classes that are read back are ours; nothing else is ever imported.
OURS: Final = "fixsim."

#: One word for each kind of value that JSON has none for: how it is written.
WRITERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    bytes: ("bytes", lambda value: value.decode("latin-1")),
    bytearray: ("bytearray", lambda value: value.decode("latin-1")),
    Decimal: ("decimal", str),
    tuple: ("tuple", lambda value: [to_plain(item) for item in value]),
    deque: ("deque", lambda value: [to_plain(item) for item in value]),
    set: ("set", lambda value: _sorted(to_plain(item) for item in value)),
    frozenset: ("frozenset", lambda value: _sorted(to_plain(item) for item in value)),
    dict: ("dict", lambda value: [[to_plain(key), to_plain(item)] for key, item in value.items()]),
    Member: ("member", lambda value: value.slot),
}
READERS: Final[dict[str, Callable[[Any, Mapping[int, Member]], Any]]] = {
    "bytes": lambda plain, _: plain.encode("latin-1"),
    "bytearray": lambda plain, _: bytearray(plain.encode("latin-1")),
    "decimal": lambda plain, _: Decimal(plain),
    "tuple": lambda plain, members: tuple(from_plain(item, members) for item in plain),
    "deque": lambda plain, members: deque(from_plain(item, members) for item in plain),
    "set": lambda plain, members: {from_plain(item, members) for item in plain},
    "frozenset": lambda plain, members: frozenset(from_plain(item, members) for item in plain),
    "dict": lambda plain, members: {from_plain(key, members): from_plain(item, members) for key, item in plain},
    "member": lambda plain, members: members[plain],
    "array": lambda plain, _: _array(*plain),
    "enum": lambda plain, _: getattr(_ours(plain[0]), plain[1]),
    "row": lambda plain, members: _ours(plain[0])(*(from_plain(item, members) for item in plain[1])),
    "record": lambda plain, members: _record(_ours(plain[0]), plain[1], members),
}


def to_plain(value: Any) -> Any:
    """`value` as JSON values; TypeError when it holds something that cannot be remembered."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.bool_ | np.integer | np.floating):
        return value.item()
    if type(value) is list:
        return [to_plain(item) for item in value]
    if type(value) in WRITERS:
        word, write = WRITERS[type(value)]
        return {word: write(value)}
    if isinstance(value, np.ndarray):
        dtype = value.dtype.descr if value.dtype.names else value.dtype.str
        return {"array": [json.loads(json.dumps(dtype)), list(value.shape), base64.b64encode(value.tobytes()).decode()]}
    kind = f"{type(value).__module__}:{type(value).__qualname__}"
    if kind.startswith(OURS):
        if isinstance(value, Enum):
            return {"enum": [kind, value.name]}
        if isinstance(value, tuple):
            return {"row": [kind, [to_plain(item) for item in value]]}
        if is_dataclass(value):
            return {"record": [kind, {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}]}
    raise TypeError(f"{kind} cannot be remembered beside the tables: {value!r}")


def from_plain(plain: Any, members: Mapping[int, Member]) -> Any:
    """The value that `to_plain` made `plain` of; `members` by SESSION row. LookupError, TypeError or ValueError otherwise."""
    if isinstance(plain, list):
        return [from_plain(item, members) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((word, inner),) = plain.items()
    return READERS[word](inner, members)


def sorted_text(plain: Any) -> str:
    """JSON of what `to_plain` gave; mappings that differ in the order of their keys alone give the same text."""
    return json.dumps(_ordered(plain), separators=(",", ":"))


def _ordered(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_ordered(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((word, inner),) = plain.items()
    if word == "record":
        return {word: [inner[0], {name: _ordered(item) for name, item in inner[1].items()}]}
    inner = _ordered(inner)
    return {word: _sorted(inner) if word == "dict" else inner}


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=json.dumps)


def _array(dtype: Any, shape: list[int], text: str) -> Any:
    kind = np.dtype([_field(*one) for one in dtype] if isinstance(dtype, list) else dtype)
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape).copy()


def _field(name: str, kind: str, shape: Any = ()) -> tuple[str, str, tuple[int, ...]]:
    return name, kind, tuple(shape)


def _ours(kind: str) -> Any:
    module, _, name = kind.partition(":")
    if not module.startswith(OURS):
        raise ValueError(f"{kind} is none of ours")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not isinstance(found, type):
        raise ValueError(f"{kind} is no class")
    return found


def _record(kind: Any, values: dict[str, Any], members: Mapping[int, Member]) -> Any:
    """A dataclass with these values; what its constructor would work out is taken as it was."""
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise ValueError(f"{kind} is no dataclass")
    found = object.__new__(kind)
    for name, item in values.items():
        object.__setattr__(found, name, from_plain(item, members))
    return found
