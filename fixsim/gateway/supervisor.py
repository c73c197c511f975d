"""Readers of the journal that run beside the exchange: started, restarted with back-off, told to finish.

A reader's standard input is a pipe from the exchange. `finish` on it means: take what the journal holds,
then leave. Its end without that word means that the exchange died.

A reader that ends by itself has a reason that will be there again: it is started after ever longer waits. One that was
killed is started again at once, also when it was to finish: what it has not taken is still in the journal.
"""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from fixsim.feed.priority import make_modest
from fixsim.gateway.log import LOGGER
from fixsim.gateway.placement import place_child
from fixsim.layout import NEVER

#: How often the child is looked at.
CHECK_NS: Final = 250_000_000
#: Waiting time before a restart: doubled each time, forgotten after a minute of good service.
BACK_OFF_MIN_NS: Final = 500_000_000
BACK_OFF_MAX_NS: Final = 30_000_000_000
GOOD_SERVICE_NS: Final = 60_000_000_000
#: How often a reader that is killed while it finishes is started again.
FINISH_AGAIN_MAX: Final = 5
#: Said to a reader that is to take what is left and leave.
FINISH: Final = b"finish\n"


class Supervisor:
    """One reader process."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], cpus: frozenset[int] = frozenset()
    ) -> None:
        """`environment` is added to ours: what nobody else should read in a list of processes. `cpus` is where it may run,
        empty for where we do.
        """
        self._name, self._command, self._cpus = name, list(command), cpus
        self._environment = {**os.environ, **environment}
        self._child: subprocess.Popen[bytes] | None = None
        self._started_ns = 0
        self._back_off_ns = BACK_OFF_MIN_NS
        self._restart_ns = 0
        self._finish_again = FINISH_AGAIN_MAX
        self.next_check_ns = 0

    @property
    def pid(self) -> int | None:
        """Process id of the reader, None while there is none."""
        return None if self._child is None else self._child.pid

    def start(self, now_ns: int) -> None:
        """Start the reader. What it prints comes out where our log does."""
        self._child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        place_child(self._child.pid, self._cpus)
        make_modest(self._child.pid)  # its imports would be in the way of the first orders
        self._started_ns = now_ns
        self.next_check_ns = now_ns + CHECK_NS

    def check(self, now_ns: int) -> None:
        """Start it again, some time after it died."""
        self.next_check_ns = now_ns + CHECK_NS
        if self._child is None:
            if now_ns >= self._restart_ns:
                self.start(now_ns)
            return
        code = self._child.poll()
        if code is None:
            return
        if code < 0 or now_ns - self._started_ns >= GOOD_SERVICE_NS:
            self._back_off_ns = BACK_OFF_MIN_NS
        pid, wait_s = self._child.pid, self._back_off_ns / 1e9
        LOGGER.warning("%s (pid %d) ended with %d; next try in %.1f s", self._name, pid, code, wait_s)
        self._forget_child()
        self._restart_ns = now_ns + self._back_off_ns
        if code >= 0:
            self._back_off_ns = min(2 * self._back_off_ns, BACK_OFF_MAX_NS)

    def tell_to_finish(self) -> None:
        """Have the reader take what the journal holds, and leave; one that is not there is started for that."""
        if self._child is None or self._child.poll() is not None:
            self._forget_child()
            self.start(self._started_ns)
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.write(FINISH)
                self._child.stdin.flush()

    def let_go(self) -> None:
        """End the pipe: the reader is on its own, and leaves."""
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()

    def finished(self) -> bool:
        """Whether it has left, having been told to; it is not started again unless it was killed."""
        if self._child is None:
            return True
        code = self._child.poll()
        if code is None:
            return False
        if code != 0:
            LOGGER.warning("%s ended with %d", self._name, code)
        if code < 0 and self._finish_again:
            self._finish_again -= 1
            self.tell_to_finish()
            return False
        self._forget_child()
        return True

    def kill(self) -> None:
        """It did not finish: end it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._forget_child()

    def _forget_child(self) -> None:
        self.let_go()
        self._child = None


class Readers:
    """The readers of one exchange, as the loop looks after them."""

    def __init__(
        self, shipper: Supervisor | None = None, console: Supervisor | None = None, shadow: Supervisor | None = None
    ) -> None:
        self._shipper = shipper
        self._all = [reader for reader in (shipper, console, shadow) if reader is not None]

    @property
    def next_check_ns(self) -> int:
        """When `check` is due, NEVER when there are no readers."""
        return min((reader.next_check_ns for reader in self._all), default=NEVER)

    def check(self, now_ns: int) -> None:
        """Start again who died, some time after that."""
        for reader in self._all:
            if now_ns >= reader.next_check_ns:
                reader.check(now_ns)

    def shipper_pid(self) -> int | None:
        """Process id of the shipper, None while there is none."""
        return None if self._shipper is None else self._shipper.pid
