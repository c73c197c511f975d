"""The coming days of each schedule, as absolute instants: they come in records, and nothing here knows of time zones."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from fixsim.config.schedules import Change
from fixsim.exchange.names import PHASES
from fixsim.layout import NEVER, Phase


class Calendar:
    """What each schedule does next, and the last it did."""

    def __init__(self) -> None:
        #: By schedule: the change that is in force (None before the first), then those to come, in order.
        self.changes: dict[str, list[Any]] = {}
        #: Venue time at which the last plan was made, 0 for none.
        self.planned_ns = 0

    def adopt(self, changes: dict[str, Any], venue_ns: int) -> None:
        """Replace what is to come; what was missed until `venue_ns` stays. A new schedule begins with what is in force then."""
        self.planned_ns = venue_ns if changes else 0
        self.changes = {
            name: merged(self.changes.get(name), [Change(*change) for change in told], venue_ns)
            for name, told in changes.items()
        }

    def phase(self, name: str | None) -> int:
        """The phase that schedule `name` is in; without one trading is continuous."""
        if name is None or name not in self.changes:
            return Phase.CONTINUOUS
        present = self.changes[name][0]
        return Phase.CLOSED if present is None else PHASES[present.phase]

    def day(self, name: str | None) -> int:
        """The trading day of schedule `name`, days since 1970-01-01; 0 where there is none yet."""
        present = self.changes[name][0] if name in self.changes else None
        return 0 if present is None else int(present.day)

    def ends_ns(self, name: str | None, phase: str) -> int:
        """When schedule `name` leaves `phase` next, NEVER where it is not known to."""
        changes = self.changes.get(name or "", [])
        for before, change in pairwise(changes):
            if before is not None and before.phase == phase != change.phase:
                return int(change.ns)
        return NEVER

    def following(self, name: str | None) -> int:
        """The phase that schedule `name` goes to next; continuous where that is not known."""
        coming = self.changes.get(name or "", [])
        return PHASES[coming[1].phase] if len(coming) > 1 else Phase.CONTINUOUS

    def next_ns(self) -> int:
        """When the next change is due."""
        return min((coming[1].ns for coming in self.changes.values() if len(coming) > 1), default=NEVER)

    def take(self, venue_ns: int) -> Iterator[tuple[str, Change, Change | None]]:
        """Each change that is due at `venue_ns`, as it comes into force: schedule, the change, and what was in force before."""
        for name, changes in self.changes.items():
            while len(changes) > 1 and changes[1].ns <= venue_ns:
                before = changes.pop(0)
                yield name, changes[0], before


def merged(known: list[Any] | None, told: list[Change], venue_ns: int) -> list[Any]:
    """What is in force, then what is to come."""
    if known is None:
        past = [change for change in told if change.ns <= venue_ns]
        return [past[-1] if past else None, *told[len(past) :]]
    kept = [known[0], *(change for change in known[1:] if change.ns <= venue_ns)]
    after_ns = 0 if kept[-1] is None else kept[-1].ns
    return [*kept, *(change for change in told if change.ns > after_ns)]
