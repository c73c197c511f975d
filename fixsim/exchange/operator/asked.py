"""What every verb is told, and how what an argument names is found. A mistake is a UsageError: nothing has changed."""

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from unicodedata import category

from fixsim.errors import UsageError
from fixsim.exchange.listings import Listing
from fixsim.exchange.members import Member

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: One value each, by name: from a journal record, live or replayed.
Arguments = dict[str, Any]
#: A verb gives what its answer holds beside `ok`; it raises UsageError before it has changed anything.
Verb = Callable[["Exchange", Arguments], dict[str, Any]]

#: Control characters, and halves of characters: what a system gives for bytes that are no text.
UNWRITABLE: Final = ("Cc", "Cs")


def is_writable(text: str) -> bool:
    """Whether a text can be kept in a journal and shown by whatever reads it: on one line, in UTF-8."""
    return not any(category(char) in UNWRITABLE for char in text)


def misspoken(verb: str, arguments: Arguments, why: str) -> str | None:
    """Why a command may not be asked like this, whatever it means; None when it may. Asked before it becomes a record."""
    texts = (verb, why, *arguments, *(value for value in arguments.values() if isinstance(value, str)))
    if not all(map(is_writable, texts)):
        return "a text holds control characters, or bytes that are no UTF-8"
    for name, value in arguments.items():
        if isinstance(value, dict | list):
            return f"an argument is one value, not a {type(value).__name__}"
        if isinstance(value, float) and not isfinite(value):
            return f"{name} is no finite number"
    return None


def member_of(exchange: "Exchange", arguments: Arguments) -> Member:
    """The session that `session` names."""
    name = str(arguments.get("session", ""))
    member = exchange.members.find(name.encode())
    if member is None:
        raise UsageError(f"unknown session {name!r}")
    return member


def listing_of(exchange: "Exchange", arguments: Arguments) -> Listing:
    """The instrument that `symbol` names."""
    symbol = str(arguments.get("symbol", ""))
    listing = exchange.listings.find(symbol.encode())
    if listing is None:
        raise UsageError(f"unknown symbol {symbol!r}")
    return listing
