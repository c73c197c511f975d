"""One look at a running venue: the pages, how far shipper and shadow are behind, and what the processes take."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from fixsim.errors import JournalError
from fixsim.feed.mapped import COUNTERS_NAME, SHADOW_NAME, SHIPPING_NAME, PageError, PageReader, is_alive
from fixsim.feed.page import COUNTERS, SHADOW, SHIPPING
from fixsim.journal.reader import Reader
from fixsim.journal.record import HEADER
from fixsim.journal.segments import journal_directory

#: An exchange that has not touched its page for so long hangs: its loop turns at least twice a second.
STALE_NS: Final = 5_000_000_000


@dataclass(frozen=True)
class Lag:
    """What is sealed and was not taken yet: bytes of the journal, and the age of the oldest of it."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class ProcessUse:
    """What one process has used so far, and takes now; the database's processes are added up."""

    pid: int
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Reading:
    """One look. `exchange` and `shipping` are records of COUNTERS and SHIPPING."""

    at_ns: int
    exchange: Any
    #: None when no shipper runs.
    shipping: Any | None
    #: None when no shipper runs, or its journal cannot be read.
    lag: Lag | None
    #: By name: exchange, shipper, database, console, shadow.
    processes: dict[str, ProcessUse]
    #: A record of SHADOW, None when none runs; and how far it is behind.
    shadow: Any | None = None
    shadow_lag: Lag | None = None

    @property
    def is_running(self) -> bool:
        """Whether the exchange is there and its loop turns."""
        header = self.exchange["header"]
        fresh = self.at_ns - int(header["updated_ns"]) < STALE_NS
        return fresh and not int(header["ended_ns"]) and "exchange" in self.processes


class Observer:
    """Looks at the venue of one data directory."""

    def __init__(self, data_dir: Path, console_pid: int | None = None) -> None:
        """`console_pid` is a process to be told of too: the console's own."""
        self._exchange = PageReader(data_dir / COUNTERS_NAME, COUNTERS)
        self._shipping = PageReader(data_dir / SHIPPING_NAME, SHIPPING)
        self._shadow = PageReader(data_dir / SHADOW_NAME, SHADOW)
        self._journal = journal_directory(data_dir)
        self._readers: dict[str, Reader] = {}
        self._console_pid = console_pid
        self._known: dict[int, psutil.Process] = {}

    def look(self) -> Reading:
        """Look now. Raises PageError when no exchange has left a page, or none that this release can read."""
        now_ns = time.time_ns()
        exchange = self._exchange.read()
        shipping, shadow = _living(self._shipping), _living(self._shadow)
        pids = {"exchange": int(exchange["header"]["pid"]) if not exchange["header"]["ended_ns"] else 0}
        if shipping is not None:
            pids["shipper"] = int(shipping["header"]["pid"])
            pids["database"] = int(shipping["database_pid"])
        pids["shadow"] = 0 if shadow is None else int(shadow["header"]["pid"])
        pids["console"] = self._console_pid or 0
        uses = {name: self._use(pid, family=name == "database") for name, pid in pids.items() if pid}
        position = int(exchange["journal_position"])
        lag = None if shipping is None else self._lag("shipper", int(shipping["batch"]), position, now_ns)
        behind = None if shadow is None else self._lag("shadow", int(shadow["position"]), position, now_ns)
        known = {name: use for name, use in uses.items() if use is not None}
        return Reading(now_ns, exchange, shipping, lag, known, shadow, behind)

    def _lag(self, who: str, begin: int, position: int, now_ns: int) -> Lag | None:
        """Found in the journal itself: the first batch that a reader, which is at `begin`, has not taken."""
        try:
            reader = self._readers.get(who) or self._readers.setdefault(who, Reader(self._journal))
            batch = next(reader.batches(begin, live=True), None)
        except JournalError:
            self._readers.pop(who, None)
            return None
        if batch is None:
            return Lag(0, 0.0)
        first_ns = int(HEADER.unpack_from(batch.view, 0)[5])
        return Lag(max(position, batch.end) - begin, max(0.0, (now_ns - first_ns) / 1e9))

    def _use(self, pid: int, family: bool) -> ProcessUse | None:
        try:
            process = self._known.get(pid)
            if process is None or not process.is_running():
                process = self._known[pid] = psutil.Process(pid)
            cpu_s, memory = _cpu_and_memory(process)
            for child in process.children() if family else ():
                more_s, more = _cpu_and_memory(child)
                cpu_s, memory = cpu_s + more_s, memory + more
        except psutil.Error:
            self._known.pop(pid, None)
            return None
        return ProcessUse(pid, cpu_s, memory)


def _cpu_and_memory(process: psutil.Process) -> tuple[float, int]:
    """Seconds of processor time so far, and bytes that are its own: what it shares (files of the journal, tables of the
    database) is not counted where the system can tell.
    """
    with process.oneshot():
        times, memory = process.cpu_times(), process.memory_info()
    return times.user + times.system, memory.rss - getattr(memory, "shared", 0)


def _living(page: PageReader) -> Any | None:
    """What a reader's page says, None when the reader does not run."""
    try:
        row = page.read()
    except PageError:
        return None
    header = row["header"]
    return None if int(header["ended_ns"]) or not is_alive(int(header["pid"])) else row
