"""Prices at which an instrument may trade now, and what each trade does to them.

A corridor says no before a fill, never after: the order is held in front of it (`book.HELD`), and the breaker of the instrument
decides in plain Python what becomes of it. What is watched here is only what a breaker cannot learn later: every price.
"""

import numpy as np

from fixsim.engine.jit import kernel, leaf
from fixsim.layout import Corridor
from fixsim.limits import PRICE_TICKS_MAX

NONE, LAST, RANGE = Corridor.NONE, Corridor.LAST, Corridor.RANGE
#: What a width in a corridor around the last price counts.
WIDTH_PARTS = 10_000
BUY = 0x31


@leaf
def is_watched(book):
    """Must the trades of a BOOK row be looked at one by one?"""
    return book["corridor"] != NONE or book["weight"] != 0


@leaf
def is_outside(book, price):
    """Is `price` one at which the instrument may not trade?"""
    return book["corridor"] != NONE and (price < book["floor"] or price > book["ceiling"])


@leaf
def is_beyond(book, side, price):
    """Is `price` one at which an order of `side` would only wait for a trade that may not be?"""
    return price > book["ceiling"] if side == BUY else price < book["floor"]


@kernel
def move_corridor(m, book, last):
    """Put the corridor of a BOOK row where `last`, the price of its last trade, and its window say, inside the outer bounds."""
    row = m.books[book]
    if row["corridor"] == LAST:
        reach = last * np.int64(row["width"]) // WIDTH_PARTS
        low, high = last - reach, last + reach
    elif row["corridor"] == RANGE and row["high"] != 0:
        low, high = np.int64(row["high"]) - np.int64(row["width"]), np.int64(row["low"]) + np.int64(row["width"])
    else:
        low, high = np.int64(0), np.int64(PRICE_TICKS_MAX)
    row["floor"] = max(low, np.int64(row["outer_floor"]))
    row["ceiling"] = min(high, np.int64(row["outer_ceiling"]))


@kernel
def note_trade(m, book, price):
    """An instrument that is watched has traded at `price` ticks: its window, its corridor, the index. False to stop all."""
    row = m.books[book]
    if row["slice_trades"] == 0:
        row["slice_ns"] = m.core[0]["venue_ns"] if m.core[0]["venue_ns"] != 0 else m.tape[0]["now_ns"]
    row["slice_sum"] += price
    row["slice_trades"] += 1
    row["slice_low"] = price if row["slice_low"] == 0 else min(price, np.int64(row["slice_low"]))
    row["slice_high"] = max(price, np.int64(row["slice_high"]))
    row["low"] = price if row["low"] == 0 else min(price, np.int64(row["low"]))
    row["high"] = max(price, np.int64(row["high"]))
    if row["corridor"] == LAST or row["corridor"] == RANGE:
        move_corridor(m, book, price)
    if row["weight"] == 0:
        return True
    core = m.core[0]
    core["index"] += np.int64(row["weight"]) * (price - np.int64(row["counted"]))
    row["counted"] = price
    if core["index"] > core["index_alarm"]:
        return True
    core["alarm"] = 1
    return False


@leaf
def mind_bound(m, side, price):
    """A SIDE row gains an order at `price`, or loses the last one there: where that is the bound up to which a confined side
    may trade, the breaker must look before anything else happens.
    """
    book = m.books[side >> 1]
    if book["confined"] != 0 and price == (book["floor"] if side & 1 else book["ceiling"]):
        book["alarm"], m.core[0]["alarm"] = 1, 1
