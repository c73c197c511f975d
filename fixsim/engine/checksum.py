"""CRC32C over whole words, as the seal of a batch has it."""

from fixsim.engine.jit import kernel
from fixsim.engine.words import crc_word, load_word

MASK_32 = 0xFFFFFFFF


@kernel
def crc32c(octets, length):
    """CRC32C of the first `length` bytes, a multiple of eight."""
    return crc32c_between(octets, 0, length)


@kernel
def crc32c_between(octets, begin, end):
    """CRC32C of the bytes from `begin` to `end`, a multiple of eight."""
    crc = MASK_32
    for at in range(begin, end, 8):
        crc = crc_word(crc, load_word(octets, at))
    return crc ^ MASK_32
