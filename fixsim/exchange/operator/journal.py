"""The journal's floor: what lies in front of it is not said again."""

from typing import TYPE_CHECKING, Any

from fixsim.errors import UsageError
from fixsim.exchange.operator.asked import Arguments
from fixsim.layout import NIL

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange


def retire(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Say nothing again that was said in front of `floor`: a GapFill covers it. `at` is behind this command in the journal."""
    floor = arguments.get("floor")
    if type(floor) is not int or not 0 <= floor <= exchange.tape.base:
        raise UsageError(f"{floor!r} is no position in front of this one")
    exchange.core["floor"] = max(int(exchange.core["floor"]), floor)
    return {"floor": int(exchange.core["floor"]), "at": exchange.tape.base + exchange.tape.used}


def needed_from(exchange: "Exchange") -> int:
    """From which journal position on somebody who is connected may need what was written, whatever the floor is."""
    needed = [exchange.outbox.owed_from(), *exchange._postponed.values()]
    house = exchange.config.house
    for member in exchange.links.values():
        needed += member.session.early_tokens()
        if house is None or member.name != house.comp_id.encode():
            needed.append(int(member.row["last_out"]))  # the head of a GapFill is that of the newest message
    return min(position for position in needed if position != NIL)
