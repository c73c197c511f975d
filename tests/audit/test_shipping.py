"""What is in the journal is in PostgreSQL, once and exactly."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import asyncpg
import pytest
from audit_stage import Stage

from fixsim.audit import shipper as shipping
from fixsim.audit import source
from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.server import OWNER, Server
from fixsim.audit.shipper import Shipper
from fixsim.errors import ShippingError
from fixsim.layout import Kind


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


def test_a_record_whose_text_is_no_utf_8_is_shipped_with_what_can_be_shown(
    database: EmbeddedDatabase, data_dir: Path
) -> None:
    stage = Stage(data_dir)
    for why in ("caf\udce9", "caf\u00e9", "a\0b"):
        asked = {"verb": "halt", "arguments": {"symbol": "AAPL"}, "who": "anna", "why": why, "venue_ns": stage.now_ns}
        stage.record(Kind.OPERATOR, json.dumps(asked).encode())
    stage.close()

    async def check() -> None:
        await ship(data_dir, database)
        told = await rows(database, "SELECT why FROM events ORDER BY position")
        assert told == [(r"caf\udce9",), ("caf\u00e9",), ("a\u2400b",)]
        assert await rows(database, "SELECT count(*) FROM sessions WHERE event = 'operator'") == [(3,)]

    asyncio.run(check())


class Absent(EmbeddedDatabase):
    """A database that cannot be reached until `present` is set."""

    present = False

    async def connect(self, role: str = OWNER) -> asyncpg.Connection:
        if not self.present:
            raise ShippingError("it is away")
        return await super().connect(role)


def test_a_database_that_comes_late_gets_everything(
    database: EmbeddedDatabase, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "RETRY_LAST_S", 0.1)
    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    told: list[str] = []

    async def live() -> None:
        late = Absent(database.server)
        shipper = Shipper(data_dir, late, told.append)
        running = asyncio.create_task(shipper.run())
        for number in range(40):
            stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
            stage.seal()
            late.present = number >= 10
            if number == 25:  # and it is restarted in the middle
                await asyncio.to_thread(kill, database.server)
            await asyncio.sleep(0.02)
        shipper.finish.set()
        assert await running
        assert await stored(database) == stage.said

    asyncio.run(live())
    stage.close()
    assert told[0] == "shipping waits: it is away"
    assert told.count(told[0]) == 1


def kill(server: Server) -> None:
    """kill -9 the postmaster and wait until it is gone."""
    postmaster = server.postmaster
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)
    while server.postmaster is not None:
        time.sleep(0.01)


def test_a_shipper_told_to_finish_gives_up_a_database_that_stays_away(
    database: EmbeddedDatabase, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "GIVE_UP_S", 0.2)
    shipper = Shipper(data_dir, Absent(database.server))
    shipper.finish.set()
    assert asyncio.run(shipper.run()) is False


def test_a_long_resend_is_shipped_in_parts_and_goes_on_where_it_was_cut(
    database: EmbeddedDatabase, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SHIPMENT_ROWS", 100)
    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    for number in range(1000):
        stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
    stage.seal()
    stage.resend(b"BUYER", 1, 1001)
    stage.order(b"BUYER", b"LAST", b"1", b"100", b"187.25")
    stage.close()
    transactions = 0
    write = Shipper._write

    async def fragile(shipper: Shipper, *arguments: object) -> None:
        """Every third transaction finds its connection cut."""
        nonlocal transactions
        transactions += 1
        if transactions % 3 == 0:
            raise ConnectionResetError("cut")
        await write(shipper, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Shipper, "_write", fragile)
    monkeypatch.setattr(shipping, "RETRY_FIRST_S", 0.001)

    async def check() -> None:
        await ship(data_dir, database)
        assert await stored(database) == stage.said
        assert await rows(database, "SELECT count(*) FROM sessions WHERE event = 'resent'") == [(1,)]

    asyncio.run(check())
    assert transactions >= 15


def test_a_database_is_never_filled_from_two_journals(
    database: EmbeddedDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "GIVE_UP_S", 0.1)
    for name, orders in (("first", 3), ("second", 9)):
        stage = Stage(tmp_path / name)
        stage.log_on(name.encode())
        for number in range(orders):
            stage.order(name.encode(), b"%d" % number, b"1", b"100", b"187.25")
        stage.close()
    told: list[str] = []

    async def check() -> None:
        await ship(tmp_path / "first", database)
        before = await stored(database)
        shipper = Shipper(tmp_path / "second", database, told.append)
        shipper.finish.set()
        assert not await shipper.run()
        assert await stored(database) == before

    asyncio.run(check())
    assert "of another journal" in told[0]


def test_partitions_are_made_as_positions_grow(
    database: EmbeddedDatabase, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "PARTITION_BYTES", 1 << 17)
    monkeypatch.setattr(shipping, "SUMMARISE_IDLE_ROWS", 1)
    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    for number in range(1000):
        stage.order(b"BUYER", b"B%d" % number, b"1", b"100", b"187.25")
    stage.close()

    async def check() -> None:
        shipper = Shipper(data_dir, database)
        running = asyncio.create_task(shipper.run())
        while len(await stored_or_none(database)) < len(stage.said):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)  # idle: the indexes are brought up to date
        shipper.finish.set()
        assert await running
        assert await stored(database) == stage.said
        partitions = await rows(database, "SELECT count(DISTINCT tableoid) FROM fixsim.messages")
        assert partitions[0][0] >= 3  # type: ignore[operator]
        found = await rows(database, "SELECT count(*) FROM messages WHERE cl_ord_id = 'B77'")
        assert found == [(2,)]

    asyncio.run(check())


async def stored_or_none(database: EmbeddedDatabase) -> dict[tuple[int, int], tuple[str, str, bytes]]:
    """As `stored`, nothing while there are no tables yet."""
    try:
        return await stored(database)
    except asyncpg.UndefinedTableError:
        return {}
