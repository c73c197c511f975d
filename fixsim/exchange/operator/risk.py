"""Kill switches, and limits beside what is used of them."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.guard import KILLED
from fixsim.exchange.operator.asked import Arguments
from fixsim.exchange.risk import SCOPES
from fixsim.layout import LIMITLESS
from fixsim.limits import MONEY_MAX

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: Limits in money of an OWNER row that are shown, and what stands for none.
LIMITS_SHOWN: Final = {
    "open_notional_max": MONEY_MAX, "gross_max": LIMITLESS, "net_max": LIMITLESS, "credit_max": LIMITLESS,
    "loss_max": LIMITLESS,
}  # fmt: skip


def kill(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Turn a kill switch on or off, or show which are on."""
    switch, scope, name = (str(arguments.get(key, "")) for key in ("switch", "scope", "name"))
    if switch == "show":
        return {"switches": _switches(exchange)}
    if switch not in ("on", "off"):
        raise UsageError(f"{switch!r} is neither on nor off")
    if scope not in KILLED:
        raise UsageError(f"{scope!r} is none of {', '.join(KILLED)}")
    if (scope == "all") == bool(name):
        raise UsageError("all has no name" if name else f"which {scope}? It needs a name")
    if (scope, name) not in exchange.guard.switches:  # what is on can be lifted, whatever the configuration says by now
        _check_name(exchange, scope, name)
    cancelled = 0
    if switch == "on":
        cancelled = exchange.guard.turn_on(scope, name)
    elif not exchange.guard.turn_off(scope, name):
        raise UsageError(f"no kill switch is on for {scope} {name}".rstrip())
    for member in exchange.members.by_name.values():
        exchange.tune(member)
    return {"switches": _switches(exchange), "cancelled": cancelled}


def _check_name(exchange: "Exchange", scope: str, name: str) -> None:
    """A name that nobody could have is a mistake. Accounts are whatever orders say, each byte of it one character."""
    known = all(ord(char) < 256 for char in name)
    if scope == "session":
        known = exchange.members.counterparty_for(name.encode()) is not None
    elif scope == "firm":
        known = any(entry.firm == name for entry in exchange.config.counterparties)
    elif scope == "symbol":
        known = exchange.config.instrument_for(name) is not None
    if not known:
        raise UsageError(f"unknown {scope} {name!r}")


def _switches(exchange: "Exchange") -> list[dict[str, str]]:
    return [{"scope": scope, "name": name} for scope, name in exchange.guard.switches]


def limits_show(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """What is used of each limit, of all owners or of those of one scope or name."""
    wanted = str(arguments.get("scope") or ""), str(arguments.get("name") or "")
    if wanted[0] not in ("", *SCOPES):
        raise UsageError(f"{wanted[0]!r} is none of {', '.join(SCOPES)}")
    shown = [
        _describe(exchange, owner)
        for owner, (scope, name) in sorted(exchange.risk.names.items(), key=lambda item: item[1])
        if exchange.risk.limits_of(owner) is not None and wanted[0] in ("", SCOPES[scope]) and wanted[1] in ("", name)
    ]
    return {"currency": exchange.config.risk.currency, "owners": shown, "switches": _switches(exchange)}


def _describe(exchange: "Exchange", owner: int) -> dict[str, Any]:
    scope, name = exchange.risk.names[owner]
    row: Any = exchange.machine.owners[owner]
    decimals = exchange.config.risk.money_decimals

    def amount(minor: int) -> str:
        return f"{Decimal(minor).scaleb(-decimals):f}"

    used = {key: int(row[key]) for key in ("open_buy", "open_sell", "net", "gross", "spent")}
    used["loss"] = int(row["opening"]) + int(row["spent"]) - int(row["net"])
    told: dict[str, Any] = {"scope": SCOPES[scope], "name": name, "stopped": bool(row["stopped"])}
    told |= {key: int(row[key]) for key in ("open_orders", "requests", "trades")}
    told |= {key: amount(value) for key, value in used.items()}
    told["open_orders_max"] = None if int(row["open_orders_max"]) == LIMITLESS else int(row["open_orders_max"])
    told |= {key: None if int(row[key]) == none else amount(int(row[key])) for key, none in LIMITS_SHOWN.items()}
    told["positions"] = _positions(exchange, owner)
    return told


def _positions(exchange: "Exchange", owner: int) -> list[dict[str, Any]]:
    """What an owner holds, and has working, by instrument."""
    by_book = {listing.book: listing for listing in exchange.listings.by_symbol.values()}
    found = []
    for (holder, book), place in sorted(exchange.risk.holdings.items()):
        if holder != owner:
            continue
        row: Any = exchange.machine.holdings[place]
        listing = by_book[book]
        quantities = {
            key: f"{int(row[key]) * listing.instrument.lot_size:f}" for key in ("position", "buys", "sells", "position_max")
        }
        found.append({"symbol": listing.symbol.decode(), **quantities})
    return found


def limits_reset(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Begin the day of one owner anew: its losses, its credit and its counts; who was stopped may go on."""
    scope, name = str(arguments.get("scope") or ""), str(arguments.get("name") or "")
    owner = exchange.risk.rows.get((SCOPES.index(scope), name)) if scope in SCOPES else None
    if owner is None or exchange.risk.limits_of(owner) is None:
        raise UsageError(f"no limits are known of {scope} {name!r}")
    exchange.risk.begin_day(owner)
    return {"owners": [_describe(exchange, owner)]}
