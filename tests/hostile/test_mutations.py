"""Whatever bytes a peer sends: nothing is raised, the session rules are kept, nothing wrong is accepted.

Two exchanges get the same bytes, cut differently: one may use the fast door, one may not. Their journals must be the same,
byte for byte, and so must their state; and a third that starts from the journal must come to that state too. `referee.py`
judges the journal without knowing how the exchange works.

FIXSIM_MUTATIONS sets how many messages are damaged in the slow test, FIXSIM_MUTATIONS_SEED where it begins.
"""

import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from random import Random
from typing import Any, Final

import pytest
from exchange.stage import INSTRUMENTS, MORNING_NS, TARGET, MemoryWriter, Stage, small_config
from flows import SESSIONS

from fixsim.config import Config
from fixsim.exchange.digest import state_digest
from fixsim.exchange.payloads import Hello
from fixsim.fix.codec import encode, show
from fixsim.fix.dictionary import fix44
from fixsim.session import State
from fixsim.units import NS_PER_MS, NS_PER_S, format_utc_timestamp
from hostile.referee import Grid, Rules, check_acceptances, check_journal, check_streams, each, rehearse
from hostile.traffic import Traffic, cut, damaged

PLAIN: Final = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
#: Messages damaged in one life of an exchange.
EPISODE: Final = 200 if PLAIN else 2_000
GRIDS: Final = {one.symbol: Grid(one.tick_size, one.lot_size, one.min_qty, one.max_qty) for one in INSTRUMENTS}
#: Settings of the counterparties that runs differ in.
VARIANTS: Final[tuple[dict[str, Any], ...]] = (
    {}, {}, {"reset_on_logon": True}, {"early_messages_max": 3}, {"last_msg_seq_num_processed": True},
    {"strictness": "lenient"}, {"strictness": "off"}, {"reset_on_logon": True, "announce_reset": True},
)  # fmt: skip


def config_for(random: Random) -> Config:
    """A configuration that looks at SendingTime(52), with one of the variants."""
    config = small_config()
    (anybody,) = config.counterparties
    return replace(
        config,
        venue=replace(config.venue, sending_time_tolerance_s=120.0, max_message_size=random.choice((2_048, 65_536))),
        counterparties=(replace(anybody, **random.choice(VARIANTS)),),
    )


class Arena:
    """The two exchanges and their peers."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.config = config_for(self.random)
        self.fast, self.slow = (Stage(self.config, MemoryWriter()) for _ in range(2))
        self.slow.exchange.fast_door = False
        self.stages = (self.fast, self.slow)
        self.traffic = Traffic(self.random)
        self.now_ns = MORNING_NS
        self.links: dict[str, int] = {}
        self.buffers: dict[str, tuple[bytearray, bytearray]] = {}
        #: Messages of a session made in this turn, and not fed yet.
        self.ahead: Counter[str] = Counter()
        self.streams: dict[int, bytes] = {}
        self.sent: list[tuple[str, bytes]] = []
        self.damaged = 0

    # ---- what the peers do

    def turn(self) -> None:
        """One turn of the loop: time goes on, somebody connects or leaves, everybody may say something."""
        random = self.random
        self.sent = []
        self.now_ns += random.choice((NS_PER_MS, NS_PER_MS, 10 * NS_PER_MS, NS_PER_S, 20 * NS_PER_S))
        for name in SESSIONS:
            if name not in self.links:
                self.connect(name)
            elif random.random() < 0.002:
                self.lose(name, "gone")
        self.ahead.clear()
        streams: dict[str, bytes] = {}
        for _ in range(random.randint(1, 6)):
            name, octets = self.message()
            if name in self.links:
                streams[name] = streams.get(name, b"") + octets
        for name, octets in streams.items():
            self.feed(name, octets)
        if random.random() < 0.01:
            self.operate()
        for stage in self.stages:
            stage.exchange.tick(self.now_ns)
            stage.exchange.commit()
        self.compare()
        self.close()

    def message(self) -> tuple[str, bytes]:
        """A message of somebody, damaged more often than not."""
        random = self.random
        name, fields = self.traffic.order()
        if random.random() < 0.3:
            row = self.member(name).row if self.member(name) is not None else None
            numbers = (int(row["next_in"]), int(row["next_out"])) if row is not None else (1, 1)
            fields = self.traffic.session_message(*numbers, self.now_ns)
        frame = self.frame(name, fields)
        self.ahead[name] += random.random() < 0.8
        if random.random() < 0.3:
            return name, frame
        self.damaged += 1
        return name, damaged(frame, random)[0]

    def frame(self, name: str, fields: list[tuple[int, bytes]], number: int | None = None) -> bytes:
        """The next message of `name`; its number is the expected one, as far as can be known before it is fed."""
        (_, msg_type), *rest = fields
        header = [field for field in rest if field[0] in fix44().header.order]
        body = [field for field in rest if field[0] not in fix44().header.order]
        stamp = format_utc_timestamp(self.now_ns, self.random.choice((0, 3, 3, 3, 6)))
        number = self.expected(name) if number is None else number
        head = [(49, name.encode()), (56, TARGET.encode()), (34, b"%d" % number), (52, stamp), *header]
        return encode(msg_type, head, body)

    def expected(self, name: str) -> int:
        """What the exchange expects of `name`; a message later if it is about to get one in this turn."""
        member = self.member(name)
        if member is None:
            return 1
        return int(member.row["next_in"]) + self.ahead[name]

    def member(self, name: str) -> Any:
        return self.fast.exchange.members.find(name.encode())

    # ---- what the gateway does

    def connect(self, name: str) -> None:
        """A connection and its Logon, which is damaged now and then."""
        random = self.random
        verdict = "accepted" if random.random() < 0.97 else "Invalid Username(553) or Password(554)"
        hello = Hello(name, TARGET, "127.0.0.1", verdict)
        links = [stage.exchange.open_link(hello, self.now_ns) for stage in self.stages]
        assert links[0] == links[1]
        self.links[name] = links[0]
        self.streams[links[0]] = b""
        self.buffers[name] = (bytearray(), bytearray())
        more = random.choice(([], [], [(141, b"Y")], [(789, b"%d" % random.randint(1, 9))], [(553, b"me"), (554, b"secret")]))
        beat = random.choice((b"0", b"30", b"30", b"5"))
        logon = self.frame(name, [(35, b"A"), (98, b"0"), (108, beat), *more], 1 if more == [(141, b"Y")] else None)
        if random.random() < 0.1:
            self.damaged += 1
            logon = damaged(logon, random)[0]
        self.feed(name, logon)

    def feed(self, name: str, octets: bytes, pieces: list[bytes] | None = None) -> None:
        """Bytes come; whole for the exchange with one door, in `pieces` for the other."""
        self.sent.append((name, octets))
        self.streams[self.links[name]] += octets
        both = (cut(octets, self.random) if pieces is None else pieces, [octets])
        for stage, buffer, parts in zip(self.stages, self.buffers[name], both, strict=True):
            for piece in parts:
                buffer += piece
                del buffer[: stage.exchange.receive(self.links[name], buffer, self.now_ns)]
        left = [len(buffer) for buffer in self.buffers[name]]
        assert left[0] == left[1], f"{left} bytes wait"
        assert left[0] < self.config.venue.max_message_size, "more is waited for than a message may be long"

    def operate(self) -> None:
        """An operator does something."""
        session = {"session": self.random.choice(SESSIONS)}
        symbol = {"symbol": "AAPL"}
        verb, arguments = self.random.choice(
            (
                ("sessions.disconnect", session),
                ("halt", symbol),
                ("resume", symbol),
                ("sessions.show", {}),
                ("sessions.reset", session),
            )
        )
        answers = [stage.exchange.command(verb, arguments, "test", self.now_ns) for stage in self.stages]
        assert answers[0] == answers[1]

    def close(self) -> None:
        """Close what the exchange wants closed, and now and then somebody who logs out."""
        ends = [stage.exchange.take_closings() for stage in self.stages]
        assert ends[0] == ends[1]
        by_link = {link: name for name, link in self.links.items()}
        for link, reason in ends[0]:
            self.lose(by_link[link], reason)
        for name in list(self.links):
            if self.member(name).session.state is State.DISCONNECTED:
                self.lose(name, "over")
        for stage in self.stages:
            stage.exchange.commit()
        self.compare()

    def lose(self, name: str, reason: str) -> None:
        link = self.links.pop(name)
        for stage in self.stages:
            stage.exchange.lose_link(link, reason, self.now_ns)

    # ---- what must hold

    def compare(self) -> None:
        """Both journals got the same bytes."""
        fresh = [stage.writer.batches[stage.read :] for stage in self.stages]
        if [batch[1] for batch in fresh[0]] != [batch[1] for batch in fresh[1]]:
            sent = "\n".join(f"> {name} {show(frame)}" for name, frame in self.sent)
            told = ["\n".join(f"{one.kind} {one.seq} {show(bytes(one.payload))}" for one in each(batches)) for batches in fresh]
            pytest.fail(f"{sent}\n-- fast:\n{told[0]}\n-- slow:\n{told[1]}", pytrace=False)
        for stage in self.stages:
            stage.read = len(stage.writer.batches)

    def settle(self) -> dict[str, int]:
        """The end of an episode: the journal is judged, and carried out again by a third exchange."""
        batches = self.fast.writer.batches
        digest = state_digest(self.fast.exchange)
        assert digest == state_digest(self.slow.exchange)
        rules = Rules()
        again = rehearse(batches, rules, fast_door=self.random.random() < 0.5)
        assert digest == state_digest(again), "recovery came to another state"
        check_journal(batches)
        check_streams(batches, self.streams)
        strict = self.config.counterparties[0].strictness == "strict"
        accepted = check_acceptances(batches, GRIDS) if strict else 0
        return {"damaged": self.damaged, "records": rules.checked, "accepted": accepted}


def episode(seed: int) -> dict[str, int]:
    """One life of an exchange among damaged messages."""
    arena = Arena(seed)
    try:
        while arena.damaged < EPISODE:
            arena.turn()
        return arena.settle()
    except BaseException as failure:
        failure.add_note(f"seed {seed}, {arena.damaged} messages damaged; last sent: {arena.sent!r}")
        raise


def summed(results: Iterable[dict[str, int]]) -> dict[str, int]:
    total = {"damaged": 0, "records": 0, "accepted": 0}
    for result in results:
        for key, value in result.items():
            total[key] += value
    return total


@pytest.mark.parametrize("seed", range(1 if PLAIN else 6))
def test_damaged_messages_break_nothing(seed: int) -> None:
    result = episode(seed)
    assert result["records"] > EPISODE / 2, "most bytes must come as far as the session"


@pytest.mark.parametrize("seed", range(1 if PLAIN else 3))
def test_a_message_may_be_cut_at_every_byte(seed: int) -> None:
    """A message, good or damaged, and a good one behind it: two pieces, cut one byte further each time."""
    arena = Arena(seed)
    for place in range(60 if PLAIN else 400):
        arena.now_ns += NS_PER_MS
        arena.sent = []
        for name in SESSIONS:
            if name not in arena.links:
                arena.connect(name)
        arena.ahead.clear()
        name, octets = arena.message()
        _, fields = arena.traffic.order()
        octets += arena.frame(name, fields)
        if arena.member(name).session.state is not State.DISCONNECTED:
            arena.feed(name, octets, [octets[: place % len(octets)], octets[place % len(octets) :]])
        for stage in arena.stages:
            stage.exchange.commit()
        arena.compare()
        arena.close()
    arena.settle()


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_million_damaged_messages_break_nothing() -> None:
    wanted = int(os.environ.get("FIXSIM_MUTATIONS", "100000"))
    begin = int(os.environ.get("FIXSIM_MUTATIONS_SEED", "1000"))
    seeds = range(begin, begin + (wanted + EPISODE - 1) // EPISODE)
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1), get_context("spawn")) as pool:
        result = summed(pool.map(episode, seeds))
    print(result)
    assert result["damaged"] >= wanted
    assert result["accepted"] > 0
