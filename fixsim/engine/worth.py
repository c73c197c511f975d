"""What an order is worth in limits: the ticks at which its lots are counted from its entry on.

A buy cannot cost more than its limit. A sell can bring more than its limit, and opens a position that is valued at the mark: it
is counted at the best of what is known when it comes. A call shows no price behind which a market order would stop.
"""

import numpy as np

from fixsim.engine.jit import kernel, leaf
from fixsim.engine.ladder import ladder_first_from, price_key
from fixsim.layout import LIMITLESS, NIL, Phase

BUY = 0x31
MARKET = 0x31
AT_THE_CLOSE = 0x37
CONTINUOUS = Phase.CONTINUOUS
BPS = 10_000


@kernel
def guard_price(m, party, opposite, best):
    """Ticks that a market order may not trade beyond, counted from the price `best` of SIDE row `opposite`; 0 for any."""
    row = m.parties[party]
    room = min(np.int64(row["guard_ticks"]), LIMITLESS)
    if row["guard_bps"] != 0:
        room = min(room, best * np.int64(row["guard_bps"]) // BPS)
    if room == LIMITLESS:
        return np.int64(0)
    if opposite & 1:
        return best + room
    return max(1, best - room)


@leaf
def valued_at(m, book):
    """The greater of mark and last trade of a book, ticks; 0 when neither is known."""
    row = m.books[book]
    return max(np.int64(row["mark"]), np.int64(row["last_price"]))


@kernel
def best_limit(m, side):
    """LEVEL row of the best limit of a SIDE row, behind the market orders of a call; NIL for none."""
    row = np.int64(m.sides[side]["best"])
    if row != NIL and price_key(side, np.int64(m.levels[row]["price"])) == 0:
        row = ladder_first_from(m, side, 1)
    return row


@kernel
def sweep_price(m, opposite, lots):
    """The worst limit at which `lots` would trade on SIDE row `opposite`, as far as they would; 0 when it is empty."""
    row = best_limit(m, opposite)
    price = np.int64(0)
    while row != NIL and lots > 0:
        price = np.int64(m.levels[row]["price"])
        lots -= np.int64(m.levels[row]["lots"])
        row = ladder_first_from(m, opposite, price_key(opposite, price) + 1)
    return price


@kernel
def sell_worth(m, book, price):
    """Ticks at which a sell is counted: the greatest of its limit (0 for a market order), mark, last trade and best bid."""
    worth = max(price, valued_at(m, book))
    bid = best_limit(m, 2 * book)
    return worth if bid == NIL else max(worth, np.int64(m.levels[bid]["price"]))


@kernel
def market_worth(m, party, book, side, tif, lots):
    """Ticks at which a market order is counted, 0 when no price is known, and ticks it may not trade beyond, 0 for any."""
    opposite = 2 * book + (1 if side == BUY else 0)
    best, bound = best_limit(m, opposite), np.int64(0)
    meets = best != NIL and m.books[book]["phase"] == CONTINUOUS and tif != AT_THE_CLOSE
    if meets:
        bound = guard_price(m, party, opposite, np.int64(m.levels[best]["price"]))
    if side != BUY:
        return sell_worth(m, book, np.int64(0)), bound
    if bound != 0:
        return bound, bound
    reached = sweep_price(m, opposite, lots)
    return reached if meets else max(reached, valued_at(m, book)), bound


@kernel
def replaced_worth(m, slot, price, leaves):
    """Ticks at which an open order is counted after a replace to `leaves` at `price`; its row is as it was before.

    A sell that keeps its place keeps what it is counted at; any other comes anew. A market order is counted anew only when it
    asks for more and there was no price yet.
    """
    order = m.orders[slot]
    if order["ord_type"] == MARKET:
        worth = np.int64(order["worth"])
        if worth == 0 and leaves > order["leaves"]:
            party, book = np.int64(order["party"]), np.int64(order["book"])
            worth, _ = market_worth(m, party, book, np.int64(order["side"]), np.int64(order["tif"]), leaves)
        return worth
    if order["side"] == BUY:
        return np.int64(price)
    if price == order["price"] and leaves <= order["leaves"]:
        return np.int64(order["worth"])
    return sell_worth(m, np.int64(order["book"]), np.int64(price))
