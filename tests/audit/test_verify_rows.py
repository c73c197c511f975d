"""Rows in PostgreSQL that somebody changed are found by `fixsim audit verify`, whichever table, row or column it was."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
from audit_stage import Stage, clear, tell_story
from conftest import emptied

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.hasher import Hasher
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper
from fixsim.cli.main import main

Verify = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def shipped(server: Server, server_home: Path) -> Iterator[Stage]:
    """A morning in the journal, hashed and shipped; the stage is still open."""
    stage = Stage(server_home)
    tell_story(stage)
    for number in range(60):
        stage.order(b"BUYER", b"N%d" % number, b"1", b"10", b"10.50")
        if number % 7 == 0:
            stage.seal()
    stage.seal()
    database = emptied(server)
    ship(server_home, database)
    yield stage
    stage.close()
    clear(server_home)


def ship(data_dir: Path, database: EmbeddedDatabase) -> None:
    """Everything sealed is hashed and shipped."""
    shipper, hasher = Shipper(data_dir, database), Hasher(data_dir)
    shipper.finish.set()
    hasher.finish()
    assert asyncio.run(shipper.run()) and hasher.run()


@pytest.fixture
def verify(server_home: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Runs `fixsim audit verify --json`; exit code and answer."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["audit", "verify", "--data-dir", str(server_home), "--json", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err and said.out, said.err
        return int(left.value.code or 0), json.loads(said.out)

    return run


def sql(server: Server, *statements: str) -> list[Any]:
    """Rows of the last of `statements`, carried out by the owner of the tables."""

    async def run() -> list[Any]:
        connection = await EmbeddedDatabase(server).connect()
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return list(await connection.fetch(statements[-1]))
        finally:
            await connection.close()

    return asyncio.run(run())


def columns_of(server: Server, table: str) -> list[tuple[str, str]]:
    """Name and type of each column of a table."""
    where = f"table_schema = 'fixsim' AND table_name = '{table}'"
    return [tuple(row) for row in sql(server, f"SELECT column_name, data_type FROM information_schema.columns WHERE {where}")]


def test_rows_that_nobody_touched_are_good(shipped: Stage, verify: Verify, server: Server) -> None:
    code, told = verify()
    assert (code, told["findings"]) == (0, [])
    counts = sql(
        server, "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM executions), (SELECT count(*) FROM sessions), "
                "(SELECT count(*) FROM events)"
    )
    assert tuple(told["rows"].values()) == tuple(counts[0])
    assert told["rows"]["messages"] == len(shipped.said)
    assert verify("--database-url", "none")[1]["rows"] is None


def test_what_is_not_shipped_yet_is_no_finding(shipped: Stage, verify: Verify, server: Server, server_home: Path) -> None:
    shipped.order(b"SELLER", b"LATE", b"2", b"10", b"10.50")
    shipped.resend(b"BUYER", 2, 9)
    shipped.seal()
    assert verify()[1]["findings"] == []
    ship(server_home, EmbeddedDatabase(server))
    code, told = verify()
    assert code == 0 and told["rows"]["messages"] == len(shipped.said) and told["unproved_bytes"] == 0


#: Another value for a column: text, number, bytes.
CHANGED = {
    "bigint": "coalesce({0}, 0) + 1", "integer": "{0} + 1", "text": "coalesce({0}, '') || 'x'",
    "numeric": "coalesce({0}, 0) + 0.01", "bytea": "set_bit({0}, 77, 1 - get_bit({0}, 77))",
}  # fmt: skip


@pytest.mark.parametrize("table", ["messages", "executions", "sessions"])
def test_every_column_of_a_row_is_watched(table: str, shipped: Stage, verify: Verify, server: Server) -> None:
    columns = columns_of(server, table)
    rows = [row["position"] for row in sql(server, f"SELECT position FROM fixsim.{table} ORDER BY position")]
    assert len(columns) >= 10
    for number, (column, kind) in enumerate(columns):
        if column in ("position", "part"):
            continue
        position = rows[(7 * number) % len(rows)]
        where = f"WHERE position = {position}"
        change = f"UPDATE fixsim.{table} SET {column} = {CHANGED[kind].format(column)} {where}"
        sql(server, f"CREATE TABLE fixsim.kept AS SELECT * FROM fixsim.{table} {where}", change, "SELECT 1")
        code, told = verify()
        assert code == 1
        assert {(f["what"], f["where"], f["position"]) for f in told["findings"]} == {("altered", "database", position)}
        assert all(f"{column} is" in finding["text"] for finding in told["findings"])
        restore = (f"DELETE FROM fixsim.{table} {where}", f"INSERT INTO fixsim.{table} SELECT * FROM fixsim.kept")
        sql(server, *restore, "DROP TABLE fixsim.kept", "SELECT 1")
    assert verify()[0] == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("table", ["messages", "executions", "sessions"])
def test_rows_gone_put_in_and_exchanged_are_named(
    table: str, seed: int, shipped: Stage, verify: Verify, server: Server
) -> None:
    random = Random(seed)
    rows = [row["position"] for row in sql(server, f"SELECT DISTINCT position FROM fixsim.{table} ORDER BY position")]
    gone, copied, first, second = random.sample(rows[:-1], 4)
    sql(server, f"DELETE FROM fixsim.{table} WHERE position = {gone}", "SELECT 1")
    found = verify()[1]["findings"]
    assert {(f["what"], f["where"], f["position"]) for f in found if f["message"] != "the shipper's cursor"} == {
        ("missing", "database", gone)
    }
    names = ", ".join(name for name, _ in columns_of(server, table) if name != "position")
    sql(server, f"INSERT INTO fixsim.{table} (position, {names}) SELECT {copied + 4}, {names} FROM fixsim.{table} "
                f"WHERE position = {copied}", "SELECT 1")  # fmt: skip
    found = verify()[1]["findings"]
    assert ("inserted", copied + 4) in {(f["what"], f["position"]) for f in found}
    sql(server, f"DELETE FROM fixsim.{table} WHERE position = {copied + 4}",
        f"UPDATE fixsim.{table} SET position = position + 1 WHERE position IN ({first}, {second})",
        f"UPDATE fixsim.{table} SET position = CASE position WHEN {first + 1} THEN {second} ELSE {first} END "
        f"WHERE position IN ({first + 1}, {second + 1})", "SELECT 1")  # fmt: skip
    found = [f for f in verify()[1]["findings"] if f["position"] in (first, second)]
    assert {(f["what"], f["position"]) for f in found} == {("reordered", first), ("reordered", second)}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE fixsim.cursor SET seal_crc = seal_crc # 1", "the shipper's cursor"),
        ("UPDATE fixsim.cursor SET messages = messages - 1", "the shipper's cursor"),
        ("DELETE FROM fixsim.cursor", "the shipper's cursor"),
        ("UPDATE fixsim.session_names SET name = 'MALLORY' WHERE id = 1", "the name of session 1"),
        ("DELETE FROM fixsim.session_names WHERE id = 2", "the name of session 2"),
        ("INSERT INTO fixsim.session_names VALUES (77, 'MALLORY')", "the name of session 77"),
        ("INSERT INTO fixsim.sessions SELECT 4000000, 1, session, 1, event, 1, 1, 1, 1, text FROM fixsim.sessions LIMIT 1",
         "connected"),
        ("UPDATE fixsim.events SET who = 'mallory'", "halt"),
        ("DELETE FROM fixsim.events WHERE event = 'phase'", "phase"),
    ],
)  # fmt: skip
def test_the_shippers_own_notes_are_watched(statement: str, said: str, shipped: Stage, verify: Verify, server: Server) -> None:
    sql(server, statement, "SELECT 1")
    code, told = verify()
    assert code == 1
    assert any(said in finding["message"] and finding["where"] == "database" for finding in told["findings"])


def test_decimals_may_be_written_otherwise(shipped: Stage, verify: Verify, server: Server) -> None:
    sql(server, "UPDATE fixsim.executions SET order_qty = order_qty::numeric(20, 4)", "SELECT 1")
    assert verify()[1]["findings"] == []


def test_the_database_tells_what_a_damaged_journal_held(shipped: Stage, verify: Verify, server_home: Path) -> None:
    position = next(at for (at, part), said in shipped.said.items() if b"\x0111=N30\x01" in said[2] and part == 0)
    file = server_home / "journal" / f"{0:020d}.fixj"
    octets = bytearray(file.read_bytes())
    at = octets.index(b"11=N30", position)
    octets[at + 5 : at + 6] = b"7"
    file.write_bytes(octets)
    code, told = verify()
    (found,) = told["findings"]
    assert (code, found["what"], found["where"], found["position"]) == (1, "altered", "journal", position)
    assert (
        "11=N37" in found["message"] and "the database has IN NewOrderSingle(D)" in found["text"] and "11=N30" in found["text"]
    )
    assert told["rows"]["messages"] > len(shipped.said) // 2


def test_an_altered_row_is_found_beside_a_damaged_journal(
    shipped: Stage, verify: Verify, server: Server, server_home: Path
) -> None:
    rows = sql(server, "SELECT position FROM fixsim.messages WHERE part = 0 ORDER BY position")
    damaged, altered = rows[3]["position"], rows[-2]["position"]
    file = server_home / "journal" / f"{0:020d}.fixj"
    octets = bytearray(file.read_bytes())
    octets[damaged + 70] ^= 1
    file.write_bytes(octets)
    sql(server, f"UPDATE fixsim.messages SET session = 'MALLORY' WHERE position = {altered}", "SELECT 1")
    found = {(f["where"], f["position"]) for f in verify()[1]["findings"]}
    assert found == {("journal", damaged), ("database", altered)}


def test_a_database_of_something_else_is_told_in_one_line(
    shipped: Stage, server: Server, server_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def drop() -> None:
        connection: asyncpg.Connection = await EmbeddedDatabase(server).connect()
        await connection.execute("DROP SCHEMA fixsim CASCADE")
        await connection.close()

    asyncio.run(drop())
    with pytest.raises(SystemExit) as left:
        main(["audit", "verify", "--data-dir", str(server_home)])
    said = capsys.readouterr()
    assert left.value.code == 1 and "nothing was ever shipped" in said.err and said.err.count("\n") == 1
