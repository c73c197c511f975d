"""`fixsim audit` from the command line, against the morning of `tell_story`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_stage import Stage

from fixsim.cli.main import main

Audit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(storied: Stage, server_home: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Runs `fixsim audit ...`; exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["audit", *arguments, "--data-dir", str(server_home)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return run


def asked(audit: Audit, *arguments: str) -> Any:
    """The JSON answer of a command that finds something."""
    code, out, err = audit(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_messages_come_back_byte_for_byte(audit: Audit, storied: Stage) -> None:
    found = asked(audit, "messages", "--raw")
    assert {(row["position"], row["part"]): row["raw"].encode("latin-1") for row in found} == {
        key: raw for key, (_, _, raw) in storied.said.items()
    }
    assert [(row["position"], row["part"]) for row in found] == sorted(storied.said)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--session", "SELLER", "--direction", "in"], 4),
        (["--type", "G"], 1),
        (["--type", "executionreport", "--symbol", "MSFT"], 2),  # once more, resent
        (["--cl-ord-id", "X3"], 2),
        (["--since", "2025-10-09T08:53:20.003Z", "--until", "20251009-08:53:20.004", "--direction", "in"], 1),
        (["--limit", "3"], 3),
    ],
)
def test_messages_are_filtered(audit: Audit, filters: list[str], count: int) -> None:
    assert len(asked(audit, "messages", *filters)) == count


def test_messages_are_decoded_with_names(audit: Audit) -> None:
    (row,) = asked(audit, "messages", "--type", "G")
    assert {"tag": 35, "name": "MsgType", "value": "G", "meaning": "OrderCancelReplaceRequest"} in row["fields"]
    code, out, _ = audit("messages", "--type", "G")
    assert code == 0 and "11  ClOrdID                S2" in out
    _, out, _ = audit("messages", "--type", "G", "--raw")
    assert "|41=S1|11=S2|" in out


def test_an_order_is_followed_along_its_chain_from_any_of_its_ids(audit: Audit) -> None:
    lives = [asked(audit, "order", wanted)["orders"] for wanted in ("S1", "S2", "3")]
    assert lives[0] == lives[1] == lives[2]
    (life,) = lives[0]
    assert life["order_id"] == "3" and life["cl_ord_ids"] == ["S1", "S2"]
    assert life["ord_status"] == "2" and life["price"] == "187.25" and life["cum_qty"] == "100"
    kinds = [(event["msg_type"], event.get("exec_type")) for event in life["events"]]
    assert kinds == [("D", None), ("8", "0"), ("G", None), ("8", "5"), ("8", "F")]
    fill = life["events"][-1]
    assert fill["counterpart"]["session"] == "BUYER" and fill["counterpart"]["cl_ord_id"] == "B1"
    assert [event["position"] for event in life["events"]] == sorted(event["position"] for event in life["events"])
    assert fill["time"] == "2025-10-09T08:53:20.003000000Z"


def test_cancels_and_refusals_belong_to_the_order_they_were_about(audit: Audit) -> None:
    (cancelled,) = asked(audit, "order", "X2")["orders"]
    assert [event["cl_ord_id"] for event in cancelled["events"]] == ["B2", "B2", "X2", "X2"]
    (filled,) = asked(audit, "order", "B1")["orders"]
    assert [event["msg_type"] for event in filled["events"]] == ["D", "8", "8", "F", "9"]
    assert asked(audit, "order", "X1")["orders"] == [filled]
    for wanted in ("R1", "X3"):
        (refused,) = asked(audit, "order", wanted)["orders"]
        assert refused["order_id"] is None and len(refused["events"]) == 2
    code, out, _ = audit("order", "X1")
    assert code == 0 and "TOO_LATE_TO_CANCEL" in out


def test_trades_have_both_sides(audit: Audit) -> None:
    (trade,) = asked(audit, "trades")
    assert (trade["buy_session"], trade["sell_session"], trade["aggressor"]) == ("BUYER", "SELLER", "buy")
    assert (trade["last_qty"], trade["last_px"], trade["sell_cl_ord_id"]) == ("100", "187.25", "S2")
    assert asked(audit, "trades", "--session", "SELLER", "--symbol", "AAPL", "--cl-ord-id", "B1") == [trade]
    assert audit("trades", "--symbol", "MSFT")[0] == 1


def test_events_tell_who_halted_an_instrument_and_why(audit: Audit) -> None:
    halted, phase = asked(audit, "events", "--symbol", "AAPL")
    assert (halted["event"], halted["who"], halted["why"]) == ("halt", "anna", "news pending")
    assert (phase["event"], phase["text"], phase["venue_ns"]) == ("phase", "phase=halted until_ns=0", phase["time_ns"])
    assert phase["position"] > halted["position"]
    assert [row["event"] for row in asked(audit, "events", "--who", "anna")] == ["halt"]
    assert audit("events", "--event", "bust")[:2] == (1, "")


def test_sessions_tell_logons_gaps_and_resends(audit: Audit) -> None:
    events = [(row["session"], row["event"]) for row in asked(audit, "sessions")]
    assert events[:3] == [("BUYER", "connected"), ("BUYER", "logon_received"), ("BUYER", "logon")]
    assert events[-4:-1] == [("SELLER", "logout_received"), ("SELLER", "logout"), ("SELLER", "lost")]
    (resent,) = asked(audit, "sessions", "--event", "resent", "--session", "BUYER")
    assert (resent["begin_seq_no"], resent["end_seq_no"]) == (2, 4)


def test_lag_counts_what_is_sealed_and_not_shipped(audit: Audit, storied: Stage) -> None:
    lag = asked(audit, "lag")
    assert (lag["messages_behind"], lag["seconds_behind"]) == (0, 0)
    assert lag["last_position_shipped"] == max(storied.said)[0] and lag["messages_shipped"] == len(storied.said)
    before = len(storied.said)
    storied.order(b"BUYER", b"LATE", b"1", b"100", b"187.25")
    storied.resend(b"BUYER", 2, 5)
    storied.seal()
    lag = asked(audit, "lag")
    assert lag["messages_behind"] == len(storied.said) - before
    assert lag["seconds_behind"] > 0 and lag["journal_end"] > lag["shipped_to"]
    assert "more than the database" in audit("trades")[2]


def test_sql_is_answered_in_both_forms(audit: Audit) -> None:
    question = "SELECT order_id, price, raw FROM orders JOIN messages USING (order_id) WHERE order_id = '3' LIMIT 1"
    ((order_id, price, raw),) = (row.values() for row in asked(audit, "sql", question))
    assert (order_id, price) == ("3", "187.25") and raw.startswith("8=FIX.4.4\x01")
    code, out, _ = audit("sql", "SELECT count(*) AS orders FROM orders")
    assert code == 0 and out.split() == ["orders", "5"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "DELETE FROM fixsim.cursor"],
        ["sql", "SELECT 1; SELECT 2"],
        ["sql", "SELECT nonsense"],
        ["sql", "SELECT pg_sleep(9)", "--timeout", "0.1"],
        ["messages", "--direction", "up"],
        ["messages", "--type", "Gossip"],
        ["messages", "--since", "yesterday"],
        ["trades", "--database-url", "mysql://somewhere"],
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(audit: Audit, arguments: list[str]) -> None:
    code, out, err = audit(*arguments)
    assert (code, out) == (2, "") and err.startswith("fixsim: ") and err.count("\n") == 1


def test_nothing_found_is_exit_code_1(audit: Audit) -> None:
    assert audit("order", "NIX")[0] == audit("messages", "--symbol", "XYZ")[0] == 1
    assert audit("order", "NIX", "--json")[:2] == (1, '{"orders": []}\n')
    assert audit("messages", "--symbol", "XYZ", "--json")[:2] == (1, "[]\n")


def test_without_a_database_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["audit", "trades", "--data-dir", str(tmp_path)])
    assert left.value.code == 2
    assert "no embedded database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
