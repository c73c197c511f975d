"""The machine: all hot state of the exchange as one bundle of tables, made once at start from the capacities."""

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from fixsim.engine.table import MachineType, TableType
from fixsim.engine.words import CACHE_LINE_BYTES
from fixsim.layout import (
    BOOK,
    CORE,
    DUPLICATE,
    ECHO,
    FRAME,
    HOLDING,
    LADDER_FAN,
    LEVEL,
    NAME,
    NIL,
    ORDER,
    OWNER,
    OWNERS_EACH,
    PARTY,
    SESSION,
    SIDE,
    TAPE,
)
from fixsim.limits import BATCH_BYTES

#: Fields the scan knows.
SPOTS = 16
#: Accounts that the fast door knows at once: a power of two.
ECHO_PLACES = 4_096
#: Frames that are understood before the first of them is carried out.
FRAMES_AHEAD = 16

Table = npt.NDArray[np.void]


#: Bytes that may be read behind the last row of every table: kernels read text eight bytes at a time.
SLACK_BYTES = 64

#: Name and dtype of each table. Index arrays hold row + 1, so that zero means empty. Rows are fresh, then from free lists.
TABLES: dict[str, np.dtype[Any]] = {
    "orders": ORDER,
    "names": NAME,
    "name_index": np.dtype(np.int32),  # open addressing over NAME.hash, a power of two; bits of the hash above the row
    "levels": LEVEL,
    "node_bits": np.dtype(np.int64),  # which children a ladder node has, bits 0 to 31
    "node_child": np.dtype(np.int32),  # LADDER_FAN children per node: a node, or at the bottom a LEVEL row
    "sides": SIDE,  # two for each book
    "books": BOOK,
    "book_index": np.dtype(np.int32),  # open addressing over Symbol(55), a power of two
    "sessions": SESSION,
    "echoes": ECHO,
    "owners": OWNER,
    "holdings": HOLDING,
    "parties": PARTY,
    "party_owners": np.dtype(np.int32),  # OWNERS_EACH of each party: an OWNER row
    "party_holdings": np.dtype(np.int32),  # beside it: the HOLDING row of that owner, NIL for none
    "party_index": np.dtype(np.int32),  # open addressing over session, account and book, a power of two
    "duplicates": DUPLICATE,  # a ring
    "duplicate_index": np.dtype(np.int64),  # two for each hash: number of its newest row, from 1, and when all are out of date
    "core": CORE,  # one row
    "tape": TAPE,  # one row
    "batch": np.dtype(np.uint8),  # the batch being written
    "words": np.dtype(np.int64),  # the same memory, by eight bytes
    "touched": np.dtype(np.int32),  # SESSION rows to which the batch says something, in the order it began to
    "said": np.dtype(np.int32),  # how many messages, by SESSION row
    "echo_places": np.dtype(np.int32),  # scratch: ECHO row + 1 of accounts that were met lately
    "frames": FRAME,  # scratch of the fast door: what was understood and not carried out yet
    "spots": np.dtype(np.int64),  # where each value of each of them begins and ends
}


class TableSet:
    """Tables that are attributes, and `address`: where a kernel finds them all."""

    #: Name and dtype of each.
    dtypes: dict[str, np.dtype[Any]]
    _numba_type_: MachineType

    def seal(self) -> None:
        """Write the list of addresses, once every table is there."""
        places = [(table.ctypes.data, len(table)) for table in self.tables().values()]
        self._places = np.array(places, np.int64)
        self.address = int(self._places.ctypes.data)

    def tables(self) -> dict[str, Table]:
        """All tables by name, in the order of `dtypes`."""
        return {name: getattr(self, name) for name in self.dtypes}


class Machine(TableSet):
    """Tables of `fixsim.layout`."""

    dtypes = TABLES

    orders: Table
    names: Table
    name_index: npt.NDArray[np.int32]
    levels: Table
    node_bits: npt.NDArray[np.int64]
    node_child: npt.NDArray[np.int32]
    sides: Table
    books: Table
    book_index: npt.NDArray[np.int32]
    sessions: Table
    echoes: Table
    owners: Table
    holdings: Table
    parties: Table
    party_owners: npt.NDArray[np.int32]
    party_holdings: npt.NDArray[np.int32]
    party_index: npt.NDArray[np.int32]
    duplicates: Table
    duplicate_index: npt.NDArray[np.int64]
    core: Table
    tape: Table
    batch: npt.NDArray[np.uint8]
    words: npt.NDArray[np.int64]
    touched: npt.NDArray[np.int32]
    said: npt.NDArray[np.int32]
    echo_places: npt.NDArray[np.int32]
    frames: Table
    spots: npt.NDArray[np.int64]

    def __init__(self, rows: dict[str, int]) -> None:
        """`rows` has the number of rows of each table but `batch`, which shares the memory of `words`."""
        for name, count in rows.items():
            setattr(self, name, new_table(TABLES[name], count))
        self.batch = self.words.view(np.uint8)
        self.seal()


def new_table(dtype: np.dtype[Any], rows: int) -> Table:
    """`rows` rows of zeros, from the beginning of a cache line on, and some slack behind them."""
    size = rows * dtype.itemsize
    octets = np.zeros(CACHE_LINE_BYTES + size + SLACK_BYTES, np.uint8)
    begin = -octets.ctypes.data % CACHE_LINE_BYTES
    return octets[begin : begin + size].view(dtype)


def type_of_tables(dtypes: dict[str, np.dtype[Any]]) -> MachineType:
    """How kernels see a TableSet; kept as its `_numba_type_`, which numba looks for first."""
    return MachineType([(name, TableType(numba.from_dtype(dtype))) for name, dtype in dtypes.items()])


Machine._numba_type_ = type_of_tables(TABLES)


#: Tables that are state; the others are the batch being written.
STATE_TABLES = (
    "orders", "names", "name_index", "levels", "node_bits", "node_child", "sides", "books", "book_index",
    "sessions", "echoes", "owners", "holdings", "parties", "party_owners", "party_holdings", "party_index", "duplicates",
    "duplicate_index", "core",
)  # fmt: skip


#: Tables whose rows are used in no order: indexes by hash.
SCATTERED_TABLES = ("name_index", "book_index", "party_index", "duplicate_index")


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
    owners: int
    parties: int
    duplicates: int


def _power_of_two(least: int) -> int:
    return 1 << max(4, (least - 1).bit_length())


def new_machine(sizes: Sizes) -> Machine:
    """An empty machine. Memory is claimed now and touched when used."""
    machine = Machine(
        {
            "orders": sizes.orders,
            "names": sizes.names,
            "name_index": _power_of_two(2 * sizes.names),
            "levels": sizes.levels,
            "node_bits": sizes.nodes,
            "node_child": sizes.nodes * LADDER_FAN,
            "sides": 2 * sizes.books,
            "books": sizes.books,
            "book_index": _power_of_two(2 * sizes.books),
            "sessions": sizes.sessions,
            "echoes": sizes.echoes,
            "owners": sizes.owners,
            "holdings": (OWNERS_EACH - 1) * sizes.parties,
            "parties": sizes.parties,
            "party_owners": OWNERS_EACH * sizes.parties,
            "party_holdings": OWNERS_EACH * sizes.parties,
            "party_index": _power_of_two(2 * sizes.parties),
            "duplicates": _power_of_two(sizes.duplicates),
            "duplicate_index": 2 * _power_of_two(sizes.duplicates),
            "core": 1,
            "tape": 1,
            "words": (BATCH_BYTES + (2 << 20)) // 8,
            "touched": sizes.sessions,
            "said": sizes.sessions,
            "echo_places": ECHO_PLACES,
            "frames": FRAMES_AHEAD,
            "spots": 2 * SPOTS * FRAMES_AHEAD,
        }
    )
    core = machine.core[0]
    for field in ("orders_free", "names_free", "levels_free", "nodes_free", "taker"):
        core[field] = NIL
    core["name_memory"], core["memory"], core["open_orders_max"] = sizes.name_memory, sizes.memory, sizes.open_orders
    core["avg_px_decimals"] = sizes.avg_px_decimals
    machine.sides["root"], machine.sides["best"] = NIL, NIL
    machine.sessions["last_out"], machine.sessions["oldest"], machine.sessions["newest"] = NIL, NIL, NIL
    machine.sessions["echo"], machine.sessions["risk"] = NIL, NIL
    machine.books["parked_head"], machine.books["parked_tail"] = NIL, NIL
    return machine
