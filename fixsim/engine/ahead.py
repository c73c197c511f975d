"""Several frames are understood before the first is carried out, so that the memory they need is on its way by then.

An id is looked up in an index too large for any cache, and leads to rows that were last touched long ago, its neighbours in the
queue among them: four waits of a hundred nanoseconds, each for what the one before has brought. Taken one after the other they
are a quarter of the price of an order; those of sixteen frames pass together. Nothing here writes anything but scratch, and
nothing is decided.
"""

import numpy as np

from fixsim.engine import scan
from fixsim.engine.index import likely_name, name_hash, send_for_place
from fixsim.engine.jit import kernel, leaf, part
from fixsim.engine.levels import send_for_neighbours
from fixsim.engine.machine import FRAMES_AHEAD
from fixsim.engine.words import send_for
from fixsim.layout import NIL
from fixsim.limits import TEXT_BYTES_MAX

D, F, G = 68, 70, 71
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


@leaf
def fits_kind(seen, msg_type):
    """Are all fields that are needed there, and no others than allowed?"""
    if msg_type == D:
        return seen & NEEDED_D == NEEDED_D and seen & ~ALLOWED_D == 0
    if msg_type == F:
        return seen & NEEDED_F == NEEDED_F and seen & ~ALLOWED_F == 0
    return seen & NEEDED_G == NEEDED_G and seen & ~ALLOWED_G == 0


@part
def understand(m, session, buffer, begin, end, max_length, frame):
    """Is there a whole frame at `begin` whose fields are those of an order message, in order? It becomes FRAME row `frame`."""
    body, stop, behind = scan.frame_end(buffer, begin, end, max_length)
    if behind == 0:
        return False
    msg_type = np.int64(buffer[body + 3])
    if buffer[body] != 51 or buffer[body + 1] != 53 or buffer[body + 2] != 61 or buffer[body + 4] != 1:
        return False
    if msg_type != D and msg_type != F and msg_type != G:
        return False
    seen = scan.scan_fields(m, buffer, body + 5, stop, frame)
    if not fits_kind(seen, msg_type):
        return False
    at = scan.spot(m, frame, scan.CL_ORD_ID)
    length = scan.spot_end(m, frame, scan.CL_ORD_ID) - at
    if length > TEXT_BYTES_MAX:
        return False
    row = m.frames[frame]
    row["end"], row["msg_type"], row["seen"] = behind, msg_type, seen
    row["hash"], row["orig_hash"] = name_hash(session, buffer, at, length), NIL
    if msg_type != D:
        at = scan.spot(m, frame, scan.ORIG_CL_ORD_ID)
        length = scan.spot_end(m, frame, scan.ORIG_CL_ORD_ID) - at
        if length > TEXT_BYTES_MAX:
            return False
        row["orig_hash"] = name_hash(session, buffer, at, length)
    return True


@kernel
def look_ahead(m, session, buffer, begin, end, max_length):
    """Understand the frames from `begin` on, as many as there is scratch for; how many."""
    at, count = begin, 0
    while count < FRAMES_AHEAD and at < end and understand(m, session, buffer, at, end, max_length, count):
        row = m.frames[count]
        send_for_place(m, row["hash"])
        if row["orig_hash"] != NIL:
            send_for_place(m, row["orig_hash"])
        at = np.int64(row["end"])
        count += 1
    if count > 1:
        send_for_orders(m, count)
    return count


@part
def send_for_orders(m, count):
    """Have the orders that `count` frames name on their way, the names that lead to them, and whom they stand between."""
    for frame in range(count):
        row = m.frames[frame]
        row["name"] = NIL if row["orig_hash"] == NIL else likely_name(m, row["orig_hash"])
        if row["name"] != NIL:
            send_for(m.names, row["name"])
    for frame in range(count):
        name = m.frames[frame]["name"]
        if name != NIL:
            send_for(m.orders, m.names[name]["order"])
    for frame in range(count):
        name = m.frames[frame]["name"]
        if name != NIL:
            send_for_neighbours(m, m.names[name]["order"])
