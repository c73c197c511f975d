"""Every report that came back, read in full and compared with what had to come: after the clock, not while it runs."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fixsim.bench.flow import (
    ACK_PRINT,
    CANCEL,
    CANCELS,
    EXEC_CANCELED,
    EXEC_NEW,
    EXEC_TRADE,
    EXPECTED_ROWS,
    NEWS,
    TRADE_PRINT,
    TRADED,
    TRADES,
    Made,
    fingerprint,
)
from fixsim.bench.frames import ID_BYTES, Grid
from fixsim.bench.load import Client, message_end
from fixsim.engine.jit import kernel

SOH = 1
#: What was wrong with messages, behind the rows of what is expected.
GARBLED, GAPS, MISROUTED, UNKNOWN, OTHERS, ROWS = range(EXPECTED_ROWS, EXPECTED_ROWS + 6)
FAULTS: Final = {"garbled": GARBLED, "sequence_gaps": GAPS, "misrouted": MISROUTED, "unknown_ids": UNKNOWN}


@kernel
def read_mantissa(octets, at, decimals):
    """The decimal number at `at` as a count of 10**-decimals."""
    value, behind = np.int64(0), -1
    while octets[at] != SOH:
        if octets[at] == 46:
            behind = 0
        else:
            value = value * 10 + octets[at] - 48
            if behind >= 0:
                behind += 1
        at += 1
    for _ in range(decimals - max(0, behind)):
        value *= 10
    return value


@kernel
def read_id(octets, at):
    """The operation a ClOrdID(11) of ours names, -1 for one that is not ours."""
    if octets[at] != 79 or octets[at + ID_BYTES] != SOH:
        return np.int64(-1)
    value = np.int64(0)
    for i in range(at + 1, at + ID_BYTES):
        value = value * 10 + octets[i] - 48
    return value


@kernel
def has_good_sum(octets, begin, end):
    """CheckSum(10) of the message."""
    total = np.int64(0)
    for i in range(begin, end - 7):
        total += octets[i]
    at = end - 4
    return (octets[at] - 48) * 100 + (octets[at + 1] - 48) * 10 + octets[at + 2] - 48 == total & 255


@kernel
def read_report(octets, begin, end, grid, found):
    """Values of a report: found[0] 34, [1] operation, [2] ExecType, [3] 32 in lots, [4] 31 in ticks of the flow, [5] 151 in
    lots, [6] MsgType."""
    for k in range(7):
        found[k] = -1
    at = begin
    while at < end:
        tag = np.int64(0)
        while octets[at] != 61:
            tag = tag * 10 + octets[at] - 48
            at += 1
        at += 1
        if tag == 34:
            found[0] = read_mantissa(octets, at, 0)
        elif tag == 11:
            found[1] = read_id(octets, at)
        elif tag == 150:
            found[2] = octets[at]
        elif tag == 32:
            found[3] = read_mantissa(octets, at, grid.qty_decimals) // grid.lot
        elif tag == 31:
            found[4] = read_mantissa(octets, at, grid.price_decimals) // grid.tick - grid.lowest
        elif tag == 151:
            found[5] = read_mantissa(octets, at, grid.qty_decimals) // grid.lot
        elif tag == 35:
            found[6] = octets[at]
        while octets[at] != SOH:
            at += 1
        at += 1


@kernel
def check_stretch(octets, begin, end, session, flow, grid, next_seq, rows, found):
    """Add the messages from `begin` to `end` to `rows`; `next_seq` is the MsgSeqNum(34) expected. Returns the next one."""
    at = begin
    while at < end:
        stop = message_end(octets, at, end)
        if not has_good_sum(octets, at, stop):
            rows[GARBLED] += 1
        read_report(octets, at, stop, grid, found)
        at = stop
        rows[GAPS] += found[0] != next_seq
        next_seq = found[0] + 1
        number, exec_type = found[1], found[2]
        if found[6] != 56:
            rows[OTHERS] += 1
            continue
        if number < 0 or number >= flow.kind.size:
            rows[UNKNOWN] += 1
            continue
        rows[MISROUTED] += flow.session[number] != session
        if exec_type == EXEC_TRADE:
            rows[TRADES] += 1
            rows[TRADED] += found[3]
            rows[TRADE_PRINT] += fingerprint(exec_type, number, found[3], found[4], found[5])
        elif exec_type == EXEC_NEW and flow.kind[number] != CANCEL:
            rows[NEWS] += 1
            rows[ACK_PRINT] += fingerprint(exec_type, number, 0, 0, found[5])
        elif exec_type == EXEC_CANCELED and flow.kind[number] == CANCEL:
            rows[CANCELS] += 1
            rows[ACK_PRINT] += fingerprint(exec_type, number, 0, 0, found[5])
        else:
            rows[OTHERS] += 1
    return next_seq


class Checker:
    """Compares what a client got with what its flow had to cause. Give it to the client before it runs."""

    def __init__(self, client: Client, made: Made, grid: Grid) -> None:
        self._client, self._made, self._grid = client, made, grid
        self._rows: npt.NDArray[np.int64] = np.zeros(ROWS, np.int64)
        self._found: npt.NDArray[np.int64] = np.zeros(7, np.int64)
        #: The Logon of the other side was 1.
        self._next: npt.NDArray[np.int64] = np.full(len(client.lines), 2, np.int64)
        client.overflow = self.take

    def take(self, session: int, begin: int, end: int) -> None:
        """Read a stretch of whole messages."""
        self._next[session] = check_stretch(
            self._client.arena, begin, end, session, self._made.flow, self._grid, self._next[session], self._rows, self._found
        )  # fmt: skip

    def verdict(self) -> dict[str, Any]:
        """What came, and whether it is exactly what had to come; `wrong` names what is not."""
        for session, line in enumerate(self._client.lines):
            self.take(session, int(line["begin"]), int(line["parsed"]))
        got, due = self._rows, self._made.expected.sum(axis=0)
        wrong = [name for name, row in FAULTS.items() if got[row]]
        names = {"new": NEWS, "canceled": CANCELS, "trade": TRADES, "traded_lots": TRADED, "acknowledgements": ACK_PRINT}
        if self._made.trades_exact:
            names["trades"] = TRADE_PRINT
        wrong += [name for name, row in names.items() if got[row] != due[row]]
        wrong += ["other_messages"] if got[OTHERS] else []
        counted = {"new": int(got[NEWS]), "canceled": int(got[CANCELS]), "trade": int(got[TRADES])}
        return {"reports": sum(counted.values()), **counted, "correct": not wrong, "wrong": wrong}
