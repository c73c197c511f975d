"""ClOrdIDs by session and text: open addressing with linear probing, deletion by shifting back, so that nothing ever rehashes.

Ids that differ in the last character only, as those that are counted do, lie side by side: one cache line has sixteen places.
An entry is a NAME row + 1 in the bits that choose a place, and above them those of the hash: a row is read only where they
agree.

A text of up to 64 bytes lies in one NAME row or goes on in `more`. Ids that no longer name an open order wait in a queue per
session and the oldest leaves when the queue is longer than the memory asked for.
"""

import numpy as np

from fixsim.engine.ascii import low_bytes
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.words import copy_bytes, load_word, send_for
from fixsim.layout import NAME_TEXT_BYTES, NIL

HASH_SEED = 2166136261
HASH_PRIME = 0x9E3779B1
MASK_32 = 0xFFFFFFFF
MASK_31 = 0x7FFFFFFF
#: Places of a cache line of the index, less one.
NEAR = 15


@leaf
def text_hash(seed, text, begin, length):
    """31 bits of `seed` and the bytes: half a word at a time by multiplication, then the finish of MurmurHash3 (A. Appleby)."""
    length = int(length)
    value = ((HASH_SEED ^ int(seed)) * HASH_PRIME + length) & MASK_32
    done = 0
    while done < length:
        word = low_bytes(load_word(text, begin + done), length - done)
        value = ((value ^ (word & MASK_32)) * HASH_PRIME) & MASK_32
        value ^= value >> 15
        value = ((value ^ ((word >> 32) & MASK_32)) * HASH_PRIME) & MASK_32
        value ^= value >> 15
        done += 8
    value = (value * 0x85EBCA6B) & MASK_32
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & MASK_32
    return (value ^ (value >> 16)) & MASK_31


@leaf
def name_hash(session, text, begin, length):
    """Hash of a ClOrdID: the low bits of its last character are those of the hash, so that neighbours are neighbours."""
    last = np.int64(text[begin + length - 1])
    return (text_hash(session | ((last >> 4) << 16), text, begin, length - 1) & ~NEAR) | (last & NEAR)


@leaf
def same_bytes(one, at, other, begin, length):
    """Are the `length` bytes of `one` from `at` those of `other` from `begin`?"""
    done = 0
    while done + 8 <= length:
        if load_word(one, at + done) != load_word(other, begin + done):
            return False
        done += 8
    difference = load_word(one, at + done) ^ load_word(other, begin + done)
    return done == length or low_bytes(difference, length - done) == 0


@leaf
def name_equals(m, name, text, begin, length):
    """Is this the text of NAME row `name`?"""
    if np.int64(m.names[name]["length"]) != length:
        return False
    row = np.int64(name)
    done = 0
    while done < length:
        here = min(NAME_TEXT_BYTES, length - done)
        if not same_bytes(m.names[row]["text"], 0, text, begin + done, here):
            return False
        done += here
        row = np.int64(m.names[row]["more"])
    return True


@leaf
def put_name(m, buffer, at, name):
    """Write the text of NAME row `name`; return the offset behind it."""
    length = np.int64(m.names[name]["length"])
    row = np.int64(name)
    done = 0
    while done < length:
        here = min(NAME_TEXT_BYTES, length - done)
        copy_bytes(buffer, at + done, m.names[row]["text"], 0, here)
        done += here
        row = np.int64(m.names[row]["more"])
    return at + length


@kernel
def find_name(m, session, text, begin, length):
    """NAME row of this ClOrdID of this session, NIL if it was never seen or is forgotten."""
    return find_hashed(m, session, name_hash(session, text, begin, length), text, begin, length)


@kernel
def find_hashed(m, session, hashed, text, begin, length):
    """As `find_name`, where the `name_hash` of the id is known."""
    mask = m.name_index.size - 1
    at = hashed & mask
    while m.name_index[at] != 0:
        entry = np.int64(m.name_index[at])
        name = (entry & mask) - 1
        if (entry ^ hashed) & ~mask == 0 and m.names[name]["hash"] == hashed:
            order = m.names[name]["order"]
            if np.int64(m.orders[order]["session"]) == session and name_equals(m, name, text, begin, length):
                return np.int64(name)
        at = (at + 1) & mask
    return np.int64(NIL)


@leaf
def send_for_place(m, hashed):
    """Have the place of the index where an id of this `name_hash` would be on its way."""
    send_for(m.name_index, hashed & (m.name_index.size - 1))


@leaf
def likely_name(m, hashed):
    """NAME row of an id that has the same bits of the hash in the index; NIL for none."""
    mask = m.name_index.size - 1
    at = hashed & mask
    while m.name_index[at] != 0:
        entry = np.int64(m.name_index[at])
        if (entry ^ hashed) & ~mask == 0:
            return (entry & mask) - 1
        at = (at + 1) & mask
    return np.int64(NIL)


@leaf
def name_rows(length):
    """NAME rows a text of `length` bytes takes."""
    return max(1, (length + NAME_TEXT_BYTES - 1) // NAME_TEXT_BYTES)


@leaf
def has_name_room(m, length):
    """Is there room for another id of `length` bytes?"""
    return m.core[0]["names_used"] + name_rows(length) <= m.names.size


@leaf
def take_name_row(m):
    """An unused NAME row; the caller made sure there is one."""
    core = m.core[0]
    row = np.int64(core["names_free"])
    if row == NIL:
        row = np.int64(core["names_fresh"])
        core["names_fresh"] += 1
    else:
        core["names_free"] = m.names[row]["newer"]
    core["names_used"] += 1
    m.names[row]["newer"] = NIL
    m.names[row]["more"] = NIL
    return row


@kernel
def add_name(m, session, order, text, begin, length, request):
    """Enter a new ClOrdID that names `order`; return its row. The caller made sure of room and that it is new."""
    first = take_name_row(m)
    row = first
    done = 0
    while True:
        here = min(NAME_TEXT_BYTES, length - done)
        copy_bytes(m.names[row]["text"], 0, text, begin + done, here)
        done += here
        if done >= length:
            break
        more = take_name_row(m)
        m.names[row]["more"] = more
        row = more
    hashed = name_hash(session, text, begin, length)
    name = m.names[first]
    name["order"], name["hash"], name["length"], name["request"] = order, hashed, length, request
    m.orders[order]["names"] += 1
    mask = m.name_index.size - 1
    at = hashed & mask
    while m.name_index[at] != 0:
        at = (at + 1) & mask
    m.name_index[at] = (hashed & ~mask) | (first + 1)
    return first


@leaf
def unindex_name(m, name):
    """Take `name` out of the index, shifting later entries of its run back into the hole."""
    mask = m.name_index.size - 1
    at = np.int64(m.names[name]["hash"]) & mask
    while m.name_index[at] & mask != name + 1:
        at = (at + 1) & mask
    hole = at
    while True:
        at = (at + 1) & mask
        entry = m.name_index[at]
        if entry == 0:
            break
        home = np.int64(m.names[(entry & mask) - 1]["hash"]) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            m.name_index[hole] = entry
            hole = at
    m.name_index[hole] = 0


@kernel
def drop_name(m, name):
    """Forget `name` and give its rows back; return the order it named."""
    unindex_name(m, name)
    order = np.int64(m.names[name]["order"])
    m.orders[order]["names"] -= 1
    core = m.core[0]
    row = name
    while row != NIL:
        more = np.int64(m.names[row]["more"])
        m.names[row]["newer"] = core["names_free"]
        core["names_free"] = row
        core["names_used"] -= 1
        row = more
    return order
