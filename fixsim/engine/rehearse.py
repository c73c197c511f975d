"""Records carried out again: what the fast door took when they were written it takes once more, from where the journal lies.

A batch is walked from its first record on; OUT records are what must come of it, and are compared as a whole. Everything that
is not for the fast door is left as it is: `exchange.recovery` carries it out in plain Python and comes back.
"""

from fixsim.engine.ahead import D, F, G, understand
from fixsim.engine.batch import SLOW, take_frame
from fixsim.engine.book import HELD, MORE
from fixsim.engine.checksum import MASK_32
from fixsim.engine.jit import kernel
from fixsim.engine.seals import SEALED_BYTES, crc_of_seal, kind_of, record_bytes, seal_behind
from fixsim.engine.tape import NS_PER_DAY, has_tape_room, open_batch, seal_times, set_time
from fixsim.engine.words import as_array, load_word, quotient
from fixsim.layout import NEVER, NIL, Kind
from fixsim.limits import RECORD_HEADER_BYTES

#: Why `walk` and `rehearse` stopped.
ENDED = 0  # nothing is left of the batch; or no further batch is plainly whole, or may be begun
PLAIN = 1  # the next record, or the end of the batch, is for plain Python
LARGE = 2  # an order goes on in the next batch
BREAK = 3  # a breaker must look before anything else happens

IN, OUT, RESEND = Kind.IN, Kind.OUT, Kind.RESEND
#: Bytes that may be read behind a frame.
SLACK = 8


@kernel
def row_of(m, r, link):
    """SESSION row of a connection whose conversation is in step, NIL for another or where it is not known."""
    session = r.rows[link & (r.rows.size - 1)]
    row = m.sessions[session]
    return session if link != 0 and row["link"] == link and row["fast"] != 0 else NIL


@kernel
def turn_to(m, now_ns, digits):
    """Make `now_ns` the time of the turn; False where that takes another date."""
    tape = m.tape[0]
    if now_ns == tape["now_ns"]:
        return True
    if quotient(now_ns, NS_PER_DAY) != quotient(tape["now_ns"], NS_PER_DAY):
        return False
    if tape["stamp_length"] != (17 if digits == 0 else 18 + digits):
        return False
    set_time(m, now_ns, digits)
    return True


@kernel
def take_record(m, r, octets, at):
    """Carry out the IN record at `at`; as `take_frame`."""
    track = r.track[0]
    msg_type = load_word(octets, at + 48) & 0xFFFF
    if msg_type != D and msg_type != F and msg_type != G:
        return SLOW
    session = row_of(m, r, (load_word(octets, at + 56) >> 16) & MASK_32)
    begin = at + RECORD_HEADER_BYTES
    end = begin + ((load_word(octets, at) >> 32) & MASK_32)
    if session == NIL or end + SLACK > track["size"] or not has_tape_room(m):
        return SLOW
    if not understand(m, session, octets, begin, end, track["max_length"], 0) or m.frames[0]["end"] != end:
        return SLOW
    now_ns = load_word(octets, at + 16)
    if not turn_to(m, now_ns, track["digits"]):
        return SLOW
    done = take_frame(m, session, octets, begin, 0, track["tolerance_ns"])
    if done != SLOW:
        m.sessions[session]["heard_ns"] = now_ns
        track["inbound"] += 1
    return done


@kernel
def walk(m, r):
    """Carry out the records of the batch from `at` to `end`, as far as the fast door goes; why it stopped."""
    track = r.track[0]
    octets = as_array(r.octets)
    at, end = track["at"], track["end"]
    why = ENDED
    while at < end and why == ENDED:
        word = load_word(octets, at)
        kind = kind_of(word)
        if kind == IN:
            done = take_record(m, r, octets, at)
            if done == SLOW:
                why = PLAIN
                break
            if done == 10 + MORE:
                why = LARGE
            elif done == 10 + HELD or m.core[0]["alarm"] != 0:
                why = BREAK
        elif kind != OUT and kind != RESEND:
            why = PLAIN
            break
        at += record_bytes(word)
    track["at"] = at
    return why


@kernel
def is_within(r, begin, end):
    """Are all inbound records from `begin` to `end` to be carried out?"""
    track = r.track[0]
    if track["last_ns"] == NEVER and track["last_position"] >= track["first"] + end:
        return True
    at = begin
    while at < end:
        word = load_word(r.octets, at)
        kind = kind_of(word)
        if kind != OUT and kind != RESEND:
            if load_word(r.octets, at + 8) > track["last_position"] or load_word(r.octets, at + 16) > track["last_ns"]:
                return False
        at += record_bytes(word)
    return True


@kernel
def is_same(m, r):
    """Does the batch that was written hold the bytes of the one that was recorded?"""
    begin = r.track[0]["begin"]
    length = r.track[0]["end"] - begin
    if m.tape[0]["used"] != length:
        return False
    for at in range(0, length, 8):
        if load_word(m.batch, at) != load_word(r.octets, begin + at):
            return False
    return True


@kernel
def rehearse(m, r):
    """Carry out one whole batch after the other, as far as the fast door goes and all is as it was; why it stopped.

    No batch is open before, and `begin` tells whether one is afterwards: then it is plain Python's, from `at` on.
    """
    track, tape = r.track[0], m.tape[0]
    track["begin"] = NIL
    while track["inbound"] < track["pause"]:
        begin = track["at"]
        seal = seal_behind(r, begin, track["crc"])
        if seal == NIL or not is_within(r, begin, seal):
            break
        track["begin"], track["end"] = begin, seal
        open_batch(m, track["first"] + begin)
        why = walk(m, r)
        if why != ENDED:
            return why
        if not is_same(m, r):
            return PLAIN
        seal_times(m)
        track["compared"] += tape["count"]
        tape["used"] = 0
        track["begin"], track["at"], track["crc"] = NIL, seal + SEALED_BYTES, crc_of_seal(r, seal)
    return ENDED
