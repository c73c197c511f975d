"""The books alone: the compiled loop over a flow. `kernels` loads this file a second time, with a book that says nothing."""

import numpy as np

from fixsim.bench.flow import CANCEL
from fixsim.bench.frames import ID_BYTES
from fixsim.engine.ahead import send_for_orders
from fixsim.engine.book import MORE, cancel, enter, resume
from fixsim.engine.index import find_hashed, name_hash, send_for_place
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.machine import FRAMES_AHEAD
from fixsim.engine.tape import has_tape_room
from fixsim.layout import NIL

LIMIT, DAY = 50, 48


@kernel
def empty_tape(m):
    """Forget the batch when it could not take another frame."""
    if not has_tape_room(m):
        m.tape[0]["used"] = 0
        m.tape[0]["count"] = 0


@leaf
def send_ahead(m, session, flow, ids, begin, end):
    """What the exchange does with the frames it has understood: ids are hashed once, what they lead to is sent for."""
    for i in range(begin, end):
        frame = m.frames[i - begin]
        frame["orig_hash"] = NIL
        send_for_place(m, name_hash(session, ids, i * ID_BYTES, ID_BYTES))
        if flow.kind[i] == CANCEL:
            frame["orig_hash"] = name_hash(session, ids, flow.orig[i] * ID_BYTES, ID_BYTES)
            send_for_place(m, frame["orig_hash"])
    send_for_orders(m, end - begin)


@leaf
def carry_out(m, session, flow, ids, books, lowest, i, orig_hash):
    """Operation `i` of a flow; the order of a cancel is looked up by its id."""
    empty_tape(m)
    if flow.kind[i] == CANCEL:
        name = find_hashed(m, session, orig_hash, ids, flow.orig[i] * ID_BYTES, ID_BYTES)
        cancel(m, np.int64(m.names[name]["order"]), np.int64(NIL), ids, i * ID_BYTES, ID_BYTES)
        return
    more = enter(
        m, session, books[flow.symbol[i]], np.int64(flow.side[i]), LIMIT, DAY, lowest + flow.price[i], flow.lots[i],
        np.int64(NIL), ids, i * ID_BYTES, ID_BYTES,
    )  # fmt: skip
    while more == MORE:
        m.tape[0]["used"] = 0
        more = resume(m)


@kernel
def drive(m, session, flow, ids, books, lowest, begin, end):
    """Operations `begin` to `end` of a flow for SESSION row `session`.

    `books` has the BOOK row of each symbol, `lowest` the price of the flow's lowest in ticks.
    """
    for first in range(begin, end, FRAMES_AHEAD):
        last = min(first + FRAMES_AHEAD, end)
        send_ahead(m, session, flow, ids, first, last)
        for i in range(first, last):
            carry_out(m, session, flow, ids, books, lowest, i, np.int64(m.frames[i - first]["orig_hash"]))
