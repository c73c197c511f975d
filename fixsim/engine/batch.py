"""The fast door: NewOrderSingle(D), OrderCancelRequest(F) and OrderCancelReplaceRequest(G) from the buffer to the
books, one call for all frames that are ready.

It admits only what it fully understands and what will be accepted, and decides so before the first write. The first frame it
leaves is the slow door's, which gives the same answers to everything and has all the refusals (law 4).
"""

import numpy as np

from fixsim.engine import scan
from fixsim.engine.ascii import put_bytes
from fixsim.engine.book import HELD, MORE, cancel, enter, has_level_room, has_order_room, replace
from fixsim.engine.index import find_name, has_name_room, same_bytes
from fixsim.engine.jit import kernel, part
from fixsim.engine.levels import MARKET
from fixsim.engine.risk import admits_order, admits_replace, has_message_token, take_message_token
from fixsim.engine.symbols import find_book
from fixsim.engine.tape import has_tape_room, put_record
from fixsim.layout import NIL, Kind, Phase
from fixsim.limits import RECORD_HEADER_BYTES, TEXT_BYTES_MAX

#: Why `run_frames` stopped.
SLOW = 0  # what comes next is not for the fast door
FULL = 1  # the batch must be sealed first
LARGE = 2  # an order goes on in the next batch: seal this one, then `resume`
BREAK = 3  # a breaker must look before anything else happens, at `core.taker` first where there is one

IN = Kind.IN
CONTINUOUS = Phase.CONTINUOUS
NS_PER_DAY = 86_400_000_000_000
D, F, G = 68, 70, 71
DAY = 48
COMMON = (
    1 << scan.SENDER_COMP_ID | 1 << scan.TARGET_COMP_ID | 1 << scan.MSG_SEQ_NUM | 1 << scan.SENDING_TIME
    | 1 << scan.CL_ORD_ID | 1 << scan.SYMBOL | 1 << scan.SIDE | 1 << scan.TRANSACT_TIME
)  # fmt: skip
NEEDED_D = COMMON | 1 << scan.ORDER_QTY | 1 << scan.ORD_TYPE
NEEDED_F = COMMON | 1 << scan.ORIG_CL_ORD_ID
NEEDED_G = NEEDED_D | 1 << scan.ORIG_CL_ORD_ID
ALLOWED_D = NEEDED_D | 1 << scan.ACCOUNT | 1 << scan.PRICE | 1 << scan.TIME_IN_FORCE | 1 << scan.HANDL_INST
ALLOWED_F = NEEDED_F | 1 << scan.ACCOUNT | 1 << scan.ORDER_QTY
ALLOWED_G = ALLOWED_D | 1 << scan.ORIG_CL_ORD_ID


@kernel
def same_text(m, buffer, slot, text, begin, length):
    """Is the value in `slot` these bytes?"""
    at = m.spots[2 * slot]
    if m.spots[2 * slot + 1] - at != length:
        return False
    return same_bytes(buffer, at, text, begin, length)


@kernel
def char_of(m, buffer, slot):
    """The value in `slot` if it is one character, 0 otherwise."""
    at = m.spots[2 * slot]
    if m.spots[2 * slot + 1] - at != 1:
        return np.int64(0)
    return np.int64(buffer[at])


@kernel
def fits_kind(seen, msg_type):
    """Are all fields that are needed there, and no others than allowed?"""
    if msg_type == D:
        return seen & NEEDED_D == NEEDED_D and seen & ~ALLOWED_D == 0
    if msg_type == F:
        return seen & NEEDED_F == NEEDED_F and seen & ~ALLOWED_F == 0
    return seen & NEEDED_G == NEEDED_G and seen & ~ALLOWED_G == 0


@kernel
def fits_session(m, session, buffer, tolerance_ns):
    """CompIDs, MsgSeqNum(34) and SendingTime(52) as the conversation expects them, and a plain TransactTime(60)."""
    row = m.sessions[session]
    ours = np.int64(row["venue_length"])
    theirs = np.int64(row["comp_ids_length"]) - ours - 8
    if not same_text(m, buffer, scan.TARGET_COMP_ID, row["comp_ids"], 3, ours):
        return False
    if not same_text(m, buffer, scan.SENDER_COMP_ID, row["comp_ids"], ours + 7, theirs):
        return False
    spots = m.spots
    if scan.read_uint(buffer, spots[2 * scan.MSG_SEQ_NUM], spots[2 * scan.MSG_SEQ_NUM + 1]) != row["next_in"]:
        return False
    sent = scan.time_of_today(m, buffer, spots[2 * scan.SENDING_TIME], spots[2 * scan.SENDING_TIME + 1])
    now = np.int64(m.tape[0]["now_ns"]) % NS_PER_DAY
    if sent < 0 or (tolerance_ns > 0 and abs(sent - now) >= tolerance_ns):
        return False
    return scan.is_plain_time(m, buffer, spots[2 * scan.TRANSACT_TIME], spots[2 * scan.TRANSACT_TIME + 1])


@kernel
def read_lots(m, buffer, book):
    """OrderQty(38) in lots if it is good for `book`, -1 otherwise."""
    at = 2 * scan.ORDER_QTY
    value = scan.read_decimal(buffer, m.spots[at], m.spots[at + 1], np.int64(book["qty_decimals"]))
    lot = np.int64(book["lot_mantissa"])
    if value < 0 or value % lot != 0:
        return np.int64(-1)
    lots = value // lot
    if lots < book["min_lots"] or lots > book["max_lots"]:
        return np.int64(-1)
    return lots


@kernel
def read_price(m, buffer, seen, book):
    """Price(44) in ticks if it is good for `book` and OrdType(40), 0 for a market order, -1 otherwise."""
    kind = char_of(m, buffer, scan.ORD_TYPE)
    priced = (seen >> scan.PRICE) & 1 == 1
    if kind == MARKET:
        return np.int64(-1) if priced else np.int64(0)
    if kind != 50 or not priced:
        return np.int64(-1)
    at = 2 * scan.PRICE
    value = scan.read_decimal(buffer, m.spots[at], m.spots[at + 1], np.int64(book["price_decimals"]))
    tick = np.int64(book["tick_mantissa"])
    if value < 0 or value % tick != 0:
        return np.int64(-1)
    ticks = value // tick
    return ticks if ticks <= book["max_price"] else np.int64(-1)


@kernel
def read_tif(m, buffer, seen):
    """TimeInForce(59), Day when absent; 0 for one that is not offered."""
    if (seen >> scan.TIME_IN_FORCE) & 1 == 0:
        return np.int64(DAY)
    tif = char_of(m, buffer, scan.TIME_IN_FORCE)
    return tif if tif == 48 or tif == 49 or tif == 51 or tif == 52 else np.int64(0)


@kernel
def plain_handling(m, buffer, seen):
    """HandlInst(21), where there is one, is one FIX knows."""
    if (seen >> scan.HANDL_INST) & 1 == 0:
        return True
    value = char_of(m, buffer, scan.HANDL_INST)
    return value >= 49 and value <= 51


@kernel
def echo_of(m, session, buffer, seen):
    """ECHO row for Account(1): that of the session's last order if it is the same; -2 when the slow door must make one."""
    if (seen >> scan.ACCOUNT) & 1 == 0:
        return np.int64(NIL)
    echo = np.int64(m.sessions[session]["echo"])
    if echo == NIL:
        return np.int64(-2)
    row = m.echoes[echo]
    if row["split"] != 0:
        return np.int64(-2)
    if not same_text(m, buffer, scan.ACCOUNT, row["text"], 2, np.int64(row["length"]) - 3):
        return np.int64(-2)
    return echo


@kernel
def record_frame(m, session, buffer, begin, end, msg_type):
    """Write the IN record of an admitted frame and use up its MsgSeqNum(34)."""
    row = m.sessions[session]
    spots = m.spots
    at = np.int64(m.tape[0]["used"]) + RECORD_HEADER_BYTES
    put_bytes(m.batch, at, buffer, begin, end - begin)
    first = msg_type | ((spots[2 * scan.CL_ORD_ID] - begin) << 16)
    put_record(
        m, IN, end - begin, np.int64(row["id"]), np.int64(row["run"]), np.int64(row["next_in"]), NIL,
        (first, spots[2 * scan.SYMBOL] - begin), np.int64(row["link"]),
    )  # fmt: skip
    row["next_in"] += 1
    take_message_token(m, session)


@kernel
def own_open_order(m, session, buffer, book, side):
    """ORDER row of the open order OrigClOrdID(41) names by its current id, with this book and side; NIL for none."""
    begin = m.spots[2 * scan.ORIG_CL_ORD_ID]
    length = m.spots[2 * scan.ORIG_CL_ORD_ID + 1] - begin
    if length > TEXT_BYTES_MAX:
        return np.int64(NIL)
    name = find_name(m, session, buffer, begin, length)
    if name == NIL:
        return name
    slot = np.int64(m.names[name]["order"])
    order = m.orders[slot]
    if order["name"] != name or order["level"] < 0 or order["side"] != side or np.int64(order["book"]) != book:
        return np.int64(NIL)
    return slot


@part
def take_frame(m, session, buffer, begin, body, stop, end, tolerance_ns):
    """Carry out the frame at `begin` if it can be, and say its answers.

    Returns SLOW (nothing happened), DONE + 10, MORE + 10 or HELD + 10.
    """
    msg_type = np.int64(buffer[body + 3])
    if buffer[body] != 51 or buffer[body + 1] != 53 or buffer[body + 2] != 61 or buffer[body + 4] != 1:
        return SLOW
    if msg_type != D and msg_type != F and msg_type != G:
        return SLOW
    seen = scan.scan_fields(m, buffer, body + 5, stop)
    if not fits_kind(seen, msg_type) or not fits_session(m, session, buffer, tolerance_ns) or not has_message_token(m, session):
        return SLOW
    spots = m.spots
    begin_id = spots[2 * scan.CL_ORD_ID]
    length = spots[2 * scan.CL_ORD_ID + 1] - begin_id
    if length > TEXT_BYTES_MAX or find_name(m, session, buffer, begin_id, length) != NIL or not has_name_room(m, length):
        return SLOW
    book = find_book(m, buffer, spots[2 * scan.SYMBOL], spots[2 * scan.SYMBOL + 1] - spots[2 * scan.SYMBOL])
    side = char_of(m, buffer, scan.SIDE)
    if book == NIL or (side != 49 and side != 50 and side != 53 and side != 54):
        return SLOW
    if msg_type == F:
        slot = own_open_order(m, session, buffer, book, side)
        if slot == NIL or not plain_quantity(m, buffer, seen):
            return SLOW
        record_frame(m, session, buffer, begin, end, msg_type)
        cancel(m, slot, np.int64(NIL), buffer, begin_id, length)
        return 10
    row = m.books[book]
    lots, price, tif = read_lots(m, buffer, row), read_price(m, buffer, seen, row), read_tif(m, buffer, seen)
    if lots < 0 or price < 0 or tif == 0 or row["phase"] != CONTINUOUS:
        return SLOW
    if not plain_handling(m, buffer, seen) or not has_level_room(m):
        return SLOW
    kind = char_of(m, buffer, scan.ORD_TYPE)
    if msg_type == D:
        echo = echo_of(m, session, buffer, seen)
        if echo == -2 or not has_order_room(m) or not admits_order(m, session, echo, book, side, kind, tif, price, lots):
            return SLOW
        record_frame(m, session, buffer, begin, end, msg_type)
        return 10 + enter(m, session, book, side, kind, tif, price, lots, echo, buffer, begin_id, length)
    slot = own_open_order(m, session, buffer, book, side)
    if slot == NIL or np.int64(m.orders[slot]["ord_type"]) != kind or not admits_replace(m, slot, price, lots):
        return SLOW
    if (seen >> scan.TIME_IN_FORCE) & 1 == 1 and np.int64(m.orders[slot]["tif"]) != tif:
        return SLOW
    record_frame(m, session, buffer, begin, end, msg_type)
    return 10 + replace(m, slot, price, lots, np.int64(NIL), buffer, begin_id, length)


@kernel
def plain_quantity(m, buffer, seen):
    """OrderQty(38) of a cancel, where there is one, is plainly a number; its value is not looked at."""
    if (seen >> scan.ORDER_QTY) & 1 == 0:
        return True
    return scan.read_decimal(buffer, m.spots[2 * scan.ORDER_QTY], m.spots[2 * scan.ORDER_QTY + 1], 6) >= 0


@kernel
def run_frames(m, session, buffer, begin, end, max_length, tolerance_ns):
    """Carry out frames from `begin` on as long as they are for the fast door.

    Returns (bytes used up to here, SLOW, FULL, LARGE or BREAK).
    """
    at = begin
    while at < end:
        if not has_tape_room(m):
            return at, FULL
        body, stop, behind = scan.frame_end(buffer, at, end, max_length)
        if behind == 0:
            break
        done = take_frame(m, session, buffer, at, body, stop, behind, tolerance_ns)
        if done == SLOW:
            break
        at = behind
        if done == 10 + MORE:
            return at, LARGE
        if done == 10 + HELD or m.core[0]["alarm"] != 0:
            return at, BREAK
    return at, SLOW
