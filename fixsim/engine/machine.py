"""The machine: all hot state of the exchange as one bundle of tables, made once at start from the capacities."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fixsim.layout import BOOK, CORE, ECHO, LADDER_FAN, LEVEL, NAME, NIL, ORDER, SESSION, SIDE, TAPE
from fixsim.limits import BATCH_BYTES

#: Fields the scan knows.
SPOTS = 16

Table = npt.NDArray[np.void]


class Machine(NamedTuple):
    """Tables of `fixsim.layout`.

    index arrays hold row + 1, so that zero means empty. Rows are taken fresh, then from free lists.
    """

    orders: Table  # ORDER[n]
    names: Table  # NAME[n]
    name_index: npt.NDArray[np.int32]  # open addressing over NAME.hash, a power of two
    levels: Table  # LEVEL[n]
    node_bits: npt.NDArray[np.int64]  # which children a ladder node has, bits 0 to 31
    node_child: npt.NDArray[np.int32]  # LADDER_FAN children per node: a node, or at the bottom a LEVEL row
    sides: Table  # SIDE[2 x books]
    books: Table  # BOOK[n]
    book_index: npt.NDArray[np.int32]  # open addressing over Symbol(55), a power of two
    sessions: Table  # SESSION[n]
    echoes: Table  # ECHO[n]
    core: Table  # CORE[1]
    tape: Table  # TAPE[1]
    batch: npt.NDArray[np.uint8]  # the batch being written
    words: npt.NDArray[np.int64]  # the same memory, by eight bytes
    spots: npt.NDArray[np.int64]  # scratch of a scan: where each value of a frame begins and ends


#: Tables that are state; the others are the batch being written.
STATE_TABLES = (
    "orders", "names", "name_index", "levels", "node_bits", "node_child", "sides", "books", "book_index",
    "sessions", "echoes", "core",
)  # fmt: skip


class Sizes(NamedTuple):
    """Rows of each table."""

    orders: int
    names: int
    levels: int
    nodes: int
    books: int
    sessions: int
    echoes: int
    open_orders: int
    memory: int
    name_memory: int
    avg_px_decimals: int


def _power_of_two(least: int) -> int:
    return 1 << max(4, (least - 1).bit_length())


def new_machine(sizes: Sizes) -> Machine:
    """An empty machine. Memory is claimed now and touched when used."""
    words = np.zeros((BATCH_BYTES + (2 << 20)) // 8, np.int64)
    machine = Machine(
        orders=np.zeros(sizes.orders, ORDER),
        names=np.zeros(sizes.names, NAME),
        name_index=np.zeros(_power_of_two(2 * sizes.names), np.int32),
        levels=np.zeros(sizes.levels, LEVEL),
        node_bits=np.zeros(sizes.nodes, np.int64),
        node_child=np.zeros(sizes.nodes * LADDER_FAN, np.int32),
        sides=np.zeros(2 * sizes.books, SIDE),
        books=np.zeros(sizes.books, BOOK),
        book_index=np.zeros(_power_of_two(2 * sizes.books), np.int32),
        sessions=np.zeros(sizes.sessions, SESSION),
        echoes=np.zeros(sizes.echoes, ECHO),
        core=np.zeros(1, CORE),
        tape=np.zeros(1, TAPE),
        batch=words.view(np.uint8),
        words=words,
        spots=np.zeros(2 * SPOTS, np.int64),
    )
    core = machine.core[0]
    for field in ("orders_free", "names_free", "levels_free", "nodes_free", "taker"):
        core[field] = NIL
    core["name_memory"], core["memory"], core["open_orders_max"] = sizes.name_memory, sizes.memory, sizes.open_orders
    core["avg_px_decimals"] = sizes.avg_px_decimals
    machine.sides["root"], machine.sides["best"] = NIL, NIL
    machine.sessions["last_out"], machine.sessions["oldest"], machine.sessions["newest"] = NIL, NIL, NIL
    machine.sessions["echo"] = NIL
    return machine
