"""One embedded server for all tests of this room: starting one takes longer than most of them."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_stage import reachable_directory

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running embedded server that outlives the test."""
    data_dir = reachable_directory()
    server = Server(data_dir, idle=False)
    server.start()
    yield server
    server.remove()
    shutil.rmtree(data_dir)


@pytest.fixture
def database(server: Server) -> EmbeddedDatabase:
    """The server's database, empty as before the first use."""

    async def empty() -> None:
        connection = await EmbeddedDatabase(server).connect()
        await connection.execute("DROP SCHEMA IF EXISTS fixsim CASCADE")
        await connection.close()

    server.start()
    asyncio.run(empty())
    return EmbeddedDatabase(server)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory for a journal."""
    assert os.access(tmp_path, os.W_OK)
    return tmp_path / "fixsim-data"
