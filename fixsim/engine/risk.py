"""Limits before the book: may this order be entered, and what does it hold while it lives?

`risk_fault` looks and writes nothing; both doors ask it, and what it says is a number that `exchange/risk.py` has words for.
`risk_open`, `risk_fill`, `risk_release` and `risk_replace` keep the running sums; the book calls them where an order is
entered, traded, closed and replaced. An order whose session nobody limits has no PARTY row and pays one comparison.
Money is price in ticks x lots x the factor of the instrument, in minor units of the venue's currency: exact, never rounded.
"""

import numpy as np

from fixsim.engine.jit import kernel, leaf
from fixsim.engine.parties import UNKNOWN, find_party
from fixsim.engine.repeats import find_duplicate, has_duplicate_room, remember_terms, terms_kind
from fixsim.engine.worth import BPS, BUY, MARKET, best_limit, market_worth, replaced_worth, sell_worth
from fixsim.layout import NIL, OWNERS_EACH
from fixsim.limits import MONEY_MAX

SHORT = 0x35

# What `risk_fault` says; 0 when nothing stands against the order. The scope of the owner is added, times SCOPE.
PRICE_MIN, PRICE_MAX, COLLAR_STATIC, COLLAR_LAST, COLLAR_MID, ORDER_QTY, ORDER_NOTIONAL = 1, 2, 3, 4, 5, 6, 7
DUPLICATE_TERMS, POSITION, LOSS, GROSS, NET, CREDIT = 8, 9, 10, 11, 12, 13
OPEN_NOTIONAL, OPEN_ORDERS, ORDER_RATE, RATIO, DUPLICATE_MEMORY = 14, 15, 16, 17, 18
SCOPE = 32
#: Is added where a limit of money stands against an order only because no price is known to count it at.
UNPRICED = 128
#: Value of such an order.
NO_PRICE = -(1 << 62)

#: One token of a bucket.
TOKEN = 1_000_000_000


# ---------------------------------------------------------------- rates


@leaf
def venue_now(m):
    """Venue time, ns: driven, or that of the turn."""
    driven_ns = np.int64(m.core[0]["venue_ns"])
    return driven_ns if driven_ns != 0 else np.int64(m.tape[0]["now_ns"])


@leaf
def tokens_now(level, since_ns, rate, burst, full_ns, now_ns):
    """Tokens of a bucket that held `level` at `since_ns`, refilled at `rate` a second up to `burst`; all but `rate` in 1/TOKEN.

    After `full_ns` it is full, whatever it held.
    """
    return min(burst, level + min(max(0, now_ns - since_ns), full_ns) * rate)


@leaf
def message_tokens(m, owner, now_ns):
    """Tokens that a session's messages have left, in 1/TOKEN; OWNER row `owner` has a message rate."""
    row = m.owners[owner]
    return tokens_now(
        np.int64(row["message_tokens"]), np.int64(row["message_ns"]), np.int64(row["message_rate"]),
        np.int64(row["message_burst"]), np.int64(row["message_full_ns"]), now_ns,
    )  # fmt: skip


@kernel
def has_message_token(m, session):
    """May the session say another message now?"""
    owner = np.int64(m.sessions[session]["risk"])
    if owner == NIL or m.owners[owner]["message_rate"] == 0:
        return True
    return message_tokens(m, owner, venue_now(m)) >= TOKEN


@kernel
def take_message_token(m, session):
    """A message of the session is taken; its bucket may be empty already."""
    owner = np.int64(m.sessions[session]["risk"])
    if owner == NIL or m.owners[owner]["message_rate"] == 0:
        return
    now_ns = venue_now(m)
    row = m.owners[owner]
    row["message_tokens"] = max(0, message_tokens(m, owner, now_ns) - TOKEN)
    row["message_ns"] = now_ns


@leaf
def order_tokens(row, now_ns):
    """Tokens that orders of an OWNER row with an order rate have left, in 1/TOKEN."""
    return tokens_now(
        np.int64(row["order_tokens"]), np.int64(row["order_ns"]), np.int64(row["order_rate"]),
        np.int64(row["order_burst"]), np.int64(row["order_full_ns"]), now_ns,
    )  # fmt: skip


@leaf
def count_request(row, now_ns):
    """A D or G is accepted: it counts for the order-to-trade ratio and for the order rate."""
    row["requests"] += 1
    if row["order_rate"] != 0:
        row["order_tokens"] = order_tokens(row, now_ns) - TOKEN
        row["order_ns"] = now_ns


# ---------------------------------------------------------------- looking


@leaf
def beyond(price, reference_twice, bps):
    """Is `price` further than `bps` from half of `reference_twice`?"""
    return abs(2 * price - reference_twice) * BPS > bps * reference_twice


@leaf
def price_fault(m, row, book, price):
    """What stands against the price of a limit order; 0 for nothing. `row` is its PARTY row."""
    if price < row["price_min"]:
        return PRICE_MIN
    if price > row["price_max"]:
        return PRICE_MAX
    if price < row["band_low"] or price > row["band_high"]:
        return COLLAR_STATIC
    last = np.int64(m.books[book]["last_price"])
    if row["last_bps"] != 0 and last != 0 and beyond(price, 2 * last, np.int64(row["last_bps"])):
        return COLLAR_LAST
    if row["mid_bps"] != 0:
        bid, ask = best_limit(m, 2 * book), best_limit(m, 2 * book + 1)
        if bid != NIL and ask != NIL:
            twice = np.int64(m.levels[bid]["price"]) + np.int64(m.levels[ask]["price"])
            if beyond(price, twice, np.int64(row["mid_bps"])):
                return COLLAR_MID
    return 0


@leaf
def exceeds(total, value, most):
    """Would `value` on top of `total` be more than `most`? NO_PRICE would, wherever there is a limit."""
    if value == NO_PRICE:
        return most < MONEY_MAX
    return total + value > most


@leaf
def unpriced(fault, value):
    """What is said where `fault` of some owner stands against an order of `value`."""
    what = fault % SCOPE
    counts = what == GROSS or what == NET or what == CREDIT or what == OPEN_NOTIONAL
    return fault + UNPRICED if counts and value == NO_PRICE else fault


@leaf
def size_fault(row, worth, lots):
    """What stands against the size of an order of `lots` at `worth` ticks, 0 for no price; `row` is its PARTY row."""
    if lots > row["lots_max"]:
        return ORDER_QTY
    if worth * lots > row["value_max"]:
        return ORDER_NOTIONAL
    if worth == 0 and row["factor"] != 0 and row["value_max"] < MONEY_MAX // np.int64(row["factor"]):
        return ORDER_NOTIONAL + UNPRICED
    return 0


@leaf
def holding_fault(m, owner, holding, buys, lots, value):
    """What stands against `lots` more, worth `value`, in what an OWNER row holds; 0 for nothing."""
    row = m.owners[owner]
    closes = False
    if holding != NIL:
        held = m.holdings[holding]
        position = np.int64(held["position"])
        if buys:
            most = position + held["buys"] + lots
            closes = position < 0 and most <= 0
        else:
            most = held["sells"] + lots - position
            closes = position > 0 and most <= 0
        if most > held["position_max"]:
            return POSITION
    if closes:
        return 0
    net, working = np.int64(row["net"]), np.int64(row["open_buy"]) if buys else np.int64(row["open_sell"])
    if row["stopped"] != 0 or row["opening"] + row["spent"] - net > row["loss_max"]:
        return LOSS
    if exceeds(row["gross"] + row["open_buy"] + row["open_sell"], value, row["gross_max"]):
        return GROSS
    if exceeds((net if buys else -net) + working, value, row["net_max"]):
        return NET
    if buys and exceeds(row["spent"] + working, value, row["credit_max"]):
        return CREDIT
    return 0


@leaf
def activity_fault(row, opens, value, now_ns):
    """What stands against an order (`opens`) or a replace, worth `value` more, in how busy an OWNER row is; 0 for nothing."""
    if (value > 0 or value == NO_PRICE) and exceeds(row["open_buy"] + row["open_sell"], value, row["open_notional_max"]):
        return OPEN_NOTIONAL
    if opens and row["open_orders"] >= row["open_orders_max"]:
        return OPEN_ORDERS
    if row["order_rate"] != 0 and order_tokens(row, now_ns) < TOKEN:
        return ORDER_RATE
    if row["ratio_max"] != 0 and row["requests"] >= row["ratio_free"]:
        if row["requests"] >= row["ratio_max"] * max(1, np.int64(row["trades"])):
            return RATIO
    return 0


@leaf
def owners_fault(m, party, book, kind, side, price, lots, value):
    """What stands against a new order, of `value`, in the sums of its owners, one after the other; 0 for nothing.

    `kind` are side, type and time in force, `price` what the order says: 0 for a market order.
    """
    now_ns, remembered = venue_now(m), 0
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        owner = np.int64(m.party_owners[place])
        row = m.owners[owner]
        fault = 0
        if row["duplicate_ns"] != 0:
            if find_duplicate(m, owner, book, kind, price, lots, now_ns):
                fault = DUPLICATE_TERMS
            elif not has_duplicate_room(m, remembered, now_ns):
                return DUPLICATE_MEMORY
            remembered += 1
        if fault == 0:
            fault = holding_fault(m, owner, np.int64(m.party_holdings[place]), side == BUY, lots, value)
        if fault == 0:
            fault = activity_fault(row, True, value, now_ns)
        if fault != 0:
            return fault + SCOPE * np.int64(row["scope"])
    return 0


@kernel
def risk_fault(m, party, book, side, ord_type, tif, price, lots):
    """What stands against a new order of PARTY row `party`: a code from above, 0 for nothing. Looks only.

    `price` is in ticks, 0 for a market order.
    """
    row = m.parties[party]
    if ord_type == MARKET:
        worth, _ = market_worth(m, party, book, side, tif, lots)
    else:
        fault = price_fault(m, row, book, price)
        if fault != 0:
            return fault
        worth = price if side == BUY else sell_worth(m, book, price)
    fault = size_fault(row, worth, lots)
    if fault != 0:
        return fault
    value = worth * lots * np.int64(row["factor"]) if worth != 0 else np.int64(NO_PRICE)
    return unpriced(owners_fault(m, party, book, terms_kind(side, ord_type, tif), side, price, lots, value), value)


@kernel
def replace_fault(m, slot, price, lots):
    """What stands against a replace of a resting order by `lots` in all at `price`: as if new, without what it holds now.

    One that asks for no more, at no price that is worth more, is looked at for its price and for rates alone.
    """
    order = m.orders[slot]
    party = np.int64(order["party"])
    row = m.parties[party]
    book, limit = np.int64(order["book"]), order["ord_type"] != MARKET
    if limit and price != order["price"]:
        fault = price_fault(m, row, book, price)
        if fault != 0:
            return fault
    leaves = max(0, lots - np.int64(order["cum"]))
    worth = replaced_worth(m, slot, price, leaves)
    raises = leaves > order["leaves"] or worth * leaves > order["worth"] * order["leaves"]
    more_lots = more_value = np.int64(0)
    if raises:
        fault = size_fault(row, worth, lots)
        if fault != 0:
            return fault
        more_lots, more_value = leaves - np.int64(order["leaves"]), np.int64(NO_PRICE)
        if worth != 0:
            more_value = (worth * leaves - np.int64(order["worth"]) * np.int64(order["leaves"])) * np.int64(row["factor"])
    return unpriced(raised_fault(m, party, slot, raises, more_lots, more_value), more_value)


@kernel
def raised_fault(m, party, slot, raises, more_lots, more_value):
    """As `owners_fault`, for a replace: it comes on top of what its order holds already."""
    now_ns = venue_now(m)
    order = m.orders[slot]
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        owner = np.int64(m.party_owners[place])
        row = m.owners[owner]
        fault = 0
        if raises:
            fault = holding_fault(m, owner, np.int64(m.party_holdings[place]), order["side"] == BUY, more_lots, more_value)
        if fault == 0:
            fault = activity_fault(row, False, more_value, now_ns)
        if fault != 0:
            return fault + SCOPE * np.int64(row["scope"])
    return 0


@kernel
def admits_order(m, session, echo, book, side, ord_type, tif, price, lots):
    """May the fast door enter this order? What has to be looked at more closely is the slow door's."""
    party = find_party(m, session, echo, book)
    if party == NIL:
        return True
    if party == UNKNOWN or m.parties[party]["restricted"] != 0 or (side == SHORT and m.parties[party]["shorts"] != 0):
        return False
    return risk_fault(m, party, book, side, ord_type, tif, price, lots) == 0


@kernel
def admits_replace(m, slot, price, lots):
    """May the fast door replace this resting order?"""
    party = np.int64(m.orders[slot]["party"])
    return party == NIL or (m.parties[party]["restricted"] == 0 and replace_fault(m, slot, price, lots) == 0)


# ---------------------------------------------------------------- the running sums


@leaf
def reserve(m, place, buys, lots, value):
    """`lots`, worth `value`, more (or, negative, less) are working for the owner at `place` of a party."""
    row = m.owners[np.int64(m.party_owners[place])]
    holding = np.int64(m.party_holdings[place])
    if buys:
        row["open_buy"] += value
    else:
        row["open_sell"] += value
    if holding != NIL:
        if buys:
            m.holdings[holding]["buys"] += lots
        else:
            m.holdings[holding]["sells"] += lots


@kernel
def risk_open(m, slot):
    """An order is accepted: it knows its party, and what it could cost is reserved."""
    order = m.orders[slot]
    session, book = np.int64(order["session"]), np.int64(order["book"])
    order["party"], order["guarded"] = NIL, 0
    if m.sessions[session]["risk"] == NIL:
        return
    party = find_party(m, session, np.int64(order["echo"]), book)
    if party < 0:
        return
    order["party"] = party
    price, lots, buys = np.int64(order["price"]), np.int64(order["leaves"]), order["side"] == BUY
    worth = price
    if order["ord_type"] == MARKET:
        worth, bound = market_worth(m, party, book, np.int64(order["side"]), np.int64(order["tif"]), lots)
        if bound != 0:
            # it never outlives its matching: nobody is looked at while it holds less than it was looked at for
            worth, order["guarded"] = bound, 1
    elif not buys:
        worth = sell_worth(m, book, price)
    order["worth"] = worth
    value, now_ns = worth * lots * np.int64(m.parties[party]["factor"]), venue_now(m)
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        reserve(m, place, buys, lots, value)
        owner = np.int64(m.party_owners[place])
        row = m.owners[owner]
        row["open_orders"] += 1
        count_request(row, now_ns)
        if row["duplicate_ns"] != 0:
            remember_terms(m, owner, book, terms_kind(order["side"], order["ord_type"], order["tif"]), price, lots, now_ns)


@kernel
def risk_fill(m, slot, price, lots):
    """`lots` of an order trade at `price`: what was reserved becomes a position. Its row is as it was before."""
    order = m.orders[slot]
    party = np.int64(order["party"])
    if party == NIL:
        return
    book = m.books[np.int64(order["book"])]
    if book["mark"] == 0:
        book["mark"] = min(price, np.int64(book["mark_max"]))
    factor, buys, ends = np.int64(m.parties[party]["factor"]), order["side"] == BUY, order["leaves"] == lots
    signed = lots if buys else -lots
    value, unit, freed = price * signed * factor, np.int64(book["mark"]) * factor, np.int64(order["worth"]) * lots * factor
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        reserve(m, place, buys, -lots, -freed)
        row = m.owners[np.int64(m.party_owners[place])]
        row["trades"] += 1
        if ends:
            row["open_orders"] -= 1
        holding = np.int64(m.party_holdings[place])
        if holding == NIL:
            continue
        held = m.holdings[holding]
        before = np.int64(held["position"])
        held["position"] = before + signed
        row["net"] += unit * signed
        row["gross"] += unit * (abs(before + signed) - abs(before))
        row["spent"] = max(-MONEY_MAX, min(MONEY_MAX, np.int64(row["spent"]) + value))


@kernel
def risk_release(m, slot):
    """What is left of an order will not trade any more: it is about to be closed."""
    order = m.orders[slot]
    party = np.int64(order["party"])
    if party == NIL:
        return
    lots, buys = np.int64(order["leaves"]), order["side"] == BUY
    value = np.int64(order["worth"]) * lots * np.int64(m.parties[party]["factor"])
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        reserve(m, place, buys, -lots, -value)
        m.owners[np.int64(m.party_owners[place])]["open_orders"] -= 1


@kernel
def risk_replace(m, slot, price, leaves):
    """An open order gets another price, or another quantity left (0 ends it); its row has the old ones."""
    order = m.orders[slot]
    party = np.int64(order["party"])
    if party == NIL:
        return
    lots, worth, buys = np.int64(order["leaves"]), np.int64(order["worth"]), order["side"] == BUY
    changed = replaced_worth(m, slot, price, leaves)
    order["worth"] = changed
    value, now_ns = (changed * leaves - worth * lots) * np.int64(m.parties[party]["factor"]), venue_now(m)
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        reserve(m, place, buys, leaves - lots, value)
        row = m.owners[np.int64(m.party_owners[place])]
        count_request(row, now_ns)
        if leaves == 0:
            row["open_orders"] -= 1


@kernel
def risk_reprice(m, slot, price):
    """The exchange gives an open limit order another price; nobody has asked for it."""
    order = m.orders[slot]
    party = np.int64(order["party"])
    if party == NIL:
        return
    worth = price if order["side"] == BUY else max(price, np.int64(order["worth"]))
    value = (worth - np.int64(order["worth"])) * np.int64(order["leaves"]) * np.int64(m.parties[party]["factor"])
    order["worth"] = worth
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        reserve(m, place, order["side"] == BUY, 0, value)


@kernel
def risk_cancel(m, slot):
    """An open order is cancelled because its owner asked for it."""
    party = np.int64(m.orders[slot]["party"])
    if party == NIL:
        return
    for place in range(OWNERS_EACH * party, OWNERS_EACH * party + np.int64(m.parties[party]["count"])):
        m.owners[np.int64(m.party_owners[place])]["requests"] += 1
