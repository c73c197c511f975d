"""The shipper and `fixsim audit verify` on a journal whose older segments are archived, or gone after their time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_stage import Stage, clear, tell_story
from conftest import emptied

from fixsim.audit.chain import ChainFiles
from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.findings import Finding
from fixsim.audit.hasher import Hasher
from fixsim.audit.retention import archive_before
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper
from fixsim.audit.verify_files import FileCheck
from fixsim.audit.verify_rows import RowCheck
from fixsim.journal.archive import newest_snapshot_position, remove
from fixsim.journal.reader import Reader
from fixsim.journal.record import json_payload
from fixsim.journal.segments import firsts, journal_directory, segment_path
from fixsim.layout import Kind

END = 1 << 60


@pytest.fixture
def stage(server_home: Path) -> Iterator[Stage]:
    """A morning and more, over several small segments; a resend at the end reaches back to the first."""
    stage = Stage(server_home, segment_bytes=64 << 10, batch_bytes=32 << 10)
    tell_story(stage)
    for number in range(120):
        stage.order(b"BUYER", b"N%d" % number, b"1", b"10", b"10.50")
        if number % 5 == 0:
            stage.seal()
    stage.resend(b"BUYER", 3, 40)
    stage.seal()
    yield stage
    stage.close()
    clear(server_home)


def ship(data_dir: Path, database: EmbeddedDatabase) -> None:
    shipper, hasher = Shipper(data_dir, database), Hasher(data_dir)
    shipper.finish.set()
    hasher.finish()
    assert asyncio.run(shipper.run()) and hasher.run()


def verified(data_dir: Path, server: Server) -> list[Finding]:
    """Everything `fixsim audit verify` finds in files and rows."""

    async def rows(files: FileCheck, found: list[Finding]) -> None:
        connection = await EmbeddedDatabase(server).connect()
        await RowCheck(files.reader, connection, files.batches(), files.holes).run(found.append)
        await connection.close()

    files = FileCheck(Reader(journal_directory(data_dir)), ChainFiles(data_dir))
    found = list(files.run())
    asyncio.run(rows(files, found))
    return found


def alter(server: Server, statement: str) -> None:
    async def run() -> None:
        connection = await EmbeddedDatabase(server).connect()
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def test_a_shipper_catches_up_from_archived_segments(stage: Stage, server: Server, server_home: Path) -> None:
    sizes: list[int] = []
    assert archive_before(stage.reader.directory, END, lambda name, before, after: sizes.append(after)) >= 2
    assert max(sizes) < 32 << 10
    database = emptied(server)
    ship(server_home, database)
    assert verified(server_home, server) == []
    shipper = Shipper(server_home, database)
    shipper.finish.set()
    assert asyncio.run(shipper.run()) and shipper.shipped is not None
    assert shipper.shipped.messages == len(stage.said)


def test_what_was_removed_after_its_time_is_no_finding_but_what_was_removed_before_is(
    stage: Stage, server: Server, server_home: Path
) -> None:
    database = emptied(server)
    directory = journal_directory(server_home)
    begins = firsts(directory)
    command = {"verb": "journal.retire", "arguments": {"floor": begins[1]}, "who": "test"}
    stage.record(Kind.OPERATOR, json_payload(command))
    stage.order(b"BUYER", b"LAST", b"1", b"10", b"10.50")
    stage.seal()
    ship(server_home, database)
    assert verified(server_home, server) == []
    remove(segment_path(directory, begins[0]))
    assert verified(server_home, server) == []
    alter(server, "UPDATE fixsim.messages SET session = 'MALLORY' WHERE cl_ord_id = 'LAST' AND direction = 'in'")
    (found,) = verified(server_home, server)
    assert (found.what, found.where) == ("altered", "database") and "session is MALLORY" in found.text
    alter(server, "UPDATE fixsim.messages SET session = 'BUYER' WHERE cl_ord_id = 'LAST' AND direction = 'in'")
    remove(segment_path(directory, begins[1]))
    (found,) = verified(server_home, server)
    assert (found.what, found.where) == ("missing", "journal") and str(begins[2]) in found.text


def test_snapshots_are_found_by_their_names(tmp_path: Path) -> None:
    assert newest_snapshot_position(tmp_path) is None
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for name in ("5.snapshot", f"{7:020d}.fixs", "9.snapshot.new", "notes", f"{11:020d}.fixs.new"):
        (folder / name).touch()
    assert newest_snapshot_position(tmp_path) == 7
