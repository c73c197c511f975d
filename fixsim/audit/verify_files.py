"""Journal files against the hash chain, the chain against heads that somebody else kept.

Every batch is hashed from the bytes in the files and compared with its entry, each for itself, so that one altered record
does not hide another. Where batches do not begin any more where they began, the first difference is told and the rest
cannot be.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

import numpy as np

from fixsim.audit.chain import ChainFiles, Entry, Hashed, Hints, hash_batch, octets_of
from fixsim.audit.findings import ALTERED, CHAIN, HEAD, JOURNAL, MISSING, Finding, classify, describe, describe_frame
from fixsim.audit.heads import SignedHead
from fixsim.audit.merkle import leaf_hash, tree_hash
from fixsim.errors import AuditError, JournalError
from fixsim.journal.reader import Batch, Reader
from fixsim.journal.record import HEADER, SEAL_RECORD_BYTES, STEP, record_at, records, segment_record
from fixsim.layout import RECORD_MAGIC, Kind
from fixsim.limits import RECORD_HEADER_BYTES

#: The command that retires what lies in front of a position.
RETIRE: Final = "journal.retire"
#: Records looked at behind a difference, to tell what happened.
LOOK_RECORDS: Final = 512


class FileCheck:
    """One pass over the journal. `leaves` are those of the batches as they are in the files now."""

    def __init__(self, reader: Reader, chain: ChainFiles) -> None:
        self.reader, self.chain = reader, chain
        self.leaves: list[bytes] = []
        #: Batches that are what they were, by the bytes in the files, and extents of those that are not.
        self.sound: list[tuple[int, int]] = []
        self.holes: list[tuple[int, int]] = []
        self.records = 0
        #: Sealed behind the chain, which nothing proves: bytes and records.
        self.unproved_bytes = self.unproved_records = 0
        self._unpacked: set[int] = set()
        #: Where a stretch of batches ends of which nothing is there.
        self._gone_to = 0
        #: Whether batches begin where they began, to the end of the chain.
        self.aligned = True

    def run(self, progress: Callable[[int], None] | None = None) -> Iterator[Finding]:
        """Every finding, in order of positions."""
        fault = self.chain.fault()
        if fault is not None:
            entry = self.chain.entry(fault[0])
            yield Finding(ALTERED, CHAIN, entry.begin, f"seal {fault[0]}", fault[1])
        begin, before = self._retired()
        if before and (floor := recorded_floor(self.reader)) < before:
            text = f"the journal begins at position {before}, and nothing says that more than {floor} was retired"
            yield Finding(MISSING, JOURNAL, 0, "what the chain has in front of it", text)
        for index in range(begin, len(self.chain)):
            entry = self.chain.entry(index)
            yield from self._archive(entry)
            findings, before = self._take(index, entry, before)
            yield from findings
            if any(finding.where == JOURNAL for finding in findings) and self.sound[-1:] != [(entry.begin, entry.end)]:
                self.holes.append((entry.begin, entry.end))
            if not self.aligned:
                return
            if progress is not None:
                progress(entry.end)
        yield from self._behind(before)

    def _retired(self) -> tuple[int, int]:
        """(entries, position) in front of which segments are not there any more: of those the chain alone tells."""
        first = self.reader.first
        count = int(np.searchsorted(self.chain.entries["end"], first, side="right")) if first else 0
        self.leaves += self.chain.leaves(count)
        if first:
            self.holes.append((0, first))
        return count, first

    def _archive(self, entry: Entry) -> Iterator[Finding]:
        """An archived segment must be what was packed, each in its turn."""
        segment = self.reader.segment_at(entry.begin)
        if segment is None or not segment.archived or segment.first in self._unpacked:
            return
        self._unpacked.add(segment.first)
        if segment.bytes and segment.fault:
            yield Finding(ALTERED, JOURNAL, segment.first, f"the archived segment {segment.path.name}", segment.fault)

    # ---- one batch

    def _take(self, index: int, entry: Entry, before: int) -> tuple[list[Finding], int]:
        """Findings about entry number `index`, and where its batch ends; `before` is where the last one did."""
        try:
            octets = octets_of(self.reader, entry.begin, entry.end) if before <= entry.begin < entry.end else b""
        except JournalError:
            octets = b""
        hashed, hints = hash_batch(octets), self.chain.hints(index)
        if hashed.whole and tree_hash(hashed.leaves) == entry.root and len(hashed.leaves) == entry.records:
            return [*self._gap(before, entry), *self._good(index, entry, octets, hashed, hints)], entry.end
        # what does the journal say of itself there?
        actual = self._sealed_behind(before)
        found = b"" if actual is None else octets_of(self.reader, actual.begin, actual.end)
        rehashed = hash_batch(found)
        mine = rehashed.hints()
        if actual is not None and len(mine) <= len(hints) and (mine == hints[: len(mine)]).all():
            # the records are those that were hashed: it is the entry that says something else
            self.records += len(mine)
            self.sound.append((actual.begin, actual.end))
            self.leaves.append(_leaf_of(actual.begin, found, rehashed))
            text = "it does not say what was hashed; the journal's records are what they were"
            return [Finding(ALTERED, CHAIN, entry.begin, f"seal {index}", text)], actual.end
        if not octets.strip(b"\0"):
            if self._goes_on(entry):
                return self._gone(index, entry, before), entry.end
            return [self._lost(index, entry)], before
        self.records += len(hashed.leaves)
        self.leaves.append(leaf_hash(entry._replace(root=tree_hash(hashed.leaves)).packed()))
        self.aligned = actual is None or (actual.begin, actual.end) == (entry.begin, entry.end)
        if self.aligned:
            return [*self._gap(before, entry), *self._altered(entry, octets, hashed, hints)], entry.end
        return [self._shifted(index, before)], before

    def _good(self, index: int, entry: Entry, octets: bytes, hashed: Hashed, hints: Hints) -> Iterator[Finding]:
        """The records are what was sealed; what the chain says beside that must be right too."""
        self.records += len(hashed.leaves)
        self.sound.append((entry.begin, entry.end))
        self.leaves.append(_leaf_of(entry.begin, octets, hashed))
        if self.leaves[-1] != leaf_hash(entry.packed()):
            yield Finding(ALTERED, CHAIN, entry.begin, f"seal {index}", "its time is not the batch's")
        if len(hints) != len(hashed.leaves) or not (hints == hashed.hints()).all():
            yield Finding(ALTERED, CHAIN, entry.begin, f"hints of seal {index}", "the journal's records are what was sealed")

    def _altered(self, entry: Entry, octets: bytes, hashed: Hashed, hints: Hints) -> Iterator[Finding]:
        """Which records of a batch of the same length are not what was hashed."""
        mine = hashed.hints()
        wanted, actual = hints["payload"].tolist()[:-1], mine["payload"].tolist()
        kind = classify(actual[:-1] if hashed.whole else actual, wanted)
        if kind is not None and kind[0] != ALTERED and hashed.whole:
            yield self._named(kind[0], entry, octets, hashed, kind[1], _stretch(kind[2]))
            return
        places = [at for at in range(min(len(mine), len(hints))) if mine[at] != hints[at]]
        if not hashed.whole and not places:
            places.append(len(mine))  # from there on no record can be read
        # a new seal goes with an altered record: it is named only if it is alone
        for at in [at for at in places if at + 1 < len(hints)] or places[:1] or [len(mine) - 1]:
            yield self._named(ALTERED, entry, octets, hashed, at, "")

    def _named(self, what: str, entry: Entry, octets: bytes, hashed: Hashed, at: int, text: str) -> Finding:
        """A finding about record number `at` of a batch."""
        if at < len(hashed.offsets):
            offset = hashed.offsets[at]
            record = record_at(memoryview(octets), offset, STEP.unpack_from(octets, offset)[3])
            return Finding(what, JOURNAL, entry.begin + offset, describe(record), text)
        end = 0
        if hashed.offsets:
            last = hashed.offsets[-1]
            end = last + RECORD_HEADER_BYTES + (STEP.unpack_from(octets, last)[2] + 7 & -8)
        length = HEADER.unpack_from(octets, end)[3] if end + HEADER.size <= len(octets) else 0
        payload = octets[end + HEADER.size : end + HEADER.size + length]
        told = describe_frame(payload) if payload.startswith(b"8=FIX") else "a record that cannot be read any more"
        return Finding(what, JOURNAL, entry.begin + end, told, text)

    # ---- batches that do not begin where they began

    def _shifted(self, index: int, before: int) -> Finding:
        """The first difference where somebody has written the journal anew, behind position `before`."""
        wanted: list[int] = []
        for later in range(index, len(self.chain)):
            wanted += self.chain.hints(later)["payload"].tolist()[:-1]
            if len(wanted) > LOOK_RECORDS:
                break
        records = list(islice(self._records_from(before), LOOK_RECORDS + 1))
        marks = [mark for _, mark, _ in records]
        kind = classify(marks, wanted) or (ALTERED, 0, 1)
        what, at, count = kind
        position, _, message = records[at] if at < len(records) else (before, 0, "")
        if what == MISSING:
            message = f"{count} record{'s' if count > 1 else ''} in front of {message or 'the end'}"
        behind = "batches lie elsewhere from there on, what follows cannot be judged by the chain"
        return Finding(what, JOURNAL, position, message, f"{_stretch(count)}{behind}")

    def _records_from(self, begin: int) -> Iterator[tuple[int, int, str]]:
        """(position, mark, description) of the records that are there now, seals left out."""
        try:
            for batch in self.reader.batches(begin or None):
                octets = octets_of(self.reader, batch.begin, batch.end)
                hashed = hash_batch(octets)
                for offset, crc in zip(hashed.offsets[:-1], hashed.crcs, strict=False):
                    position = batch.begin + offset
                    yield position, crc, describe(record_at(memoryview(octets), offset, position))
        except JournalError:
            return

    def _sealed_behind(self, position: int) -> Batch | None:
        """The whole batch that follows `position`, where one ends, by the journal's own seals."""
        try:
            return next(self.reader.batches(position or None, live=True), None)
        except JournalError:
            return None

    def _goes_on(self, entry: Entry) -> bool:
        """Is anything there behind the place of a batch, up to the next one?"""
        if any(segment.first > entry.begin for segment in self.reader.segments()):
            return True
        segment = self.reader.segment_at(entry.begin)
        return segment is not None and segment.last_said(entry.end - segment.first) > entry.end - segment.first

    def _gone(self, index: int, entry: Entry, before: int) -> list[Finding]:
        """There is nothing where a batch was sealed, and others behind it. A stretch of them is told once."""
        told = self._gone_to == before and before > 0
        self._gone_to = entry.end
        self.holes.append((entry.begin, entry.end))
        self.leaves.append(leaf_hash(b""))
        text = f"seal {index} of the chain and {entry.records} records, or more"
        return [] if told else [Finding(MISSING, JOURNAL, entry.begin, "what was sealed there", text)]

    def _lost(self, index: int, entry: Entry) -> Finding:
        """There is nothing where a batch was sealed."""
        self.aligned = False
        count = self.chain.records() - self.chain.records(index)
        text = f"the chain has {count} more records up to position {self.chain.entry(len(self.chain) - 1).end}"
        return Finding(MISSING, JOURNAL, entry.begin, "everything from there on", text)

    def batches(self) -> Iterator[Batch]:
        """The batches that are what they were, and those behind the chain. To be asked for after `run`."""
        for begin, end in self.sound:
            view, offset = self.reader.locate(begin)
            yield Batch(begin, end, view[offset : offset + end - begin - SEAL_RECORD_BYTES])
        last = self.sound[-1][1] if self.sound else 0
        if self.aligned and not (self.holes and self.holes[-1][1] > last):
            yield from self.reader.batches(last or None)

    # ---- between and behind

    def _gap(self, before: int, entry: Entry) -> Iterator[Finding]:
        """Between two batches lie zeros and the SEGMENT record the next file begins with."""
        at = before
        while at < entry.begin:
            try:
                view, offset = self.reader.locate(at)
            except JournalError:
                yield Finding(MISSING, JOURNAL, at, "a segment file")
                return
            first, end = at - offset, min(entry.begin, at - offset + len(view))
            if offset == 0 and len(view) >= RECORD_HEADER_BYTES:
                crc = 0 if before == 0 else self._crc_before(before)
                if crc is not None and view[:RECORD_HEADER_BYTES] != segment_record(first, crc):
                    yield Finding(ALTERED, JOURNAL, first, "the SEGMENT record a file begins with")
                at += RECORD_HEADER_BYTES
            rest = bytes(view[at - first : end - first])
            if rest.strip(b"\0"):
                yield Finding(ALTERED, JOURNAL, at, "bytes where none were sealed")
            at = max(end, at)

    def _crc_before(self, end: int) -> int | None:
        """The CRC in the seal that ends at `end`; None when none can be read there."""
        try:
            octets = octets_of(self.reader, end - SEAL_RECORD_BYTES, end)
        except JournalError:
            return None  # retired, or gone
        if STEP.unpack_from(octets)[:2] != (RECORD_MAGIC, Kind.SEAL):
            return None
        return int.from_bytes(octets[RECORD_HEADER_BYTES + 4 : RECORD_HEADER_BYTES + 8], "little")

    def _behind(self, end: int) -> Iterator[Finding]:
        """What is sealed and not hashed yet must at least hold by its own seals."""
        try:
            for batch in self.reader.batches(end or None):
                self.unproved_bytes += batch.end - batch.begin
                self.unproved_records += self.reader.seal(batch).count + 1
        except JournalError as error:
            if not self.holes:
                yield Finding(ALTERED, JOURNAL, error.position, "", str(error))


def recorded_floor(reader: Reader) -> int:
    """The highest floor that an operator's command of the journal names: what was in front of it may have been removed."""
    floor = 0
    with suppress(JournalError):
        for batch in reader.batches():
            for record in records(batch.view):
                if record.kind == Kind.OPERATOR:
                    told = record.json()
                    if told.get("verb") == RETIRE:
                        floor = max(floor, int(told["arguments"]["floor"]))
    return floor


def _leaf_of(begin: int, octets: bytes, hashed: Hashed) -> bytes:
    """Hash of the entry that a whole batch should have."""
    seal = record_at(memoryview(octets), hashed.offsets[-1], begin + hashed.offsets[-1])
    return leaf_hash(Entry(begin, begin + len(octets), len(hashed.leaves), 0, seal.time_ns, tree_hash(hashed.leaves)).packed())


def _stretch(count: int) -> str:
    return f"{count} records; " if count > 1 else ""


def check_head(signed: SignedHead, chain: ChainFiles, files: FileCheck, public_key: str | None) -> Iterator[Finding]:
    """Is the history that a head committed to still there? `files` has been run."""
    head = signed.head
    name = f"the head of {head.time}"
    try:
        signed.check(public_key)
    except AuditError as error:
        yield Finding(ALTERED, HEAD, head.position, name, str(error))
        return
    if head.seals > len(chain):
        text = f"it covers {head.seals} seals, the chain has {len(chain)}"
        yield Finding(MISSING, CHAIN, head.position, f"what {name} covers", text)
        return
    by_chain = tree_hash(chain.leaves(head.seals)).hex() == head.root
    if not by_chain:
        by_files = len(files.leaves) >= head.seals and tree_hash(files.leaves[: head.seals]).hex() == head.root
        text = "the journal is what it was" if by_files else "journal and chain were both written anew"
        yield Finding(ALTERED, CHAIN, head.position, f"the chain is not the one of {name}", text)
        return
    last = chain.entry(head.seals - 1)
    if (last.end, chain.records(head.seals), last.time_ns) != (head.position, head.records, head.time_ns):
        yield Finding(ALTERED, HEAD, head.position, name, "position, time or number of records are not those of its root")
