"""The audit database as SQLAlchemy Core sees it: tables we fill (schema `fixsim`) and views people ask
(schema `public`).

The truth about their making is `migrations/`; a test compares the two. Two things are views on purpose:

- `orders` and `trades` are drawn from `executions`. A trade has two reports that may be shipped in different
  transactions, and an order lives for days: what is derived can be late but never half, doubled or different.
- everybody who asks sees views only, so the read-only role has no right on a table.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, MetaData, Numeric, Table, Text

from fixsim.errors import ShippingError

SCHEMA: Final = "fixsim"
#: Revision this release of fixsim works with; the newest file in `migrations/versions`.
REVISION: Final = "0002"

#: Opens a connection of the role that owns the tables.
Connect = Callable[[], Awaitable[asyncpg.Connection]]

tables = MetaData(schema=SCHEMA)
views = MetaData()


def _message_columns() -> list[Column[Any]]:
    """A message: `position` is its journal record; `part` counts, from 1, the frames one RESEND record
    stands for, else 0.
    """
    return [
        Column("position", BigInteger, nullable=False),
        Column("part", Integer, nullable=False),
        Column("time_ns", BigInteger, nullable=False),
        Column("direction", Text, nullable=False),
        Column("session", Text, nullable=False),
        Column("run", Integer, nullable=False),
        Column("msg_seq_num", BigInteger, nullable=False),
        Column("msg_type", Text, nullable=False),
        Column("cl_ord_id", Text),
        Column("order_id", Text),
        Column("exec_id", Text),
        Column("symbol", Text),
        Column("link", BigInteger, nullable=False),
        Column("raw", LargeBinary, nullable=False),
    ]


def _execution_columns() -> list[Column[Any]]:
    """An ExecutionReport(8) when it was said first; decimals exactly as they were written."""
    return [
        Column("position", BigInteger, nullable=False),
        Column("time_ns", BigInteger, nullable=False),
        Column("session", Text, nullable=False),
        Column("order_id", Text),
        Column("cl_ord_id", Text),
        Column("orig_cl_ord_id", Text),
        Column("exec_id", Text),
        Column("exec_ref_id", Text),
        Column("exec_type", Text),
        Column("ord_status", Text),
        Column("ord_rej_reason", Text),
        Column("exec_restatement_reason", Text),
        Column("account", Text),
        Column("symbol", Text),
        Column("side", Text),
        Column("order_qty", Numeric),
        Column("ord_type", Text),
        Column("price", Numeric),
        Column("time_in_force", Text),
        Column("last_qty", Numeric),
        Column("last_px", Numeric),
        Column("leaves_qty", Numeric),
        Column("cum_qty", Numeric),
        Column("avg_px", Numeric),
        Column("transact_time_ns", BigInteger),
        Column("match_id", Text),
        Column("liquidity", Text),
        Column("text", Text),
    ]


def _session_columns() -> list[Column[Any]]:
    """Something that happened to a session; `begin_seq_no` and `end_seq_no` are the range it is about."""
    return [
        Column("position", BigInteger, nullable=False),
        Column("time_ns", BigInteger, nullable=False),
        Column("session", Text),
        Column("run", Integer, nullable=False),
        Column("event", Text, nullable=False),
        Column("msg_seq_num", BigInteger),
        Column("begin_seq_no", BigInteger),
        Column("end_seq_no", BigInteger),
        Column("link", BigInteger, nullable=False),
        Column("text", Text),
    ]


def _event_columns() -> list[Column[Any]]:
    """Something that was done to the venue or by it: a command, a start, a reload, a phase. `venue_ns` is venue time then."""
    return [
        Column("position", BigInteger, nullable=False),
        Column("time_ns", BigInteger, nullable=False),
        Column("venue_ns", BigInteger),
        Column("event", Text, nullable=False),
        Column("who", Text),
        Column("why", Text),
        Column("symbol", Text),
        Column("session", Text),
        Column("text", Text),
    ]


def _time() -> Column[Any]:
    """`time_ns` for reading, cut to microseconds; filter by `time_ns`, which is indexed."""
    return Column("time", DateTime(timezone=True))


def _side_columns(side: str) -> list[Column[Any]]:
    return [
        *(Column(f"{side}_{name}", Text) for name in ("session", "order_id", "cl_ord_id", "exec_id", "account")),
        Column(f"{side}_position", BigInteger),
    ]


stored_messages = Table("messages", tables, *_message_columns())
stored_executions = Table("executions", tables, *_execution_columns())
stored_sessions = Table("sessions", tables, *_session_columns())
stored_events = Table("events", tables, *_event_columns())
#: Session ids of the journal and the CompID they stand for: a shipper that starts in the middle needs them.
session_names = Table("session_names", tables, Column("id", BigInteger, primary_key=True), Column("name", Text))
#: One row: what is shipped, written in the same transaction as the rows.
cursor = Table(
    "cursor",
    tables,
    Column("batch", BigInteger, nullable=False),  # position of the batch to read next
    Column("position", BigInteger, nullable=False),  # position of the record to ship next
    Column("part", Integer, nullable=False),  # frames of that record already shipped (a RESEND may be long)
    Column("seal_position", BigInteger),  # the newest seal shipped: it must be found in the journal unchanged
    Column("seal_crc", BigInteger),
    Column("last_time_ns", BigInteger),  # venue time of the newest record shipped
    Column("messages", BigInteger, nullable=False),  # rows of `messages` shipped so far
    Column("written_at", DateTime(timezone=True)),
)

messages = Table("messages", views, *_message_columns(), _time())
executions = Table("executions", views, *_execution_columns(), _time())
sessions = Table("sessions", views, *_session_columns(), _time())
events = Table("events", views, *_event_columns(), _time())
orders = Table(
    "orders",
    views,
    Column("position", BigInteger),
    Column("time_ns", BigInteger),
    Column("session", Text),
    Column("order_id", Text),
    Column("first_cl_ord_id", Text),
    Column("cl_ord_id", Text),
    Column("symbol", Text),
    Column("side", Text),
    Column("account", Text),
    Column("ord_type", Text),
    Column("time_in_force", Text),
    Column("order_qty", Numeric),
    Column("price", Numeric),
    Column("ord_status", Text),
    Column("leaves_qty", Numeric),
    Column("cum_qty", Numeric),
    Column("avg_px", Numeric),
    Column("ord_rej_reason", Text),
    Column("text", Text),
    Column("last_position", BigInteger),
    Column("last_time_ns", BigInteger),
    Column("transact_time_ns", BigInteger),
    Column("last_transact_time_ns", BigInteger),
    _time(),
)
trades = Table(
    "trades",
    views,
    Column("match_id", Text),
    Column("time_ns", BigInteger),
    Column("symbol", Text),
    Column("last_qty", Numeric),
    Column("last_px", Numeric),
    Column("aggressor", Text),
    Column("amended", Text),
    Column("amended_qty", Numeric),
    Column("amended_px", Numeric),
    *_side_columns("buy"),
    *_side_columns("sell"),
    Column("transact_time_ns", BigInteger),
    _time(),
)
#: What the shipper has done, for `fixsim audit lag`.
shipped = Table("shipped", views, *(Column(column.name, column.type) for column in cursor.columns))

#: Views the read-only role may SELECT: the whole of what is documented.
DOCUMENTED: Final = ("messages", "orders", "executions", "trades", "sessions", "events", "shipped")


async def prepare(connect: Connect) -> None:
    """Create the tables, or bring those of an older release up to `REVISION`. One process does it, others
    wait.
    """
    connection = await connect()
    try:
        if await revision(connection) == REVISION:
            return
    finally:
        await connection.close()
    await _upgrade(connect)


async def revision(connection: asyncpg.Connection) -> str | None:
    """Revision the database is at, None when there are no tables of ours."""
    if await connection.fetchval("SELECT to_regclass('fixsim.alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM fixsim.alembic_version")
    return found


async def _upgrade(connect: Connect) -> None:
    # alembic and SQLAlchemy's engine take half a second to import: only who needs them pays
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import Connection, text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(4441)"))
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            await connection.run_sync(upgrade)
    except DBAPIError as error:  # all of it or nothing: whoever comes next begins anew
        raise ShippingError(f"the tables could not be made: {error.orig}") from error
    finally:
        await engine.dispose()
