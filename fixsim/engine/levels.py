"""Where an order rests: at the back of the level of its price, or outside of the ladder, with those that wait.

A level is a queue of orders, a side a ladder of levels.
"""

import numpy as np

from fixsim.engine.corridor import mind_bound
from fixsim.engine.jit import kernel, leaf
from fixsim.engine.ladder import ladder_find, ladder_first_from, ladder_insert, ladder_remove, price_key
from fixsim.engine.words import send_for_byte
from fixsim.layout import NIL, ORDER, PARKED
from fixsim.limits import PRICE_TICKS_MAX

BUY = 0x31
MARKET = 0x31
#: Byte of an order's row where its neighbours are named.
LINKS = ORDER.fields["next"][1]


@kernel
def own_side(order):
    """SIDE row an order rests on: bids of its book for Buy(1), asks for every kind of sell."""
    return 2 * np.int64(order["book"]) + (0 if order["side"] == BUY else 1)


@kernel
def take_level(m, price):
    """An empty LEVEL row; the caller made sure there is one."""
    core = m.core[0]
    row = np.int64(core["levels_free"])
    if row == NIL:
        row = np.int64(core["levels_fresh"])
        core["levels_fresh"] += 1
    else:
        core["levels_free"] = m.levels[row]["head"]
    core["levels_used"] += 1
    level = m.levels[row]
    level["price"], level["lots"], level["count"], level["head"], level["tail"] = price, 0, 0, NIL, NIL
    return row


@kernel
def remove_level(m, side, row):
    """Take an empty level out of its side, and find the best price again if it was that."""
    price = np.int64(m.levels[row]["price"])
    key = price_key(side, price)
    mind_bound(m, side, price)
    ladder_remove(m, side, key)
    if m.sides[side]["best"] == row:
        m.sides[side]["best"] = ladder_first_from(m, side, key)
    core = m.core[0]
    m.levels[row]["head"] = core["levels_free"]
    core["levels_free"] = row
    core["levels_used"] -= 1


@kernel
def level_price(order):
    """Price of the level an order rests on. A market order, which rests in calls only, stands in front of every limit."""
    if order["ord_type"] != MARKET:
        return np.int64(order["price"])
    return np.int64(PRICE_TICKS_MAX) if order["side"] == BUY else np.int64(0)


@kernel
def rest(m, slot):
    """Put an order with leaves at the back of its price."""
    order = m.orders[slot]
    side = own_side(order)
    price = level_price(order)
    key = price_key(side, price)
    row = ladder_find(m, side, key)
    ladder = m.sides[side]
    mind_bound(m, side, price)
    if row == NIL:
        row = take_level(m, price)
        ladder_insert(m, side, key, row)
        best = np.int64(ladder["best"])
        if best == NIL or key < price_key(side, np.int64(m.levels[best]["price"])):
            ladder["best"] = row
    level = m.levels[row]
    order["level"], order["prev"], order["next"] = row, level["tail"], NIL
    if level["tail"] == NIL:
        level["head"] = slot
    else:
        m.orders[level["tail"]]["next"] = slot
    level["tail"] = slot
    level["lots"] += order["leaves"]
    level["count"] += 1
    ladder["orders"] += 1


@kernel
def unlink(m, slot):
    """Take a resting order out of its level; its leaves are still counted there."""
    order = m.orders[slot]
    side = own_side(order)
    row = np.int64(order["level"])
    level = m.levels[row]
    older, newer = np.int64(order["prev"]), np.int64(order["next"])
    if older == NIL:
        level["head"] = newer
    else:
        m.orders[older]["next"] = newer
    if newer == NIL:
        level["tail"] = older
    else:
        m.orders[newer]["prev"] = older
    level["lots"] -= order["leaves"]
    level["count"] -= 1
    m.sides[side]["orders"] -= 1
    order["level"] = NIL
    if level["count"] == 0:
        remove_level(m, side, row)


@leaf
def send_for_neighbours(m, slot):
    """Have the orders in front of and behind one that rests on their way: it is likely to leave."""
    order = m.orders[slot]
    send_for_byte(m.orders, order["prev"], LINKS)
    send_for_byte(m.orders, order["next"], LINKS)


@kernel
def park(m, slot):
    """Put an order with leaves behind those that wait outside of the ladder of its book."""
    order = m.orders[slot]
    book = m.books[np.int64(order["book"])]
    order["level"], order["prev"], order["next"] = PARKED, book["parked_tail"], NIL
    if book["parked_tail"] == NIL:
        book["parked_head"] = slot
    else:
        m.orders[book["parked_tail"]]["next"] = slot
    book["parked_tail"] = slot


@kernel
def unpark(m, slot):
    """Take an order out of those that wait outside of the ladder."""
    order = m.orders[slot]
    book = m.books[np.int64(order["book"])]
    older, newer = np.int64(order["prev"]), np.int64(order["next"])
    if older == NIL:
        book["parked_head"] = newer
    else:
        m.orders[older]["next"] = newer
    if newer == NIL:
        book["parked_tail"] = older
    else:
        m.orders[newer]["prev"] = older
    order["level"] = NIL


@kernel
def leave(m, slot):
    """Take an open order out of its level, or out of those that wait."""
    if m.orders[slot]["level"] == PARKED:
        unpark(m, slot)
    else:
        unlink(m, slot)
