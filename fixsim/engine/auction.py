"""The one price at which most can meet, and the meeting.

While a call lasts orders rest in the ladders of their book as they always do, market orders in front of every limit. The price
is looked for among the limits in the book: the highest executable volume, then the least surplus, then the pressure of the
market, then the reference price. Only a few limits can be the answer, those around the place where demand and supply meet, so
it is found by walking both sides from their best to there.
"""

import numpy as np

from fixsim.engine.book import FILLED, PARTIALLY_FILLED, TRADE
from fixsim.engine.jit import kernel
from fixsim.engine.ladder import ladder_first_from, price_key
from fixsim.engine.levels import unlink
from fixsim.engine.memory import close
from fixsim.engine.report import report
from fixsim.engine.risk import risk_fill
from fixsim.engine.tape import has_tape_room
from fixsim.layout import NIL

#: What `uncross` returns.
DONE = 0
MORE = 1  # the batch is full: seal it, then call again
#: No price among those that are compared.
NONE = -1


@kernel
def next_level(m, side, row):
    """LEVEL row behind `row`, which is worse by one; NIL for none."""
    return ladder_first_from(m, side, price_key(side, np.int64(m.levels[row]["price"])) + 1)


@kernel
def is_market(m, side, row):
    """Is it the level of the market orders, which has the best key there is?"""
    return price_key(side, np.int64(m.levels[row]["price"])) == 0


@kernel
def limit_of(m, side, row):
    """Price of a LEVEL row, NONE for no row and for market orders, which have none."""
    if row == NIL or is_market(m, side, row):
        return np.int64(NONE)
    return np.int64(m.levels[row]["price"])


@kernel
def volume_at(m, side, price):
    """Lots of one side that would trade at `price`."""
    total = np.int64(0)
    limit = price_key(side, price)
    row = np.int64(m.sides[side]["best"])
    while row != NIL and price_key(side, np.int64(m.levels[row]["price"])) <= limit:
        total += np.int64(m.levels[row]["lots"])
        row = next_level(m, side, row)
    return total


@kernel
def market_lots(m, side):
    """Lots of market orders of one side."""
    row = np.int64(m.sides[side]["best"])
    return np.int64(m.levels[row]["lots"]) if row != NIL and is_market(m, side, row) else np.int64(0)


@kernel
def meeting_place(m, book):
    """Walk both sides as they would meet: the LEVEL rows of the last lots that can, and of the first lots that cannot.

    NIL for none.
    """
    bids, asks = 2 * book, 2 * book + 1
    bid, ask = np.int64(m.sides[bids]["best"]), np.int64(m.sides[asks]["best"])
    last_bid, last_ask = np.int64(NIL), np.int64(NIL)
    bid_lots, ask_lots = np.int64(0), np.int64(0)
    while bid != NIL and ask != NIL:
        if m.levels[bid]["price"] < m.levels[ask]["price"]:
            break
        last_bid, last_ask = bid, ask
        buys, sells = np.int64(m.levels[bid]["lots"]) - bid_lots, np.int64(m.levels[ask]["lots"]) - ask_lots
        if buys <= sells:
            bid, bid_lots = next_level(m, bids, bid), np.int64(0)
        else:
            bid_lots += sells
        if sells <= buys:
            ask, ask_lots = next_level(m, asks, ask), np.int64(0)
        else:
            ask_lots += buys
    return last_bid, last_ask, bid, ask


@kernel
def first_limit(m, side):
    """LEVEL row of the best limit of one side, NIL for none."""
    row = np.int64(m.sides[side]["best"])
    if row != NIL and is_market(m, side, row):
        row = next_level(m, side, row)
    return row


@kernel
def call_price(m, book, reference):
    """Where an auction of `book` would meet now: price in ticks, and the lots that buy and that sell at it.

    `reference` is the reference price in ticks, 0 for none. The price is 0 when nothing can meet, or has no price to meet at;
    buys and sells are then the market orders. The smaller of them is the executable volume, the difference the surplus.
    """
    bids, asks = 2 * book, 2 * book + 1
    last_bid, last_ask, bid, ask = meeting_place(m, book)
    if last_bid == NIL:
        return np.int64(0), market_lots(m, bids), market_lots(m, asks)
    candidates = (
        limit_of(m, bids, last_bid), limit_of(m, asks, last_ask), limit_of(m, bids, bid), limit_of(m, asks, ask),
        limit_of(m, bids, first_limit(m, bids)), limit_of(m, asks, first_limit(m, asks)),
    )  # fmt: skip
    price = best_of(m, book, candidates, reference)
    if price == 0:
        return price, market_lots(m, bids), market_lots(m, asks)
    return price, volume_at(m, bids, price), volume_at(m, asks, price)


@kernel
def best_of(m, book, candidates, reference):
    """The best price among `candidates`, which may be NONE; the reference price where all are."""
    bids, asks = 2 * book, 2 * book + 1
    lots, least, low, high = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    rises, falls = True, True
    for candidate in candidates:
        if candidate == NONE:
            continue
        buys, sells = volume_at(m, bids, candidate), volume_at(m, asks, candidate)
        volume, surplus = min(buys, sells), abs(buys - sells)
        if volume > lots or (volume == lots and surplus < least):
            lots, least, low, high, rises, falls = volume, surplus, candidate, candidate, True, True
        if volume == lots and surplus == least:
            low, high = min(low, candidate), max(high, candidate)
            rises, falls = rises and buys > sells, falls and buys < sells
    if lots == 0:
        return reference
    if rises:
        return high
    if falls:
        return low
    return nearest_of(m, book, candidates, (lots, least), reference if reference != 0 else high)


@kernel
def nearest_of(m, book, candidates, wanted, reference):
    """The price nearest to the reference, the higher of two, among candidates with the `wanted` volume and surplus."""
    found = np.int64(NONE)
    for candidate in candidates:
        if candidate == NONE:
            continue
        buys, sells = volume_at(m, 2 * book, candidate), volume_at(m, 2 * book + 1, candidate)
        if min(buys, sells) != wanted[0] or abs(buys - sells) != wanted[1]:
            continue
        nearer = abs(found - reference) - abs(candidate - reference)
        if found == NONE or nearer > 0 or (nearer == 0 and candidate > found):
            found = candidate
    return found


@kernel
def meet(m, bid, ask, lots, price):
    """Trade `lots` between two orders that rest, each the oldest of its level, at `price`; the buyer is told first."""
    core = m.core[0]
    core["match_id"] += 1
    book = m.books[np.int64(m.orders[bid]["book"])]
    book["last_price"], book["last_lots"] = price, lots
    book["auction_lots"] += lots
    risk_fill(m, bid, price, lots)
    risk_fill(m, ask, price, lots)
    for slot in (bid, ask):
        order = m.orders[slot]
        m.levels[order["level"]]["lots"] -= lots
        order["leaves"] -= lots
        order["cum"] += lots
        order["notional"] += price * lots
        order["status"] = FILLED if order["leaves"] == 0 else PARTIALLY_FILLED
        report(m, slot, TRADE, np.int64(order["name"]), NIL, np.int64(order["echo"]), lots, price, 0)
    for slot in (bid, ask):
        if m.orders[slot]["leaves"] == 0:
            unlink(m, slot)
            close(m, slot)


@kernel
def uncross(m, book, price):
    """Let everything meet that can at `price`, best and oldest first. Returns DONE, or MORE when the batch is full."""
    bids, asks = 2 * book, 2 * book + 1
    while True:
        bid_row, ask_row = np.int64(m.sides[bids]["best"]), np.int64(m.sides[asks]["best"])
        if bid_row == NIL or ask_row == NIL:
            return DONE
        if m.levels[bid_row]["price"] < price or m.levels[ask_row]["price"] > price:
            return DONE
        if not has_tape_room(m):
            return MORE
        bid, ask = np.int64(m.levels[bid_row]["head"]), np.int64(m.levels[ask_row]["head"])
        meet(m, bid, ask, min(np.int64(m.orders[bid]["leaves"]), np.int64(m.orders[ask]["leaves"])), price)
