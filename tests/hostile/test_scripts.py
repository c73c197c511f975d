"""The conversation scripts where they are not played elsewhere: to a venue without a fast door, and to a process of its own."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conversations import script
from conversations.street import SETTINGS, Street, StreetPeer, Streets

from fixsim.fix.codec import FRAME, find_frame
from hostile.test_peers import READY, ROOT

CONFIG = """
[capacities]
orders = 1_024
sessions = 1_024
instruments = 8
price_levels = 512
clordid_memory = 1_024

[[instruments]]
symbol = "MSFT"
tick_size = 0.01
lot_size = 1

[[counterparties]]
sender_comp_id = "P-*"
"""


def for_a_venue(path: Path) -> bool:
    """Whether a venue in this process can be set up and act as the script wants."""
    lines = script.read(path)
    settings = {line.argument.split(" ")[0] for line in lines if line.verb == "set"}
    actions = {line.argument.split(" ")[0] for line in lines if line.verb == "do"}
    return settings <= SETTINGS and actions <= {"logout", "sleep"}


def for_a_stranger(path: Path) -> bool:
    """Whether the script needs nothing but a connection, and no time to pass."""
    return {line.verb for line in script.read(path)} <= {"connect", "hang", ">", "<", "closed"}


class SlowStreets(Streets):
    """Venues whose every frame takes the slow door."""

    def street(self, settings: dict[str, str]) -> Street:
        street = super().street(settings)
        street.exchange.fast_door = False
        return street


@pytest.fixture(scope="module")
def slow_streets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowStreets]:
    streets = SlowStreets(tmp_path_factory.mktemp("streets"))
    yield streets
    streets.close()


@pytest.fixture
def slow_peer(slow_streets: SlowStreets) -> Iterator[StreetPeer]:
    peer = StreetPeer(slow_streets)
    yield peer
    peer.hang_up()


@pytest.mark.parametrize("path", [*filter(for_a_venue, script.scripts())], ids=lambda path: path.stem)
def test_the_slow_door_keeps_to_the_script(path: Path, slow_peer: StreetPeer) -> None:
    script.run(path, slow_peer)


class LivePeer:
    """`script.Peer` over a socket to a venue somewhere; time is what it is."""

    def __init__(self, port: int, sender: str) -> None:
        self.sender, self.target = sender.encode(), b"FIXSIM"
        self._port = port
        self._line: socket.socket | None = None
        self._buffer = bytearray()
        self._ended = True

    def configure(self, settings: dict[str, str]) -> None:
        assert not settings

    def connect(self) -> None:
        self.hang_up()
        self._line = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        self._buffer.clear()
        self._ended = False

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
            time.sleep(0.05)  # so that it is noticed before another connection comes

    def say(self, octets: bytes) -> None:
        assert self._line is not None
        with contextlib.suppress(ConnectionError):
            self._line.sendall(octets)

    def _read(self, timeout_s: float) -> bool:
        """Whether something came, the end of the connection included."""
        if self._line is None or self._ended:
            return False
        self._line.settimeout(timeout_s)
        try:
            came = self._line.recv(1 << 16)
        except TimeoutError:
            return False
        except ConnectionError:
            came = b""
        self._ended = not came
        self._buffer += came
        return True

    def hear(self) -> bytes | None:
        while True:
            framing = find_frame(self._buffer, 0, len(self._buffer), 1 << 20)
            if framing.kind == FRAME:
                frame = bytes(self._buffer[: framing.end])
                del self._buffer[: framing.end]
                return frame
            if not self._read(5.0):
                return None

    def is_closed(self) -> bool:
        return self._ended

    def is_silent(self) -> bool:
        self._read(0.02)
        return not self._buffer

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def now_ns(self) -> int:
        return time.time_ns()

    def do(self, verb: str, argument: str) -> Any:
        raise AssertionError(f"nobody here can {verb}")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "live.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "fixsim.cli.main", "serve", "--port", "0", "--fresh", "--database-url", "none"]
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [*command, "--config", str(folder / "live.toml")], stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        found = READY.match(process.stdout.readline().rstrip())
        assert found is not None, log.seek(0) or log.read()
        yield int(found[1])
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


@pytest.mark.parametrize("path", [*filter(for_a_stranger, script.scripts())], ids=lambda path: path.stem)
def test_a_process_keeps_to_the_script(path: Path, port: int) -> None:
    peer = LivePeer(port, f"P-{path.stem[:60]}")
    try:
        script.run(path, peer)
    finally:
        peer.hang_up()
