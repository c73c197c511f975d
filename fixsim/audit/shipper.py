"""The shipper: a reader of the journal that fills PostgreSQL, exactly once, whatever is killed when.

Rows and cursor travel in one transaction. It begins by moving the cursor from where this shipper read it;
when the cursor is somewhere else (a transaction thought lost was committed after all, or another shipper is
at work) nothing is written and everything known is read anew. While one shipment is being COPYed the next is
gathered in a thread.

The database may be away: then we wait and try again, and trading does not notice.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from fixsim.audit import tables
from fixsim.audit.database import FAILURES, Database
from fixsim.audit.gauge import Gauge
from fixsim.audit.rows import EVENT_COLUMNS, EXECUTION_COLUMNS, MESSAGE_COLUMNS, SESSION_COLUMNS
from fixsim.audit.source import SHIPMENT_ROWS, Cursor, Shipment, Source
from fixsim.errors import JournalError, ShippingError
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory

#: A shipment is sent at most this often, so that light traffic does not mean many small transactions.
SHIPMENT_INTERVAL_S: Final = 0.05
#: Waits between attempts while the database is away: doubled from the first to the last.
RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0
#: With nothing more to come, a database that is away is given up after this: the journal keeps what is not
#: shipped.
GIVE_UP_S: Final = 10.0
#: A shipment may wait long behind busy trading; after this its connection counts as dead.
WRITE_TIMEOUT_S: Final = 300.0
#: Positions per partition: about ten million messages.
PARTITION_BYTES: Final = 4 << 30
#: Between two looks at the priority of the embedded server's processes, s.
CALM_INTERVAL_S: Final = 1.0
#: Rows after which Bloom and range indexes are brought up to date, at once or when there is nothing else to
#: do.
SUMMARISE_ROWS: Final = 2_000_000
SUMMARISE_IDLE_ROWS: Final = 20_000

CURSOR_COLUMNS: Final = "batch, position, part, seal_position, seal_crc, last_time_ns, messages"
MOVE_CURSOR: Final = f"""
UPDATE fixsim.cursor SET ({CURSOR_COLUMNS}, written_at) = ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
WHERE batch = $8 AND position = $9 AND part = $10
"""
SUMMARISE: Final = """
SELECT brin_summarize_new_values(i.indexrelid) FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'fixsim'
"""


class Shipper:
    """Ships one journal into one database. `finish` may be set from outside: leave when everything sealed
    is shipped.
    """

    def __init__(
        self,
        data_dir: Path,
        database: Database,
        log: Callable[[str], None] = lambda line: None,
        gauge: Gauge | None = None,
    ) -> None:
        self.directory = journal_directory(data_dir)
        self.database, self.gauge = database, gauge
        self.log = log
        self.finish = asyncio.Event()
        #: Cursor of the newest transaction; None before the first contact with the database.
        self.shipped: Cursor | None = None
        self._partitioned_to = 0
        self._unsummarised = 0
        self._calmed = 0.0

    async def run(self) -> bool:
        """Ship until `finish` is set; True when everything sealed was shipped then, False when the
        database was away.
        """
        wait_s, said, failing_since = RETRY_FIRST_S, "", 0.0
        with ThreadPoolExecutor(1, "gather") as thread:
            while True:
                before = self.shipped
                try:
                    await self._ship(thread)
                    return True
                except (*FAILURES, ShippingError, JournalError) as error:
                    text = str(error) or type(error).__name__
                if self.gauge is not None:
                    self.gauge.failed()
                if self.shipped != before or failing_since == 0:
                    wait_s, said, failing_since = RETRY_FIRST_S, "", time.monotonic()
                if text != said:
                    self.log(f"shipping waits: {text}")
                    said = text
                if self.finish.is_set() and time.monotonic() - failing_since > GIVE_UP_S:
                    return False
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_LAST_S)

    async def _ship(self, thread: ThreadPoolExecutor) -> None:
        """One connection's worth of shipping; returns when finished, raises when the connection or the
        journal fails.
        """
        await self.database.start()
        await tables.prepare(self.database.connect)
        connection = await self.database.connect()
        gather = partial(asyncio.get_running_loop().run_in_executor, thread)
        upcoming: asyncio.Future[Shipment | None] | None = None
        try:
            source = await self._resume(connection)
            await gather(source.check)
            finishing, upcoming = self.finish.is_set(), gather(source.next)
            while True:
                shipment = await upcoming
                if shipment is None and finishing:
                    return
                self._calm()
                if shipment is None:
                    await self._idle(connection)
                finishing, upcoming = self.finish.is_set(), gather(source.next)
                if shipment is not None:
                    await asyncio.wait_for(self._write(connection, shipment), WRITE_TIMEOUT_S)
        finally:
            if upcoming is not None:
                upcoming.cancel()
            connection.terminate()

    def _calm(self) -> None:
        """PostgreSQL starts processes when it likes; now and then see to their priority."""
        if time.monotonic() - self._calmed > CALM_INTERVAL_S:
            self._calmed = time.monotonic()
            self.database.calm()

    async def _resume(self, connection: asyncpg.Connection) -> Source:
        row = await connection.fetchrow(f"SELECT {CURSOR_COLUMNS} FROM fixsim.cursor")
        if row is None:
            raise ShippingError("the database has lost its cursor: its rows cannot be trusted")
        names = await connection.fetch("SELECT id, name FROM fixsim.session_names")
        self.shipped, self._partitioned_to, self._calmed = Cursor(*row), 0, 0.0
        if self.gauge is not None:
            self.gauge.shipped(self.shipped, transactions=0)
            self.gauge.database(self.database.pid)
        return Source(
            Reader(self.directory), self.shipped, {name["id"]: name["name"].encode("latin-1", "replace") for name in names}
        )

    async def _write(self, connection: asyncpg.Connection, shipment: Shipment) -> None:
        """Rows and cursor, all or nothing."""
        before, after = shipment.before, shipment.after
        async with connection.transaction():
            moved = await connection.execute(MOVE_CURSOR, *astuple(after), before.batch, before.position, before.part)
            if moved != "UPDATE 1":
                raise ShippingError("the cursor was moved by another transaction")
            await self._partition(connection, before.batch, after.batch)
            for name, columns, rows in (
                ("messages", MESSAGE_COLUMNS, shipment.messages),
                ("executions", EXECUTION_COLUMNS, shipment.executions),
                ("sessions", SESSION_COLUMNS, shipment.sessions),
                ("events", EVENT_COLUMNS, shipment.events),
            ):
                if rows:
                    # in one piece: between pieces asyncpg waits for room, for ever once the connection is
                    # lost
                    await connection.copy_to_table(
                        name, source=memoryview(rows), columns=columns, schema_name=tables.SCHEMA,
                        format="binary" if name == "messages" else "text",
                    )  # fmt: skip
            if shipment.names:
                await connection.executemany(
                    "INSERT INTO fixsim.session_names VALUES ($1, $2)",
                    [(number, name.decode("latin-1")) for number, name in shipment.names.items()],
                )
        count = after.messages - before.messages
        self.shipped, self._unsummarised = after, self._unsummarised + count
        if self.gauge is not None:
            self.gauge.shipped(after)
        if self._unsummarised >= SUMMARISE_ROWS:
            await self._summarise(connection)
        elif count < SHIPMENT_ROWS:
            await self._rest()

    async def _partition(self, connection: asyncpg.Connection, begin: int, end: int) -> None:
        """Make the partitions that positions `begin` to `end` fall into."""
        if end < self._partitioned_to:
            return
        for number in range(begin // PARTITION_BYTES, end // PARTITION_BYTES + 1):
            for table in ("messages", "executions"):
                await connection.execute(
                    f"CREATE TABLE IF NOT EXISTS fixsim.{table}_{number} PARTITION OF fixsim.{table} "
                    f"FOR VALUES FROM ({number * PARTITION_BYTES}) TO ({(number + 1) * PARTITION_BYTES})"
                )
            self._partitioned_to = (number + 1) * PARTITION_BYTES

    async def _idle(self, connection: asyncpg.Connection) -> None:
        """Nothing to ship: see to the indexes if they are due, then wait a moment."""
        if self._unsummarised >= SUMMARISE_IDLE_ROWS:
            await self._summarise(connection)
        await self._rest()

    async def _rest(self) -> None:
        """Let rows gather, but not when we are to finish."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.finish.wait(), SHIPMENT_INTERVAL_S)

    async def _summarise(self, connection: asyncpg.Connection) -> None:
        self._unsummarised = 0
        await connection.execute(SUMMARISE)
