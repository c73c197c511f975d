"""Orders that are good until a time: ExpireTime(126)."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from fixsim.engine import book as engine_book
from fixsim.engine.machine import Machine
from fixsim.layout import NEVER, NIL


class GoodTill:
    """Source of the agenda: the times of GTD orders, earliest first."""

    def __init__(self, machine: Machine, make_room: Callable[[], None]) -> None:
        self.machine = machine
        self.make_room = make_room
        #: A heap of (ns, OrderID, ORDER row); some may be closed already.
        self.times: list[tuple[int, int, int]] = []

    def add(self, ns: int, slot: int) -> None:
        """The order in ORDER row `slot` is good until `ns`."""
        heappush(self.times, (ns, int(self.machine.orders[slot]["order_id"]), slot))

    def tidy(self) -> None:
        """Forget those that closed before their time."""
        self.times = [entry for entry in self.times if self._is_open(entry)]
        heapify(self.times)

    def _is_open(self, entry: tuple[int, int, int]) -> bool:
        row = self.machine.orders[entry[2]]
        return bool(row["order_id"] == entry[1] and row["names"] > 0 and row["level"] != NIL)

    def next_ns(self) -> int:
        """When the next one runs out."""
        return self.times[0][0] if self.times else NEVER

    def due(self, venue_ns: int) -> None:
        """Those whose time has come run out, the earliest first."""
        while self.next_ns() <= venue_ns:
            entry = heappop(self.times)
            if self._is_open(entry):
                self.make_room()
                engine_book.expire(self.machine, entry[2])
