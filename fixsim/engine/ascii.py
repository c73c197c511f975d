"""Bytes into a buffer: the only text the kernels can write. Each `put_*` returns the offset behind what it wrote."""

import numpy as np

from fixsim.engine.jit import leaf

SOH = 1


@leaf
def put_bytes(buffer, at, text, begin, length):
    """Copy `length` bytes of `text` from `begin`."""
    for i in range(length):
        buffer[at + i] = text[begin + i]
    return at + length


@leaf
def put_tag(buffer, at, tag):
    """Write `tag=`."""
    at = put_uint(buffer, at, tag)
    buffer[at] = 61
    return at + 1


@leaf
def put_uint(buffer, at, value):
    """Write a non-negative integer."""
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    rest = value
    for i in range(digits - 1, -1, -1):
        buffer[at + i] = 48 + rest % 10
        rest //= 10
    return at + digits


@leaf
def put_padded(buffer, at, value, width):
    """Write `value` with leading zeros to `width` digits."""
    rest = value
    for i in range(width - 1, -1, -1):
        buffer[at + i] = 48 + rest % 10
        rest //= 10
    return at + width


@leaf
def put_decimal(buffer, at, value, decimals):
    """Write a non-negative count of 10**-decimals with exactly that many decimals."""
    if decimals == 0:
        return put_uint(buffer, at, value)
    scale = 1
    for _ in range(decimals):
        scale *= 10
    at = put_uint(buffer, at, value // scale)
    buffer[at] = 46
    return put_padded(buffer, at + 1, value % scale, decimals)


@leaf
def put_char_field(buffer, at, tag, value):
    """Write `tag=c` and SOH, `value` being the code of one ASCII character."""
    at = put_tag(buffer, at, tag)
    buffer[at] = value
    buffer[at + 1] = SOH
    return at + 2


@leaf
def put_uint_field(buffer, at, tag, value):
    """Write `tag=value` and SOH."""
    at = put_uint(buffer, put_tag(buffer, at, tag), value)
    buffer[at] = SOH
    return at + 1


@leaf
def put_decimal_field(buffer, at, tag, value, decimals):
    """Write `tag=value` with decimals, and SOH."""
    at = put_decimal(buffer, put_tag(buffer, at, tag), value, decimals)
    buffer[at] = SOH
    return at + 1


@leaf
def put_text_field(buffer, at, tag, text, begin, length):
    """Write `tag=text` and SOH."""
    at = put_bytes(buffer, put_tag(buffer, at, tag), text, begin, length)
    buffer[at] = SOH
    return at + 1


@leaf
def byte_sum(buffer, begin, end):
    """Sum of the bytes from `begin` to `end`, for CheckSum(10)."""
    total = 0
    for i in range(begin, end):
        total += np.int64(buffer[i])
    return total
