"""A counterparty: fixsim's own initiator on a simulated wire, which trades at random, loses its connection, and misbehaves.

What it took is its ledger: application messages by number, each once, in order. Its store lasts, as that of a good client
does: a message is kept before it is sent, and counted when it was dealt with.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from flows import FLAWS as ORDER_FLAWS
from flows import QUESTIONS, STATUS_FLAWS, TRADED, Composer, Step

from fixsim.client.core import Core, Echoed, Identity, Received
from fixsim.client.store import MemoryStore
from fixsim.fix import tags
from fixsim.fix.codec import encode
from fixsim.fix.message import Message
from fixsim.layout import NEVER
from fixsim.session.events import Disconnect, LoggedOn
from fixsim.units import format_utc_timestamp
from simulation.network import MS, ROOM_BYTES, Agenda, Pipe

SECOND = 1_000_000_000
VERBS = ("D", "D", "D", "D", "D", "F", "G", "G", "H", "x", "V", "R")
#: What is wrong with a message, now and then.
FAULTS = (
    "garbled", "cut short", "wrong sum", "too low", "skipped", "swapped", "twice", "asks again", "asks nonsense", "resets up",
    "resets down", "logs on again", "wrong target", "stale", "no type", "foreign version", "hangs up", "logs out", "test",
)  # fmt: skip


class Restarted:
    """Among the news: both sides' numbers begin anew."""


class Store(MemoryStore):
    """Tells in its place among the news that a run has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[Any] = []

    def restart(self) -> None:
        super().restart()
        self.news.append(Restarted())


class Wire:
    """The client's end of a connection."""

    def __init__(self, out: Pipe, back: Pipe) -> None:
        self.out, self.back = out, back
        #: The client does not read for a while.
        self.deaf = False

    def take(self) -> bytes:
        """What has arrived."""
        if self.deaf:
            return b""
        octets = bytes(self.back.here)
        self.back.here.clear()
        return octets

    @property
    def over(self) -> bool:
        """Has the exchange ended it, or was it cut?"""
        return self.back.over and not self.back.here


class Trader:
    """One counterparty. `dial` gives a new wire, None when nobody answers."""

    def __init__(self, name: str, composer: Composer, agenda: Agenda, chance: Random, dial: Callable[["Trader"], Wire | None]):
        self.name, self._composer, self._agenda, self._chance, self._dial = name, composer, agenda, chance, dial
        self.store = Store()
        heartbeat_s = chance.choice((0, 1, 5, 30))
        self.core = Core(Identity(name.encode(), b"FIXSIM", heartbeat_s=heartbeat_s), self.store)
        self.store.news = self.core._news
        self.wire: Wire | None = None
        #: What was taken in this run: number, message.
        self.taken: list[tuple[int, Message]] = []
        #: Whether it still may do what a good client does not.
        self.naughty = chance.random() < 0.7
        self.calm = False
        self.logged_on = False
        self.echoed: set[bytes] = set()
        #: A run was begun that the exchange has not confirmed.
        self._resets = False
        self.logons = self.refused = self._calls = 0
        #: Messages it may still think of: what is said again and again makes a world long enough.
        self._budget = 150
        self._wake_ns = NEVER
        self._pause_ns = chance.choice((2, 20, 100, 400)) * MS

    # ------------------------------------------------------------ being woken

    def start(self) -> None:
        """Begin, some time."""
        self._sleep(self._chance.randint(0, SECOND // 2))

    def _sleep(self, wait_ns: int) -> None:
        """Wake up later, unless something wakes us before."""
        due_ns = self._agenda.now_ns + wait_ns
        self._wake_ns = due_ns

        def wake() -> None:
            if self._wake_ns == due_ns:
                self._wake_ns = NEVER
                self.act()

        self._agenda.at(due_ns, wake)

    def arrived(self) -> None:
        """Something has come over the wire, or it has ended."""
        if self.wire is not None:
            self._listen()

    def act(self) -> None:
        """Our own time has come."""
        now_ns = self._agenda.now_ns
        if self.wire is None:
            self._connect()
        elif now_ns >= self.core.next_deadline_ns():
            self.core.tick(now_ns)
            self._settle()
        elif self.logged_on and self.calm:
            # without heartbeats nobody would notice that the last message was lost
            self.core.ping(b"CALM", now_ns)
            self._settle()
        elif self.logged_on and self.wire.out.room > ROOM_BYTES // 2 and self._budget > 0:
            self._do_something()
        if self.wire is None:
            self._sleep(self._chance.randint(10 * MS, SECOND))
            return
        wait_ns = self._chance.randint(0, 2 * self._pause_ns)
        if self.calm:
            self._calls += 1
            wait_ns = SECOND << min(self._calls, 4)
        self._sleep(max(0, min(wait_ns, self.core.next_deadline_ns() - now_ns)))

    def _connect(self) -> None:
        self.wire = self._dial(self)
        if self.wire is None:
            return
        self.logged_on = False
        self.core.connected(self._agenda.now_ns, reset=self._resets)
        self._settle()

    def _listen(self) -> None:
        assert self.wire is not None
        octets = self.wire.take()
        if octets:
            self.core.receive(octets, self._agenda.now_ns)
            self._settle()
        if self.wire is not None and self.wire.over:
            self.hang_up()

    def hang_up(self) -> None:
        """The connection is over."""
        if self.wire is None:
            return
        self.wire.out.end()
        self.wire.back.cut = True
        self.wire = None
        self.core.receive_eof(self._agenda.now_ns)
        if not self.logged_on:
            self.refused += 1
        self.logged_on = False
        self._learn()

    def _settle(self) -> None:
        """Say what the conversation wants said, and deal with the news."""
        self._speak()
        self._learn()

    def _speak(self) -> None:
        octets = self.core.take_bytes()
        if octets and self.wire is not None:
            self.wire.out.put(octets)

    def _learn(self) -> None:
        news = self.core.take_news()
        self.store.news = self.core._news
        for item in news:
            match item:
                case Restarted():
                    self.taken.clear()
                case Received():
                    self._take(item.message)
                case Echoed():
                    self.echoed.add(item.text)
                case LoggedOn():
                    self.logged_on = True
                    self.logons += 1
                    self._resets = False
                case Disconnect():
                    self.hang_up()
                case _:
                    pass
        self.core.settle()

    def _take(self, message: Message) -> None:
        self.taken.append((message.get_int(tags.MSG_SEQ_NUM) or 0, message))

    # ------------------------------------------------------------ doing things

    def _do_something(self) -> None:
        for _ in range(self._chance.choice((1, 1, 1, 2, 5))):
            if self.wire is None:
                return
            if self.naughty and self._chance.random() < 0.12:
                self._misbehave(self._chance.choice(FAULTS))
            else:
                self._trade()
            self._speak()

    def _trade(self) -> None:
        self._budget -= 1
        self._say(self._message())
        self._learn()

    def _message(self) -> list[tuple[int, bytes]]:
        chance, composer = self._chance, self._composer
        verb = chance.choice(VERBS)
        flaws = STATUS_FLAWS if verb in QUESTIONS or verb == "H" else ORDER_FLAWS
        step = Step(
            verb=verb,
            session=composer.sessions.index(self.name),
            instrument=chance.choice((0, 0, 0, 1, 2, 3)) % len(TRADED),
            buy=chance.random() < 0.5,
            offset=chance.randint(-2, 3),
            lots=chance.choice((2, 3, 5, 8, 9, 30)),
            time_in_force=chance.choice(("", "0", "1", "1", "3", "4")),
            market=chance.random() < 0.08,
            target=int(8 * chance.random() ** 2),
            routed=chance.random() < 0.1,
            flaw=chance.choice(flaws) if chance.random() < 0.1 else "",
        )
        return composer.message(step)[1]

    def _say(self, fields: list[tuple[int, bytes]]) -> None:
        self.core.say(fields[0][1], fields[1:], self._agenda.now_ns)

    def _raw(
        self, msg_type: bytes, seq: int, body: list[tuple[int, bytes]], target: bytes = b"FIXSIM", age_ns: int = 0
    ) -> bytes:
        """A frame past our own session layer."""
        stamp = format_utc_timestamp(self._agenda.now_ns - age_ns, 3)
        header = [(49, self.name.encode()), (56, target), (34, b"%d" % seq), (52, stamp)]
        return encode(msg_type, header, body)

    def _misbehave(self, fault: str) -> None:
        """Do what a good client does not do. What breaks the conversation is answered as FIX says, and we begin anew."""
        assert self.wire is not None
        out, store, chance = self.wire.out, self.store, self._chance
        good = self._raw(b"0", store.next_out, [])
        if fault == "garbled":
            out.put(bytes(chance.randrange(256) for _ in range(chance.randint(1, 60))))
        elif fault == "cut short":
            out.put(good[: chance.randint(1, len(good) - 1)])
        elif fault == "wrong sum":
            out.put(good[:-4] + b"%03d\x01" % ((int(good[-4:-1]) + 1) % 256))
        elif fault == "too low":
            out.put(self._raw(b"0", max(1, store.next_out - chance.randint(1, 3)), []))
        elif fault == "skipped":
            store.next_out += chance.randint(1, 3)
        elif fault == "swapped":
            self._swap()
        elif fault == "twice":
            self._trade()
            out.put(2 * self.core.take_bytes())
        elif fault == "hangs up":
            self.hang_up()
        elif fault == "logs out":
            self.core.logout(self._agenda.now_ns)
        elif fault == "test":
            self.core.ping(b"T%d" % store.next_out, self._agenda.now_ns)
        else:
            out.put(self._wrong(fault))

    def _wrong(self, fault: str) -> bytes:
        """One frame that is well made and out of place."""
        store, chance = self.store, self._chance
        seq = store.next_out
        if fault == "asks again":
            begin = chance.randint(1, max(1, store.next_in - 1))
            frame = self._raw(b"2", seq, [(7, b"%d" % begin), (16, b"%d" % chance.choice((0, begin, begin + 3)))])
        elif fault == "asks nonsense":
            frame = self._raw(b"2", seq, [(7, b"%d" % (store.next_in + 1_000)), (16, b"0")])
        elif fault == "resets up":
            store.next_out += chance.randint(1, 5)
            return self._raw(b"4", seq, [(123, b"N"), (36, b"%d" % store.next_out)])
        elif fault == "resets down":
            return self._raw(b"4", seq, [(123, b"N"), (36, b"%d" % max(1, seq - chance.randint(1, 5)))])
        elif fault == "logs on again":
            frame = self._raw(b"A", seq, [(98, b"0"), (108, b"%d" % self.core.identity.heartbeat_s)])
        elif fault == "wrong target":
            frame = self._raw(b"0", seq, [], target=b"ELSEWHERE")
        elif fault == "stale":
            frame = self._raw(b"0", seq, [], age_ns=1_000 * SECOND)
        elif fault == "no type":
            frame = self._raw(b"ZZ", seq, [(58, b"what is this")])
        else:
            frame = self._raw(b"0", seq, []).replace(b"FIX.4.4", b"FIX.4.2")
        store.next_out = seq + 1
        return frame

    def _swap(self) -> None:
        """Some messages arrive in another order than they were sent."""
        assert self.wire is not None
        self._speak()
        frames = []
        for _ in range(self._chance.randint(2, 5)):
            self._say(self._message())
            frames.append(self.core.take_bytes())
        first = frames.pop(0)
        self._chance.shuffle(frames)
        at = self._chance.randint(1, len(frames))
        self.wire.out.put(b"".join([*frames[:at], first, *frames[at:]]))

    def begin_anew(self) -> None:
        """The next Logon restarts the numbers."""
        self._resets = True
