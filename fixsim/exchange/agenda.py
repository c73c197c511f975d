"""What the venue does at which time: the day turns, phases change, calls end, windows close, orders run out.

Conversations have deadlines of their own (`exchange.deadlines`); here is everything that is due by venue time. A source says
when it wants to be called next and is called when that time has come: the earliest of all of them is part of
`Exchange.next_deadline_ns`, and one TICK record carries them all out. What is due together is done in the order of `Place`, so
that a replay does the same: first the day, then what instruments do, then what stops them, then who may trade, then what runs
out; what all that comes to is told last.
"""

from enum import IntEnum
from typing import Protocol

from fixsim.layout import NEVER


class Place(IntEnum):
    """The turn of a source among those that are due at the same time; the lowest comes first."""

    DAY = 0
    PHASES = 1
    BREAKERS = 2
    RISK = 3
    GOOD_TILL = 4
    TELLING = 5


class Source(Protocol):
    """Somebody who has something to do at a time. What it remembers is state; when it is due follows from it."""

    def next_ns(self) -> int:
        """Venue time at which `due` should be called, NEVER for none."""

    def due(self, venue_ns: int) -> None:
        """That time has come, or is past: the process may have slept. Afterwards `next_ns` lies behind `venue_ns`.

        A batch is open and has room for one frame; a source that says more than that makes room in between.
        """


class Agenda:
    """The sources of a venue, one at each place."""

    def __init__(self) -> None:
        self._sources: dict[Place, Source] = {}

    def add(self, place: Place, source: Source) -> None:
        """Ask `source` from now on."""
        assert place not in self._sources, f"{place.name} is taken"
        self._sources[place] = source

    def next_ns(self) -> int:
        """Venue time at which the next source is due, NEVER for none."""
        return min((source.next_ns() for source in self._sources.values()), default=NEVER)

    def run(self, venue_ns: int) -> None:
        """Call every source that is due at `venue_ns`, in the order of their places."""
        for place in sorted(self._sources):
            source = self._sources[place]
            if source.next_ns() <= venue_ns:
                source.due(venue_ns)
                assert source.next_ns() > venue_ns, f"{place.name} is still due"
