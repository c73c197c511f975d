"""All state of an exchange in one file: written, read back, and checked before it is believed.

A snapshot stands behind a seal of the journal, between two turns: nothing is open, no order is half matched. It holds what the
digest sees (`exchange.digest`), what it keeps besides, and the configuration in force. The file:

| Bytes | What |
| --- | --- |
| 24 | magic, version of this format, CRC32C of the header, length of the header |
| header | JSON: `Header` |
| tables | the state tables one behind the other, as far as their rows were ever used |
| 4 | CRC32C of the tables |
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, Final

import google_crc32c
import numpy as np

from fixsim import __version__
from fixsim.config import SECRET, Config, Counterparty
from fixsim.engine.machine import STATE_TABLES, TABLES
from fixsim.errors import SnapshotError
from fixsim.exchange.digest import DIGESTED, FRESH, KEPT, remembering, state_digest, tables
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import Member
from fixsim.exchange.plain import from_plain, to_plain
from fixsim.exchange.tape import JournalWriter
from fixsim.fix.dictionary import Dictionary
from fixsim.journal.outbox import Outbox
from fixsim.journal.record import LAYOUT_DIGEST
from fixsim.layout import JOURNAL_VERSION, NIL

MAGIC: Final = b"fixsimSS"
#: Bumped when the format of the file changes.
FORMAT: Final = 1
#: Magic, format, CRC32C of the header, length of the header.
PREFIX: Final = Struct("<8sIIq")
TRAILER: Final = Struct("<I")
#: Longest header: members with long names, and thousands of early messages.
HEADER_BYTES_MAX: Final = 1 << 30
#: Tables are written and read in pieces of this size: a checksum and a copy while they are in the cache.
PIECE: Final = 1 << 20


def layout_digest() -> str:
    """Changes when state does: tables, their rows, what is remembered beside them, or the release that works on them."""
    rows = [(name, np.dtype(TABLES[name]).descr) for name in STATE_TABLES]
    told = (__version__, JOURNAL_VERSION, LAYOUT_DIGEST, FORMAT, rows, sorted(FRESH.items()), DIGESTED, KEPT)
    return hashlib.sha256(repr(told).encode()).hexdigest()


@dataclass(frozen=True)
class Standing:
    """Where in the journal a snapshot stands: behind the seal that ends at `position`, whose CRC is `seal_crc`.

    `inbound` and `records` count what lies in front of it, from the beginning of the journal.
    """

    position: int
    seal_crc: int
    inbound: int
    records: int


@dataclass(frozen=True)
class Header:
    """What a snapshot says of itself."""

    version: str
    layout: str
    position: int
    seal_crc: int
    inbound: int
    records: int
    #: Venue time of the last turn, ns since 1970 UTC.
    time_ns: int
    #: The state digest of the exchange in it.
    digest: str
    #: The configuration in force, normalised: without its secrets.
    config: str
    #: Name of each table and bytes of it.
    tables: list[list[Any]]
    #: Slot, name and counterparty of each session, in the order in which they were made.
    members: list[list[Any]]
    #: Name of each thing that remembers, and its attributes as JSON values (`exchange.plain`).
    beside: list[list[Any]]

    @property
    def place(self) -> Standing:
        """Where it stands."""
        return Standing(self.position, self.seal_crc, self.inbound, self.records)


# ---------------------------------------------------------------- writing


def is_between_turns(exchange: Exchange) -> bool:
    """Is everything that was done sealed, and nothing half done?"""
    return exchange.tape.used == 0 and int(exchange.core["taker"]) == NIL


def write(exchange: Exchange, place: Standing, file: BinaryIO) -> Header:
    """Write a snapshot of `exchange`, which stands at `place`. Raises SnapshotError in the middle of a turn, OSError."""
    if not is_between_turns(exchange):
        raise SnapshotError("in the middle of a turn there is no state to keep")
    views = list(tables(exchange.machine))
    things = [(name, thing) for name, thing in remembering(exchange) if _names(thing)]
    header = Header(
        version=__version__,
        layout=layout_digest(),
        **asdict(place),
        time_ns=exchange.tape.now_ns,
        digest=state_digest(exchange),
        config=exchange.config.normalised(),
        tables=[[name, len(view)] for name, view in views],
        members=[
            [member.slot, to_plain(member.name), to_plain(_without_secret(member.counterparty))]
            for member in sorted(exchange.members.by_name.values(), key=lambda one: one.id)
        ],
        beside=[[name, {key: to_plain(getattr(thing, key)) for key in _names(thing)}] for name, thing in things],
    )
    text = json.dumps(asdict(header), separators=(",", ":")).encode()
    file.write(PREFIX.pack(MAGIC, FORMAT, google_crc32c.value(text), len(text)))
    file.write(text)
    crc = 0
    for _, view in views:
        for at in range(0, len(view), PIECE):
            piece = view[at : at + PIECE]
            crc = google_crc32c.extend(crc, np.asarray(piece))
            file.write(piece)
    file.write(TRAILER.pack(crc))
    return header


def _names(thing: Any) -> tuple[str, ...]:
    """Attributes of `thing` that are kept; a member's configuration is kept with the member."""
    kind = type(thing).__name__
    kept = () if kind == "Member" else KEPT.get(kind, ())
    return (*DIGESTED.get(kind, ()), *kept)


def _without_secret(counterparty: Counterparty) -> Counterparty:
    return counterparty if counterparty.password_hash is None else replace(counterparty, password_hash=SECRET)


# ---------------------------------------------------------------- reading


def read_header(path: Path) -> Header:
    """What the snapshot in `path` says of itself. Raises SnapshotError when it is damaged, or none of this release."""
    try:
        with path.open("rb") as file:
            return _read_header(file)
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror or error}") from error


def _read_header(file: BinaryIO) -> Header:
    prefix = file.read(PREFIX.size)
    if len(prefix) < PREFIX.size or prefix[:8] != MAGIC:
        raise SnapshotError("is no snapshot, or was cut short")
    _, number, crc, length = PREFIX.unpack(prefix)
    if number != FORMAT:
        raise SnapshotError(f"is of format {number}, this is {FORMAT}")
    text = file.read(length) if 0 <= length <= HEADER_BYTES_MAX else b""
    if len(text) != length or google_crc32c.value(text) != crc:
        raise SnapshotError("its header is damaged")
    told = json.loads(text)
    if told.get("layout") != layout_digest():
        raise SnapshotError(f"was written by another release, fixsim {told.get('version')}")
    return Header(**{item.name: told[item.name] for item in fields(Header)})


def restore(
    path: Path, writer: JournalWriter, outbox: Outbox, fetch: Callable[[int], bytes], dictionary: Dictionary
) -> tuple[Header, Exchange]:
    """The exchange in `path`, as it stood there; it writes to `writer`. Raises SnapshotError when any check fails."""
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            exchange = Exchange(Config.from_normalised(header.config), writer, outbox, fetch, dictionary)
            for slot, name, counterparty in header.members:
                exchange.members.enter_at(slot, from_plain(name, {}), from_plain(counterparty, {}))
            begin = file.tell()
            _read_tables(file, header, exchange)
            _remember(exchange, header.beside)
            # what follows from the configuration is worked out from a whole state, and then that state is put back
            exchange.take_configuration(exchange.config)
            exchange.guard.adopt(exchange.config)
            exchange.tape.discard()
            file.seek(begin)
            _read_tables(file, header, exchange)
            _remember(exchange, header.beside)
    except OSError as error:
        raise SnapshotError(f"cannot be read: {error.strerror or error}") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"holds what no exchange can be made of ({type(error).__name__}: {error})") from error
    found = state_digest(exchange)
    if found != header.digest:
        raise SnapshotError(f"comes to the state digest {found[:16]}, not to {header.digest[:16]} as it says")
    return header, exchange


def _read_tables(file: BinaryIO, header: Header, exchange: Exchange) -> None:
    """Fill the tables from the file, and compare the checksum."""
    crc = 0
    for name, length in header.tables:
        octets = getattr(exchange.machine, name).view(np.uint8).reshape(-1)
        if not 0 <= length <= len(octets):
            raise SnapshotError(f"has {length} bytes of {name}, which has {len(octets)}")
        for at in range(0, length, PIECE):
            piece = octets[at : min(at + PIECE, length)]
            if file.readinto(piece.data) != len(piece):  # type: ignore[attr-defined]  # every binary file of ours has it
                raise SnapshotError("was cut short")
            crc = google_crc32c.extend(crc, piece)
    if file.read(TRAILER.size + 1) != TRAILER.pack(crc):
        raise SnapshotError("its checksum is wrong")


def _set(thing: Any, key: str, value: Any) -> None:
    """Give an attribute its value; a collection keeps its identity, because others may hold it too."""
    present: Any = getattr(thing, key, None)
    if type(present) is not type(value) or not isinstance(value, dict | set | list | deque):
        setattr(thing, key, value)
        return
    present.clear()
    if isinstance(value, list | deque):
        present.extend(value)
    else:
        present.update(value)


def _remember(exchange: Exchange, beside: list[list[Any]]) -> None:
    """Set what is remembered beside the tables, and make again what only finds things."""
    things = {name: thing for name, thing in remembering(exchange) if _names(thing)}
    if things.keys() != {name for name, _ in beside}:
        raise SnapshotError("remembers other things than this exchange is made of")
    members: dict[int, Member] = exchange.members.by_slot
    for name, values in beside:
        for key, plain in values.items():
            _set(things[name], key, from_plain(plain, members))
    exchange.tape.set_time(exchange.tape.now_ns, exchange.tape.stamp)
    exchange.desk.echoes.find_again()
    exchange.risk.find_again()
    for link in sorted(exchange.links):
        exchange.deadlines.note(exchange.links[link])

