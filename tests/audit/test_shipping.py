"""What is in the journal is in PostgreSQL, once and exactly."""

import asyncio
from pathlib import Path

from audit_stage import Stage

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.shipper import Shipper


async def ship(data_dir: Path, database: EmbeddedDatabase) -> Shipper:
    """Ship everything sealed."""
    shipper = Shipper(data_dir, database)
    shipper.finish.set()
    assert await shipper.run()
    return shipper


async def rows(database: EmbeddedDatabase, sql: str) -> list[tuple[object, ...]]:
    connection = await database.connect()
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def stored(database: EmbeddedDatabase) -> dict[tuple[int, int], tuple[str, str, bytes]]:
    """All messages, as `Stage.said` has them."""
    found = await rows(database, "SELECT position, part, direction, session, raw FROM messages")
    return {(row[0], row[1]): row[2:] for row in found}  # type: ignore[misc]


def test_every_byte_said_is_stored_once(database: EmbeddedDatabase, data_dir: Path) -> None:
    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    stage.log_on(b"SELLER")
    for number in range(300):
        stage.tick()
        sell = stage.order(b"SELLER", b"S%d" % number, b"2", b"100", b"187.25")
        buy = stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
        stage.trade((b"BUYER", buy, b"B%d" % number), (b"SELLER", sell, b"S%d" % number), b"100", b"187.25")
        if number % 100 == 50:
            stage.resend(b"BUYER", 3, 40)
    stage.close()

    async def check() -> None:
        await ship(data_dir, database)
        assert await stored(database) == stage.said
        await ship(data_dir, database)
        assert await stored(database) == stage.said
        assert await rows(database, "SELECT count(*) FROM trades") == [(300,)]
        assert await rows(database, "SELECT count(*), min(ord_status) FROM orders") == [(600, "2")]

    asyncio.run(check())
