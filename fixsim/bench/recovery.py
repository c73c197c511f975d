"""The exchange without its gateway: one flow through it into a real journal, and a start from that journal.

The first gives the layers between kernels and sockets; the second is recovery and `fixsim replay`, beside a reader that only
checks the seals. A third is what a start takes with a snapshot and without, from files that lie in memory and from files that
do not.
"""

import gc
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from fixsim.bench.book import Workload
from fixsim.bench.plan import Plan, Say, spread
from fixsim.bench.stage import Stage
from fixsim.errors import VenueError
from fixsim.exchange.opening import open_venue
from fixsim.exchange.replay import Replay
from fixsim.exchange.shadow import Shadow
from fixsim.exchange.snapshots import Snapshots, snapshots_directory
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory

#: How much of the journal lies in front of the snapshot that a start begins with, in per cent.
IN_FRONT: Final = 95


def run_through(work: Workload, data_dir: Path) -> dict[str, float]:
    """Feed the timed part of a flow to an exchange with a real journal: ns and bytes of an operation.

    `journal` is what the journal's append takes, `system` what is spent in system calls.
    """
    stage = Stage(work.plan.config, work.names, 1, work.now_ns, data_dir)
    try:
        stage.feed_preload(work.frames)
        stage.time_journal()
        assert stage.opened is not None
        before, position = os.times(), stage.opened.writer.position
        stage.feed(0, work.timed)
        after = os.times()
        each = 1e9 / work.operations
        return {
            "journal": stage.journal_s * each, "system": (after.system - before.system) * each,
            "bytes": (stage.opened.writer.position - position) / work.operations,
        }  # fmt: skip
    finally:
        stage.close()


def measure_recovery(plan: Plan, progress: Say) -> dict[str, Any]:
    """Orders per second that a start and a replay carry out again, every byte compared; the baseline checks the seals."""
    work = Workload(plan)
    rates: dict[str, list[float]] = {"recovered": [], "replayed": [], "read": []}
    with tempfile.TemporaryDirectory(prefix="fixsim-bench-") as name:
        data_dir = Path(name)
        run_through(work, data_dir)
        end = Reader(journal_directory(data_dir)).last_seal().end
        messages = 0
        for number in range(plan.rounds):
            progress(f"recovery: round {number + 1} of {plan.rounds}")
            gc.collect()  # an exchange is a ring of objects around large tables
            before = time.perf_counter()
            for _ in Reader(journal_directory(data_dir)).batches():
                pass
            rates["read"].append(work.total / (time.perf_counter() - before))
            before = time.perf_counter()
            replay = Replay(Reader(journal_directory(data_dir)), fix44())
            replay.run()
            rates["replayed"].append(work.total / (time.perf_counter() - before))
            messages = replay.records
            before = time.perf_counter()
            opened = open_venue(plan.config, data_dir, work.now_ns)
            rates["recovered"].append(work.total / (time.perf_counter() - before))
            recovered = opened.writer.position
            opened.writer.close()
            if recovered < end:
                raise VenueError(f"recovery ended at position {recovered} of {end}")
    return {
        "orders": work.total, "messages": messages, "journal_bytes": end, "correct": True,
        "recovered_orders_per_s": spread(rates["recovered"]), "replayed_orders_per_s": spread(rates["replayed"]),
        "recovered_messages_per_s": spread([rate * messages / work.total for rate in rates["recovered"]]),
        "read_baseline_orders_per_s": spread(rates["read"]),
    }  # fmt: skip


def measure_starts(plan: Plan, progress: Say) -> dict[str, Any]:
    """Seconds a start takes until its START record is sealed, of wall clock and of processor: with the snapshot a shadow took
    when IN_FRONT per cent of the journal were carried out, and without; `warm` from files in memory, `cold` from the disk.
    And what the shadow took.
    """
    work = Workload(plan)
    seconds: dict[str, list[float]] = {}
    busy: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="fixsim-bench-") as name:
        data_dir = Path(name)
        progress(f"recovery: a journal of {work.total} orders")
        run_through(work, data_dir)
        end = Reader(journal_directory(data_dir)).last_seal().end
        progress("recovery: the shadow")
        shadow, snapshot = _shadowed(data_dir, end)
        for number in range(plan.rounds):
            for files in ("warm", "cold"):
                for snapshots in (True, False):
                    what = f"{files}, {'with' if snapshots else 'without'} a snapshot"
                    progress(f"recovery: round {number + 1} of {plan.rounds}, {what}")
                    gc.collect()
                    if files == "cold":
                        _forget(data_dir)
                    before, used = time.perf_counter(), time.process_time()
                    opened = open_venue(plan.config, data_dir, work.now_ns, snapshots=snapshots)
                    seconds.setdefault(what, []).append(time.perf_counter() - before)
                    busy.setdefault(what, []).append(time.process_time() - used)
                    opened.writer.close()
                    if (opened.snapshot >= 0) != snapshots or opened.notes:
                        raise VenueError(f"the start did not begin as it should: {opened.snapshot}, {opened.notes}")
    return {
        "orders": work.total, "messages": shadow["records"], "journal_bytes": end, "snapshot": snapshot, "shadow": shadow,
        "seconds": {what: spread(values, 2) for what, values in seconds.items()},
        "processor_s": {what: spread(values, 2) for what, values in busy.items()},
    }  # fmt: skip


def _shadowed(data_dir: Path, end: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have a shadow carry out the journal, with one snapshot on the way; what both took."""
    reader, snapshots = Reader(journal_directory(data_dir)), Snapshots(snapshots_directory(data_dir))
    began, took = time.perf_counter(), 0.0
    shadow = Shadow.open(reader, snapshots, fix44(), lambda: False, lambda note: None)
    assert shadow is not None
    snapshot: dict[str, Any] = {}
    while shadow.turn():
        if not snapshot and 100 * shadow.position >= IN_FRONT * end and (place := shadow.place) is not None:
            before = time.perf_counter()
            path, header = snapshots.write(shadow.exchange, place, 1)
            took = time.perf_counter() - before
            snapshot = {"position": header.position, "bytes": path.stat().st_size, "seconds": round(took, 2)}
    seconds = time.perf_counter() - began - took
    return {"records": shadow.records, "seconds": round(seconds, 2), "records_per_s": round(shadow.records / seconds)}, snapshot


def _forget(data_dir: Path) -> None:
    """Have the system drop its copies of all files in memory."""
    for path in data_dir.rglob("*.fix[js]"):
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
