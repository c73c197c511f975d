"""A client's log played to an exchange by real initiators: one connection per session, in the order and at the pace of the log.

Sequence numbers, times, BodyLength and CheckSum are made anew by the session; everything else stays as it was logged.
"""

import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fixsim.client.comparison import CLIENT_IDS, Answers, OrderStory, compare
from fixsim.client.faults import ConnectionLost, NoAnswer
from fixsim.client.logs import LOGON, LOGOUT, Logged, Script
from fixsim.client.wire import Wire, WireOptions
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.units import NS_PER_S, format_utc_timestamp

#: What the session writes itself.
RENEWED: Final = frozenset({8, 9, 35, 49, 56, 34, 52, 10, 43, 122, 369})
#: Messages sent between two looks at what has come, at full speed.
LOOK_EVERY: Final = 32
#: Longest wait without a look at all connections, s.
LOOK_S: Final = 0.2
#: No waiting between messages.
MAX_SPEED: Final = 0.0


@dataclass(frozen=True)
class Plan:
    """Where to, how fast, under which ids. `speed` is times the log's, MAX_SPEED for no waiting."""

    host: str
    port: int
    speed: float = 1.0
    prefix: bytes = b""
    #: TargetCompID(56) instead of the log's.
    target: str | None = None
    options: WireOptions = field(default_factory=WireOptions)


class Played(NamedTuple):
    """What was done: messages sent, answers that came, messages that could not be sent and why."""

    sent: int
    came: int
    unsent: int
    reasons: tuple[str, ...]
    seconds: float


class Player:
    """One session being played."""

    def __init__(self, script: Script, plan: Plan) -> None:
        self.script, self.plan = script, plan
        self.came = Answers(plan.prefix)
        self.sent = self.answers = self.unsent = 0
        self.reason = ""
        self._order_ids: dict[bytes, bytes] = {}
        target = plan.target or script.target.decode("latin-1")
        options: WireOptions = {**plan.options, "on_message": self._hear}
        self.wire = Wire(plan.host, plan.port, script.name.decode("latin-1"), target, **options)

    def _hear(self, message: Message) -> None:
        self.answers += 1
        self.came.add(message)
        name, order_id = message.get(tags.CL_ORD_ID), message.get(tags.ORDER_ID)
        if name is not None and order_id is not None:
            self._order_ids[name] = order_id

    def play(self, entry: Logged) -> None:
        """Do what the log says the client did. Raises LogonRefused, NobodyListens, NoAnswer at a connection that fails."""
        kind = entry.message.msg_type
        if kind == LOGON:
            if not self.wire.connected:
                self.wire.connect()
            return
        if kind == LOGOUT:
            self.leave()
            return
        if not self.wire.connected and not self.reason:
            self.wire.connect()  # the log does not begin with the Logon
        self._say(entry.message)

    def _say(self, message: Message) -> None:
        try:
            seq = self.wire.say(message.msg_type, self._body(message))
        except (ConnectionLost, ValueError) as error:
            self.unsent += 1
            self.reason = self.reason or str(error)
            return
        self.sent += 1
        name = message.get(tags.CL_ORD_ID)
        if name is not None:
            self.came.seqs[seq] = name

    def _body(self, message: Message) -> list[tuple[int, bytes]]:
        """The fields as they were, ids under the prefix, TransactTime(60) now, OrderID(37) the one the exchange gave now."""
        body = []
        for tag, value in message.fields:
            if tag in RENEWED:
                continue
            if tag == tags.TRANSACT_TIME:
                value = format_utc_timestamp(time.time_ns(), 3)
            elif tag in CLIENT_IDS:
                value = self.plan.prefix + value
            elif tag == tags.ORDER_ID:
                about = message.get(tags.ORIG_CL_ORD_ID) or message.get(tags.CL_ORD_ID) or b""
                known = self._order_ids.get(self.plan.prefix + about)
                if known is None:
                    continue
                value = known
            body.append((tag, value))
        return body

    def leave(self) -> None:
        """Log out, as the log did; a later Logon connects again and goes on with the numbers."""
        if self.wire.connected:
            with suppress(ConnectionLost, NoAnswer):
                self.wire.settle()
                self.wire.close()

    def settle(self) -> None:
        """Wait until everything there was to say to us has come."""
        if self.wire.connected:
            with suppress(ConnectionLost, NoAnswer):
                self.wire.settle()


class Playback:
    """All sessions of a log, played together."""

    def __init__(self, scripts: Sequence[Script], plan: Plan) -> None:
        self.plan = plan
        self.players = [Player(script, plan) for script in scripts]
        steps = [(entry, player) for player in self.players for entry in player.script.said]
        self._steps = sorted(steps, key=lambda step: (step[0].time_ns, step[0].number))

    @property
    def messages(self) -> int:
        """How many steps there are."""
        return len(self._steps)

    def run(self, progress: Callable[[int], None] | None = None) -> Played:
        """Play the log to its end; `progress` is told how many steps are done.

        Raises NobodyListens, LogonRefused or NoAnswer when a session cannot be opened.
        """
        begun = time.monotonic()
        try:
            self._play(begun, progress)
            for _ in range(2):  # what one session caused may still be on its way to another
                for player in self.players:
                    player.settle()
        finally:
            for player in self.players:
                player.wire.close()
        return Played(
            sum(player.sent for player in self.players),
            sum(player.answers for player in self.players),
            sum(player.unsent for player in self.players),
            tuple(player.reason for player in self.players if player.reason),
            time.monotonic() - begun,
        )

    def _play(self, begun: float, progress: Callable[[int], None] | None) -> None:
        first_ns = self._steps[0][0].time_ns if self._steps else 0
        last: Player | None = None
        for number, (entry, player) in enumerate(self._steps, 1):
            if self.plan.speed > MAX_SPEED:
                self._wait_until(begun + (entry.time_ns - first_ns) / NS_PER_S / self.plan.speed)
            elif last is not None and last is not player:
                last.settle()  # who came first must be heard first
            player.play(entry)
            last = player
            if number % LOOK_EVERY == 0:
                self._look(0.0)
                if progress is not None:
                    progress(number)

    def _wait_until(self, moment: float) -> None:
        """Let time pass, keeping every conversation up."""
        while (left := moment - time.monotonic()) > 0:
            self._look(min(left, LOOK_S))

    def _look(self, timeout_s: float) -> None:
        """Take what has come on any connection, waiting at most that long for the first."""
        wires = [player.wire for player in self.players if player.wire.connected]
        if timeout_s > 0:
            poller = select.poll()
            for wire in wires:
                poller.register(wire.fileno(), select.POLLIN)
            poller.poll(timeout_s * 1000)
        for wire in wires:
            wire.pump(0.0)

    def compare(self) -> list[OrderStory]:
        """What came back against what the log says came back, order by order."""
        stories: list[OrderStory] = []
        for player in self.players:
            logged = Answers()
            for entry in player.script.said:
                name, seq = entry.message.get(tags.CL_ORD_ID), entry.message.get_int(tags.MSG_SEQ_NUM)
                if name is not None and seq is not None:
                    logged.seqs[seq] = name
            for entry in player.script.heard:
                logged.add(entry.message)
            requests = (entry.message for entry in player.script.said if entry.message.msg_type not in (LOGON, LOGOUT))
            stories += compare(player.script.name.decode("latin-1"), requests, logged, player.came)
        return stories
