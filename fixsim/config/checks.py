"""What a value of the configuration is held to, as metadata of its field."""

from collections.abc import Callable, Iterable
from typing import Any

#: A check gives the reason why a value is a fault, None when it is good.
Check = Callable[[Any], str | None]


def between(low: float, high: float) -> dict[str, Check]:
    """Metadata of a number from `low` to `high`, both allowed."""

    def check(value: float) -> str | None:
        return None if low <= value <= high else f"is {value}, expected {low} to {high}"

    return {"check": check}


def one_of(*choices: str) -> dict[str, Check]:
    """Metadata of a word out of `choices`."""

    def check(value: str) -> str | None:
        return None if value in choices else f"is {value!r}, expected one of {', '.join(choices)}"

    return {"check": check}


def each_one_of(*choices: str) -> dict[str, Check]:
    """Metadata of a list of words out of `choices`."""

    def check(value: Iterable[str]) -> str | None:
        wrong = [word for word in value if word not in choices]
        return f"has {', '.join(map(repr, wrong))}, expected only {', '.join(choices)}" if wrong else None

    return {"check": check}
