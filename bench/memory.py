"""What an order and a connection cost in memory, of a real exchange process.

    uv run python bench/memory.py [--orders 1048576] [--sessions 1000] [--helping-bytes 262144]

Orders: a fresh exchange whose tables are not touched beforehand takes so many orders that rest, over one session, a tenth of
them beforehand; told is by how much the memory of its own grew (RssAnon of /proc/PID/status: shared pages of files, such as the
journal's, are not its own), for each order. Beside it what the tables promise: bytes of rows and index places of one order
with one id.

Sessions: a fresh exchange, its tables touched beforehand, so that only what comes with connections grows. Each session logs
on, sends orders (immediate-or-cancel, with a long Text(58)) until it has sent so many bytes, takes the answers, and is idle.
Left out: what the system keeps of its sockets.

Prints JSON.
"""

import argparse
import json
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixsim.bench.facts import facts
from fixsim.bench.frames import sender
from fixsim.bench.load import logged_on, now_stamp
from fixsim.bench.plan import Plan
from fixsim.bench.process import Acceptor, exchange, leave_in_order
from fixsim.bench.wire import Load
from fixsim.config import load, packaged
from fixsim.engine.machine import new_machine
from fixsim.exchange.capacity import sizes
from fixsim.fix.codec import encode

TEXT_BYTES = 4_000
#: An exchange that did not grow for so long has touched its tables, or has forgotten what it does not need.
SETTLE_S = 3.0


def own_bytes(acceptor: Acceptor) -> int:
    """Memory that belongs to the exchange alone."""
    status = Path(f"/proc/{acceptor.popen.pid}/status").read_text()
    return 1_024 * int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0])


def settled_bytes(acceptor: Acceptor) -> int:
    """The same, once it stays what it is."""
    found, since = own_bytes(acceptor), time.monotonic()
    while time.monotonic() - since < SETTLE_S:
        time.sleep(0.2)
        if (now := own_bytes(acceptor)) != found:
            found, since = now, time.monotonic()
    return found


@contextmanager
def started(orders: int, populate: bool) -> Iterator[tuple[Acceptor, Path]]:
    """An exchange with room for `orders` open ones, and its configuration."""
    text = packaged("load.toml").read_text()
    text = re.sub(r"(?m)^(orders|clordid_memory) = .*$", rf"\1 = {orders}", text)
    text = re.sub(r"(?m)^price_levels = .*$", "price_levels = 65_536", text)
    text = re.sub(r"(?m)^populate = .*$", f"populate = {str(populate).lower()}", text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.toml"
        path.write_text(text)
        with exchange(str(path), "none", None) as acceptor:
            yield acceptor, path


def promised(orders: int) -> dict[str, float]:
    """Bytes of one order with one id: its rows, and its places in the index."""
    config = load(packaged("load.toml"))
    config = replace(config, capacities=replace(config.capacities, orders=orders, clordid_memory=orders))
    machine = new_machine(sizes(config))
    index = machine.name_index.nbytes / len(machine.names)
    return {"order": machine.orders.itemsize, "id": machine.names.itemsize, "index": index}


def measure_orders(orders: int) -> dict[str, Any]:
    """Bytes by which the exchange grew for each order that rests."""
    first = orders // 10
    with started(orders, populate=False) as (acceptor, path):
        plan = Plan(load(path), str(path), orders - first, "resting", preload=first)
        run = Load(plan, 1, 1, "resting")
        frames = run.render()
        with logged_on(acceptor.port, frames, run.names.venue, orders) as client:
            client.run(frames.first[:-1] + frames.preload, first, plan.window)
            before = settled_bytes(acceptor)
            client.run(frames.first[1:], orders, plan.window)
            grown = settled_bytes(acceptor) - before
    rows = promised(orders)
    return {
        "resting": orders, "bytes_per_order": round(grown / (orders - first), 1),
        "rows_bytes_per_order": round(sum(rows.values()), 1), "rows": rows,
    }  # fmt: skip


def talk(port: int, number: int, total: int) -> socket.socket:
    """One session that has logged on, sent `total` bytes of orders and heard the answers."""
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    heard = line.makefile("rb")
    name, sent, seq = sender(number), 0, 1
    header = [(49, name), (56, b"FIXSIM")]
    line.sendall(encode(b"A", [*header, (34, b"1"), (52, now_stamp())], [(98, b"0"), (108, b"0")]))
    expected = 1
    while sent < total:
        seq += 1
        stamp = now_stamp()
        body = [
            (11, b"%d" % seq), (55, b"SYM000"), (54, b"1"), (60, stamp), (38, b"1"), (40, b"2"), (44, b"1"), (59, b"3"),
            (58, b"x" * TEXT_BYTES),
        ]  # fmt: skip
        frame = encode(b"D", [*header, (34, b"%d" % seq), (52, stamp)], body)
        line.sendall(frame)
        sent += len(frame)
        expected += 2
    text = b""
    while text.count(b"\x0110=") < expected:
        chunk = heard.read1(1 << 16)
        if not chunk:
            sys.exit(f"memory: session {number + 1} was disconnected")
        text += chunk
    assert text.count(b"\x0139=4\x01") == seq - 1, "every order is accepted, and cancelled at once"
    return line


def measure_sessions(sessions: int, total: int) -> dict[str, Any]:
    """Bytes by which the exchange grew for sessions that are idle now."""
    with started(1 << 18, populate=True) as (acceptor, _):
        talk(acceptor.port, sessions, 4 * TEXT_BYTES).close()  # what the first order of all costs is not counted
        before = settled_bytes(acceptor)
        lines = [talk(acceptor.port, number, total) for number in range(sessions)]
        grown = settled_bytes(acceptor) - before
        for line in lines:
            line.close()
    return {
        "sessions": sessions, "sent_bytes_each": total, "grown_mb": round(grown / 1e6, 1),
        "bytes_per_session": round(grown / sessions),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1 << 20)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--helping-bytes", type=int, default=256 * 1_024, help="bytes each session sends")
    asked = parser.parse_args()
    leave_in_order()
    report = {
        **facts(), "orders": measure_orders(asked.orders), "sessions": measure_sessions(asked.sessions, asked.helping_bytes)
    }  # fmt: skip
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
