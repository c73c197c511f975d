"""What a value of the configuration is held to, as metadata of its field."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

#: A check gives the reason why a value is a fault, None when it is good.
Check = Callable[[Any], str | None]
#: Digits a decimal number may have in front of the point and behind it: sums, products and quotients of such numbers
#: stay inside what decimals are reckoned with. No price, quantity or amount that can be counted needs more.
WHOLE_DIGITS_MAX: Final = 19
DECIMALS_MAX: Final = 18
#: Bits of a whole number: what TOML promises.
WHOLE_BITS_MAX: Final = 64


def too_long(value: int | Decimal | str) -> str | None:
    """The reason why a number is beyond what can be reckoned with, whatever its key allows; None when it is not.

    Not a number and infinity are left to whoever knows what is expected instead.
    """
    if isinstance(value, int):
        return f"is a number of more than {WHOLE_BITS_MAX} bits" if value.bit_length() > WHOLE_BITS_MAX else None
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or (number.adjusted() < WHOLE_DIGITS_MAX and exponent >= -DECIMALS_MAX):
        return None
    shown = str(value) if len(str(value)) <= 2 * WHOLE_DIGITS_MAX else f"{number:.6e}"
    return f"is {shown}: at most {WHOLE_DIGITS_MAX} digits before and {DECIMALS_MAX} behind the point are supported"


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
