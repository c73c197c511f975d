"""Matching alone, and the codec alone: kernels in compiled loops, each beside an empty one.

Rates are of processor time of the one thread, which is what a machine that does nothing else takes.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from fixsim.bench import kernels, ticks
from fixsim.bench.bare import bare_drives, silent_drive
from fixsim.bench.drive import drive
from fixsim.bench.flow import CANCELS, NEW, NEWS, PER_SYMBOL, TRADES, Made
from fixsim.bench.frames import Frames
from fixsim.bench.plan import Plan, Say, spread
from fixsim.bench.stage import Stage
from fixsim.config import Config
from fixsim.engine.machine import Machine
from fixsim.errors import VenueError
from fixsim.units import format_utc_timestamp

#: Orders of the run that compiles.
COMPILING: Final = 50
#: Rows of a table at least.
ROOM_MIN: Final = 1 << 17


def seconds_of(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Processor seconds of one call, and what it returned."""
    before = time.thread_time()
    answer = work(*arguments)
    return max(time.thread_time() - before, 1e-9), answer


def sized(config: Config, operations: int) -> Config:
    """`config` with tables that just hold the run: their pages are touched beforehand, as they are in an exchange that has run
    for a while."""
    room = max(ROOM_MIN, 2 * operations)
    wanted = replace(config.capacities, orders=room, clordid_memory=room, price_levels=ROOM_MIN)
    return replace(config, capacities=wanted)


class Workload:
    """One flow over one session, as columns and as frames."""

    def __init__(self, plan: Plan, flow: str | None = None) -> None:
        self.plan, self.now_ns = plan, time.time_ns()
        self.names = plan.names()
        self.made: Made = plan.made(flow, sessions=1)
        self.frames: Frames = plan.frames(self.made, 1, plan.symbols, format_utc_timestamp(self.now_ns, 3))
        self.total = self.made.flow.kind.size
        self.operations = self.total - self.made.preload
        self.timed = self.frames.octets[self.frames.starts[self.made.preload] :]

    def stage(self, part: int | None = None) -> Stage:
        """A fresh exchange with the preload in its books, or only its first `part` operations."""
        stage = Stage(sized(self.plan.config, self.total), self.names, 1, self.now_ns)
        kernels.touch(stage)
        end = self.frames.starts[self.made.preload if part is None else part]
        stage.feed(0, self.frames.octets[:end])
        return stage

    def driven(self, drive: Callable[..., Any], ids: Any) -> tuple[Any, ...]:
        """What a driver is called with, its preload carried out: that every symbol has a book is the exchange's doing."""
        first = PER_SYMBOL * self.plan.symbols
        stage = self.stage(first)
        machine = kernels.machine_of(stage)
        books = kernels.books_of(machine, self.names)
        arguments = (machine, stage.slot(0), self.made.flow, ids, books, self.names.grid.lowest)
        drive(*arguments, first, self.made.preload)
        return arguments

    def driven_by_row(self, drive: Callable[..., Any]) -> tuple[Any, ...]:
        """As `driven`, for a driver that knows orders by their rows."""
        first = PER_SYMBOL * self.plan.symbols
        stage = self.stage(first)
        machine, slot = kernels.machine_of(stage), stage.slot(0)
        rows = kernels.rows_of(machine, slot, first, self.total)
        arguments = (machine, slot, self.made.flow, rows, kernels.books_of(machine, self.names), self.names.grid.lowest)
        drive(*arguments, first, self.made.preload)
        return arguments

    def expected_reports(self) -> int:
        """Reports the timed part causes."""
        return int(self.made.expected[1, [NEWS, CANCELS, TRADES]].sum())


def compile_all(plan: Plan, progress: Say) -> float:
    """Run everything once on a small flow, so that nothing compiles under a clock; seconds it took."""
    from fixsim.gateway.warmup import compile_kernels

    began = time.perf_counter()
    compile_kernels(progress)
    small = replace(plan, orders=COMPILING, rounds=1)
    measure_books(small)
    measure_codec(small)
    measure_fast_door(Workload(small))
    return time.perf_counter() - began


def measure_books(plan: Plan, flow: str | None = None) -> dict[str, Any]:
    """Operations per second of the books: nothing, matching of orders known by their rows, ids as text, reports rendered.

    `matching_ns` are percentiles of single operations, where the processor has a clock for them. Raises VenueError when the
    books did not give as many reports as the naive ones.
    """
    work = Workload(plan, flow)
    ids = kernels.make_ids(work.total)
    named = {"empty": kernels.empty_drive, "with_ids": silent_drive(), "with_reports": drive}
    rates: dict[str, list[float]] = {name: [] for name in (*named, "matching")}
    for _ in range(plan.rounds):
        for name, one in named.items():
            arguments = work.driven(one, ids)
            rates[name].append(timed(work, name, arguments[0], one, *arguments, work.made.preload, work.total))
        arguments = work.driven_by_row(bare_drives()[0])
        rates["matching"].append(
            timed(work, "matching", arguments[0], bare_drives()[0], *arguments, work.made.preload, work.total)
        )
    figures: dict[str, Any] = {f"{name}_per_s": spread(values) for name, values in rates.items()}
    if ticks.AVAILABLE:
        figures["matching_ns"] = matching_ns(work)
    return figures | {"operations": work.operations, "reports": work.expected_reports(), "correct": True}


def timed(work: Workload, name: str, machine: Machine, one: Callable[..., Any], *arguments: Any) -> float:
    """Operations per second of the timed part. Raises VenueError when the books did not give the reports of the naive ones."""
    before = kernels.reports_of(machine)
    seconds, _ = seconds_of(one, *arguments)
    got = kernels.reports_of(machine) - before
    if name != "empty" and got != work.expected_reports():
        raise VenueError(f"book, {name}: {got} reports instead of {work.expected_reports()}")
    return work.operations / seconds


def matching_ns(work: Workload) -> dict[str, float]:
    """Percentiles of one operation, ns, one look at the clock included: several ns, which is the resolution."""
    plain, looking = bare_drives()
    arguments = work.driven_by_row(plain)
    taken = np.zeros(work.operations, np.int64)
    began, first = time.perf_counter_ns(), kernels.look()
    looking(*arguments, work.made.preload, work.total, taken)
    ns_per_tick = (time.perf_counter_ns() - began) / (kernels.look() - first)
    found = np.percentile(taken, [50, 99, 99.9, 100]) * ns_per_tick
    return {name: round(float(value), 1) for name, value in zip(("p50", "p99", "p999", "max"), found, strict=True)}


def measure_codec(plan: Plan) -> dict[str, Any]:
    """NewOrderSingle(D) parsed and ExecutionReport(8) encoded per second.

    The empty baselines read the same bytes once, and copy a report that is there already. Raises VenueError when a frame
    was not understood.
    """
    work = Workload(plan, "resting")
    stage = work.stage()
    machine, grid = kernels.machine_of(stage), work.names.grid
    slot, name = kernels.order_of(machine, stage.slot(0), int(np.flatnonzero(work.made.flow.kind == NEW)[0]))
    kernels.encode_reports(machine, slot, name, 1)
    length = int(machine.tape[0]["used"])
    source = machine.batch[:length].copy()
    jobs: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "read_baseline": (kernels.add_frames, (work.timed,)),
        "parse": (kernels.parse_frames, (machine, work.timed, grid.price_decimals, grid.qty_decimals)),
        "copy_baseline": (kernels.copy_reports, (machine, length, source, work.operations)),
        "encode": (kernels.encode_reports, (machine, slot, name, work.operations)),
    }
    rates: dict[str, list[float]] = {job: [] for job in jobs}
    for _ in range(plan.rounds):
        for job, (one, arguments) in jobs.items():
            seconds, answer = seconds_of(one, *arguments)
            rates[job].append(work.operations / seconds)
            if job == "parse" and answer != work.operations:
                raise VenueError(f"codec: frame {answer} of {work.operations} was not understood")
    figures: dict[str, Any] = {f"{job}_per_s": spread(values) for job, values in rates.items()}
    return figures | {"frame_bytes": round(len(work.timed) / work.operations), "record_bytes": length, "correct": True}


def measure_fast_door(work: Workload) -> dict[str, Any]:
    """ns of an operation in each piece of the fast door, medians of rounds; `reports` and `bytes` (of journal) are each
    operation's too.

    Raises VenueError when a frame went to the slow door.
    """
    found: dict[str, list[float]] = {}
    ids = kernels.make_ids(work.total)

    def note(name: str, seconds: float) -> None:
        found.setdefault(name, []).append(1e9 * seconds / work.operations)

    for _ in range(work.plan.rounds):
        stage = work.stage()
        machine, slot = kernels.machine_of(stage), stage.slot(0)
        note("walk", seconds_of(kernels.walk_frames, work.timed)[0])
        note("scan", seconds_of(kernels.scan_frames, machine, work.timed)[0])
        note("record", seconds_of(kernels.record_frames, machine, slot, work.timed)[0])
        kernels.machine_of(stage)
        seconds, used = seconds_of(kernels.run_all, machine, slot, work.timed, 0)
        if used != len(work.timed):
            raise VenueError(f"the fast door left the frame at byte {used} of {len(work.timed)}")
        note("all", seconds)
        for name, one in (("book", silent_drive()), ("reported", drive), ("empty", kernels.empty_drive)):
            arguments = work.driven(one, ids)
            note(name, seconds_of(one, *arguments, work.made.preload, work.total)[0])
    return {name: float(np.median(values)) for name, values in found.items()}
