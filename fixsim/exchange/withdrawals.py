"""Many orders cancelled at once: which ones, and in which order. An operator asks for it, or their owner (q)."""

from typing import Any, NamedTuple

import numpy as np

from fixsim.engine import book as engine_book
from fixsim.engine.machine import Machine
from fixsim.exchange.answers import own_fields
from fixsim.fix import tags
from fixsim.layout import NIL


class Which(NamedTuple):
    """Open orders that have all of these; None for any."""

    #: SESSION row of the owner.
    session: int | None = None
    #: BOOK row.
    book: int | None = None
    #: Side(54), as ASCII.
    side: int | None = None
    #: Account(1).
    account: bytes | None = None


def open_orders(machine: Machine, which: Which) -> list[int]:
    """ORDER rows of the open orders that are meant, in the order they were accepted."""
    table: Any = machine.orders[: int(machine.core[0]["orders_fresh"])]
    chosen = (table["level"] != NIL) & (table["names"] > 0)
    for field in ("session", "book", "side"):
        value = getattr(which, field)
        if value is not None:
            chosen &= table[field] == value
    slots = np.nonzero(chosen)[0]
    if which.account is not None:
        of_echo = table["echo"][slots]
        echoes = [echo for echo in np.unique(of_echo) if _account(machine, int(echo)) == which.account]
        slots = slots[np.isin(of_echo, echoes)]
    return [int(slot) for slot in slots[np.argsort(table["order_id"][slots], kind="stable")]]


def _account(machine: Machine, echo: int) -> bytes | None:
    return dict(own_fields(machine, echo)).get(tags.ACCOUNT)


def withdraw(machine: Machine, slot: int, reason: int) -> None:
    """Cancel an open order, 150=4; `reason` is ExecRestatementReason(378), 0 where its owner asked for it."""
    engine_book.withdraw(machine, slot, reason)
