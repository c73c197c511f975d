"""How long an order that sweeps the book keeps everybody else waiting, of a real exchange process.

    uv run python bench/sweep.py [--makers 10000] [--levels 50] [--rounds 9]

One session lets so many sell orders rest, at so many prices, and buys them all with one order. Another session, in another
instrument, enters an order half a millisecond later; told is how long its acknowledgement took, how long the sweep took, from
its order to the last of its reports, and how long an acknowledgement takes in quiet. No other order comes between the fills
of a sweep, so the acknowledgement waits for the matching, and should not wait for more. Left out: the database.

Medians of the rounds, ms. Prints JSON.
"""

import argparse
import json
import socket
import statistics
import sys
import threading
import time
from typing import Any

from fixsim.bench.facts import facts
from fixsim.bench.load import now_stamp
from fixsim.bench.process import exchange, leave_in_order, on_processor, processors
from fixsim.config import packaged
from fixsim.errors import VenueError
from fixsim.fix.codec import encode

PATIENCE_S = 30
#: An order this long after the sweep's comes while it is matched.
BEHIND_S = 0.0005


class Line:
    """One session that is logged on."""

    def __init__(self, port: int, name: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name, self.seq, self.ids = name, 0, 0
        self.socket.sendall(self.frame(b"A", [(98, b"0"), (108, b"0")]))
        self.hear(b"\x0135=A\x01", 1)

    def frame(self, msg_type: bytes, body: list[tuple[int, bytes]]) -> bytes:
        """The next message."""
        self.seq += 1
        header = [(49, self.name), (56, b"FIXSIM"), (34, b"%d" % self.seq), (52, now_stamp())]
        return encode(msg_type, header, body)

    def order(self, symbol: bytes, side: bytes, lots: int, price: bytes) -> bytes:
        """A limit order with an id of its own."""
        self.ids += 1
        terms = [(55, symbol), (54, side), (60, now_stamp()), (38, b"%d" % lots), (40, b"2"), (44, price)]
        return self.frame(b"D", [(11, self.name + b"%d" % self.ids), *terms])

    def hear(self, what: bytes, times: int) -> float:
        """Read until `what` came so often; the moment it had."""
        text, found = bytearray(), 0
        while found < times:
            chunk = self.socket.recv(1 << 20)
            if not chunk:
                raise VenueError(f"{self.name.decode()} was disconnected")
            begin = max(0, len(text) - len(what) + 1)
            text += chunk
            found += text.count(what, begin)
        return time.perf_counter()


def one_round(sweeper: Line, bystander: Line, makers: int, levels: int) -> dict[str, float]:
    """Milliseconds of an acknowledgement in quiet, of the sweep, and of an acknowledgement meanwhile."""
    resting = [sweeper.order(b"SYM000", b"2", 1, b"%d" % (100 + place % levels)) for place in range(makers)]
    sweeper.socket.sendall(b"".join(resting))
    sweeper.hear(b"\x01150=0\x01", makers)
    quiet = ping(bystander)
    sweep, done = sweeper.order(b"SYM000", b"1", makers, b"%d" % (100 + levels)), []
    # taker and maker are told of each fill
    reader = threading.Thread(target=lambda: done.append(sweeper.hear(b"\x01150=F\x01", 2 * makers)))
    reader.start()
    began = time.perf_counter()
    sweeper.socket.sendall(sweep)
    time.sleep(BEHIND_S)
    meanwhile = ping(bystander)
    reader.join()
    return {"quiet_ms": 1e3 * quiet, "sweep_ms": 1e3 * (done[0] - began), "meanwhile_ms": 1e3 * meanwhile}


def ping(line: Line) -> float:
    """Seconds to the acknowledgement of one order that rests."""
    frame = line.order(b"SYM001", b"1", 1, b"1")
    began = time.perf_counter()
    line.socket.sendall(frame)
    return line.hear(b"\x01150=0\x01", 1) - began


def measure(makers: int, levels: int, rounds: int) -> dict[str, Any]:
    """Medians and single rounds."""
    server, client = processors() or (None, None)
    with exchange(str(packaged("load.toml")), "none", server) as acceptor, on_processor(client):
        sweeper, bystander = Line(acceptor.port, b"SWEEPER"), Line(acceptor.port, b"BYSTANDER")
        one_round(sweeper, bystander, 100, levels)
        found = [one_round(sweeper, bystander, makers, levels) for _ in range(rounds)]
    medians = {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
    return medians | {"rounds": [{name: round(value, 2) for name, value in one.items()} for one in found]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makers", type=int, default=10_000)
    parser.add_argument("--levels", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    leave_in_order()
    report = {**facts(), "makers": asked.makers, "levels": asked.levels, **measure(asked.makers, asked.levels, asked.rounds)}
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
