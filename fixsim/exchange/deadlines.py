"""When something is due: a heap of sessions by deadline. A deadline that moved later is found out when it comes to the top."""

import heapq

from fixsim.exchange.members import Member
from fixsim.layout import NEVER


class Deadlines:
    """Deadlines of the connected sessions, ns. Holds no state: what is due is decided by the sessions themselves."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Member]] = []
        self._pushed = 0

    def note(self, member: Member) -> None:
        """The member's deadline may have moved; only an earlier one matters now."""
        due = member.next_deadline_ns()
        if due < member.noted_ns:
            member.noted_ns = due
            self._pushed += 1
            heapq.heappush(self._heap, (due, self._pushed, member))

    def next_ns(self) -> int:
        """The earliest deadline, NEVER for none."""
        heap = self._heap
        while heap:
            noted, _, member = heap[0]
            due = member.next_deadline_ns()
            if noted == member.noted_ns and due == noted:
                return noted
            heapq.heappop(heap)
            if noted == member.noted_ns:
                member.noted_ns = NEVER
                self.note(member)
        return NEVER

    def due(self, now_ns: int) -> list[Member]:
        """Sessions whose deadline has come, in the order of their rows."""
        found: dict[int, Member] = {}
        while self.next_ns() <= now_ns:
            _, _, member = heapq.heappop(self._heap)
            member.noted_ns = NEVER
            found[member.slot] = member
        return [found[slot] for slot in sorted(found)]
