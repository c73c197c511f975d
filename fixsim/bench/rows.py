"""The books alone, orders known by their rows: `bare` loads this file a second time, with a book that knows no ids."""

import numpy as np

from fixsim.bench.flow import CANCEL
from fixsim.bench.ticks import ticks
from fixsim.engine.book import MORE, cancel, enter, resume
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.levels import send_for_neighbours
from fixsim.engine.machine import FRAMES_AHEAD
from fixsim.engine.words import send_for
from fixsim.layout import NIL

LIMIT, DAY = 50, 48


@leaf
def carry_out(m, session, flow, rows, books, lowest, i):
    """Operation `i` of a flow; `rows` has the ORDER row of each order that was entered, and gets that of this one."""
    if flow.kind[i] == CANCEL:
        cancel(m, rows[flow.orig[i]], np.int64(NIL), flow.kind, 0, 0)
        return
    core = m.core[0]
    free = np.int64(core["orders_free"])
    rows[i] = np.int64(core["orders_fresh"]) if free == NIL else free
    more = enter(
        m, session, books[flow.symbol[i]], np.int64(flow.side[i]), LIMIT, DAY, lowest + flow.price[i], flow.lots[i],
        np.int64(NIL), flow.kind, 0, 0,
    )  # fmt: skip
    while more == MORE:
        more = resume(m)


@leaf
def send_ahead(m, flow, rows, begin, end):
    """What the exchange sends for before it carries out frames it has understood: orders to be cancelled, their neighbours."""
    for i in range(begin, end):
        if flow.kind[i] == CANCEL and rows[flow.orig[i]] != NIL:
            send_for(m.orders, rows[flow.orig[i]])
    for i in range(begin, end):
        if flow.kind[i] == CANCEL and rows[flow.orig[i]] != NIL:
            send_for_neighbours(m, rows[flow.orig[i]])


@kernel
def drive(m, session, flow, rows, books, lowest, begin, end):
    """Operations `begin` to `end` of a flow for SESSION row `session`.

    `books` has the BOOK row of each symbol, `lowest` the price of the flow's lowest in ticks.
    """
    for first in range(begin, end, FRAMES_AHEAD):
        last = min(first + FRAMES_AHEAD, end)
        send_ahead(m, flow, rows, first, last)
        for i in range(first, last):
            carry_out(m, session, flow, rows, books, lowest, i)


@kernel
def drive_timed(m, session, flow, rows, books, lowest, begin, end, taken):
    """As `drive`, nothing sent for beforehand; `taken` gets the ticks of each operation, one look at the clock included."""
    for i in range(begin, end):
        before = ticks()
        carry_out(m, session, flow, rows, books, lowest, i)
        taken[i - begin] = ticks() - before
