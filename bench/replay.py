"""How fast a recorded journal is carried out again and compared: one run of `fixsim replay`'s loop, one thread.

    python bench/replay.py [--messages N] [--sessions S] [--frames F] [--trades PERCENT] [--data-dir DIR] [--keep]

The journal is recorded beforehand by the exchange itself, without sockets, and is not timed: N order messages of S
sessions, F of one session at a time as they come in one read, each such read a batch. Of 100 messages 45 are new orders
that rest, 40 cancel one of them, 5 replace one, 10 trade (--trades; where orders trade some cancels come too late, and
those take the slow door). The clock runs from the first batch read to the last one compared; kernels are compiled before.
Checking the seals (CRC32C of every byte) is part of it.
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from fixsim.config import default_config
from fixsim.exchange.digest import state_digest
from fixsim.exchange.opening import open_venue
from fixsim.exchange.payloads import Hello
from fixsim.exchange.replay import Replay
from fixsim.fix.codec import encode
from fixsim.fix.dictionary import fix44
from fixsim.gateway.warmup import compile_kernels
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.units import format_utc_timestamp

START_NS = 1_760_000_000_000_000_000
SYMBOLS = (b"AAPL", b"MSFT", b"INTC")
MIDDLE = {b"AAPL": 18_725, b"MSFT": 41_550, b"INTC": 3_140}


class Trader:
    """One session's flow: what it says next."""

    def __init__(self, name: bytes, random: Random, trades: float) -> None:
        self.name, self.random, self.trades = name, random, trades
        self.seq, self.count = 0, 0
        self.resting: list[tuple[bytes, bytes, bytes]] = []

    def frame(self, msg_type: bytes, body: list[tuple[int, bytes]], stamp: bytes) -> bytes:
        """The next message."""
        self.seq += 1
        return encode(msg_type, [(49, self.name), (56, b"FIXSIM"), (34, b"%d" % self.seq), (52, stamp)], body)

    def order_message(self, stamp: bytes) -> bytes:
        """A new order, a cancel or a replace."""
        self.count += 1
        name, dice = b"%b-%d" % (self.name, self.count), self.random.random()
        if dice < 0.45 and self.resting:
            orig, symbol, side = self.resting.pop(self.random.randrange(len(self.resting)))
            subject = [(41, orig), (11, name), (55, symbol), (54, side), (60, stamp)]
            if dice < 0.40:
                return self.frame(b"F", subject, stamp)
            self.resting.append((name, symbol, side))
            terms = [(38, b"50"), (40, b"2"), (44, self.price(symbol, side, 20))]
            return self.frame(b"G", [*subject, *terms], stamp)
        symbol, side = self.random.choice(SYMBOLS), self.random.choice((b"1", b"2"))
        trades = dice > 1 - self.trades
        terms = [(38, b"%d" % self.random.randrange(1, 200)), (40, b"2"), (44, self.price(symbol, side, -5 if trades else 20))]
        if not trades:
            self.resting.append((name, symbol, side))
        tif = b"3" if trades else b"0"
        return self.frame(b"D", [(11, name), (55, symbol), (54, side), (60, stamp), *terms, (59, tif)], stamp)

    def price(self, symbol: bytes, side: bytes, away: int) -> bytes:
        """A price up to `away` ticks behind the middle, or -`away` across it."""
        shift = self.random.randrange(1, away) if away > 0 else away
        ticks = MIDDLE[symbol] + (-shift if side == b"1" else shift)
        return b"%d.%02d" % divmod(ticks, 100)


def record(data_dir: Path, messages: int, sessions: int, frames: int, trades: float) -> None:
    """The journal of a busy morning."""
    now_ns = START_NS
    opened = open_venue(default_config(), data_dir, now_ns)
    exchange, random = opened.exchange, Random(7)
    traders = {}
    for number in range(sessions):
        trader = Trader(b"CLIENT%d" % number, random, trades)
        link = exchange.open_link(Hello(trader.name.decode(), "FIXSIM", "127.0.0.1"), now_ns)
        logon = trader.frame(b"A", [(98, b"0"), (108, b"0")], format_utc_timestamp(now_ns, 3))
        exchange.receive(link, bytearray(logon), now_ns)
        traders[link] = trader
    exchange.commit()
    links = list(traders)
    for turn in range(messages // frames):
        now_ns += 100_000
        stamp = format_utc_timestamp(now_ns, 3)
        link = links[turn % sessions]
        exchange.receive(link, bytearray(b"".join(traders[link].order_message(stamp) for _ in range(frames))), now_ns)
        exchange.commit()
        for each in links:
            exchange.outbox.send(each, lambda parts: sum(map(len, parts)))
    opened.writer.close()


def main() -> None:
    """Record, replay, tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--trades", type=float, default=10)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    compile_kernels(lambda line: print(line, file=sys.stderr))
    data_dir = given.data_dir or Path(tempfile.mkdtemp(prefix="fixsim-bench-"))
    try:
        if not journal_directory(data_dir).exists():
            record(data_dir, given.messages, given.sessions, given.frames, given.trades / 100)
        replay = Replay(Reader(journal_directory(data_dir)), fix44())
        begun, cpu = time.perf_counter(), time.process_time()
        replay.run()
        wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
        told = {
            "inbound": replay.inbound, "records": replay.records, "bytes": replay.position, "seconds": round(wall_s, 3),
            "cpu_seconds": round(cpu_s, 3), "inbound_per_s": round(replay.inbound / wall_s),
            "records_per_s": round(replay.records / wall_s), "digest": state_digest(replay.exchange),
            "python": platform.python_version(),
        }  # fmt: skip
        print(json.dumps(told))
    finally:
        if not given.keep:
            shutil.rmtree(data_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
