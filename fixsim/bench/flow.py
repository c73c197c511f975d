"""Flows of orders, made before any clock starts, and what an exchange must answer to them.

    resting   limit orders at 50 + 50 prices that never meet: one report each
    mix       45 % passive new orders, 45 % cancels of open ones, 10 % that cross, over a preloaded book
    cross     buy and sell in turn at one price: every second order fills, two reports an order

A naive book of our own (arrays of queues, no tree, no index) lets the flow happen once and adds up the reports: how many
of each ExecType(150), and a fingerprint of ClOrdID, quantity, price and leaves of each, summed so that their order plays no
part.

Over several sessions an exchange may take them in any order. `resting` and `cross` do not mind. `mix` is then built so that
it does not either: all who trade have one size, whoever crosses always finds somebody, and what is cancelled never trades. Only
who met whom stays open, so the fingerprint of its trades is not compared, their number and quantity are.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fixsim.engine.jit import kernel
from fixsim.errors import UsageError

FLOWS: Final = ("resting", "mix", "cross")

NEW, CANCEL = 0, 1
#: Side(54) as it is sent.
BUY, SELL = 49, 50
#: ExecType(150) as it is sent.
EXEC_NEW, EXEC_CANCELED, EXEC_TRADE = 48, 52, 70

#: Price levels of the passive orders of each side.
LEVELS = 50
#: Prices the naive book knows, in ticks around the middle.
SPAN = 160
MIDDLE = 80
#: Lots a quantity is a multiple of.
LOT_STEP = 100

#: Orders that rest before the clock starts.
PRELOADED: Final = {"resting": 1_000, "mix": 5_000, "cross": 1_000}
#: And at least so many for each symbol.
PER_SYMBOL: Final = 10
#: ClOrdID(11) has eight digits.
OPERATIONS_MAX: Final = 99_000_000

#: Rows of what is expected.
NEWS, CANCELS, TRADES, ACK_PRINT, TRADE_PRINT, TRADED, EXPECTED_ROWS = range(7)


class Flow(NamedTuple):
    """Operations by row; the row is the number in its ClOrdID(11)."""

    kind: npt.NDArray[np.uint8]  # NEW or CANCEL
    side: npt.NDArray[np.uint8]  # BUY or SELL
    symbol: npt.NDArray[np.int32]
    session: npt.NDArray[np.int32]
    #: Ticks above the lowest price of the naive book; MIDDLE is the best bid.
    price: npt.NDArray[np.int64]
    lots: npt.NDArray[np.int64]
    #: Operation whose order a CANCEL is about.
    orig: npt.NDArray[np.int64]


class Naive(NamedTuple):
    """The naive book: a queue for each book, side and price, and how much of each order is left."""

    head: npt.NDArray[np.int64]  # [book x 2 x SPAN] first order, -1 for none
    tail: npt.NDArray[np.int64]
    best: npt.NDArray[np.int64]  # [book x 2] no better price has an order
    next: npt.NDArray[np.int64]  # [operation]
    leaves: npt.NDArray[np.int64]  # [operation] 0 when it is not open


class Made(NamedTuple):
    """A flow and what is expected of it."""

    flow: Flow
    #: Operations in front that are not timed.
    preload: int
    #: int64[2, EXPECTED_ROWS]: of the preload, and of the rest.
    expected: npt.NDArray[np.int64]
    #: Whether the fingerprint of the trades is the same whoever meets whom.
    trades_exact: bool
    orders: int
    cancels: int


@kernel
def fingerprint(exec_type, number, lots, price, leaves):
    """One report as a number; sums of them tell sets of reports apart."""
    value = np.uint64(number) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(exec_type)
    for word in (lots, price, leaves):
        value = (value ^ (value >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(word)
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    return np.int64(value ^ (value >> np.uint64(31)))


@kernel
def front(naive, queue):
    """The oldest open order of a queue, -1 for none."""
    while naive.head[queue] >= 0 and naive.leaves[naive.head[queue]] == 0:
        naive.head[queue] = naive.next[naive.head[queue]]
    return naive.head[queue]


@kernel
def best_price(naive, book, sells):
    """The best price of a side, -1 when it is empty."""
    at = 2 * book + sells
    step = 1 if sells else -1
    while naive.best[at] >= 0 and naive.best[at] < SPAN:
        if front(naive, at * SPAN + naive.best[at]) >= 0:
            return naive.best[at]
        naive.best[at] += step
    return np.int64(-1)


@kernel
def carry_out(flow, naive, i, expected):
    """Operation `i` as an exchange would: fills by price, then time; what is left rests."""
    if flow.kind[i] == CANCEL:
        naive.leaves[flow.orig[i]] = 0
        expected[CANCELS] += 1
        expected[ACK_PRINT] += fingerprint(EXEC_CANCELED, i, 0, 0, 0)
        return
    sells, book, left = np.int64(flow.side[i] == SELL), flow.symbol[i], flow.lots[i]
    expected[NEWS] += 1
    expected[ACK_PRINT] += fingerprint(EXEC_NEW, i, 0, 0, left)
    while left > 0:
        price = best_price(naive, book, 1 - sells)
        if price < 0 or (sells == 0 and price > flow.price[i]) or (sells == 1 and price < flow.price[i]):
            break
        maker = naive.head[(2 * book + 1 - sells) * SPAN + price]
        lots = min(left, naive.leaves[maker])
        left -= lots
        naive.leaves[maker] -= lots
        expected[TRADES] += 2
        expected[TRADED] += 2 * lots
        expected[TRADE_PRINT] += fingerprint(EXEC_TRADE, i, lots, price, left)
        expected[TRADE_PRINT] += fingerprint(EXEC_TRADE, maker, lots, price, naive.leaves[maker])
    if left > 0:
        naive.leaves[i] = left
        at = 2 * book + sells
        queue = at * SPAN + flow.price[i]
        if front(naive, queue) < 0:
            naive.head[queue] = i
        else:
            naive.next[naive.tail[queue]] = i
        naive.tail[queue] = i
        best = naive.best[at]
        if best < 0 or best >= SPAN or (sells == 1 and flow.price[i] < best) or (sells == 0 and flow.price[i] > best):
            naive.best[at] = flow.price[i]


@kernel
def place(flow, i, book, side, price, lots):
    """Operation `i` is a new order."""
    flow.kind[i], flow.symbol[i], flow.side[i], flow.price[i], flow.lots[i] = NEW, book, side, price, lots


@kernel
def withdraw(flow, i, orig):
    """Operation `i` is a cancel of operation `orig`, in its session."""
    flow.kind[i], flow.orig[i] = CANCEL, orig
    flow.symbol[i], flow.side[i], flow.price[i] = flow.symbol[orig], flow.side[orig], flow.price[orig]
    flow.lots[i], flow.session[i] = flow.lots[orig], flow.session[orig]


@kernel
def make_mix(flow, naive, preload, symbols, live, expected):
    """The mix for one session: everything may meet everything."""
    alive = 0
    for i in range(flow.kind.size):
        dice = 0 if i < preload else np.random.randint(100)
        chosen = -1
        while 45 <= dice < 90 and alive > 0 and alive + 50 >= preload and chosen < 0:
            at = np.random.randint(alive)
            chosen = live[at]
            alive -= 1
            live[at] = live[alive]
            if naive.leaves[chosen] == 0:
                chosen = -1
        if chosen >= 0:
            withdraw(flow, i, chosen)
            carry_out(flow, naive, i, expected[1])
            continue
        book, sells = i % symbols if i < preload else np.random.randint(symbols), np.random.randint(2)
        bid, ask = best_price(naive, book, 0), best_price(naive, book, 1)
        if dice >= 90:
            price = bid if sells else ask
            if price < 0:
                price = MIDDLE if sells else MIDDLE + 1
            lots = LOT_STEP * (1 + np.random.randint(3))
        else:
            away, lots = np.random.randint(LEVELS), LOT_STEP * (1 + np.random.randint(10))
            price = MIDDLE + 1 + away if sells else MIDDLE - away
            if sells and bid >= 0:
                price = max(price, bid + 1)
            elif not sells and ask >= 0:
                price = min(price, ask - 1)
            price = min(max(price, 1), SPAN - 2)
        place(flow, i, book, SELL if sells else BUY, price, lots)
        carry_out(flow, naive, i, expected[0 if i < preload else 1])
        if naive.leaves[i] > 0:
            live[alive] = i
            alive += 1


@kernel
def make_apart(flow, naive, preload, reserve, reserve_lots, symbols, live, expected):
    """The mix for several sessions: the first `reserve` orders are there for whoever crosses; what is cancelled lies
    deeper."""
    alive = 0
    for i in range(flow.kind.size):
        dice = 0 if i < preload else np.random.randint(100)
        book, sells = np.random.randint(symbols), np.random.randint(2)
        if i < reserve:
            book, sells = (i >> 1) % symbols, i & 1
            place(flow, i, book, SELL if sells else BUY, MIDDLE + 2 if sells else MIDDLE - 1, reserve_lots)
        elif dice >= 90:
            place(flow, i, book, SELL if sells else BUY, MIDDLE - 1 if sells else MIDDLE + 2, LOT_STEP)
        elif dice >= 45 and alive > 0 and alive + 50 >= preload - reserve:
            at = np.random.randint(alive)
            withdraw(flow, i, live[at])
            alive -= 1
            live[at] = live[alive]
        elif i >= preload and np.random.randint(45) < 10:
            place(flow, i, book, SELL if sells else BUY, MIDDLE + 1 if sells else MIDDLE, LOT_STEP)
        else:
            away, lots = 2 + np.random.randint(LEVELS - 2), LOT_STEP * (1 + np.random.randint(10))
            place(flow, i, book, SELL if sells else BUY, MIDDLE + 1 + away if sells else MIDDLE - away, lots)
            live[alive] = i
            alive += 1
        carry_out(flow, naive, i, expected[0 if i < preload else 1])


@kernel
def make_plain(flow, naive, preload, symbols, crosses, expected):
    """`cross` if `crosses`, `resting` otherwise."""
    for i in range(flow.kind.size):
        if crosses:
            place(flow, i, (i >> 1) % symbols, SELL if i & 1 else BUY, MIDDLE, LOT_STEP)
        else:
            sells, away = np.random.randint(2), np.random.randint(LEVELS)
            price = MIDDLE + 1 + away if sells else MIDDLE - away
            book = i % symbols if i < preload else np.random.randint(symbols)
            place(flow, i, book, SELL if sells else BUY, price, LOT_STEP * (1 + np.random.randint(10)))
        carry_out(flow, naive, i, expected[0 if i < preload else 1])


@kernel
def seed_dice(seed):
    """The generator of compiled code is one of its own."""
    np.random.seed(seed)


def make_flow(
    name: str, operations: int, sessions: int, symbols: int, seed: int = 42, lots_max: int = 1 << 40, preload: int | None = None
) -> Made:
    """`operations` timed ones behind a preload of its own or of `preload`; no order has more than `lots_max`.

    Raises UsageError for a flow that is not known and for more operations than ClOrdIDs have digits for.
    """
    if name not in FLOWS:
        raise UsageError(f"--flow {name}: expected {', '.join(FLOWS)}")
    operations += operations % 2  # every buy of `cross` has its sell
    preload = max(PRELOADED[name] if preload is None else preload + preload % 2, PER_SYMBOL * symbols)
    reserve = reserve_lots = 0
    if name == "mix" and sessions > 1:
        wanted = LOT_STEP * operations
        reserve_lots = min(wanted, lots_max // LOT_STEP * LOT_STEP)
        reserve = 2 * symbols * -(-wanted // reserve_lots)
        preload += reserve
    total = preload + operations
    if not 1 <= total <= OPERATIONS_MAX:
        raise UsageError(f"--orders {operations}: expected at most {OPERATIONS_MAX}")
    flow = Flow(
        np.zeros(total, np.uint8), np.zeros(total, np.uint8), np.zeros(total, np.int32),
        (np.arange(total) % sessions).astype(np.int32), np.zeros(total, np.int64), np.zeros(total, np.int64),
        np.zeros(total, np.int64),
    )  # fmt: skip
    empty = np.full(2 * symbols * SPAN, -1, np.int64)
    best, following = np.full(2 * symbols, -1, np.int64), np.full(total, -1, np.int64)
    naive = Naive(empty, empty.copy(), best, following, np.zeros(total, np.int64))
    expected, live = np.zeros((2, EXPECTED_ROWS), np.int64), np.zeros(total, np.int64)
    seed_dice(seed)
    if name != "mix":
        make_plain(flow, naive, preload, symbols, name == "cross", expected)
    elif sessions == 1:
        make_mix(flow, naive, preload, symbols, live, expected)
    else:
        make_apart(flow, naive, preload, reserve, reserve_lots, symbols, live, expected)
    cancels = int((flow.kind[preload:] == CANCEL).sum())
    return Made(flow, preload, expected, name != "mix" or sessions == 1, operations - cancels, cancels)
