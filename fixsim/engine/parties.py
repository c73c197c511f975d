"""Who answers for an order: PARTY rows by session, account and instrument, in an index with open addressing."""

import numpy as np

from fixsim.engine.index import HASH_PRIME, MASK_31, MASK_32
from fixsim.engine.jit import kernel, leaf
from fixsim.layout import NIL

#: What `find_party` says when there is no row yet: the slow door makes one.
UNKNOWN = -2


@leaf
def party_hash(session, account, book):
    """31 bits of a PARTY row's key."""
    value = ((int(session) + 1) * HASH_PRIME + (int(account) + 1)) & MASK_32
    value ^= value >> 15
    value = (value * HASH_PRIME + int(book)) & MASK_32
    value ^= value >> 13
    return value & MASK_31


@leaf
def find_party(m, session, echo, book):
    """PARTY row of a session, an account and an instrument; NIL when no limit looks at it, UNKNOWN when there is none yet."""
    owner = np.int64(m.sessions[session]["risk"])
    if owner == NIL:
        return np.int64(NIL)
    account = np.int64(NIL)
    if echo != NIL:
        account = np.int64(m.echoes[echo]["account"])
    mask = m.party_index.size - 1
    at = party_hash(owner, account, book) & mask
    while m.party_index[at] != 0:
        party = np.int64(m.party_index[at]) - 1
        row = m.parties[party]
        if row["session"] == owner and row["account"] == account and row["book"] == book:
            return np.int64(NIL) if row["idle"] != 0 else party
        at = (at + 1) & mask
    return np.int64(UNKNOWN)


@kernel
def index_party(m, party):
    """Enter PARTY row `party`, whose key is new."""
    row = m.parties[party]
    mask = m.party_index.size - 1
    at = party_hash(row["session"], row["account"], row["book"]) & mask
    while m.party_index[at] != 0:
        at = (at + 1) & mask
    m.party_index[at] = party + 1
