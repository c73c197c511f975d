"""What scripts cannot see: events for the owner, deadlines, misuse."""

import pytest
from conversations.core import START_NS, Counters, Owner

from fixsim.errors import SessionMisuse
from fixsim.fix import codec
from fixsim.session import (
    NEVER,
    Deliver,
    Disconnect,
    FetchEarly,
    LoggedOn,
    LoggedOut,
    PeerRejected,
    SequenceReset,
    State,
)
from fixsim.units import NS_PER_S
from session.making import frame, logged_on, order, profile, say, seconds


def kinds(owner: Owner) -> list[type]:
    return [type(event) for event in owner.happened]


def test_logged_on_and_logged_out_come_in_pairs() -> None:
    owner = logged_on()
    say(owner, b"5", 2, (58, b"bye"))
    owner.connect()
    say(owner, b"A", 3, (98, b"0"), (108, b"30"))
    owner.lose()
    assert owner.happened == [
        LoggedOn(), LoggedOut("bye"), Disconnect("bye", logged_out=True), LoggedOn(), LoggedOut("connection lost"),
    ]  # fmt: skip


def test_a_refused_logon_is_no_logged_on() -> None:
    owner = Owner(profile())
    owner.connect()
    say(owner, b"A", 1, (98, b"0"), (108, b"-1"))
    assert kinds(owner) == [Disconnect]


def test_a_refused_logon_does_not_move_the_inbound_counter() -> None:
    owner = Owner(profile(), credentials="Invalid password", counters=Counters(next_in=5, next_out=7))
    owner.connect()
    say(owner, b"A", 5, (98, b"0"), (108, b"30"))
    assert (owner.counters.next_in, owner.counters.next_out) == (5, 8)


def test_a_restart_is_told_before_the_logon_that_answers_it() -> None:
    owner = Owner(profile(), counters=Counters(next_in=5, next_out=7))
    owner.session.connected(START_NS)
    message = codec.decode(frame(owner, b"A", 1, (98, b"0"), (108, b"30"), (141, b"Y")))
    owner.session.receive(message, 0, START_NS)
    assert [type(event).__name__ for event in owner.session.events()] == ["SequenceReset", "Say", "LoggedOn"]
    assert (owner.counters.next_in, owner.counters.next_out) == (2, 1)


def test_a_sequence_reset_of_the_peer_is_no_new_run() -> None:
    owner = logged_on()
    say(owner, b"4", 0, (36, b"9"))
    assert owner.happened[-1] == SequenceReset(run_reset=False)


def test_delivered_messages_say_whether_they_may_be_known() -> None:
    owner = logged_on()
    owner.session.events()
    flags = []
    for number, fields in enumerate(((), ((43, b"Y"), (122, b"20200101-00:00:00")), ((97, b"Y"),)), 2):
        message = codec.decode(
            frame(owner, b"D", number, *fields, (11, b"A"), (55, b"X"), (54, b"1"), (60, b"20200101-00:00:00"),
                  (40, b"1"), (38, b"1"))
        )  # fmt: skip
        owner.session.receive(message, number, owner.now_ns)
        (event,) = owner.session.events()
        assert isinstance(event, Deliver)
        flags.append((event.token, event.poss_dup, event.poss_resend))
    assert flags == [(2, False, False), (3, True, False), (4, False, True)]


def test_a_reject_of_the_peer_is_handed_on() -> None:
    owner = logged_on()
    say(owner, b"3", 2, (45, b"1"), (58, b"no"))
    (event,) = [event for event in owner.happened if isinstance(event, PeerRejected)]
    assert event.message.get(58) == b"no"


def test_early_messages_are_fetched_one_at_a_time() -> None:
    owner = logged_on()
    early = [codec.decode(frame(owner, b"0", number)) for number in (3, 4)]
    for token, message in enumerate(early):
        owner.session.receive(message, token, owner.now_ns)
    owner.carry_out()
    owner.session.receive(codec.decode(frame(owner, b"0", 2)), 9, owner.now_ns)
    assert owner.session.events() == [FetchEarly(0)]
    assert owner.session.state is State.AWAITING_RESEND
    owner.session.receive(early[0], 0, owner.now_ns)
    assert owner.session.events() == [FetchEarly(1)]
    owner.session.receive(early[1], 1, owner.now_ns)
    assert owner.session.events() == []
    assert owner.session.state is State.ACTIVE
    assert owner.counters.next_in == 5


def test_an_early_message_that_is_due_must_come_before_any_other() -> None:
    owner = logged_on()
    for number, token in ((3, 0), (2, 1)):
        owner.session.receive(codec.decode(frame(owner, b"0", number)), token, owner.now_ns)
    owner.session.events()
    with pytest.raises(SessionMisuse):
        owner.session.receive(codec.decode(frame(owner, b"0", 4)), 2, owner.now_ns)


def test_bytes_behind_the_end_are_ignored() -> None:
    owner = logged_on()
    messages = [codec.decode(frame(owner, b"5", number)) for number in (2, 3)]
    for token, message in enumerate(messages):
        owner.session.receive(message, token, owner.now_ns)
    assert [type(event).__name__ for event in owner.session.events()] == ["Say", "LoggedOut", "Disconnect"]


def test_the_line_may_be_lost_twice() -> None:
    owner = logged_on()
    owner.lose()
    owner.lose()
    assert kinds(owner) == [LoggedOn, LoggedOut]


def test_a_logout_before_logon_closes_the_line() -> None:
    owner = Owner(profile())
    owner.connect()
    owner.session.logout(b"closing", owner.now_ns)
    owner.carry_out()
    assert owner.happened == [Disconnect("closing")]
    owner.session.logout(b"closing", owner.now_ns)
    assert owner.session.events() == []


def test_a_second_logout_of_ours_is_not_said() -> None:
    owner = logged_on()
    for _ in range(2):
        owner.session.logout(None, owner.now_ns)
        owner.carry_out()
    assert len(owner.out) == 1


@pytest.mark.parametrize(("interval_s", "expected_s"), [(30, 30), (0, None), (1, 1)], ids=["30 s", "no heartbeats", "1 s"])
def test_the_next_deadline_is_the_heartbeat(interval_s: int, expected_s: int | None) -> None:
    owner = logged_on(interval_s)
    deadline_ns = NEVER if expected_s is None else START_NS + expected_s * NS_PER_S
    assert owner.session.next_deadline_ns() == deadline_ns


def test_a_session_without_transport_has_no_deadline() -> None:
    owner = Owner(profile())
    assert owner.session.next_deadline_ns() == NEVER
    owner.connect()
    assert owner.session.next_deadline_ns() == START_NS + 10 * NS_PER_S
    owner.lose()
    assert owner.session.next_deadline_ns() == NEVER


def test_a_tick_that_is_not_due_does_nothing() -> None:
    owner = logged_on()
    owner.session.tick(owner.now_ns + 29 * NS_PER_S)
    assert owner.session.events() == []


def test_frames_the_owner_takes_itself_count_as_signs_of_life() -> None:
    owner = logged_on(10)
    seconds(owner, 8)
    owner.session.heard(owner.now_ns)
    owner.session.sent(owner.now_ns)
    assert owner.session.next_deadline_ns() == owner.now_ns + 10 * NS_PER_S
    seconds(owner, 9)
    assert owner.out == []


def test_an_operator_who_sets_the_numbers_ends_the_gap() -> None:
    owner = logged_on()
    order(owner, 7)
    assert owner.session.state is State.AWAITING_RESEND
    owner.counters.next_in = 8
    owner.session.renumbered(owner.now_ns)
    assert owner.session.state is State.ACTIVE
    assert len(order(owner, 8)) == 1


def test_a_restart_with_something_unsaid_is_our_own_mistake() -> None:
    owner = logged_on()
    owner.session.receive(codec.decode(frame(owner, b"1", 2, (112, b"A"))), 0, owner.now_ns)
    restart = codec.decode(frame(owner, b"A", 1, (98, b"0"), (108, b"30"), (141, b"Y")))
    with pytest.raises(SessionMisuse):
        owner.session.receive(restart, 1, owner.now_ns)


def test_only_a_restart_is_possible_while_logged_on() -> None:
    owner = Owner(profile(), role="initiator")
    owner.connect()
    owner.session.logon(owner.now_ns)
    owner.carry_out()
    say(owner, b"A", 1, (98, b"0"), (108, b"30"))
    with pytest.raises(SessionMisuse):
        owner.session.logon(owner.now_ns)


def test_credentials_travel_in_the_logon() -> None:
    owner = Owner(profile(), role="initiator")
    owner.connect()
    owner.session.logon(owner.now_ns, fields=((553, b"me"), (554, b"secret")))
    owner.carry_out()
    message = codec.decode(owner.out[0])
    assert (message.get(553), message.get(554)) == (b"me", b"secret")
