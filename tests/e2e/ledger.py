"""What the journal holds, put side by side with what others saw: wires, clients, the book, the database.

A ledger reads on from where it stopped, so that it can be asked after every restart.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from e2e.book import Books
from e2e.peer import ADMIN, Conversation, Peer, substance, value
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, records
from fixsim.journal.resend import expand
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind

#: Bytes of a garbled stretch that the journal keeps.
GARBLED_KEPT = 256
SECRETS = re.compile(rb"\x01(554|925|96)=([^\x01]*)")


class Garbled(NamedTuple):
    """A stretch of bytes that was no message: how many came, and the first of them."""

    length: int
    head: bytes


class Row(NamedTuple):
    """A message as the table `messages` must hold it."""

    position: int
    part: int
    time_ns: int
    direction: str
    session: str
    run: int
    msg_seq_num: int
    msg_type: str
    cl_ord_id: str | None
    order_id: str | None
    exec_id: str | None
    symbol: str | None
    link: int
    raw: bytes


@dataclass
class Link:
    """One connection as the journal tells it: what came, in order, and what was said on it, resends included."""

    sender: str
    came: list[bytes | Garbled] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)


@dataclass
class Told:
    """One session: what was said under each number, and the numbers that come next."""

    said: dict[int, bytes] = field(default_factory=dict)
    next_in: int = 1
    next_out: int = 1
    #: Messages ahead of their turn, and the number each leads to.
    early: dict[int, int] = field(default_factory=dict)
    #: Numbers from which a kill may have kept the exchange: it takes early messages a few at a time.
    waited: set[int] = field(default_factory=set)


class Ledger:
    """The journal of a data directory, read to its end by `read_on`."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = journal_directory(data_dir)
        self.position = 0
        self._names: dict[int, str] = {}
        self.links: dict[int, Link] = {}
        self.sessions: dict[str, Told] = defaultdict(Told)
        self.rows: list[Row] = []
        self.books = Books()
        self.exec_ids: list[int] = []
        self.resends = 0

    def read_on(self) -> None:
        """Take what was sealed since the last time."""
        reader = Reader(self._directory)
        for batch in reader.batches(self.position):
            for record in records(batch.view):
                self._take(reader, record)
            self.position = batch.end

    def _take(self, reader: Reader, record: Record) -> None:
        match record.kind:
            case Kind.LINK:
                self._take_link(record)
            case Kind.START:
                for told in self.sessions.values():
                    told.early.clear()
            case Kind.IN:
                frame = bytes(record.payload)
                self._add(record, 0, "in", frame)
                self.links[record.link].came.append(frame)
                _count_in(self.sessions[self._names[record.session]], frame)
            case Kind.GARBLED:
                self.links[record.link].came.append(Garbled(*record.garbled()))
            case Kind.OUT:
                self._take_said(record, bytes(record.payload))
            case Kind.RESEND:
                self.resends += 1
                for part, frame in enumerate(expand(reader, record), 1):
                    self._add(record, part, "out", frame)
                    self.links[record.link].said.append(frame)

    def _take_link(self, record: Record) -> None:
        story = json.loads(bytes(record.payload))
        self._names[record.session] = story["sender"]
        self.sessions[story["sender"]].early.clear()
        if story["event"] == "connected":
            self.links[record.link] = Link(story["sender"])

    def _take_said(self, record: Record, frame: bytes) -> None:
        self._add(record, 0, "out", frame)
        if record.link in self.links:
            self.links[record.link].said.append(frame)
        told, seq = self.sessions[self._names[record.session]], int(value(frame, b"34"))
        assert seq == record.seq == told.next_out, f"number {seq} was said, {told.next_out} was next: {frame!r}"
        told.said[seq] = frame
        told.next_out = seq + 1
        if record.msg_type[:1] == b"8":
            if (exec_id := int(value(frame, b"17"))) != 0:
                self.exec_ids.append(exec_id)
            self.books.take(frame)

    def _add(self, record: Record, part: int, direction: str, frame: bytes) -> None:
        seq = value(frame, b"34")
        cl_ord_id, order_id, exec_id, symbol = (_named(frame, tag) for tag in (11, 37, 17, 55))
        self.rows.append(
            Row(
                record.position, part, record.time_ns, direction, self._names[record.session], record.run,
                int(seq) if seq.isdigit() else 0, _text(value(frame, b"35")),
                cl_ord_id, order_id, exec_id, symbol, record.link, frame,
            )
        )  # fmt: skip


def _named(frame: bytes, tag: int) -> str | None:
    return _text(value(frame, b"%d" % tag)) if b"\x01%d=" % tag in frame else None


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _count_in(told: Told, frame: bytes) -> None:
    """What an inbound frame does to the number expected next (FIX 4.4 volume 2): the peers of these tests make no other use."""
    text = value(frame, b"34")
    if not text.isdigit() or int(text) < told.next_in:
        return
    seq = int(text)
    fills = value(frame, b"35") == b"4" and value(frame, b"123") == b"Y"
    if seq > told.next_in:
        told.waited.add(seq)
    told.early.setdefault(seq, int(value(frame, b"36")) if fills else seq + 1)
    while told.next_in in told.early:
        told.next_in = told.early.pop(told.next_in)


# ---------------------------------------------------------------- comparing


def masked(frame: bytes) -> bytes:
    """A frame as the journal may hold it: credentials are as many `*`."""
    return SECRETS.sub(lambda found: b"\x01%b=%b" % (found[1], b"*" * len(found[2])), frame)


def check_wires(ledger: Ledger, conversations: Iterable[tuple[str, Conversation]]) -> None:
    """Each connection, in order of its sender's: the journal holds its bytes and no others.

    What a dying connection did not carry may be missing at its end, in either direction, and nowhere else. Connections the
    exchange never answered and knows nothing of are left out.
    """
    by_sender: dict[str, list[Link]] = defaultdict(list)
    for _, link in sorted(ledger.links.items()):
        by_sender[link.sender].append(link)
    for sender, conversation in conversations:
        links = by_sender[sender]
        if links and _opens(links[0], conversation):
            _check_wire(links.pop(0), conversation)
        else:
            assert not conversation.to_client, f"{sender}: answered on a connection that the journal does not know"
            assert not conversation.closed_in_order
    left = {sender: links for sender, links in by_sender.items() if links}
    assert not left, f"the journal knows connections nobody had: {list(left)}"


def _opens(link: Link, conversation: Conversation) -> bool:
    """Whether the first frame of the link is what the conversation began with."""
    if not link.came:
        return True
    first = link.came[0]
    assert isinstance(first, bytes)
    return masked(bytes(conversation.to_exchange[: len(first)])) == first


def _check_wire(link: Link, conversation: Conversation) -> None:
    came, at = bytes(conversation.to_exchange), 0
    for heard in link.came:
        if isinstance(heard, Garbled):
            kept = min(heard.length, GARBLED_KEPT)
            assert heard.head == came[at : at + kept], f"{link.sender}: byte {at} of what came: {heard}"
            at += heard.length
        else:
            found = came[at : at + len(heard)]
            if value(heard, b"35") in (b"A", b"BE"):
                found = masked(found)
            assert heard == found, f"{link.sender}: byte {at} of what came: {heard!r} for {found!r}"
            at += len(heard)
    assert at <= len(came)
    said, taken = b"".join(link.said), bytes(conversation.to_client)
    assert said.startswith(taken), f"{link.sender}: byte {_differs(said, taken)} of what was said"
    if conversation.closed_in_order:
        assert at == len(came), f"{link.sender}: {came[at:]!r} came and is not in the journal"
        assert len(said) == len(taken), f"{link.sender}: {said[len(taken) :]!r} is in the journal and was not said"


def _differs(one: bytes, other: bytes) -> int:
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other)))


def check_peer(ledger: Ledger, peer: Peer, entered: list[bytes]) -> None:
    """The peer took everything that was said to it once, as it was said, and each of its orders has one answer."""
    told = ledger.sessions[peer.name.decode()]
    assert peer.next_in == told.next_out, f"{peer.name!r} is at {peer.next_in}, the exchange at {told.next_out}"
    answers: dict[bytes, int] = dict.fromkeys(entered, 0)
    for seq, frame in told.said.items():
        taken = peer.taken.get(seq)
        if value(frame, b"35") not in ADMIN:
            assert taken is not None, f"{peer.name!r} never took {frame!r}"
        if taken is not None:
            same = substance(taken) == substance(frame) if b"\x0143=Y\x01" in taken else taken == frame
            assert same, f"{peer.name!r} took {taken!r} for {frame!r}"
        if value(frame, b"35") == b"8" and value(frame, b"150") in (b"0", b"8"):
            name = value(frame, b"11")
            if name in answers and value(frame, b"103") != b"6":
                answers[name] += 1
    wrong = {name: count for name, count in answers.items() if count != 1}
    assert not wrong, f"{peer.name!r} has answers {wrong}"
    assert peer.taken.keys() <= told.said.keys()


def check_ids(ledger: Ledger) -> None:
    """ExecIDs are given once, in order, without holes."""
    assert ledger.exec_ids == list(range(1, len(ledger.exec_ids) + 1))
