"""The two kinds of database, behind one face: the embedded server of a data directory, or a server of the
user's.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import asyncpg

from fixsim.audit.place import Progress
from fixsim.audit.server import OWNER, Server
from fixsim.errors import ShippingError, UsageError

#: What can go wrong between us and PostgreSQL; everything else is our own bug.
FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
CONNECT_TIMEOUT_S: Final = 10
#: For whatever is not a shipment and has no time of its own, s.
COMMAND_TIMEOUT_S: Final = 300
#: `--database-url` for the embedded server.
EMBEDDED: Final = "embedded"


class Database:
    """A database that rows are shipped to and questions are asked of."""

    name: str

    async def start(self) -> None:
        """See to it that the server runs, if that is ours to see to; also after it was killed."""

    @property
    def pid(self) -> int | None:
        """First process of the server, None when it is not ours to know."""
        return None

    def calm(self) -> None:
        """Keep the server out of the exchange's way, if it is on the same machine and ours."""

    def hasten(self) -> None:
        """The exchange has ended: there is nobody whose way the server could be in."""

    def leave(self, *, wait: bool = True) -> None:
        """Not needed any more."""

    async def connect(self, role: str = OWNER) -> asyncpg.Connection:
        """A connection: `OWNER` ships, `READER` asks. ShippingError when there is none to be had."""
        try:
            return await asyncpg.connect(**self._arguments(role), timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S)
        except (*FAILURES, ValueError) as error:
            raise ShippingError(f"{self.name} cannot be reached: {str(error) or type(error).__name__}") from error

    def _arguments(self, role: str) -> dict[str, Any]:
        raise AssertionError("one of the two kinds")


class EmbeddedDatabase(Database):
    """The server under a data directory; we start it when nobody has."""

    name = "the embedded PostgreSQL"

    def __init__(self, server: Server) -> None:
        self.server = server

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    @property
    def pid(self) -> int | None:
        return self.server.postmaster

    def calm(self) -> None:
        self.server.calm()

    def hasten(self) -> None:
        self.server.hasten()

    def leave(self, *, wait: bool = True) -> None:
        self.server.leave(wait=wait)

    def _arguments(self, role: str) -> dict[str, Any]:
        return self.server.connection(role)


class RemoteDatabase(Database):
    """A server of the user's; the URL says who we are, so both roles are the same login."""

    def __init__(self, url: str) -> None:
        self._url = url
        # the password has no place in a message
        self.name = f"PostgreSQL at {url.rpartition('@')[2] or url}".partition("?")[0]

    def _arguments(self, role: str) -> dict[str, Any]:
        return {"dsn": self._url}


def open_database(
    data_dir: Path, url: str = EMBEDDED, progress: Progress = lambda line: None, *, create: bool = True, idle: bool = True
) -> Database:
    """The database of `--database-url`: `embedded` or `postgresql://...`. UsageError when it is neither."""
    if url == EMBEDDED:
        return EmbeddedDatabase(Server(data_dir, progress, create=create, idle=idle))
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("a database URL is `embedded` or looks like postgresql://user:password@host/database")
    return RemoteDatabase(url)
