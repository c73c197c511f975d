"""What happened between two readings, in JSON values: what `fixsim top` shows and `fixsim profile` reports."""

from typing import Any, Final

from fixsim.console.latency import PERCENTILES, summary_of
from fixsim.console.observer import Reading
from fixsim.feed.page import CAUSES, STAGES

#: Counters whose rate is told.
RATES: Final = ("orders", "trades", "messages_in", "messages_out", "journal_bytes", "batches", "turns", "slow_frames")
#: Counters of things that should be rare: their growth is told, not their rate.
GROWTHS: Final = ("garbled", "sequence_gaps", "resends", "logouts", "rotations", "collections")
#: States.
STATES: Final = ("sessions", "open_orders", "journal_position")


def compare(earlier: Reading, later: Reading) -> dict[str, Any]:
    """Rates per second, percentiles in us, pauses by cause and use of the processes between the two."""
    after = later.exchange
    same = earlier.exchange["header"]["started_ns"] == after["header"]["started_ns"]
    before = earlier.exchange if same else None
    seconds = max(1e-9, (later.at_ns - earlier.at_ns) / 1e9)

    def growth(*path: str | int) -> int:
        old, new = before, after
        for step in path:
            old, new = None if old is None else old[step], new[step]
        return int(new) - (0 if old is None else int(old))

    lag = later.lag
    return {
        "time_ns": later.at_ns,
        "interval_s": round(seconds, 3),
        "status": "running" if later.is_running else "stopped",
        "restarted": not same,
        "per_second": {name: round(growth(name) / seconds, 1) for name in RATES},
        "more": {**{name: growth(name) for name in GROWTHS}, "rejects": _rejects(before, after)},
        **{name: int(after[name]) for name in STATES},
        "latency_us": latencies(before, after),
        "batch_records": _in_figures(after["batch_records"], None if before is None else before["batch_records"], 1),
        "pauses": {
            cause: {
                "count": growth("gaps", place),
                "ms": round(growth("gap_ns", place) / 1e6, 3),
                "max_ms_since_start": round(int(after["gap_max_ns"][place]) / 1e6, 3),
            }
            for place, cause in enumerate(CAUSES)
        },
        "shipping": None if lag is None else {"lag_bytes": lag.bytes, "lag_s": round(lag.seconds, 3)},
        "processes": _uses(earlier, later, seconds),
    }


def latencies(before: Any | None, after: Any) -> dict[str, dict[str, Any]]:
    """Figures of receive-to-sent (`sent`, once for each message), of turns, and of their stages, us."""
    shown = {"sent": after["latency"], "turn": after["turn"]}
    old = {} if before is None else {"sent": before["latency"], "turn": before["turn"]}
    for place, stage in enumerate(STAGES):
        shown[stage] = after["stages"][place]
        if before is not None:
            old[stage] = before["stages"][place]
    return {name: _in_figures(row, old.get(name), 1_000) for name, row in shown.items()}


def _in_figures(later: Any, earlier: Any | None, unit: int) -> dict[str, Any]:
    summary = summary_of(later, earlier)
    at = {f"p{percentile:g}": round(value / unit, 1) for percentile, value in zip(PERCENTILES, summary.at, strict=True)}
    return {"count": summary.count, "mean": round(summary.mean / unit, 1), **at, "max": round(summary.max / unit, 1)}


def _rejects(before: Any | None, after: Any) -> int:
    return int(after["rejects"].sum()) - (0 if before is None else int(before["rejects"].sum()))


def _uses(earlier: Reading, later: Reading, seconds: float) -> dict[str, dict[str, Any]]:
    found = {}
    for name, use in later.processes.items():
        past = earlier.processes.get(name)
        used_s = use.cpu_s - past.cpu_s if past is not None and past.pid == use.pid else 0.0
        found[name] = {
            "pid": use.pid, "cpu_percent": round(100 * max(0.0, used_s) / seconds, 1), "memory_bytes": use.memory_bytes,
        }  # fmt: skip
    return found
