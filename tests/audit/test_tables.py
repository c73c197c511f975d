"""Tables are what `tables.py` says, are made once by whoever comes first, and the reading role can only
read views.
"""

import asyncio
from typing import Any

import asyncpg
import pytest

from fixsim.audit import tables
from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.queries import ask_sql
from fixsim.audit.rows import EVENT_COLUMNS, EXECUTION_COLUMNS, MESSAGE_COLUMNS, SESSION_COLUMNS
from fixsim.audit.server import READER
from fixsim.errors import UsageError

#: PostgreSQL's names of the types `tables.py` uses.
TYPES = {
    "BIGINT": "bigint", "INTEGER": "integer", "TEXT": "text", "NUMERIC": "numeric", "BLOB": "bytea",
    "DATETIME": "timestamp with time zone",
}  # fmt: skip


def test_tables_and_views_are_as_described(database: EmbeddedDatabase) -> None:
    async def found() -> dict[tuple[str, str], dict[str, str]]:
        await asyncio.gather(*(tables.prepare(database.connect) for _ in range(3)))
        connection = await database.connect()
        rows = await connection.fetch(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema IN ('fixsim', 'public')"
        )
        assert await tables.revision(connection) == tables.REVISION
        await connection.close()
        columns: dict[tuple[str, str], dict[str, str]] = {}
        for schema, table, column, kind in rows:
            columns.setdefault((schema, table), {})[column] = kind
        return columns

    columns = asyncio.run(found())
    for metadata in (tables.tables, tables.views):
        for table in metadata.tables.values():
            described = {column.name: TYPES[str(column.type)] for column in table.columns}
            assert columns[table.schema or "public", table.name] == described, table.name
    assert {name for schema, name in columns if schema == "public"} == set(tables.DOCUMENTED)


def test_every_stored_column_is_shipped() -> None:
    for table, shipped in (
        (tables.stored_messages, MESSAGE_COLUMNS),
        (tables.stored_executions, EXECUTION_COLUMNS),
        (tables.stored_sessions, SESSION_COLUMNS),
        (tables.stored_events, EVENT_COLUMNS),
    ):
        assert set(table.columns.keys()) == set(shipped)


FORBIDDEN = [
    "SELECT * FROM fixsim.messages",
    "SELECT rolpassword FROM pg_authid",
    "SELECT passwd FROM pg_shadow",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_create(0)",
    "SELECT pg_terminate_backend(pg_backend_pid() + 1), set_config('role', 'fixsim_owner', false)",
    "CREATE TABLE mine (a int)",
    "CREATE TEMP TABLE mine (a int)",
    "INSERT INTO messages SELECT * FROM messages",
    "DELETE FROM fixsim.cursor RETURNING *",
    "UPDATE shipped SET position = 0 RETURNING *",
    "COPY (SELECT 1) TO PROGRAM 'touch /tmp/never'",
    "COPY (SELECT 1) TO '/tmp/never'",
    "DO $$ BEGIN PERFORM 1; END $$",
    "SET ROLE fixsim_owner",
    "SELECT 1; SELECT 2",
    "ALTER ROLE fixsim_reader SUPERUSER",
    "LOCK TABLE messages",
    "",
    "SELECT nonsense",
    "SELECT pg_sleep(60)",
]


def test_the_reading_role_reads_views_and_nothing_else(database: EmbeddedDatabase) -> None:
    async def ask() -> None:
        await tables.prepare(database.connect)
        connection = await database.connect(READER)
        for view in tables.DOCUMENTED:
            columns, rows = await ask_sql(connection, f"SELECT * FROM {view}", 5)
            assert columns == list(tables.views.tables[view].columns.keys())
            assert len(rows) == (view == "shipped")
        for sql in FORBIDDEN:
            with pytest.raises(UsageError):
                await ask_sql(connection, sql, 0.2)
        # not even with the password in hand and no command of ours in between
        for sql in ("INSERT INTO shipped VALUES (1)", "TRUNCATE fixsim.messages", "COPY shipped TO PROGRAM 'cat'"):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute("SET default_transaction_read_only = off; " + sql)
        await connection.close()

    asyncio.run(ask())


def test_on_a_server_of_the_users_a_login_that_may_do_more_still_only_reads(database: EmbeddedDatabase) -> None:
    async def ask() -> None:
        await tables.prepare(database.connect)
        connection = await database.connect()  # the owner, as a URL would have it
        assert (await ask_sql(connection, "SELECT count(*) FROM messages", 5))[1] == [(0,)]
        for sql in ("DELETE FROM fixsim.cursor RETURNING *", "COPY (SELECT 1) TO PROGRAM 'true'", "DROP VIEW orders"):
            with pytest.raises(UsageError):
                await ask_sql(connection, sql, 5)
        await connection.close()

    asyncio.run(ask())


def test_two_shippers_of_one_cursor_do_not_double_a_row(database: EmbeddedDatabase, data_dir: Any) -> None:
    from audit_stage import Stage
    from test_shipping import stored

    from fixsim.audit.shipper import Shipper

    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    for number in range(2000):
        stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
    stage.close()

    async def race() -> None:
        shippers = [Shipper(data_dir, database) for _ in range(3)]
        for shipper in shippers:
            shipper.finish.set()
        assert await asyncio.gather(*(shipper.run() for shipper in shippers)) == [True] * 3
        assert await stored(database) == stage.said

    asyncio.run(race())
