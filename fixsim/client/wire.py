"""The core on a TCP or TLS connection, driven by whoever waits: no thread, so nothing happens behind the
caller's back.

`pump` is the whole loop: send what is to be sent, take what has come, let time pass. Heartbeats are kept up
as long as somebody pumps. This and the command line are the only places of the client that know a clock.
"""

import math
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self, TypedDict, Unpack

from fixsim.client.core import Core, Echoed, Identity, News, Received
from fixsim.client.faults import ConnectionLost, LogonRefused, NoAnswer, NobodyListens
from fixsim.client.store import MemoryStore, Store
from fixsim.fix.message import Message
from fixsim.session.events import Disconnect, LoggedOn, LoggedOut, PeerRejected
from fixsim.session.session import NEVER
from fixsim.units import NS_PER_S

#: Bytes asked of the transport at once.
CHUNK_BYTES: Final = 1 << 16
HUNG_UP: Final = "the exchange hung up"


class WireOptions(TypedDict, total=False):
    """What may be said about a connection besides where and who."""

    username: str | None
    password: str | None
    #: None for plain TCP; a context says whom to trust and which certificate to show.
    tls: ssl.SSLContext | None
    #: Keeps the session between connections and processes; in memory when None.
    store: Store | None
    #: Whether the first connection restarts the sequence numbers.
    reset: bool | None
    #: HeartBtInt(108) that is asked for.
    heartbeat_s: int
    #: How long an answer is waited for.
    timeout_s: float
    #: Called with every message for the user, as it comes.
    on_message: Callable[[Message], None] | None


class Wire:
    """One initiator on one connection at a time; `with` connects and logs on, leaving logs out.

    The first connection begins anew with ResetSeqNumFlag(141) = Y when there is no `store`, unless `reset`
    says otherwise; later ones continue.
    """

    def __init__(
        self, host: str, port: int, sender: str, target: str, **options: Unpack[WireOptions]
    ) -> None:
        self.host, self.port = host, port
        self.timeout_s = options.get("timeout_s", 5.0)
        self.on_message = options.get("on_message")
        username, password = options.get("username"), options.get("password")
        store, reset = options.get("store"), options.get("reset")
        identity = Identity(
            sender.encode(),
            target.encode(),
            None if username is None else username.encode(),
            None if password is None else password.encode(),
            options.get("heartbeat_s", 30),
        )
        self.core = Core(identity, MemoryStore() if store is None else store)
        self.logged_on = False
        self._reset = store is None if reset is None else reset
        self._tls = options.get("tls")
        self._socket: socket.socket | None = None
        self._outgoing = bytearray()
        self.why_closed = ""
        self._echoes: set[bytes] = set()
        self._pings = 0

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # ------------------------------------------------------------ the connection

    @property
    def connected(self) -> bool:
        """A connection stands (not yet: somebody is logged on)."""
        return self._socket is not None

    def fileno(self) -> int:
        """The socket's descriptor, for a selector; -1 when there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def connect(self) -> None:
        """Connect and log on; a later call continues the session where it stood.

        Raises NobodyListens, LogonRefused, NoAnswer.
        """
        self._open()
        self.core.connected(time.time_ns(), self._reset)
        self._reset = False
        try:
            self.wait_until(lambda: self.logged_on, "the Logon")
        except ConnectionLost as lost:
            reason = self.core.farewell or self.why_closed
            self._drop("Logon refused")
            raise LogonRefused(f"{self.place}: {reason}") from lost
        except NoAnswer:
            self._drop("no answer to the Logon")
            raise

    @property
    def place(self) -> str:
        """host:port, for messages."""
        return f"{self.host}:{self.port}"

    def _open(self) -> None:
        self._drop("connecting anew")
        try:
            plain = socket.create_connection((self.host, self.port), timeout=self.timeout_s)
        except OSError as error:
            raise NobodyListens(f"nobody listens at {self.place} ({error.strerror or error})") from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)
        except OSError as error:
            plain.close()
            raise NobodyListens(f"{self.place}: no TLS connection ({error})") from error
        link.setblocking(False)
        self._socket = link

    def close(self) -> None:
        """Log out, hang up and let go of the store."""
        if self.logged_on and self._socket is not None:
            self.core.logout(time.time_ns())
            with suppress(ConnectionLost, NoAnswer):
                self.wait_until(lambda: not self.connected, "the Logout")
        self._drop("closed")
        self.core.store.close()

    def abort(self) -> None:
        """Hang up without a word, as a crash would; `connect` continues the session."""
        if self._socket is not None:
            self._lost("hung up")

    def _drop(self, reason: str) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self.logged_on = False
        self._outgoing.clear()
        self.why_closed = reason

    def _lost(self, reason: str) -> None:
        self._drop(reason)
        self.core.receive_eof(time.time_ns())
        self._handle(self.core.take_news())

    # ------------------------------------------------------------ saying and waiting

    def say(self, msg_type: bytes, body: list[tuple[int, bytes]]) -> int:
        """Queue an application message and send what goes out without waiting; its MsgSeqNum(34).

        Raises ConnectionLost when there is no connection.
        """
        if not self.logged_on:
            raise ConnectionLost(f"not logged on to {self.place}: {self.why_closed}")
        seq = self.core.say(msg_type, body, time.time_ns())
        self._send()
        return seq

    def settle(self) -> None:
        """Wait until everything the exchange had to say up to now has come. Raises ConnectionLost,
        NoAnswer.
        """
        self._pings += 1
        text = b"PING-%d" % self._pings
        self.core.ping(text, time.time_ns())
        self.wait_until(lambda: text in self._echoes, "a Heartbeat")
        self._echoes.discard(text)

    def wait_until(self, done: Callable[[], bool], what: str, timeout_s: float | None = None) -> None:
        """Pump until `done()`. Raises NoAnswer after the time, ConnectionLost when the connection ends
        first.
        """
        limit = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not done():
            left = limit - time.monotonic()
            if left <= 0:
                raise NoAnswer(f"{self.place} did not answer in time: waited for {what}")
            if self._socket is None:
                raise ConnectionLost(f"{self.place}: {self.why_closed or 'the connection ended'}")
            self.pump(left)

    def pump(self, timeout_s: float = 0.0) -> None:
        """Send, wait at most `timeout_s` for something to come, take it. Returns at once without a
        connection.
        """
        self._send()
        link = self._socket
        if link is None:
            return
        if not (isinstance(link, ssl.SSLSocket) and link.pending()):
            self._wait(link, max(0.0, min(timeout_s, self._until_deadline_s())))
        self._take()
        if self._until_deadline_s() <= 0:
            self.core.tick(time.time_ns())
        self._handle(self.core.take_news())
        self._send()

    def _wait(self, link: socket.socket, timeout_s: float) -> None:
        """Wait until something came, or can go. Not `select.select`, which knows the first 1,024 descriptors only."""
        poller = select.poll()
        poller.register(link, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        poller.poll(math.ceil(timeout_s * 1000))

    def _until_deadline_s(self) -> float:
        deadline_ns = self.core.next_deadline_ns()
        return 86_400.0 if deadline_ns == NEVER else (deadline_ns - time.time_ns()) / NS_PER_S

    def _send(self) -> None:
        self._outgoing += self.core.take_bytes()
        while self._outgoing and self._socket is not None:
            try:
                sent = self._socket.send(self._outgoing)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lost(HUNG_UP if isinstance(error, ConnectionError) else str(error))
                return
            del self._outgoing[:sent]

    def _take(self) -> None:
        """Take all that has come, up to one chunk more than is there."""
        while self._socket is not None:
            try:
                chunk = self._socket.recv(CHUNK_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                self._lost(HUNG_UP if isinstance(error, ConnectionError) else str(error))
                return
            if not chunk:
                self._lost(HUNG_UP)
                return
            self.core.receive(chunk, time.time_ns())
            self._handle(self.core.take_news())
            if len(chunk) < CHUNK_BYTES:
                return

    def _handle(self, news: list[News]) -> None:
        for item in news:
            match item:
                case Received() | PeerRejected():
                    self._received(item.message)
                case Echoed():
                    self._echoes.add(item.text)
                case LoggedOn():
                    self.logged_on = True
                case LoggedOut():
                    self.logged_on = False
                case Disconnect():
                    self._send()
                    self._drop(self.core.farewell or item.reason)
        if news:
            self.core.settle()

    def _received(self, message: Message) -> None:
        """A message for the user: applications' own, and the Reject(3) of one of ours."""
        if self.on_message is not None:
            self.on_message(message)
