"""The meter of a real exchange: what its page says is what its journal holds."""

import gc
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage import Client, Stage, running, small

from fixsim.engine.meter import add_stages, add_turns, add_value
from fixsim.feed.mapped import PageReader
from fixsim.feed.page import CAUSES, COUNTERS, GAP_NS, REFUSALS, SLOTS, STAGES, VALUE_MAX, slot_of, word_of
from fixsim.gateway.gaps import GapMeter, Pause, Sample, Witness, cause_of, late_by_ns
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind


def page_of(stage: Stage) -> Any:
    """The page once it is up to date: everything that was said before has been counted."""
    reader = PageReader(stage.data_dir / "counters", COUNTERS)
    asked_ns = time.time_ns()
    while (row := reader.read())["header"]["updated_ns"] <= asked_ns:
        time.sleep(0.01)
    return row


def test_what_is_counted_is_what_the_journal_holds(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, stage.client() as client:
        client.log_on()
        client.socket.sendall(b"".join(client.order(f"B{number}", side=1) for number in range(100)))
        client.socket.sendall(b"".join(client.order(f"S{number}", side=2, qty=5) for number in range(50)))
        for _ in range(100 + 150):
            client.expect("8")
        client.socket.sendall(client.order("S0", side=2))  # a ClOrdID seen before
        assert client.expect("8").get(103) == b"6"
        client.say("F", "11=X|41=NONE|55=AAPL|54=1|60=20260101-00:00:00")
        client.expect("9")
        client.say("1", "112=A")
        client.expect("0")
        client.say("2", "7=2|16=0")
        for _ in range(253):
            client.hear()
        client.say("D", "11=NO", seq=client.next_out + 5)
        client.expect("2")
        row = page_of(stage)
        found: Counter[int] = Counter()
        batches = 0
        for batch in Reader(journal_directory(tmp_path)).batches(live=True):
            batches += 1
            found.update(record.kind for record in records(batch.view))
        assert row["messages_in"] == found[Kind.IN] == 156
        assert row["messages_out"] == found[Kind.OUT]
        assert row["resends"] == found[Kind.RESEND] == 1
        assert (row["orders"], row["trades"], row["open_orders"]) == (150, 50, 75)
        assert (row["sessions"], row["sequence_gaps"], row["garbled"]) == (1, 1, 0)
        refusals = dict(zip(REFUSALS, row["rejects"], strict=True))
        assert (refusals["ExecutionReport"][6], refusals["OrderCancelReject"][1]) == (1, 1)
        assert row["rejects"].sum() == 2
        assert row["batches"] == row["batch_records"]["counts"].sum() == row["batch_bytes"]["counts"].sum()
        assert row["batches"] == batches - 1, "all but the START's"
        assert row["journal_position"] == stage.opened.writer.position


def test_every_message_is_in_the_latency_and_every_turn_in_its_stages(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, stage.client() as client:
        client.log_on()
        for number in range(200):
            client.socket.sendall(client.order(f"B{number}"))
            client.expect("8")
        row = page_of(stage)
    assert row["latency"]["counts"].sum() == row["messages_in"] == 201
    assert row["turn"]["counts"].sum() == row["turns_with_messages"] <= row["turns"]
    spent = 0
    for place, stage_name in enumerate(STAGES):
        histogram = row["stages"][place]
        assert row["turns_with_messages"] / 20 < histogram["counts"].sum() < row["turns_with_messages"] / 4, stage_name
        spent += histogram["sum"]
    assert 0 < spent < row["turn"]["sum"], "nothing is counted twice"


def test_a_new_process_counts_from_zero(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, stage.client() as client:
        client.log_on()
        client.socket.sendall(client.order("A"))
        client.expect("8")
        assert page_of(stage)["orders"] == 1
    ended = PageReader(tmp_path / "counters", COUNTERS).read()
    assert ended["orders"] == 1 and ended["header"]["ended_ns"] > 0, "the last figures stay"
    with running(small(), tmp_path) as stage:
        row = page_of(stage)
        assert (row["orders"], row["open_orders"], row["header"]["ended_ns"]) == (0, 1, 0)


def test_kernels_and_python_mean_the_same_buckets() -> None:
    words = np.zeros(2 + SLOTS, np.int64)
    values = [0, 1, 127, 128, 255, 256, 257, 511, 512, 1_000, 999_999, 1 << 35, VALUE_MAX, VALUE_MAX + 1, 1 << 50]
    for value in values:
        add_value(words, 0, value, 2)
    expected = np.zeros(SLOTS, np.int64)
    for value in values:
        expected[slot_of(value)] += 2
    assert (words[2:] == expected).all()
    assert words[0] == 2 * sum(min(value, VALUE_MAX) for value in values)
    assert words[1] == VALUE_MAX


def test_turns_and_stages_go_where_they_belong() -> None:
    words = np.zeros(COUNTERS.itemsize // 8, np.int64)
    row = words.view(COUNTERS)[0]
    rows = np.array([40, 3, 8, 512, 0, 0, 5, 100, 70, 1, 0, 0, 9, 9, 9, 9], np.int64)
    add_turns(words, word_of(COUNTERS, "batch_records"), 2 + SLOTS, rows, 3)
    assert [int(row[name]["sum"]) for name in ("batch_records", "batch_bytes", "turn", "latency")] == [13, 612, 110, 190]
    assert [int(row[name]["counts"].sum()) for name in ("batch_records", "batch_bytes", "turn", "latency")] == [2, 2, 2, 4]
    spent = np.array([5, 0, 7, 9], np.int64)
    add_stages(words, word_of(COUNTERS, "stages"), 2 + SLOTS, spent)
    assert not spent.any()
    assert [int(stage["sum"]) for stage in row["stages"]] == [5, 0, 7, 9]
    assert [int(stage["counts"].sum()) for stage in row["stages"]] == [1, 0, 1, 1]


NOTHING = Sample(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("pause", "after", "cause"),
    [
        (Pause(2_000_000), Sample(100_000, 1_900_000, 0, 0), "scheduler"),
        (Pause(2_000_000, collector_ns=1_500_000), Sample(1_900_000, 0, 0, 0), "collector"),
        (Pause(2_000_000, rotation_ns=1_500_000, write_ns=300_000), Sample(1_900_000, 0, 0, 0), "rotation"),
        (Pause(2_000_000), Sample(1_900_000, 0, 2_000, 0), "faults"),
        (Pause(2_000_000), Sample(100_000, 0, 1, 1), "faults"),
        (Pause(2_000_000, write_ns=1_200_000), Sample(100_000, 0, 0, 0), "write"),
        (Pause(2_000_000), Sample(1_900_000, 0, 0, 0), "work"),
        (Pause(2_000_000, busy_before_ns=1_800_000), Sample(1_900_000, 0, 0, 0), "other"),
        (Pause(2_000_000), Sample(100_000, 0, 0, 0), "other"),
        (Pause(2_000_000), Sample(800_000, 900_000, 0, 0), "scheduler"),
        (Pause(2_000_000), Sample(900_000, 800_000, 0, 0), "work"),
    ],
)
def test_a_pause_is_put_down_to_what_explains_half_of_it(pause: Pause, after: Sample, cause: str) -> None:
    assert cause_of(pause, NOTHING, after, lambda: False) == cause
    assert cause_of(pause, NOTHING, after, lambda: True) == ("shipper" if cause == "scheduler" else cause)


def test_pauses_are_counted_where_they_belong() -> None:
    words = np.zeros(COUNTERS.itemsize // 8, np.int64)
    row = words.view(COUNTERS)[0]
    meter = GapMeter(memoryview(words), lambda: None, lambda line: None)
    meter.begin()
    try:
        meter.compare_from_here()
        began = time.perf_counter_ns()
        while time.perf_counter_ns() - began < 3 * GAP_NS:
            pass
        assert meter.pause(Pause(3 * GAP_NS)) in ("work", "scheduler")
        began = time.perf_counter_ns()
        rubbish: list[Any] = []
        for _ in range(200_000):
            rubbish.append([rubbish])
        gc.collect()
        took = time.perf_counter_ns() - began
        assert 0 < meter.collector_ns < took
        assert row["collections"] >= 1 and row["collection_ns"] == meter.collector_ns
        assert meter.pause(Pause(meter.collector_ns, collector_ns=meter.collector_ns)) in ("collector", "scheduler")
        assert meter.collector_ns == 0
    finally:
        meter.close()
    assert row["gaps"].sum() == 2
    assert row["gap_ns"].sum() >= row["gap_max_ns"].sum() >= 3 * GAP_NS
    assert len(row["gaps"]) == len(CAUSES)


def test_the_system_is_asked_about_the_thread_that_asks() -> None:
    witness = Witness()
    before = witness.sample()
    began = time.thread_time_ns()
    while time.thread_time_ns() - began < 20_000_000:
        pass
    after = witness.sample()
    witness.close()
    assert 15_000_000 < after.cpu_ns - before.cpu_ns < 200_000_000
    assert after.delay_ns >= before.delay_ns and after.minor_faults >= before.minor_faults


def test_a_wait_is_late_beyond_what_was_asked_for() -> None:
    assert late_by_ns(5_900_000, 0.005) == 900_000
    assert late_by_ns(5_900_000, 0.0055) == 0
    assert late_by_ns(0, 0.5) == 0


def test_a_long_turn_is_a_pause_of_the_running_exchange(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, stage.client() as client:
        client.log_on()
        page_of(stage)
        receive = stage.exchange.receive

        def slowly(*arguments: Any) -> int:
            time.sleep(0.005)
            return receive(*arguments)

        stage.exchange.receive = slowly  # type: ignore[method-assign]
        timed = said = 0
        while timed < 8:  # beside busy neighbours the scheduler explains some of the pauses
            client.say("1", f"112={said}")
            client.expect("0")
            row, said = page_of(stage), said + 1
            timed = row["stages"][STAGES.index("frames")]["counts"].sum()
    # a pause that nothing explains has the following turns timed by stage
    assert timed <= said + 1
    assert row["gaps"][CAUSES.index("other")] >= 1, "asleep: neither working nor waiting for the processor"
    assert row["gap_max_ns"].max() >= 5_000_000


def test_heartbeats_and_idle_turns_are_no_latency(tmp_path: Path) -> None:
    with running(small(), tmp_path) as stage, Client(stage.port, "CLIENT") as client:
        client.log_on(heartbeat_s=1)
        client.expect("0")
        row = page_of(stage)
        assert row["latency"]["counts"].sum() == row["messages_in"] == 1
        assert row["messages_out"] >= 2
