"""Price-time priority: enter, match, rest, cancel, replace. Every refusal is known before anything here is called.

Where orders rest is `levels`, how they are remembered `memory`. Nothing here looks for the next price by walking: the ladder
knows it.
An order that fills more makers than one batch has room for stops in front of a fill and goes on, as `core.taker`, in the next.
"""

import numpy as np

from fixsim.engine.corridor import is_beyond, is_outside, is_watched, note_trade
from fixsim.engine.index import add_name
from fixsim.engine.jit import kernel, part
from fixsim.engine.ladder import HEIGHT_MAX, ladder_first_from, price_key
from fixsim.engine.levels import MARKET, leave, own_side, park, rest, unlink, unpark
from fixsim.engine.memory import close, limit_names, retire, take_order
from fixsim.engine.report import report
from fixsim.engine.risk import risk_cancel, risk_fill, risk_open, risk_release, risk_replace, risk_reprice
from fixsim.engine.tape import has_fill_room
from fixsim.layout import NIL, PARKED, Phase
from fixsim.limits import PRICE_TICKS_MAX

#: What an order kernel returns.
DONE = 0
MORE = 1  # the batch is full: seal it, then `resume`
HELD = 2  # a breaker must look at `core.taker` before it goes on: `exchange.breakers`

IOC = 0x33
FOK = 0x34
GTC = 0x31
AT_THE_CLOSE = 0x37
NEW, PARTIALLY_FILLED, FILLED, CANCELED, REPLACED, EXPIRED, TRADE = 0x30, 0x31, 0x32, 0x34, 0x35, 0x43, 0x46
SUSPENDED, RESTATED = 0x39, 0x44
CONTINUOUS, CLOSING_AUCTION = Phase.CONTINUOUS, Phase.CLOSING_AUCTION
#: ExecRestatementReason(378).
REPRICING, ON_TRADING_HALT, EXCHANGE_OPTION = 3, 6, 8
ADDED_LIQUIDITY, REMOVED_LIQUIDITY = 0x31, 0x32


# ---------------------------------------------------------------- matching


@part
def fill(m, taker, maker, row, lots):
    """Trade `lots` of `taker` against `maker`, the oldest order of LEVEL row `row`, and report it to both."""
    price = np.int64(m.levels[row]["price"])
    incoming, resting = m.orders[taker], m.orders[maker]
    core = m.core[0]
    core["match_id"] += 1
    book = m.books[np.int64(incoming["book"])]
    book["last_price"], book["last_lots"] = price, lots
    value = price * lots
    risk_fill(m, taker, price, lots)
    risk_fill(m, maker, price, lots)
    incoming["leaves"] -= lots
    incoming["cum"] += lots
    incoming["notional"] += value
    incoming["status"] = FILLED if incoming["leaves"] == 0 else PARTIALLY_FILLED
    m.levels[row]["lots"] -= lots
    resting["leaves"] -= lots
    resting["cum"] += lots
    resting["notional"] += value
    resting["status"] = FILLED if resting["leaves"] == 0 else PARTIALLY_FILLED
    report(m, taker, TRADE, np.int64(incoming["name"]), NIL, np.int64(incoming["echo"]), lots, price, REMOVED_LIQUIDITY)
    report(m, maker, TRADE, np.int64(resting["name"]), NIL, np.int64(resting["echo"]), lots, price, ADDED_LIQUIDITY)
    if resting["leaves"] == 0:
        unlink(m, maker)
        close(m, maker)


@kernel
def limit_key(order, opposite):
    """Highest key of SIDE row `opposite` that the order may trade at."""
    if order["ord_type"] == MARKET and order["guarded"] != 0:
        return price_key(opposite, np.int64(order["worth"]))
    if order["ord_type"] == MARKET:
        return np.int64(PRICE_TICKS_MAX)
    return price_key(opposite, np.int64(order["price"]))


@part
def match(m, slot):
    """Trade as long as the price allows. Returns DONE, MORE when the batch has no room, HELD when a breaker must look first."""
    order = m.orders[slot]
    book = np.int64(order["book"])
    watched = is_watched(m.books[book])
    opposite = own_side(order) ^ 1
    limit = limit_key(order, opposite)
    while order["leaves"] > 0:
        row = np.int64(m.sides[opposite]["best"])
        if row == NIL:
            break
        price = np.int64(m.levels[row]["price"])
        if price_key(opposite, price) > limit:
            break
        if watched and is_outside(m.books[book], price):
            return HELD
        if not has_fill_room(m):
            return MORE
        maker = np.int64(m.levels[row]["head"])
        fill(m, slot, maker, row, min(np.int64(order["leaves"]), np.int64(m.orders[maker]["leaves"])))
        if watched and not note_trade(m, book, price):
            return HELD
    return DONE


@kernel
def can_fill_whole(m, slot):
    """Could all of a FOK order trade at once?"""
    order = m.orders[slot]
    opposite = own_side(order) ^ 1
    limit = limit_key(order, opposite)
    book = m.books[np.int64(order["book"])]
    wanted = np.int64(order["leaves"])
    row = np.int64(m.sides[opposite]["best"])
    while row != NIL and wanted > 0:
        price = np.int64(m.levels[row]["price"])
        key = price_key(opposite, price)
        if key > limit or is_outside(book, price):
            break
        wanted -= np.int64(m.levels[row]["lots"])
        row = ladder_first_from(m, opposite, key + 1)
    return wanted <= 0


@kernel
def cancel_rest(m, slot, exec_type, name, orig, route):
    """Say that what is left of an order that does not rest is gone, and close it."""
    risk_release(m, slot)
    order = m.orders[slot]
    order["leaves"], order["status"] = 0, exec_type
    report(m, slot, exec_type, name, orig, route, 0, 0, 0)
    close(m, slot)


@kernel
def work(m, slot):
    """Match an accepted order and settle what is left of it. Returns DONE, MORE or HELD."""
    order = m.orders[slot]
    if m.books[order["book"]]["phase"] != CONTINUOUS or order["tif"] == AT_THE_CLOSE:
        m.core[0]["taker"] = NIL
        return hold(m, slot)
    if order["tif"] != FOK or order["cum"] > 0 or can_fill_whole(m, slot):
        stopped = match(m, slot)
        if stopped != DONE:
            m.core[0]["taker"] = slot
            return stopped
    return settle(m, slot)


@kernel
def settle(m, slot):
    """What is left of an order that has met whom it could: nothing, a cancel, or a place in the book. Returns DONE or HELD."""
    order = m.orders[slot]
    core = m.core[0]
    core["taker"] = NIL
    if order["leaves"] == 0:
        close(m, slot)
    elif not may_rest(m, slot):
        cancel_rest(m, slot, CANCELED, np.int64(order["name"]), NIL, np.int64(order["echo"]))
    elif m.books[order["book"]]["confined"] != 0 and is_beyond(m.books[order["book"]], order["side"], order["price"]):
        core["taker"] = slot
        return HELD
    else:
        rest(m, slot)
    return DONE


@kernel
def hold(m, slot):
    """Settle an accepted order while nothing meets: it waits in its book, or outside of it, or is not for such times."""
    order = m.orders[slot]
    m.core[0]["taker"] = NIL
    if order["level"] == PARKED:
        return DONE
    if order["leaves"] == 0:
        close(m, slot)
    elif order["tif"] == FOK or order["tif"] == IOC or order["guarded"] != 0:
        # a call knows no price behind which a market order would stop
        cancel_rest(m, slot, CANCELED, np.int64(order["name"]), NIL, np.int64(order["echo"]))
    elif waits(m, order):
        park(m, slot)
    else:
        rest(m, slot)
    return DONE


@kernel
def waits(m, order):
    """Is it an at-close order before the closing auction?"""
    return order["tif"] == AT_THE_CLOSE and m.books[order["book"]]["phase"] != CLOSING_AUCTION


# ---------------------------------------------------------------- the four verbs


@kernel
def enter(m, session, book, side, ord_type, tif, price, lots, echo, text, begin, length):
    """Accept a NewOrderSingle(D): report it, match it, settle it. Returns DONE, MORE or HELD.

    `side`, `ord_type`, `tif` are ASCII codes, `price` ticks (0 for market), `lots` lots, `echo` an ECHO row or NIL; the
    ClOrdID is `length` bytes of `text` from `begin`. All refusals were looked for before.
    """
    slot = take_order(m)
    order = m.orders[slot]
    core = m.core[0]
    core["order_id"] += 1
    order["price"], order["qty"], order["leaves"] = price, lots, lots
    order["cum"], order["notional"], order["order_id"] = 0, 0, core["order_id"]
    order["next"], order["prev"], order["level"], order["echo"] = NIL, NIL, NIL, echo
    order["day"], order["names"], order["book"], order["session"] = core["day"], 0, book, session
    order["side"], order["ord_type"], order["tif"], order["status"] = side, ord_type, tif, NEW
    order["inst"], order["until"] = 0, 0
    risk_open(m, slot)
    if echo != NIL:
        m.echoes[echo]["refs"] += 1
    name = add_name(m, session, slot, text, begin, length, 0)
    order["name"] = name
    m.sessions[session]["open_orders"] += 1
    core["open_orders"] += 1
    if tif == AT_THE_CLOSE and waits(m, order):
        park(m, slot)
    report(m, slot, NEW, name, NIL, echo, 0, 0, 0)
    return work(m, slot)


@kernel
def cancel(m, slot, route, text, begin, length):
    """Accept an OrderCancelRequest(F) for an open order.

    `route` is the ECHO row with the request's routing, or NIL; its id is `length` bytes of `text` from `begin`.
    """
    session = np.int64(m.orders[slot]["session"])
    risk_cancel(m, slot)
    limit_names(m, slot)
    request = add_name(m, session, slot, text, begin, length, 1)
    leave(m, slot)
    # before the order's own id is: a row must not outlive the id it goes by
    retire(m, session, request)
    cancel_rest(m, slot, CANCELED, request, np.int64(m.orders[slot]["name"]), route)


@kernel
def replace(m, slot, price, lots, route, text, begin, length):
    """Accept an OrderCancelReplaceRequest(G) for an open order. Returns DONE, MORE or HELD.

    `lots` is the new total, `price` the new price in ticks (0 for a market order); both are known to be good. `route`
    is the ECHO row with the request's routing, or NIL. Less at the same price keeps the place.
    """
    order = m.orders[slot]
    session = np.int64(order["session"])
    former = np.int64(order["name"])
    limit_names(m, slot)
    name = add_name(m, session, slot, text, begin, length, 0)
    order["name"] = name
    lots = max(lots, np.int64(order["cum"]))
    keeps = price == order["price"] and lots <= order["qty"] and lots > order["cum"]
    leaves = lots - np.int64(order["cum"])
    risk_replace(m, slot, price, leaves)
    parked = order["level"] == PARKED
    if not keeps:
        leave(m, slot)
    elif not parked:
        m.levels[order["level"]]["lots"] -= order["leaves"] - leaves
    order["price"], order["qty"], order["leaves"] = price, lots, leaves
    if leaves == 0:
        order["status"] = FILLED
    elif parked and not keeps:
        park(m, slot)
    report(m, slot, REPLACED, name, former, route, 0, 0, 0)
    retire(m, session, former)
    if keeps:
        return DONE
    return work(m, slot)


@kernel
def expire(m, slot):
    """The time of an open order is over: 150=C."""
    leave(m, slot)
    cancel_rest(m, slot, EXPIRED, np.int64(m.orders[slot]["name"]), NIL, np.int64(m.orders[slot]["echo"]))


@kernel
def withdraw(m, slot, reason):
    """The exchange cancels an open order: 150=4 with `reason` as ExecRestatementReason(378)."""
    leave(m, slot)
    m.core[0]["restatement"] = reason
    cancel_rest(m, slot, CANCELED, np.int64(m.orders[slot]["name"]), NIL, np.int64(m.orders[slot]["echo"]))
    m.core[0]["restatement"] = 0


@kernel
def suspend(m, slot):
    """Put a resting order aside while trading is halted: 150=9."""
    unlink(m, slot)
    order = m.orders[slot]
    order["status"] = SUSPENDED
    park(m, slot)
    report(m, slot, SUSPENDED, np.int64(order["name"]), NIL, np.int64(order["echo"]), 0, 0, 0)


@kernel
def is_stopped(m, slot):
    """Would an order on its way trade next, or rest, where its instrument may not trade?"""
    order = m.orders[slot]
    book = m.books[np.int64(order["book"])]
    opposite = own_side(order) ^ 1
    row = np.int64(m.sides[opposite]["best"])
    if order["leaves"] > 0 and row != NIL:
        price = np.int64(m.levels[row]["price"])
        if price_key(opposite, price) <= limit_key(order, opposite):
            return is_outside(book, price)
    return may_rest(m, slot) and book["confined"] != 0 and is_beyond(book, order["side"], order["price"])


@kernel
def may_rest(m, slot):
    """Is it an order whose rest waits in the book?"""
    order = m.orders[slot]
    return order["tif"] != FOK and order["tif"] != IOC and order["ord_type"] != MARKET


@kernel
def reprice(m, slot, price):
    """The exchange changes the price of an order that does not rest: 150=D with 378=3."""
    order = m.orders[slot]
    risk_reprice(m, slot, price)
    order["price"] = price
    m.core[0]["restatement"] = REPRICING
    report(m, slot, RESTATED, np.int64(order["name"]), NIL, np.int64(order["echo"]), 0, 0, 0)
    m.core[0]["restatement"] = 0


@kernel
def pull(m, slot, price):
    """The same for one that rests: it goes to the back of its new price."""
    unlink(m, slot)
    reprice(m, slot, price)
    rest(m, slot)


@kernel
def activate(m, slot):
    """An order that waited comes into the book, behind those of its price: 150=D. Nothing meets yet."""
    unpark(m, slot)
    order = m.orders[slot]
    order["status"] = NEW if order["cum"] == 0 else PARTIALLY_FILLED
    m.core[0]["restatement"] = EXCHANGE_OPTION
    report(m, slot, RESTATED, np.int64(order["name"]), NIL, np.int64(order["echo"]), 0, 0, 0)
    m.core[0]["restatement"] = 0
    rest(m, slot)


@kernel
def resume(m):
    """Go on with the order that did not fit the last batch. Returns DONE, MORE or HELD."""
    return work(m, np.int64(m.core[0]["taker"]))


@kernel
def has_level_room(m):
    """Is there room for another price, whatever it is?"""
    core = m.core[0]
    return core["levels_used"] < m.levels.size and core["nodes_used"] + 2 * HEIGHT_MAX <= m.node_bits.size


@kernel
def has_order_room(m):
    """Is there room for another open order at a new price?"""
    return m.core[0]["open_orders"] < m.core[0]["open_orders_max"] and has_level_room(m)
