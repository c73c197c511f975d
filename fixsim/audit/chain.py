"""The hash chain over the journal: two files beside it that say what was sealed, kept by the reader process.

Each record of the journal is a leaf of the tree of its batch, the SEAL record the last one; the tree's root and the
batch's extent are one entry of `seals`. The entries, in order, are the leaves of the tree a signed head commits to. Both are
trees of RFC 6962. `records` has twelve bytes per record: no proof, but they tell which record of a batch is not what it was.

    <data-dir>/chain/seals      64 bytes of MAGIC, then 64 bytes per batch: ENTRY
    <data-dir>/chain/records    12 bytes per record: HINT
    <data-dir>/chain/key.pem    the key that signs heads, see `audit/heads.py`
    <data-dir>/chain/lock       who writes holds it

What lies behind the last entry is not yet proved by anything.
"""

import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fixsim.audit.merkle import HASH_BYTES, Frontier, leaf_hash, tree_hash
from fixsim.errors import AuditError, JournalError
from fixsim.journal.reader import Batch, Reader
from fixsim.journal.record import SEAL_RECORD_BYTES, STEP
from fixsim.journal.segments import journal_directory
from fixsim.layout import RECORD_MAGIC
from fixsim.limits import RECORD_HEADER_BYTES

CHAIN: Final = "chain"
SEALS: Final = "seals"
RECORDS: Final = "records"
LOCK: Final = "lock"
MAGIC: Final = b"fixsim chain 1\n".ljust(64, b"\0")

#: One batch: positions of its first byte and behind its seal, records with the seal, zero, time of the seal in ns, root.
ENTRY: Final = Struct("<qqIIq32s")
ENTRY_DTYPE: Final = np.dtype(
    [("begin", "<i8"), ("end", "<i8"), ("records", "<u4"), ("spare", "<u4"), ("time_ns", "<i8"), ("root", "V32")]
)
#: One record: the first bytes of its leaf hash, and the CRC-32 of its payload (0 for a seal), which does not know its place.
HINT_LEAF_BYTES: Final = 8
HINT_DTYPE: Final = np.dtype([("leaf", "u1", (HINT_LEAF_BYTES,)), ("payload", "<u4")])
#: Entries written at once.
FLUSH_ENTRIES: Final = 512

Entries = npt.NDArray[np.void]
Hints = npt.NDArray[np.void]

assert ENTRY.size == ENTRY_DTYPE.itemsize == len(MAGIC) == 64


class Entry(NamedTuple):
    """One sealed batch as the chain knows it."""

    begin: int
    end: int
    records: int
    spare: int
    time_ns: int
    root: bytes

    def packed(self) -> bytes:
        """The bytes of the entry: what its leaf is made of."""
        return ENTRY.pack(*self)


def chain_directory(data_dir: Path) -> Path:
    """Where the chain of a data directory lies."""
    return data_dir / CHAIN


class Hashed(NamedTuple):
    """The records of a batch, in order: leaf hashes, offsets, CRC-32 of payloads. `whole` tells whether all could be read."""

    leaves: list[bytes]
    offsets: list[int]
    crcs: list[int]
    whole: bool

    def hints(self) -> Hints:
        """What `records` keeps of them."""
        hints = np.zeros(len(self.leaves), HINT_DTYPE)
        if len(hints):
            table = np.frombuffer(b"".join(self.leaves), np.uint8).reshape(-1, HASH_BYTES)
            hints["leaf"], hints["payload"] = table[:, :HINT_LEAF_BYTES], self.crcs
            if self.whole:
                hints["payload"][-1] = 0  # a seal tells of its neighbours
        return hints


def hash_batch(octets: bytes) -> Hashed:
    """Hash the records of a batch, its seal included, up to where no record begins."""
    leaves: list[bytes] = []
    offsets: list[int] = []
    crcs: list[int] = []
    unpack, crc32, total, at = STEP.unpack_from, zlib.crc32, len(octets), 0
    last = total - RECORD_HEADER_BYTES
    while at <= last:
        magic, _, length, _ = unpack(octets, at)
        end = at + RECORD_HEADER_BYTES + (length + 7 & -8)
        if magic != RECORD_MAGIC or end > total:
            break
        record = octets[at:end]
        leaves.append(sha256(b"\0" + record).digest())
        crcs.append(crc32(record[RECORD_HEADER_BYTES : RECORD_HEADER_BYTES + length]))
        offsets.append(at)
        at = end
    return Hashed(leaves, offsets, crcs, at == total)


def octets_of(reader: Reader, begin: int, end: int) -> bytes:
    """The bytes of the journal from `begin` to `end`, which lie in one segment; fewer where the file is cut short."""
    view, offset = reader.locate(begin)
    return bytes(view[offset : offset + end - begin])


class ChainFiles:
    """The chain as it is on the disk, for readers: entries and hints. It may grow meanwhile."""

    def __init__(self, data_dir: Path) -> None:
        """AuditError when there is no chain, or the file is none."""
        self.directory = chain_directory(data_dir)
        try:
            octets = (self.directory / SEALS).read_bytes()
        except FileNotFoundError as error:
            text = f"there is no hash chain in {data_dir}: fixsim serve keeps one, fixsim ship --until-end makes one"
            raise AuditError(text) from error
        if octets[: len(MAGIC)] != MAGIC:
            raise AuditError(f"{self.directory / SEALS} is no hash chain of this version")
        count = (len(octets) - len(MAGIC)) // ENTRY.size
        self.octets = octets[len(MAGIC) : len(MAGIC) + count * ENTRY.size]
        self.entries: Entries = np.frombuffer(self.octets, ENTRY_DTYPE)
        self._offsets = np.concatenate(([0], np.cumsum(self.entries["records"].astype(np.int64))))

    def __len__(self) -> int:
        return len(self.entries)

    def entry(self, index: int) -> Entry:
        """Entry number `index`, from 0."""
        return Entry(*ENTRY.unpack_from(self.octets, index * ENTRY.size))

    def packed(self, index: int) -> bytes:
        """Its bytes."""
        return self.octets[index * ENTRY.size : (index + 1) * ENTRY.size]

    def leaves(self, count: int | None = None) -> list[bytes]:
        """Leaf hashes of the first `count` entries, of all for None."""
        return [leaf_hash(self.packed(index)) for index in range(len(self) if count is None else count)]

    def records(self, count: int | None = None) -> int:
        """Records in the first `count` entries, seals included."""
        return int(self._offsets[len(self) if count is None else count])

    def hints(self, index: int) -> Hints:
        """The hints of one batch, as many as there are."""
        begin, end = (HINT_DTYPE.itemsize * int(self._offsets[at]) for at in (index, index + 1))
        try:
            with (self.directory / RECORDS).open("rb") as file:
                file.seek(begin)
                octets = file.read(end - begin)
        except OSError:
            octets = b""
        return np.frombuffer(octets[: len(octets) - len(octets) % HINT_DTYPE.itemsize], HINT_DTYPE)

    def index_of(self, position: int) -> int | None:
        """The entry whose batch holds `position`; None when no entry does (yet)."""
        index = int(np.searchsorted(self.entries["end"], position, side="right"))
        return index if index < len(self) and self.entries["begin"][index] <= position else None

    def fault(self) -> tuple[int, str] | None:
        """The first entry that cannot follow the one before it, and why; None when all can."""
        begins, ends = self.entries["begin"], self.entries["end"]
        before = np.concatenate(([0], ends[:-1]))
        extent = ends - begins
        bad = (begins < before) | (extent < 2 * SEAL_RECORD_BYTES - RECORD_HEADER_BYTES) | (self.entries["records"] < 2)
        bad |= self.entries["spare"] != 0
        found = np.flatnonzero(bad)
        return (int(found[0]), "it cannot follow the one before it") if len(found) else None


class Keeper:
    """Writes the chain: hashes what is sealed behind the last entry. One process at a time, by flock."""

    def __init__(self, data_dir: Path) -> None:
        """AuditError when another process keeps the chain, or it does not belong to this journal; OSError."""
        self.reader = Reader(journal_directory(data_dir))
        self.directory = chain_directory(data_dir)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.tree = Frontier()
        self.records = 0
        #: Where hashing goes on; None for the first batch there is. And the venue time of the batch in front of it.
        self.position: int | None = None
        self.time_ns = 0
        self._descriptors: list[int] = []
        try:
            self._open(data_dir)
        except BaseException:
            self.close()
            raise

    def _open(self, data_dir: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        for name in (LOCK, SEALS, RECORDS):
            self._descriptors.append(os.open(self.directory / name, flags, 0o600))
            if name == LOCK:
                try:
                    fcntl.flock(self._descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise AuditError(f"another process keeps the hash chain of {data_dir}") from error
        _, seals, hints = self._descriptors
        if os.fstat(seals).st_size < len(MAGIC):
            os.ftruncate(seals, 0)
            os.pwrite(seals, MAGIC, 0)
        count = self._take_up(ChainFiles(data_dir))
        os.ftruncate(seals, len(MAGIC) + count * ENTRY.size)
        os.ftruncate(hints, self.records * HINT_DTYPE.itemsize)

    def _take_up(self, files: ChainFiles) -> int:
        """Go on behind the entries there are: how many count. An end of zeros, left by a crash of the machine, does not."""
        count = len(files)
        while count and not files.packed(count - 1).strip(b"\0"):
            count -= 1
        fault = files.fault() if count == len(files) else None
        if fault is not None:
            raise AuditError(f"seal {fault[0]} of the hash chain is not what it was: {fault[1]}; see fixsim audit verify")
        for leaf in files.leaves(count):
            self.tree.add(leaf)
        self.records = files.records(count)
        if count:
            self._check_last(files.entry(count - 1))
        return count

    def _check_last(self, last: Entry) -> None:
        """The journal must hold what the newest entry says; else it is another one, or not what it was."""
        try:
            same = tree_hash(hash_batch(octets_of(self.reader, last.begin, last.end)).leaves) == last.root
        except JournalError:
            same = False  # there is no such segment
        if not same:
            raise AuditError(
                f"the journal does not hold what the hash chain has at position {last.begin}: nothing is added to it; "
                "see fixsim audit verify"
            )
        self.position, self.time_ns = last.end, last.time_ns

    def catch_up(self, enough: Callable[[], bool] = lambda: False) -> int:
        """Hash every batch that is sealed by now, or until `enough`; how many there were. JournalError, OSError."""
        done = 0
        pending: list[tuple[Entry, Hints]] = []
        for batch in self._batches():
            pending.append(self._hashed(batch))
            done += 1
            if len(pending) == FLUSH_ENTRIES:
                self._write(pending)
                pending = []
            if enough():
                break
        self._write(pending)
        return done

    def _batches(self) -> Iterator[Batch]:
        return self.reader.batches(self.position, live=True)

    def _hashed(self, batch: Batch) -> tuple[Entry, Hints]:
        hashed = hash_batch(octets_of(self.reader, batch.begin, batch.end))
        time_ns = self.reader.seal(batch).time_ns
        return Entry(batch.begin, batch.end, len(hashed.leaves), 0, time_ns, tree_hash(hashed.leaves)), hashed.hints()

    def _write(self, pending: list[tuple[Entry, Hints]]) -> None:
        """Hints first: an entry is believed to have them."""
        if not pending:
            return
        _, seals, hints = self._descriptors
        packed = [entry.packed() for entry, _ in pending]
        count = sum(len(of_batch) for _, of_batch in pending)
        _write_all(hints, b"".join(of_batch.tobytes() for _, of_batch in pending), self.records * HINT_DTYPE.itemsize)
        _write_all(seals, b"".join(packed), len(MAGIC) + self.tree.size * ENTRY.size)
        for entry in packed:
            self.tree.add(leaf_hash(entry))
        self.records += count
        self.position, self.time_ns = pending[-1][0].end, pending[-1][0].time_ns

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in reversed(self._descriptors):
            os.close(descriptor)
        self._descriptors.clear()


def _write_all(descriptor: int, octets: bytes, offset: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
