"""Orders, cancelled by the many."""

from typing import TYPE_CHECKING, Any

from fixsim.engine.book import EXCHANGE_OPTION
from fixsim.errors import UsageError
from fixsim.exchange.operator.asked import Arguments, listing_of, member_of
from fixsim.exchange.withdrawals import Which, open_orders, withdraw

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: What the orders to cancel are told by.
FILTERS = ("session", "symbol", "account", "side")
SIDES = {"buy": ord("1"), "sell": ord("2"), "sell-short": ord("5"), "sell-short-exempt": ord("6")}


def cancel_all(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Cancel every open order of a session, symbol, account and side, or with `all` of everybody: 150=4, 378=8."""
    given = [name for name in FILTERS if arguments.get(name) is not None]
    if not given and arguments.get("all") is not True:
        raise UsageError(f"say which orders: {', '.join(FILTERS)}, or all of them")
    side = arguments.get("side")
    if side is not None and side not in SIDES:
        raise UsageError(f"unknown side {side!r}; known are {', '.join(SIDES)}")
    account = arguments.get("account")
    which = Which(
        session=member_of(exchange, arguments).slot if "session" in given else None,
        book=listing_of(exchange, arguments).book if "symbol" in given else None,
        side=None if side is None else SIDES[side],
        account=None if account is None else str(account).encode(),
    )
    slots = open_orders(exchange.machine, which)
    for slot in slots:
        exchange.make_room()
        withdraw(exchange.machine, slot, EXCHANGE_OPTION)
    return {"orders": len(slots)}
