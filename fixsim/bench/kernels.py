"""The kernels of the exchange, called from compiled loops: with `drive` the only
file of the benchmark that knows their signatures.

Each loop stands beside one that touches the same bytes and does nothing with them.
"""

import numpy as np
import numpy.typing as npt

from fixsim.bench.drive import empty_tape
from fixsim.bench.flow import EXEC_NEW
from fixsim.bench.frames import ID_BYTES, Names, put_id
from fixsim.bench.load import message_end
from fixsim.bench.stage import Stage
from fixsim.bench.ticks import ticks
from fixsim.engine import scan
from fixsim.engine.ahead import understand
from fixsim.engine.ascii import put_bytes
from fixsim.engine.batch import LARGE, SLOW, record_frame, run_frames
from fixsim.engine.book import MORE, resume
from fixsim.engine.index import find_name
from fixsim.engine.jit import kernel
from fixsim.engine.machine import Machine
from fixsim.engine.report import report
from fixsim.engine.symbols import find_book
from fixsim.layout import NIL
from fixsim.limits import FRAME_BYTES_MAX

Octets = npt.NDArray[np.uint8]

# ---------------------------------------------------------------- frames


@kernel
def walk_frames(octets):
    """Step over frames by their BodyLength(9): the empty loop. Returns how many there are."""
    at, count = np.int64(0), 0
    while at < octets.size:
        at = message_end(octets, at, octets.size)
        count += 1
    return count


@kernel
def add_frames(octets):
    """The same, and every byte is read once."""
    total = np.int64(0)
    for octet in octets:
        total += octet
    return total + walk_frames(octets)


@kernel
def scan_frames(m, octets):
    """Structure, checksum and fields of every frame. Returns how many were understood."""
    at, count = np.int64(0), 0
    while at < octets.size:
        body, stop, behind = scan.frame_end(octets, at, octets.size, FRAME_BYTES_MAX)
        if behind == 0 or scan.scan_fields(m, octets, body + 5, stop, 0) == 0:
            return count
        at = behind
        count += 1
    return count


@kernel
def parse_frames(m, octets, price_decimals, qty_decimals):
    """Scan, and read what a NewOrderSingle(D) says: number, both times, quantity, price. Returns how many were good."""
    at, count, spots = np.int64(0), 0, m.spots
    while at < octets.size:
        body, stop, behind = scan.frame_end(octets, at, octets.size, FRAME_BYTES_MAX)
        if behind == 0 or scan.scan_fields(m, octets, body + 5, stop, 0) == 0:
            return count
        seq = scan.read_uint(octets, spots[2 * scan.MSG_SEQ_NUM], spots[2 * scan.MSG_SEQ_NUM + 1])
        sent = scan.time_of_today(m, octets, spots[2 * scan.SENDING_TIME], spots[2 * scan.SENDING_TIME + 1])
        acted = scan.time_of_today(m, octets, spots[2 * scan.TRANSACT_TIME], spots[2 * scan.TRANSACT_TIME + 1])
        lots = scan.read_decimal(octets, spots[2 * scan.ORDER_QTY], spots[2 * scan.ORDER_QTY + 1], qty_decimals)
        price = scan.read_decimal(octets, spots[2 * scan.PRICE], spots[2 * scan.PRICE + 1], price_decimals)
        at = behind
        count += seq > 0 and sent >= 0 and acted >= 0 and lots > 0 and price > 0
    return count


@kernel
def record_frames(m, session, octets):
    """Understand, and write the IN record of every frame. Returns how many were written."""
    at, count, kept = np.int64(0), 0, np.int64(m.sessions[session]["next_in"])
    while at < octets.size and understand(m, session, octets, at, octets.size, FRAME_BYTES_MAX, 0):
        empty_tape(m)
        record_frame(m, session, octets, at, 0)
        at = np.int64(m.frames[0]["end"])
        count += 1
    m.sessions[session]["next_in"] = kept
    return count


@kernel
def run_all(m, session, octets, tolerance_ns):
    """The whole fast door: every frame scanned, admitted, recorded, matched, reported. Returns bytes used up."""
    at = np.int64(0)
    while True:
        at, why = run_frames(m, session, octets, at, octets.size, FRAME_BYTES_MAX, tolerance_ns)
        m.tape[0]["used"] = 0
        m.tape[0]["count"] = 0
        if why == SLOW:
            return at
        while why == LARGE and resume(m) == MORE:
            m.tape[0]["used"] = 0


@kernel
def encode_reports(m, slot, name, count):
    """Render `count` ExecutionReports(8) of one order."""
    for _ in range(count):
        empty_tape(m)
        report(m, slot, EXEC_NEW, name, np.int64(NIL), np.int64(NIL), 0, 0, 0)


@kernel
def copy_reports(m, length, source, count):
    """Copy so many bytes so many times: a report that is there already."""
    for _ in range(count):
        empty_tape(m)
        at = np.int64(m.tape[0]["used"])
        put_bytes(m.batch, at, source, 0, length)
        m.tape[0]["used"] = (at + length + 7) & ~7


# ---------------------------------------------------------------- books


def make_ids(operations: int) -> Octets:
    """ClOrdIDs of all operations, ID_BYTES each."""
    ids = np.zeros(operations * ID_BYTES, np.uint8)
    write_ids(ids)
    return ids


@kernel
def write_ids(ids):
    """Fill in the ids."""
    for i in range(ids.size // ID_BYTES):
        put_id(ids, i * ID_BYTES, i)


@kernel
def empty_drive(m, session, flow, ids, books, lowest, begin, end):
    """Touches what a driver reads of a flow, and no book."""
    for i in range(begin, end):
        empty_tape(m)
        total = lowest + flow.price[i] + flow.lots[i] + ids[i * ID_BYTES] + books[flow.symbol[i]] + flow.orig[i]
        m.core[0]["exec_id"] += total + flow.kind[i] + flow.side[i]


@kernel
def look():
    """The processor's clock, now."""
    return ticks()


# ---------------------------------------------------------------- what is in the machine


def machine_of(stage: Stage) -> Machine:
    """The tables of a stage, its batch forgotten."""
    machine = stage.exchange.machine
    machine.tape["used"] = machine.tape["count"] = 0
    return machine


def touch(stage: Stage) -> None:
    """Write to every page of the tables, so that the first visit is not timed."""
    for table in stage.exchange.machine.tables().values():
        octets = table.view(np.uint8).reshape(-1)
        octets[::4_096] = octets[::4_096].copy()


def books_of(machine: Machine, names: Names) -> npt.NDArray[np.int64]:
    """The book of each symbol; all of them must have traded."""
    found = [find_book(machine, np.frombuffer(name, np.uint8), 0, len(name)) for name in names.symbols]
    assert NIL not in found
    return np.array(found, np.int64)


def rows_of(machine: Machine, session: int, operations: int, total: int) -> npt.NDArray[np.int64]:
    """Room for the ORDER row of each of `total` operations; those of the first `operations`, which rest, are filled in."""
    rows = np.full(total, NIL, np.int64)
    for number in range(operations):
        rows[number] = order_of(machine, session, number)[0]
    return rows


def order_of(machine: Machine, session: int, number: int) -> tuple[np.int64, np.int64]:
    """ORDER and NAME row of the order of operation `number`."""
    ids = make_ids(number + 1)
    name = find_name(machine, session, ids, number * ID_BYTES, ID_BYTES)
    assert name != NIL
    return np.int64(machine.names[name]["order"]), np.int64(name)


def reports_of(machine: Machine) -> int:
    """ExecIDs used up so far."""
    return int(machine.core[0]["exec_id"])
