"""The wire: a real exchange process with everything on, a client on real sockets; beside it an acceptor that only answers.

Every round has a fresh exchange, and one round of each stands beside one of the other, so that a machine that slows down slows
both. Every report is checked after its round; a round that is not correct ends the run.
"""

from typing import Any, Final

import numpy as np

from fixsim.bench.flow import CANCELS, NEWS, TRADES, Made
from fixsim.bench.frames import Frames
from fixsim.bench.load import Client, logged_on, now_stamp
from fixsim.bench.plan import Plan, Say, spread
from fixsim.bench.process import Acceptor, canned, exchange, on_processor, processors
from fixsim.bench.reports import Checker
from fixsim.errors import VenueError

#: Percentiles of an acknowledgement, in us.
PERCENTILES: Final = {"p50": 50.0, "p99": 99.0, "p99_9": 99.9, "max": 100.0}


def due(made: Made) -> tuple[int, int]:
    """Reports of the preload, and of all."""
    counted = made.expected[:, [NEWS, CANCELS, TRADES]].sum(axis=1)
    return int(counted[0]), int(counted.sum())


class Load:
    """One flow, made for so many sessions and symbols; rendered anew before each run, because times get old."""

    def __init__(self, plan: Plan, sessions: int, symbols: int, flow: str | None = None) -> None:
        self.plan, self.sessions, self.symbols = plan, sessions, symbols
        self.made = plan.made(flow, sessions, symbols)
        self.names = plan.names(symbols)
        self.operations = self.made.flow.kind.size - self.made.preload

    def render(self) -> Frames:
        """The frames, of this moment."""
        return self.plan.frames(self.made, self.sessions, self.symbols, now_stamp())

    def offer(self, acceptor: Acceptor, answers: bool = True) -> dict[str, Any]:
        """The preload, then the timed part; seconds of it, and the processor seconds of the acceptor meanwhile.

        `answers` is False for an acceptor that answers each order once. Raises VenueError when what came is wrong.
        """
        frames = self.render()
        before, total = due(self.made) if answers else (self.made.preload, self.made.flow.kind.size)
        with logged_on(acceptor.port, frames, self.names.venue, total) as client:
            checker = Checker(client, self.made, self.names.grid)
            client.run(frames.first[:-1] + frames.preload, before, self.plan.window)
            began = acceptor.cpu_s()
            seconds = client.run(frames.first[1:], total, self.plan.window)
            ended = acceptor.cpu_s()
            reports = total - before
            check(client, checker, total, answers)
        return {
            "seconds": seconds, "orders_per_s": self.operations / seconds, "reports_per_s": reports / seconds,
            "user_s": ended[0] - began[0], "system_s": ended[1] - began[1],
        }  # fmt: skip

    def ping(self, acceptor: Acceptor, answers: bool = True) -> dict[str, float]:
        """One operation at a time: us from the call of `send` to the first report."""
        frames = self.render()
        before, total = due(self.made) if answers else (self.made.preload, self.made.flow.kind.size)
        goals = np.ones(self.operations, np.int64)
        with logged_on(acceptor.port, frames, self.names.venue, total) as client:
            checker = Checker(client, self.made, self.names.grid)
            client.run(frames.first[:-1] + frames.preload, before, self.plan.window)
            took = client.latencies(goals, int(frames.preload[0])) / 1e3
            client.counts[0] += self.operations
            check(client, checker, total, answers)
        return {name: float(np.percentile(took, at)) for name, at in PERCENTILES.items()}


def check(client: Client, checker: Checker, total: int, answers: bool) -> None:
    """Whether what came is what had to come. Raises VenueError."""
    if not answers:
        if client.counts[0] != total:
            raise VenueError(f"wire, canned: {client.counts[0]} reports instead of {total}")
        return
    verdict = checker.verdict()
    if not verdict["correct"]:
        raise VenueError(f"wire: the reports are wrong in {', '.join(verdict['wrong'])}")


def measure_cell(plan: Plan, sessions: int, symbols: int, flow: str | None, progress: Say) -> dict[str, Any]:
    """Orders per second of the exchange and of the canned acceptor, in turns; medians and noise of the rounds."""
    load = Load(plan, sessions, symbols, flow)
    rows: dict[str, list[dict[str, Any]]] = {"exchange": [], "canned": []}
    server, own = processors() or (None, None)
    for number in range(plan.rounds):
        progress(f"wire, {flow or plan.flow}, {sessions} sessions, {symbols} symbols: round {number + 1} of {plan.rounds}")
        with exchange(plan.config_path, plan.database_url, server) as acceptor, on_processor(own):
            rows["exchange"].append(load.offer(acceptor))
        with canned(server) as acceptor, on_processor(own):
            rows["canned"].append(load.offer(acceptor, answers=False))
    real, floor = rows["exchange"], rows["canned"]
    figures: dict[str, Any] = {
        "flow": flow or plan.flow, "sessions": sessions, "symbols": symbols, "window": plan.window,
        "operations": load.operations, "preloaded": load.made.preload, "reports": due(load.made)[1] - due(load.made)[0],
        "cancels": load.made.cancels, "correct": True,
        "orders_per_s": spread([row["orders_per_s"] for row in real]),
        "reports_per_s": spread([row["reports_per_s"] for row in real]),
        "user_us_per_order": spread([1e6 * row["user_s"] / load.operations for row in real], 3),
        "system_us_per_order": spread([1e6 * row["system_s"] / load.operations for row in real], 3),
        "canned_orders_per_s": spread([row["orders_per_s"] for row in floor]),
    }  # fmt: skip
    figures["share_of_canned"] = round(figures["orders_per_s"]["median"] / figures["canned_orders_per_s"]["median"], 3)
    return figures


def measure_latency(plan: Plan, progress: Say) -> dict[str, Any]:
    """Acknowledgements one at a time (resting orders, one session), of the exchange and of the canned acceptor, in us."""
    from dataclasses import replace

    load = Load(replace(plan, orders=plan.pings), 1, 1, "resting")
    server, own = processors() or (None, None)
    rows: dict[str, list[dict[str, float]]] = {"exchange": [], "canned": []}
    for number in range(plan.rounds):
        progress(f"latency: round {number + 1} of {plan.rounds}")
        with exchange(plan.config_path, plan.database_url, server) as acceptor, on_processor(own):
            rows["exchange"].append(load.ping(acceptor))
        with canned(server) as acceptor, on_processor(own):
            rows["canned"].append(load.ping(acceptor, answers=False))
    figures: dict[str, Any] = {"operations": load.operations, "flow": "resting", "correct": True}
    for who, found in rows.items():
        figures[f"{who}_us"] = {name: spread([row[name] for row in found], 1) for name in PERCENTILES}
    middle = {who: figures[f"{who}_us"]["p50"]["median"] for who in rows}
    figures["times_canned_p50"] = round(middle["exchange"] / middle["canned"], 2)
    return figures
