"""Journal records into the batch: the header is eight words, the payload lies right behind it."""

import numpy as np

from fixsim.engine.ascii import put_padded
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.words import copy_bytes, quotient
from fixsim.layout import NIL, RECORD_MAGIC
from fixsim.limits import BATCH_BYTES, BATCH_MARGIN_BYTES, FILLS_BYTES, RECORD_HEADER_BYTES

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S


@kernel
def set_time(m, now_ns, digits):
    """The time of the turn, and its UTCTimestamp; the date in it is that of today already."""
    tape = m.tape[0]
    tape["now_ns"] = now_ns
    stamp = tape["stamp"]
    rest = now_ns % NS_PER_DAY
    second = quotient(rest, NS_PER_S)
    fraction = rest - second * NS_PER_S
    minute = quotient(second, 60)
    hour = quotient(minute, 60)
    put_padded(stamp, 9, hour, 2)
    put_padded(stamp, 12, minute - hour * 60, 2)
    put_padded(stamp, 15, second - minute * 60, 2)
    for _ in range(9 - digits):
        fraction = quotient(fraction, 10)
    put_padded(stamp, 18, fraction, digits)


@leaf
def has_tape_room(m):
    """May another frame be taken before the batch must be sealed?"""
    return m.tape[0]["used"] + BATCH_MARGIN_BYTES <= BATCH_BYTES


@leaf
def has_fill_room(m):
    """May another fill of an order be reported before the batch should be sealed?"""
    return m.tape[0]["used"] <= FILLS_BYTES


@leaf
def put_record(m, kind, length, session, run, seq, back, kinds, link):
    """Write the header of a record whose payload of `length` bytes already lies behind it; return its position.

    `kinds` packs MsgType(35) and the offsets of 11, 37, 17 and 55 as `(type and 11 and 37 and 17, 55)`: two words.
    """
    tape = m.tape[0]
    used = np.int64(tape["used"])
    position = np.int64(tape["base"]) + used
    at = used >> 3
    words = m.words
    words[at] = RECORD_MAGIC | (kind << 16) | (length << 32)
    words[at + 1] = position
    words[at + 2] = tape["now_ns"]
    words[at + 3] = session | (run << 32)
    words[at + 4] = seq
    words[at + 5] = back
    words[at + 6] = kinds[0]
    words[at + 7] = kinds[1] | (link << 16)
    end = used + RECORD_HEADER_BYTES + length
    while end & 7 != 0:
        m.batch[end] = 0
        end += 1
    tape["used"] = end
    tape["count"] += 1
    return position


@leaf
def put_said(m, session, kind, length, kinds):
    """Write the header of an OUT record of SESSION row `session` and use up its next MsgSeqNum(34)."""
    row = m.sessions[session]
    seq = np.int64(row["next_out"])
    position = put_record(
        m, kind, length, np.int64(row["id"]), np.int64(row["run"]), seq, np.int64(row["last_out"]), kinds, np.int64(row["link"])
    )
    row["last_out"] = position
    row["next_out"] = seq + 1
    note_said(m, session)
    return position


@leaf
def note_said(m, session):
    """The batch says one more message to SESSION row `session`."""
    if m.said[session] == 0:
        tape = m.tape[0]
        m.touched[tape["touched"]] = session
        tape["touched"] += 1
    m.said[session] += 1


@kernel
def mark_said(m, session):
    """As `note_said`, for a message that was rendered elsewhere."""
    note_said(m, session)


@kernel
def seal_times(m):
    """The batch is sealed: whoever is connected was told something."""
    tape = m.tape[0]
    for i in range(tape["touched"]):
        row = m.sessions[m.touched[i]]
        if row["link"] != 0:
            row["said_ns"] = tape["now_ns"]


@kernel
def open_batch(m, base):
    """Begin a batch at `base`: nothing is written, and nobody told anything."""
    tape = m.tape[0]
    for i in range(tape["touched"]):
        m.said[m.touched[i]] = 0
    tape["touched"], tape["used"], tape["count"], tape["base"] = 0, 0, 0, base


@kernel
def gather_said(m, session, octets, end):
    """Copy what this batch says to SESSION row `session` into `octets`, so that it ends at `end`; where it begins.

    NIL as in `said_positions`, or when there is no room.
    """
    tape = m.tape[0]
    base = np.int64(tape["base"])
    position = np.int64(m.sessions[session]["last_out"])
    link = np.int64(m.sessions[session]["link"])
    begin = end
    for _ in range(m.said[session]):
        if position < base:
            return np.int64(NIL)
        at = (position - base) >> 3
        length = m.words[at] >> 32
        if (m.words[at + 7] >> 16) & 0xFFFFFFFF != link or begin < length:
            return np.int64(NIL)
        begin -= length
        copy_bytes(octets, begin, m.batch, position - base + RECORD_HEADER_BYTES, length)
        position = m.words[at + 5]
    return begin


@kernel
def said_positions(m, session, positions):
    """Where in the journal the messages of this batch to SESSION row `session` begin, in their order; how many.

    NIL when the chain of OUT records does not lead to all of them on the session's present link, or there are too many.
    """
    tape = m.tape[0]
    count = np.int64(m.said[session])
    position = np.int64(m.sessions[session]["last_out"])
    if count > positions.size:
        return np.int64(NIL)
    for i in range(count - 1, -1, -1):
        if position < tape["base"]:
            return np.int64(NIL)
        at = (position - np.int64(tape["base"])) >> 3
        if (m.words[at + 7] >> 16) & 0xFFFFFFFF != m.sessions[session]["link"]:
            return np.int64(NIL)
        positions[i] = position
        position = m.words[at + 5]
    return count

