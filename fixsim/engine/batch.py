"""The fast door: NewOrderSingle(D), OrderCancelRequest(F) and OrderCancelReplaceRequest(G) from the buffer to the
books, one call for all frames that are ready.

It admits only what it fully understands and what will be accepted, and decides so before the first write. The first frame it
leaves is the slow door's, which gives the same answers to everything and has all the refusals (law 4).
"""

import numpy as np

from fixsim.engine import scan
from fixsim.engine.ahead import D, F, look_ahead
from fixsim.engine.ascii import put_bytes
from fixsim.engine.book import HELD, MORE, cancel, enter, has_level_room, has_order_room, replace
from fixsim.engine.echo import find_echo
from fixsim.engine.index import find_hashed, has_name_room, same_bytes
from fixsim.engine.jit import kernel, leaf, part
from fixsim.engine.levels import MARKET
from fixsim.engine.risk import admits_order, admits_replace, has_message_token, take_message_token
from fixsim.engine.scan import spot, spot_end
from fixsim.engine.symbols import find_book
from fixsim.engine.tape import has_tape_room, put_record
from fixsim.layout import NIL, Kind, Phase
from fixsim.limits import RECORD_HEADER_BYTES

#: Why `run_frames` stopped.
SLOW = 0  # what comes next is not for the fast door
FULL = 1  # the batch must be sealed first
LARGE = 2  # an order goes on in the next batch: seal this one, then `resume`
BREAK = 3  # a breaker must look before anything else happens, at `core.taker` first where there is one

IN = Kind.IN
CONTINUOUS = Phase.CONTINUOUS
NS_PER_DAY = 86_400_000_000_000
DAY = 48


@kernel
def same_text(m, buffer, frame, slot, text, begin, length):
    """Is the value in `slot` these bytes?"""
    at = spot(m, frame, slot)
    if spot_end(m, frame, slot) - at != length:
        return False
    return same_bytes(buffer, at, text, begin, length)


@kernel
def char_of(m, buffer, frame, slot):
    """The value in `slot` if it is one character, 0 otherwise."""
    at = spot(m, frame, slot)
    if spot_end(m, frame, slot) - at != 1:
        return np.int64(0)
    return np.int64(buffer[at])


@leaf
def has(m, frame, slot):
    """Is the field there?"""
    return (m.frames[frame]["seen"] >> slot) & 1 == 1


@kernel
def fits_session(m, session, buffer, frame, tolerance_ns):
    """CompIDs, MsgSeqNum(34) and SendingTime(52) as the conversation expects them, and a plain TransactTime(60)."""
    row = m.sessions[session]
    ours = np.int64(row["venue_length"])
    theirs = np.int64(row["comp_ids_length"]) - ours - 8
    if not same_text(m, buffer, frame, scan.TARGET_COMP_ID, row["comp_ids"], 3, ours):
        return False
    if not same_text(m, buffer, frame, scan.SENDER_COMP_ID, row["comp_ids"], ours + 7, theirs):
        return False
    if scan.read_uint(buffer, spot(m, frame, scan.MSG_SEQ_NUM), spot_end(m, frame, scan.MSG_SEQ_NUM)) != row["next_in"]:
        return False
    sent = scan.time_of_today(m, buffer, spot(m, frame, scan.SENDING_TIME), spot_end(m, frame, scan.SENDING_TIME))
    now = np.int64(m.tape[0]["now_ns"]) % NS_PER_DAY
    if sent < 0 or (tolerance_ns > 0 and abs(sent - now) >= tolerance_ns):
        return False
    return scan.is_plain_time(m, buffer, spot(m, frame, scan.TRANSACT_TIME), spot_end(m, frame, scan.TRANSACT_TIME))


@kernel
def read_lots(m, buffer, frame, book):
    """OrderQty(38) in lots if it is good for `book`, -1 otherwise."""
    at, end = spot(m, frame, scan.ORDER_QTY), spot_end(m, frame, scan.ORDER_QTY)
    value = scan.read_decimal(buffer, at, end, np.int64(book["qty_decimals"]))
    lot = np.int64(book["lot_mantissa"])
    if value < 0 or value % lot != 0:
        return np.int64(-1)
    lots = value // lot
    if lots < book["min_lots"] or lots > book["max_lots"]:
        return np.int64(-1)
    return lots


@kernel
def read_price(m, buffer, frame, book):
    """Price(44) in ticks if it is good for `book` and OrdType(40), 0 for a market order, -1 otherwise."""
    kind = char_of(m, buffer, frame, scan.ORD_TYPE)
    priced = has(m, frame, scan.PRICE)
    if kind == MARKET:
        return np.int64(-1) if priced else np.int64(0)
    if kind != 50 or not priced:
        return np.int64(-1)
    at, end = spot(m, frame, scan.PRICE), spot_end(m, frame, scan.PRICE)
    value = scan.read_decimal(buffer, at, end, np.int64(book["price_decimals"]))
    tick = np.int64(book["tick_mantissa"])
    if value < 0 or value % tick != 0:
        return np.int64(-1)
    ticks = value // tick
    return ticks if ticks <= book["max_price"] else np.int64(-1)


@kernel
def read_tif(m, buffer, frame):
    """TimeInForce(59), Day when absent; 0 for one that is not offered."""
    if not has(m, frame, scan.TIME_IN_FORCE):
        return np.int64(DAY)
    tif = char_of(m, buffer, frame, scan.TIME_IN_FORCE)
    return tif if tif == 48 or tif == 49 or tif == 51 or tif == 52 else np.int64(0)


@kernel
def plain_handling(m, buffer, frame):
    """HandlInst(21), where there is one, is one FIX knows."""
    if not has(m, frame, scan.HANDL_INST):
        return True
    value = char_of(m, buffer, frame, scan.HANDL_INST)
    return value >= 49 and value <= 51


@kernel
def echo_of(m, session, buffer, frame):
    """ECHO row for Account(1), NIL when there is none; -2 when the slow door must find or make one."""
    if not has(m, frame, scan.ACCOUNT):
        return np.int64(NIL)
    begin = spot(m, frame, scan.ACCOUNT)
    return find_echo(m, session, buffer, begin, spot_end(m, frame, scan.ACCOUNT) - begin)


@kernel
def record_frame(m, session, buffer, begin, frame):
    """Write the IN record of an admitted frame and use up its MsgSeqNum(34)."""
    row, known = m.sessions[session], m.frames[frame]
    length = np.int64(known["end"]) - begin
    at = np.int64(m.tape[0]["used"]) + RECORD_HEADER_BYTES
    put_bytes(m.batch, at, buffer, begin, length)
    first = np.int64(known["msg_type"]) | ((spot(m, frame, scan.CL_ORD_ID) - begin) << 16)
    put_record(
        m, IN, length, np.int64(row["id"]), np.int64(row["run"]), np.int64(row["next_in"]), NIL,
        (first, spot(m, frame, scan.SYMBOL) - begin), np.int64(row["link"]),
    )  # fmt: skip
    row["next_in"] += 1
    take_message_token(m, session)


@kernel
def own_open_order(m, session, buffer, frame, book, side):
    """ORDER row of the open order OrigClOrdID(41) names by its current id, with this book and side; NIL for none."""
    begin = spot(m, frame, scan.ORIG_CL_ORD_ID)
    length = spot_end(m, frame, scan.ORIG_CL_ORD_ID) - begin
    name = find_hashed(m, session, np.int64(m.frames[frame]["orig_hash"]), buffer, begin, length)
    if name == NIL:
        return name
    slot = np.int64(m.names[name]["order"])
    order = m.orders[slot]
    if order["name"] != name or order["level"] < 0 or order["side"] != side or np.int64(order["book"]) != book:
        return np.int64(NIL)
    return slot


@part
def take_frame(m, session, buffer, begin, frame, tolerance_ns):
    """Carry out the frame at `begin`, which is FRAME row `frame`, if it can be, and say its answers.

    Returns SLOW (nothing happened), DONE + 10, MORE + 10 or HELD + 10.
    """
    msg_type = np.int64(m.frames[frame]["msg_type"])
    if not fits_session(m, session, buffer, frame, tolerance_ns) or not has_message_token(m, session):
        return SLOW
    begin_id = spot(m, frame, scan.CL_ORD_ID)
    length = spot_end(m, frame, scan.CL_ORD_ID) - begin_id
    known = find_hashed(m, session, np.int64(m.frames[frame]["hash"]), buffer, begin_id, length)
    if known != NIL or not has_name_room(m, length):
        return SLOW
    begin_symbol = spot(m, frame, scan.SYMBOL)
    book = find_book(m, buffer, begin_symbol, spot_end(m, frame, scan.SYMBOL) - begin_symbol)
    side = char_of(m, buffer, frame, scan.SIDE)
    if book == NIL or (side != 49 and side != 50 and side != 53 and side != 54):
        return SLOW
    if msg_type == F:
        slot = own_open_order(m, session, buffer, frame, book, side)
        if slot == NIL or not plain_quantity(m, buffer, frame):
            return SLOW
        record_frame(m, session, buffer, begin, frame)
        cancel(m, slot, np.int64(NIL), buffer, begin_id, length)
        return 10
    row = m.books[book]
    lots, price, tif = read_lots(m, buffer, frame, row), read_price(m, buffer, frame, row), read_tif(m, buffer, frame)
    if lots < 0 or price < 0 or tif == 0 or row["phase"] != CONTINUOUS:
        return SLOW
    if not plain_handling(m, buffer, frame) or not has_level_room(m):
        return SLOW
    kind = char_of(m, buffer, frame, scan.ORD_TYPE)
    if msg_type == D:
        echo = echo_of(m, session, buffer, frame)
        if echo == -2 or not has_order_room(m) or not admits_order(m, session, echo, book, side, kind, tif, price, lots):
            return SLOW
        record_frame(m, session, buffer, begin, frame)
        if echo != NIL:
            m.sessions[session]["echo"] = echo
        return 10 + enter(m, session, book, side, kind, tif, price, lots, echo, buffer, begin_id, length)
    slot = own_open_order(m, session, buffer, frame, book, side)
    if slot == NIL or np.int64(m.orders[slot]["ord_type"]) != kind or not admits_replace(m, slot, price, lots):
        return SLOW
    if has(m, frame, scan.TIME_IN_FORCE) and np.int64(m.orders[slot]["tif"]) != tif:
        return SLOW
    record_frame(m, session, buffer, begin, frame)
    return 10 + replace(m, slot, price, lots, np.int64(NIL), buffer, begin_id, length)


@kernel
def plain_quantity(m, buffer, frame):
    """OrderQty(38) of a cancel, where there is one, is plainly a number; its value is not looked at."""
    if not has(m, frame, scan.ORDER_QTY):
        return True
    return scan.read_decimal(buffer, spot(m, frame, scan.ORDER_QTY), spot_end(m, frame, scan.ORDER_QTY), 6) >= 0


@kernel
def run_frames(m, session, buffer, begin, end, max_length, tolerance_ns):
    """Carry out frames from `begin` on as long as they are for the fast door.

    Returns (bytes used up to here, SLOW, FULL, LARGE or BREAK).
    """
    at = begin
    while at < end:
        count = look_ahead(m, session, buffer, at, end, max_length)
        if count == 0:
            break
        for frame in range(count):
            if not has_tape_room(m):
                return at, FULL
            done = take_frame(m, session, buffer, at, frame, tolerance_ns)
            if done == SLOW:
                return at, SLOW
            at = np.int64(m.frames[frame]["end"])
            if done == 10 + MORE:
                return at, LARGE
            if done == 10 + HELD or m.core[0]["alarm"] != 0:
                return at, BREAK
    return at, SLOW
