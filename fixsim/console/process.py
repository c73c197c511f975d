"""The console as a process: what keeps it alive, what ends it, and at what priority it runs.

A pipe on standard input is a lifeline from the exchange: its end, or any word on it, ends us at once; so does a signal.
Without a pipe the console runs until a signal comes. The port may belong to somebody else: it is asked for again each
second, and whoever reads the log hears of it once.
"""

import asyncio
import contextlib
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

import uvicorn

from fixsim.console.app import new_app
from fixsim.console.metrics import STEP_S, Metrics
from fixsim.console.observer import Observer
from fixsim.feed.priority import make_idle, make_normal

HOST: Final = "127.0.0.1"
STDIN: Final = 0
#: In the data directory: the address of the console that runs.
ADDRESS_NAME: Final = "console"
#: Between two attempts to get a port that is taken, and how long that is nobody's business: a console that was told to leave
#: may still have it.
RETRY_S: Final = 1.0
PATIENCE_S: Final = 3.0


class Log(Protocol):
    """Where the console says what happens to it."""

    def info(self, text: str, *values: object) -> None:
        """For those who want to know."""

    def warning(self, text: str, *values: object) -> None:
        """For those who should know."""


def run(data_dir: Path, port: int, log: Log, *, idle: bool = True) -> None:
    """Serve until told to leave."""
    if idle:
        make_idle(os.getpid())
    asyncio.run(_run(data_dir, port, log))


async def _run(data_dir: Path, port: int, log: Log) -> None:
    path = data_dir / ADDRESS_NAME
    lifeline(lambda: _vanish(path))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _vanish, path)
    listener = await _bind(port, log)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    observer = Observer(data_dir, os.getpid())
    metrics = Metrics(observer)
    app = new_app(observer, metrics)
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False))
    _tell(path, address, log)
    watching = asyncio.create_task(_watch(metrics))
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()


class _Server(uvicorn.Server):
    """Signals are ours: there is nothing to be orderly about."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def lifeline(cut: Callable[[], None]) -> None:
    """Call `cut` when the pipe on standard input ends or says something; a terminal or a file is no lifeline."""
    if stat.S_ISFIFO(os.fstat(STDIN).st_mode):
        loop = asyncio.get_running_loop()

        def heard() -> None:
            os.read(STDIN, 64)
            loop.remove_reader(STDIN)
            cut()

        loop.add_reader(STDIN, heard)


def _vanish(path: Path) -> None:
    """Be gone at once: at idle priority beside busy neighbours an orderly end can take seconds, and nothing here needs one."""
    make_normal(os.getpid())
    _withdraw(path)
    os._exit(0)


def _withdraw(path: Path) -> None:
    """Nobody answers at our address any more; that of a successor stays."""
    with contextlib.suppress(OSError):
        if path.read_text().endswith(f" {os.getpid()}\n"):
            path.unlink()


async def _bind(port: int, log: Log) -> socket.socket:
    """A socket at `port`, however long that takes."""
    loop = asyncio.get_running_loop()
    began, warned = loop.time(), False
    while True:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()
            return listener
        except OSError as error:
            listener.close()
            if not warned and loop.time() - began > PATIENCE_S:
                warned = True
                log.warning(
                    "no metrics yet: cannot listen on %s:%d: %s; choose another [console] port, or 0",
                    HOST,
                    port,
                    error.strerror,
                )
        await asyncio.sleep(RETRY_S)


async def _watch(metrics: Metrics) -> None:
    """Keep readings for the quantiles."""
    while True:
        metrics.remember()
        await asyncio.sleep(STEP_S)


def _tell(path: Path, address: str, log: Log) -> None:
    """Where we are: in the log, and in the data directory if it lets us."""
    log.info("console %s/metrics", address)
    with contextlib.suppress(OSError):
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(f"{address} {os.getpid()}\n")
        beside.replace(path)
