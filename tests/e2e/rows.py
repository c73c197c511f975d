"""The database, put side by side with the journal: every row of `messages`, and what is drawn from them."""

import asyncio
from pathlib import Path

import asyncpg

from e2e.ledger import Ledger, Row
from e2e.peer import fields, value
from fixsim.audit.database import EMBEDDED, Database, open_database

MESSAGES = f"SELECT {', '.join(Row._fields)} FROM messages ORDER BY position, part"
EXECUTIONS = (
    "SELECT position, session, order_id, cl_ord_id, exec_id, exec_type, last_qty::text, leaves_qty::text, match_id "
    "FROM executions ORDER BY position"
)
TRADES = "SELECT match_id FROM trades ORDER BY match_id::bigint"
OPEN_ORDERS = "SELECT order_id, price, leaves_qty FROM orders WHERE ord_status IN ('0', '1')"
RESENT = "SELECT count(*) FROM sessions WHERE event = 'resent'"


def check_database(ledger: Ledger, data_dir: Path, url: str = EMBEDDED) -> None:
    """Every message of the journal has one row and no row is without a message; reports and trades follow from them."""
    database = open_database(data_dir, url, create=False, idle=False)
    try:
        asyncio.run(_check(ledger, database))
    finally:
        database.leave()


async def _check(ledger: Ledger, database: Database) -> None:
    await database.start()
    connection = await database.connect()
    try:
        await _check_messages(ledger, connection)
        await _check_executions(ledger, connection)
        found = {(order_id.encode(), price, leaves) for order_id, price, leaves in await connection.fetch(OPEN_ORDERS)}
        assert found == set(ledger.books.everything())
        assert await connection.fetchval(RESENT) == ledger.resends
        assert await connection.fetchval("SELECT messages FROM shipped") == len(ledger.rows)
    finally:
        await connection.close()


async def _check_messages(ledger: Ledger, connection: asyncpg.Connection) -> None:
    expected = iter(ledger.rows)
    async with connection.transaction():
        async for found in connection.cursor(MESSAGES, prefetch=5000):
            row = next(expected, None)
            assert row == tuple(found), f"expected {row}, found {tuple(found)}"
    missing = next(expected, None)
    assert missing is None, f"no row for {missing}"


async def _check_executions(ledger: Ledger, connection: asyncpg.Connection) -> None:
    expected, matches = [], set()
    for row in ledger.rows:
        if row.direction == "out" and row.part == 0 and row.msg_type == "8":
            report = {tag: text.decode("latin-1") for tag, text in fields(row.raw).items()}
            order_id = None if report[b"37"] == "NONE" else report[b"37"]
            expected.append(
                (row.position, row.session, order_id, report[b"11"], report[b"17"], report[b"150"], report.get(b"32"),
                 report[b"151"], report.get(b"527"))
            )  # fmt: skip
            matches.add(int(value(row.raw, b"527") or 0))
    found = [tuple(row) for row in await connection.fetch(EXECUTIONS)]
    assert found == expected
    trades = [int(row[0]) for row in await connection.fetch(TRADES)]
    assert trades == sorted(matches - {0})
