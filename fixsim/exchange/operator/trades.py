"""Trades, taken back or corrected. The command tells the trade as its reports did, so that nothing has to be looked up."""

from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.amendments import Told
from fixsim.exchange.operator.asked import Arguments

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def bust(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Take a trade back: 150=H to both sides. Arguments are those of `Told`."""
    return exchange.amendments.bust(_told(arguments))


def correct(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Give it another `price`, less `quantity`, or both: 150=G to both sides."""
    quantity, price = (_text(arguments, name) for name in ("quantity", "price"))
    if quantity is None and price is None:
        raise UsageError("say quantity, price or both")
    return exchange.amendments.correct(_told(arguments), quantity, price)


def _told(arguments: Arguments) -> Told:
    values: list[Any] = []
    for name in Told._fields:
        value = _text(arguments, name) if name.startswith("last") else arguments.get(name)
        if value is None or (not name.startswith("last") and (type(value) is not int or value < 1)):
            raise UsageError(f"{name} is {value!r}: expected what the reports of the trade say")
        values.append(value)
    return Told(*values)


def _text(arguments: Arguments, name: str) -> str | None:
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{name} is {value!r}: a decimal number as text")
    return value
