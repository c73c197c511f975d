"""What every verb is told, and how what an argument names is found. A mistake is a UsageError: nothing has changed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.listings import Listing
from fixsim.exchange.members import Member

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: One value each, by name: from a journal record, live or replayed.
Arguments = dict[str, Any]
#: A verb gives what its answer holds beside `ok`; it raises UsageError before it has changed anything.
Verb = Callable[["Exchange", Arguments], dict[str, Any]]


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
