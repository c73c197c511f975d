"""Asking for a report: its SQL with the parameters it takes, its rows, what of them is a finding."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import asyncpg
from sqlalchemy import BigInteger, Numeric, Text, TextClause, bindparam, text
from sqlalchemy.dialects import postgresql

from fixsim.audit.moments import show_moment
from fixsim.audit.queries import fetch
from fixsim.audit.surveillance import EVERY_ROW, REPORTS, Report
from fixsim.errors import UsageError

#: Parameters that are no thresholds, and their types.
PARAMETERS: Final[Mapping[str, Any]] = {
    "since_ns": BigInteger(), "until_ns": BigInteger(), "session": Text(), "symbol": Text(), "owners": Text(),
}  # fmt: skip
#: What `{scope}` stands for; an empty text is any.
SCOPE: Final = (
    "time_ns >= :since_ns AND time_ns < :until_ns "
    "AND (:session = '' OR session = :session) AND (:symbol = '' OR symbol = :symbol)"
)
#: Behind every time.
ALWAYS_NS: Final = (1 << 63) - 1
_NAMED: Final = re.compile(r"(?<![:\w]):(\w+)")
_TIME: Final = "time_ns"


@dataclass(frozen=True)
class Wanted:
    """What a report is asked about; empty texts for anything. `owners` are firms and the sessions and accounts of each."""

    since_ns: int = 0
    until_ns: int = ALWAYS_NS
    session: str = ""
    symbol: str = ""
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)
    thresholds: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Rows of a report, by column, and how many of them are findings."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    findings: int


def report_named(name: str) -> Report:
    """The report called `name`; UsageError when there is none."""
    report = REPORTS.get(name)
    if report is None:
        raise UsageError(f"there is no report {name!r}; there are {', '.join(REPORTS)}")
    return report


def thresholds_of(report: Report, given: Sequence[str]) -> dict[str, Decimal]:
    """Every threshold of a report: `NAME=NUMBER` as given, its default otherwise. UsageError for a mistake."""
    values = {name: Decimal(threshold.default) for name, threshold in report.thresholds.items()}
    for written in given:
        name, sign, number = written.partition("=")
        if name not in values:
            known = f"its thresholds are {', '.join(values)}" if values else "it has none"
            raise UsageError(f"--threshold {written}: the report has no such threshold; {known}")
        try:
            values[name] = Decimal(number)
        except InvalidOperation:
            values[name] = Decimal("NaN")
        if not sign or not values[name].is_finite() or values[name] < 0:
            raise UsageError(f"--threshold {written}: write {name}=NUMBER, not below 0")
    return values


def statement(report: Report, wanted: Wanted) -> TextClause:
    """The report as SQL with its parameters. UsageError when one was given that it does not know."""
    sql = report.sql.format(scope=SCOPE)
    values: dict[str, Any] = {
        "since_ns": wanted.since_ns, "until_ns": wanted.until_ns, "session": wanted.session, "symbol": wanted.symbol,
        "owners": json.dumps({firm: list(names) for firm, names in wanted.owners.items()}), **wanted.thresholds,
    }  # fmt: skip
    used = set(_NAMED.findall(sql))
    for name, option in (("session", "--session"), ("symbol", "--symbol"), ("owners", "--owner")):
        if name not in used and getattr(wanted, name):
            raise UsageError(f"this report does not take {option}")
    return text(sql).bindparams(
        *(bindparam(name, values[name], type_=PARAMETERS.get(name, Numeric())) for name in sorted(used))
    )


def written_out(report: Report, wanted: Wanted) -> str:
    """The SQL with its values in place, for `fixsim audit sql` or any other client."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(statement(report, wanted).compile(dialect=dialect, compile_kwargs={"literal_binds": True})).strip()


async def ask_report(connection: asyncpg.Connection, report: Report, wanted: Wanted) -> Answer:
    """Put the question. Times come back as text to the nanosecond, in a column without `_ns`."""
    asked = statement(report, wanted)
    columns = await _columns(connection, report, wanted)
    rows = [{_shown_name(name): _shown(name, value) for name, value in row.items()} for row in await fetch(connection, asked)]
    if report.findings == EVERY_ROW:
        findings = len(rows)
    else:
        findings = sum(bool(row[report.findings]) for row in rows) if report.findings else 0
    return Answer(columns, rows, findings)


async def _columns(connection: asyncpg.Connection, report: Report, wanted: Wanted) -> tuple[str, ...]:
    """The columns, also of an empty answer."""
    prepared = await connection.prepare(written_out(report, wanted))
    return tuple(_shown_name(attribute.name) for attribute in prepared.get_attributes())


def _shown_name(name: str) -> str:
    return name.removesuffix("_ns") if name.endswith(_TIME) else name


def _shown(name: str, value: Any) -> Any:
    if name.endswith(_TIME):
        return show_moment(value) or None
    return value
