"""The reader process: shipper, hash chain and what retires segments; what keeps them alive and ends them, at what priority.

A pipe on standard input is a lifeline from the exchange. `finish` on it means: ship everything that is
sealed (and hash it), then leave. Its end without that word means that the exchange is dead: ship what can be shipped at
once, and be gone within two seconds; the next start ships the rest. A signal means the same. Without a
pipe the shipper runs until a signal comes. Whoever is to leave gives up idle priority, where the system
allows that (it lets root): on a busy machine that priority could make it hours.
"""

import asyncio
import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]

from fixsim.audit.gauge import Gauge
from fixsim.audit.hasher import Hasher
from fixsim.audit.retention import AskExchange, Policy, Reached, Retention
from fixsim.errors import VenueError
from fixsim.feed.priority import make_idle, make_normal

if TYPE_CHECKING:
    from fixsim.audit.database import Database
    from fixsim.audit.shipper import Shipper

#: `--database-url` for no database at all: the hash chain is kept all the same.
NONE: Final = "none"
#: Time to ship the rest when nobody waits for us, s.
GRACE_S: Final = 1.0
STDIN: Final = 0
FINISH: Final = b"finish"
#: The thread that gathers must let go of the interpreter often: the other one feeds PostgreSQL in pieces that
#: are gone in 100 us, and waiting 5 ms for its turn halved the rate (measured in docs/audit.md).
SWITCH_INTERVAL_S: Final = 0.0001


#: What a journal is without being told otherwise: kept as it is.
KEEP: Final = Policy()


def _nobody(floor: int) -> Mapping[str, Any]:
    raise VenueError("there is no exchange to be told")


def run(
    data_dir: Path, url: str, log: Callable[[str], None], *, until_end: bool = False, idle: bool = True,
    policy: Policy = KEEP, ask: AskExchange = _nobody,
) -> bool:  # fmt: skip
    """Ship and hash the journal of `data_dir` until told to leave, or until its end; True when everything sealed is
    shipped and hashed. `policy` says which segments are retired meanwhile, `ask` has the exchange record it.

    ShippingError when there is no such database; one that is away is waited for.
    """
    hasher = Hasher(data_dir, log)
    database = shipper = gauge = None
    if url != NONE:
        # a process without a database need not know its client
        from fixsim.audit.database import open_database
        from fixsim.audit.shipper import Shipper

        database = open_database(data_dir, url, log, idle=idle)
        gauge = _gauge(data_dir, log)
        shipper = Shipper(data_dir, database, log, gauge)
    if idle:
        make_idle(os.getpid())
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    def reached() -> Reached:
        shipped = None if shipper is None else (shipper.shipped.batch if shipper.shipped else 0)
        return Reached(*hasher.reached, shipped)

    retention = Retention(data_dir, policy, reached, ask, log)
    try:
        return asyncio.run(_run(hasher, retention, shipper, database, until_end))
    finally:
        if gauge is not None:
            gauge.close()


def _gauge(data_dir: Path, log: Callable[[str], None]) -> Gauge | None:
    """Our page; shipping does without one where the data directory cannot be written, a copy for reading perhaps."""
    try:
        return Gauge(data_dir)
    except OSError as error:
        log(f"shipping lag is not shown: {error}")
        return None


async def _run(
    hasher: Hasher, retention: Retention, shipper: "Shipper | None", database: "Database | None", until_end: bool
) -> bool:
    loop = asyncio.get_running_loop()
    hashing = asyncio.create_task(asyncio.to_thread(hasher.run))
    retiring = asyncio.create_task(asyncio.to_thread(retention.run))
    shipping = None if shipper is None else asyncio.create_task(shipper.run())
    hurried = False

    def finish() -> None:
        hasher.finish()
        retention.finish()
        if shipper is not None:
            shipper.finish.set()

    def hurry() -> None:
        nonlocal hurried
        if not hurried:
            hurried = True
            finish()
            _hasten(database)
            loop.call_later(GRACE_S, hasher.stop)
            if shipping is not None:
                loop.call_later(GRACE_S, shipping.cancel)

    def listen() -> None:
        word = os.read(STDIN, 64)
        if word.startswith(FINISH):
            finish()
            _hasten(database)
        elif not word:
            loop.remove_reader(STDIN)
            if not hasher.finishing:
                hurry()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hurry)
    if until_end:
        finish()
    if stat.S_ISFIFO(os.fstat(STDIN).st_mode):
        loop.add_reader(STDIN, listen)
    shipped = shipping is None
    try:
        if shipping is not None:
            with contextlib.suppress(asyncio.CancelledError):
                shipped = await shipping
        return await hashing and shipped
    finally:
        hasher.stop()
        retention.finish()
        await retiring
        if database is not None:
            database.leave(wait=not hurried)


def _hasten(database: "Database | None") -> None:
    """Nobody trades any more, so nobody can be in the exchange's way."""
    for process in (os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))):
        make_normal(process)
    if database is not None:
        database.hasten()
