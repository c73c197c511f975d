"""Bytes into a buffer: the only text the kernels can write. Each `put_*` returns the offset behind what it wrote.

A number is eight digits in one word: three multiplications, and one store that may write bytes of no meaning behind its end,
where the next field follows.
"""

from fixsim.engine.jit import leaf
from fixsim.engine.words import copy_bytes, load_word, quotient, store_word, trailing_zeros

SOH = 1
POINT = 46
ASCII_ZEROS = 0x3030303030303030
EVEN_BYTES = 0x00FF00FF00FF00FF
#: Numbers below it have at most eight digits.
EIGHT_DIGITS = 100_000_000


def tag_word(tag):
    """`tag=` as the first bytes of a word, and how many they are."""
    text = b"%d=" % tag
    return int.from_bytes(text, "little"), len(text)


@leaf
def put_bytes(buffer, at, text, begin, length):
    """Copy `length` bytes of `text` from `begin`."""
    copy_bytes(buffer, at, text, begin, length)
    return at + length


@leaf
def put_tag(buffer, at, tag):
    """Write `tag`, made by `tag_word`."""
    store_word(buffer, at, tag[0])
    return at + tag[1]


@leaf
def digits_of(value):
    """The eight decimal digits of a number below EIGHT_DIGITS, as ASCII in a word, most significant first.

    Two halves of four digits, four pairs of two, eight of one: each division is a multiplication with the reciprocal, exact for
    the values it meets (as in Paul Khuong's "How to print integers really fast", 2017).
    """
    high = quotient(value, 10_000)
    halves = high | ((value - high * 10_000) << 32)
    hundreds = ((halves * 10_486) >> 20) & 0x0000007F0000007F
    pairs = hundreds | ((halves - hundreds * 100) << 16)
    tens = ((pairs * 103) >> 10) & 0x000F000F000F000F
    return (tens | ((pairs - tens * 10) << 8)) | ASCII_ZEROS


@leaf
def leading_zeros(digits):
    """How many of eight digits are zeros in front of the first that is not."""
    return trailing_zeros(digits ^ ASCII_ZEROS) >> 3


@leaf
def put_uint(buffer, at, value):
    """Write a non-negative integer."""
    if value < EIGHT_DIGITS:
        digits = digits_of(value)
        spare = min(7, leading_zeros(digits))
        store_word(buffer, at, digits >> (8 * spare))
        return at + 8 - spare
    rest = quotient(value, EIGHT_DIGITS)
    last = value - rest * EIGHT_DIGITS
    if rest >= EIGHT_DIGITS:
        first = quotient(rest, EIGHT_DIGITS)
        spare = min(7, leading_zeros(digits_of(first)))
        store_word(buffer, at, digits_of(first) >> (8 * spare))
        at += 8 - spare
        store_word(buffer, at, digits_of(rest - first * EIGHT_DIGITS))
        at += 8
    else:
        spare = min(7, leading_zeros(digits_of(rest)))
        store_word(buffer, at, digits_of(rest) >> (8 * spare))
        at += 8 - spare
    store_word(buffer, at, digits_of(last))
    return at + 8


@leaf
def put_padded(buffer, at, value, width):
    """Write `value` with leading zeros to `width` digits."""
    rest = value
    for i in range(width - 1, -1, -1):
        shorter = quotient(rest, 10)
        buffer[at + i] = 48 + (rest - shorter * 10)
        rest = shorter
    return at + width


@leaf
def put_decimal(buffer, at, value, decimals):
    """Write a non-negative count of 10**-decimals with exactly that many decimals."""
    if decimals == 0:
        return put_uint(buffer, at, value)
    if value < EIGHT_DIGITS and decimals < 8:
        digits = digits_of(value)
        spare = min(7 - decimals, leading_zeros(digits))
        digits >>= 8 * spare
        whole = 8 - spare - decimals
        store_word(buffer, at, digits)
        buffer[at + whole] = POINT
        store_word(buffer, at + whole + 1, digits >> (8 * whole))
        return at + 9 - spare
    scale = 1
    for _ in range(decimals):
        scale *= 10
    whole = quotient(value, scale)
    at = put_uint(buffer, at, whole)
    buffer[at] = POINT
    return put_padded(buffer, at + 1, value - whole * scale, decimals)


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
def low_bytes(word, count):
    """The first `count` bytes of a word, zeros behind them."""
    return word if count >= 8 else word & ((1 << (8 * count)) - 1)


@leaf
def lanes_of(word):
    """The bytes of a word as four sums of two, 16 bits each."""
    return (word & EVEN_BYTES) + ((word >> 8) & EVEN_BYTES)


@leaf
def byte_sum(buffer, begin, end):
    """Sum of the bytes from `begin` to `end`, for CheckSum(10): four sums of 16 bits in a word, good for a KiB.

    Four words at a time: a frame is too short for the sixteen or more that a compiler would take together by itself.
    """
    total = 0
    at = begin
    while at < end:
        stop = min(end, at + 1024)
        lanes = 0
        while at + 32 <= stop:
            one = lanes_of(load_word(buffer, at)) + lanes_of(load_word(buffer, at + 8))
            lanes += one + (lanes_of(load_word(buffer, at + 16)) + lanes_of(load_word(buffer, at + 24)))
            at += 32
        while at < stop:
            lanes += lanes_of(low_bytes(load_word(buffer, at), stop - at))
            at = min(stop, at + 8)
        total += (lanes & 0xFFFF) + ((lanes >> 16) & 0xFFFF) + ((lanes >> 32) & 0xFFFF) + ((lanes >> 48) & 0xFFFF)
    return total
