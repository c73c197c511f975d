"""The console of a real exchange, asked by HTTP; and what happens to it when the exchange, the port or the reader goes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hall import CONFIG, FIXSIM, PATIENCE_S, START_TIMEOUT_S, hall, lives, run, soon

from fixsim.audit.server import Server
from fixsim.console.metrics import PROCESSES
from fixsim.feed.page import CAUSES, STAGES

pytestmark = pytest.mark.timeout(2 * START_TIMEOUT_S)
PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
ROW = re.compile(r"^\| `(fixsim_\w+)` \| (counter|gauge|histogram) \| *(.*?) *\| .* \|$", re.M)


def shown(text: str) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every metric in a Prometheus text."""
    found = {name: (kind, set[str]()) for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*?)\})? ", text, re.M):
        owner = name if name in found else re.sub(r"_(bucket|sum|count)$", "", name)
        if not name.endswith("_created"):
            found[owner][1].update(set(re.findall(r'(\w+)="', labels)) - {"le"})
    return found


def everything_shipped(found: dict[str, float]) -> dict[str, float] | None:
    """`found` once the database has every message that was counted."""
    counted = sum(found[f"fixsim_messages_total{{direction={way}}}"] for way in ("in", "out"))
    return found if found.get("fixsim_shipped_messages") == counted else None


def everything_compared(found: dict[str, float]) -> dict[str, float] | None:
    """`found` once the shadow has compared all of the journal, and taken a snapshot."""
    return found if found.get("fixsim_snapshots_total") and found["fixsim_shadow_lag_bytes"] == 0 else None


def everybody_at_work(found: dict[str, float]) -> dict[str, float] | None:
    """`found` once each process has used the processor."""
    spent = [found.get(f"fixsim_process_cpu_seconds_total{{process={name}}}", 0.0) for name in PROCESSES]
    return found if all(seconds > 0 for seconds in spent) else None


def test_metrics_are_those_of_the_page_and_count_what_happened(tmp_path: Path) -> None:
    with hall(tmp_path / "data", "--shadow", database="embedded", config=f"{CONFIG}[shadow]\nsnapshot_interval_s = 1\n") as one:
        with one.client() as client:
            for number in range(20):
                client.buy(10, "ACME", limit="10.00", cl_ord_id=f"B{number}")
            client.sell(55, "ACME", limit="10.00", cl_ord_id="S")
            client.buy(10, "ACME", limit="10.00", cl_ord_id="B0")
            client.buy(10, "NONE", limit="10.00")
            soon(lambda: one.metrics()["fixsim_orders_total"] == 21)
            recent = one.metrics()
            assert recent["fixsim_sessions"] == 1
            assert 0 < recent["fixsim_latency_quantile_seconds{quantile=0.5,stage=sent}"] < 10
        # the database is made at idle priority
        found = soon(lambda: everything_shipped(one.metrics()))
        assert found["fixsim_trades_total"] == 6
        assert found["fixsim_open_orders"] == 15
        taken, said = (found[f"fixsim_messages_total{{direction={way}}}"] for way in ("in", "out"))
        assert taken >= 24 and said >= taken + 12
        assert found["fixsim_rejects_total{message=ExecutionReport,reason=duplicate_order}"] == 1
        assert found["fixsim_rejects_total{message=ExecutionReport,reason=unknown_symbol}"] == 1
        assert found["fixsim_latency_seconds_count"] == taken
        assert found["fixsim_latency_seconds_bucket{le=5.0}"] == taken
        assert found["fixsim_latency_seconds_bucket{le=+Inf}"] == taken
        assert (found["fixsim_shipping_lag_bytes"], found["fixsim_shipping_lag_seconds"]) == (0, 0)
        found = soon(lambda: everything_compared(one.metrics()))
        assert found["fixsim_snapshot_position"] > 0 and found["fixsim_snapshot_age_seconds"] < 60
        assert found["fixsim_shadow_records"] > taken + said
        assert found["fixsim_shadow_diverged"] == found["fixsim_shadow_standby"] == found["fixsim_snapshot_failures_total"] == 0
        # processor time comes in steps of ten milliseconds, and is looked at now and then
        found = soon(lambda: everybody_at_work(one.metrics()))
        for name in PROCESSES:
            assert found[f"fixsim_up{{process={name}}}"] == 1
            assert 1_000_000 < found[f"fixsim_process_memory_bytes{{process={name}}}"] < 4e9
        assert {f"fixsim_pauses_total{{cause={cause}}}" for cause in CAUSES} <= found.keys()
        assert {f"fixsim_stage_seconds_count{{stage={stage}}}" for stage in STAGES} <= found.keys()
        documented = {
            name: (kind, set(re.findall(r"`(\w+)`", labels)))
            for name, kind, labels in ROW.findall(PAGE.read_text(encoding="utf-8"))
        }
        assert shown(one.get("/metrics")[2]) == documented
        one.end()
    Server(tmp_path / "data").remove()


def test_what_is_asked_for_is_what_comes(tmp_path: Path) -> None:
    with hall(tmp_path / "data") as one:
        status, kind, text = one.get("/metrics")
        assert status == 200 and kind.startswith("text/plain") and "fixsim_orders_total 0.0\n" in text
        status, kind, text = one.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
        assert status == 200 and "openmetrics" in kind and text.endswith("# EOF\n")
        status, kind, text = one.get("/health")
        health = json.loads(text)
        assert (status, kind, health["status"], health["pid"]) == (200, "application/json", "ok", one.pid)
        assert health["age_s"] < 5 and health["uptime_s"] > 0 and health["shipper"] is False
        assert one.get("/nothing")[0] == 404
        log = one.end()
    assert log.count("console http://127.0.0.1:") == 1
    assert not (tmp_path / "data" / "console").exists(), "nobody answers there any more"


def test_the_console_leaves_when_the_exchange_is_killed(tmp_path: Path) -> None:
    with hall(tmp_path / "data") as one:
        port, pid = one.console()
        assert os.getsid(pid) != os.getsid(one.pid)
        if hasattr(os, "SCHED_IDLE"):
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        os.kill(one.pid, signal.SIGKILL)
        # two seconds are promised; at idle priority beside other tests they can be longer
        soon(lambda: not lives(pid))
        with pytest.raises(ConnectionError):
            one.get("/health", port=port)


def test_a_console_that_is_killed_comes_back_and_trading_does_not_notice(tmp_path: Path) -> None:
    with hall(tmp_path / "data") as one, one.client() as client:
        client.buy(10, "ACME", limit="10.00")
        _, pid = one.console()
        os.kill(pid, signal.SIGKILL)
        client.buy(10, "ACME", limit="10.00")
        soon(lambda: one.console()[1] != pid)
        assert soon(lambda: one.metrics()["fixsim_orders_total"] == 2)


def test_a_port_that_is_taken_is_one_warning_and_is_used_when_it_is_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with hall(tmp_path / "data", config=CONFIG.replace("port = 0", f"port = {port}")) as one:
            with one.client() as client:
                client.buy(10, "ACME", limit="10.00")
            time.sleep(6)
            assert not (tmp_path / "data" / "console").exists()
            taken.close()
            assert one.console()[0] == port
            assert one.metrics()["fixsim_orders_total"] == 1
            log = one.end()
    assert log.count(f"cannot listen on 127.0.0.1:{port}") == 1


def test_no_console_is_started_where_none_is_wanted(tmp_path: Path) -> None:
    with hall(tmp_path / "data", config=CONFIG.replace("port = 0", "enabled = false")) as one:
        time.sleep(2)
        assert not (tmp_path / "data" / "console").exists()
        assert "console" not in one.end()


def test_the_log_of_the_console_is_as_the_exchanges(tmp_path: Path) -> None:
    with hall(tmp_path / "data", "--json-log") as one:
        one.console()
        lines = [json.loads(line) for line in one.end().splitlines()]
    assert any("console http://127.0.0.1:" in line["message"] for line in lines)


class Alone:
    """`fixsim console` without an exchange that looks after it."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [*FIXSIM, "console", "--port", "0", "--full-speed", "--data-dir", str(data_dir)],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stderr is not None
        found = re.search(r"console http://127\.0\.0\.1:(\d+)/metrics", self.process.stderr.readline())
        assert found is not None
        self.port = int(found[1])

    def __enter__(self) -> "Alone":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def get(port: int, path: str) -> tuple[int, Any]:
    """Status and text."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_console_without_an_exchange_says_so_and_finds_one_that_comes(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with Alone(data_dir) as alone:
        status, text = get(alone.port, "/health")
        assert (status, json.loads(text)["status"]) == (503, "stopped")
        assert 'fixsim_up{process="exchange"} 0.0' in get(alone.port, "/metrics")[1]
        with hall(data_dir, config=CONFIG.replace("port = 0", "enabled = false")) as one:
            assert get(alone.port, "/health")[0] == 200
            # a hanging exchange is not healthy
            one.process.send_signal(signal.SIGSTOP)
            assert soon(lambda: json.loads(get(alone.port, "/health")[1])["status"] == "stale")
            assert 'fixsim_up{process="exchange"} 0.0' in get(alone.port, "/metrics")[1]
            one.process.send_signal(signal.SIGCONT)
            assert soon(lambda: get(alone.port, "/health")[0] == 200)
            one.end()
        status, text = get(alone.port, "/health")
        assert (status, json.loads(text)["status"]) == (503, "stopped")
        assert 'fixsim_up{process="exchange"} 0.0' in get(alone.port, "/metrics")[1]
        assert alone.process.stdin is not None
        alone.process.stdin.write("finish\n")
        alone.process.stdin.flush()
        assert alone.process.wait(PATIENCE_S) == 0


def test_a_console_that_is_told_by_a_signal_leaves(tmp_path: Path) -> None:
    with Alone(tmp_path) as alone:
        alone.process.send_signal(signal.SIGTERM)
        assert alone.process.wait(PATIENCE_S) == 0
        assert not (tmp_path / "console").exists()


def test_the_console_loads_nothing_of_the_exchange() -> None:
    program = (
        "import sys, fixsim.cli.console, fixsim.console.process, fixsim.console.figures, fixsim.console.report\n"
        "print([name for name in sys.modules if name.startswith(('fixsim.engine', 'fixsim.exchange', 'numba'))])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_command_line_that_makes_no_sense_is_refused() -> None:
    ended = run("console", "--port", "70000")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--port" in ended.stderr and "Traceback" not in ended.stderr
