"""Two front doors, one meaning: whichever door a frame takes, journal and state come out the same, byte for byte.

Three exchanges get the same turns. One takes frames as they come, many at once, so that the fast door carries out what
it can; one has no fast door; one is fed a byte at a time. Frames are good, wrong in a known way, or mutated at random.
"""

import os
import re
from collections.abc import Iterable, Sequence
from random import Random

import pytest
from flows import SESSIONS, Composer, Step, seeded_flow, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.stage import DAY_NS, NASTY, Field, Stage, small_config
from fixsim.config import Config
from fixsim.engine.machine import STATE_TABLES
from fixsim.exchange.digest import state_digest
from fixsim.fix.codec import seal, show
from fixsim.journal.record import records
from fixsim.layout import Kind
from fixsim.session import State

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
TAGS = (b"11", b"41", b"38", b"44", b"54", b"55", b"59", b"40", b"60", b"52", b"34", b"49", b"56", b"1", b"21", b"43", b"97",
        b"122", b"18", b"110", b"50", b"115", b"58", b"5001", b"0", b"-1", b"011", b"35", b"10", b"9", b"8")  # fmt: skip

Turn = list[tuple[str, list[Field]]]


class Doors:
    """The three exchanges; `turn` gives all of them the same frames at the same time."""

    def __init__(self, config: Config | None = None) -> None:
        config = config or small_config()
        self.fast, self.slow, self.cut = (Stage(config) for _ in range(3))
        self.slow.exchange.fast_door = False
        self.stages = (self.fast, self.slow, self.cut)
        for stage in self.stages:
            stage.log_on(*SESSIONS)

    def turn(self, said: Iterable[tuple[str, bytes]]) -> None:
        """One turn of the loop: whole frames of sessions, in the order they came."""
        streams: dict[str, list[bytes]] = {}
        for name, frame in said:
            streams.setdefault(name, []).append(frame)
        for stage in self.stages:
            stage.now_ns += 1_000_000
        for name, frames in streams.items():
            _feed(self.fast, name, [b"".join(frames)])
            _feed(self.slow, name, frames)
            _feed(self.cut, name, [b"".join(frames)[at : at + 1] for at in range(sum(map(len, frames)))])
        for stage in self.stages:
            stage.exchange.commit()
        self.compare(said)
        for stage in self.stages:
            _revive(stage)

    def compare(self, said: Iterable[tuple[str, bytes]]) -> None:
        """The same journal and the same state everywhere."""
        mine = self.fast.writer.batches[self.fast.read :]
        for other in (self.slow, self.cut):
            theirs = other.writer.batches[other.read :]
            same = [view == also for (_, view), (_, also) in zip(mine, theirs, strict=False)]
            if len(mine) != len(theirs) or not all(same) or state_digest(self.fast.exchange) != state_digest(other.exchange):
                which = "slow door" if other is self.slow else "byte by byte"
                which += f", different tables: {_different(self.fast, other)}"
                sent = "\n".join(f"> {name} {show(frame)}" for name, frame in said)
                pytest.fail(f"{which}\n{sent}\n-- fast:\n{_told(mine)}\n-- {which}:\n{_told(theirs)}", pytrace=False)
        for stage in self.stages:
            stage.read = len(stage.writer.batches)

    def frame(self, name: str, fields: Sequence[Field]) -> bytes:
        """The next frame of `name`, with the number the exchange expects."""
        return self.fast.frame(name, fields)

    def expect(self) -> None:
        """Number the next frames as the exchange expects them."""
        for name in SESSIONS:
            member = self.fast.exchange.members.find(name.encode())
            assert member is not None
            self.fast.numbers[name] = int(member.row["next_in"]) - 1


def _different(one: Stage, other: Stage) -> list[str]:
    """Names of the state tables that are not the same."""
    tables = zip(one.exchange.machine.tables().items(), other.exchange.machine.tables().values(), strict=True)
    return [name for (name, mine), theirs in tables if name in STATE_TABLES and mine.tobytes() != theirs.tobytes()]


def _feed(stage: Stage, name: str, pieces: Iterable[bytes]) -> None:
    """Bytes come in pieces; what is not used yet stays in the buffer, and the last of it is dropped at the end of the turn."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        del buffer[: stage.exchange.receive(stage.links[name], buffer, stage.now_ns)]


def _revive(stage: Stage) -> None:
    """Whoever was logged out connects again, as the gateway would."""
    for link, reason in stage.exchange.take_closings():
        stage.exchange.lose_link(link, reason, stage.now_ns)
    for name in SESSIONS:
        member = stage.exchange.members.find(name.encode())
        assert member is not None
        if member.session.state in (State.ACTIVE, State.AWAITING_RESEND):
            continue
        if member.link:
            stage.exchange.lose_link(member.link, "over", stage.now_ns)
        stage.numbers[name] = int(member.row["next_in"]) - 1
        stage.connect(name)
    stage.exchange.commit()
    stage.read = len(stage.writer.batches)


def _told(batches: Iterable[tuple[int, memoryview]]) -> str:
    names = {Kind.IN: ">", Kind.OUT: "<", Kind.GARBLED: "garbled"}
    return "\n".join(
        f"{names.get(record.kind, record.kind)} {record.seq} {show(bytes(record.payload))}"
        for _, view in batches
        for record in records(view)
    )


def mutated(frame: bytes, random: Random) -> bytes:
    """The frame with a few changes; most keep length and checksum right, so that the change itself is judged."""
    parts = frame.split(b"\x01")[2:-2]
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(parts))
        tag, _, value = parts[at].partition(b"=")
        what = random.randrange(8)
        if what == 0:
            parts[at] = tag + b"=" + random.choice(NASTY)
        elif what == 1 and len(parts) > 4:
            del parts[at]
        elif what == 2:
            parts.insert(random.randrange(1, len(parts) + 1), parts[at])
        elif what == 3:
            other = random.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif what == 4:
            parts.insert(random.randrange(1, len(parts) + 1), random.choice(TAGS) + b"=" + random.choice((value, *NASTY)))
        elif what == 5:
            spot = random.randrange(len(parts[at]) + 1)
            parts[at] = parts[at][:spot] + bytes([random.randrange(2, 256)]) + parts[at][spot + random.randrange(2) :]
        elif what == 6:
            parts[at] = random.choice(TAGS) + b"=" + value
        else:
            parts[at] = tag + b"=" + value + random.choice((b"0", b".0", b" ", b"x", b"."))
    sealed = seal(b"8=FIX.4.4\x01" + b"".join(part + b"\x01" for part in parts))
    if random.random() < 0.1:
        spot = random.randrange(len(sealed))
        sealed = sealed[:spot] + bytes([random.randrange(256)]) + sealed[spot + random.randrange(2) :]
    return sealed


@given(st.lists(st.lists(steps(), min_size=1, max_size=12), max_size=6))
@settings(max_examples=15 if PLAIN else 100)
def test_good_and_wrong_messages_come_out_the_same(turns: list[list[Step]]) -> None:
    doors, composer = Doors(), Composer()
    for turn in turns:
        doors.turn([(name, doors.frame(name, fields)) for name, fields in map(composer.message, turn)])


@pytest.mark.parametrize("strictness", ["strict", "lenient", "off"])
@pytest.mark.parametrize("seed", range(1 if PLAIN else 3))
def test_mutated_messages_come_out_the_same(seed: int, strictness: str) -> None:
    doors, random = Doors(small_config(strictness)), Random(seed)
    flow = list(seeded_flow(seed + 100, 150 if PLAIN else 1_500, flawed=0.05))
    while flow:
        doors.expect()
        turn = []
        for name, fields in [flow.pop(0) for _ in range(min(len(flow), random.randint(1, 3)))]:
            frame = doors.frame(name, fields)
            turn.append((name, mutated(frame, random) if random.random() < 0.7 else frame))
        doors.turn(turn)


def test_most_of_a_plain_flow_takes_the_fast_door() -> None:
    """Otherwise the tests here would compare the slow door with itself."""
    stage = Stage()
    stage.log_on("ALPHA")
    taken = []
    slowly = stage.exchange._take_slowly
    stage.exchange._take_slowly = lambda *frame: (taken.append(frame), slowly(*frame))  # type: ignore[method-assign]
    flow = [fields for _, fields in seeded_flow(5, 400, flawed=0.0, sessions=("ALPHA",))]
    for fields in flow:
        stage.feed("ALPHA", stage.frame("ALPHA", fields))
    assert len(taken) < 0.6 * len(flow)


def test_a_session_with_many_accounts_takes_the_fast_door_once_they_were_met() -> None:
    """And what comes of it is what the slow door makes of it, also where two accounts look for the same place."""
    doors, taken = Doors(), []
    slowly = doors.fast.exchange._take_slowly
    doors.fast.exchange._take_slowly = lambda *frame: (taken.append(frame), slowly(*frame))  # type: ignore[method-assign]
    terms = [(55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), (38, b"3"), (40, b"2"), (44, b"10.00")]
    accounts = [b"A%d" % number for number in range(7)]
    for turn in range(4):
        said: list[list[Field]] = [
            [(35, b"D"), (11, b"%d-%d" % (turn, number)), (1, accounts[number % 7]), *terms] for number in range(21)
        ]
        before = len(taken)
        doors.turn([("ALPHA", doors.frame("ALPHA", fields)) for fields in said])
        assert len(taken) - before == (7 if turn == 0 else 0)
    for stage in doors.stages:
        stage.exchange.machine.echo_places[:] = stage.exchange.machine.echo_places[::-1].copy()
    lost = [[(35, b"D"), (11, b"x" + account), (1, account), *terms] for account in accounts]
    doors.turn([("ALPHA", doors.frame("ALPHA", fields)) for fields in lost])


def test_frames_that_come_together_know_of_each_other() -> None:
    """Several are understood before the first is carried out: what that one changes must hold for the next all the same."""
    doors = Doors()
    terms = [(55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), (38, b"3"), (40, b"2"), (44, b"10.00")]
    sell = [(tag, {54: b"2", 38: b"50"}.get(tag, value)) for tag, value in terms]
    said: list[list[Field]] = []
    for number in range(20):
        name = b"a%d" % number
        said.append([(35, b"D"), (11, name), *terms])
        if number % 4 == 0:
            said.append([(35, b"F"), (41, name), (11, b"x" + name), *terms[:3]])  # an order entered just before
            said.append([(35, b"F"), (41, name), (11, b"y" + name), *terms[:3]])  # and gone by now
        if number % 4 == 1:
            said.append([(35, b"G"), (41, name), (11, b"b" + name), *terms])
            said.append([(35, b"F"), (41, b"b" + name), (11, b"x" + name), *terms[:3]])  # by an id that is as new
        if number % 4 == 2:
            said.append([(35, b"D"), (11, name), *terms])  # an id that is not new any more
    said.append([(35, b"D"), (11, b"all"), *sell])
    said.append([(35, b"F"), (41, b"a3"), (11, b"late"), *terms[:3]])
    doors.turn([("ALPHA", doors.frame("ALPHA", fields)) for fields in said])
    bids, asks = doors.fast.books()["AAPL"]
    assert bids == [] and [order[3] for _, queue in asks for order in queue] == [50 - 10 * 3], "half of them were still there"


def test_the_turn_of_the_day_comes_out_the_same() -> None:
    doors = Doors()
    for day in range(3):
        flow = seeded_flow(day, 60 if PLAIN else 300, flawed=0.0)
        doors.turn([(name, redated(doors.frame(name, fields), day)) for name, fields in flow])
        for stage in doors.stages:
            stage.now_ns += DAY_NS
            stage.exchange.tick(stage.now_ns)
            stage.exchange.commit()
        doors.compare([])


def redated(frame: bytes, day: int) -> bytes:
    """The frame with every timestamp moved to a later day."""
    moved = re.sub(rb"=20240102-", b"=202401%02d-" % (2 + day), frame)
    parts = moved.split(b"\x01")
    return seal(b"\x01".join([parts[0], *parts[2:-2]]) + b"\x01")
