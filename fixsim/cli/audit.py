"""`fixsim audit`: what happened, asked of PostgreSQL. Works while the exchange runs and when it does not."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fixsim.cli.audit_ask import (
    DEFAULT_DATA_DIR,
    TABLE_ROWS,
    ClOrdId,
    DataDir,
    Json,
    Limit,
    Session,
    Since,
    Symbol,
    Until,
    Url,
    ask,
)
from fixsim.cli.audit_evidence import EVIDENCE
from fixsim.cli.audit_report import report
from fixsim.cli.audit_views import (
    EVENT_COLUMNS,
    HAPPENING_COLUMNS,
    SESSION_COLUMNS,
    TRADE_COLUMNS,
    decoded,
    event_cells,
    for_json,
    happening_cells,
    headline,
    order_title,
    session_cells,
    stream_json,
    trade_cells,
)
from fixsim.cli.output import FINDING, print_json, print_table, say
from fixsim.errors import JournalError, UsageError
from fixsim.fix.codec import show

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Ask PostgreSQL what happened.")
audit_app = app
for name, command in {**EVIDENCE, "report": report}.items():
    app.command(name)(command)

def _filters(since: str | None, until: str | None, **given: str | None) -> Any:
    from fixsim.audit.moments import parse_moment
    from fixsim.audit.queries import Filters

    now_ns = time.time_ns()
    return Filters(
        since_ns=None if since is None else parse_moment(since, now_ns),
        until_ns=None if until is None else parse_moment(until, now_ns),
        **given,
    )


async def _taken(rows: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row async for row in rows]


def _limit(limit: int | None, as_json: bool) -> int:
    if limit is not None:
        return limit
    return 0 if as_json else TABLE_ROWS


def _finish(count: int, limit: int, what: str, as_json: bool) -> None:
    """Say what a table does not: that it is empty, or that it was cut."""
    if count == 0:
        if not as_json:
            say(f"no {what} found")
        raise typer.Exit(FINDING)
    if limit and count == limit and not as_json:
        say(f"the newest {limit} {what}; --limit 0 shows all")


@app.command()
def messages(
    session: Session = None,
    symbol: Symbol = None,
    msg_type: Annotated[str | None, typer.Option("--type", help="MsgType(35) or its name: D, NewOrderSingle.")] = None,
    direction: Annotated[str | None, typer.Option(help="in or out, as the exchange sees it.")] = None,
    cl_ord_id: ClOrdId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    raw: Annotated[bool, typer.Option("--raw", help="One line each, as on the wire with | for SOH.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """Messages, both ways, decoded field by field."""
    from fixsim.audit.queries import find_messages
    from fixsim.cli.audit_views import msg_type_of

    if direction not in (None, "in", "out"):
        raise UsageError("--direction is in or out")
    wanted = _filters(
        since, until, session=session, symbol=symbol, direction=direction, cl_ord_id=cl_ord_id,
        msg_type=None if msg_type is None else msg_type_of(msg_type),
    )  # fmt: skip
    rows = _limit(limit, json)

    async def question(connection: Any) -> int:
        found = find_messages(connection, wanted, rows)
        if json:
            return await stream_json(
                found, lambda row: for_json(row) if raw else for_json(row) | {"fields": decoded(row["raw"])}
            )
        count = 0
        async for row in found:
            count += 1
            print(f"{headline(row)}  {show(row['raw'])}" if raw else headline(row))
            if not raw:
                for field in decoded(row["raw"]):
                    print(f"  {field['tag']:>5}  {field['name']:<22} {field['value']}  {field['meaning']}".rstrip())
        return count

    _finish(ask(data_dir, database_url, question), rows, "messages", json)


@app.command()
def order(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="ClOrdID(11) or OrderID(37).")],
    session: Session = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """The life of an order: every request and report along its chain of ClOrdIDs, each fill with its
    counterpart.
    """
    from fixsim.audit.queries import find_orders

    lives = ask(data_dir, database_url, lambda connection: find_orders(connection, order_id, session))
    if json:
        print_json({"orders": for_json(lives)})
    else:
        for number, life in enumerate(lives):
            if number:
                print()
            print_table(EVENT_COLUMNS, map(event_cells, life["events"]), order_title(life))
    _finish(len(lives), 0, f"order {order_id}", json)


@app.command()
def trades(
    session: Session = None,
    symbol: Symbol = None,
    cl_ord_id: ClOrdId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """Trades, each with both sides."""
    from fixsim.audit.queries import find_trades

    wanted = _filters(since, until, session=session, symbol=symbol, cl_ord_id=cl_ord_id)
    _table(data_dir, database_url, json, limit, "trades", TRADE_COLUMNS, trade_cells,
           lambda connection, rows: find_trades(connection, wanted, rows))  # fmt: skip


@app.command()
def sessions(
    session: Session = None,
    event: Annotated[str | None, typer.Option(help="connected, logon, gap, resent ... (see docs/audit.md)")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """What happened to sessions: connections, logons, logouts, gaps, resends, rejects."""
    from fixsim.audit.queries import find_session_events

    wanted = _filters(since, until, session=session, event=event)
    _table(data_dir, database_url, json, limit, "session events", SESSION_COLUMNS, session_cells,
           lambda connection, rows: find_session_events(connection, wanted, rows))  # fmt: skip


@app.command()
def events(
    event: Annotated[str | None, typer.Option(help="halt, reload, clock.advance, phase ... (see docs/audit.md)")] = None,
    symbol: Symbol = None,
    session: Session = None,
    who: Annotated[str | None, typer.Option(help="Who asked for it.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """What was done to the venue and by it: commands with who and why, starts, reloads, phases."""
    from fixsim.audit.queries import find_events

    wanted = _filters(since, until, event=event, symbol=symbol, session=session, who=who)
    _table(data_dir, database_url, json, limit, "events", HAPPENING_COLUMNS, happening_cells,
           lambda connection, rows: find_events(connection, wanted, rows))  # fmt: skip


def _table(
    data_dir: Path, url: str | None, as_json: bool, limit: int | None, what: str, columns: tuple[str, ...],
    cells: Callable[[dict[str, Any]], list[Any]], find: Callable[[Any, int], AsyncIterator[dict[str, Any]]],
) -> None:  # fmt: skip
    """Ask for rows, print them as a table or as JSON."""
    rows = _limit(limit, as_json)

    async def question(connection: Any) -> int:
        if as_json:
            return await stream_json(find(connection, rows), for_json)
        found = await _taken(find(connection, rows))
        if found:
            print_table(columns, map(cells, found))
        return len(found)

    _finish(ask(data_dir, url, question), rows, what, as_json)


@app.command()
def lag(data_dir: DataDir = DEFAULT_DATA_DIR, database_url: Url = None, json: Json = False) -> None:
    """How far the database is behind the journal."""
    from fixsim.audit.database import EMBEDDED
    from fixsim.audit.lag import NOTHING_SHIPPED, measure_lag
    from fixsim.audit.moments import show_moment
    from fixsim.audit.place import has_cluster
    from fixsim.audit.queries import find_progress

    embedded = database_url in (None, EMBEDDED)
    if embedded and (data_dir / "journal").is_dir() and not has_cluster(data_dir):
        progress = NOTHING_SHIPPED  # the database is still being made, or there never was one
    else:
        progress = ask(data_dir, database_url, find_progress, note=False, unmade=NOTHING_SHIPPED)
    try:
        behind = measure_lag(data_dir, progress, time.time_ns())
    except JournalError as error:
        raise UsageError(f"the database was not filled from the journal in {data_dir}: {error}") from error
    answer: dict[str, Any] = {
        "messages_behind": None, "seconds_behind": None, "journal_end": None, **(asdict(behind) if behind else {}),
        "last_position_shipped": progress["last_position"],
        "shipped_to": progress["position"],
        "messages_shipped": progress["messages"],
        "last_time": show_moment(progress["last_time_ns"]) or None,
        "written_at": progress["written_at"].isoformat() if progress["written_at"] else None,
    }  # fmt: skip
    if json:
        print_json(answer)
    else:
        print_table(("figure", "value"), answer.items())
        if behind is None:
            say(f"no journal in {data_dir}: how far behind the database is cannot be told")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One query over the documented views.")],
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds after which it is stopped.")] = 30.0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    json: Json = False,
) -> None:
    """One read-only query over messages, orders, executions, trades, sessions and shipped."""
    from fixsim.audit.queries import ask_sql

    columns, rows = ask(data_dir, database_url, lambda connection: ask_sql(connection, query, timeout))
    if json:
        print_json([for_json(dict(zip(columns, row, strict=True))) for row in rows])
    else:
        print_table(columns, ([show(cell) if isinstance(cell, bytes) else cell for cell in row] for row in rows))
