"""Hundreds of alterations at random, in files and in PostgreSQL: every one is found, and named by where it was made."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import asyncpg
import pytest
from audit_stage import Stage, clear, tell_story
from conftest import emptied
from replay import forgery
from replay.forgery import Loose, forge, reframed

from fixsim.audit.chain import ENTRY, MAGIC, ChainFiles
from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.findings import Finding
from fixsim.audit.hasher import Hasher
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper
from fixsim.audit.verify_files import FileCheck
from fixsim.audit.verify_rows import RowCheck
from fixsim.audit.verify_views import check_views, definitions
from fixsim.journal.archive import archive
from fixsim.journal.reader import Reader
from fixsim.journal.segments import firsts, journal_directory, segment_path
from fixsim.layout import Kind

SEGMENT_BYTES = 64 << 10
TABLES = ("messages", "executions", "sessions")
#: Another value for a column, by its type.
CHANGES = {
    "bigint": ("coalesce({0}, 0) + 1", "coalesce({0}, 0) - 8"), "integer": ("{0} + 1",),
    "text": ("coalesce({0}, '') || 'x'", "CASE {0} WHEN '' THEN 'y' ELSE '' END", "CASE WHEN {0} IS NULL THEN 'z' END"),
    "numeric": ("coalesce({0}, 0) + 0.01", "CASE WHEN {0} IS NULL THEN 0 END"),
    "bytea": ("set_bit({0}, 9, 1 - get_bit({0}, 9))", "substr({0}, 2)", "{0} || '\\x00'"),
}  # fmt: skip
NOT_NULL = {"time_ns", "direction", "session", "run", "msg_seq_num", "msg_type", "link", "raw", "event"}
#: Of the cursor: when it was written is the clock of whoever wrote it.
CURSOR = ("batch", "position", "part", "seal_position", "seal_crc", "last_time_ns", "messages")


@pytest.fixture(scope="module")
def shipped(server: Server, server_home: Path) -> Iterator[Stage]:
    """A morning and some orders, over several segments, hashed, shipped, and kept to be put back."""
    stage = Stage(server_home, segment_bytes=SEGMENT_BYTES, batch_bytes=SEGMENT_BYTES // 2)
    tell_story(stage)
    for number in range(120):
        stage.order(b"BUYER", b"N%d" % number, b"1", b"10", b"10.50")
        if number % 5 == 0:
            stage.seal()
    stage.resend(b"BUYER", 3, 40)
    stage.seal()
    shipper, hasher = Shipper(server_home, emptied(server)), Hasher(server_home)
    shipper.finish.set()
    hasher.finish()
    assert asyncio.run(shipper.run()) and hasher.run()
    stage.close()
    yield stage
    clear(server_home)


def checked_files(data_dir: Path) -> list[Finding]:
    chain = ChainFiles(data_dir)
    return list(FileCheck(Reader(journal_directory(data_dir)), chain).run())


async def checked_rows(connection: asyncpg.Connection, data_dir: Path) -> list[Finding]:
    reader = Reader(journal_directory(data_dir))
    found: list[Finding] = []
    await RowCheck(reader, connection, reader.batches()).run(found.append)
    await check_views(connection, found.append)
    return found


# ---------------------------------------------------------------- rows


async def alter_row(connection: asyncpg.Connection, random: Random) -> tuple[str, set[int]]:
    """Change something in one table; what, and the positions of which at least one must be named."""
    table = random.choice(TABLES)
    of_table = "WHERE table_schema = 'fixsim' AND table_name = $1"
    found = await connection.fetch(f"SELECT column_name, data_type FROM information_schema.columns {of_table}", table)
    columns = [tuple(row) for row in found]
    part = ", part" if table == "messages" else ""
    keys = [tuple(row) for row in await connection.fetch(f"SELECT position{part} FROM fixsim.{table} ORDER BY position{part}")]
    key = random.choice(keys)
    where = f"position = {key[0]}" + (f" AND part = {key[1]}" if part else "")
    match random.choice(("column", "column", "column", "delete", "copy", "swap", "move", "run")):
        case "column":
            name, kind = random.choice([column for column in columns if column[0] not in ("position", "part")])
            change = random.choice(CHANGES[kind]).format(name)
            done = await connection.execute(
                f"UPDATE fixsim.{table} SET {name} = {change} WHERE {where} AND {name} IS DISTINCT FROM {change}"
                + (f" AND ({change}) IS NOT NULL" if name in NOT_NULL else "")
            )
            return (f"{table}.{name} {change}", {key[0]}) if done == "UPDATE 1" else await alter_row(connection, random)
        case "delete":
            await connection.execute(f"DELETE FROM fixsim.{table} WHERE {where}")
            return f"delete from {table}", {key[0]}
        case "copy":
            place = key[0] + random.choice((-4, 3, 8, 1 << 20))
            if place in {other[0] for other in keys}:
                return await alter_row(connection, random)
            values = ", ".join(str(place) if name == "position" else name for name, _ in columns)
            await connection.execute(f"INSERT INTO fixsim.{table} SELECT {values} FROM fixsim.{table} WHERE {where}")
            return f"copy in {table}", {place}
        case "move":
            await connection.execute(f"UPDATE fixsim.{table} SET position = position + 2 WHERE {where}")
            return f"move in {table}", {key[0], key[0] + 2}
        case "run":
            upto = keys[min(len(keys) - 1, keys.index(key) + random.randint(1, 9))][0]
            await connection.execute(f"DELETE FROM fixsim.{table} WHERE position >= {key[0]} AND position <= {upto}")
            return f"delete a run from {table}", {key[0]}
    other = random.choice([other for other in keys if other[0] != key[0]])
    return f"swap in {table}", await swap(connection, table, key, other, part, where)


async def swap(
    connection: asyncpg.Connection, table: str, key: tuple[int, ...], other: tuple[int, ...], part: str, where: str
) -> set[int]:
    """Two rows change places."""
    of_other = f"position = {other[0]}" + (f" AND part = {other[1]}" if part else "")
    target = [f"position = {place[0]}" + (f", part = {place[1]}" if part else "") for place in (key, other)]
    await connection.execute(f"UPDATE fixsim.{table} SET position = 7 WHERE {where}")
    await connection.execute(f"UPDATE fixsim.{table} SET {target[0]} WHERE {of_other}")
    await connection.execute(f"UPDATE fixsim.{table} SET {target[1]} WHERE position = 7")
    return {key[0], other[0]}


@pytest.mark.parametrize("seed", range(6))
def test_rows_altered_at_random_are_each_found(seed: int, shipped: Stage, server: Server, server_home: Path) -> None:
    async def run() -> None:
        random = Random(seed)
        connection = await EmbeddedDatabase(server).connect()
        try:
            for table in TABLES:
                await connection.execute(f"CREATE TABLE IF NOT EXISTS fixsim.kept_{table} AS SELECT * FROM fixsim.{table}")
            for _ in range(50):
                what, places = await alter_row(connection, random)
                found = await checked_rows(connection, server_home)
                named = {finding.position for finding in found if finding.where == "database"}
                assert named & places, f"{what} at {places} was not named: {found}"
                for table in TABLES:
                    await connection.execute(
                        f"DELETE FROM fixsim.{table}; INSERT INTO fixsim.{table} SELECT * FROM fixsim.kept_{table}"
                    )
            assert await checked_rows(connection, server_home) == []
        finally:
            await connection.close()

    asyncio.run(run())


def test_every_number_of_the_cursor_and_every_name_is_watched(shipped: Stage, server: Server, server_home: Path) -> None:
    async def run() -> None:
        connection = await EmbeddedDatabase(server).connect()
        await connection.execute("CREATE TABLE fixsim.kept_cursor AS SELECT * FROM fixsim.cursor")
        put_back = "DELETE FROM fixsim.cursor; INSERT INTO fixsim.cursor SELECT * FROM fixsim.kept_cursor"
        for column in CURSOR:
            for change in ("+ 1", "- 8", "* 2 + 1"):
                await connection.execute(f"UPDATE fixsim.cursor SET {column} = {column} {change}")
                found = await checked_rows(connection, server_home)
                assert any(finding.message == "the shipper's cursor" for finding in found), (column, change, found)
                await connection.execute(put_back)
        for column in ("seal_position", "seal_crc", "last_time_ns"):
            await connection.execute(f"UPDATE fixsim.cursor SET {column} = NULL")
            assert await checked_rows(connection, server_home), column
            await connection.execute(put_back)
        assert await checked_rows(connection, server_home) == []
        await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", [name for name, _ in definitions()])
def test_a_view_that_shows_something_else_is_found(name: str, shipped: Stage, server: Server, server_home: Path) -> None:
    async def run() -> None:
        connection = await EmbeddedDatabase(server).connect()
        try:
            before = await connection.fetchval("SELECT pg_get_viewdef(to_regclass($1))", f"public.{name}")
            columns = [row[0] for row in await connection.fetch(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 ORDER BY attnum",
                f"public.{name}",
            )]  # fmt: skip
            query = f"SELECT {', '.join(columns)} FROM ({before.rstrip(';')}) shown WHERE random() > 0.5"
            await connection.execute(f"CREATE OR REPLACE VIEW public.{name} AS {query}")
            found = await checked_rows(connection, server_home)
            assert [(finding.what, finding.message) for finding in found] == [("altered", f"the view {name}")]
            await connection.execute(f"CREATE OR REPLACE VIEW public.{name} AS {before}")
            assert await checked_rows(connection, server_home) == []
        finally:
            await connection.close()

    asyncio.run(run())


# ---------------------------------------------------------------- files


Change = Callable[[Path, Random], tuple[str, int, int]]


def sealed(data_dir: Path) -> list[tuple[int, int]]:
    """Extents of the batches."""
    return [(batch.begin, batch.end) for batch in Reader(journal_directory(data_dir)).batches()]


def patch(data_dir: Path, position: int, octets: bytes) -> None:
    first = max(first for first in firsts(journal_directory(data_dir)) if first <= position)
    with segment_path(journal_directory(data_dir), first).open("r+b") as file:
        file.seek(position - first)
        file.write(octets)


def octets_at(data_dir: Path, begin: int, end: int) -> bytes:
    view, offset = Reader(journal_directory(data_dir)).locate(begin)
    return bytes(view[offset : offset + end - begin])


def flip_bits(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A few bits of one batch."""
    begin, end = random.choice(sealed(data_dir))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(begin, end)
        patch(data_dir, at, bytes([octets_at(data_dir, at, at + 1)[0] ^ 1 << random.randrange(8)]))
    return "bits", begin, end


def blank(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A stretch of zeros over one batch."""
    begin, end = random.choice(sealed(data_dir))
    at = random.randrange(begin, end - 90)
    patch(data_dir, at, bytes(end - at))
    return "zeros", begin, end


def whole_batch_gone(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A batch is not there any more, those around it are."""
    begin, end = random.choice(sealed(data_dir))
    patch(data_dir, begin, bytes(end - begin))
    return "a batch of zeros", begin, end


def batches_exchanged(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """Two batches of the same length change places."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for begin, end in sealed(data_dir):
        by_length.setdefault(end - begin, []).append((begin, end))
    pairs = [batches for batches in by_length.values() if len(batches) > 1]
    one, two = sorted(random.sample(random.choice(pairs), 2))
    first, second = octets_at(data_dir, *one), octets_at(data_dir, *two)
    patch(data_dir, one[0], second)
    patch(data_dir, two[0], first)
    return "batches exchanged", *one


def segment_header(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """The record a file begins with."""
    first = random.choice(firsts(journal_directory(data_dir)))
    at = first + random.randrange(64)
    patch(data_dir, at, bytes([octets_at(data_dir, at, at + 1)[0] ^ 1 << random.randrange(8)]))
    return "a SEGMENT record", first, first + 64


def written_behind(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """Bytes between the last batch of a file and its end."""
    first = random.choice(firsts(journal_directory(data_dir))[:-1])
    size = segment_path(journal_directory(data_dir), first).stat().st_size
    last = max(end for _, end in sealed(data_dir) if end < first + size)
    at = random.randrange(last, first + size)
    patch(data_dir, at, b"\x01")
    return "bytes behind", last, first + size


def cut_short(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A file loses its end, in the middle of a batch."""
    begin, end = random.choice(sealed(data_dir))
    first = max(first for first in firsts(journal_directory(data_dir)) if first <= begin)
    with segment_path(journal_directory(data_dir), first).open("r+b") as file:
        file.truncate(random.randrange(begin, end) - first)
    return "a file cut short", begin, end


def segment_gone(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A whole file is gone."""
    there = firsts(journal_directory(data_dir))
    first = random.choice(there)
    size = segment_path(journal_directory(data_dir), first).stat().st_size
    segment_path(journal_directory(data_dir), first).unlink()
    return "a file gone", first, first + size


def archive_spoiled(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A bit of an archived file."""
    first = random.choice(firsts(journal_directory(data_dir))[:-1])
    path = segment_path(journal_directory(data_dir), first)
    size, _ = archive(path)
    packed = path.with_name(path.name + ".zst")
    octets = bytearray(packed.read_bytes())
    octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
    packed.write_bytes(octets)
    return "an archive", first, first + size


def chain_bit(data_dir: Path, random: Random) -> tuple[str, int, int]:
    """A bit of an entry of the chain."""
    file = data_dir / "chain" / "seals"
    octets = bytearray(file.read_bytes())
    at = random.randrange(len(MAGIC), len(octets))
    begin, end = sealed(data_dir)[(at - len(MAGIC)) // ENTRY.size]
    octets[at] ^= 1 << random.randrange(8)
    file.write_bytes(octets)
    # an entry whose place was changed is named by the place it claims
    return "an entry of the chain", 0 if (at - len(MAGIC)) % ENTRY.size < 16 else begin, 1 << 63 if at else end


SPOILERS: tuple[Change, ...] = (
    flip_bits, flip_bits, flip_bits, blank, whole_batch_gone, batches_exchanged, segment_header, written_behind, cut_short,
    segment_gone, archive_spoiled, chain_bit,
)  # fmt: skip


@pytest.mark.parametrize("spoil", dict.fromkeys(SPOILERS), ids=lambda spoil: spoil.__name__)
def test_files_altered_at_random_are_each_found(spoil: Change, shipped: Stage, server_home: Path, tmp_path: Path) -> None:
    random = Random(spoil.__name__)
    for number in range(20):
        copy = tmp_path / "copy"
        for name in ("journal", "chain"):
            shutil.copytree(server_home / name, copy / name)
        what, begin, end = spoil(copy, random)
        found = checked_files(copy)
        places = [finding.position for finding in found]
        assert any(begin <= place < end for place in places), f"{number}: {what} in {begin} to {end} was not named: {found}"
        assert all(place >= min(begin, 0 if spoil is chain_bit else begin) for place in places), f"{number}: {what}: {found}"
        shutil.rmtree(copy)


@pytest.mark.parametrize("seed", range(40))
def test_a_journal_written_anew_at_random_is_found_at_its_first_difference(
    seed: int, shipped: Stage, server_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every seal is right again: a record is left out, put in, exchanged with a neighbour or changed."""
    random, named = Random(seed), list[int]()
    wanted = random.randrange(len(sealed(server_home)) - 1)
    counted = 0

    def change(loose: list[Loose]) -> list[Loose]:
        nonlocal counted
        counted += 1
        if counted <= wanted or named or len(loose) < 2:
            return loose
        at = random.randrange(len(loose) - 1)
        named.append(loose[at][0][4])
        header, payload = loose[at]
        match random.choice(("out", "in", "exchanged", "changed")):
            case "out":
                del loose[at]
            case "in":
                more = reframed(payload, b"34=", b"34=9") if header[1] in (Kind.IN, Kind.OUT) else payload + b"x"
                loose.insert(at, (list(header), more))
            case "exchanged":
                loose[at], loose[at + 1] = loose[at + 1], loose[at]
            case "changed":
                loose[at] = (header, payload[:-1] + b"y")
        return loose

    copy = tmp_path / "copy"
    monkeypatch.setattr(forgery, "SEGMENT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr(forgery, "BATCH_BYTES", SEGMENT_BYTES // 2)
    shutil.copytree(server_home / "chain", copy / "chain")
    forge(server_home, copy, change)
    found = checked_files(copy)
    assert named and found
    assert found[0].position <= named[0] <= found[0].position + 2_000, f"{named} was not named: {found}"
