"""From a configuration to a running venue: claim, recover, open, serve, close; in this order and backwards
again.
"""

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fixsim.config import Config
from fixsim.errors import UsageError
from fixsim.gateway.acceptor import bind, is_loopback, shown_address
from fixsim.gateway.clock import Clock
from fixsim.gateway.collector import calm_collector
from fixsim.gateway.directory import claim
from fixsim.gateway.log import LOGGER
from fixsim.gateway.placement import Patience, check_affinity, pin_loop, populate, processors
from fixsim.gateway.supervisor import Readers, Supervisor
from fixsim.gateway.transport import tls_context
from fixsim.journal.disk import Disk, at_once
from fixsim.layout import NIL

if TYPE_CHECKING:
    from fixsim.exchange.opening import Opened

#: How long the shipper may take to finish when the venue stops; it gives up by itself when the database is away.
FINISH_TIMEOUT_S: Final = 1_800.0
#: How long the shadow may take to catch up and to take a last snapshot; the next start replays the rest.
SHADOW_TIMEOUT_S: Final = 60.0
#: How long the console may take to leave.
LEAVE_TIMEOUT_S: Final = 2.0
#: How often the wait for it is told.
FINISH_TOLD_S: Final = 5.0

#: How often a long recovery tells how far it is.
PROGRESS_INTERVAL_S: Final = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What `fixsim serve` was asked to do."""

    config: Config
    data_dir: Path
    host: str
    port: int
    #: `embedded`, `none`, or the address of a PostgreSQL server.
    database_url: str
    #: Listen beyond this machine without TLS.
    insecure: bool = False
    #: Options of the command line that readers log by, too.
    log_options: tuple[str, ...] = ()
    #: Where a simulated clock begins, 0 for where it was; None for the wall's time.
    clock_start_ns: int | None = None
    #: The file `config` was read from, None for what is built in.
    config_path: Path | None = None
    #: Run a shadow, whatever the configuration says.
    shadow: bool = False


def serve(plan: Plan, announce: Say, progress: Say) -> None:
    """Run the venue until SIGTERM or SIGINT. `announce` gets the ready line, `progress` what takes a while.

    Raises UsageError, VenueError or JournalError when it cannot start.
    """

    def opened() -> "Opened":
        from fixsim.gateway.warmup import compile_kernels

        compile_kernels(progress)
        from fixsim.exchange.opening import open_venue

        return open_venue(plan.config, plan.data_dir, time.time_ns(), Recovering(progress), plan.clock_start_ns)

    with contextlib.ExitStack() as stack:
        listener = bind(plan.host, plan.port)
        stack.callback(listener.close)
        context = check(plan, listener)
        held = claim(plan.data_dir)
        stack.callback(held.release)
        run(plan, listener, context, opened, announce, stack)


def check(plan: Plan, listener: socket.socket) -> ssl.SSLContext | None:
    """What can be known before anything is touched: processors, certificates, and who could reach us on `listener`. Raises
    UsageError, VenueError.
    """
    check_affinity(plan.config.process.cpu_affinity, processors())
    context = tls_context(plan.config.tls) if plan.config.tls is not None else None
    if context is None and not plan.insecure and not is_loopback(listener):
        raise UsageError(f"--host {plan.host} can be reached from outside: configure [tls], or say --insecure")
    return context


def run(
    plan: Plan,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    opened: "Callable[[], Opened]",
    announce: Say,
    stack: contextlib.ExitStack,
) -> None:
    """Be the exchange that `opened` gives, on `listener`, with its readers; the data directory is ours. `stack` ends what
    was begun.
    """
    cpus = processors()
    shipper, console, shadow = shipper_of(plan, cpus), console_of(plan, cpus), shadow_of(plan, cpus)
    shipper.start(time.time_ns())
    stack.callback(_finish, shipper, "shipper", FINISH_TIMEOUT_S, "ships")
    if console is not None:
        stack.callback(_dismiss, console)
    if shadow is not None:
        stack.callback(_finish, shadow, "shadow", SHADOW_TIMEOUT_S, "replays")
    _turn(plan, listener, context, Readers(shipper, console, shadow), opened, announce, stack)


def _turn(
    plan: Plan,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    readers: Readers,
    opened: "Callable[[], Opened]",
    announce: Say,
    stack: contextlib.ExitStack,
) -> None:
    """The heavy half: kernels, recovery, the loop."""
    found = opened()
    stack.callback(found.writer.close)
    from fixsim.engine.machine import SCATTERED_TABLES
    from fixsim.gateway.server import Server, raise_descriptor_limit

    raise_descriptor_limit()
    pin_loop(plan.config.process.cpu_affinity.exchange, processors())
    if found.snapshot != NIL:
        LOGGER.info("began with the snapshot at position %d", found.snapshot)
    for note in found.notes:
        LOGGER.warning("%s", note)
    server = Server(found, Clock(found.exchange.tape.now_ns), listener, context, plan.data_dir, readers, plan.config_path)
    server.stop_on_signals()
    Disk.pause_s = Patience(found.exchange.machine.tape[0])
    stack.callback(setattr, Disk, "pause_s", staticmethod(at_once))
    if plan.config.process.populate:
        populate(found.exchange.machine.tables(), SCATTERED_TABLES, Disk.pause_s)
    server.open()
    announce(
        f"fixsim ready fix {shown_address(listener)} data {plan.data_dir} "
        f"database {shown_database(plan.database_url)} pid {os.getpid()}"
    )
    readers.check(time.time_ns())
    calm_collector()
    server.run()


class Recovering:
    """Says how far a long recovery is, not more often than people read."""

    def __init__(self, progress: Say) -> None:
        self._progress = progress
        self._said = time.monotonic()

    def __call__(self, position: int, end: int) -> None:
        if time.monotonic() - self._said >= PROGRESS_INTERVAL_S:
            self._said = time.monotonic()
            self._progress(f"recovering: {100 * position // max(1, end)} % of the journal")


def shipper_of(plan: Plan, cpus: frozenset[int]) -> Supervisor:
    """The reader that fills the database and keeps the hash chain, not started yet; for `none` the chain alone. `cpus` are
    ours.
    """
    command = [sys.executable, "-m", "fixsim.cli.main", "ship", "--data-dir", str(plan.data_dir)]
    journal = plan.config.journal
    if journal.resend_retention_s:
        command += ["--resend-retention", str(journal.resend_retention_s), *([] if journal.archive else ["--remove"])]
    environment = {"FIXSIM_DATABASE_URL": plan.database_url}
    return Supervisor("shipper", command, environment, frozenset(plan.config.process.cpu_affinity.shipper) or cpus)


def console_of(plan: Plan, cpus: frozenset[int]) -> Supervisor | None:
    """The reader that shows metrics; the loop starts it. None when it is not wanted."""
    settings = plan.config.console
    if not settings.enabled:
        return None
    command = [sys.executable, "-m", "fixsim.cli.main", "console", "--data-dir", str(plan.data_dir)]
    command += ["--port", str(settings.port), *plan.log_options]
    return Supervisor("console", command, {}, frozenset(plan.config.process.cpu_affinity.console) or cpus)


def shadow_of(plan: Plan, cpus: frozenset[int]) -> Supervisor | None:
    """The reader that compares and takes snapshots; the loop starts it. None when it is not wanted."""
    if not plan.shadow and not plan.config.shadow.enabled:
        return None
    command = [sys.executable, "-m", "fixsim.cli.main", "shadow", "--data-dir", str(plan.data_dir), *plan.log_options]
    return Supervisor("shadow", command, {}, frozenset(plan.config.process.cpu_affinity.shadow) or cpus)


def shown_database(url: str) -> str:
    """The address of a database without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":*@")).geturl()


def _dismiss(console: Supervisor) -> None:
    """The console has nothing to finish."""
    console.let_go()
    begun = time.monotonic()
    while not console.finished():
        if time.monotonic() - begun > LEAVE_TIMEOUT_S:
            console.kill()
        time.sleep(0.01)


def _finish(reader: Supervisor, name: str, timeout_s: float, does: str) -> None:
    """Let the reader take what is left of the journal; a shadow that is not there need not come for that."""
    if name == "shadow" and reader.pid is None:
        return
    reader.tell_to_finish()
    begun = told = time.monotonic()
    while not reader.finished():
        if time.monotonic() - told > FINISH_TOLD_S:
            told = time.monotonic()
            LOGGER.info("waiting for the %s to take the rest of the journal", name)
        if time.monotonic() - begun > timeout_s:
            LOGGER.warning("the %s did not finish in %.0f s; the next start %s the rest", name, timeout_s, does)
            reader.kill()
            return
        time.sleep(0.02)
