"""Texts that reports repeat: reversed routing, the account and other terms of an order.

Each is rendered once and shared by all orders that have the same.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from fixsim.engine.machine import Machine
from fixsim.layout import NIL

Route = tuple[tuple[int, bytes], ...]
#: Fields of the order beside its account, in the order they are said.
Terms = Mapping[int, bytes]
NO_TERMS: Final[Terms] = {}


class Echoes:
    """ECHO rows by their text. A row nobody refers to is used again when no fresh one is left."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.rows: dict[tuple[bytes, bytes], int] = {}
        #: OWNER row of an account.
        self.account_owner: Callable[[bytes | None], int] = lambda account: NIL

    def find_again(self) -> None:
        """The table came from elsewhere: its rows by their texts."""
        rows = self.machine.echoes[: int(self.machine.core[0]["echoes_fresh"])]
        self.rows = {_texts(row): slot for slot, row in enumerate(rows)}

    def has_room(self, route: Route, account: bytes | None, terms: Terms = NO_TERMS) -> bool:
        """Could `row` give one?"""
        key = _key(route, account, terms)
        if key == (b"", b"") or key in self.rows or self.machine.core[0]["echoes_fresh"] < len(self.machine.echoes):
            return True
        return bool((self.machine.echoes["refs"] == 0).any())

    def row(self, route: Route, account: bytes | None, terms: Terms = NO_TERMS) -> int:
        """ECHO row with these texts, NIL when there is nothing to repeat; the caller made sure of room."""
        key = _key(route, account, terms)
        if key == (b"", b""):
            return NIL
        known = self.rows.get(key)
        if known is not None:
            return known
        row = self._take()
        text = key[0] + key[1]
        echo = self.machine.echoes[row]
        echo["refs"], echo["length"], echo["split"] = 0, len(text), len(key[0])
        echo["account"] = self.account_owner(account)
        echo["text"][: len(text)] = np.frombuffer(text, np.uint8)
        self.rows[key] = row
        return row

    def _take(self) -> int:
        core = self.machine.core[0]
        fresh = int(core["echoes_fresh"])
        if fresh < len(self.machine.echoes):
            core["echoes_fresh"] = fresh + 1
            return fresh
        row = int(np.nonzero(self.machine.echoes["refs"] == 0)[0][0])
        del self.rows[_texts(self.machine.echoes[row])]
        return row


def _texts(echo: np.void) -> tuple[bytes, bytes]:
    """Routing and the rest of an ECHO row."""
    row: Any = echo
    text = row["text"][: row["length"]].tobytes()
    return text[: row["split"]], text[row["split"] :]


def _key(route: Route, account: bytes | None, terms: Terms) -> tuple[bytes, bytes]:
    """The two texts as they are rendered."""
    routing = b"".join([b"%d=%b\x01" % pair for pair in route])
    own = b"" if not account else b"1=%b\x01" % account
    return routing, own + b"".join([b"%d=%b\x01" % pair for pair in terms.items()])
