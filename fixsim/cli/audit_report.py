"""`fixsim audit report`: named reports over what was shipped, for surveillance and for the end of a day."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fixsim.cli.audit_ask import DEFAULT_DATA_DIR, DataDir, Json, Session, Since, Symbol, Until, Url, ask
from fixsim.cli.output import FINDING, print_json, print_records, print_table, say
from fixsim.errors import UsageError

if TYPE_CHECKING:
    from fixsim.audit.reports import Answer, Wanted
    from fixsim.audit.surveillance import Report

#: `--csv` for standard output.
STDOUT: Final = Path("-")
DAY_NS: Final = 86_400 * 10**9
#: Truth in a table.
_SHOWN: Final = {True: "yes", False: ""}

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The report; without one they are listed.")]
Day = Annotated[str | None, typer.Option(metavar="DATE", help="One day, UTC: 2025-11-20.")]
Thresholds = Annotated[
    list[str] | None, typer.Option("--threshold", metavar="NAME=NUMBER", help="Another threshold; may be given again.")
]
Owners = Annotated[
    list[str] | None,
    typer.Option("--owner", metavar="FIRM=NAME,NAME", help="Sessions and accounts of one owner; may be given again."),
]
Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="Write CSV; - for standard output.")]
Parquet = Annotated[Path | None, typer.Option(metavar="FILE", help="Write Parquet (needs the extra fixsim[parquet]).")]
Sql = Annotated[bool, typer.Option("--sql", help="Print the query, with its values, and ask nothing.")]


def report(
    name: Name = None,
    day: Day = None,
    since: Since = None,
    until: Until = None,
    session: Session = None,
    symbol: Symbol = None,
    threshold: Thresholds = None,
    owner: Owners = None,
    csv: Csv = None,
    parquet: Parquet = None,
    sql: Sql = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """Order-to-trade ratios, wash trades, layering, rejects, gaps, latencies, reconciliation. Exit code 1 for a finding."""
    from fixsim.audit.reports import Wanted, ask_report, report_named, thresholds_of, written_out

    if name is None:
        _list(json)
        return
    if sum(chosen is not None and chosen is not False for chosen in (csv, parquet, json, sql)) > 1:
        raise UsageError("one of --json, --csv, --parquet and --sql")
    chosen = report_named(name)
    since_ns, until_ns = _range(day, since, until)
    wanted = Wanted(
        since_ns, until_ns, session or "", symbol or "", _owners(owner or []), thresholds_of(chosen, threshold or [])
    )
    if sql:
        print(written_out(chosen, wanted))
        return
    answer = ask(data_dir, database_url, lambda connection: ask_report(connection, chosen, wanted))
    if json:
        print_json(_as_json(name, chosen, wanted, answer))
    else:
        _give(chosen, answer, csv, parquet)
    if answer.findings:
        raise typer.Exit(FINDING)


def _list(as_json: bool) -> None:
    """Every report in a line, and what it can be asked with."""
    from fixsim.audit.surveillance import REPORTS

    if as_json:
        print_json(
            [
                {
                    "report": name, "title": report.title,
                    "thresholds": {key: {"default": one.default, "meaning": one.meaning}
                                   for key, one in report.thresholds.items()},
                }
                for name, report in REPORTS.items()
            ]
        )  # fmt: skip
        return
    print_table(
        ("report", "what it tells", "thresholds"),
        (
            (name, report.title, " ".join(f"{key}={one.default}" for key, one in report.thresholds.items()))
            for name, report in REPORTS.items()
        ),
    )


def _range(day: str | None, since: str | None, until: str | None) -> tuple[int, int]:
    """The time asked about, ns since 1970 UTC; the last one is left out."""
    from fixsim.audit.moments import parse_moment
    from fixsim.audit.reports import ALWAYS_NS

    now_ns = time.time_ns()
    if day is not None:
        if since is not None or until is not None:
            raise UsageError("--day, or --since and --until, not both")
        begin_ns = parse_moment(day, now_ns)
        if begin_ns % DAY_NS:
            raise UsageError(f"--day {day}: expected a date, like 2025-11-20")
        return begin_ns, begin_ns + DAY_NS
    begin_ns = 0 if since is None else parse_moment(since, now_ns)
    return begin_ns, ALWAYS_NS if until is None else parse_moment(until, now_ns)


def _owners(given: list[str]) -> dict[str, list[str]]:
    """Firms and their sessions and accounts. UsageError for one that names nobody."""
    owners: dict[str, list[str]] = {}
    for written in given:
        firm, _, names = written.partition("=")
        members = [name for name in names.split(",") if name]
        if not firm or not members:
            raise UsageError(f"--owner {written}: write FIRM=NAME,NAME with sessions or accounts of that firm")
        owners.setdefault(firm, []).extend(members)
    return owners


def _as_json(name: str, chosen: "Report", wanted: "Wanted", answer: "Answer") -> dict[str, Any]:
    """A report with what it was asked with; decimals as text."""
    return {
        "report": name, "title": chosen.title, "thresholds": dict(wanted.thresholds), "findings": answer.findings,
        "columns": answer.columns, "rows": answer.rows,
    }  # fmt: skip


def _give(chosen: "Report", answer: "Answer", csv: Path | None, parquet: Path | None) -> None:
    """As a table, or into a file; what was found is told on the other channel."""
    from fixsim.audit.exports import write_csv, write_parquet

    if csv == STDOUT:
        write_csv(answer.columns, answer.rows, sys.stdout)
    elif csv is not None:
        with csv.open("w", encoding="utf-8", newline="") as file:
            write_csv(answer.columns, answer.rows, file)
    elif parquet is not None:
        write_parquet(answer.columns, answer.rows, parquet)
    elif answer.rows:
        rows = ({name: _SHOWN[cell] if isinstance(cell, bool) else cell for name, cell in row.items()}
                for row in answer.rows)  # fmt: skip
        print_records(answer.columns, rows)
    path = parquet or (None if csv == STDOUT else csv)
    if path is not None:
        say(f"{len(answer.rows)} rows written to {path}")
    elif not answer.rows:
        say(f"nothing found: {chosen.title}")
    if answer.findings:
        say(f"{answer.findings} {'finding' if answer.findings == 1 else 'findings'}")
