"""The operator's commands as somebody types them, against a venue that serves in a thread."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stage import Stage, running, small

from fixsim.cli.clock import parse_duration, parse_instant
from fixsim.cli.main import main
from fixsim.cli.serve import ClockKind, clock_start_ns
from fixsim.errors import UsageError

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running(small(), tmp_path) as stage:
        yield stage


@pytest.fixture
def run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `fixsim ...`; the exit code, and what it printed."""

    def carry_out(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([*words, "--data-dir", str(stage.data_dir)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), (said.out or said.err).strip()

    return carry_out


def test_a_trade_is_corrected_and_busted_by_its_numbers(stage: Stage, run: Run) -> None:
    with stage.client("ANNA") as anna, stage.client("BERT") as bert:
        for client in (anna, bert):
            client.log_on()
        anna.socket.sendall(anna.order("A", side=2, qty=10))
        anna.expect("8")
        bert.socket.sendall(bert.order("B", side=1, qty=10))
        trade = [anna.expect("8"), bert.expect("8"), bert.expect("8")][2]
        match_id, exec_id = (trade.get(tag, b"").decode() for tag in (527, 17))
        assert run("correct", match_id, "--quantity", "4") == (0, f"trade {match_id} in AAPL is 4 @ 10.00")
        assert (bert.expect("8").get(150), anna.expect("8").get(14)) == (b"G", b"4")
        assert run("bust", "--exec-id", exec_id) == (0, f"trade {match_id} in AAPL is busted")
        assert (bert.expect("8").get(150), anna.expect("8").get(14)) == (b"H", b"0")
        assert run("bust", match_id) == (2, f"fixsim: trade {match_id} was busted before")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bust"], "say which trade: its match id, or --exec-id"),
        (["bust", "7", "--exec-id", "7"], "say which trade: its match id, or --exec-id"),
        (["bust", "7"], "the journal knows no trade with match id 7"),
        (["bust", "--exec-id", "7"], "the journal knows no trade with ExecID 7"),
        (["correct", "7"], "say --quantity, --price or both"),
        (["cancel-all"], "say which orders: session, symbol, account, side, or all of them"),
        (["announce", ""], "headline is '': a text of 1 to 500 characters"),
        (["disconnect", "NOBODY"], "unknown session 'NOBODY'"),
        (["clock", "next"], "the venue keeps the wall's time; start it with --clock simulated to drive it"),
        (["clock", "advance", "soon"], "'soon' is no duration: write 5m, 90s, 1h30m, 250ms or 1d"),
        (["clock", "set", "5m"], "'5m' is no instant: write 2025-11-20T14:30:00 (UTC)"),
        (["reload"], "fixsim reload: file: the exchange was started without --config: there is nothing to read"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_one_line(run: Run, words: list[str], said: str) -> None:
    assert run(*words) == (2, f"fixsim: {said}")


def test_orders_are_cancelled_and_news_are_told(stage: Stage, run: Run) -> None:
    with stage.client("ANNA") as client:
        client.log_on()
        client.socket.sendall(client.order("A"))
        client.expect("8")
        assert run("cancel-all", "--symbol", "AAPL", "--side", "sell") == (0, "0 orders are cancelled")
        assert run("cancel-all", "--all", "--why", "drill") == (0, "1 orders are cancelled")
        assert (cancelled := client.expect("8")).get(150) == b"4" and cancelled.get(378) == b"8"
        assert run("announce", "Lunch", "--text", "until two") == (0, "told ANNA")
        assert client.expect("B").get(58) == b"until two"


def test_the_walls_time_is_shown(run: Run) -> None:
    code, said = run("clock")
    assert (code, "(wall), next" in said) == (0, True)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("90s", 90 * 10**9), ("1h30m", 5_400 * 10**9), ("250ms", 250 * 10**6), ("1.5s", 1_500 * 10**6), ("1d", 86_400 * 10**9)],
)
def test_durations_are_read(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "0s", "1e3s", "5mm", "5m3"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


def test_where_a_clock_starts_is_read_and_belongs_to_a_simulated_one() -> None:
    assert clock_start_ns(ClockKind.WALL, None) is None
    assert clock_start_ns(ClockKind.SIMULATED, None) == 0
    assert clock_start_ns(ClockKind.SIMULATED, "2030-05-06T08:00:00") == parse_instant("2030-05-06T08:00:00Z")
    for kind, start in ((ClockKind.WALL, "2030-05-06"), (ClockKind.SIMULATED, "5m"), (ClockKind.SIMULATED, "2150-01-01")):
        with pytest.raises(UsageError):
            clock_start_ns(kind, start)
