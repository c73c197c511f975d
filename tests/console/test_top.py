"""`fixsim top` and `fixsim profile` against a running exchange."""

import json
import signal
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hall import CONFIG, START_TIMEOUT_S, Hall, figures, hall, run

from fixsim.console.latency import PERCENTILES, summary_of
from fixsim.console.picture import curve_of, picture
from fixsim.feed.page import CAUSES, HISTOGRAM, STAGES, slot_of, value_of

pytestmark = pytest.mark.timeout(2 * START_TIMEOUT_S)
QUIET = CONFIG.replace("port = 0", "enabled = false")


class Trading:
    """Orders that come while the block runs."""

    def __init__(self, one: Hall) -> None:
        self._one, self._over, self.orders = one, threading.Event(), 0
        self._thread = threading.Thread(target=self._trade)

    def _trade(self) -> None:
        with self._one.client("TRADER") as client:
            while not self._over.is_set():
                client.buy(1, "ACME", limit="10.00")
                self.orders += 1

    def __enter__(self) -> "Trading":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_top_tells_an_object_per_interval(tmp_path: Path) -> None:
    with hall(tmp_path / "data", config=QUIET) as one, Trading(one):
        found = figures("top", "--data-dir", str(tmp_path / "data"), "--json", "--interval", "0.5", "--count", "3")
    assert len(found) == 3
    for one_interval in found:
        assert one_interval["status"] == "running" and one_interval["restarted"] is False
        assert 0.4 < one_interval["interval_s"] < 5
        assert one_interval["per_second"]["orders"] > 0
        assert one_interval["sessions"] == 1
        assert set(one_interval["latency_us"]) == {"sent", "turn", *STAGES}
        sent = one_interval["latency_us"]["sent"]
        assert 0 < sent["p50"] <= sent["p95"] <= sent["p99"] <= sent["p99.9"] <= sent["max"]
        assert set(one_interval["pauses"]) == set(CAUSES)
        assert one_interval["processes"]["exchange"]["cpu_percent"] >= 0
        assert one_interval["shipping"] is None
    assert sum(one_interval["processes"]["exchange"]["cpu_percent"] for one_interval in found) > 0


def test_top_in_a_pipe_is_text(tmp_path: Path) -> None:
    with hall(tmp_path / "data", config=QUIET):
        done = run("top", "--data-dir", str(tmp_path / "data"), "--interval", "0.2", "--count", "1")
    assert done.returncode == 0 and "\x1b" not in done.stdout
    for word in ("running", "orders/s", "p99.9", "exchange", "no shipper"):
        assert word in done.stdout


def test_top_sees_an_exchange_end(tmp_path: Path) -> None:
    with hall(tmp_path / "data", config=QUIET) as one:
        one.end()
    (found,) = figures("top", "--data-dir", str(tmp_path / "data"), "--json", "--interval", "0.1", "--count", "1")
    assert found["status"] == "stopped" and found["processes"] == {}


@pytest.mark.parametrize("command", ["top", "profile"])
def test_without_an_exchange_there_is_one_line(tmp_path: Path, command: str) -> None:
    done = run(command, "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr


def test_a_profile_is_a_page_with_a_picture(tmp_path: Path) -> None:
    with hall(tmp_path / "data", config=QUIET) as one, Trading(one):
        where = ("--data-dir", str(tmp_path / "data"), "--seconds", "0.5")
        done = run("profile", *where, "--output", str(tmp_path / "report.html"))
        assert done.returncode == 0 and "messages, p50" in done.stdout
        done = run("profile", *where, "--output", str(tmp_path / "report.md"), "--json")
        profile = json.loads(done.stdout)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        assert run("profile", *where, "--json", cwd=elsewhere).returncode == 0
        assert list(elsewhere.iterdir()) == []
        assert run("profile", *where, cwd=elsewhere).returncode == 0
        assert [path.name for path in elsewhere.iterdir()] == ["fixsim-profile.html"]
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page and "receive to sent" in page
    report = (tmp_path / "report.md").read_text()
    assert "](report.svg)" in report
    assert f"| sent | receive to sent, once for each message | {profile['latency_us']['sent']['count']:,} |" in report
    names = {element.text for element in ElementTree.parse(tmp_path / "report.svg").iter() if element.text}
    assert {"sent", *STAGES, "99"} <= names


def test_a_profile_of_an_unknown_kind_is_a_mistake(tmp_path: Path) -> None:
    done = run("profile", "--output", "report.pdf", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert ".html or .md" in done.stderr


def test_ctrl_c_ends_top_quietly(tmp_path: Path) -> None:
    import subprocess
    import time

    from hall import FIXSIM

    with hall(tmp_path / "data", config=QUIET):
        command = [*FIXSIM, "top", "--data-dir", str(tmp_path / "data"), "--json", "--interval", "0.1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            assert process.wait(30) == 0 and time.monotonic() - began < 30
            assert process.stderr.read() == ""


def histogram(values: list[int]) -> np.void:
    row = np.zeros(1, HISTOGRAM)[0]
    for value in values:
        row["counts"][slot_of(value)] += 1
        row["sum"] += value
        row["max"] = max(row["max"], value)
    return row


def test_percentiles_are_those_of_the_values() -> None:
    values = list(range(1, 100_001))
    summary = summary_of(histogram(values))
    assert summary_of(histogram([1_000_001])).at == (1_000_001,) * len(PERCENTILES), "no percentile is above the largest value"
    assert (summary.count, summary.mean, summary.max) == (100_000, 50_000.5, 100_000)
    for percentile, found in zip(PERCENTILES, summary.at, strict=True):
        assert found == pytest.approx(percentile * 1_000, rel=1 / 128)


def test_what_was_there_before_is_not_in_an_interval() -> None:
    earlier, later = histogram([1_000_000] * 10), histogram([1_000_000] * 10 + [5] * 3)
    summary = summary_of(later, earlier)
    assert (summary.count, summary.mean, summary.at, summary.max) == (3, 5.0, (5, 5, 5, 5), 5)
    nothing = summary_of(later, later)
    assert (nothing.count, nothing.at, nothing.max) == (0, (0, 0, 0, 0), 0)


def test_a_curve_goes_up_to_the_largest_value() -> None:
    points = curve_of(histogram([10] * 90 + [1_000] * 9 + [50_000])["counts"])
    assert [round(share, 6) for share, _ in points] == [1.0, 0.1, 0.1, 0.01, 0.01, 0.01]
    assert points[-1][1] >= value_of(slot_of(50_000))
    assert [value for _, value in points] == sorted(value for _, value in points)


def test_a_picture_of_nothing_is_a_picture() -> None:
    svg = picture({"sent <&>": histogram([])["counts"], "one": histogram([7])["counts"]})
    assert "sent <&>" in {element.text for element in ElementTree.fromstring(svg).iter()}
