"""Sealed batches in a stretch of a journal, checked as the journal's reader checks them.

Only what is in order is understood. Anything else, a clean end included, is left to the reader, which knows what it means.
"""

from fixsim.engine.checksum import MASK_32, crc32c_between
from fixsim.engine.jit import kernel
from fixsim.engine.words import load_word
from fixsim.layout import NIL, RECORD_MAGIC, SEAL, Kind
from fixsim.limits import RECORD_HEADER_BYTES

SEAL_KIND = Kind.SEAL
SEAL_BYTES = SEAL.itemsize
SEALED_BYTES = RECORD_HEADER_BYTES + SEAL_BYTES


@kernel
def record_bytes(word):
    """Bytes of a record with its padding; `word` is the first of its header."""
    return RECORD_HEADER_BYTES + ((((word >> 32) & MASK_32) + 7) & -8)


@kernel
def kind_of(word):
    """Kind of a record."""
    return (word >> 16) & 255


@kernel
def seal_fits(r, begin, at, count, crc):
    """Does the seal at `at` belong to `count` records from `begin` on, behind a seal whose CRC is `crc`?"""
    octets = r.octets
    told = load_word(octets, at + RECORD_HEADER_BYTES)
    if (load_word(octets, at) >> 32) & MASK_32 != SEAL_BYTES or told & MASK_32 != count:
        return False
    if load_word(octets, at + RECORD_HEADER_BYTES + 8) != crc:
        return False
    if load_word(octets, at + RECORD_HEADER_BYTES + 16) != r.track[0]["first"] + begin:
        return False
    return (told >> 32) & MASK_32 == crc32c_between(octets, begin, at + RECORD_HEADER_BYTES)


@kernel
def seal_behind(r, begin, crc):
    """Offset of the seal of the batch from `begin` on, behind a seal whose CRC is `crc`; NIL if it is not plainly whole."""
    first, size = r.track[0]["first"], r.track[0]["size"]
    at = begin
    count = 0
    while at + SEALED_BYTES <= size:
        word = load_word(r.octets, at)
        if word & 0xFFFF != RECORD_MAGIC or load_word(r.octets, at + 8) != first + at:
            break
        if kind_of(word) == SEAL_KIND:
            return at if count > 0 and seal_fits(r, begin, at, count, crc) else NIL
        at += record_bytes(word)
        count += 1
    return NIL


@kernel
def crc_of_seal(r, at):
    """The CRC that the seal at `at` tells."""
    return (load_word(r.octets, at + RECORD_HEADER_BYTES) >> 32) & MASK_32


@kernel
def skim(r):
    """Go on over whole batches, without looking into them."""
    row = r.track[0]
    at, crc = row["at"], row["crc"]
    seal = seal_behind(r, at, crc)
    while seal != NIL:
        at, crc = seal + SEALED_BYTES, crc_of_seal(r, seal)
        seal = seal_behind(r, at, crc)
    row["at"], row["crc"] = at, crc
