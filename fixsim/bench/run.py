"""The whole benchmark: each part, the layers, and what the figures were taken on."""

from dataclasses import replace
from typing import Any, Final

import numba

from fixsim.bench.book import compile_all, measure_books, measure_codec
from fixsim.bench.facts import facts
from fixsim.bench.flow import FLOWS
from fixsim.bench.journal import measure_journal
from fixsim.bench.layers import measure_layers
from fixsim.bench.plan import RESTING, SESSIONS, SYMBOLS, Plan, Say
from fixsim.bench.recovery import measure_recovery, measure_starts
from fixsim.bench.shipping import measure_shipping
from fixsim.bench.wire import measure_cell, measure_latency
from fixsim.errors import UsageError

#: Records of a batch of the journal part, and journal records of an operation.
BATCH_RECORDS: Final = 256
RECORDS_PER_ORDER: Final = 2.2
#: The shipper is two orders of magnitude slower than the exchange: a fraction is enough.
SHIPPED_MAX: Final = 400_000
SYNCED_BATCHES: Final = 200


def measure(plan: Plan, progress: Say) -> dict[str, Any]:
    """Everything `plan` asks for, as one object that can be written as JSON.

    Raises VenueError when an answer was wrong or did not come, UsageError when the configuration cannot carry the flow.
    """
    plan.names()
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise UsageError("NUMBA_DISABLE_JIT is set: kernels that are not compiled are not worth measuring")
    parts: dict[str, Any] = {}
    progress("compiling")
    compile_s = compile_all(plan, progress)
    progress("book and codec")
    parts["book"] = {flow: measure_books(plan, flow) for flow in (FLOWS if plan.comprehensive else (plan.flow,))}
    parts["codec"] = measure_codec(plan)
    progress("journal")
    batches = max(1, int(RECORDS_PER_ORDER * plan.orders / BATCH_RECORDS))
    parts["journal"] = measure_journal(batches, syncs=min(batches, SYNCED_BATCHES))
    parts["recovery"] = measure_recovery(plan, progress)
    if plan.database_url != "none":
        messages = min(SHIPPED_MAX, int(RECORDS_PER_ORDER * plan.orders))
        progress(f"shipping {messages} messages")
        parts["shipping"] = measure_shipping(messages, max(1, min(10, plan.sessions)), progress=progress)
    parts["wire"] = [measure_cell(plan, *cell, progress) for cell in cells(plan)]
    if plan.comprehensive:
        parts["resting"] = [measure_resting(replace(plan, preload=preload), progress) for preload in RESTING]
    parts["latency"] = measure_latency(plan, progress)
    # the kernels are timed on one session: so is the figure they add up to
    single = next((cell for cell in parts["wire"] if (cell["flow"], cell["sessions"], cell["symbols"]) == _single(plan)), None)
    single = single or measure_cell(plan, 1, plan.symbols, None, progress)
    progress("layers")
    return {
        "workload": workload(plan), **facts(), "compile_s": round(compile_s, 1),
        "warm_up": "each kernel once on a small flow; the preload of each round is not timed",
        "parts": parts, "layers": measure_layers(plan, single),
    }  # fmt: skip


def measure_alone(plan: Plan, progress: Say) -> dict[str, Any]:
    """What a start takes, and on what that was measured. Raises as `measure`."""
    plan.names()
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise UsageError("NUMBA_DISABLE_JIT is set: kernels that are not compiled are not worth measuring")
    progress("compiling")
    compile_all(plan, progress)
    return {"workload": workload(plan), **facts(), "recovery": measure_starts(plan, progress)}


def measure_resting(plan: Plan, progress: Say) -> dict[str, Any]:
    """Books and wire with `plan.preload` orders resting."""
    progress(f"{plan.preload} resting orders")
    books = measure_books(plan)
    return {
        "resting": plan.preload, "matching_per_s": books["matching_per_s"], "with_reports_per_s": books["with_reports_per_s"],
        "wire": measure_cell(plan, 1, plan.symbols, None, progress),
    }  # fmt: skip


def _single(plan: Plan) -> tuple[str, int, int]:
    return plan.flow, 1, plan.symbols


def workload(plan: Plan) -> dict[str, Any]:
    """What was asked for."""
    kept = ("orders", "flow", "sessions", "symbols", "rounds", "window", "seed", "comprehensive", "database_url")
    shown = {name: getattr(plan, name) for name in kept}
    if "://" in plan.database_url:
        shown["database_url"] = "postgresql"  # an address may hold a password
    return shown


def cells(plan: Plan) -> list[tuple[int, int, str | None]]:
    """(sessions, symbols, flow) of each wire figure: the one asked for; comprehensive: every flow, and the curves."""
    found: list[tuple[int, int, str | None]] = [(plan.sessions, plan.symbols, plan.flow)]
    if plan.comprehensive:
        found += [(plan.sessions, plan.symbols, flow) for flow in FLOWS]
        found += [(sessions, plan.symbols, plan.flow) for sessions in SESSIONS]
        found += [(plan.sessions, symbols, plan.flow) for symbols in SYMBOLS if _fits(plan, symbols)]
    return list(dict.fromkeys(found))


def _fits(plan: Plan, symbols: int) -> bool:
    return symbols <= plan.config.capacities.instruments and any(one.is_pattern for one in plan.config.instruments)
