"""From a sealed batch to those it speaks to: what is owed to whom, found when nothing can be taken back any more."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fixsim.engine.machine import Machine
from fixsim.engine.tape import said_positions, seal_times
from fixsim.exchange.members import Member, Members
from fixsim.exchange.tape import Tape
from fixsim.journal.outbox import Outbox
from fixsim.layout import NIL
from fixsim.limits import BATCH_BYTES, RECORD_HEADER_BYTES

#: Messages of one batch to one session that are looked for from the last one back; where there are more, from the front.
POSITIONS_MAX: Final = BATCH_BYTES // RECORD_HEADER_BYTES


class Delivery:
    """Seals batches and tells the outbox."""

    def __init__(
        self, machine: Machine, tape: Tape, members: Members, links: Mapping[int, Member], outbox: Outbox
    ) -> None:
        self.machine, self.tape, self.members, self.links, self.outbox = machine, tape, members, links, outbox
        #: RESEND records of the batch: SESSION row and position.
        self.resends: list[tuple[int, int]] = []
        #: Who listens inside this process, by link: takes what is said and returns the bytes it took.
        self.listeners: dict[int, Callable[[Sequence[memoryview]], int]] = {}
        self._positions = np.zeros(POSITIONS_MAX, np.int64)

    def commit(self) -> None:
        """Seal the batch; what it says may be sent now."""
        if self.tape.used == 0:
            return
        for slot, _ in self.resends:
            self.machine.sessions[slot]["said_ns"] = self.tape.now_ns
        seal_times(self.machine)
        self.tape.commit()
        resends, self.resends = self.resends, []
        self.owe(self.machine.touched[: int(self.tape.row["touched"])].tolist(), resends)

    def owe(self, slots: Sequence[int], resends: Sequence[tuple[int, int]] = ()) -> None:
        """Tell the outbox what the sealed batch says to these SESSION rows, and which resends it asks for: (row, position)."""
        for slot in dict.fromkeys([*slots, *(slot for slot, _ in resends)]):
            member = self.members.by_slot[slot]
            if member.link in self.links:
                positions = self._said_to(member)
                found = [position for row, position in resends if row == slot]
                self.outbox.say_all(member.link, member.id, np.sort(np.append(positions, found)) if found else positions)
        self.outbox.release()
        for link, callback in list(self.listeners.items()):
            self.outbox.send(link, callback)

    def _said_to(self, member: Member) -> npt.NDArray[np.int64]:
        """Positions of what the sealed batch says to a session on its present link."""
        count = int(said_positions(self.machine, member.slot, self._positions))
        if count != NIL:
            return self._positions[:count]
        # its numbers restarted, or it is connected anew, within the batch: the records tell
        return self.tape.said_on(member.link)
