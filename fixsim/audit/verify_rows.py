"""Rows in PostgreSQL against the journal they were drawn from.

What the shipper would write is made again, batch after batch, and compared with what is there: first as bytes, by the
same COPY that loaded it, and row by row only where the bytes differ. Everything is read in one transaction, so a shipper
may go on beside it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from struct import Struct
from typing import Any, Final

import asyncpg

from fixsim.audit.findings import ALTERED, DATABASE, INSERTED, MISSING, REORDERED, Finding, describe_frame
from fixsim.audit.rows import (
    BINARY_BEGIN,
    BINARY_END,
    EVENT_COLUMNS,
    EXECUTION_COLUMNS,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    Rows,
)
from fixsim.audit.tables import SCHEMA
from fixsim.errors import AuditError, JournalError
from fixsim.fix.codec import show
from fixsim.journal.reader import Batch, Reader
from fixsim.journal.record import SEAL_BODY, Record
from fixsim.journal.resend import expand
from fixsim.layout import Kind

#: Messages compared at once.
CHUNK_ROWS: Final = 20_000
#: Columns that hold decimals: equal however they are written.
DECIMALS: Final = frozenset({"order_qty", "price", "last_qty", "last_px", "leaves_qty", "cum_qty", "avg_px"})
#: Columns that are numbers, in COPY's binary form four or eight bytes.
INTEGERS: Final = frozenset({"position", "part", "time_ns", "msg_seq_num", "run", "link"})

_COUNT: Final = Struct(">h")
_LENGTH: Final = Struct(">i")

#: A row's key, (position, part), and its values by column; None for NULL.
Table = dict[tuple[int, int], dict[str, bytes | None]]


@dataclass(frozen=True)
class Progress:
    """What the shipper says it has shipped: everything in front of `position`, and `part` frames of what lies there."""

    position: int
    part: int
    messages: int
    seal_position: int | None
    seal_crc: int | None
    batch: int = 0
    time_ns: int | None = None


@dataclass
class Chunk:
    """What should be in the database between two positions, as COPY data."""

    begin: int
    end: int = 0
    messages: list[bytes] = field(default_factory=list)
    executions: list[bytes] = field(default_factory=list)
    sessions: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)


class RowCheck:
    """Compares the database of `connection` with the journal; both may go on meanwhile."""

    def __init__(
        self, reader: Reader, connection: asyncpg.Connection, batches: Iterable[Batch], holes: Sequence[tuple[int, int]] = ()
    ) -> None:
        """`batches` are those of the journal that can be believed, `holes` the extents between them that cannot."""
        self.reader, self.connection = reader, connection
        self._batches, self._holes = batches, list(holes)
        self.progress = Progress(0, 0, 0, None, None)
        self.names: dict[int, bytes] = {}
        #: Rows compared, by table.
        self.compared = {"messages": 0, "executions": 0, "sessions": 0, "events": 0}
        #: RESEND records whose frames lie in segments that are not there any more.
        self.unjudged: list[int] = []
        #: Why the journal could not be read any further.
        self.stopped: JournalError | None = None
        self._whole = not self._holes

    async def run(self, tell: Callable[[Finding], None], progress: Callable[[int], None] | None = None) -> None:
        """`tell` is called with every finding. AuditError when the database holds none of our tables."""
        async with self.connection.transaction(isolation="repeatable_read", readonly=True):
            try:
                row = await self.connection.fetchrow(
                    f"SELECT position, part, messages, seal_position, seal_crc, batch, last_time_ns FROM {SCHEMA}.cursor"
                )
            except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
                raise AuditError("this database holds no fixsim tables: nothing was ever shipped to it") from error
            if row is None:
                tell(Finding(MISSING, DATABASE, 0, "the shipper's cursor"))
                return
            self.progress = Progress(*row)
            self._check_cursor(tell)
            for chunk in self._chunks():
                for table, columns, rows in (
                    ("messages", MESSAGE_COLUMNS, chunk.messages),
                    ("executions", EXECUTION_COLUMNS, chunk.executions),
                    ("sessions", SESSION_COLUMNS, chunk.sessions),
                    ("events", EVENT_COLUMNS, chunk.events),
                ):
                    await self._compare(table, columns, rows, chunk, tell)
                if progress is not None:
                    progress(chunk.end)
            await self._behind(tell)
            await self._check_names(tell)

    # ---- what should be there

    def _chunks(self) -> Iterator[Chunk]:
        """The rows of what is shipped, in stretches; the last one ends at the cursor."""
        rows, chunk = Rows(self.names), Chunk(0)
        try:
            for batch in self._batches:
                while self._holes and self._holes[0][1] <= batch.begin:
                    if chunk.end > chunk.begin:
                        yield chunk
                    chunk = Chunk(self._holes.pop(0)[1])
                if batch.begin >= self.progress.position and not (batch.begin == self.progress.position and self.progress.part):
                    break
                self._take(rows, batch)
                chunk.messages += rows.messages
                chunk.executions += rows.executions
                chunk.sessions += rows.sessions
                chunk.events += rows.events
                rows.clear()
                chunk.end = batch.end
                if len(chunk.messages) >= CHUNK_ROWS:
                    yield chunk
                    chunk = Chunk(chunk.end)
        except JournalError as error:
            self.stopped = error
            rows.clear()
        if self.stopped is None and not self._holes:
            chunk.end = max(chunk.end, self.progress.position + (1 if self.progress.part else 0))
        if chunk.end > chunk.begin:
            yield chunk

    def _take(self, rows: Rows, batch: Batch) -> None:
        """The rows of one batch, as far as they are shipped."""
        upto, part = self.progress.position, self.progress.part
        view = batch.view if batch.end <= upto or upto < batch.begin else batch.view[: upto - batch.begin]
        for resend in rows.take(view, 0, 0):
            for number, frame in enumerate(self._frames(self.reader.read(resend.position)), 1):
                rows.add_resent(resend, number, frame)
        if part and batch.begin <= upto < batch.end:
            self._take_part(rows, batch, upto, part)

    def _take_part(self, rows: Rows, batch: Batch, position: int, part: int) -> None:
        """The first frames of a long resend that is being shipped."""
        record = self.reader.read(position)
        if record.kind != Kind.RESEND:
            return
        offset = position - batch.begin
        for resend in rows.take(batch.view[offset : offset + record.end - position], 0, 0):
            for number, frame in enumerate(self._frames(record), 1):
                if number > part:
                    break
                rows.add_resent(resend, number, frame)

    def _frames(self, record: Record) -> Iterable[bytes]:
        """The frames of a resend; none where it reaches into segments that were removed: those rows cannot be judged."""
        if self.reader.first == 0:
            return expand(self.reader, record)
        try:
            return list(expand(self.reader, record))
        except JournalError:
            self.unjudged.append(record.position)
            return ()

    # ---- comparing

    async def _compare(
        self, table: str, columns: Sequence[str], rows: list[bytes], chunk: Chunk, tell: Callable[[Finding], None]
    ) -> None:
        """One table between two positions."""
        binary = table == "messages"
        self.compared[table] += len(rows)
        parts: list[bytes] = []

        async def keep(octets: bytes) -> None:
            parts.append(bytes(octets))

        order = "position, part" if binary else "position"
        judged = f"AND NOT (part > 0 AND position = ANY('{set(self.unjudged)}'))" if binary and self.unjudged else ""
        query = (
            f"SELECT {', '.join(columns)} FROM {SCHEMA}.{table} "
            f"WHERE position >= {chunk.begin} AND position < {chunk.end} {judged} ORDER BY {order}"
        )
        await self.connection.copy_from_query(query, output=keep, format="binary" if binary else "text")
        found = b"".join(parts)
        wanted = b"".join((BINARY_BEGIN, *rows, BINARY_END)) if binary else b"".join(rows)
        if found == wanted:
            return
        read = _read_binary if binary else _read_text
        for finding in _differences(table, read(wanted, columns), read(found, columns)):
            tell(finding)

    def _check_cursor(self, tell: Callable[[Finding], None]) -> None:
        """The cursor names the newest seal that was shipped: it must lie in this journal, and the rest of it must follow."""
        at = self.progress
        if at.seal_position is None:
            if at.position or at.messages or at.batch:
                tell(Finding(ALTERED, DATABASE, at.position, "the shipper's cursor", "it names no seal, but what was shipped"))
            return
        if at.seal_position < self.reader.first:
            return
        try:
            record = self.reader.read(at.seal_position)
            same = record.kind == Kind.SEAL and SEAL_BODY.unpack(record.payload)[1] == at.seal_crc
        except JournalError:
            same = False
        if not same:
            text = "the journal has no such seal there: one of the two was altered, or they do not belong together"
            tell(Finding(ALTERED, DATABASE, at.seal_position, "the shipper's cursor", text))
            return
        follows = at.batch == record.end if at.part == 0 else record.end <= at.batch <= at.position
        stands = at.position == at.batch if at.part == 0 else at.part > 0 and self._is_resend(at.position)
        if not follows or not stands or at.time_ns != record.time_ns:
            text = f"position, batch or time do not follow from the seal it names at {at.seal_position}"
            tell(Finding(ALTERED, DATABASE, at.position, "the shipper's cursor", text))

    def _is_resend(self, position: int) -> bool:
        try:
            return self.reader.read(position).kind == Kind.RESEND
        except JournalError:
            return False

    async def _behind(self, tell: Callable[[Finding], None]) -> None:
        """Nothing may be there that the cursor does not cover, nor more or fewer messages than it counts."""
        for table in self.compared:
            beyond = await self.connection.fetchrow(
                f"SELECT * FROM {SCHEMA}.{table} WHERE position < 0 OR position > $1 OR (position = $1 AND $2) "
                "ORDER BY position LIMIT 1",
                self.progress.position, self.progress.part == 0,
            )  # fmt: skip
            if beyond is not None:
                tell(Finding(INSERTED, DATABASE, beyond["position"], _row_text(table, beyond), "nothing is shipped from there"))
        count = await self.connection.fetchval(f"SELECT count(*) FROM {SCHEMA}.messages")
        if self.stopped is None and self._whole and count != self.progress.messages:
            text = f"it counts {self.progress.messages} messages, there are {count}"
            tell(Finding(ALTERED, DATABASE, self.progress.position, "the shipper's cursor", text))

    async def _check_names(self, tell: Callable[[Finding], None]) -> None:
        """Session ids stand for the names they had."""
        found = {row["id"]: row["name"] for row in await self.connection.fetch(f"SELECT id, name FROM {SCHEMA}.session_names")}
        for number, name in self.names.items():
            text = name.decode("latin-1")
            if number not in found:
                tell(Finding(MISSING, DATABASE, 0, f"the name of session {number}", text))
            elif found[number] != text:
                tell(Finding(ALTERED, DATABASE, 0, f"the name of session {number}", f"{found[number]!r}, it was {text!r}"))
        whole = self._whole and self.stopped is None
        for number in found.keys() - self.names.keys() if whole else ():
            tell(Finding(INSERTED, DATABASE, 0, f"the name of session {number}", repr(found[number])))

    async def message_at(self, position: int) -> str:
        """What the database has at a position, in words; empty for nothing."""
        row = await self.connection.fetchrow(
            f"SELECT direction, raw FROM {SCHEMA}.messages WHERE position = $1 AND part = 0", position
        )
        return "" if row is None else f"{row['direction'].upper()} {describe_frame(row['raw'])}"


def _differences(table: str, wanted: Table, found: Table) -> Iterator[Finding]:
    """Every row that is not what it should be, by key."""
    values = {_content(row): key for key, row in wanted.items()}
    for key in sorted(wanted.keys() | found.keys()):
        mine, theirs = wanted.get(key), found.get(key)
        if mine is None and theirs is not None:
            other = values.get(_content(theirs))
            text = f"row of {table}" + ("" if other is None else f"; the row of position {other[0]} once more")
            yield Finding(INSERTED, DATABASE, key[0], _table_text(table, theirs), text, key[1])
        elif theirs is None and mine is not None:
            yield Finding(MISSING, DATABASE, key[0], _table_text(table, mine), f"row of {table}", key[1])
        elif mine is not None and theirs is not None:
            changed = [name for name in mine if not _same(name, mine[name], theirs[name])]
            if changed:
                other = values.get(_content(theirs))
                what = ALTERED if other is None or other == key else REORDERED
                text = "; ".join(
                    f"{name} is {_shown(name, theirs[name])}, it was {_shown(name, mine[name])}" for name in changed
                )
                if what == REORDERED and other is not None:
                    text = f"it holds what belongs to position {other[0]}"
                yield Finding(what, DATABASE, key[0], _table_text(table, mine), f"row of {table}: {text}", key[1])


def _content(row: Mapping[str, bytes | None]) -> tuple[bytes | None, ...]:
    """A row without its place."""
    return tuple(value for name, value in row.items() if name not in ("position", "part"))


def _same(name: str, mine: bytes | None, theirs: bytes | None) -> bool:
    if mine == theirs:
        return True
    if name not in DECIMALS or mine is None or theirs is None:
        return False
    try:
        return Decimal(mine.decode()) == Decimal(theirs.decode())
    except (InvalidOperation, UnicodeDecodeError):
        return False


def _shown(name: str, value: bytes | None) -> str:
    if value is None:
        return "nothing"
    if name in INTEGERS and not value.lstrip(b"-").isdigit():
        return str(int.from_bytes(value, "big", signed=True))
    return show(value[:400])


def _table_text(table: str, row: Mapping[str, bytes | None]) -> str:
    """What a row is about."""
    if table == "messages":
        return f"{(row['direction'] or b'').decode().upper()} {describe_frame(row['raw'] or b'')}"
    keys = ("session", "exec_type", "cl_ord_id", "order_id", "exec_id") if table == "executions" else ("session", "event")
    return " ".join(f"{key} {show(value)}" for key in keys if (value := row.get(key)) is not None)


def _row_text(table: str, row: Mapping[str, Any]) -> str:
    values = {
        name: value if isinstance(value, bytes) else str(value).encode() for name, value in row.items() if value is not None
    }
    return _table_text(table, {"direction": None, "raw": None, **values})


# ---------------------------------------------------------------- COPY data, read


def _read_binary(octets: bytes, columns: Sequence[str]) -> Table:
    """Rows of COPY's binary form."""
    rows: Table = {}
    at = len(BINARY_BEGIN)
    while at < len(octets) and (count := _COUNT.unpack_from(octets, at)[0]) != -1:
        assert count == len(columns)
        at += _COUNT.size
        row: dict[str, bytes | None] = {}
        for name in columns:
            length = _LENGTH.unpack_from(octets, at)[0]
            at += _LENGTH.size
            row[name] = None if length < 0 else octets[at : at + length]
            at += max(0, length)
        position, part = (int.from_bytes(row[name] or b"", "big", signed=True) for name in ("position", "part"))
        rows[position, part] = row
    return rows


def _read_text(octets: bytes, columns: Sequence[str]) -> Table:
    """Rows of COPY's text form; values stay escaped, which is the same on both sides."""
    rows: Table = {}
    for line in octets.splitlines():
        values = [None if value == b"\\N" else value for value in line.split(b"\t")]
        row = dict(zip(columns, values, strict=True))
        rows[int(row["position"] or b"0"), 0] = row
    return rows
