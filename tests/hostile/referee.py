"""An independent judge of a journal: were the session rules kept, was anything accepted that should not have been?

It knows frames, numbers and orders from FIX 4.4 alone and shares no code with what it judges, except that it lets the
exchange carry out its journal once more (`rehearse`) and looks at the sequence numbers around every record.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import quickfix
from exchange.stage import NOWHERE, MemoryWriter

from fixsim.exchange.exchange import Exchange
from fixsim.exchange.recovery import Rehearsal, carry_out, inbound, started_with
from fixsim.fix.dictionary import fix44
from fixsim.journal.outbox import Outbox
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, records
from fixsim.layout import INBOUND, Kind
from fixsim.session import State

Batches = list[tuple[int, memoryview]]

HEAD: Final = re.compile(rb"8=[^\x01]+\x019=(\d+)\x01(?=35=)")
THEIRS: Final = quickfix.DataDictionary(str(Path(__file__).parents[2] / "spec" / "FIX44.xml"))
#: Data fields, and the fields that tell their lengths (FIX 4.4 volume 1, data fields).
DATA: Final = frozenset(b"89 91 96 213 349 351 353 355 357 359 361 363 365 446 619 622".split())
LENGTHS: Final = frozenset(b"93 90 95 212 348 350 352 354 356 358 360 362 364 445 618 621".split())
#: What QuickFIX raises for a message that is not good.
FAULTS: Final = (
    quickfix.InvalidMessage, quickfix.InvalidTagNumber, quickfix.RequiredTagMissing, quickfix.TagNotDefinedForMessage,
    quickfix.NoTagValue, quickfix.IncorrectTagValue, quickfix.IncorrectDataFormat, quickfix.InvalidMessageType,
    quickfix.RepeatedTag, quickfix.TagOutOfOrder, quickfix.RepeatingGroupCountMismatch, quickfix.FieldNotFound,
)  # fmt: skip
LIVE: Final = (State.ACTIVE, State.AWAITING_RESEND)
SESSION_TYPES: Final = frozenset((b"0", b"1", b"2", b"3", b"4", b"5", b"A"))
SECRETS: Final = re.compile(rb"(?:(?<=\\x01554=)|(?<=\\x01925=)|(?<=\\x0196=))((?:\\\*)+)")
NUMBER: Final = re.compile(rb"-?\d{1,18}")


def is_framed(frame: bytes) -> bool:
    """8, 9, 35 first, 10 last, BodyLength and CheckSum right."""
    head = HEAD.match(frame)
    if head is None or frame[-8:-4] != b"\x0110=" or frame[-1:] != b"\x01":
        return False
    return int(head[1]) == len(frame) - 7 - head.end() and frame[-4:-1] == b"%03d" % (sum(frame[:-7]) % 256)


def plain_fields(frame: bytes) -> list[tuple[bytes, bytes]]:
    """Tags and values of a frame; a data field is as long as the length in front of it says."""
    fields: list[tuple[bytes, bytes]] = []
    at, length = 0, b""
    while at < len(frame):
        equals = frame.index(b"=", at)
        tag = frame[at:equals]
        end = equals + 1 + int(length) if tag in DATA and length.isdigit() else frame.index(b"\x01", equals)
        fields.append((tag, frame[equals + 1 : end]))
        length = frame[equals + 1 : end] if tag in LENGTHS else b""
        at = end + 1
    return fields


def first(frame: bytes, tag: int) -> bytes | None:
    """Value of the first field with `tag`; data fields are not looked at closely."""
    found = re.search(rb"(?:^|\x01)%d=([^\x01]*)\x01" % tag, frame)
    return None if found is None else found[1]


# ---------------------------------------------------------------- orders


@dataclass(frozen=True)
class Grid:
    """What an instrument takes."""

    tick: Decimal
    lot: Decimal
    min_qty: Decimal
    max_qty: Decimal


def assert_could_be_accepted(frame: bytes, grids: dict[str, Grid]) -> None:
    """The message of an accepted order or request is framed right, valid to QuickFIX, and on the grid."""
    assert is_framed(frame), frame
    fields = plain_fields(frame)
    named = dict(fields)
    msg_type = named[b"35"]
    assert len(named) == len(fields) or b"453" in named or b"386" in named or b"78" in named, f"a tag twice: {frame!r}"
    needed = {b"D": (11, 55, 54, 60, 38, 40), b"F": (41, 11, 55, 54, 60), b"G": (41, 11, 55, 54, 60, 38, 40)}[msg_type]
    for tag in needed:
        assert named.get(b"%d" % tag), f"{tag} is missing: {frame!r}"
    assert named[b"8"] == b"FIX.4.4" and named[b"54"] in (b"1", b"2", b"5", b"6"), frame
    if frame.isascii() and b"\0" not in frame and not DATA & named.keys():  # its own limits
        THEIRS.validate(quickfix.Message(frame.decode("ascii"), THEIRS, True))
    grid = next((grid for symbol, grid in grids.items() if _covers(symbol, named[b"55"])), None)
    assert grid is not None, f"unknown symbol: {frame!r}"
    if msg_type == b"F":
        return
    for tag in (b"99", b"111", b"210", b"126", b"168", b"432", b"152", b"516", b"211", b"388"):
        assert tag not in named, f"asks for what is not offered: {frame!r}"
    qty = Decimal(named[b"38"].decode("ascii"))
    assert qty % grid.lot == 0 and max(grid.min_qty, grid.lot) <= qty <= grid.max_qty, f"quantity: {frame!r}"
    assert named[b"40"] in (b"1", b"2") and named.get(b"59", b"0") in (b"0", b"1", b"3", b"4"), frame
    assert (named[b"40"] == b"2") == (b"44" in named), f"price: {frame!r}"
    if b"44" in named:
        price = Decimal(named[b"44"].decode("ascii"))
        assert price > 0 and price % grid.tick == 0, f"price: {frame!r}"


def _covers(symbol: str, asked: bytes) -> bool:
    name = asked.decode("latin-1")
    return name.startswith(symbol[:-1]) if symbol.endswith("*") else name == symbol


def check_acceptances(batches: Batches, grids: dict[str, Grid]) -> int:
    """Every report of an accepted order or request has its message; how many there were."""
    asked: dict[tuple[int, bytes], list[bytes]] = {}
    accepted = 0
    seen: set[tuple[int, bytes]] = set()
    for record in each(batches):
        payload = bytes(record.payload)
        if record.kind == Kind.IN and record.msg_type.rstrip(b"\0") in (b"D", b"F", b"G"):
            name = first(payload, 11)
            if name:
                asked.setdefault((record.session, name), []).append(payload)
        elif record.kind == Kind.OUT and record.msg_type == b"8\0" and first(payload, 150) in (b"0", b"4", b"5"):
            kind, name = first(payload, 150), first(payload, 11)
            if kind == b"4" and first(payload, 41) is None:
                continue  # what an immediate order leaves
            assert name is not None, payload
            wanted = {b"0": b"D", b"4": b"F", b"5": b"G"}[kind or b""]
            found = [frame for frame in asked.get((record.session, name), ()) if first(frame, 35) == wanted]
            assert found, f"nobody asked for {payload!r}"
            assert any(_passes(frame, grids) for frame in found), f"accepted: {found!r}, by {payload!r}"
            assert (record.session, name) not in seen, f"accepted twice: {payload!r}"
            seen.add((record.session, name))
            accepted += 1
    return accepted


def _passes(frame: bytes, grids: dict[str, Grid]) -> bool:
    try:
        assert_could_be_accepted(frame, grids)
    except (AssertionError, *FAULTS):
        return False
    return True


# ---------------------------------------------------------------- the journal as a whole


def each(batches: Iterable[tuple[int, memoryview]]) -> Iterator[Record]:
    """All records."""
    return (record for _, view in batches for record in records(view))


def check_journal(batches: Batches) -> None:
    """What is said is framed and numbered without a gap; garbled bytes are answered by nothing; frames are frames."""
    numbers: dict[tuple[int, int], int] = {}
    before = 0
    for record in each(batches):
        if record.kind == Kind.OUT:
            assert before != Kind.GARBLED, f"garbled bytes were answered: {bytes(record.payload)!r}"
            assert is_framed(bytes(record.payload)), bytes(record.payload)
            expected = numbers.get((record.session, record.run), 0) + 1
            assert record.seq == expected, f"{record.seq} said instead of {expected}: {bytes(record.payload)!r}"
            numbers[record.session, record.run] = expected
        elif record.kind == Kind.IN and b"*" not in record.payload.tobytes():  # the CheckSum of a masked one is the secret's
            assert is_framed(bytes(record.payload)), f"taken for a message: {bytes(record.payload)!r}"
        before = record.kind


def check_streams(batches: Batches, streams: dict[int, bytes]) -> None:
    """Each message that was taken was sent on its link, one behind the other; `streams` are the bytes by link."""
    at: dict[int, int] = {}
    for record in each(batches):
        if record.kind == Kind.IN and record.link in streams:
            payload, begin = bytes(record.payload), at.get(record.link, 0)
            place = streams[record.link].find(payload, begin)
            end = place + len(payload)
            if place < 0:
                masked = SECRETS.sub(lambda run: b".{%d}" % (len(run[1]) // 2), re.escape(payload).replace(b"\x01", rb"\x01"))
                found = re.compile(masked, re.DOTALL).search(streams[record.link], begin)
                assert found is not None, f"never sent, or not in this order: {payload!r}"
                end = found.end()
            at[record.link] = end


# ---------------------------------------------------------------- numbers


@dataclass
class Numbers:
    """What one connection may do to the number expected next."""

    #: Messages that came early, by number: what the number behind each may be.
    kept: dict[int, set[int]] = field(default_factory=dict)

    def keep(self, number: int, target: int | None = None) -> None:
        """The message `number` came early, with NewSeqNo(36) = `target` if it is a GapFill."""
        behind = self.kept.setdefault(number, {number + 1})
        if target is not None and target > number:
            behind.add(target)

    def reachable(self, start: int) -> set[int]:
        """Where the expected number may stand when it came to `start`: early messages follow if they were kept."""
        found, todo = {start}, [start]
        while todo:
            further = self.kept.get(todo.pop(), set()) - found
            found |= further
            todo += further
        return found

    def may_become(self, state: State, before: int, frame: bytes) -> set[int]:
        """The numbers that may be expected after `frame` came while `before` was expected."""
        text = first(frame, 34)
        number = int(text) if text is not None and NUMBER.fullmatch(text) else None
        own = {before + 1} if number == before else set()
        if state is State.DISCONNECTED:
            return {before}
        if state is State.CONNECTED:
            return {before, *own, 1, 2}
        if state is State.LOGOUT_SENT:
            return {before, *own}
        if number is None:
            return {before}
        msg_type, poss_dup = first(frame, 35), first(frame, 43) == b"Y"
        new_seq_no = first(frame, 36)
        target = int(new_seq_no) if new_seq_no is not None and NUMBER.fullmatch(new_seq_no) else None
        if msg_type == b"4" and first(frame, 123) != b"Y":
            further = self.reachable(target) if target is not None and target > before else set()
            return {before, *own, *further}
        if msg_type == b"A" and first(frame, 141) == b"Y" and not poss_dup:
            return {before, *own, 2}
        if msg_type == b"5":
            return {before, *(self.reachable(before + 1) if own else ())}
        if number > before:
            self.keep(number, target if msg_type == b"4" else None)
            return {before}
        if number < before:
            return {before}
        allowed = self.reachable(before + 1)
        if msg_type == b"4" and target is not None and target > before:
            allowed |= self.reachable(target)
        return allowed


@dataclass
class Rules:
    """Watches the numbers of every session while a journal is carried out again."""

    numbers: dict[int, Numbers] = field(default_factory=dict)
    checked: int = 0

    def around(self, exchange: Exchange, kind: int, time_ns: int, link: int, payload: bytes) -> None:
        """Carry out one record and look at the number its session expects, before and behind."""
        member = exchange.links.get(link)
        if member is None or kind not in (Kind.IN, Kind.GARBLED):
            if kind == Kind.LINK:
                self.numbers.pop(link, None)
            carry_out(exchange, kind, time_ns, link, payload)
            return
        state, before, run = member.session.state, int(member.row["next_in"]), member.run
        others = {other: int(one.row["next_in"]) for other, one in exchange.links.items() if other != link}
        carry_out(exchange, kind, time_ns, link, payload)
        after = int(member.row["next_in"])
        self.checked += 1
        for other, one in exchange.links.items():
            assert other == link or int(one.row["next_in"]) == others[other], "another session's number moved"
        if kind == Kind.GARBLED:
            assert (before, run, state) == (after, member.run, member.session.state), f"garbled bytes moved {before} to {after}"
            return
        numbers = self.numbers.setdefault(link, Numbers())
        allowed = numbers.may_become(state, before, payload)
        assert after in allowed, f"{before} became {after}, allowed {sorted(allowed)}, {state}: {payload!r}"
        if after == before and state in LIVE and first(payload, 34) == b"%d" % before and member.run == run:
            # the expected number is used up, unless the message has a form in which its number does not decide
            assert first(payload, 35) in (b"4", b"A"), f"the expected number was not used up: {payload!r}"
        if member.run != run or member.session.state is State.LOGOUT_SENT:
            numbers.kept.clear()
        logon = first(payload, 34)
        if state is State.CONNECTED and logon is not None and logon.isdigit() and int(logon) >= after:
            numbers.keep(int(logon))  # a Logon beyond the expected number need not come again


def rehearse(batches: Batches, rules: Rules | None = None, fast_door: bool = True) -> Exchange:
    """The exchange that carries out a journal again, every byte compared; `rules` watch it."""
    writer: Any = MemoryWriter()
    writer.batches = list(batches)
    rehearsal = Rehearsal(iter(writer.batches), writer)
    assert rehearsal.batch is not None
    start = next(inbound(rehearsal.batch[1]))
    exchange = Exchange(started_with(start[3]), rehearsal, Outbox(Reader(NOWHERE)), writer.fetch, fix44())
    exchange.fast_door = fast_door
    watch = rules.around if rules is not None else carry_out
    while rehearsal.batch is not None:
        batch = rehearsal.batch
        for kind, time_ns, link, payload in inbound(batch[1]):
            watch(exchange, kind, time_ns, link, payload)
            if rehearsal.batch is not batch:
                break
        if rehearsal.batch is batch:
            exchange.commit()
        exchange.take_closings()
    return exchange


assert Kind.IN in INBOUND and not SESSION_TYPES - {b"0", b"1", b"2", b"3", b"4", b"5", b"A"}
