"""The readings as Prometheus metrics. docs/observability.md lists them; a test compares both."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from fixsim import __version__
from fixsim.console.latency import PERCENTILES, summary_of
from fixsim.console.observer import Observer, Reading
from fixsim.feed.mapped import PageError
from fixsim.feed.page import BUCKETS, CAUSES, REFUSALS, SLOTS, STAGES, reason_names, value_of

#: Quantiles are those of the last minute, or since the exchange or the console started.
WINDOW_S: Final = 60.0
#: Readings are kept this far apart for that.
STEP_S: Final = 5.0
NS: Final = 1e9

#: Upper bounds of the buckets shown: 1, 2.5, 5 of each power of ten.
SECONDS: Final = tuple(mantissa * 10.0**power for power in range(-6, 1) for mantissa in (1.0, 2.5, 5.0))
RECORDS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
BYTES: Final = tuple(1 << power for power in range(9, 24, 2))
#: Least value of each bucket of the page.
VALUES: Final = np.array([value_of(slot) for slot in range(SLOTS)])
PROCESSES: Final = ("exchange", "shipper", "database", "console", "shadow")

#: Counters whose metric is called as they are, with what they count.
PLAIN_COUNTERS: Final = {
    "orders": "NewOrderSingle(D) accepted",
    "trades": "fills; each is told to both sides",
    "executions": "ExecIDs given",
    "garbled": "stretches of bytes on live sessions that were no FIX message",
    "sequence_gaps": "gaps found in what a peer sends: ResendRequest(2) said",
    "resends": "ResendRequest(2) served",
    "logouts": "Logout(5) said",
    "journal_bytes": "bytes of records written to the journal",
    "rotations": "journal segments begun",
    "batches": "batches sealed",
    "turns": "turns of the loop",
    "turns_with_messages": "turns of the loop that took messages",
    "slow_frames": "frames that took the slow door",
    "collections": "runs of the garbage collector",
}
PLAIN_GAUGES: Final = {
    "sessions": "sessions connected",
    "open_orders": "orders in the books",
    "journal_position": "where the journal's next batch will lie, bytes from its beginning",
}


class Metrics:
    """A collector for prometheus_client: looks when it is asked."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._past: deque[tuple[float, Any]] = deque()

    def collect(self) -> Iterator[Metric]:
        """All metrics now; of an exchange that is not there nothing but that."""
        try:
            reading = self._observer.look()
        except PageError:
            yield from _up({})
            return
        yield from _up(reading.processes if reading.is_running else {**reading.processes, "exchange": None})
        yield from self._exchange(reading)
        yield from _pauses(reading.exchange)
        yield from _shipping(reading)
        yield from _shadow(reading)
        yield from _processes(reading)

    def remember(self) -> None:
        """Keep a reading for the quantiles of the last minute; called every STEP_S."""
        try:
            row = self._observer.look().exchange
        except PageError:
            self._past.clear()
            return
        now = time.monotonic()
        if self._past and self._past[-1][1]["header"]["started_ns"] != row["header"]["started_ns"]:
            self._past.clear()
        age_s = (time.time_ns() - int(row["header"]["started_ns"])) / NS
        if not self._past and age_s < WINDOW_S:
            self._past.append((now - age_s, _at_the_start(row)))
        self._past.append((now, row))
        while len(self._past) > 1 and now - self._past[1][0] > WINDOW_S:
            self._past.popleft()

    def before(self, row: Any) -> Any | None:
        """The reading a minute ago, or the first there is, of the same exchange; None for none."""
        if self._past and self._past[0][1]["header"]["started_ns"] == row["header"]["started_ns"]:
            return self._past[0][1]
        return None

    def _exchange(self, reading: Reading) -> Iterator[Metric]:
        row = reading.exchange
        header = row["header"]
        yield _gauge("start_time_seconds", "when the exchange started, seconds since 1970", int(header["started_ns"]) / NS)
        yield _gauge("page_age_seconds", "time since the counters were brought up to date", _age_s(reading))
        for name, text in PLAIN_COUNTERS.items():
            yield CounterMetricFamily(f"fixsim_{name}", text, value=int(row[name]))
        for name, text in PLAIN_GAUGES.items():
            yield _gauge(name, text, int(row[name]))
        messages = CounterMetricFamily(
            "fixsim_messages", "FIX messages taken, and said for the first time", labels=["direction"]
        )
        messages.add_metric(["in"], int(row["messages_in"]))
        messages.add_metric(["out"], int(row["messages_out"]))
        yield messages
        yield _rejects(row)
        yield _counter("collection_seconds", "time in the garbage collector", int(row["collection_ns"]) / NS)
        yield _histograms("batch_records", "records of a batch", {(): row["batch_records"]}, RECORDS, 1)
        yield _histograms("batch_size_bytes", "bytes of a batch", {(): row["batch_bytes"]}, BYTES, 1)
        yield _histograms("latency_seconds", "receive to sent, once for each message", {(): row["latency"]}, SECONDS, NS)
        yield _histograms("turn_seconds", "turns that took messages", {(): row["turn"]}, SECONDS, NS)
        stages: dict[tuple[str, ...], Any] = {(stage,): row["stages"][place] for place, stage in enumerate(STAGES)}
        yield _histograms("stage_seconds", "stages of those turns", stages, SECONDS, NS, ["stage"])
        yield self._quantiles(row)

    def _quantiles(self, row: Any) -> Metric:
        before = self.before(row)
        family = GaugeMetricFamily(
            "fixsim_latency_quantile_seconds",
            "quantiles of the last minute: sent is receive to sent",
            labels=["stage", "quantile"],
        )
        shown = {"sent": ("latency", None), **{stage: ("stages", place) for place, stage in enumerate(STAGES)}}
        for name, (key, place) in shown.items():
            later = row[key] if place is None else row[key][place]
            earlier = None if before is None else before[key] if place is None else before[key][place]
            summary = summary_of(later, earlier)
            for percentile, value in zip(PERCENTILES, summary.at, strict=True):
                family.add_metric([name, f"{percentile / 100:g}"], value / NS if summary.count else float("nan"))
        return family


def _at_the_start(row: Any) -> Any:
    """`row` as it was when the exchange started: nothing was counted."""
    blank = row.copy()
    for name in blank.dtype.names:
        if name != "header":
            blank[name] = np.zeros((), blank.dtype[name])
    return blank


def _age_s(reading: Reading) -> float:
    return max(0.0, (reading.at_ns - int(reading.exchange["header"]["updated_ns"])) / NS)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"fixsim_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"fixsim_{name}", text, value=value)


def _up(processes: dict[str, Any]) -> Iterator[Metric]:
    info = GaugeMetricFamily("fixsim_info", "always 1", labels=["version"])
    info.add_metric([__version__], 1)
    yield info
    family = GaugeMetricFamily("fixsim_up", "1 when the process runs", labels=["process"])
    for name in PROCESSES:
        family.add_metric([name], float(processes.get(name) is not None))
    yield family


def _rejects(row: Any) -> Metric:
    family = CounterMetricFamily(
        "fixsim_rejects", "refusals by the message that says them and its reason", labels=["message", "reason"]
    )
    for place, (message, (_, _, kind)) in enumerate(REFUSALS.items()):
        names = reason_names(kind)
        for reason, count in enumerate(row["rejects"][place]):
            if reason in names or count:
                family.add_metric([message, names.get(reason, str(reason))], int(count))
    return family


def _histograms(
    name: str,
    text: str,
    rows: dict[tuple[str, ...], Any],
    bounds: Iterable[float],
    unit: float,
    labels: list[str] | None = None,
) -> Metric:
    """Histograms of the page with bounds people and Prometheus like; `unit` is how many of the page's make one of ours."""
    family = HistogramMetricFamily(f"fixsim_{name}", text, labels=labels or [])
    for values, row in rows.items():
        up_to = np.concatenate(([0], np.cumsum(row["counts"])))
        # a bucket of the page belongs below a bound when it begins there
        buckets = [(_bound(bound), float(up_to[np.searchsorted(VALUES, bound * unit)])) for bound in bounds]
        family.add_metric(values, [*buckets, ("+Inf", float(up_to[-1]))], sum_value=int(row["sum"]) / unit)
    return family


def _bound(value: float) -> str:
    """As Prometheus writes a number: 5.0, 1e-06."""
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text


def _pauses(row: Any) -> Iterator[Metric]:
    count = CounterMetricFamily("fixsim_pauses", "turns and wake-ups that took more than 1 ms", labels=["cause"])
    took = CounterMetricFamily("fixsim_pause_seconds", "what they took together", labels=["cause"])
    longest = GaugeMetricFamily("fixsim_pause_max_seconds", "the longest of them", labels=["cause"])
    for place, cause in enumerate(CAUSES):
        count.add_metric([cause], int(row["gaps"][place]))
        took.add_metric([cause], int(row["gap_ns"][place]) / NS)
        longest.add_metric([cause], int(row["gap_max_ns"][place]) / NS)
    yield from (count, took, longest)


def _shipping(reading: Reading) -> Iterator[Metric]:
    row, lag = reading.shipping, reading.lag
    if lag is not None:
        yield _gauge("shipping_lag_bytes", "journal that is not in the database yet", lag.bytes)
        yield _gauge("shipping_lag_seconds", "age of the oldest record that is not in the database yet", lag.seconds)
    if row is not None:
        yield _gauge("shipped_messages", "messages in the database", int(row["messages"]))
        yield _counter("shipping_transactions", "transactions of the shipper", int(row["transactions"]))
        yield _counter("shipping_failures", "attempts to ship that failed", int(row["failures"]))


def _shadow(reading: Reading) -> Iterator[Metric]:
    row, lag = reading.shadow, reading.shadow_lag
    if row is None:
        return
    if lag is not None:
        yield _gauge("shadow_lag_bytes", "journal that the shadow has not compared yet", lag.bytes)
        yield _gauge("shadow_lag_seconds", "age of the oldest record that the shadow has not compared yet", lag.seconds)
    yield _gauge("shadow_records", "records the shadow has compared, all equal", int(row["records"]))
    yield _gauge("shadow_diverged", "1 when the shadow has found a difference", float(row["divergence"] >= 0))
    yield _gauge("shadow_standby", "1 when the shadow becomes the exchange as soon as that is gone", int(row["standby"]))
    yield _gauge("snapshot_position", "journal position of the newest snapshot, -1 for none", int(row["snapshot_position"]))
    if row["snapshot_ns"]:
        age_s = max(0.0, (reading.at_ns - int(row["snapshot_ns"])) / NS)
        yield _gauge("snapshot_age_seconds", "time since the shadow has taken a snapshot", age_s)
    yield _counter("snapshots", "snapshots taken", int(row["snapshots"]))
    yield _counter("snapshot_seconds", "time spent on them", int(row["snapshot_took_ns"]) / NS)
    yield _counter("snapshot_failures", "snapshots that the system refused", int(row["snapshot_failures"]))


def _processes(reading: Reading) -> Iterator[Metric]:
    cpu = CounterMetricFamily("fixsim_process_cpu_seconds", "processor time used", labels=["process"])
    memory = GaugeMetricFamily("fixsim_process_memory_bytes", "memory of its own", labels=["process"])
    for name, use in reading.processes.items():
        cpu.add_metric([name], use.cpu_s)
        memory.add_metric([name], use.memory_bytes)
    yield from (cpu, memory)


assert BUCKETS == 2, "sum and max stand in front of the counts"
