"""Frames in a buffer, as far as the fast door understands them: structure, checksum, and where each value lies.

Whatever is not plainly in order is left to the slow door, which knows every rule; here a frame is either understood in full or
not at all. Numbers and times are read only in their simplest form.
"""

import numpy as np

from fixsim.engine.ascii import byte_sum
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.machine import SPOTS
from fixsim.engine.words import HIGH_BITS, load_word, plain_run
from fixsim.layout import NIL

SOH = 1
EQUALS = 61
ZERO, NINE, POINT = 48, 57, 46

PREFIX = b"8=FIX.4.4\x019="
PREFIX_BYTES = len(PREFIX)
PREFIX_WORD = int.from_bytes(PREFIX[:8], "little")
PREFIX_REST = int.from_bytes(PREFIX[8:], "little")
#: A time of day as a word, where its colons lie, and what added to a byte shows in its highest bit that it is above nine.
MIDNIGHT = int.from_bytes(b"00:00:00", "little")
COLONS = int.from_bytes(b"\0\0\xff\0\0\xff\0\0", "little")
ABOVE_NINE = 0x7676767676767676
#: Shortest stretch worth a look.
FRAME_BYTES_MIN = 60

#: Slots of `spots`, in which values are remembered by field.
(
    SENDER_COMP_ID, TARGET_COMP_ID, MSG_SEQ_NUM, SENDING_TIME, CL_ORD_ID, ORIG_CL_ORD_ID, ACCOUNT, SYMBOL, SIDE,
    TRANSACT_TIME, ORDER_QTY, ORD_TYPE, PRICE, TIME_IN_FORCE, HANDL_INST,
) = range(15)  # fmt: skip
LAST_HEADER_SLOT = SENDING_TIME

#: Slot of each tag, NIL for a tag the fast door does not know.
SLOT_OF_TAG = np.full(64, NIL, np.int64)
for _slot, _tag in enumerate((49, 56, 34, 52, 11, 41, 1, 55, 54, 60, 38, 40, 44, 59, 21)):
    SLOT_OF_TAG[_tag] = _slot

assert HANDL_INST < SPOTS


@leaf
def spot(m, frame, slot):
    """Where the value of a field begins: `slot` of FRAME row `frame`."""
    return m.spots[2 * (SPOTS * frame + slot)]


@leaf
def spot_end(m, frame, slot):
    """Where it ends."""
    return m.spots[2 * (SPOTS * frame + slot) + 1]


@kernel
def frame_end(buffer, begin, end, max_length):
    """(first byte of the body, its end, end of the frame) of the frame at `begin`.

    Zeros if it is not plainly whole and in order.
    """
    if end - begin < FRAME_BYTES_MIN:
        return 0, 0, 0
    if load_word(buffer, begin) != PREFIX_WORD or load_word(buffer, begin + 8) & 0xFFFFFFFF != PREFIX_REST:
        return 0, 0, 0
    at = begin + PREFIX_BYTES
    length = 0
    digits = 0
    while digits < 6 and buffer[at] >= ZERO and buffer[at] <= NINE:
        length = length * 10 + np.int64(buffer[at]) - ZERO
        at += 1
        digits += 1
    if digits == 0 or buffer[at] != SOH or buffer[begin + PREFIX_BYTES] == ZERO:
        return 0, 0, 0
    body = at + 1
    stop = body + length
    if stop + 7 > end or stop + 7 - begin > max_length:
        return 0, 0, 0
    if buffer[stop] != 49 or buffer[stop + 1] != ZERO or buffer[stop + 2] != EQUALS or buffer[stop + 6] != SOH:
        return 0, 0, 0
    told = 0
    for i in range(stop + 3, stop + 6):
        if buffer[i] < ZERO or buffer[i] > NINE:
            return 0, 0, 0
        told = told * 10 + np.int64(buffer[i]) - ZERO
    if byte_sum(buffer, begin, stop) & 255 != told or buffer[stop - 1] != SOH:
        return 0, 0, 0
    return body, stop, stop + 7


@kernel
def scan_fields(m, buffer, begin, end, frame):
    """Remember where the values of the fields from `begin` to `end` lie, as those of FRAME row `frame`; return the bits of
    the slots seen, 0 if anything is odd.

    Odd is: a tag that is not known, comes twice, or is a header's behind a body's; an empty value; a byte that is not
    printable.
    """
    spots = m.spots
    first = 2 * SPOTS * frame
    seen = 0
    at = begin
    in_body = False
    while at < end:
        word = load_word(buffer, at)
        tag = (word & 255) - ZERO
        second = (word >> 8) & 255
        if second == EQUALS:
            value = at + 2
        else:
            if second < ZERO or second > NINE or (word >> 16) & 255 != EQUALS:
                return 0
            tag = tag * 10 + second - ZERO
            value = at + 3
        if word & 255 <= ZERO or word & 255 > NINE or tag >= SLOT_OF_TAG.size:
            return 0
        slot = SLOT_OF_TAG[tag]
        if slot == NIL or (seen >> slot) & 1 == 1:
            return 0
        if slot > LAST_HEADER_SLOT:
            in_body = True
        elif in_body:
            return 0
        at = value
        run = plain_run(load_word(buffer, at))
        while run == 8:
            at += 8
            run = plain_run(load_word(buffer, at))
        at += run
        if at == value or at >= end or buffer[at] != SOH:
            return 0
        spots[first + 2 * slot], spots[first + 2 * slot + 1] = value, at
        seen |= 1 << slot
        at += 1
    return seen


@kernel
def read_uint(buffer, begin, end):
    """A number of one to fifteen digits without leading zero, -1 for anything else."""
    if end - begin > 15 or end == begin or buffer[begin] == ZERO:
        return np.int64(-1)
    value = np.int64(0)
    for i in range(begin, end):
        if buffer[i] < ZERO or buffer[i] > NINE:
            return np.int64(-1)
        value = value * 10 + np.int64(buffer[i]) - ZERO
    return value


@kernel
def read_decimal(buffer, begin, end, decimals):
    """A positive number with at most `decimals` decimals as a count of 10**-decimals, -1 for anything else or longer than
    15 bytes.
    """
    if end - begin > 15 or end == begin:
        return np.int64(-1)
    value = np.int64(0)
    behind = -1
    digits = 0
    for i in range(begin, end):
        if buffer[i] == POINT:
            if behind >= 0:
                return np.int64(-1)
            behind = 0
        elif buffer[i] < ZERO or buffer[i] > NINE:
            return np.int64(-1)
        else:
            value = value * 10 + np.int64(buffer[i]) - ZERO
            digits += 1
            if behind >= 0:
                behind += 1
    behind = max(0, behind)
    if digits == 0 or behind > decimals or digits + decimals - behind > 17:
        return np.int64(-1)
    for _ in range(decimals - behind):
        value *= 10
    return value if value > 0 else np.int64(-1)


@kernel
def time_of_today(m, buffer, begin, end):
    """A UTCTimestamp of the date of the turn, as ns since midnight; -1 for another date or anything odd."""
    if not has_date_of(buffer, begin, end, m.tape[0]["stamp"]):
        return np.int64(-1)
    return time_of_day(buffer, begin, end)


@kernel
def is_plain_time(m, buffer, begin, end):
    """Is it a UTCTimestamp of today, of the peer's calendar or of the venue's? Others are looked at more closely elsewhere."""
    tape = m.tape[0]
    today = has_date_of(buffer, begin, end, tape["stamp"])
    if not today and (tape["driven"] == 0 or not has_date_of(buffer, begin, end, tape["venue_stamp"])):
        return False
    return time_of_day(buffer, begin, end) >= 0


@kernel
def has_date_of(buffer, begin, end, stamp):
    """Is this as long as a UTCTimestamp may be, and does it begin with the date of `stamp`?"""
    length = end - begin
    if length != 17 and length != 21 and length != 24 and length != 27:
        return False
    return load_word(buffer, begin) == load_word(stamp, 0) and buffer[begin + 8] == stamp[8]


@kernel
def time_of_day(buffer, begin, end):
    """The time in a UTCTimestamp whose date and length are known to be good, as ns since midnight; -1 for anything odd."""
    length = end - begin
    digits = load_word(buffer, begin + 9) ^ MIDNIGHT  # HH:MM:SS is a word: digits become their values, colons nothing
    if ((digits + ABOVE_NINE) | digits) & HIGH_BITS != 0 or digits & COLONS != 0:
        return np.int64(-1)
    hour = (digits & 15) * 10 + ((digits >> 8) & 15)
    minute = ((digits >> 24) & 15) * 10 + ((digits >> 32) & 15)
    second = ((digits >> 48) & 15) * 10 + ((digits >> 56) & 15)
    if hour > 23 or minute > 59 or second > 59:
        return np.int64(-1)
    fraction = np.int64(0)
    if length > 17:
        if buffer[begin + 17] != POINT:
            return np.int64(-1)
        for i in range(begin + 18, end):
            if buffer[i] < ZERO or buffer[i] > NINE:
                return np.int64(-1)
            fraction = fraction * 10 + np.int64(buffer[i]) - ZERO
        for _ in range(27 - length):
            fraction *= 10
    return ((hour * 60 + minute) * 60 + second) * np.int64(1_000_000_000) + fraction
