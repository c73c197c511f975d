"""ExecutionReport(8), rendered once, straight behind its journal record.

Field order is spec/rules-of-engagement.md's. The same kernel serves both doors and both sides of a trade; refusals are rare and
are rendered in plain Python (`fixsim.exchange.answers`).
"""

import numpy as np

from fixsim.engine.ascii import (
    byte_sum,
    put_bytes,
    put_char_field,
    put_decimal_field,
    put_padded,
    put_tag,
    put_text_field,
    put_uint_field,
    tag_word,
)
from fixsim.engine.index import put_name
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.tape import put_said
from fixsim.engine.words import store_word
from fixsim.layout import NIL, PARKED, Kind
from fixsim.limits import RECORD_HEADER_BYTES

BEGIN = b"8=FIX.4.4\x019=000\x0135=8\x01"
BEGIN_WORDS = tuple(int.from_bytes(BEGIN[i : i + 8], "little") for i in range(0, len(BEGIN), 8))
#: Where BodyLength's three digits and the first byte it counts lie in a frame.
LENGTH_AT = 12
BODY_AT = 16
SOH = 1
#: Tags as they are written.
T6, T10, T11, T14, T17, T31, T32, T34, T37, T38, T39, T40, T41, T44, T52, T54, T55, T59, T60, T150, T151, T369, T527, T851 = (
    tag_word(tag)
    for tag in (6, 10, 11, 14, 17, 31, 32, 34, 37, 38, 39, 40, 41, 44, 52, 54, 55, 59, 60, 150, 151, 369, 527, 851)
)
T378, T636 = tag_word(378), tag_word(636)
OUT = Kind.OUT
MSG_TYPE_8 = 0x38
INT_MAX = (1 << 63) - 1
MARKET = 0x31
TRADE, RESTATED = 0x46, 0x44
YES, NO = 0x59, 0x4E


@leaf
def share_of(part, scale, whole):
    """`part` x `scale` divided by `whole`, and what is left; `part` is below `whole`, which is at most 2**62."""
    if part == 0:
        return np.int64(0), np.int64(0)
    if part <= INT_MAX // scale:
        return part * scale // whole, part * scale % whole
    count, left = np.int64(0), np.int64(0)  # the product is beyond 64 bits: one bit of `scale` after the other
    for place in range(62, -1, -1):
        count, left = 2 * count, 2 * left
        if left >= whole:
            count, left = count + 1, left - whole
        if (scale >> place) & 1 == 1:
            left -= whole - part
            if left < 0:
                left += whole
            else:
                count += 1
    return count, left


@leaf
def average_price(notional, cum, tick_mantissa, price_decimals, avg_px_decimals):
    """AvgPx(6) of `cum` lots bought for `notional` ticks x lots, as a count of 10**-avg_px_decimals, rounded half-even."""
    scale = np.int64(tick_mantissa)
    lots = np.int64(cum)
    for _ in range(avg_px_decimals - price_decimals):
        scale *= 10
    for _ in range(price_decimals - avg_px_decimals):
        lots *= 10
    value = (notional // lots) * scale
    whole, left = share_of(notional % lots, scale, lots)
    value += whole
    twice = 2 * left
    if twice > lots or (twice == lots and value & 1 == 1):
        value += 1
    return value


@leaf
def put_average(m, at, order, book):
    """Write AvgPx(6): a bare 0 as long as nothing has traded."""
    if order["cum"] == 0:
        return put_uint_field(m.batch, at, T6, 0)
    decimals = np.int64(m.core[0]["avg_px_decimals"])
    value = average_price(
        np.int64(order["notional"]), np.int64(order["cum"]), np.int64(book["tick_mantissa"]),
        np.int64(book["price_decimals"]), decimals,
    )
    return put_decimal_field(m.batch, at, T6, value, decimals)


@leaf
def close_frame(m, start, at):
    """Fill BodyLength(9) of the frame at `start` whose body ends at `at`, add CheckSum(10); return (end, moved).

    A body of 1,000 bytes or more moves up by one to make room for the fourth digit; `moved` is that one or 0.
    """
    batch = m.batch
    length = at - (start + BODY_AT)
    moved = 0
    if length < 1000:
        put_padded(batch, start + LENGTH_AT, length, 3)
    else:
        for i in range(at - 1, start + BODY_AT - 2, -1):
            batch[i + 1] = batch[i]
        put_padded(batch, start + LENGTH_AT, length, 4)
        at += 1
        moved = 1
    total = byte_sum(batch, start, at)
    at = put_tag(batch, at, T10)
    at = put_padded(batch, at, total & 255, 3)
    batch[at] = SOH
    return at + 1, moved


@leaf
def put_header(m, start, session, route):
    """Begin a report of SESSION row `session`.

    8 9 35 49 56 34 52, routing of ECHO row `route`, 369; return the offset behind it.
    """
    batch = m.batch
    tape = m.tape[0]
    row = m.sessions[session]
    store_word(batch, start, BEGIN_WORDS[0])
    store_word(batch, start + 8, BEGIN_WORDS[1])
    store_word(batch, start + 16, BEGIN_WORDS[2])
    at = start + len(BEGIN)
    at = put_bytes(batch, at, row["comp_ids"], 0, np.int64(row["comp_ids_length"]))
    at = put_uint_field(batch, at, T34, np.int64(row["next_out"]))
    at = put_text_field(batch, at, T52, tape["stamp"], 0, np.int64(tape["stamp_length"]))
    if route != NIL:
        at = put_bytes(batch, at, m.echoes[route]["text"], 0, np.int64(m.echoes[route]["split"]))
    if row["tells_processed"] != 0:
        at = put_uint_field(batch, at, T369, max(0, np.int64(row["next_in"]) - 1))
    return at


@leaf
def put_terms(m, at, order, book):
    """Write what the order asks for: account, 55, 54, 38, 40, 44, 59."""
    batch = m.batch
    echo = np.int64(order["echo"])
    if echo != NIL:
        split = np.int64(m.echoes[echo]["split"])
        at = put_bytes(batch, at, m.echoes[echo]["text"], split, np.int64(m.echoes[echo]["length"]) - split)
    at = put_text_field(batch, at, T55, book["symbol"], 0, np.int64(book["symbol_length"]))
    at = put_char_field(batch, at, T54, order["side"])
    lot, decimals = np.int64(book["lot_mantissa"]), np.int64(book["qty_decimals"])
    at = put_decimal_field(batch, at, T38, np.int64(order["qty"]) * lot, decimals)
    at = put_char_field(batch, at, T40, order["ord_type"])
    if order["ord_type"] != MARKET:
        at = put_price(m, at, T44, np.int64(order["price"]), book)
    return put_char_field(batch, at, T59, order["tif"])


@leaf
def put_price(m, at, tag, price, book):
    """Write `price` ticks of `book` as field `tag`."""
    return put_decimal_field(
        m.batch, at, tag, price * np.int64(book["tick_mantissa"]), np.int64(book["price_decimals"])
    )


@leaf
def put_progress(m, at, order, book):
    """Write 151, 14 and 6, and TransactTime(60)."""
    batch = m.batch
    tape = m.tape[0]
    lot, decimals = np.int64(book["lot_mantissa"]), np.int64(book["qty_decimals"])
    at = put_decimal_field(batch, at, T151, np.int64(order["leaves"]) * lot, decimals)
    at = put_decimal_field(batch, at, T14, np.int64(order["cum"]) * lot, decimals)
    at = put_average(m, at, order, book)
    length = np.int64(tape["stamp_length"])
    if tape["driven"] != 0:
        return put_text_field(batch, at, T60, tape["venue_stamp"], 0, length)
    return put_text_field(batch, at, T60, tape["stamp"], 0, length)


@leaf
def put_name_field(m, at, tag, name):
    """Write NAME row `name` as field `tag`."""
    at = put_name(m, m.batch, put_tag(m.batch, at, tag), name)
    m.batch[at] = SOH
    return at + 1


@kernel
def report(m, slot, exec_type, name, orig, route, lots, price, liquidity):
    """Say ExecutionReport(8) about ORDER row `slot`, as it now is, to its owner; routing is that of ECHO row `route`.

    `name` is the NAME row of ClOrdID(11), `orig` that of OrigClOrdID(41) or NIL; `lots`, `price` and `liquidity` (851, as
    ASCII, 0 for an auction) describe the execution when ExecType(150) is Trade, whose match id is the core's last. Where the
    core has a restatement reason it is said; WorkingIndicator(636) is while the order waits outside of the book, and when it
    comes back.
    """
    batch = m.batch
    order = m.orders[slot]
    book = m.books[np.int64(order["book"])]
    core = m.core[0]
    core["exec_id"] += 1
    session = np.int64(order["session"])
    start = np.int64(m.tape[0]["used"]) + RECORD_HEADER_BYTES
    at = put_header(m, start, session, route)
    at_order = at + 3
    at = put_uint_field(batch, at, T37, np.int64(order["order_id"]))
    at_name = at + 3
    at = put_name_field(m, at, T11, name)
    if orig != NIL:
        at = put_name_field(m, at, T41, orig)
    at_exec = at + 3
    at = put_uint_field(batch, at, T17, np.int64(core["exec_id"]))
    at = put_char_field(batch, at, T150, exec_type)
    at = put_char_field(batch, at, T39, order["status"])
    if core["restatement"] != 0:
        at = put_uint_field(batch, at, T378, np.int64(core["restatement"]))
    if order["level"] == PARKED:
        at = put_char_field(batch, at, T636, NO)
    elif exec_type == RESTATED:
        at = put_char_field(batch, at, T636, YES)
    at_terms = at
    at = put_terms(m, at, order, book)
    echo = np.int64(order["echo"])
    at_symbol = at_terms + 3
    if echo != NIL:
        at_symbol += np.int64(m.echoes[echo]["length"]) - np.int64(m.echoes[echo]["split"])
    if exec_type == TRADE:
        lot = np.int64(book["lot_mantissa"])
        at = put_decimal_field(batch, at, T32, lots * lot, np.int64(book["qty_decimals"]))
        at = put_price(m, at, T31, price, book)
    at = put_progress(m, at, order, book)
    if exec_type == TRADE:
        at = put_uint_field(batch, at, T527, np.int64(core["match_id"]))
        if liquidity != 0:
            at = put_char_field(batch, at, T851, liquidity)
    end, moved = close_frame(m, start, at)
    shift = moved - start
    first = MSG_TYPE_8 | ((at_name + shift) << 16) | ((at_order + shift) << 32) | ((at_exec + shift) << 48)
    put_said(m, session, OUT, end - start, (first, at_symbol + shift))
