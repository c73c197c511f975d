"""The gap meter: a turn of the loop, or a wake-up, that took more than a millisecond, and why.

The operating system knows how long a thread was ready to run and did not (`schedstat`), what it spent on the processor, and
which of its pages were not there (`getrusage`). Asking costs microseconds, so it is asked after a pause, and now and then
for something to compare with; in between a turn pays for two comparisons.
"""

import contextlib
import gc
import math
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fixsim.feed.page import CAUSES, COUNTERS, GAP_NS, word_of

#: What the first touch of a page of memory costs, ns, by bench/meter.py; one that is read from a disk costs all of the pause.
FAULT_NS: Final = 2_000
#: The sleep of an idle turn is rounded up to this by the system.
SLEEP_STEP_NS: Final = 1_000_000
GAPS: Final = word_of(COUNTERS, "gaps")
TOOK: Final = word_of(COUNTERS, "gap_ns")
LONGEST: Final = word_of(COUNTERS, "gap_max_ns")
COLLECTIONS: Final = word_of(COUNTERS, "collections")
COLLECTION_NS: Final = word_of(COUNTERS, "collection_ns")
RUSAGE: Final = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the system says of the loop's thread: all values only grow."""

    #: Time on the processor, ns.
    cpu_ns: int
    #: Time ready to run and not running, ns.
    delay_ns: int
    minor_faults: int
    major_faults: int


class Witness:
    """Asks the system about the thread that calls it."""

    def __init__(self) -> None:
        self._schedstat = -1
        self._missing = not Path("/proc/thread-self/schedstat").exists()

    def sample(self) -> Sample:
        """The state of affairs; 2 us where there is a schedstat."""
        usage = resource.getrusage(RUSAGE)
        if self._missing:
            # no times of waiting: a thread that was put aside counts as having waited for a gap
            delay_ns = usage.ru_nivcsw * GAP_NS
        else:
            if self._schedstat == -1:
                self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            # its time on the processor is only brought up to date at each tick of the system: the clock is exact
            delay_ns = int(os.pread(self._schedstat, 96, 0).split()[1])
        return Sample(time.thread_time_ns(), delay_ns, usage.ru_minflt, usage.ru_majflt)

    def close(self) -> None:
        """Let go of the file."""
        if self._schedstat != -1:
            os.close(self._schedstat)
            self._schedstat = -1


def _stat(path: str) -> tuple[str, str] | None:
    """State of a thread and the processor it ran on last; None when it is gone."""
    try:
        with open(path) as file:
            fields = file.read().rpartition(") ")[2].split()
    except OSError:
        return None
    return fields[0], fields[36]


def stood_in_the_way(pid: int) -> bool:
    """Whether a thread of process `pid` is ready to run on the processor we are on: it was there before us."""
    ours = _stat("/proc/thread-self/stat")
    if ours is None or not pid:
        return False
    with contextlib.suppress(OSError):
        return any(_stat(f"/proc/{pid}/task/{thread}/stat") == ("R", ours[1]) for thread in os.listdir(f"/proc/{pid}/task"))
    return False


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause as the loop saw it, ns."""

    took_ns: int
    #: Of it in the garbage collector, in going to the next segment, in writing the journal.
    collector_ns: int = 0
    rotation_ns: int = 0
    write_ns: int = 0
    #: Turns since the sample before, this one left out: they account for that much time on the processor.
    busy_before_ns: int = 0


def cause_of(pause: Pause, before: Sample, after: Sample, shipper_in_the_way: Callable[[], bool]) -> str:
    """Which of CAUSES explains at least half of the pause: the first that does; else the one that explains most of it, and
    "other" when that is less than a quarter.
    """
    delay_ns = after.delay_ns - before.delay_ns
    cpu_ns = after.cpu_ns - before.cpu_ns - pause.busy_before_ns
    faults_ns = (after.minor_faults - before.minor_faults) * FAULT_NS
    if after.major_faults > before.major_faults:
        faults_ns += pause.took_ns - max(0, cpu_ns) - delay_ns
    half = pause.took_ns // 2
    explanations = (
        ("scheduler", delay_ns),
        ("rotation", pause.rotation_ns),
        ("collector", pause.collector_ns),
        ("faults", faults_ns),
        ("write", pause.write_ns),
        ("work", cpu_ns),
    )
    found = next((cause for cause, took_ns in explanations if took_ns >= half), "")
    if not found:
        most, most_ns = max(explanations, key=lambda one: one[1])
        found = most if most_ns >= half // 2 else "other"
    return "shipper" if found == "scheduler" and shipper_in_the_way() else found


class GapMeter:
    """Counts pauses on a page by their cause."""

    def __init__(self, view: Any, shipper_pid: Callable[[], int | None], log: Callable[[str], None]) -> None:
        """`view` is the page as int64; `shipper_pid` tells whom else to suspect; `log` hears of each pause."""
        self._view, self._shipper_pid, self._log = view, shipper_pid, log
        self._witness = Witness()
        self._before: Sample | None = None
        self._collection_began_ns = 0
        #: Collector time not yet looked at, ns.
        self.collector_ns = 0

    def close(self) -> None:
        """Stop listening to the collector."""
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._on_collection)
        self._witness.close()

    def begin(self) -> None:
        """The thread that calls is the one to watch from now on, and the collector with it."""
        self.close()
        self._witness = Witness()
        gc.callbacks.append(self._on_collection)

    def compare_from_here(self) -> None:
        """What a pause will be compared with; called now and then, in the loop's thread."""
        self._before = self._witness.sample()
        self.collector_ns = 0

    def pause(self, pause: Pause) -> str:
        """Count a pause; its cause."""
        after = self._witness.sample()
        before = self._before or after
        cause = cause_of(pause, before, after, lambda: stood_in_the_way(self._shipper_pid() or 0))
        index = CAUSES.index(cause)
        self._view[GAPS + index] += 1
        self._view[TOOK + index] += pause.took_ns
        self._view[LONGEST + index] = max(self._view[LONGEST + index], pause.took_ns)
        self._before, self.collector_ns = after, 0
        self._log(f"pause of {pause.took_ns / 1e6:.1f} ms: {cause}")
        return cause

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        now_ns = time.perf_counter_ns()
        if phase == "start":
            self._collection_began_ns = now_ns
        elif self._collection_began_ns:
            took_ns = now_ns - self._collection_began_ns
            self.collector_ns += took_ns
            self._view[COLLECTIONS] += 1
            self._view[COLLECTION_NS] += took_ns


def late_by_ns(waited_ns: int, timeout_s: float) -> int:
    """How much later than asked for an idle wait ended, beyond the rounding of the system."""
    asked_ns = math.ceil(timeout_s * 1e9 / SLEEP_STEP_NS) * SLEEP_STEP_NS
    return max(0, waited_ns - asked_ns)
