"""The exchange without its gateway: one flow through it into a real journal, and a start from that journal.

The first gives the layers between kernels and sockets; the second is recovery and `fixsim replay`, beside a reader that only
checks the seals.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from fixsim.bench.book import Workload
from fixsim.bench.plan import Plan, Say, spread
from fixsim.bench.stage import Stage
from fixsim.errors import VenueError
from fixsim.exchange.opening import open_venue
from fixsim.exchange.replay import Replay
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory


def run_through(work: Workload, data_dir: Path) -> dict[str, float]:
    """Feed the timed part of a flow to an exchange with a real journal: ns and bytes of an operation.

    `all` is wall clock, `journal` what of it is the journal's append, `system` what of it is spent in system calls.
    """
    stage = Stage(work.plan.config, work.names, 1, work.now_ns, data_dir)
    try:
        stage.feed_preload(work.frames)
        stage.time_journal()
        assert stage.opened is not None
        before, began, position = os.times(), time.perf_counter(), stage.opened.writer.position
        stage.feed(0, work.timed)
        seconds, after = time.perf_counter() - began, os.times()
        each = 1e9 / work.operations
        return {
            "all": seconds * each, "journal": stage.journal_s * each, "system": (after.system - before.system) * each,
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
