"""Days on which everything happens at once, and the ways a journal can be carried out again."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from exchange.stage import DAY_NS, Said, small_config
from flows import SESSIONS, Message, seeded_flow

from fixsim.exchange import recovery, walker
from fixsim.exchange.course import THE_END, Until
from fixsim.exchange.digest import state_digest
from fixsim.exchange.replay import Replay
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind
from fixsim.session import State
from replay.recording import Recording

#: Whole batches by kernels; batch by batch, kernels as far as they go; plain Python at the slow door.
WALKS = ("whole", "batches", "slow")


class Walked(Replay):
    """A replay that goes one way, and counts the orders that plain Python took."""

    def __init__(self, data_dir: Path, walk: str, patch: pytest.MonkeyPatch, until: Until = THE_END) -> None:
        super().__init__(Reader(journal_directory(data_dir)), fix44(), until)
        self.exchange.fast_door = walk != "slow"
        patch.setattr(walker, "IS_COMPILED", walk == "whole")
        self.plain_orders = 0
        carry_out = recovery.carry_out

        def counted(exchange: Any, kind: int, time_ns: int, link: int, payload: bytes) -> None:
            self.plain_orders += kind == Kind.IN and payload[payload.index(b"\x0135=") + 4] in b"DFG"
            carry_out(exchange, kind, time_ns, link, payload)

        patch.setattr(recovery, "carry_out", counted)

    def outcome(self) -> tuple[Any, ...]:
        """What must be the same whichever way was taken."""
        self.run()
        return self.records, self.inbound, self.position, self.time_ns, self.digest().digest


class Restless(Recording):
    """Sessions that come and go, lose messages and ask for others while orders are entered."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.random = Random(seed)
        super().__init__(data_dir, small_config())

    def live(self, flow: list[Message]) -> str:
        """All of `flow`, and everything else that may happen; the state digest at the end."""
        self.log_on(*SESSIONS[:2])
        self.log_on(SESSIONS[2], heartbeat_s=30)
        happenings = (self._lose, self._gap, self._resend, self._garble, self._halt, self._be_silent, self._say_again)
        while flow:
            for _ in range(min(len(flow), self.random.choice((1, 1, 2, 5, 30)))):
                name, fields = flow.pop(0)
                self.feed(name, self.frame(name, fields))
                if self.random.random() < 0.3:  # another turn of the clock, the same batch
                    self.now_ns += self.random.choice((1, 1_000, 1_000_000, 1_000_000_000))
            self._revive()
            if self.random.random() < 0.15:
                self.random.choice(happenings)(self.random.choice(SESSIONS))
                self._revive()
        return state_digest(self.exchange)

    def drain(self) -> list[Said]:
        """Seal. What was said is judged elsewhere: numbers restart here all the time."""
        self.exchange.commit()
        self.read = len(self.writer.batches)
        return []

    def _revive(self) -> None:
        """Seal, and let those who were logged out come back."""
        self.drain()
        for link, reason in self.exchange.take_closings():
            self.exchange.lose_link(link, reason, self.now_ns)
        for name in SESSIONS:
            member = self.exchange.members.find(name.encode())
            assert member is not None
            if member.session.state in (State.DISCONNECTED, State.LOGOUT_SENT):
                self._lose(name)
            self.numbers[name] = int(member.row["next_in"]) - 1

    def _lose(self, name: str) -> None:
        member = self.exchange.members.find(name.encode())
        assert member is not None
        self.exchange.lose_link(self.links[name], "test", self.now_ns)
        self.numbers[name] = int(member.row["next_in"]) - 1
        self.connect(name, 30 if name == SESSIONS[2] else 0)

    def _gap(self, name: str) -> None:
        """Two messages change places, and orders of others come in between."""
        first, second = (self.frame(name, [(35, b"0")]) for _ in range(2))
        self.feed(name, second)
        if self.random.random() < 0.5:
            self.exchange.commit()
        self.feed(name, first)

    def _resend(self, name: str) -> None:
        self.feed(name, self.frame(name, [(35, b"2"), (7, b"1"), (16, b"0")]))

    def _garble(self, name: str) -> None:
        self.exchange.receive(self.links[name], bytearray(b"8=FIX.4.4\x019=5\x0135=0\x0110=000\x01"), self.now_ns)

    def _halt(self, name: str) -> None:
        for verb in ("halt", "resume"):
            self.exchange.command(verb, {"symbol": "AAPL"}, "test", self.now_ns)

    def _be_silent(self, name: str) -> None:
        self.now_ns += 40_000_000_000
        self.exchange.tick(self.now_ns)

    def _say_again(self, name: str) -> None:
        """A Logon with 141=Y in mid-session: both sides restart."""
        self.numbers[name] = 0
        self.feed(name, self.frame(name, [(35, b"A"), (98, b"0"), (108, b"0"), (141, b"Y")]))


def restless_day(data_dir: Path, seed: int, count: int) -> str:
    """A day, a restart in the middle, and the first orders of the next; the state digest at the end."""
    flow = list(seeded_flow(seed, count, flawed=0.05))
    morning = Restless(data_dir, seed)
    morning.live(flow[: count // 2])
    numbers = dict(morning.numbers)
    morning.close()
    evening = Restless(data_dir, seed + 1)
    evening.now_ns = max(evening.exchange.tape.now_ns, morning.now_ns) + 1
    evening.numbers.update(numbers)
    evening.live(flow[count // 2 : -10])
    evening.tick(evening.now_ns + DAY_NS)
    evening.play(flow[-10:])
    digest = state_digest(evening.exchange)
    evening.close()
    return digest
