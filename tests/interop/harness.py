"""What interop tests stand on: the exchange as a process, a proxy that records, and the QuickFIX initiator.

Everything here talks to `fixsim serve` as a stranger would: over a socket, with its own idea of FIX.
"""

import contextlib
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import quickfix

from fixsim.fix import codec, tags
from fixsim.fix.message import Message

ROOT = Path(__file__).parents[2]
READY = re.compile(r"fixsim ready.*?(\S+):(\d+)\b.*pid (\d+)\s*$")
#: Kernels may have to be compiled first, on a machine that has other things to do.
READY_TIMEOUT_S = 400.0


class ServerProcess:
    """`fixsim serve` in a process of its own; `kill` is kill -9 of the exchange's own pid, `start` goes on
    after it.

    The data directory is `data_dir`, or a temporary one (`--fresh`) when None. The port stays the same over
    restarts.
    """

    def __init__(
        self, data_dir: Path | None = None, *, config: Path | None = None, database: str = "none", port: int = 0,
        options: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.data_dir, self.config, self.database, self.options = data_dir, config, database, options
        self.host, self.port, self.pid = "127.0.0.1", port, 0
        self.log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # lives as long as we do
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "ServerProcess":
        try:
            self.start()
        except BaseException:
            self.log.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        self.log.close()

    def start(self) -> None:
        """Start, and wait for the ready line."""
        self.launch()
        found = READY.search(self._ready_line())
        if found is None:
            self.kill()
            raise AssertionError(f"the exchange did not get ready: {self.tell()}")
        self.host, self.port, self.pid = found[1], int(found[2]), int(found[3])

    def launch(self) -> None:
        """Start without waiting."""
        command = [sys.executable, "-m", "fixsim.cli.main", "serve", "--port", str(self.port)]
        command += ["--database-url", self.database, "--log-level", "warning"]
        command += ["--fresh"] if self.data_dir is None else ["--data-dir", str(self.data_dir)]
        command += self.options
        command += [] if self.config is None else ["--config", str(self.config)]
        command += self.options
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=ROOT)
        self.pid = self._process.pid

    def _ready_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if not select.select([self._process.stdout], [], [], 1.0)[0]:
                continue
            line = self._process.stdout.readline()
            if not line or "fixsim ready" in line:
                return line
        return ""

    def kill(self) -> None:
        """kill -9, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._reap()

    def stop(self, timeout_s: float = 20.0) -> int | None:
        """SIGTERM, and the exit code; a process that does not end in time is killed."""
        if self._process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._reap()

    def _reap(self) -> int:
        assert self._process is not None
        code = self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return code

    def tell(self) -> str:
        """What the exchange wrote to stderr."""
        self.log.seek(0)
        return self.log.read()


class Recording:
    """One connection through the proxy: the bytes of each direction as they were read."""

    def __init__(self) -> None:
        self.to_exchange = bytearray()
        self.to_client = bytearray()


def _read(link: socket.socket) -> bytes | None:
    """What came; empty at the end, None for something that was no application's (TLS has such)."""
    link.settimeout(0.05)
    try:
        chunk = link.recv(1 << 18)
        while isinstance(link, ssl.SSLSocket) and link.pending():
            chunk += link.recv(1 << 18)
    except TimeoutError:
        return None
    except OSError:
        return b""
    return chunk


class RecordingProxy:
    """A TCP proxy in front of the exchange that keeps every byte, connection by connection.

    `target` may change between connections; with `tls` its side is spoken to in TLS, as a tunnel does. A
    connection whose far side ends is ended on the near side too, after everything that was read has been
    passed on.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = (host, port)
        self._tls = tls
        self.recordings: list[Recording] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> "RecordingProxy":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            try:
                far = socket.create_connection(self.target, timeout=5)
                if self._tls is not None:
                    far = self._tls.wrap_socket(far, server_hostname=self.target[0])
            except OSError:
                near.close()
                continue
            recording = Recording()
            self.recordings.append(recording)
            thread = threading.Thread(target=self._carry, args=(near, far, recording), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket, far: socket.socket, recording: Recording) -> None:
        ways = {near: (far, recording.to_exchange), far: (near, recording.to_client)}
        for link in ways:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with near, far:
            while not self._stopping.is_set():
                # the exchange's side first: what it said before it died is read before its death is noticed
                readable = select.select(list(ways), [], [], 0.1)[0]
                for link in sorted(readable, key=lambda link: link is near):
                    other, record = ways[link]
                    chunk = _read(link)
                    if chunk is None:
                        continue
                    record += chunk
                    if not chunk:
                        return
                    try:
                        other.settimeout(10.0)
                        other.sendall(chunk)
                    except OSError:
                        if other is far:
                            self._drain(far, recording)
                        return

    def _drain(self, far: socket.socket, recording: Recording) -> None:
        """The exchange died: read what it had said."""
        with contextlib.suppress(OSError):
            while chunk := far.recv(1 << 18):
                recording.to_client += chunk


def frames(octets: bytes | bytearray) -> Iterator[bytes]:
    """The whole frames of one direction of a recording; a frame cut at the end is left out."""
    start = 0
    while start < len(octets):
        framing = codec.find_frame(octets, start, len(octets), 1 << 20)
        if framing.kind == codec.PARTIAL:
            return
        if framing.kind == codec.FRAME:
            yield bytes(octets[framing.start : framing.end])
        start = framing.end


def fields(**named: object) -> list[tuple[int, str]]:
    """Fields by the name of their constant in lower case: `fields(cl_ord_id="1", symbol="AAPL")`."""
    return [(getattr(tags, name.upper()), str(value)) for name, value in named.items()]


def order(cl_ord_id: str, side: str, qty: object, symbol: str, price: str | None = None, **more: object) -> Any:
    """Fields of a NewOrderSingle(D)."""
    body: dict[str, object] = {"cl_ord_id": cl_ord_id, "symbol": symbol, "side": side, "transact_time": stamp()}
    body |= {"order_qty": qty, "ord_type": "1" if price is None else "2"}
    if price is not None:
        body["price"] = price
    return fields(**(body | more))


def stamp() -> str:
    """Now as UTCTimestamp."""
    return time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())


class QuickFixClient(quickfix.Application):  # type: ignore[misc]  # the package has no types
    """The QuickFIX initiator, its settings in a file, what it received in lists.

    `settings` replaces or adds keys of the session's section. Callbacks run on QuickFIX's thread: a client that is collected
    while that thread runs would take the process with it, so those that run are kept, and `drop_all` ends them.
    """

    _running: ClassVar[set["QuickFixClient"]] = set()

    def __init__(self, port: int, directory: Path, sender: str = "QF", **settings: object) -> None:
        super().__init__()
        self.directory, self.sender = directory, sender
        self.application: list[Message] = []
        self.admin: list[Message] = []
        self.said: list[Message] = []
        self.logons = self.logouts = 0
        self.credentials: tuple[str, str] | None = None
        self.session_id: Any = None
        self._changed = threading.Condition()
        self._parts: tuple[Any, ...] = ()
        self._settings = write_settings(directory, port, sender, settings)

    def __enter__(self) -> "QuickFixClient":
        try:
            self.start()
        except BaseException:
            self.drop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # ------------------------------------------------------------ running

    def start(self, wait: bool = True) -> None:
        """Connect; wait for the Logon's answer unless told otherwise."""
        settings = quickfix.SessionSettings(str(self._settings))
        stores = quickfix.FileStoreFactory(settings)
        logs = quickfix.FileLogFactory(settings)
        initiator = quickfix.SocketInitiator(self, stores, settings, logs)
        self._parts = (initiator, logs, stores, settings)  # QuickFIX keeps no references to them
        before = self.logons
        self._running.add(self)
        initiator.start()
        if wait:
            self.wait(lambda: self.logons > before, "a Logon")

    def stop(self) -> None:
        """Log out and let go of everything."""
        self._let_go()

    def drop(self) -> None:
        """Let go without a Logout."""
        self._let_go(True)

    def _let_go(self, *force: bool) -> None:
        if self._parts:
            self._parts[0].stop(*force)
            self._parts = ()
            self._running.discard(self)

    @classmethod
    def drop_all(cls) -> None:
        """Let go of whatever a test left running."""
        for client in list(cls._running):
            client.drop()

    @property
    def session(self) -> Any:
        """QuickFIX's own session object: its sequence numbers can be set."""
        return quickfix.Session.lookupSession(self.session_id)

    def send(self, msg_type: str, body: list[tuple[int, str]], groups: tuple[Any, ...] = ()) -> None:
        """Send one application message; `groups` are quickfix.Group objects."""
        message = quickfix.Message()
        message.getHeader().setField(quickfix.MsgType(msg_type))
        for tag, value in body:
            message.setField(tag, value)
        for group in groups:
            message.addGroup(group)
        assert quickfix.Session.sendToTarget(message, self.session_id)

    # ------------------------------------------------------------ waiting

    def wait(self, done: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
        """Wait until `done`; AssertionError with what came otherwise."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (good := done()) and time.monotonic() < deadline:
                self._changed.wait(0.05)  # QuickFIX's own state changes without a word
        assert good, f"no {what} in {timeout_s} s; got {self.application[-5:]} {self.admin[-5:]}"

    def expect(self, count: int, msg_type: str = "8", after: int = 0, **named: str) -> list[Message]:
        """The first `count` application messages behind the first `after` of this type with these fields."""
        wanted = [(tag, value.encode()) for tag, value in fields(**named)]

        def found() -> list[Message]:
            return [
                message
                for message in self.application[after:]
                if message.msg_type == msg_type.encode()
                and all(message.get(tag) == value for tag, value in wanted)
            ]

        self.wait(lambda: len(found()) >= count, f"{count} of {msg_type} {named}")
        return found()[:count]

    # ------------------------------------------------------------ QuickFIX calls these

    def onCreate(self, session_id: Any) -> None:  # noqa: N802
        self.session_id = session_id

    def onLogon(self, session_id: Any) -> None:  # noqa: N802
        with self._changed:
            self.logons += 1
            self._changed.notify_all()

    def onLogout(self, session_id: Any) -> None:  # noqa: N802
        with self._changed:
            self.logouts += 1
            self._changed.notify_all()

    def toAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
        if self.credentials is not None and message.getHeader().getField(35) == "A":
            message.setField(553, self.credentials[0])
            message.setField(554, self.credentials[1])
        self.said.append(read(message))

    def toApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
        self.said.append(read(message))

    def fromAdmin(self, message: Any, session_id: Any) -> None:  # noqa: N802
        self._keep(self.admin, message)

    def fromApp(self, message: Any, session_id: Any) -> None:  # noqa: N802
        self._keep(self.application, message)

    def _keep(self, where: list[Message], message: Any) -> None:
        with self._changed:
            where.append(read(message))
            self._changed.notify_all()


def read(message: Any) -> Message:
    """A QuickFIX message as ours; it may not be finished yet, so nothing is checked."""
    return codec.decode(message.toString().encode("latin-1"), check=False)


def write_settings(directory: Path, port: int, sender: str, settings: dict[str, object]) -> Path:
    """A settings file for one session against 127.0.0.1:`port`."""
    directory.mkdir(parents=True, exist_ok=True)
    values: dict[str, object] = {
        "ConnectionType": "initiator",
        "BeginString": "FIX.4.4",
        "SenderCompID": sender,
        "TargetCompID": "FIXSIM",
        "SocketConnectHost": "127.0.0.1",
        "SocketConnectPort": port,
        "ReconnectInterval": 1,
        "HeartBtInt": 30,
        "StartTime": "00:00:00",
        "EndTime": "00:00:00",
        "UseDataDictionary": "Y",
        "DataDictionary": ROOT / "spec" / "FIX44.xml",
        "FileStorePath": directory / "store",
        "FileLogPath": directory / "log",
        "LogoutTimeout": 2,
    } | settings
    path = directory / "settings.cfg"
    names = ("BeginString", "SenderCompID", "TargetCompID")
    session = [f"{key}={values.pop(key)}" for key in names]
    lines = ["[DEFAULT]", *(f"{key}={value}" for key, value in values.items()), "[SESSION]", *session]
    path.write_text("\n".join(lines) + "\n")
    return path
