"""Orders that were accepted a moment ago, so that an equal one can be refused: a ring of their terms, found by a hash.

The newest row of a hash leads to the one before it. Rows that the ring has written over are older than all that are left, so a
walk ends there; most walks do not begin, as everything with that hash is out of date.
"""

import numpy as np

from fixsim.engine.index import HASH_PRIME, MASK_31, MASK_32
from fixsim.engine.jit import leaf
from fixsim.engine.parties import party_hash


@leaf
def terms_kind(side, ord_type, tif):
    """Side, type and time in force as one number."""
    return np.int64(side) | (np.int64(ord_type) << 8) | (np.int64(tif) << 16)


@leaf
def terms_hash(owner, book, kind, price, lots):
    """31 bits of an order's terms."""
    value = party_hash(owner, book, kind)
    value = ((value ^ (int(price) & MASK_32)) * HASH_PRIME + (int(price) >> 32)) & MASK_32
    value ^= value >> 15
    value = ((value ^ (int(lots) & MASK_32)) * HASH_PRIME) & MASK_32
    value ^= value >> 13
    return value & MASK_31


@leaf
def find_duplicate(m, owner, book, kind, price, lots, now_ns):
    """Was an order with these terms accepted from `owner` so lately that another may not follow?"""
    place = 2 * (terms_hash(owner, book, kind, price, lots) & (m.duplicates.size - 1))
    if m.duplicate_index[place + 1] <= now_ns:
        return False  # whatever has this hash is out of date: nearly always
    newest = np.int64(m.core[0]["duplicates"])
    at = np.int64(m.duplicate_index[place])
    # rows are counted from 1; those that the ring has written over are older than all that are left
    while at > 0 and at > newest - m.duplicates.size:
        row = m.duplicates[(at - 1) & (m.duplicates.size - 1)]
        same = row["owner"] == owner and row["book"] == book and row["kind"] == kind
        if same and row["price"] == price and row["lots"] == lots:
            return row["until_ns"] > now_ns
        at = np.int64(row["before"])
    return False


@leaf
def has_duplicate_room(m, behind, now_ns):
    """Could another order be remembered, `behind` so many others? What would be written over has to be out of date."""
    number = np.int64(m.core[0]["duplicates"]) + behind
    return number < m.duplicates.size or m.duplicates[number & (m.duplicates.size - 1)]["until_ns"] <= now_ns


@leaf
def remember_terms(m, owner, book, kind, price, lots, now_ns):
    """An order with these terms is accepted."""
    core = m.core[0]
    number = np.int64(core["duplicates"]) + 1
    core["duplicates"] = number
    place = 2 * (terms_hash(owner, book, kind, price, lots) & (m.duplicates.size - 1))
    row = m.duplicates[(number - 1) & (m.duplicates.size - 1)]
    until_ns = now_ns + np.int64(m.owners[owner]["duplicate_ns"])
    row["time_ns"], row["until_ns"] = now_ns, until_ns
    row["price"], row["lots"], row["kind"], row["owner"], row["book"] = price, lots, kind, owner, book
    row["before"] = m.duplicate_index[place]
    m.duplicate_index[place] = number
    m.duplicate_index[place + 1] = max(until_ns, np.int64(m.duplicate_index[place + 1]))
