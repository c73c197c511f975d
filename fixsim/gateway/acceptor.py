"""The listening socket."""

import contextlib
import errno
import ipaddress
import socket
import ssl
from typing import Final

from fixsim.config import StreetSettings
from fixsim.errors import UsageError, VenueError
from fixsim.gateway.greeting import Lobby
from fixsim.gateway.log import LOGGER, OncePerMinute
from fixsim.gateway.poller import READ, Poller
from fixsim.gateway.transport import Plain, Secure
from fixsim.layout import NEVER

#: Connections accepted in one turn: a storm of them waits in the kernel, the sessions do not.
ACCEPTED_PER_TURN_MAX: Final = 4
#: The socket module does not name it everywhere.
SO_BUSY_POLL: Final = getattr(socket, "SO_BUSY_POLL", 46)
#: No descriptors or no memory: nothing is accepted for this long.
PAUSE_NS: Final = 100_000_000
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to `host`:`port` that does not listen yet, so that a port in use is known early."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise VenueError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def shown_address(listener: socket.socket) -> str:
    """host:port, with brackets around an IPv6 host."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def set_options(listener: socket.socket, settings: StreetSettings) -> None:
    """Options that connections inherit from the socket that listens; must come before it does. One that the system refuses is
    logged and left.
    """
    wanted = [
        (name, option, value)
        for name, option, value in (
            ("receive_buffer_bytes", socket.SO_RCVBUF, settings.receive_buffer_bytes),
            ("send_buffer_bytes", socket.SO_SNDBUF, settings.send_buffer_bytes),
            ("busy_poll_us", SO_BUSY_POLL, settings.busy_poll_us),
        )
        if value
    ]
    for name, option, value in wanted:
        try:
            listener.setsockopt(socket.SOL_SOCKET, option, value)
        except OSError as error:
            LOGGER.warning("street.%s = %d is left as the system has it: %s", name, value, error.strerror)


class Acceptor:
    """Gives new connections to the lobby."""

    def __init__(
        self, listener: socket.socket, context: ssl.SSLContext | None, lobby: Lobby, poller: Poller, settings: StreetSettings
    ) -> None:
        self._listener, self._context, self._lobby, self._poller = listener, context, lobby, poller
        self._settings = settings
        self._log = OncePerMinute()
        self._paused_until_ns = 0

    def open(self) -> None:
        """Connections are accepted from now on."""
        set_options(self._listener, self._settings)
        self._listener.listen(self._settings.backlog)
        self._poller.add(self._listener.fileno(), self)

    def close(self) -> None:
        """No more connections; once is enough."""
        if self._listener.fileno() != -1:
            self._poller.remove(self._listener.fileno())
            self._listener.close()

    def next_deadline_ns(self) -> int:
        """When a pause is over."""
        return self._paused_until_ns or NEVER

    def resume(self, now_ns: int) -> None:
        """Accept again once a pause is over."""
        if self._paused_until_ns and now_ns >= self._paused_until_ns:
            self._paused_until_ns = 0
            self._poller.change(self._listener.fileno(), READ)

    def ready(self, mask: int, now_ns: int) -> None:
        """Accept who waits, a few per turn."""
        for _ in range(ACCEPTED_PER_TURN_MAX):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._pause(now_ns, error)
                    return
                continue  # it was gone before we came
            self._welcome(connection, str(address[0]), now_ns)

    def _welcome(self, connection: socket.socket, address: str, now_ns: int) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self._settings.no_delay))
            transport = Plain(connection) if self._context is None else Secure(connection, self._context)
        except OSError:
            with contextlib.suppress(OSError):
                connection.close()
            return
        self._lobby.welcome(transport, address.removeprefix("::ffff:"), now_ns)

    def _pause(self, now_ns: int, error: OSError) -> None:
        LOGGER.warning("no connections accepted for a moment: %s", error.strerror)
        self._paused_until_ns = now_ns + PAUSE_NS
        self._poller.change(self._listener.fileno(), 0)
