"""`fixsim serve` as a process: how it starts, who may not start, how it ends, what a kill leaves."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Client

from fixsim.audit.server import Server
from fixsim.config import packaged
from fixsim.gateway.control import ask
from fixsim.gateway.credentials import Verifier

FIXSIM = [sys.executable, "-m", "fixsim.cli.main"]
READY = re.compile(r"fixsim ready fix 127\.0\.0\.1:(\d+) data (\S+) database (?:none|embedded) pid (\d+)")
#: A first start may compile kernels.
START_TIMEOUT_S = 300
pytestmark = pytest.mark.timeout(2 * START_TIMEOUT_S)

LOAD = ("--config", str(packaged("load.toml")))


class Served:
    """A running `fixsim serve`."""

    def __init__(self, *options: str, database: str = "none") -> None:
        command = [*FIXSIM, "serve", "--port", "0", "--database-url", database, *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        try:
            self.line = self.process.stdout.readline()
            found = READY.fullmatch(self.line.rstrip("\n"))
            assert found is not None, self.line
        except BaseException:
            self.process.kill()
            print(*self.process.communicate())
            raise
        self.port, self.data_dir, self.pid = int(found[1]), Path(found[2]), int(found[3])

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 30) -> tuple[int, str, str]:
        """Send a signal; exit code and what was still printed on stdout and stderr."""
        os.kill(self.pid, number)
        out, err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, out, err


@contextlib.contextmanager
def served(*options: str, database: str = "none") -> Iterator[Served]:
    """`fixsim serve` while the block runs."""
    one = Served(*options, database=database)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*FIXSIM, *arguments], input=typed, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_logs_everybody_out_and_the_end_is_clean(tmp_path: Path, number: int) -> None:
    with served("--data-dir", str(tmp_path)) as exchange:
        assert exchange.pid == exchange.process.pid
        with Client(exchange.port, "CLIENT") as client:
            client.log_on()
            os.kill(exchange.pid, number)
            assert client.expect("5").get(58) == b"The exchange is closing"
            client.say("5")
            assert client.is_dropped()
        out, err = exchange.process.communicate(timeout=30)
        assert (exchange.process.returncode, out) == (0, "")
        assert "Traceback" not in err


def test_a_client_that_does_not_answer_the_logout_is_not_waited_for_long(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), *LOAD) as exchange, Client(exchange.port, "CLIENT") as client:
        client.log_on()
        began = time.monotonic()
        code, _, _ = exchange.end()
        assert code == 0
        assert time.monotonic() - began < 8


def test_stdout_holds_the_ready_line_and_nothing_else(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), *LOAD) as exchange:
        assert exchange.line.startswith("fixsim ready ")
        assert exchange.line.rstrip().endswith(f"pid {exchange.pid}")
        assert exchange.data_dir == tmp_path
        assert exchange.end()[:2] == (0, "")


def test_a_second_start_on_the_same_directory_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), *LOAD) as exchange:
        second = run("serve", "--port", "0", "--database-url", "none", "--data-dir", str(tmp_path))
        assert second.returncode == 1
        assert f"pid {exchange.pid}" in second.stderr
        assert second.stdout == ""
        with Client(exchange.port, "CLIENT") as client:
            client.log_on()


def test_after_kill_9_session_and_book_go_on_where_they_were(tmp_path: Path) -> None:
    options = ("--data-dir", str(tmp_path), *LOAD)
    with served(*options) as exchange, Client(exchange.port, "CLIENT") as client:
        client.log_on()
        for number in range(5):
            client.socket.sendall(client.order(f"A{number}", symbol="SYM1"))
            client.expect("8")
        os.kill(exchange.pid, signal.SIGKILL)
        exchange.process.communicate()
    with served(*options) as exchange:
        book = ask(tmp_path, "book", {"symbol": "SYM1"})
        assert book["bids"] == [{"price": "10.00", "quantity": "50", "orders": 5}]
        with Client(exchange.port, "CLIENT") as again:
            again.next_out = client.next_out
            assert again.log_on(reset=False).get(34) == b"7"
            again.say("2", "7=2|16=0")
            reports = [again.expect("8") for _ in range(5)]
            assert [report.get(11) for report in reports] == [b"A%d" % number for number in range(5)]
            assert all(report.get(43) == b"Y" for report in reports)
        assert exchange.end()[0] == 0


def test_the_default_start_has_a_house_that_fills_a_first_market_order() -> None:
    with served("--fresh") as exchange:
        with Client(exchange.port, "NEWCOMER") as client:
            client.log_on()
            market = "11=1|55=BTC-USDT|54=1|60=20260101-00:00:00|38=0.5000|40=1"
            client.say("D", market)
            assert client.expect("8").get(150) == b"0"
            assert client.expect("8").get(150) == b"F"
        assert exchange.data_dir.is_dir()
        assert exchange.end()[0] == 0
        assert not exchange.data_dir.exists(), "a fresh directory is gone afterwards"


def test_at_the_end_everything_is_shipped(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), *LOAD, database="embedded") as exchange:
        with Client(exchange.port, "CLIENT") as client:
            client.log_on()
            client.socket.sendall(b"".join(client.order(f"A{number}", symbol="SYM1") for number in range(500)))
            for _ in range(500):
                client.expect("8")
        assert exchange.end(timeout_s=120)[0] == 0
    lag = json.loads(run("audit", "lag", "--json", "--data-dir", str(tmp_path)).stdout)
    assert lag["messages_behind"] == 0
    # a Logout too, if the end came before the client's was noticed
    assert lag["messages_shipped"] in (2 + 2 * 500, 3 + 2 * 500)
    Server(tmp_path).remove()


def test_a_fresh_directory_and_its_database_are_gone_afterwards() -> None:
    with served("--fresh", *LOAD, database="embedded") as exchange:
        deadline = time.monotonic() + 60
        while not (place := exchange.data_dir / "postgres").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        note = place / "place"
        assert exchange.end(timeout_s=120)[0] == 0
        assert not exchange.data_dir.exists()
        assert not note.exists()


def test_a_warm_start_is_quick(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path)):
        pass
    began = time.monotonic()
    with served("--data-dir", str(tmp_path)):
        # 3 s is promised on a quiet machine; a test run is not quiet
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--host", "0.0.0.0"), 2, "--insecure"),
        (("--host", "no.such.host.invalid"), 2, "no.such.host.invalid"),
        (("--database-url", "mysql://x"), 2, "--database-url"),
        (("--config", "/no/such/file.toml"), 2, "/no/such/file.toml"),
        (("--data-dir", "/proc/nothing"), 1, "/proc/nothing"),
        (("--port", "70000"), 2, "--port"),
        (("--loud",), 2, "--loud"),
    ],
)
def test_what_cannot_start_says_why_in_a_line(tmp_path: Path, options: tuple[str, ...], code: int, words: str) -> None:
    ended = run("serve", "--port", "0", "--database-url", "none", "--data-dir", str(tmp_path), *options)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_fault_of_a_configuration_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[venue]\ncomp = 1\nheartbeat_min_s = -1\n")
    ended = run("serve", "--config", str(path), "--fresh")
    assert ended.returncode == 2
    assert "venue.comp: unknown key" in ended.stderr
    assert "venue.heartbeat_min_s: is -1" in ended.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path / "one"), *LOAD) as exchange:
        ended = run("serve", "--port", str(exchange.port), "--database-url", "none", "--data-dir", str(tmp_path / "two"))
        assert ended.returncode == 1
        assert f"127.0.0.1:{exchange.port}" in ended.stderr


def test_json_log_is_json(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path), "--json-log", *LOAD) as exchange:
        _, _, err = exchange.end()
        lines = [json.loads(line) for line in err.splitlines()]
        assert any(line["level"] == "info" and "SIGTERM" in line["message"] for line in lines)


def test_operators_commands_speak_json_and_tables(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path)) as exchange, Client(exchange.port, "DESK1") as client:
        client.log_on()
        where = ("--data-dir", str(tmp_path))
        shown = json.loads(run("sessions", "show", "--json", *where).stdout)
        assert {entry["session"] for entry in shown["sessions"]} == {"HOUSE", "DESK1"}
        assert "DESK1" in run("sessions", "show", "DESK1", *where).stdout
        assert len(json.loads(run("book", "AAPL", "--json", *where).stdout)["bids"]) == 5
        assert "187." in run("book", "AAPL", *where).stdout
        assert "halted" in run("halt", "AAPL", *where).stdout
        assert "(halted)" in run("book", "AAPL", *where).stdout
        resumed = json.loads(run("resume", "AAPL", "--json", *where).stdout)
        assert resumed == {"symbol": "AAPL", "halted": False, "phase": "continuous"}
        refused = run("halt", "NONE", *where)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "NONE" in refused.stderr
        assert run("sessions", "disconnect", "DESK1", *where).returncode == 0
        client.expect("5")


def test_no_exchange_is_one_line(tmp_path: Path) -> None:
    ended = run("book", "AAPL", "--data-dir", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1


def test_a_hashed_password_opens() -> None:
    ended = run("password", typed="sesame\n")
    assert ended.stdout.startswith("$argon2id$")
    verifier = Verifier(lambda: None)
    assert verifier.ask(1, ended.stdout.strip(), b"sesame")
    assert verifier.ask(2, ended.stdout.strip(), b"other")
    found: list[tuple[int, bool]] = []
    while len(found) < 2:
        found += verifier.verdicts()
        time.sleep(0.01)
    verifier.close()
    assert found == [(1, True), (2, False)]


def test_help_is_quick_and_knows_every_command() -> None:
    run("--help")
    began = time.monotonic()
    shown = run("--help").stdout
    assert time.monotonic() - began < 2
    for command in ("serve", "client", "sessions", "book", "halt", "resume", "audit", "journal", "tail", "decode"):
        assert command in shown
    assert re.fullmatch(r"fixsim \S+\n", run("--version").stdout)
