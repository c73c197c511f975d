"""Two Sessions talk to each other over a line that is cut anywhere, also in the middle of a frame.

What holds: nothing is taken twice or out of order, and once the line stays up both sides have everything.
"""

from typing import Any

from conversations.core import Owner
from hypothesis import given, settings
from hypothesis import strategies as st

from fixsim.session import SessionProfile, State
from fixsim.units import NS_PER_S

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("venue says"), st.integers(1, 3)),
        st.tuples(st.just("client says"), st.integers(1, 3)),
        st.tuples(st.just("to venue"), st.integers(1, 400)),
        st.tuples(st.just("to client"), st.integers(1, 400)),
        st.tuples(st.just("time"), st.sampled_from([1, 5, 31, 40])),
        st.tuples(st.sampled_from(["cut", "connect", "venue leaves", "client leaves"]), st.just(0)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=30,
)
RESTARTS = st.lists(st.one_of(ACTIONS.map(lambda actions: actions[:1]), st.just([("restart", 0)])), max_size=20).map(
    lambda lists: [action for one in lists for action in one]
)


class Line:
    """A venue, a client, and the bytes on their way between them."""

    def __init__(self, **settings: Any) -> None:
        venue = SessionProfile(b"FIXSIM", b"PEER", "off", **settings)
        client = SessionProfile(b"PEER", b"FIXSIM", "off", **settings)
        self.venue = Owner(venue, answers=False)
        self.client = Owner(client, role="initiator", answers=False)
        self.wires = {"to venue": bytearray(), "to client": bytearray()}
        self.said: dict[str, list[bytes]] = {"venue": [], "client": []}

    def gather(self) -> None:
        """What was said goes onto the wire, or nowhere without one."""
        for owner, way in ((self.venue, "to client"), (self.client, "to venue")):
            if self.is_up or not owner.closed:
                self.wires[way] += b"".join(owner.out)
            owner.out.clear()

    @property
    def is_up(self) -> bool:
        return not self.venue.closed or not self.client.closed

    def move(self, way: str, count: int) -> None:
        """Some bytes arrive; a side that has closed is noticed by the other when everything is there."""
        near, far = (self.client, self.venue) if way == "to venue" else (self.venue, self.client)
        octets, self.wires[way] = self.wires[way][:count], self.wires[way][count:]
        if octets and not far.closed:
            far.feed(bytes(octets))
        self.gather()
        if near.closed and not self.wires[way] and not far.closed:
            far.lose()
            self.gather()

    def connect(self, reset: bool = False) -> None:
        if self.is_up:
            return
        self.forget()
        self.venue.connect()
        self.client.connect()
        self.client.session.logon(self.client.now_ns, reset=reset)
        self.client.carry_out()
        self.gather()

    def cut(self) -> None:
        for owner in (self.venue, self.client):
            if not owner.closed:
                owner.lose()
        self.forget()

    def forget(self) -> None:
        self.gather()
        for wire in self.wires.values():
            wire.clear()

    def settle(self) -> None:
        """Everything on its way arrives, and what it causes."""
        for _ in range(1_000):
            if not any(self.wires.values()):
                return
            for way in self.wires:
                self.move(way, len(self.wires[way]))
        raise AssertionError("the two sides never come to rest")

    def say(self, who: str, count: int) -> None:
        """An application message; while nobody is logged on it is only stored, as a report for an absent client is."""
        owner = self.venue if who == "venue" else self.client
        for _ in range(count):
            cl_ord_id = b"%d" % len(self.said[who])
            self.said[who].append(cl_ord_id)
            owner.send(b"8" if who == "venue" else b"D", ((11, cl_ord_id),))
            if owner.session.state not in (State.ACTIVE, State.AWAITING_RESEND):
                owner.out.pop()
        self.gather()

    def act(self, verb: str, count: int) -> None:
        match verb:
            case "venue says" | "client says":
                self.say(verb.split()[0], count)
            case "to venue" | "to client":
                self.move(verb, count)
            case "time":
                for owner in (self.venue, self.client):
                    owner.tick_until(owner.now_ns + count * NS_PER_S)
                self.gather()
            case "cut":
                self.cut()
            case "connect":
                self.connect()
            case "venue leaves" | "client leaves":
                owner = self.venue if verb == "venue leaves" else self.client
                owner.session.logout(None, owner.now_ns)
                owner.carry_out()
                self.gather()
            case "settle":
                self.settle()
            case "restart":
                if self.client.session.state in (State.ACTIVE, State.AWAITING_RESEND):
                    self.client.session.logon(self.client.now_ns, reset=True)
                    self.client.carry_out()
                    self.gather()
                else:
                    self.connect(reset=True)

    def bring_together(self) -> None:
        """The line comes up and stays up."""
        self.cut()
        self.connect()
        self.settle()

    def taken(self, who: str) -> list[int]:
        """Numbers of the messages of `who` that the other side took, in the order it took them."""
        owner = self.client if who == "venue" else self.venue
        return [int(message.get(11, b"")) for message in owner.delivered]

    def assert_in_step(self) -> None:
        for near, far in ((self.venue, self.client), (self.client, self.venue)):
            assert near.session.state is State.ACTIVE
            assert near.counters.next_in == far.counters.next_out
        for who in self.said:
            taken = self.taken(who)
            assert taken == sorted(set(taken)), f"{who}: taken twice or out of order"


@settings(max_examples=100, deadline=None)
@given(ACTIONS, st.sampled_from([{}, {"next_expected_msg_seq_num": True}, {"resend_chunk": 2}, {"early_messages_max": 2}]))
def test_both_sides_get_everything_once_and_in_order(actions: list[tuple[str, int]], profile: dict[str, Any]) -> None:
    line = Line(**profile)
    for verb, count in [("connect", 0), ("settle", 0), *actions]:
        line.act(verb, count)
    line.bring_together()
    line.say("venue", 1)
    line.say("client", 1)
    line.settle()
    line.assert_in_step()
    for who, said in line.said.items():
        assert line.taken(who) == list(range(len(said)))


@settings(max_examples=100, deadline=None)
@given(RESTARTS)
def test_both_sides_come_together_again_whatever_was_restarted(actions: list[tuple[str, int]]) -> None:
    line = Line()
    for verb, count in [("connect", 0), ("settle", 0), *actions]:
        line.act(verb, count)
    line.bring_together()
    before = {who: len(said) for who, said in line.said.items()}
    line.say("venue", 2)
    line.say("client", 2)
    line.settle()
    line.assert_in_step()
    for who, count in before.items():
        assert line.taken(who)[-2:] == [count, count + 1]
