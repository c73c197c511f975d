"""Several peers that say everything a counterparty may say, and much that it should not, by a seed."""

import re
import time
from collections.abc import Callable
from random import Random
from typing import Protocol

from e2e.peer import Peer, render, stamp
from e2e.venue import PATIENCE_S

#: Bytes a peer may owe its connection before it says nothing more.
BACKLOG_MAX = 1 << 16
LOW, HIGH = 9_980, 10_020
#: Text that is not ASCII, and a data field with SOH inside (EncodedTextLen and EncodedText).
ODD_FIELDS = (b"58=caf\xe9 \xff\x01", b"354=7\x01355=a\x01b=\x01c\x01\x01", b"58=" + b"long " * 40 + b"\x01", b"")
ROUTES = (b"", b"", b"50=desk\x01", b"115=ONBEHALF\x01", b"57=room\x0150=desk\x01128=TO\x01")


class Trader:
    """What one peer says. Its orders have ClOrdIDs of their own, so each must be answered exactly once."""

    def __init__(self, peer: Peer, seed: int, symbols: list[bytes]) -> None:
        self.peer, self.symbols = peer, symbols
        self.random = Random(f"{seed} {peer.name!r}")
        #: ClOrdIDs of the D we said that must be answered by one 150=0 or 150=8.
        self.entered: list[bytes] = []
        self._orders: list[tuple[bytes, bytes, bytes]] = []  # ClOrdID, Symbol, Side
        self._names = 0
        self._acts: list[tuple[int, Callable[[], None]]] = [
            (60, self._enter), (14, self._cancel), (10, self._replace), (4, self._ask_status), (2, self._test),
            (1, self._ask_again), (3, self._say_wrong), (2, self._garble), (1, self._ask_market),
        ]  # fmt: skip
        self._weights = [weight for weight, _ in self._acts]

    def act(self) -> None:
        """Say something."""
        self.random.choices(self._acts, self._weights)[0][1]()

    def _name(self) -> bytes:
        self._names += 1
        return b"%b-%d" % (self.peer.name, self._names)

    def _terms(self, symbol: bytes, side: bytes) -> bytes:
        """55, 54, 60, 38, 40 and, mostly, 44."""
        chance = self.random
        terms = b"55=%b\x0154=%b\x0160=%b\x0138=%d\x01" % (symbol, side, stamp(), chance.randrange(1, 60))
        if chance.random() < 0.06:
            return terms + b"40=1\x01"
        shift = -3 if side == b"1" else 3
        price = chance.randrange(LOW, HIGH) + shift
        return terms + b"40=2\x0144=%d.%02d\x01" % divmod(price, 100)

    def _enter(self) -> None:
        chance, name = self.random, self._name()
        symbol, side = chance.choice(self.symbols), chance.choice((b"1", b"2"))
        tif = chance.choice((b"", b"59=0\x01", b"59=1\x01", b"59=1\x01", b"59=3\x01", b"59=4\x01"))
        odd = chance.choice(ODD_FIELDS) if chance.random() < 0.05 else b""
        head = chance.choice(ROUTES)
        account = b"1=ACC%d\x01" % chance.randrange(3) if chance.random() < 0.3 else b""
        self.peer.say(b"D", b"11=%b\x01%b%b%b%b" % (name, account, self._terms(symbol, side), tif, odd), head)
        self.entered.append(name)
        self._remember(name, symbol, side)

    def _remember(self, name: bytes, symbol: bytes, side: bytes) -> None:
        self._orders.append((name, symbol, side))
        if len(self._orders) > 400:
            del self._orders[:200]

    def _cancel(self) -> None:
        if self._orders:
            orig, symbol, side = self.random.choice(self._orders)
            body = b"41=%b\x0111=%b\x0155=%b\x0154=%b\x0160=%b\x01" % (orig, self._name(), symbol, side, stamp())
            self.peer.say(b"F", body)

    def _replace(self) -> None:
        if self._orders:
            orig, symbol, side = self.random.choice(self._orders)
            name = self._name()
            self.peer.say(b"G", b"41=%b\x0111=%b\x01%b" % (orig, name, self._terms(symbol, side)))
            self._remember(name, symbol, side)

    def _ask_status(self) -> None:
        if self._orders:
            name, symbol, side = self.random.choice(self._orders)
            self.peer.say(b"H", b"11=%b\x0155=%b\x0154=%b\x01" % (name, symbol, side))

    def _test(self) -> None:
        self.peer.ping()

    def _ask_again(self) -> None:
        if self.peer.next_in > 1:
            begin = self.random.randrange(max(1, self.peer.next_in - 200), self.peer.next_in)
            self.peer.ask_again(begin, self.random.choice((0, self.peer.next_in - 1, begin)))

    def _ask_market(self) -> None:
        symbol = self.random.choice(self.symbols)
        self.peer.say(b"V", market_data_request(symbol, aggregated=self.random.random() < 0.5, depth=20))

    def _say_wrong(self) -> None:
        """Something that is rejected by the session, by the business, or by the exchange's rules."""
        peer, name = self.peer, self._name()
        order = b"11=%b\x0155=%b\x0154=1\x0160=%b\x0138=1\x01" % (name, self.symbols[0], stamp())
        wrong = (
            lambda: peer.say_once(b"D", order),  # no OrdType
            lambda: peer.say_once(b"D", order + b"40=2\x0144=\x01"),
            lambda: peer.say_once(b"D", order + b"40=x\x01"),
            lambda: peer.say_once(b"D", order + b"40=2\x0144=1.00\x0199999=1\x01"),
            lambda: peer.say_once(b"ZZ", order),
            lambda: peer.say_once(b"R", b"131=%b\x01146=1\x0155=%b\x01" % (name, self.symbols[0])),
            lambda: peer.say_once(b"D", order.replace(self.symbols[0], b"NOPE") + b"40=2\x0144=1.00\x01"),
            lambda: peer.say_once(b"D", order + b"40=2\x0144=1.001\x01"),
            lambda: peer.say_once(b"2", b"7=0\x0116=0\x01"),
            lambda: self._orders and peer.say(b"D", self._terms_again(), b"97=Y\x01"),
        )
        self.random.choice(wrong)()

    def _terms_again(self) -> bytes:
        """An order that was said before, for a PossResend(97)."""
        name, symbol, side = self.random.choice(self._orders)
        return b"11=%b\x01%b" % (name, self._terms(symbol, side))

    def _garble(self) -> None:
        body = b"11=GARBLED\x0155=SYM000\x01" + ODD_FIELDS[2]
        whole = render(b"D", self.peer.name, self.peer.next_out, b"52=%b\x01" % stamp(), body)
        garbled = (
            whole[:-4] + b"%03d\x01" % ((int(whole[-4:-1]) + 1) % 256),
            whole.replace(b"\x0155=", b"\x01garbled="),
            whole[: self.random.randrange(12, len(whole) - 8)],
            b"hello exchange\r\n" * self.random.randrange(1, 40),
            b"8=FIX.4.4\x019=abc\x0135=0\x01",
            b"8=FIX.4.4\x019=-5\x0135=0\x01",
        )
        self.peer.blurt(self.random.choice(garbled))
        if self.random.random() < 0.1:
            # a BodyLength that is too long swallows what follows: the exchange asks for it again
            self.peer.blurt(re.sub(rb"(?<=\x019=)\d+", lambda length: b"%d" % (int(length[0]) + 150), whole, count=1))
            self.peer.ping()
            self.peer.ping()
            self.peer.ping()


def market_data_request(symbol: bytes, *, aggregated: bool, depth: int) -> bytes:
    """Body of a MarketDataRequest(V) for one snapshot of both sides."""
    head = b"262=%b\x01263=0\x01264=%d\x01266=%b\x01" % (symbol, depth, b"Y" if aggregated else b"N")
    return head + b"267=2\x01269=0\x01269=1\x01146=1\x0155=%b\x01" % symbol


class Load:
    """Peers and traders, driven by whoever calls `run`: no thread, so a seed tells what is said."""

    def __init__(self, seed: int, sessions: int, symbols: int, prefix: str = "PEER") -> None:
        self.symbols = [b"SYM%03d" % number for number in range(symbols)]
        self.peers = [Peer(f"{prefix}{number}") for number in range(sessions)]
        self.traders = [Trader(peer, seed, self.symbols) for peer in self.peers]

    def connect(self, port: int) -> None:
        """Connect everybody, and have everybody take what it missed."""
        for peer in self.peers:
            peer.connect(port)
        self.settle()

    def settle(self) -> None:
        """Return when the exchange has dealt with everything that was said, and everybody has its answers.

        A TestRequest may be lost behind garbled bytes, so it is said again now and then.
        """
        open_ends = {peer: [peer.ping()] for peer in self.peers if peer.connected}
        limit, again = time.monotonic() + PATIENCE_S, time.monotonic() + 1.0
        while open_ends:
            moved = self._turn()
            for peer in list(open_ends):
                assert peer.connected, f"{peer.name!r} was cut off: {peer.farewell!r}"
                if any(peer.has_echoed(text) for text in open_ends[peer]):
                    del open_ends[peer]
            if time.monotonic() > again:
                again = time.monotonic() + 1.0
                for peer, texts in open_ends.items():
                    peer.insist()
                    texts.append(peer.ping())
            assert time.monotonic() < limit, f"no Heartbeat for {[peer.name for peer in open_ends]}"
            if not moved:
                time.sleep(0.001)

    def run(self, until: Callable[[], bool], burst: int = 2, rest_s: float = 0.001) -> None:
        """Trade until `until`, or until nobody is connected: everybody acts `burst` times, then rests."""
        while not until() and any(peer.connected for peer in self.peers):
            for trader in self.traders:
                if trader.peer.may_speak and trader.peer.backlog < BACKLOG_MAX:
                    for _ in range(burst):
                        trader.act()
            self._turn()
            time.sleep(rest_s)

    def say(self, count: int) -> None:
        """Each trader acts `count` times."""
        for _ in range(0, count, 8):
            for trader in self.traders:
                for _ in range(8):
                    trader.act()
            self._turn()
            while any(peer.backlog > BACKLOG_MAX for peer in self.peers):
                self._turn()

    def drain(self) -> None:
        """The exchange is dead: take what it had said."""
        limit = time.monotonic() + PATIENCE_S
        while any(peer.connected for peer in self.peers):
            self._turn()
            assert time.monotonic() < limit, "a connection outlives the exchange"

    def log_out(self) -> None:
        """Log out and wait for the end of every connection."""
        for peer in self.peers:
            if peer.connected:
                peer.log_out()
        self.drain()

    def close(self) -> None:
        """Hang up."""
        for peer in self.peers:
            peer.drop()

    def _turn(self) -> bool:
        moved = False
        for peer in self.peers:
            moved |= peer.turn()
        return moved


class MakeLoad(Protocol):
    """Makes a `Load` that is closed when the test ends."""

    def __call__(self, seed: int, sessions: int, symbols: int, prefix: str = "PEER") -> Load: ...
