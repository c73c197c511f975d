"""Rows of orders, and the memory of ids: what is closed is known by its ids until they are forgotten."""

import numpy as np

from fixsim.engine.index import drop_name, name_rows
from fixsim.engine.jit import kernel
from fixsim.layout import NIL
from fixsim.limits import ORDER_NAMES_MAX


@kernel
def take_order(m):
    """An unused ORDER row; the caller made sure there is one."""
    core = m.core[0]
    row = np.int64(core["orders_free"])
    if row == NIL:
        row = np.int64(core["orders_fresh"])
        core["orders_fresh"] += 1
    else:
        core["orders_free"] = m.orders[row]["next"]
    core["orders_used"] += 1
    return row


@kernel
def give_order(m, slot):
    """Give back the row of a closed order that nobody can name any more."""
    core = m.core[0]
    echo = np.int64(m.orders[slot]["echo"])
    if echo != NIL:
        m.echoes[echo]["refs"] -= 1
    m.orders[slot]["next"] = core["orders_free"]
    core["orders_free"] = slot
    core["orders_used"] -= 1


@kernel
def forget_oldest(m, session):
    """Drop the oldest retired id of a session, and its order when that was the last id of it."""
    row = m.sessions[session]
    name = np.int64(row["oldest"])
    row["oldest"] = m.names[name]["newer"]
    if row["oldest"] == NIL:
        row["newest"] = NIL
    row["retired"] -= 1
    m.core[0]["retired_rows"] -= name_rows(np.int64(m.names[name]["length"]))
    order = drop_name(m, name)
    if m.orders[order]["names"] == 0:
        give_order(m, order)


@kernel
def longest_memory(m, session):
    """SESSION row that remembers most ids, as far as is known; `session`, which remembers one, and another are looked at."""
    core = m.core[0]
    probe = np.int64(core["probe"]) + 1
    if probe >= m.sessions.size or m.sessions[probe]["id"] == 0:
        probe = np.int64(0)
    longest = np.int64(core["longest"])
    for candidate in (probe, np.int64(session)):
        if m.sessions[candidate]["retired"] > m.sessions[longest]["retired"]:
            longest = candidate
    core["probe"], core["longest"] = probe, longest
    return longest


@kernel
def retire(m, session, name):
    """An id no longer names an open order: queue it, and forget the oldest beyond the memory.

    Where the memory of all sessions is full, the session that remembers most gives way.
    """
    row, core = m.sessions[session], m.core[0]
    m.names[name]["newer"] = NIL
    if row["newest"] == NIL:
        row["oldest"] = name
    else:
        m.names[row["newest"]]["newer"] = name
    row["newest"] = name
    row["retired"] += 1
    core["retired_rows"] += name_rows(np.int64(m.names[name]["length"]))
    if row["retired"] > core["name_memory"]:
        forget_oldest(m, session)
    while core["retired_rows"] > core["memory"]:
        forget_oldest(m, longest_memory(m, session))


@kernel
def limit_names(m, slot):
    """Forget the oldest ids of a session until one of its open orders may get another."""
    while m.orders[slot]["names"] >= ORDER_NAMES_MAX:
        forget_oldest(m, np.int64(m.orders[slot]["session"]))


@kernel
def forget_all(m, session):
    """A new trading day: ids that name no open order may be used again."""
    while m.sessions[session]["oldest"] != NIL:
        forget_oldest(m, session)


@kernel
def close(m, slot):
    """An order is filled, cancelled or expired, and its last report is said."""
    session = np.int64(m.orders[slot]["session"])
    m.sessions[session]["open_orders"] -= 1
    m.core[0]["open_orders"] -= 1
    retire(m, session, np.int64(m.orders[slot]["name"]))
