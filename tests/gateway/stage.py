"""A whole venue for the gateway's tests: real exchange, real journal, real sockets, in this process.

`Stage` runs the server in a thread, as `fixsim serve` runs it in the main one. `Client` is a FIX peer that says exactly what
the test wants said.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from fixsim.config import Capacities, Config, Counterparty, Instrument, Venue
from fixsim.exchange.opening import open_venue
from fixsim.fix.codec import FRAME, decode, encode, find_frame
from fixsim.fix.message import Message
from fixsim.gateway.acceptor import bind
from fixsim.gateway.clock import Clock
from fixsim.gateway.server import Server
from fixsim.units import format_utc_timestamp

APPLE = Instrument("AAPL", Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000))
CAPACITIES = Capacities(orders=4_096, sessions=64, instruments=8, price_levels=1_024, clordid_memory=4_096, greetings=32)


def small(venue: Venue | None = None, **changed: Any) -> Config:
    """A configuration that starts quickly: one instrument, everybody welcome."""
    settings: dict[str, Any] = {
        "venue": venue or Venue(),
        "instruments": (APPLE,),
        "counterparties": (Counterparty("*"),),
        "capacities": CAPACITIES,
    }
    return Config(**(settings | changed))


class Stage:
    """A venue that serves in a thread."""

    def __init__(
        self, config: Config, data_dir: Path, context: ssl.SSLContext | None = None, config_path: Path | None = None,
        clock_start_ns: int | None = None,
    ) -> None:  # fmt: skip
        self.data_dir = data_dir
        self.opened = open_venue(config, data_dir, time.time_ns(), clock_start_ns=clock_start_ns)
        self.exchange = self.opened.exchange
        self.clock = Clock(self.exchange.tape.now_ns)
        listener = bind("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.server = Server(self.opened, self.clock, listener, context, data_dir, config_path=config_path)
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="venue")

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as failure:
            self.failure = failure

    def __enter__(self) -> "Stage":
        self.server.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop("the test is over")
        self._thread.join(30)
        self.opened.writer.close()
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def client(self, sender: str = "CLIENT", **kwargs: Any) -> "Client":
        """A connected peer that has said nothing yet."""
        return Client(self.port, sender, **kwargs)


class Client:
    """A FIX peer over a blocking socket. Numbers its messages from 1, remembers nothing."""

    def __init__(self, port: int, sender: str, target: str = "FIXSIM", tls: ssl.SSLContext | None = None) -> None:
        self.sender, self.target = sender.encode(), target.encode()
        self.next_out = 1
        self.buffer = bytearray()
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain if tls is None else tls.wrap_socket(plain, server_hostname="localhost")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def frame(self, msg_type: str, body: str = "", seq: int | None = None, at_ns: int | None = None) -> bytes:
        """A message with the next MsgSeqNum(34), unless `seq` says otherwise."""
        if seq is None:
            seq, self.next_out = self.next_out, self.next_out + 1
        stamp = format_utc_timestamp(time.time_ns() if at_ns is None else at_ns, 3)
        header = [(49, self.sender), (56, self.target), (34, b"%d" % seq), (52, stamp)]
        fields = [part.partition("=") for part in body.strip("|").split("|") if part]
        return encode(msg_type.encode(), header, [(int(tag), value.encode()) for tag, _, value in fields])

    def say(self, msg_type: str, body: str = "", **kwargs: Any) -> None:
        """Send one message."""
        self.socket.sendall(self.frame(msg_type, body, **kwargs))

    def hear(self, timeout_s: float = 10.0) -> Message | None:
        """The next message; None when the connection ended first. Raises TimeoutError."""
        self.socket.settimeout(timeout_s)
        while True:
            framing = find_frame(self.buffer, 0, len(self.buffer), 1 << 20)
            if framing.kind == FRAME:
                frame = bytes(self.buffer[: framing.end])
                del self.buffer[: framing.end]
                return decode(frame)
            try:
                came = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not came:
                return None
            self.buffer += came

    def expect(self, msg_type: str, timeout_s: float = 10.0) -> Message:
        """The next message, which must be a `msg_type`."""
        message = self.hear(timeout_s)
        assert message is not None, "the connection ended"
        assert message.msg_type == msg_type.encode(), message
        return message

    def log_on(self, more: str = "", heartbeat_s: int = 0, reset: bool = True) -> Message:
        """Logon, answered by a Logon."""
        self.say("A", f"98=0|108={heartbeat_s}|{'141=Y|' if reset else ''}{more}")
        return self.expect("A")

    def is_dropped(self, timeout_s: float = 10.0) -> bool:
        """Whether the connection ends without another byte."""
        return self.hear(timeout_s) is None

    def order(self, cl_ord_id: str, side: int = 1, qty: int = 10, price: str = "10.00", symbol: str = "AAPL") -> bytes:
        """A limit order, Day."""
        stamp = format_utc_timestamp(time.time_ns(), 3).decode()
        return self.frame("D", f"11={cl_ord_id}|55={symbol}|54={side}|60={stamp}|38={qty}|40=2|44={price}|59=0")


@contextlib.contextmanager
def running(config: Config, data_dir: Path, context: ssl.SSLContext | None = None) -> Iterator[Stage]:
    """A venue that serves while the block runs."""
    with Stage(config, data_dir, context) as stage:
        yield stage


def round_trip_s(client: Client, number: int) -> float:
    """Time of one TestRequest(1) and its Heartbeat(0)."""
    began = time.perf_counter()
    client.say("1", f"112={number}")
    assert client.expect("0").get(112) == b"%d" % number
    return time.perf_counter() - began
