"""Promotion: the exchange is gone, and its shadow becomes the exchange with the state it has already.

The lock of the data directory is the fence: it is held by the process that may write the journal, and the system takes it
from one that dies. Whoever gets it next is the only one.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Final

from fixsim.errors import VenueError
from fixsim.exchange.opening import Opened
from fixsim.exchange.shadow import Shadow
from fixsim.feed.mapped import COUNTERS_NAME, PageError, PageReader, is_alive
from fixsim.feed.page import COUNTERS
from fixsim.feed.priority import make_normal, may_return
from fixsim.gateway import venue
from fixsim.gateway.acceptor import bind
from fixsim.gateway.directory import Claim, claim_if_free
from fixsim.gateway.log import LOGGER
from fixsim.gateway.venue import Plan
from fixsim.shadow.process import follow

#: How often the lock is tried.
TRY_S: Final = 0.02
#: How long the port may still be somebody's after its exchange has died.
BIND_S: Final = 10.0

Say = Callable[[str], None]


class Standby:
    """Waits for the lock of a data directory that an exchange holds."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tried = 0.0
        self._page = PageReader(plan.data_dir / COUNTERS_NAME, COUNTERS)
        # looked for at once: at idle priority beside busy neighbours the first turn may come after its death
        self._seen = self._lives()
        self._checked = False
        self.held: Claim | None = None

    def is_ours(self, shadow: Shadow) -> bool:
        """Has the exchange gone, and the directory become ours? Somebody must have been seen there before."""
        now = time.monotonic()
        if self.held is not None or now - self._tried < TRY_S:
            return self.held is not None
        self._tried = now
        # until one was seen the lock is left alone: trying it would be in the way of an exchange that starts
        self._seen = self._seen or self._lives()
        if not self._seen:
            return False
        if not self._checked:
            shadow.check_change(self._plan.config)
            self._checked = True
        self.held = claim_if_free(self._plan.data_dir)
        if self.held is not None:
            shadow.inherit(self._plan.config)
        return self.held is not None

    def _lives(self) -> bool:
        """Is an exchange there, by its page of counters?"""
        try:
            header = self._page.read()["header"]
        except PageError:
            return False
        return not int(header["ended_ns"]) and is_alive(int(header["pid"]))


def stand_by(plan: Plan, announce: Say, *, idle: bool = True) -> bool:
    """Follow the exchange of `plan.data_dir`; when it is gone, be the exchange until a signal. False when told to leave before.

    Raises UsageError, VenueError, JournalError, ReplayDivergence.
    """
    with contextlib.closing(bind(plan.host, 0)) as probe:
        context = venue.check(plan, probe)
    if idle and not may_return():
        LOGGER.warning("this user cannot leave idle priority again: the standby runs at normal priority")
        idle = False
    standby = Standby(plan)
    shadow = follow(plan.data_dir, LOGGER, idle=idle, ours=standby.is_ours)
    if standby.held is None or shadow is None:
        return False
    with contextlib.ExitStack() as stack:
        stack.callback(standby.held.release)
        make_normal(os.getpid())
        LOGGER.warning("the exchange on %s is gone: this process takes its place", plan.data_dir)
        listener = _bind(plan)
        stack.callback(listener.close)
        venue.run(plan, listener, context, lambda: _opened(shadow), announce, stack)
    return True


def _opened(shadow: Shadow) -> Opened:
    return shadow.promote(time.time_ns())


def _bind(plan: Plan) -> socket.socket:
    """The port, which the dead exchange may have for another moment."""
    deadline = time.monotonic() + BIND_S
    while True:
        try:
            return bind(plan.host, plan.port)
        except VenueError:
            if time.monotonic() > deadline:
                raise
            time.sleep(TRY_S)
