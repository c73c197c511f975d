"""Prices of one side in order, at any distance from each other.

A ladder is a 32-way radix tree over price *keys*, made so that the lowest key is the best price: an ask's key is its
price, a bid's is the highest price minus its own. The tree covers just the keys in use: the root has a prefix, and a
key outside makes it grow by levels of five bits. Best price is a field; insert, remove and "next worse" walk at most
one path of eight nodes, however many levels there are, and near neighbours share their lowest node, so the usual walk
is one bit scan.
"""

import numpy as np

from fixsim.engine.jit import kernel, leaf
from fixsim.layout import LADDER_BITS, LADDER_FAN, NIL
from fixsim.limits import PRICE_TICKS_MAX

#: Nodes on the longest path: 40 bits of key, five at a time.
HEIGHT_MAX = 8
CHILD_MASK = LADDER_FAN - 1

assert (1 << (LADDER_BITS * HEIGHT_MAX)) > PRICE_TICKS_MAX


@leaf
def price_key(side, price):
    """Key of `price` on row `side` (even: bids, odd: asks); lowest is best. Its own inverse."""
    if side & 1:
        return price
    return PRICE_TICKS_MAX - price


@leaf
def lowest_bit(bits):
    """Number of the lowest bit set; `bits` is not zero and below 2**32."""
    number = 0
    if bits & 0xFFFF == 0:
        bits >>= 16
        number += 16
    if bits & 0xFF == 0:
        bits >>= 8
        number += 8
    if bits & 0xF == 0:
        bits >>= 4
        number += 4
    if bits & 0x3 == 0:
        bits >>= 2
        number += 2
    if bits & 0x1 == 0:
        number += 1
    return number


@leaf
def take_node(m):
    """An empty node; the caller made sure there is one."""
    core = m.core[0]
    node = np.int64(core["nodes_free"])
    if node == NIL:
        node = np.int64(core["nodes_fresh"])
        core["nodes_fresh"] += 1
    else:
        core["nodes_free"] = m.node_child[node * LADDER_FAN]
    core["nodes_used"] += 1
    m.node_bits[node] = 0
    return node


@leaf
def give_node(m, node):
    """Give a node back."""
    core = m.core[0]
    m.node_child[node * LADDER_FAN] = core["nodes_free"]
    core["nodes_free"] = node
    core["nodes_used"] -= 1


@kernel
def ladder_find(m, side, key):
    """LEVEL row at `key`, NIL if there is none."""
    ladder = m.sides[side]
    height = np.int64(ladder["height"])
    if height == 0 or (key >> (LADDER_BITS * height)) != ladder["prefix"]:
        return np.int64(NIL)
    node = np.int64(ladder["root"])
    for depth in range(height - 1, -1, -1):
        child = (key >> (LADDER_BITS * depth)) & CHILD_MASK
        if (m.node_bits[node] >> child) & 1 == 0:
            return np.int64(NIL)
        node = np.int64(m.node_child[node * LADDER_FAN + child])
    return node


@kernel
def ladder_insert(m, side, key, level):
    """Put LEVEL row `level` at `key`, which is free; the caller made sure of 2 x HEIGHT_MAX nodes."""
    ladder = m.sides[side]
    height = np.int64(ladder["height"])
    if height == 0:
        height = 1
        ladder["root"], ladder["height"], ladder["prefix"] = take_node(m), 1, key >> LADDER_BITS
    while (key >> (LADDER_BITS * height)) != ladder["prefix"]:
        root = take_node(m)
        child = np.int64(ladder["prefix"]) & CHILD_MASK
        m.node_bits[root] = np.int64(1) << child
        m.node_child[root * LADDER_FAN + child] = ladder["root"]
        height += 1
        ladder["root"], ladder["height"], ladder["prefix"] = root, height, ladder["prefix"] >> LADDER_BITS
    node = np.int64(ladder["root"])
    for depth in range(height - 1, 0, -1):
        child = (key >> (LADDER_BITS * depth)) & CHILD_MASK
        if (m.node_bits[node] >> child) & 1 == 0:
            m.node_bits[node] |= np.int64(1) << child
            m.node_child[node * LADDER_FAN + child] = take_node(m)
        node = np.int64(m.node_child[node * LADDER_FAN + child])
    child = key & CHILD_MASK
    m.node_bits[node] |= np.int64(1) << child
    m.node_child[node * LADDER_FAN + child] = level
    ladder["levels"] += 1


@kernel
def ladder_remove(m, side, key):
    """Take out the level at `key`, which is there, and every node that has become empty."""
    ladder = m.sides[side]
    ladder["levels"] -= 1
    height = np.int64(ladder["height"])
    if ladder["levels"] == 0:
        node = np.int64(ladder["root"])
        for depth in range(height - 1, -1, -1):
            child = np.int64(m.node_child[node * LADDER_FAN + ((key >> (LADDER_BITS * depth)) & CHILD_MASK)])
            give_node(m, node)
            node = child
        ladder["root"], ladder["height"], ladder["prefix"] = NIL, 0, 0
        return
    # The deepest node on the path that keeps another child is where the cut is made.
    keeper = np.int64(ladder["root"])
    keeper_depth = height - 1
    node = keeper
    for depth in range(height - 1, -1, -1):
        bits = m.node_bits[node]
        if bits & (bits - 1) != 0:
            keeper, keeper_depth = node, depth
        node = np.int64(m.node_child[node * LADDER_FAN + ((key >> (LADDER_BITS * depth)) & CHILD_MASK)])
    child = (key >> (LADDER_BITS * keeper_depth)) & CHILD_MASK
    m.node_bits[keeper] &= ~(np.int64(1) << child)
    node = np.int64(m.node_child[keeper * LADDER_FAN + child])
    for depth in range(keeper_depth - 1, -1, -1):
        below = np.int64(m.node_child[node * LADDER_FAN + ((key >> (LADDER_BITS * depth)) & CHILD_MASK)])
        give_node(m, node)
        node = below


@kernel
def ladder_first_from(m, side, key):
    """LEVEL row with the lowest key at or above `key`, NIL if there is none."""
    ladder = m.sides[side]
    height = np.int64(ladder["height"])
    if height == 0:
        return np.int64(NIL)
    top = key >> (LADDER_BITS * height)
    if top > ladder["prefix"]:
        return np.int64(NIL)
    if top < ladder["prefix"]:
        return _leftmost(m, np.int64(ladder["root"]), height)
    # Walk down the path of `key`; remember the last place where a higher child could be taken instead.
    node = np.int64(ladder["root"])
    turn_node, turn_depth, turn_bits = np.int64(NIL), np.int64(0), np.int64(0)
    for depth in range(height - 1, -1, -1):
        child = (key >> (LADDER_BITS * depth)) & CHILD_MASK
        higher = (m.node_bits[node] >> child) >> 1
        if higher != 0:
            turn_node, turn_depth, turn_bits = node, depth, higher << (child + 1)
        if (m.node_bits[node] >> child) & 1 == 0:
            break
        node = np.int64(m.node_child[node * LADDER_FAN + child])
        if depth == 0:
            return node
    if turn_node == NIL:
        return np.int64(NIL)
    below = np.int64(m.node_child[turn_node * LADDER_FAN + lowest_bit(turn_bits)])
    return _leftmost(m, below, turn_depth)


@leaf
def _leftmost(m, node, height):
    """LEVEL row with the lowest key below `node`, which has `height` nodes to the level."""
    for _ in range(height):
        node = np.int64(m.node_child[node * LADDER_FAN + lowest_bit(m.node_bits[node])])
    return node
