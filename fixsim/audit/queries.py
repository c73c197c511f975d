"""What people ask about the past: messages, orders, trades, sessions, lag, and SQL of their own.

Every question is put as the role that may read the documented views and nothing else, and every row of an
answer carries the journal position that leads to the exact bytes.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from sqlalchemy import Column, Select, TextClause, and_, or_, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect

from fixsim.audit.server import READER
from fixsim.audit.tables import events, executions, messages, sessions, shipped, trades
from fixsim.errors import UsageError

Row = dict[str, Any]
_DIALECT: Final = asyncpg_dialect()  # type: ignore[no-untyped-call]
#: Rows fetched at once from a long answer.
PREFETCH_ROWS: Final = 1000


@dataclass(frozen=True)
class Filters:
    """Which rows are wanted; None for any. Times are ns since 1970 UTC, `until_ns` is the first that is
    left out.
    """

    session: str | None = None
    symbol: str | None = None
    msg_type: str | None = None
    direction: str | None = None
    cl_ord_id: str | None = None
    event: str | None = None
    who: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def on(self, columns: Any) -> list[Any]:
        """Conditions on a table's columns: each filter that is given, on the column of its name."""
        given = [
            columns[name] == value
            for name in ("session", "symbol", "msg_type", "direction", "cl_ord_id", "event", "who")
            if (value := getattr(self, name)) is not None and name in columns
        ]
        if self.since_ns is not None:
            given.append(columns.time_ns >= self.since_ns)
        if self.until_ns is not None:
            given.append(columns.time_ns < self.until_ns)
        return given


def rendered(statement: Select[Any] | TextClause) -> tuple[str, list[Any]]:
    """A statement as asyncpg takes it: text with $1, $2, and their values."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]


async def fetch(connection: asyncpg.Connection, statement: Select[Any] | TextClause) -> list[Row]:
    """All rows of a short answer."""
    text, values = rendered(statement)
    return [dict(row) for row in await connection.fetch(text, *values)]


async def stream(
    connection: asyncpg.Connection, statement: Select[Any], order: Sequence[Column[Any]], limit: int
) -> AsyncIterator[Row]:
    """Rows in ascending `order`: the newest `limit` of them, all for 0, however many there are."""
    if limit:
        newest = statement.order_by(*(column.desc() for column in order)).limit(limit)
        for row in reversed(await fetch(connection, newest)):
            yield row
        return
    text, values = rendered(statement.order_by(*order))
    async with connection.transaction(readonly=True):
        async for record in connection.cursor(text, *values, prefetch=PREFETCH_ROWS):
            yield dict(record)


def find_messages(connection: asyncpg.Connection, filters: Filters, limit: int) -> AsyncIterator[Row]:
    """Messages in the order of the journal; resent ones stand where they were sent again."""
    statement = select(messages).where(*filters.on(messages.c))
    return stream(connection, statement, (messages.c.position, messages.c.part), limit)


def find_trades(connection: asyncpg.Connection, filters: Filters, limit: int) -> AsyncIterator[Row]:
    """Trades, each with its two sides; a session or a ClOrdID may be on either."""
    conditions = Filters(symbol=filters.symbol, since_ns=filters.since_ns, until_ns=filters.until_ns).on(trades.c)
    for name in ("session", "cl_ord_id"):
        wanted = getattr(filters, name)
        if wanted is not None:
            conditions.append(or_(trades.c[f"buy_{name}"] == wanted, trades.c[f"sell_{name}"] == wanted))
    return stream(connection, select(trades).where(*conditions), (trades.c.buy_position,), limit)


def find_session_events(connection: asyncpg.Connection, filters: Filters, limit: int) -> AsyncIterator[Row]:
    """What happened to sessions: connections, logons, gaps, resends."""
    return stream(connection, select(sessions).where(*filters.on(sessions.c)), (sessions.c.position,), limit)


def find_events(connection: asyncpg.Connection, filters: Filters, limit: int) -> AsyncIterator[Row]:
    """What was done to the venue and by it: commands with who and why, starts, reloads, phases."""
    return stream(connection, select(events).where(*filters.on(events.c)), (events.c.position,), limit)


# ---------------------------------------------------------------- the life of an order


async def find_orders(connection: asyncpg.Connection, wanted: str, session: str | None) -> list[Row]:
    """Every order that `wanted` names: by OrderID(37), or by any ClOrdID(11) it had or was asked to change
    under.

    Each is a row with its `events` in the order of the journal. Requests that never became an order
    (refused ones) come as one more row without an OrderID.
    """
    of_session = [executions.c.session == session] if session else []
    named = or_(executions.c.order_id == wanted, executions.c.cl_ord_id == wanted, executions.c.orig_cl_ord_id == wanted)
    found = await fetch(connection, select(executions.c.order_id, executions.c.session).where(named, *of_session).distinct())
    refused_by = messages.c.session == session if session else messages.c.session.is_not(None)
    for row in await fetch(
        connection,
        select(messages.c.order_id, messages.c.session).distinct().where(
            messages.c.msg_type == "9", messages.c.part == 0, messages.c.cl_ord_id == wanted, refused_by
        ),
    ):  # fmt: skip
        if row not in found:
            found.append(row)
    lives = [
        await _life(connection, row["session"], row["order_id"])
        for row in sorted(found, key=lambda row: (row["session"], _number(row["order_id"])))
        if row["order_id"] not in (None, "NONE")
    ]
    known = {event["position"] for life in lives for event in life["events"]}
    loose: dict[str, list[Row]] = {}
    for event in await _events_under(connection, [wanted], session):
        if event["position"] not in known:
            loose.setdefault(event["session"], []).append(event)
    for name, found_loose in loose.items():
        lives.append({"order_id": None, "session": name, "cl_ord_ids": [wanted], "events": found_loose})
    return lives


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


async def _life(connection: asyncpg.Connection, session: str, order_id: str) -> Row:
    """One order: what its reports say of it last, and everything that was said to it and about it."""
    reports = await fetch(
        connection, select(executions).where(executions.c.order_id == order_id).order_by(executions.c.position)
    )
    counterparts = await _counterparts(connection, [row["match_id"] for row in reports if row["match_id"]])
    events = [_report_event(row, counterparts) for row in reports]
    ids = list(dict.fromkeys(row[name] for row in reports for name in ("orig_cl_ord_id", "cl_ord_id") if row[name]))
    rejects = await fetch(
        connection,
        select(messages).where(messages.c.msg_type == "9", messages.c.part == 0, messages.c.order_id == order_id),
    )
    asked = list(dict.fromkeys([*ids, *(row["cl_ord_id"] for row in rejects if row["cl_ord_id"])]))
    events += _of_this_order(await _events_under(connection, asked, session), order_id, reports, rejects)
    events.sort(key=lambda event: int(event["position"]))
    life: Row = {"order_id": order_id, "session": session, "cl_ord_ids": ids}
    state = [row for row in reports if row["exec_type"] not in ("8", "I")] or reports
    if state:
        names = ("symbol", "side", "account", "ord_type", "time_in_force", "order_qty", "price", "ord_status")
        life |= {name: state[-1][name] for name in (*names, "leaves_qty", "cum_qty", "avg_px")}
    return life | {"events": events}


def _of_this_order(found: list[Row], order_id: str, reports: list[Row], rejects: list[Row]) -> list[Row]:
    """Those messages that belong to this order: a ClOrdID may be used again once its first order is long
    forgotten.
    """
    reported = {row["position"] for row in reports}
    begin = min(reported, default=0)
    begin = max((row["position"] for row in found if row["msg_type"] == "D" and row["position"] < begin), default=begin)
    end = max([*reported, *(row["position"] for row in rejects)], default=0)
    return [
        row
        for row in found
        if begin <= row["position"] <= end
        and row["position"] not in reported
        and (row["direction"] == "in" or row["order_id"] in (None, "NONE", order_id))
    ]


async def _counterparts(connection: asyncpg.Connection, match_ids: list[str]) -> dict[str, list[Row]]:
    """Both sides of each match."""
    if not match_ids:
        return {}
    columns = ("match_id", "position", "session", "order_id", "cl_ord_id", "account", "liquidity")
    rows = await fetch(
        connection, select(*(executions.c[name] for name in columns)).where(executions.c.match_id.in_(match_ids))
    )
    sides: dict[str, list[Row]] = {}
    for row in rows:
        sides.setdefault(row.pop("match_id"), []).append(row)
    return sides


def _report_event(row: Row, counterparts: dict[str, list[Row]]) -> Row:
    """An ExecutionReport(8) as an event, a fill with its counterpart."""
    kept = (
        "position", "time_ns", "session", "cl_ord_id", "orig_cl_ord_id", "exec_id", "exec_ref_id", "exec_type", "ord_status",
        "order_qty", "price", "last_qty", "last_px", "leaves_qty", "cum_qty", "avg_px", "ord_rej_reason", "match_id",
        "liquidity", "text",
    )  # fmt: skip
    event: Row = {"direction": "out", "msg_type": "8", **{name: row[name] for name in kept}}
    others = [side for side in counterparts.get(row["match_id"], ()) if side["order_id"] != row["order_id"]]
    event["counterpart"] = others[0] if others else None
    return event


async def _events_under(connection: asyncpg.Connection, cl_ord_ids: list[str], session: str | None) -> list[Row]:
    """Messages with one of these ClOrdIDs(11), said first: requests, and answers that are no
    ExecutionReport(8).
    """
    if not cl_ord_ids:
        return []
    columns = ("position", "time_ns", "session", "direction", "msg_type", "cl_ord_id", "order_id", "raw")
    conditions = [messages.c.cl_ord_id.in_(cl_ord_ids), messages.c.part == 0]
    if session:
        conditions.append(messages.c.session == session)
    statement = select(*(messages.c[name] for name in columns)).where(and_(*conditions)).order_by(messages.c.position)
    return await fetch(connection, statement)


# ---------------------------------------------------------------- the shipper's progress, and free questions


async def find_progress(connection: asyncpg.Connection) -> Row:
    """The cursor, and the newest position that has a row."""
    found = await fetch(connection, select(shipped))
    last = await fetch(connection, select(messages.c.position).order_by(messages.c.position.desc()).limit(1))
    return {**found[0], "last_position": last[0]["position"] if last else None}


async def ask_sql(connection: asyncpg.Connection, sql: str, timeout_s: float) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of one query, in a read-only transaction. UsageError for anything but one query that
    succeeds.

    On the embedded server the connection's login is the read-only role. On a server of the user's the
    transaction becomes that role where the login may; a statement that returns no rows is refused before
    it runs, since a superuser in a read-only transaction can still start programs by COPY.
    """
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = {int(timeout_s * 1000)}")
            if await connection.fetchval(
                "SELECT rolname <> current_user AND pg_has_role(oid, 'SET') FROM pg_roles WHERE rolname = $1", READER
            ):
                await connection.execute(f"SET LOCAL ROLE {READER}")
            statement = await connection.prepare(sql)
            columns = [attribute.name for attribute in statement.get_attributes()]
            if not columns:
                raise UsageError("only a query that returns rows is answered: SELECT, WITH, VALUES, TABLE, EXPLAIN, SHOW")
            return columns, [tuple(row.values()) for row in await statement.fetch()]
    except asyncpg.QueryCanceledError as error:
        raise UsageError(f"the query was stopped after {timeout_s:g} s (--timeout)") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UsageError(f"SQL: {error}") from error
