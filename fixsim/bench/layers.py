"""Where the time of one order goes: layers that add up to the end-to-end figure.

Kernels are timed one on top of the other, the journal by a real one, the loop around them and the system calls by the
processor time of the real process. What is left of the wall clock is the time in which the process waited. Nothing is scaled: a
layer that is the difference of two measurements carries the noise of both, and may even be below zero.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from fixsim.bench.book import Workload, measure_fast_door
from fixsim.bench.plan import Plan
from fixsim.bench.recovery import run_through


def measure_layers(plan: Plan, wire: dict[str, Any]) -> dict[str, Any]:
    """Rows of (layer, ns of an order, what it is), and their sum; `wire` is the figure of one session."""
    work = Workload(plan)
    door = measure_fast_door(work)
    through: list[dict[str, float]] = []
    for _ in range(plan.rounds):
        with tempfile.TemporaryDirectory(prefix="fixsim-bench-") as name:
            through.append(run_through(work, Path(name)))
    inside = {key: statistics.median(row[key] for row in through) for key in through[0]}
    user, system = (1e3 * float(wire[f"{kind}_us_per_order"]["median"]) for kind in ("user", "system"))
    wall = 1e9 / float(wire["orders_per_s"]["median"])
    reported = door["reported"] - door["empty"]
    book, record = door["book"] - door["empty"], door["record"] - door["scan"]
    written = min(inside["journal"], inside["system"])
    sealed = inside["journal"] - written
    rows = [
        ("scan", door["scan"], "BeginString, BodyLength, CheckSum, where each field lies"),
        ("admit", door["all"] - door["scan"] - record - reported, "session, numbers, instrument, ids"),
        ("book", book, "match, queue, remember ids"),
        ("report", door["reported"] - door["book"], "ExecutionReports rendered behind their OUT record"),
        ("tape", record, "the IN record"),
        ("journal", inside["journal"], "seal, CRC, one write"),
        ("loop", user - door["all"] - sealed, "what is left of the process's own time: whose turn it is, what is owed to whom"),
        ("system calls", system - written, "receive, send, wait; not the journal's write"),
        ("waiting", wall - user - system, "the process had nothing to do, or no processor"),
    ]
    return {
        "rows": [{"layer": layer, "ns": round(ns), "what": what} for layer, ns, what in rows],
        "sum_ns": round(sum(ns for _, ns, _ in rows)), "end_to_end_ns": round(wall),
        "journal_bytes_per_order": round(inside["bytes"]), "flow": plan.flow, "operations": work.operations,
    }  # fmt: skip
