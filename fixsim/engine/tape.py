"""Journal records into the batch: the header is eight words, the payload lies right behind it."""

import numpy as np

from fixsim.engine.jit import leaf
from fixsim.layout import RECORD_MAGIC
from fixsim.limits import BATCH_BYTES, BATCH_MARGIN_BYTES, RECORD_HEADER_BYTES


@leaf
def has_tape_room(m):
    """May another frame be taken, or another fill reported, before the batch must be sealed?"""
    return m.tape[0]["used"] + BATCH_MARGIN_BYTES <= BATCH_BYTES


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
    return position

