"""The loop: one thread, one turn after the other, until somebody says stop.

A turn: wait, read the clock once, take from every connection what came, let what is due act, commit, send.
Links come before strangers: a session that ended is free again before the Logon that wants it is looked at.
"""

import contextlib
import os
import signal
import socket
import ssl
import types
from pathlib import Path
from typing import Final

from fixsim.config import Config
from fixsim.errors import JournalFull
from fixsim.exchange.opening import Opened
from fixsim.gateway.acceptor import Acceptor
from fixsim.gateway.clock import Clock
from fixsim.gateway.control import Control
from fixsim.gateway.credentials import Verifier
from fixsim.gateway.greeting import Lobby
from fixsim.gateway.house import House
from fixsim.gateway.lane import Lane, available
from fixsim.gateway.log import LOGGER
from fixsim.gateway.meter import ELSEWHERE, SEND, WRITE, Meter
from fixsim.gateway.planner import renew_plan
from fixsim.gateway.poller import Poller
from fixsim.gateway.reload import Reloader
from fixsim.gateway.street import Connection, Street
from fixsim.gateway.supervisor import Readers
from fixsim.journal.writer import Writer
from fixsim.layout import NEVER, NIL
from fixsim.limits import TURN_BYTES_MAX

#: Longest wait of one turn: a clock that jumps, or a lost wake-up, costs no more than this.
WAIT_NS_MAX: Final = 500_000_000
#: Strangers looked at in one turn; the others wait for theirs.
STRANGERS_PER_TURN_MAX: Final = 8
#: Most a Logout takes in the journal, its share of the command that causes it included.
LOGOUT_BYTES: Final = 512
#: How long, beyond the logout timeout, the last bytes of a stopping venue may take.
LAST_BYTES_NS: Final = 2_000_000_000


class Waker:
    """A pair of sockets that wakes the loop from a signal handler or another thread."""

    def __init__(self, poller: Poller) -> None:
        self._heard, self._said = socket.socketpair()
        self._heard.setblocking(False)
        self._said.setblocking(False)
        self._poller = poller
        poller.add(self._heard.fileno(), self)

    @property
    def fd(self) -> int:
        """Where `signal.set_wakeup_fd` may write."""
        return self._said.fileno()

    def wake(self) -> None:
        """The next wait ends at once. Safe from any thread."""
        with contextlib.suppress(BlockingIOError, OSError):
            self._said.send(b"w")

    def ready(self, mask: int, now_ns: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._heard.recv(4096):
                pass

    def close(self) -> None:
        self._poller.remove(self._heard.fileno())
        self._heard.close()
        self._said.close()


class Tail:
    """The journal's writer for the last batch: it goes into the room that is kept for it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def begin_batch(self) -> int:
        """Position of the last batch."""
        return self._writer.begin_batch(closing=True)

    def append(self, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        """Seal and write it."""
        return self._writer.append(buffer, length, count, time_ns)


class Server:
    """Everything that stands between the exchange and the world."""

    def __init__(
        self,
        opened: Opened,
        clock: Clock,
        listener: socket.socket,
        context: ssl.SSLContext | None,
        data_dir: Path,
        readers: Readers | None = None,
        config_path: Path | None = None,
    ) -> None:
        exchange, config = opened.exchange, opened.exchange.config
        self._exchange, self._clock, self._readers = exchange, clock, readers or Readers()
        self._writer = opened.writer
        self.meter = meter = Meter(data_dir, exchange, opened.writer, self._readers.shipper_pid)
        exchange.tape.tally = meter
        self._venue = config.venue
        self._poller = Poller()
        self._waker = Waker(self._poller)
        self._verifier = Verifier(self._waker.wake)
        scratch = memoryview(bytearray(TURN_BYTES_MAX))
        self._street = Street(exchange, self._poller, config.venue.stalled_reader_timeout_s, scratch, meter)
        self._lobby = Lobby(config, exchange, self._poller, self._verifier, self._street.take_over, scratch)
        self._lane = None
        if available(self._poller.epoll_descriptor()):
            self._lane = Lane(exchange, opened.writer, clock, self._poller.epoll_descriptor(), meter)
            self._street.use(self._lane)
        self._acceptor = Acceptor(listener, context, self._lobby, self._poller, config.street)
        self._house = House(config.house, exchange, data_dir) if config.house is not None else None
        self._reloader = Reloader(config_path, exchange, (self._adopt,))
        self._control = Control(data_dir, exchange, self._poller, self._reloader)
        self._hung_up = False
        self._due_ns = 0
        self._seen = 0
        self._stop_reason = ""

    def open(self) -> None:
        """Take connections and commands from the next turn on."""
        if self._house is not None:
            self._house.open(self._clock.now_ns())
        self._commit(self._clock.now_ns())
        self._control.open()
        self._acceptor.open()

    def run(self) -> None:
        """Turn until `stop` is called, then log everybody out and settle what is owed."""
        self.meter.begin()
        try:
            while not self._stop_reason:
                self.turn()
            self._wind_down()
        finally:
            self._close()

    def stop(self, reason: str) -> None:
        """End `run`, soon. Safe from a signal handler or another thread."""
        self._stop_reason = self._stop_reason or reason
        self._waker.wake()

    def _adopt(self, config: Config) -> None:
        """A changed configuration holds from now on."""
        self._venue = config.venue
        self._lobby.adopt(config)
        self._street.adopt(config.venue)
        if self._house is not None:
            self._house.adopt(config)

    def _hang_up(self, number: int, _frame: types.FrameType | None) -> None:
        self._hung_up = True
        self._waker.wake()

    def stop_on_signals(self) -> None:
        """SIGTERM and SIGINT end `run`, SIGHUP reads the configuration again; called from the main thread."""

        def stop(number: int, _frame: types.FrameType | None) -> None:
            self.stop(signal.Signals(number).name)

        signal.set_wakeup_fd(self._waker.fd, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def turn(self, wait_s: float | None = None) -> None:
        """One turn of the loop; waits until something is due unless `wait_s` says how long."""
        timeout_s = self._timeout_s() if wait_s is None else wait_s
        ready, now_ns = self._wait(timeout_s, once=wait_s is not None or timeout_s == 0)
        owner_of = self._poller.owner
        others = []
        for fd, mask in ready:
            owner = owner_of(fd)
            if type(owner) is Connection:
                owner.ready(mask, now_ns)
            elif owner is not None:
                others.append((fd, mask))
        self._street.catch_up(now_ns)
        if others:
            self._see_others(others, now_ns)
            self.meter.lap(ELSEWHERE)
        self._lobby.decide(now_ns)
        if self._hung_up:
            self._hung_up = False
            self._reloader.carry_out("SIGHUP", "", now_ns)
        if now_ns >= self._due_ns:
            self._look_at_the_time(now_ns)
            self.meter.lap(ELSEWHERE)
        self._commit(now_ns)
        self.meter.turn()

    def _wait(self, wait_s: float, *, once: bool) -> tuple[list[tuple[int, int]], int]:
        """Descriptors that are ready, and the time; the compiled loop, where there is one, has turned until it was stopped."""
        if self._lane is None:
            ready = self._poller.wait(wait_s)
            self.meter.woke(wait_s, not ready)
            return ready, self._clock.now_ns()
        left = self._lane.run(wait_s, self._due_ns, alone=len(self._street) == 1, once=once)
        self.meter.woke(wait_s, left.idle)
        now_ns = self._clock.now_ns()
        if left.attention != NIL:
            self._street.attend(left.attention, left.octets, now_ns)
        return left.others, now_ns

    def _see_others(self, others: list[tuple[int, int]], now_ns: int) -> None:
        """Strangers, operators and the listening socket: a few of many, others in the next turn."""
        if len(others) > STRANGERS_PER_TURN_MAX:
            self._seen = (self._seen + STRANGERS_PER_TURN_MAX) % len(others)
            others = (others[self._seen :] + others[: self._seen])[:STRANGERS_PER_TURN_MAX]
        for fd, mask in others:
            owner = self._poller.owner(fd)
            if owner is not None:
                owner.ready(mask, now_ns)

    def _look_at_the_time(self, now_ns: int) -> None:
        """Do what is due. What became due in this very turn is seen in the next one, which then does not wait."""
        self._exchange.tick(now_ns)
        renew_plan(self._exchange, now_ns)
        if now_ns >= self._lobby.next_deadline_ns():
            self._lobby.expire(now_ns)
        if now_ns >= self._street.next_deadline_ns():
            self._street.expire(now_ns)
        self._acceptor.resume(now_ns)
        if now_ns >= self._readers.next_check_ns:
            self._readers.check(now_ns)

    def _commit(self, now_ns: int) -> None:
        """Write the batch; send what it says; close what it ends."""
        self._exchange.commit()
        if self._house is not None and self._house.act(now_ns):
            self.meter.lap(ELSEWHERE)
            self._exchange.commit()
        for link, reason in self._exchange.take_closings():
            if self._house is not None and link == self._house.link:
                self._house.lose(now_ns, reason)
            else:
                self._street.end(link, reason)
        self._writer.sync()
        self.meter.lap(WRITE)
        self._street.flush(now_ns)
        self.meter.lap(SEND)
        self._control.flush()
        self._exchange.commit()  # links that were lost or closed while sending
        try:
            self._writer.begin_batch()  # whether there is room for more is known before more is taken
        except JournalFull as error:
            self._log_out_in_the_tail(str(error), now_ns)
            raise

    def _log_out_in_the_tail(self, reason: str, now_ns: int) -> None:
        """The disk is full: what the journal keeps for this is enough for a Logout to every session."""
        LOGGER.error("stopping: %s", reason)
        self._exchange.tape.writer = Tail(self._writer)
        self._writer.begin_batch(closing=True)
        if len(self._exchange.links) * LOGOUT_BYTES > self._writer.room():
            return
        self._exchange.shut_down("The exchange has no room left", now_ns)
        self._exchange.commit()
        self._writer.sync()
        self._street.flush(now_ns)

    def _timeout_s(self) -> float:
        """How long the next turn may wait; `_due_ns` is when something is due, sockets aside."""
        self._due_ns = min(
            self._exchange.next_deadline_ns(),
            self._lobby.next_deadline_ns(),
            self._street.next_deadline_ns(),
            self._acceptor.next_deadline_ns(),
            self._readers.next_check_ns,
            self._house.next_deadline_ns() if self._house is not None else NEVER,
        )
        if self._street.has_backlog:
            return 0.0
        return max(0, min(self._due_ns - self._clock.now_ns(), WAIT_NS_MAX, self.meter.wait_ns_max)) / 1e9

    def _wind_down(self) -> None:
        """Logout to every session; wait for the answers, and for what is owed to be taken."""
        LOGGER.info("stopping: %s", self._stop_reason)
        now_ns = self._clock.now_ns()
        self._acceptor.close()
        self._lobby.close()
        self._exchange.shut_down("The exchange is closing", now_ns)
        self._commit(now_ns)
        deadline_ns = now_ns + int(self._venue.logout_timeout_s * 1e9) + LAST_BYTES_NS
        while self._clock.now_ns() < deadline_ns and not (len(self._street) == 0 and self._street.is_idle):
            self.turn()
        now_ns = self._clock.now_ns()
        self._street.close("the exchange is closing", now_ns)
        if self._house is not None and self._house.link:
            self._house.lose(now_ns, "the exchange is closing")
        self._exchange.commit()

    def _close(self) -> None:
        """Let go of everything that is the operating system's."""
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # not the main thread: no handler was set there either
                signal.set_wakeup_fd(-1)
        self._verifier.close()
        self._acceptor.close()
        self._lobby.close()
        self._street.abandon()
        self._control.close()
        self._waker.close()
        self._poller.close()
        self.meter.close()


def raise_descriptor_limit() -> None:
    """Let the process have as many connections as the system allows it."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    LOGGER.debug("at most %d descriptors for pid %d", wanted, os.getpid())
