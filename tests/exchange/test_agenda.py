"""What is due by venue time is asked for in one place and carried out in one order."""

from dataclasses import dataclass, field

import pytest

from fixsim.exchange.agenda import Agenda, Place
from fixsim.layout import NEVER


@dataclass
class Diary:
    """A source that is due at some times and writes down when it was called."""

    name: str
    times: list[int]
    called: list[tuple[str, int]] = field(default_factory=list)

    def next_ns(self) -> int:
        return min(self.times, default=NEVER)

    def due(self, venue_ns: int) -> None:
        self.called.append((self.name, venue_ns))
        self.times = [time for time in self.times if time > venue_ns]


def test_an_empty_agenda_is_never_due() -> None:
    assert Agenda().next_ns() == NEVER


def test_the_earliest_source_says_when_the_agenda_is_due() -> None:
    agenda = Agenda()
    agenda.add(Place.DAY, Diary("day", [70]))
    agenda.add(Place.RISK, Diary("risk", [50, 90]))
    assert agenda.next_ns() == 50
    agenda.run(50)
    assert agenda.next_ns() == 70


def test_what_is_due_together_is_done_in_the_order_of_places_not_of_arrival() -> None:
    agenda, called = Agenda(), list[tuple[str, int]]()
    agenda.add(Place.GOOD_TILL, Diary("good-till", [10], called))
    agenda.add(Place.PHASES, Diary("phases", [12], called))
    agenda.add(Place.BREAKERS, Diary("breakers", [99], called))
    agenda.add(Place.DAY, Diary("day", [11], called))
    agenda.run(12)
    assert called == [("day", 12), ("phases", 12), ("good-till", 12)]


def test_two_sources_cannot_have_one_place() -> None:
    agenda = Agenda()
    agenda.add(Place.DAY, Diary("day", []))
    with pytest.raises(AssertionError, match="DAY is taken"):
        agenda.add(Place.DAY, Diary("other", []))


def test_a_source_that_stays_due_is_a_mistake_of_ours() -> None:
    class Stubborn(Diary):
        def due(self, venue_ns: int) -> None:
            self.called.append((self.name, venue_ns))

    agenda = Agenda()
    agenda.add(Place.RISK, Stubborn("risk", [5]))
    with pytest.raises(AssertionError, match="RISK is still due"):
        agenda.run(6)
