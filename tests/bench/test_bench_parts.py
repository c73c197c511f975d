"""Each part of the benchmark, small: its figures are there, and what was counted is right."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixsim.bench.book import Workload, measure_books, measure_codec, measure_fast_door
from fixsim.bench.journal import measure_journal
from fixsim.bench.plan import Plan, spread
from fixsim.bench.recovery import measure_recovery, measure_starts
from fixsim.bench.run import cells
from fixsim.bench.shipping import measure_shipping
from fixsim.config import load, packaged

PATH = packaged("load.toml")
PLAN = Plan(load(PATH), str(PATH), orders=600, rounds=1, database_url="none")
LAYERS = ["scan", "admit", "book", "report", "tape", "journal", "loop", "system calls", "waiting"]


@pytest.mark.parametrize("flow", ["resting", "mix", "cross"])
def test_books_give_the_reports_the_flow_expects(flow: str) -> None:
    figures = measure_books(PLAN, flow)
    assert figures["correct"] and figures["operations"] == 600 and figures["reports"] >= 600
    assert all(figures[f"{name}_per_s"]["median"] > 0 for name in ("empty", "matching", "with_ids", "with_reports"))
    assert 0 < figures["matching_ns"]["p50"] <= figures["matching_ns"]["p99"] <= figures["matching_ns"]["max"]


def test_books_begin_with_as_many_orders_as_asked_for() -> None:
    assert Workload(replace(PLAN, preload=100)).made.preload == 100
    assert measure_books(replace(PLAN, preload=20_000, symbols=7))["correct"]


def test_codec_understands_and_renders_every_frame() -> None:
    figures = measure_codec(PLAN)
    assert figures["correct"] and 100 < figures["frame_bytes"] < 250 and 200 < figures["record_bytes"] < 400
    assert all(figures[f"{name}_per_s"]["median"] > 0 for name in ("read_baseline", "parse", "copy_baseline", "encode"))


def test_the_fast_door_takes_the_whole_flow() -> None:
    found = measure_fast_door(Workload(PLAN))
    assert set(found) == {"walk", "scan", "record", "all", "book", "reported", "empty"}


def test_a_journal_is_recovered_to_its_end() -> None:
    figures = measure_recovery(PLAN, lambda line: None)
    assert figures["correct"] and figures["orders"] == 5_600 and figures["journal_bytes"] > 5_600 * 400
    assert figures["messages"] > 2 * 5_600
    for name in ("recovered_orders", "recovered_messages", "replayed_orders", "read_baseline_orders"):
        assert figures[f"{name}_per_s"]["median"] > 0


def test_journal_figures_stand_beside_a_bare_write(tmp_path: Path) -> None:
    figures = measure_journal(4, syncs=2, directory=tmp_path)
    assert figures["append, durability os"]["records"] == 4 * 256
    assert figures["baseline"]["pwrite us mean"] > 0
    assert list(tmp_path.iterdir()) == []


def test_everything_that_was_journaled_is_shipped() -> None:
    said: list[str] = []
    figures = measure_shipping(1_000, 3, progress=said.append)
    assert int(str(figures["messages"])) >= 1_000 and figures["sessions"] == 3
    assert float(str(figures["baseline_per_s"])) > 0 and said


def test_noise_is_the_range_in_per_cent_of_the_median() -> None:
    assert spread([90, 100, 120]) == {"median": 100, "lowest": 90, "highest": 120, "noise_percent": 30.0, "rounds": 3}
    assert spread([1.26], 1)["median"] == 1.3


def test_comprehensive_is_every_flow_and_both_curves() -> None:
    found = cells(replace(PLAN, comprehensive=True))
    assert cells(PLAN) == [(1, 1, "mix")]
    assert {flow for _, _, flow in found} == {"resting", "mix", "cross"}
    assert {sessions for sessions, _, _ in found} == {symbols for _, symbols, _ in found} == {1, 10, 100, 1_000}
    assert len(found) == len(set(found))


def test_kernels_that_are_not_compiled_are_not_measured() -> None:
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    words = [sys.executable, "-m", "fixsim.cli.main", "bench"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=plain)
    assert ran.returncode == 2 and ran.stderr.startswith("fixsim: NUMBA_DISABLE_JIT is set") and ran.stderr.count("\n") == 1


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fixsim.cli.main", "bench", *arguments], capture_output=True, text=True, check=False, timeout=170
    )


def checked(found: dict[str, Any]) -> None:
    """What every result says, whatever was asked for."""
    assert found["machine"]["processors"] >= 1 and found["versions"]["numba"] and found["python"]
    assert "commit" in found and found["compile_s"] >= 0 and found["warm_up"]
    layers = found["layers"]
    assert [row["layer"] for row in layers["rows"]] == LAYERS
    # each row and the sum are rounded
    assert abs(layers["sum_ns"] - layers["end_to_end_ns"]) <= 2
    assert abs(sum(row["ns"] for row in layers["rows"]) - layers["sum_ns"]) <= len(LAYERS)


def test_the_command_measures_all_parts() -> None:
    ran = command("--orders", "1000", "--sessions", "3", "--rounds", "1", "--database-url", "none", "--json")
    assert ran.returncode == 0 and ran.stderr == ""
    found = json.loads(ran.stdout)
    checked(found)
    assert found["workload"]["sessions"] == 3 and found["workload"]["orders"] == 1_000
    assert set(found["parts"]) == {"book", "codec", "journal", "recovery", "wire", "latency"}
    (wire,) = found["parts"]["wire"]
    assert wire["correct"] and wire["sessions"] == 3 and wire["operations"] == 1_000 and wire["reports"] > 1_000
    assert found["parts"]["latency"]["exchange_us"]["p50"]["median"] > 0


def test_a_benchmark_that_is_ended_ends_its_exchange() -> None:
    words = [sys.executable, "-m", "fixsim.cli.main", "bench", "--orders", "100", "--rounds", "5", "--database-url", "none"]
    bench = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        watched, deadline = psutil.Process(bench.pid), time.monotonic() + 120
        while not (started := [child for child in watched.children() if "serve" in child.cmdline()]):
            assert time.monotonic() < deadline and bench.poll() is None
            time.sleep(0.1)
        bench.terminate()
        assert bench.wait(60) == 143
        assert psutil.wait_procs(started, timeout=30)[1] == []
    finally:
        bench.kill()
        bench.wait()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--flow", "sweep"), "'sweep' is not one of"),
        (("--orders", "1"), "--orders"),
        (("--config", "nowhere.toml"), "nowhere.toml"),
        (("--config", "sessions/exchange.toml"), "[house]"),
        (("--config", "sessions/conformance.toml", "--symbols", "900"), "--symbols 900"),
    ],
)
def test_a_mistake_is_told_in_words(arguments: tuple[str, ...], told: str) -> None:
    ran = command(*arguments)
    assert ran.returncode == 2 and told in ran.stderr and "Traceback" not in ran.stderr


def test_starts_are_measured_with_and_without_a_snapshot() -> None:
    found = measure_starts(PLAN, lambda line: None)
    ways = {f"{files}, {how} a snapshot" for files in ("warm", "cold") for how in ("with", "without")}
    assert found["seconds"].keys() == found["processor_s"].keys() == ways
    # so short a journal may be carried out in one go
    assert 0 < found["snapshot"]["position"] <= found["journal_bytes"]
    assert found["messages"] > 2 * found["orders"]
