"""CRC32C over whole words, as the seal of a batch has it.

A processor begins a step each cycle but needs three to finish one, and each step waits for the one before. So long stretches
are three lanes that are gone through side by side; they are put together by what so many zeros would have made of the first.
"""

import numpy as np

from fixsim.engine.jit import kernel, leaf
from fixsim.engine.words import CRC_TABLE, crc_word, load_word

MASK_32 = 0xFFFFFFFF
#: Bytes of a lane.
LANE_BYTES = 512


def _behind_a_lane() -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """What a lane of zeros makes of a register, for each value of each of its bytes: the whole is their sum, without carry."""
    single = []
    for bit in range(32):
        register = 1 << bit
        for _ in range(LANE_BYTES):
            register = CRC_TABLE[register & 255] ^ (register >> 8)
        single.append(register)
    table = np.zeros(4 * 256, np.int64)
    for byte in range(4):
        for bit in range(8):
            has = (np.arange(256) >> bit) & 1 == 1
            table[256 * byte : 256 * byte + 256][has] ^= single[8 * byte + bit]
    return table


BEHIND_A_LANE = _behind_a_lane()


@leaf
def behind_a_lane(crc):
    """The register after LANE_BYTES zeros."""
    first = BEHIND_A_LANE[crc & 255] ^ BEHIND_A_LANE[256 + ((crc >> 8) & 255)]
    return first ^ BEHIND_A_LANE[512 + ((crc >> 16) & 255)] ^ BEHIND_A_LANE[768 + ((crc >> 24) & 255)]


@kernel
def crc32c(octets, length):
    """CRC32C of the first `length` bytes, a multiple of eight."""
    return crc32c_between(octets, 0, length)


@kernel
def crc32c_between(octets, begin, end):
    """CRC32C of the bytes from `begin` to `end`, a multiple of eight."""
    crc = np.int64(MASK_32)
    at = np.int64(begin)
    while end - at >= 3 * LANE_BYTES:
        second, third = np.int64(0), np.int64(0)
        for place in range(at, at + LANE_BYTES, 8):
            crc = crc_word(crc, load_word(octets, place))
            second = crc_word(second, load_word(octets, place + LANE_BYTES))
            third = crc_word(third, load_word(octets, place + 2 * LANE_BYTES))
        crc = behind_a_lane(behind_a_lane(crc) ^ second) ^ third
        at += 3 * LANE_BYTES
    for place in range(at, end, 8):
        crc = crc_word(crc, load_word(octets, place))
    return crc ^ MASK_32
