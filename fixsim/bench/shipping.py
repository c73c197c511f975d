"""How fast the shipper fills every table, trading quiet: a synthetic journal, one database.

The journal is written beforehand and is not timed. Its mix is that of an order-entry load: of 100
operations 47 are new orders that rest, 43 cancel one of them, 10 trade (one report for the order, one for
each side of the fill), 2.2 messages per operation, with ClOrdIDs of 12 bytes from each session's own
counter. The clock runs from the first look at the journal to the last commit; the time PostgreSQL's
backend and the shipper's process spent on a processor is told beside it.

The empty baseline is the same number of rows, position and payload, copied into a table without key or index.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil  # type: ignore[import-untyped]

from fixsim.audit.database import EmbeddedDatabase, open_database
from fixsim.audit.process import SWITCH_INTERVAL_S
from fixsim.audit.server import Server
from fixsim.audit.shipper import Shipper
from fixsim.errors import ShippingError
from fixsim.feed.priority import make_idle
from fixsim.fix.codec import encode
from fixsim.journal.record import json_payload, pack
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer
from fixsim.layout import NIL, Kind
from fixsim.units import format_utc_timestamp

Say = Callable[[str], None]

MARKS = (b"\x0111=", b"\x0137=", b"\x0117=", b"\x0155=")
#: What the baseline copies: a payload, and this many rows at a time.
PAYLOAD_BYTES, COPIED_ROWS = 180, 20_000
START_NS = 1_760_000_000_000_000_000
BATCH_BYTES = 1 << 20


class Journal:
    """Writes the synthetic journal."""

    def __init__(self, data_dir: Path, sessions: int) -> None:
        self.writer = Writer.open(journal_directory(data_dir))
        self.batch, self.count, self.messages = bytearray(), 0, 0
        self.begin = self.writer.begin_batch()
        self.now_ns, self.stamp = START_NS, format_utc_timestamp(START_NS, 3)
        self.names = [b"CLIENT%d" % number for number in range(sessions)]
        self.sequences = [[0, 0] for _ in self.names]
        self.orders = [0] * sessions
        self.ids = 0
        for session, name in enumerate(self.names):
            told = json_payload({"event": "connected", "sender": name.decode()})
            self.record(Kind.LINK, told, session, b"", 0)

    def record(self, kind: int, payload: bytes, session: int, msg_type: bytes, seq: int) -> None:
        """Append one record, and seal the batch when it is full."""
        if len(self.batch) > BATCH_BYTES:
            self.seal()
        found = [payload.find(mark) + 4 for mark in MARKS] if msg_type else [0, 0, 0, 0]
        id_at, order_at, exec_at, symbol_at = (place if place > 3 else 0 for place in found)
        self.batch += pack(
            kind, self.begin + len(self.batch), self.now_ns, payload, session=session + 1, seq=seq, back=NIL,
            msg_type=msg_type, at=(id_at, order_at, exec_at, symbol_at), link=session + 1,
        )  # fmt: skip
        self.count += 1

    def seal(self) -> None:
        """Close the batch; a new one is a millisecond later."""
        length = len(self.batch)
        self.batch += bytes(96)
        self.writer.append(memoryview(self.batch), length, self.count, self.now_ns)
        self.batch, self.count, self.begin = bytearray(), 0, self.writer.begin_batch()
        self.now_ns += 1_000_000
        self.stamp = format_utc_timestamp(self.now_ns, 3)

    def message(self, kind: int, session: int, msg_type: bytes, body: list[tuple[int, bytes]]) -> None:
        """One frame from or to a session."""
        seq = self.sequences[session][kind - Kind.IN] = self.sequences[session][kind - Kind.IN] + 1
        ids = (self.names[session], b"FIXSIM") if kind == Kind.IN else (b"FIXSIM", self.names[session])
        header = [(49, ids[0]), (56, ids[1]), (34, b"%d" % seq), (52, self.stamp)]
        self.record(kind, encode(msg_type, header, body), session, msg_type, seq)
        self.messages += 1

    def operation(self, number: int) -> None:
        """The next operation of the mix."""
        session, step = number % len(self.names), number // len(self.names) % 100
        self.orders[session] += 1
        cl_ord_id, self.ids = b"C%03d-%07d" % (session, self.orders[session]), self.ids + 1
        order_id, symbol = b"%d" % self.ids, b"SYM%03d" % (number % 1000)
        terms = [(55, symbol), (54, b"1"), (38, b"100"), (40, b"2"), (44, b"187.25"), (59, b"0")]
        if step % 7 in (1, 3, 5):
            self.message(Kind.IN, session, b"F", [(41, cl_ord_id), (11, b"X" + cl_ord_id), *terms[:3], (60, self.stamp)])
            self.report(session, order_id, [(11, b"X" + cl_ord_id), (41, cl_ord_id)], b"4", terms, b"0", b"0")
            return
        self.message(Kind.IN, session, b"D", [(11, cl_ord_id), *terms, (60, self.stamp)])
        self.report(session, order_id, [(11, cl_ord_id)], b"0", terms, b"100", b"0")
        if step % 10 == 0:
            match_id = self.ids
            for side, who, liquidity in ((b"1", session, b"2"), (b"2", (session + 1) % len(self.names), b"1")):
                terms[1] = (54, side)
                fill = [(32, b"100"), (31, b"187.25")]
                match = [(527, b"%d" % match_id), (851, liquidity)]
                self.report(who, order_id, [(11, cl_ord_id)], b"F", terms, b"0", b"100", fill, match)

    def report(
        self, session: int, order_id: bytes, ids: list[tuple[int, bytes]], exec_type: bytes,
        terms: list[tuple[int, bytes]], leaves: bytes, cum: bytes, fill: list[tuple[int, bytes]] | None = None,
        match: list[tuple[int, bytes]] | None = None,
    ) -> None:  # fmt: skip
        """An ExecutionReport(8) as the kernels render it."""
        self.ids += 1
        status = {b"0": b"0", b"4": b"4", b"F": b"2"}[exec_type]
        body = [(37, order_id), *ids, (17, b"%d" % self.ids), (150, exec_type), (39, status), *terms, *(fill or ())]
        body += [(151, leaves), (14, cum), (6, b"0" if cum == b"0" else b"187.250000"), (60, self.stamp), *(match or ())]
        self.message(Kind.OUT, session, b"8", body)


async def ship(data_dir: Path, database: EmbeddedDatabase) -> dict[str, float]:
    """Ship the whole journal; seconds by the clock and on a processor."""
    await database.start()
    shipper = Shipper(data_dir, database, lambda line: None)
    shipper.finish.set()
    postmaster = psutil.Process(database.server.postmaster)
    began = time.perf_counter()
    spent: dict[int, float] = {}

    async def watch() -> None:
        while True:
            for child in postmaster.children():
                spent[child.pid] = processor_s(child)
            await asyncio.sleep(0.2)

    watcher = asyncio.create_task(watch())
    own = time.process_time()
    if not await shipper.run():
        raise ShippingError("the database was away")
    seconds, own = time.perf_counter() - began, time.process_time() - own
    watcher.cancel()
    return {"seconds": seconds, "shipper_s": own, "postgres_s": sum(spent.values())}


def processor_s(process: psutil.Process) -> float:
    """User and system time of a process, 0 when it is gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


async def measure(data_dir: Path, database: EmbeddedDatabase) -> dict[str, object]:
    """Ship, then count what arrived and what it takes on the disk."""
    figures: dict[str, object] = dict(await ship(data_dir, database))
    connection = await database.connect()
    for table in ("messages", "executions", "sessions"):
        figures[table] = await connection.fetchval(f"SELECT count(*) FROM fixsim.{table}")
    figures["database_bytes"] = await connection.fetchval("SELECT pg_database_size(current_database())")
    total = float(str(figures["messages"]))
    figures["baseline_per_s"] = round(await copy_bare(connection, int(str(figures["messages"]))))
    figures["messages_per_s"] = round(total / float(str(figures["seconds"])))
    await connection.close()
    return figures


async def copy_bare(connection: asyncpg.Connection, count: int) -> float:
    """Rows per second of a COPY without any shipper: the same number and size, no key, no index."""
    await connection.execute("CREATE TEMP TABLE bare (position bigint, payload bytea)")
    payload = bytes(PAYLOAD_BYTES)
    before = time.perf_counter()
    for begin in range(0, count, COPIED_ROWS):
        rows = ((position, payload) for position in range(begin, min(count, begin + COPIED_ROWS)))
        await connection.copy_records_to_table("bare", records=rows)
    return count / (time.perf_counter() - before)


def measure_shipping(
    messages: int, sessions: int, *, data_dir: Path | None = None, idle: bool = False, keep: bool = False, progress: Say = print
) -> dict[str, object]:
    """Make the journal unless `data_dir` has one, ship it into an embedded PostgreSQL, and say what that took.

    The data directory is removed afterwards unless `keep`.
    """
    data_dir = data_dir or Path(tempfile.mkdtemp(prefix="fixsim-bench-"))
    data_dir.mkdir(exist_ok=True)
    data_dir.chmod(0o711)
    kept = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if idle:
        make_idle(os.getpid())
    if not journal_directory(data_dir).exists():
        write_journal(data_dir, messages, sessions)
        progress(f"journal of {messages} messages written")
    database = open_database(data_dir, progress=progress, idle=idle)
    assert isinstance(database, EmbeddedDatabase)
    try:
        return asyncio.run(measure(data_dir, database))
    finally:
        sys.setswitchinterval(kept)
        database.leave()
        if not keep:
            Server(data_dir).remove()
            shutil.rmtree(data_dir, ignore_errors=True)


def write_journal(data_dir: Path, messages: int, sessions: int) -> None:
    """The synthetic journal, closed."""
    journal = Journal(data_dir, sessions)
    number = 0
    while journal.messages < messages:
        journal.operation(number)
        number += 1
    journal.seal()
    journal.writer.close()
