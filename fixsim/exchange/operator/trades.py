"""Trades, taken back or corrected. The command names where they were said, so a replay reads the same."""

from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.operator.asked import Arguments

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def bust(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Take back the trade `match_id`, said in the records at `first` and `second`: 150=H to both sides."""
    match_id, positions = _trade(arguments)
    return exchange.amendments.bust(match_id, positions)


def correct(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Give it another `price`, less `quantity`, or both: 150=G to both sides."""
    match_id, positions = _trade(arguments)
    quantity, price = (arguments.get(name) for name in ("quantity", "price"))
    for name, value in (("quantity", quantity), ("price", price)):
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{name} is {value!r}: a decimal number as text")
    if quantity is None and price is None:
        raise UsageError("say quantity, price or both")
    return exchange.amendments.correct(match_id, positions, quantity, price)


def _trade(arguments: Arguments) -> tuple[int, tuple[int, int]]:
    numbers = []
    for name in ("match_id", "first", "second"):
        value = arguments.get(name)
        if type(value) is not int or value < 0:
            raise UsageError(f"{name} is {value!r}: a whole number")
        numbers.append(value)
    return numbers[0], (numbers[1], numbers[2])
