"""A venue on the street for scripts: real exchange, real journal, real sockets, and a clock that the script moves.

The server takes its turns when the script wants it to, in this thread; nothing sleeps but the wait for bytes on loopback.
"""

import contextlib
import socket
import time
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from conversations.core import START_NS
from fixsim.config import Capacities, Config, Counterparty, Instrument, Venue
from fixsim.exchange.opening import open_venue
from fixsim.fix.codec import FRAME, find_frame
from fixsim.gateway.acceptor import bind
from fixsim.gateway.credentials import hash_password
from fixsim.gateway.server import Server
from fixsim.layout import NEVER
from fixsim.session import State
from fixsim.units import NS_PER_S

PEER: Final = "PEER"
#: Real seconds after which what was not said counts as never said.
PATIENCE_S: Final = 3.0
CAPACITIES: Final = Capacities(orders=1_024, sessions=256, instruments=8, price_levels=512, clordid_memory=1_024, greetings=8)
INSTRUMENT: Final = Instrument("MSFT", Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000))
#: Settings of a script that an operator makes.
NUMBERS: Final = ("next_in", "next_out")
#: Settings a venue can have.
SETTINGS: Final = {setting.name for kind in (Venue, Counterparty) for setting in fields(kind)} | {
    *NUMBERS,
    "credentials",
}


class MovedClock:
    """Venue time as the script says."""

    def __init__(self) -> None:
        self.at_ns = START_NS

    def now_ns(self) -> int:
        return self.at_ns

    def line(self) -> tuple[int, int, int, int]:
        """Time that stands still: it runs behind itself as fast as it passes."""
        return time.monotonic_ns(), self.at_ns, -1_000_000, NEVER


def config_of(settings: dict[str, str]) -> Config:
    """The configuration a script asks for: each setting where it belongs, in the venue or the counterparty."""

    def chosen(kind: Any) -> dict[str, Any]:
        values = {}
        for setting in fields(kind):
            if setting.name in settings:
                text = settings[setting.name]
                values[setting.name] = text == "yes" if isinstance(setting.default, bool) else type(setting.default)(text)
        return values

    counterparty = Counterparty(f"{PEER}*", **chosen(Counterparty))
    if "credentials" in settings:
        counterparty = replace(counterparty, username="me", password_hash=hash_password(b"right"))
    return Config(
        venue=Venue(**chosen(Venue)),
        instruments=(INSTRUMENT,),
        counterparties=(counterparty,),
        capacities=CAPACITIES,
    )


class Street:
    """One venue, open for the scripts that want the same settings."""

    def __init__(self, settings: dict[str, str], data_dir: Path) -> None:
        self.clock = MovedClock()
        self.opened = open_venue(config_of(settings), data_dir, START_NS)
        self.exchange = self.opened.exchange
        self.listener = bind("127.0.0.1", 0)
        self.server = Server(self.opened, self.clock, self.listener, None, data_dir)  # type: ignore[arg-type]
        self.server.open()
        self.visitors = 0

    def close(self) -> None:
        self.server.stop("the scripts are over")
        self.server.run()
        self.opened.writer.close()


class Streets:
    """Every venue the scripts needed so far; opening one for each script would take its time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, Street] = {}

    def street(self, settings: dict[str, str]) -> Street:
        wanted = {key: value for key, value in settings.items() if key not in NUMBERS}
        name = repr(sorted(wanted.items()))
        if name not in self._open:
            self._open[name] = Street(wanted, self._folder / str(len(self._open)))
        return self._open[name]

    def close(self) -> None:
        for street in self._open.values():
            street.close()


class StreetPeer:
    """`script.Peer` over a socket, under a CompID of its own."""

    def __init__(self, streets: Streets) -> None:
        self.sender, self.target = PEER.encode(), b"FIXSIM"
        self._streets = streets
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._ended = True

    def configure(self, settings: dict[str, str]) -> None:
        street = self._streets.street(settings)
        self._clock, self._server = street.clock, street.server
        self._exchange, self._listener = street.exchange, street.listener
        street.visitors += 1
        self.sender = b"%b%d" % (PEER.encode(), street.visitors)
        numbers = {key.removeprefix("next_"): int(settings[key]) for key in NUMBERS if key in settings}
        if numbers:
            counterparty = self._exchange.members.counterparty_for(self.sender)
            assert counterparty is not None
            self._exchange.members.enter(self.sender, counterparty)
            self._command("sessions.set-next", **numbers)

    def _command(self, verb: str, **arguments: Any) -> None:
        arguments["session"] = self.sender.decode()
        answer = self._exchange.command(verb, arguments, "script", self._clock.at_ns)
        assert answer["ok"], answer
        self._exchange.commit()

    def connect(self) -> None:
        self.hang_up()
        self._socket = socket.create_connection(self._listener.getsockname(), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._buffer.clear()
        self._ended = False
        self._turn()

    def hang_up(self) -> None:
        if self._socket is None:
            return
        self._socket.close()
        self._socket, self._ended = None, True
        member = self._exchange.members.find(self.sender)
        until = time.monotonic() + PATIENCE_S
        while member is not None and member.session.state is not State.DISCONNECTED and time.monotonic() < until:
            self._server.turn(0.01)

    def say(self, octets: bytes) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(octets)
        self._turn()

    def _turn(self) -> None:
        """The server looks at what came; then we look at what it said."""
        for _ in range(2):  # a connection is accepted in one turn, its bytes are read in the next
            self._server.turn(0)
        self._read()

    def _read(self) -> None:
        while self._socket is not None and not self._ended:
            try:
                came = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except ConnectionError:
                came = b""
            self._ended = not came
            self._buffer += came

    def hear(self) -> bytes | None:
        until = time.monotonic() + PATIENCE_S
        while True:
            self._read()
            framing = find_frame(self._buffer, 0, len(self._buffer), 1 << 20)
            if framing.kind == FRAME:
                frame = bytes(self._buffer[: framing.end])
                del self._buffer[: framing.end]
                return frame
            if self._ended or time.monotonic() > until:
                return None
            self._server.turn(0.005)

    def is_closed(self) -> bool:
        return self._ended

    def is_silent(self) -> bool:
        self._turn()
        return not self._buffer

    def wait(self, seconds: float) -> None:
        until_ns = self._clock.at_ns + int(seconds * NS_PER_S)
        while (due_ns := self._exchange.next_deadline_ns()) <= until_ns:
            self._clock.at_ns = max(self._clock.at_ns, due_ns)
            self._turn()
        self._clock.at_ns = until_ns
        self._turn()

    def now_ns(self) -> int:
        return self._clock.at_ns

    def do(self, verb: str, argument: str) -> None:
        if verb == "sleep":
            self._clock.at_ns += int(float(argument) * NS_PER_S)
        else:
            assert verb == "logout"
            self._command("sessions.disconnect", text=argument)
        self._turn()
