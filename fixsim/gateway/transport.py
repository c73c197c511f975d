"""One accepted socket, plain or TLS, non-blocking, behind the same three verbs."""

import contextlib
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fixsim.config import Tls
from fixsim.errors import VenueError

#: `read` found nothing for now.
NOTHING: Final = -1
#: Buffers one sendmsg may name (IOV_MAX of Linux and macOS).
VIEWS_MAX: Final = 1_024
#: Bytes joined for one TLS write: four records.
TLS_WRITE_BYTES: Final = 65_536

#: Errors that mean the peer is gone, or never was.
GONE: Final = (ConnectionError, TimeoutError, ssl.SSLError, OSError)


class Plain:
    """A TCP connection."""

    __slots__ = ("fd", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.fd = connection.fileno()

    def handshake(self) -> bool:
        """True: there is none."""
        return True

    def read(self, into: memoryview) -> int:
        """Bytes written to `into`; 0 at the end of the stream, NOTHING when none are there. Raises GONE."""
        try:
            return self.socket.recv_into(into)
        except (BlockingIOError, InterruptedError):
            return NOTHING

    @property
    def holds_more(self) -> bool:
        """Whether bytes wait here that the poller cannot see."""
        return False

    def send(self, views: Sequence[memoryview]) -> int:
        """Bytes the transport took of `views`, 0 when it takes none now. Raises GONE."""
        try:
            return self.socket.sendmsg(views if len(views) <= VIEWS_MAX else views[:VIEWS_MAX])
        except (BlockingIOError, InterruptedError):
            return 0

    def say_goodbye(self) -> None:
        """No more bytes will be sent; the peer sees the end after the last of them."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()


class Secure(Plain):
    """A TLS connection over TCP."""

    __slots__ = ("_tls",)

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True)
        super().__init__(self._tls)

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is complete. Raises GONE when it failed."""
        try:
            self._tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        return True

    def read(self, into: memoryview) -> int:
        filled = 0
        try:
            while filled < len(into):
                count = self._tls.recv_into(into[filled:])
                if count == 0:
                    break
                filled += count
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return filled or NOTHING
        except GONE:
            if filled == 0:
                raise
        return filled

    @property
    def holds_more(self) -> bool:
        return self._tls.pending() > 0

    def send(self, views: Sequence[memoryview]) -> int:
        chunk = bytearray()
        for view in views:
            chunk += view[: TLS_WRITE_BYTES - len(chunk)]
            if len(chunk) == TLS_WRITE_BYTES:
                break
        try:
            return self._tls.send(chunk)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The server's side of `[tls]`; with `client_ca` each client must show a certificate. Raises VenueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.private_key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise VenueError(f"cannot use the certificate {Path(tls.certificate).name}: {error}") from error
    return context
