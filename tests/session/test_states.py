"""The table of states is whole, and the page that shows it is up to date."""

from pathlib import Path

import pytest
from conversations.core import START_NS, Owner

from fixsim.errors import SessionMisuse
from fixsim.session.session import Session
from fixsim.session.states import TRANSITIONS, State, Step, diagram
from session.making import profile

PAGE = Path(__file__).parents[2] / "docs" / "session.md"


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(State)


def test_every_step_is_taken_somewhere() -> None:
    assert {step for steps in TRANSITIONS.values() for step in steps} == set(Step)


def test_every_state_can_be_reached_and_left() -> None:
    reached, frontier = {State.DISCONNECTED}, [State.DISCONNECTED]
    while frontier:
        for target in TRANSITIONS[frontier.pop()].values():
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(State)
    assert all(set(steps.values()) != {state} for state, steps in TRANSITIONS.items())


def test_the_transport_may_be_lost_in_every_state_that_has_one() -> None:
    for state, steps in TRANSITIONS.items():
        assert (steps.get(Step.TRANSPORT_LOST) is State.DISCONNECTED) == (state is not State.DISCONNECTED)


def test_the_page_shows_the_table() -> None:
    assert f"```mermaid\n{diagram()}```" in PAGE.read_text(), (
        "docs/session.md is not up to date: put the output of fixsim.session.states.diagram() into it"
    )


def test_a_second_transport_is_our_own_mistake() -> None:
    owner = Owner(profile())
    owner.connect()
    with pytest.raises(SessionMisuse):
        owner.session.connected(START_NS)


def test_an_acceptor_does_not_begin_with_a_logon() -> None:
    owner = Owner(profile())
    owner.connect()
    with pytest.raises(SessionMisuse):
        owner.session.logon(START_NS)


def test_an_initiator_needs_a_transport_for_its_logon() -> None:
    session: Session = Owner(profile(), role="initiator").session
    with pytest.raises(SessionMisuse):
        session.logon(START_NS)
