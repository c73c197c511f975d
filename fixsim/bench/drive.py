"""The books alone: the compiled loop over a flow. `kernels` loads this file a second time, with a book that says nothing."""

import numpy as np

from fixsim.bench.flow import CANCEL
from fixsim.bench.frames import ID_BYTES
from fixsim.engine.book import MORE, cancel, enter, resume
from fixsim.engine.index import find_name
from fixsim.engine.jit import kernel
from fixsim.engine.tape import has_tape_room
from fixsim.layout import NIL

LIMIT, DAY = 50, 48


@kernel
def empty_tape(m):
    """Forget the batch when it could not take another frame."""
    if not has_tape_room(m):
        m.tape[0]["used"] = 0
        m.tape[0]["count"] = 0


@kernel
def drive(m, session, flow, ids, books, lowest, begin, end):
    """Operations `begin` to `end` of a flow for SESSION row `session`; the order of a cancel is looked up by its id.

    `books` has the BOOK row of each symbol, `lowest` the price of the flow's lowest in ticks.
    """
    for i in range(begin, end):
        empty_tape(m)
        if flow.kind[i] == CANCEL:
            name = find_name(m, session, ids, flow.orig[i] * ID_BYTES, ID_BYTES)
            cancel(m, np.int64(m.names[name]["order"]), np.int64(NIL), ids, i * ID_BYTES, ID_BYTES)
        else:
            more = enter(
                m, session, books[flow.symbol[i]], np.int64(flow.side[i]), LIMIT, DAY, lowest + flow.price[i], flow.lots[i],
                np.int64(NIL), ids, i * ID_BYTES, ID_BYTES,
            )  # fmt: skip
            while more == MORE:
                m.tape[0]["used"] = 0
                more = resume(m)
