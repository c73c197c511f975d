"""`fixsim audit report`: what was planted is found and named, and a quiet day finds nothing."""

import asyncio
import csv
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audit_stage import Stage, clear, tell_story
from conftest import emptied

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper
from fixsim.audit.surveillance import REPORTS
from fixsim.cli.main import main
from fixsim.layout import Kind

Report = Callable[..., tuple[int, dict[str, Any]]]


def fill(
    stage: Stage, buy: tuple[bytes, int, bytes], sell: tuple[bytes, int, bytes], qty: bytes, accounts: tuple[bytes, ...]
) -> None:
    """Both reports of a trade, each with an Account(1)."""
    stage.ids += 1
    match = stage.ids
    for (session, order_id, cl_ord_id), side, account in zip((buy, sell), (b"1", b"2"), accounts, strict=True):
        terms = [(1, account)] if account else []
        terms += [(55, b"AAPL"), (54, side), (38, qty), (40, b"2"), (44, b"50"), (59, b"0")]
        stage.report(
            session, order_id, [(11, cl_ord_id)], b"F", b"2", terms, b"0", qty, b"50", [(32, qty), (31, b"50")],
            [(527, b"%d" % match), (851, side)],
        )  # fmt: skip


def pull(stage: Stage, session: bytes, order_id: int, cl_ord_id: bytes, qty: bytes) -> None:
    """A sell order is cancelled whole."""
    terms = [(55, b"AAPL"), (54, b"2"), (38, qty), (40, b"2"), (44, b"51"), (59, b"0")]
    stage.message(Kind.IN, session, b"F", [(41, cl_ord_id), (11, b"X" + cl_ord_id), *terms[:3], (60, stage.stamp)])
    stage.report(
        session, order_id, [(11, b"X" + cl_ord_id), (41, cl_ord_id)], b"4", b"4", terms, b"0", b"0", b"0",
    )  # fmt: skip


def misbehave(stage: Stage) -> None:
    """CROOK trades with itself and pulls layers; A1 and A2 are one firm; Q at two sessions is one account."""
    stage.tick(10_000_000_000)
    for name in (b"CROOK", b"A1", b"A2"):
        stage.log_on(name)
    stage.tick()
    mine = stage.order(b"CROOK", b"W1", b"1", b"10", b"50"), stage.order(b"CROOK", b"W2", b"2", b"10", b"50")
    fill(stage, (b"CROOK", mine[0], b"W1"), (b"CROOK", mine[1], b"W2"), b"10", (b"", b""))
    stage.tick()
    ours = stage.order(b"A1", b"F1", b"1", b"20", b"50"), stage.order(b"A2", b"F2", b"2", b"20", b"50")
    fill(stage, (b"A1", ours[0], b"F1"), (b"A2", ours[1], b"F2"), b"20", (b"", b""))
    theirs = stage.order(b"A1", b"Q1", b"1", b"30", b"50"), stage.order(b"BUYER", b"Q2", b"2", b"30", b"50")
    fill(stage, (b"A1", theirs[0], b"Q1"), (b"BUYER", theirs[1], b"Q2"), b"30", (b"Q", b"Q"))
    # one session, two clients of it: nobody's wash trade
    both = stage.order(b"A2", b"N1", b"1", b"40", b"50"), stage.order(b"A2", b"N2", b"2", b"40", b"50")
    fill(stage, (b"A2", both[0], b"N1"), (b"A2", both[1], b"N2"), b"40", (b"ann", b"bob"))
    stage.tick(60_000_000_000)
    layers = [stage.order(b"CROOK", b"L%d" % number, b"2", b"200", b"51") for number in range(3)]
    stage.tick(1_000_000_000)
    take, give = stage.order(b"CROOK", b"T1", b"1", b"50", b"50"), stage.order(b"SELLER", b"T2", b"2", b"50", b"50")
    fill(stage, (b"CROOK", take, b"T1"), (b"SELLER", give, b"T2"), b"50", (b"", b""))
    stage.tick(1_500_000_000)
    for number, order_id in enumerate(layers[:2]):
        pull(stage, b"CROOK", order_id, b"L%d" % number, b"200")
    stage.tick(60_000_000_000)
    pull(stage, b"CROOK", layers[2], b"L2", b"200")  # too late to be part of it


def shipped(stage: Stage, server: Server, data_dir: Path) -> None:
    stage.seal()
    shipper = Shipper(data_dir, emptied(server))
    shipper.finish.set()
    assert asyncio.run(shipper.run())


@pytest.fixture(scope="module")
def planted(server: Server, server_home: Path) -> Iterator[Stage]:
    """A morning with all of it, shipped."""
    stage = Stage(server_home)
    tell_story(stage)
    misbehave(stage)
    shipped(stage, server, server_home)
    yield stage
    stage.close()
    clear(server_home)


@pytest.fixture
def report(server_home: Path, capsys: pytest.CaptureFixture[str]) -> Report:
    """Runs `fixsim audit report NAME --json`; exit code and answer."""

    def run(name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["audit", "report", name, "--data-dir", str(server_home), "--json", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err and said.out, said.err
        return int(left.value.code or 0), json.loads(said.out)

    return run


def execute(server: Server, statement: str) -> None:
    async def run() -> None:
        connection = await EmbeddedDatabase(server).connect()
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def by_session(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["session"]: row for row in told["rows"]}


# ---------------------------------------------------------------- a bad day


def test_wash_trades_are_named_with_what_is_the_same(planted: Stage, report: Report) -> None:
    code, told = report("wash-trades")
    assert code == 1 and told["findings"] == 2
    assert [(row["buy_cl_ord_id"], row["sell_cl_ord_id"], row["same"]) for row in told["rows"]] == [
        ("W1", "W2", "session"), ("Q1", "Q2", "account"),
    ]  # fmt: skip
    assert planted.said[told["rows"][0]["buy_position"], 0][1] == "CROOK"
    _, told = report("wash-trades", "--owner", "ACME=A1,A2", "--threshold", "accounts=0")
    assert [row["same"] for row in told["rows"]] == ["session", "firm ACME", "firm ACME"]
    assert report("wash-trades", "--threshold", "quantity_min=31")[0] == 0
    assert [row["same"] for row in report("wash-trades", "--session", "BUYER")[1]["rows"]] == ["account"]
    assert report("wash-trades", "--symbol", "MSFT")[1]["rows"] == []


def test_layers_pulled_after_a_fill_are_named(planted: Stage, report: Report) -> None:
    code, told = report("layering")
    (row,) = told["rows"]
    assert (code, told["findings"], row["session"], row["filled_side"], row["layers"]) == (1, 1, "CROOK", "buy", 2)
    assert (row["filled"], row["pulled"], row["ratio"]) == ("50", "400", "8.0")
    assert row["time"] < row["pulled_time"] and len(row["pulled_orders"].split()) == 2
    assert report("layering", "--threshold", "within_s=1")[1]["rows"] == []
    assert report("layering", "--threshold", "size_ratio=9")[1]["rows"] == []
    assert report("layering", "--threshold", "within_s=90")[1]["rows"][0]["layers"] == 3
    assert report("layering", "--session", "SELLER")[0] == 0


def test_requests_and_fills_are_counted_by_session(planted: Stage, report: Report) -> None:
    code, told = report("order-to-trade")
    rows = by_session(told)
    crook = rows["CROOK"]
    assert code == 0 and told["findings"] == 0
    assert (crook["orders"], crook["cancels"], crook["fills"], crook["ratio"]) == (6, 3, 3, "3.00")
    assert (rows["SELLER"]["replaces"], rows["BUYER"]["cancels"]) == (1, 3)
    code, told = report("order-to-trade", "--threshold", "ratio_max=2.5")
    assert code == 1 and by_session(told)["CROOK"]["over"] and not by_session(told)["A1"]["over"]


def test_rates_tell_the_busiest_second(planted: Stage, report: Report) -> None:
    code, told = report("message-rates", "--session", "CROOK")
    (row,) = told["rows"]
    said = [direction for direction, session, _ in planted.said.values() if session == "CROOK"]
    assert code == 0 and (row["received"], row["said"]) == (said.count("in"), said.count("out"))
    assert row["received_peak"] == 3 and row["peak_time"].startswith("2025-10-09T08:5")
    assert report("message-rates", "--threshold", "peak_max=2")[0] == 1


def test_refusals_are_counted_by_reason(planted: Stage, report: Report) -> None:
    code, told = report("rejects")
    assert code == 0
    found = {(row["session"], row["msg_type"], row["tag"], row["reason"]): row["count"] for row in told["rows"]}
    assert found == {("BUYER", "8", "103", "1"): 1, ("BUYER", "9", "102", "0"): 1, ("BUYER", "9", "102", "1"): 1}
    assert told["rows"][0]["first_text"] in ("Unknown Symbol(55)", None)


def test_gaps_and_resends_are_counted(planted: Stage, report: Report) -> None:
    code, told = report("gaps")
    (row,) = told["rows"]
    again = [raw for (_, part), (_, _, raw) in planted.said.items() if part]
    fills = sum(b"\x0135=4\x01" in raw for raw in again)
    assert (code, row["session"], row["resends_asked"]) == (0, "BUYER", 1)
    assert (row["said_again"], row["gap_fills"]) == (len(again) - fills, fills)


def test_answers_are_timed_from_request_to_first_report(planted: Stage, report: Report) -> None:
    code, told = report("ack-latency")
    row = by_session(told)["BUYER"]
    assert code == 0 and (row["requests"], row["answered"], row["not_answered"]) == (8, 8, 0)
    assert row["same_turn"] == 8 and (row["p50_ns"], row["max_ns"]) == (0, 0)


def test_positions_of_a_sound_day_agree(planted: Stage, report: Report) -> None:
    code, told = report("reconciliation")
    rows = {(row["session"], row["symbol"]): row for row in told["rows"]}
    assert (code, told["findings"]) == (0, 0)
    assert rows["A1", "AAPL"]["position_reports"] == rows["A1", "AAPL"]["position_trades"] == "50"
    assert rows["SELLER", "AAPL"]["turnover_trades"] == str(187.25 * 100 + 50 * 50)[:-1] + "00"
    assert rows["BUYER", "MSFT"]["position_orders"] == "0"


@pytest.mark.parametrize(
    ("change", "sessions"),
    [
        ("SET last_qty = 9 WHERE cl_ord_id = 'W2' AND exec_type = 'F'", {"CROOK"}),
        ("SET last_px = 49 WHERE cl_ord_id = 'F2' AND exec_type = 'F'", {"A2"}),
        ("SET session = 'MALLORY' WHERE cl_ord_id = 'T2' AND exec_type = 'F'", {"MALLORY", "SELLER"}),
        ("SET match_id = NULL WHERE cl_ord_id = 'F1' AND exec_type = 'F'", {"A1", "A2"}),
        ("SET cum_qty = 19, leaves_qty = 1 WHERE cl_ord_id = 'F1' AND exec_type = 'F'", {"A1"}),
    ],
)
def test_a_row_that_does_not_fit_is_a_difference(
    change: str, sessions: set[str], planted: Stage, report: Report, server: Server
) -> None:
    execute(server, "CREATE TABLE fixsim.kept AS SELECT * FROM fixsim.executions")
    try:
        execute(server, f"UPDATE fixsim.executions {change}")
        code, told = report("reconciliation")
    finally:
        execute(server, "DELETE FROM fixsim.executions; INSERT INTO fixsim.executions SELECT * FROM fixsim.kept")
        execute(server, "DROP TABLE fixsim.kept")
    assert code == 1
    assert {row["session"] for row in told["rows"] if row["different"]} == sessions
    assert report("reconciliation")[0] == 0


# ---------------------------------------------------------------- range, forms, mistakes


def test_a_report_is_about_the_time_that_is_asked(planted: Stage, report: Report) -> None:
    assert report("wash-trades", "--day", "2025-10-09")[1]["findings"] == 2
    assert report("wash-trades", "--day", "2025-10-10") == (0, report("wash-trades", "--since", "2025-10-10")[1])
    first = report("wash-trades")[1]["rows"][0]["time"]
    assert report("wash-trades", "--until", first)[1]["rows"] == []
    assert report("wash-trades", "--since", first)[1]["findings"] == 2


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(["audit", "report", *arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return int(left.value.code or 0), said.out, said.err


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_gives_the_same_rows_in_every_form(
    name: str, planted: Stage, report: Report, server_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from arro3.io import read_parquet

    code, told = report(name)
    here = ("--data-dir", str(server_home))
    code_csv, out, _ = run(capsys, name, *here, "--csv", "-")
    header, *rows = csv.reader(io.StringIO(out))
    assert code_csv == code and header == told["columns"]
    expected = [
        ["" if row[column] is None else str(row[column]).lower() if type(row[column]) is bool else str(row[column])
         for column in header] for row in told["rows"]
    ]  # fmt: skip
    assert rows == expected
    assert run(capsys, name, *here, "--csv", str(tmp_path / "rows.csv"))[2].startswith(f"{len(rows)} rows written")
    assert (tmp_path / "rows.csv").read_text() == out.replace("\r\n", "\n")
    assert run(capsys, name, *here, "--parquet", str(tmp_path / "rows.parquet"))[0] == code
    table = read_parquet(str(tmp_path / "rows.parquet")).read_all()
    for column in header:
        assert table.column(column).to_pylist() == [row[column] for row in told["rows"]]
    code, out, _ = run(capsys, name, *here)
    assert all(row["session"] in out for row in told["rows"] if "session" in row) and out.count("\n") == len(rows) + 1
    code, query, _ = run(capsys, name, "--sql", "--day", "2025-10-09")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["audit", "sql", query, *here, "--json"])
    said = capsys.readouterr()
    assert said.err == "" and len(json.loads(said.out)) == len(rows)


def test_reports_are_listed_with_their_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0 and out.count("\n") == len(REPORTS) + 1
    assert all(f"{key}={one.default}" in out for told in REPORTS.values() for key, one in told.thresholds.items())
    assert [told["report"] for told in json.loads(run(capsys, "--json")[1])] == list(REPORTS)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "there is no report"),
        (["layering", "--threshold", "nonsense=1"], "no such threshold"),
        (["layering", "--threshold", "within_s"], "within_s=NUMBER"),
        (["layering", "--threshold", "within_s=-1"], "not below 0"),
        (["layering", "--threshold", "within_s=nan"], "not below 0"),
        (["rejects", "--threshold", "within_s=1"], "it has none"),
        (["gaps", "--symbol", "AAPL"], "does not take --symbol"),
        (["gaps", "--owner", "A=B"], "does not take --owner"),
        (["wash-trades", "--owner", "A="], "FIRM=NAME"),
        (["gaps", "--day", "2025-10-09", "--since", "5m"], "not both"),
        (["gaps", "--day", "5m"], "expected a date"),
        (["gaps", "--csv", "-", "--json"], "one of"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], word: str, planted: Stage, server_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments, "--data-dir", str(server_home))
    assert (code, out) == (2, "") and word in err and err.count("\n") == 1


def test_parquet_without_its_extra_says_what_to_install(
    planted: Stage, server_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "arro3.core", None)
    code, _, err = run(capsys, "gaps", "--data-dir", str(server_home), "--parquet", str(tmp_path / "rows"))
    assert code == 2 and "fixsim[parquet]" in err


# ---------------------------------------------------------------- the page

PAGE = Path(__file__).parents[2] / "docs" / "surveillance.md"
EXAMPLES = re.findall(r"```console\n\$ fixsim audit report ?(.*)\n((?:.*\n)*?)```", PAGE.read_text())


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command or "list" for command, _ in EXAMPLES])
def test_an_example_of_the_page_gives_what_it_shows(
    command: str, shown: str, planted: Stage, server_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, *shlex.split(command), *(["--data-dir", str(server_home)] if command else []))
    assert "".join(line.rstrip() + "\n" for line in out.splitlines()) == shown


def test_every_report_and_threshold_is_on_the_page() -> None:
    page = PAGE.read_text()
    for name, told in REPORTS.items():
        section = page[page.index(f"\n## {name}\n") :].split("\n## ")[1]
        assert f"$ fixsim audit report {name}" in section
        for key, one in told.thresholds.items():
            assert f"| `{key}` | {one.default} | {one.meaning} |" in section
