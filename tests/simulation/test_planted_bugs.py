"""Bugs planted into the code, each of which some world must find: a simulation that finds none proves nothing."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from fixsim.engine import book
from fixsim.exchange import opening
from fixsim.exchange.course import Course, Until
from fixsim.exchange.delivery import Delivery
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.members import RowCounters
from fixsim.fix import tags
from fixsim.journal import resend
from fixsim.journal.disk import Disk
from fixsim.journal.reader import Reader
from fixsim.journal.record import SEAL_RECORD_BYTES
from fixsim.journal.writer import Writer
from fixsim.session import live
from fixsim.session.events import Deliver
from simulation.stage import live as live_through

#: Worlds until a bug must be found.
SEEDS = 300

Plant = Callable[[], AbstractContextManager[Any]]


def released_before_the_seal() -> AbstractContextManager[Any]:
    """The seal is written with the next batch, not with its own."""
    append, begin = Writer.append, Writer.begin_batch
    waiting: dict[int, tuple[int, bytes]] = {}

    def late(writer: Writer, buffer: memoryview, length: int, count: int, time_ns: int) -> int:
        written = []
        disk = writer._disk

        def keep(_descriptor: int, view: memoryview, offset: int) -> None:
            written.append((bytes(view), offset))

        with patch.object(disk, "write_all", keep):
            position = append(writer, buffer, length, count, time_ns)
        for octets, offset in written:
            disk.write_all(writer._descriptor, memoryview(octets)[:-SEAL_RECORD_BYTES], offset)
            waiting[id(writer)] = writer._descriptor, octets[-SEAL_RECORD_BYTES:]
        return position

    def seal_first(writer: Writer, closing: bool = False) -> int:
        if (seal := waiting.pop(id(writer), None)) is not None:
            descriptor, octets = seal
            writer._disk.write_all(descriptor, memoryview(octets), writer.position - writer._first - len(octets))
        return begin(writer, closing)

    return patch.multiple(Writer, append=late, begin_batch=seal_first)


def released_before_the_sync() -> AbstractContextManager[Any]:
    """Nobody waits for the disk."""
    return patch.object(Writer, "sync", lambda writer: None)


def a_failed_sync_is_tried_again() -> AbstractContextManager[Any]:
    """What failed is taken for a bad moment."""
    def insist(writer: Writer) -> None:
        if writer._unsynced:
            try:
                writer._disk.sync(writer._descriptor)
            except OSError:
                writer._disk.sync(writer._descriptor)
            writer._unsynced = False

    return patch.object(Writer, "sync", insist)


def a_full_segment_is_left_unsynced() -> AbstractContextManager[Any]:
    """The last batch of a segment is not on the disk when the next segment begins."""
    roll = Writer._roll

    def hasty(writer: Writer, first: int) -> None:
        writer._unsynced = False
        roll(writer, first)

    return patch.object(Writer, "_roll", hasty)


def next_in_is_not_advanced() -> AbstractContextManager[Any]:
    """One number in twenty is forgotten."""
    def store(counters: RowCounters, value: int) -> None:
        if value % 20:
            counters.row["next_in"] = value

    return patch.object(RowCounters, "next_in", property(lambda counters: int(counters.row["next_in"]), store))


def resent_under_another_number() -> AbstractContextManager[Any]:
    """A message that is said again takes the number behind its own."""
    again = resend.again
    return patch.object(resend, "again", lambda said, time_ns: again(said._replace(seq=said.seq + 1), time_ns))


def resent_one_message_short() -> AbstractContextManager[Any]:
    """A resend stops in front of the last number that was asked for."""
    frames = resend.Resending.frames

    def short(job: resend.Resending) -> Iterator[bytes]:
        every = list(frames(job))
        return iter(every[:-1] if len(every) > 1 else every)

    return patch.object(resend.Resending, "frames", short)


def a_report_is_not_sent() -> AbstractContextManager[Any]:
    """Of several messages of one batch to one session the last stays where it is."""
    said_to = Delivery._said_to
    return patch.object(Delivery, "_said_to", lambda delivery, member: said_to(delivery, member)[:2])


def seals_are_not_chained() -> AbstractContextManager[Any]:
    """Each seal says that it is the first."""
    append = Writer.append

    def unchained(writer: Writer, *batch: Any) -> int:
        writer.crc = 0
        return append(writer, *batch)

    return patch.object(Writer, "append", unchained)


def recovery_skips_the_last_batch() -> AbstractContextManager[Any]:
    """A start does not carry out what was sealed last."""

    def short(reader: Reader, until: Until, *place: Any) -> Course:
        begins = [batch.begin for batch in reader.batches()]
        return Course(reader, Until(position=begins[-1] - 1) if len(begins) > 1 else until, *place)

    return patch.object(opening, "Course", short)


def early_messages_are_dealt_with_twice() -> AbstractContextManager[Any]:
    """A message ahead of its turn is carried out at once, and once more when its turn comes."""
    take_early = live._take_early

    def eager(talk: Any, message: Any, number: int, token: int, poss_dup: bool, now_ns: int) -> None:
        if talk.role == "acceptor" and message.msg_type == b"D":
            talk.events.append(Deliver(message, token, poss_dup, False))
        take_early(talk, message, number, token, poss_dup, now_ns)

    return patch.object(live, "_take_early", eager)


def a_sequence_reset_lowers() -> AbstractContextManager[Any]:
    """SequenceReset-Reset may lead back."""
    def lower(talk: Any, message: Any, now_ns: int) -> None:
        talk.jump(message.get_int(tags.NEW_SEQ_NO) or 1)
        talk.advance(now_ns)

    return patch.object(live, "_take_reset", lower)


def half_of_a_torn_batch_is_kept() -> AbstractContextManager[Any]:
    """A start zeroes only the front half of what no seal covers."""
    cut = Writer._cut_bytes

    def half(writer: Writer, tail: Any) -> str:
        return cut(writer, tail._replace(torn_end=tail.end + (tail.torn_end - tail.end) // 2))

    return patch.object(Writer, "_cut_bytes", half)


def a_write_that_takes_less_is_not_finished() -> AbstractContextManager[Any]:
    """Where the disk takes a part, that is taken for all of it."""
    def careless(disk: Disk, descriptor: int, view: memoryview, offset: int) -> None:
        try:
            disk.pwrite(descriptor, view, offset)
        except OSError:
            return

    return patch.object(Disk, "write_all", careless)


# ---------------------------------------------------------------- kernels, as plain Python


@contextmanager
def plain_kernels(**planted: Any) -> Iterator[None]:
    """Orders go through the slow door, whose kernels run as plain Python down to the ones that are planted."""
    made = Exchange.__init__

    def slow(exchange: Exchange, *parts: Any) -> None:
        made(exchange, *parts)
        exchange.fast_door = False

    with ExitStack() as stack:
        stack.enter_context(patch.object(Exchange, "__init__", slow))
        for name in ("enter", "work", "match", "fill", "limit_key"):
            stack.enter_context(patch.object(book, name, planted.get(name, python_of(getattr(book, name)))))
        yield


def python_of(function: Any) -> Any:
    """A kernel as plain Python."""
    return getattr(function, "py_func", function)


def the_makers_report_is_lost() -> AbstractContextManager[Any]:
    """A fill tells the taker alone."""
    fill, report = python_of(book.fill), book.report

    def half(m: Any, slot: int, *rest: Any) -> None:
        if rest[-1] != book.ADDED_LIQUIDITY:
            report(m, slot, *rest)

    def tells_one(*trade: Any) -> None:
        with patch.object(book, "report", half):
            fill(*trade)

    return plain_kernels(fill=tells_one)


def leaves_are_not_reduced() -> AbstractContextManager[Any]:
    """What a maker has traded still rests."""
    fill = python_of(book.fill)

    def generous(m: Any, taker: int, maker: int, row: int, lots: int) -> None:
        before = int(m.orders[maker]["leaves"])
        fill(m, taker, maker, row, lots)
        if before > lots:
            m.orders[maker]["leaves"] = before

    return plain_kernels(fill=generous)


def equal_prices_do_not_trade() -> AbstractContextManager[Any]:
    """A limit order stops one tick too early."""
    limit_key = python_of(book.limit_key)
    return plain_kernels(limit_key=lambda order, opposite: limit_key(order, opposite) - 1)


#: What is planted, and what the world says when it has found it.
BUGS: tuple[tuple[Plant, str], ...] = (
    (released_before_the_seal, "before its seal|a batch at"),
    (released_before_the_sync, "before its seal|before the seal was safe"),
    (a_failed_sync_is_tried_again, "a sync that failed was tried again"),
    (a_full_segment_is_left_unsynced, "before its seal|before the seal was safe|the journal ended at|JournalCorrupt"),
    (next_in_is_not_advanced, "no rest|ReplayDivergence"),
    (resent_under_another_number, "for number"),
    (resent_one_message_short, "was sent|for number|for a GapFill"),
    (a_report_is_not_sent, "was sent for"),
    (seals_are_not_chained, "the seal at"),
    (recovery_skips_the_last_batch, "came to another state|time goes back"),
    (early_messages_are_dealt_with_twice, "answered twice"),
    (a_sequence_reset_lowers, "expects"),
    (half_of_a_torn_batch_is_kept, "something unsealed was left"),
    (a_write_that_takes_less_is_not_finished, "says . next|not at the same place|before its seal"),
    (the_makers_report_is_lost, "bought and sold differ"),
    (leaves_are_not_reduced, "the fill does not add up|not leaves"),
    (equal_prices_do_not_trade, "crossed|ReplayDivergence"),
)


#: Where to begin for those that few worlds find: a moment earlier, or they take minutes.
FIRST = {a_full_segment_is_left_unsynced: 240, a_failed_sync_is_tried_again: 20}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("plant", "finding"), BUGS, ids=[plant.__name__ for plant, _ in BUGS])
def test_a_planted_bug_is_found(plant: Plant, finding: str) -> None:
    first = FIRST.get(plant, 0)
    with plant():
        for seed in range(first, first + SEEDS):
            try:
                live_through(seed)
            except AssertionError as found:
                assert re.search(finding, str(found)) and f"--seed {seed}" in str(found), str(found)
                return
    raise AssertionError(f"{plant.__name__} was not found by {SEEDS} worlds")


def test_kernels_as_plain_python_have_no_bugs_of_their_own() -> None:
    with plain_kernels():
        for seed in range(4):
            live_through(seed)
