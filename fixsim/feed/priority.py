"""The priority of processes beside the exchange: a reader runs when nobody else wants the processor."""

import contextlib
import os
import resource
from pathlib import Path
from typing import Final

#: Priority 0 as RLIMIT_NICE counts.
NORMAL_AS_LIMIT: Final = 20
#: A tenth of what a process of priority 0 gets, where both want all.
MODEST_NICE: Final = 10


def make_idle(pid: int) -> None:
    """Let process `pid` run only when nobody else wants the processor: a reader never slows the exchange.

    Linux weighs sessions against each other first (autogroups): an idle process in a session of its own, as every
    process of PostgreSQL is, still gets an equal share until its session is made nice too.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        if os.getsid(pid) == (pid or os.getpid()):
            Path(f"/proc/{pid or 'self'}/autogroup").write_text("19")


def make_modest(pid: int) -> None:
    """Let process `pid` give way to the exchange while it starts, but get somewhere beside neighbours that are always busy."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, MODEST_NICE)
        if hasattr(os, "SCHED_IDLE") and os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text(str(MODEST_NICE))


def make_normal(pid: int) -> None:
    """Take back what `make_idle` did, for every thread; where the system does not let us (it lets root), nothing changes."""
    threads = Path(f"/proc/{pid}/task")
    with contextlib.suppress(OSError):
        for thread in (int(path.name) for path in threads.iterdir()) if threads.is_dir() else (pid,):
            if hasattr(os, "SCHED_IDLE"):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, thread, 0)
        if hasattr(os, "SCHED_IDLE") and os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text("0")


def may_return() -> bool:
    """Could this process take back what `make_idle` does? Root may, and who may have priority 0 by its limits."""
    if os.geteuid() == 0 or not hasattr(resource, "RLIMIT_NICE"):
        return os.geteuid() == 0
    return resource.getrlimit(resource.RLIMIT_NICE)[0] >= NORMAL_AS_LIMIT
