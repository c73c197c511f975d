"""A stretch of a journal as kernels see it: bytes that are read, and how far."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fixsim.engine.machine import Table, TableSet, new_table, type_of_tables
from fixsim.layout import NEVER, NIL, TRACK

#: Connections whose SESSION row is kept by the low bits of their number.
ROWS: int = 1 << 16


class Track(TableSet):
    """One stretch at a time: `follow` moves it to another."""

    dtypes = {  # noqa: RUF012  # a table of the class, as in Machine
        "track": TRACK,  # one row
        "octets": np.dtype(np.uint8),  # the stretch, read only
        "rows": np.dtype(np.int32),  # SESSION row of a connection, by the low bits of its number
    }
    track: Table
    octets: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int32]

    def __init__(self) -> None:
        self.track = new_table(TRACK, 1)
        self.octets = np.zeros(0, np.uint8)
        self.rows = np.zeros(ROWS, np.int32)
        self.row: Any = self.track[0]
        self.row["begin"], self.row["last_position"], self.row["last_ns"], self.row["pause"] = NIL, NEVER, NEVER, NEVER
        self.seal()

    def follow(self, octets: memoryview, first: int) -> None:
        """Read `octets` from now on; the first of them lies at position `first`."""
        self.octets = np.frombuffer(octets, np.uint8)
        self._places[list(self.dtypes).index("octets")] = self.octets.ctypes.data, len(self.octets)
        self.row["first"], self.row["size"] = first, len(self.octets)


Track._numba_type_ = type_of_tables(Track.dtypes)
