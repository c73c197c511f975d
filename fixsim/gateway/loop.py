"""The compiled part of a turn: wait, read, carry out, seal, write, send, and again, as long as nobody else is needed.

It understands what the fast door understands, on plain connections that are owed nothing. Everything else it leaves as it is
and returns: `gateway.lane` is its plain-Python side. Nothing is sent before the write that holds it has returned (law 1), and
all state changes happen in the kernels both doors share (law 4). The system is called by the names libc has for it.
"""

import mmap
import platform
import sys

import numpy as np
from numba import types

from fixsim.engine.batch import BREAK, FULL, LARGE, run_frames
from fixsim.engine.book import HELD, MORE, resume
from fixsim.engine.checksum import crc32c
from fixsim.engine.jit import kernel, loop, part
from fixsim.engine.meter import add_stages, add_turns
from fixsim.engine.scan import NINE, PREFIX, PREFIX_BYTES, SOH, ZERO
from fixsim.engine.tape import gather_said, open_batch, seal_times, set_time
from fixsim.engine.words import address_of, as_array, copy_bytes, load_word, store_word
from fixsim.gateway.meter import (
    FRAMES,
    HISTOGRAMS,
    READ,
    ROWS_MAX,
    SEND,
    STAGE_HISTOGRAMS,
    STAGES_EACH,
    WIDTH,
    WRITE,
)
from fixsim.layout import HELD_BYTES, NIL, RECORD_MAGIC, SEAL, Kind
from fixsim.limits import RECORD_HEADER_BYTES

#: Is there a compiled loop for this system?
AVAILABLE = sys.platform == "linux"
#: Events asked for at once.
EVENTS_MAX = 256
#: Bytes of one `struct epoll_event`, and where its data lies: packed on x86-64 only (epoll_ctl(2)).
EVENT_BYTES, EVENT_DATA = (12, 4) if platform.machine() in ("x86_64", "AMD64") else (16, 8)
EPOLLIN = 1
MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
CLOCK_MONOTONIC = 1
NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000
#: The longest batch that is copied into the mapped segment: a handful of orders. A longer one is written by the system, which
#: is faster at that than pages that have to be made writable one by one.
MAPPED_MAX = 4_096
PAGE = mmap.PAGESIZE
#: madvise(2): make pages writable now. An error is told, where touching them would be a signal.
MADV_POPULATE_WRITE = 23
#: Let go of pages; what they hold is in the file. So many bytes at a time, or a segment would be let go of all at once.
MADV_DONTNEED = 4
SHED_BYTES = 1 << 20
#: Longest wait, ms.
WAIT_MS_MAX = 500
SEAL_KIND = Kind.SEAL
SEAL_BYTES = SEAL.itemsize
SEALED_BYTES = RECORD_HEADER_BYTES + SEAL_BYTES

#: Why `run` returned: any of these together, 0 when only time has passed.
OTHERS = 1  # descriptors that are not ours are ready: `others` has them
ATTENTION = 2  # a connection has something for the slow door, or has ended
OWED = 4  # sessions are owed what could not be sent: `owed`, and how many bytes of it are gone: `taken`
ROLLING = 8  # the next batch needs a new segment
UNFINISHED = 16  # an order goes on in the next batch
LOOK = 128  # a breaker must look before anything else happens; the batch is open
BROKEN = 32  # the batch could not be written, and nothing of it counts
UNSYNCED = 64  # the batch was written and could not be brought to the disk: nothing more may be done

_word = types.int64
epoll_wait = types.ExternalFunction("epoll_wait", types.intc(types.intc, _word, types.intc, types.intc))
clock_gettime = types.ExternalFunction("clock_gettime", types.intc(types.intc, _word))
recv = types.ExternalFunction("recv", _word(types.intc, _word, _word, types.intc))
send = types.ExternalFunction("send", _word(types.intc, _word, _word, types.intc))
pwrite = types.ExternalFunction("pwrite", _word(types.intc, _word, _word, _word))
memcpy = types.ExternalFunction("memcpy", _word(_word, _word, _word))
madvise = types.ExternalFunction("madvise", types.intc(_word, _word, types.intc))
fdatasync = types.ExternalFunction("fdatasync", types.intc(types.intc))


@kernel
def monotonic(g):
    """Monotonic time, ns."""
    clock_gettime(CLOCK_MONOTONIC, address_of(g.clock, 0))
    return g.clock[0] * NS_PER_S + g.clock[1]


@kernel
def venue_time(g, monotonic_ns):
    """Venue time, ns since 1970 UTC (as `gateway.clock.Clock`)."""
    row = g.loop[0]
    elapsed = monotonic_ns - row["anchor_ns"]
    return row["venue_ns"] + elapsed + elapsed * row["rate_ppm"] // 1_000_000


# ---------------------------------------------------------------- counting


@kernel
def lap(g, stage):
    """What happened since the last lap was `stage`."""
    row = g.loop[0]
    if row["timing"] != 0:
        now = monotonic(g)
        g.spent[stage] += now - row["lap_ns"]
        row["lap_ns"] = now


@kernel
def add_row(g, turn_ns, taken, records, octets):
    """Keep a turn, or a batch, for the histograms."""
    row = g.loop[0]
    at = 4 * row["rows"]
    g.rows[at], g.rows[at + 1], g.rows[at + 2], g.rows[at + 3] = turn_ns, taken, records, octets
    row["rows"] += 1
    if row["rows"] == ROWS_MAX:
        empty_rows(g)


@kernel
def empty_rows(g):
    """Put what was kept into the histograms."""
    add_turns(g.page, HISTOGRAMS, WIDTH, g.rows, g.loop[0]["rows"])
    g.loop[0]["rows"] = 0


@kernel
def begin_turn(g, now):
    """A turn begins at `now`, monotonic; one in STAGES_EACH is timed by stage."""
    row = g.loop[0]
    row["turns"] += 1
    row["timing"] = 1 if row["turns"] % STAGES_EACH == 0 else 0
    row["lap_ns"] = now


@kernel
def end_turn(g, began, taken):
    """It took `taken` messages."""
    row = g.loop[0]
    took = monotonic(g) - began
    row["longest_ns"] = max(row["longest_ns"], took)
    if taken > 0:
        row["filled"] += 1
        add_row(g, took, taken, 0, 0)
    if row["timing"] != 0:
        add_stages(g.page, STAGE_HISTOGRAMS, WIDTH, g.spent)


# ---------------------------------------------------------------- out


@kernel
def put_seal(m, g):
    """The seal behind the batch; its CRC."""
    tape, row = m.tape[0], g.loop[0]
    used = tape["used"]
    at = used >> 3
    words = m.words
    words[at] = RECORD_MAGIC | (SEAL_KIND << 16) | (SEAL_BYTES << 32)
    words[at + 1] = tape["base"] + used
    words[at + 2] = tape["now_ns"]
    words[at + 3], words[at + 4], words[at + 5], words[at + 6], words[at + 7] = 0, 0, NIL, 0, 0
    crc = crc32c(m.batch, used + RECORD_HEADER_BYTES)
    words[at + 8] = tape["count"] | (crc << 32)
    words[at + 9] = row["crc"]
    words[at + 10] = tape["base"]
    return crc


@kernel
def write_batch(m, g):
    """Seal the batch and write it, to the disk where that is promised; 0, or the flag that says what failed."""
    tape, row = m.tape[0], g.loop[0]
    crc = put_seal(m, g)
    length = tape["used"] + SEALED_BYTES
    if length <= MAPPED_MAX and tape["base"] - row["first"] + length <= row["ready"]:
        memcpy(row["map"] + tape["base"] - row["first"], address_of(m.batch, 0), length)
    elif pwrite(row["journal"], address_of(m.batch, 0), length, tape["base"] - row["first"]) != length:
        return BROKEN
    if row["sync"] != 0 and fdatasync(row["journal"]) != 0:
        return UNSYNCED
    row["position"] = tape["base"] + length
    row["crc"] = crc
    return 0


@kernel
def make_ready(g, length):
    """A batch of `length` bytes was written: if it was a short one, the next probably is, and should find its pages ready."""
    row = g.loop[0]
    at = row["position"] - row["first"]
    if row["map"] == 0 or length > MAPPED_MAX or at + MAPPED_MAX <= row["ready"]:
        return
    begin = max(row["ready"], at & -PAGE)
    end = (at + MAPPED_MAX + PAGE - 1) & -PAGE
    if madvise(row["map"] + begin, end - begin, MADV_POPULATE_WRITE) != 0:
        row["map"], row["ready"] = 0, 0
        return
    row["ready"] = end
    behind = (begin & -SHED_BYTES) - SHED_BYTES
    if behind > row["shed"]:
        madvise(row["map"] + row["shed"], behind - row["shed"], MADV_DONTNEED)
        row["shed"] = behind


@kernel
def send_said(m, g, session):
    """Send what the batch says to a session; bytes that went out, NIL when all of it is gone."""
    link = m.sessions[session]["link"]
    if link == 0:
        return NIL
    place = g.by_session[session]
    if place == NIL or g.connections[place]["link"] != link or g.connections[place]["direct"] == 0:
        return 0
    begin = gather_said(m, session, g.outgoing, g.outgoing.size)
    if begin == NIL:
        return 0
    length = g.outgoing.size - begin
    sent = send(g.connections[place]["fd"], address_of(g.outgoing, begin), length, MSG_DONTWAIT | MSG_NOSIGNAL)
    if sent == length:
        return NIL
    g.connections[place]["direct"] = 0
    return max(0, sent)


@kernel
def deliver(m, g):
    """Seal, write and send the batch, and begin the next one; flags for what somebody else must do first.

    Whatever may wait happens behind the sending.
    """
    tape, row = m.tape[0], g.loop[0]
    if tape["used"] == 0:
        return 0
    lap(g, FRAMES)
    failed = write_batch(m, g)
    if failed != 0:
        return failed
    lap(g, WRITE)
    for i in range(tape["touched"]):
        session = m.touched[i]
        sent = send_said(m, g, session)
        if sent != NIL:
            g.owed[row["owed"]], g.taken[row["owed"]] = session, sent
            row["owed"] += 1
    lap(g, SEND)
    seal_times(m)
    row["batches"] += 1
    row["bytes"] += tape["used"]
    row["taken"] += tape["count"]
    add_row(g, 0, 0, tape["count"], tape["used"])
    make_ready(g, tape["used"] + SEALED_BYTES)
    if row["owed"] != 0:
        tape["used"] = 0  # what is owed lies in the batch until the next one begins
        return OWED | (ROLLING if row["position"] > row["last"] else 0)
    open_batch(m, row["position"])
    return ROLLING if row["position"] > row["last"] else 0


# ---------------------------------------------------------------- in


@kernel
def may_become_a_frame(octets, begin, end, max_length):
    """Are these bytes the beginning of a frame in order, of which something is missing?"""
    length = end - begin
    for i in range(min(length, PREFIX_BYTES)):
        if octets[begin + i] != PREFIX[i]:
            return False
    body = 0
    at = begin + PREFIX_BYTES
    while at < end and octets[at] != SOH:
        if octets[at] < ZERO or octets[at] > NINE or at - begin >= PREFIX_BYTES + 6:
            return False
        body = body * 10 + octets[at] - ZERO
        at += 1
    if at >= end:
        return True
    whole = at + 1 + body + 7 - begin
    return whole > length and whole <= max_length


@part
def take_frames(m, g, place, end):
    """Carry out the first `end` bytes of the inbox for a connection, as far as the fast door goes; flags."""
    row, connection = g.loop[0], g.connections[place]
    session = np.int64(connection["session"])  # as the other door calls it: nothing is compiled twice
    octets = as_array(g.inbox)
    at = np.int64(0)
    flags = 0
    while flags == 0:
        begun = at
        at, why = run_frames(m, session, octets, at, end, row["max_length"], row["tolerance_ns"])
        if at > begun:
            m.sessions[session]["heard_ns"] = m.tape[0]["now_ns"]
        if why == LARGE:
            more = MORE
            while flags == 0 and more == MORE:
                flags = deliver(m, g)
                if flags == 0:
                    more = resume(m)
            if more == MORE:
                flags |= UNFINISHED
            elif more == HELD or m.core[0]["alarm"] != 0:
                flags |= LOOK
        elif why == BREAK:
            flags = LOOK
        elif why == FULL:
            flags = deliver(m, g)
        else:
            break
    if at == end:
        return flags
    if flags == 0 and end - at <= HELD_BYTES and may_become_a_frame(g.inbox, at, end, row["max_length"]):
        copy_bytes(g.held, place * HELD_BYTES, g.inbox, at, end - at)
        connection["held"] = end - at
        return 0
    row["attention"], row["begin"], row["end"] = place, at, end
    return flags | ATTENTION


@part
def take_event(m, g, place):
    """Read from a connection that is ready and carry out what came; flags."""
    row, connection = g.loop[0], g.connections[place]
    held = connection["held"]
    copy_bytes(g.inbox, 0, g.held, place * HELD_BYTES, held)
    got = recv(connection["fd"], address_of(g.inbox, held), row["helping"], MSG_DONTWAIT)
    if got <= 0:
        row["attention"], row["begin"], row["end"] = place, 0, 0
        return ATTENTION
    connection["held"] = 0
    lap(g, READ)
    flags = take_frames(m, g, place, held + got)
    lap(g, FRAMES)
    return flags


@kernel
def own_connection(m, g, mask, fd):
    """CONNECTION row of a descriptor that is ours to read, NIL for another."""
    if mask != EPOLLIN or fd >= g.by_fd.size:
        return NIL
    place = g.by_fd[fd]
    if place == NIL or g.connections[place]["direct"] == 0 or m.sessions[g.connections[place]["session"]]["fast"] == 0:
        return NIL
    return place


@part
def take_events(m, g, count):
    """Carry out what is ready; flags. A connection that needs somebody else ends the turn: the others are still ready then."""
    row = g.loop[0]
    flags = 0
    for i in range(count):
        mask = load_word(g.events, i * EVENT_BYTES) & 0xFFFFFFFF
        fd = load_word(g.events, i * EVENT_BYTES + EVENT_DATA) & 0xFFFFFFFF
        place = own_connection(m, g, mask, fd)
        if place == NIL:
            store_word(g.others, 8 * row["others"], fd | (mask << 32))
            row["others"] += 1
            continue
        flags = take_event(m, g, place)
        if flags != 0:
            break
    return flags | (OTHERS if row["others"] != 0 else 0)


@part
def turn(m, g, count, began):
    """Carry out what is ready, and deliver what was said; flags."""
    row = g.loop[0]
    records, first_id = row["taken"], m.core[0]["exec_id"]
    flags = take_events(m, g, count)
    if flags & (OWED | BROKEN | UNSYNCED | UNFINISHED | LOOK) == 0:
        flags |= deliver(m, g)
    end_turn(g, began, row["taken"] - records - (m.core[0]["exec_id"] - first_id))
    return flags


@loop
def run(m, g, wait_ms, once):
    """Turn after turn until somebody else is needed or something is due; why (flags).

    The batch that is open, if any, is empty. `wait_ms` bounds the first wait; with `once` there is no second turn.
    """
    row = g.loop[0]
    row["attention"], row["others"], row["owed"] = NIL, 0, 0
    row["turns"], row["filled"], row["taken"], row["batches"], row["bytes"], row["longest_ns"] = 0, 0, 0, 0, 0, 0
    first_id = m.core[0]["exec_id"]
    flags = 0
    while True:
        count = epoll_wait(row["epoll"], address_of(g.events, 0), EVENTS_MAX, wait_ms)
        began = monotonic(g)
        now_ns = venue_time(g, began)
        if count > 0:
            if now_ns >= row["day_end_ns"]:
                break  # a new date: the events are still there afterwards
            begin_turn(g, began)
            set_time(m, now_ns, row["digits"])
            flags = turn(m, g, count, began)
        if flags != 0 or count < 0 or once or now_ns >= row["due_ns"]:
            break
        if row["busy"] != 0:
            wait_ms = 0
        else:
            wait_ms = min(WAIT_MS_MAX, (row["due_ns"] - now_ns + NS_PER_MS - 1) // NS_PER_MS)
    row["told"] = m.core[0]["exec_id"] - first_id
    row["taken"] -= row["told"]
    empty_rows(g)
    return flags
