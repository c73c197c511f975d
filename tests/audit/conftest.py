"""One embedded server for all tests of this room: starting one takes longer than most of them."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_stage import Stage, clear, reachable_directory, tell_story

from fixsim.audit.database import EmbeddedDatabase
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """The data directory of the server all tests share."""
    path = reachable_directory()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def server(server_home: Path) -> Iterator[Server]:
    """A running embedded server that outlives the test."""
    server = Server(server_home, idle=False)
    server.start()
    yield server
    server.remove()


def emptied(server: Server) -> EmbeddedDatabase:
    """The server's database, empty as before the first use."""

    async def empty() -> None:
        connection = await EmbeddedDatabase(server).connect()
        await connection.execute("DROP SCHEMA IF EXISTS fixsim CASCADE")
        await connection.close()

    server.start()
    asyncio.run(empty())
    return EmbeddedDatabase(server)


@pytest.fixture
def database(server: Server) -> EmbeddedDatabase:
    """The server's database, empty as before the first use."""
    return emptied(server)


@pytest.fixture(scope="module")
def storied(server: Server, server_home: Path) -> Iterator[Stage]:
    """The morning of `tell_story`, in the journal and shipped; the stage is still open."""
    stage = Stage(server_home)
    tell_story(stage)
    stage.seal()
    shipper = Shipper(server_home, emptied(server))
    shipper.finish.set()
    assert asyncio.run(shipper.run())
    yield stage
    stage.close()
    clear(server_home)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory for a journal."""
    assert os.access(tmp_path, os.W_OK)
    return tmp_path / "fixsim-data"
