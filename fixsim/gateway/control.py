"""Operators' commands over a Unix socket in the data directory, which only its owner can open.

One JSON object per line each way: {"verb": "halt", "arguments": {"symbol": "AAPL"}, "why": "news"} is answered
by what `Exchange.command` gives; `arguments` and `why` may be left out. A command is a journal record; its answer leaves
only after the commit of its turn.
"""

import contextlib
import json
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fixsim.errors import UsageError, VenueError
from fixsim.exchange.exchange import Exchange
from fixsim.exchange.operator.asked import is_writable, misspoken
from fixsim.exchange.operator.journal import needed_from
from fixsim.gateway.directory import CONTROL
from fixsim.gateway.log import LOGGER
from fixsim.gateway.poller import READ, WRITE, Poller
from fixsim.gateway.reload import Reloader

#: Longest request, and how many operators may be connected at once.
REQUEST_BYTES_MAX: Final = 65_536
OPERATORS_MAX: Final = 32
#: Bytes an operator may be owed until nothing more of it is looked at: answers are longer than commands.
OWED_BYTES_MAX: Final = 1 << 20
#: The one verb that is not the exchange's: a file has to be read.
RELOAD: Final = "reload"
#: The command of the process that retires segments.
RETIRE: Final = "journal.retire"
#: How long `ask` waits for an answer.
ANSWER_TIMEOUT_S: Final = 10.0


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in `folder` for a moment: a Unix socket's path may be at most about a hundred bytes, a name is
    shorter.
    """
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def ask(data_dir: Path, verb: str, arguments: dict[str, Any], why: str = "") -> dict[str, Any]:
    """Have the exchange that runs on `data_dir` carry out a command; its answer without `ok`.

    Raises VenueError when no exchange answers, UsageError when it refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_TIMEOUT_S)
        try:
            with _inside(data_dir):
                line.connect(CONTROL)
            line.sendall(json.dumps({"verb": verb, "arguments": arguments, "why": why}).encode() + b"\n")
            with line.makefile("rb") as answers:
                text = answers.readline()
        except OSError as error:
            raise VenueError(f"no exchange answers for the data directory {data_dir}: {error.strerror or error}") from error
    if not text:
        raise VenueError(f"the exchange on {data_dir} ended before it answered")
    answer: dict[str, Any] = json.loads(text)
    if not answer.pop("ok", False):
        raise UsageError(str(answer.get("error", "refused")))
    return answer


class Operator:
    """One connected operator."""

    __slots__ = ("_control", "asked", "closing", "line", "owed", "who")

    def __init__(self, control: "Control", line: socket.socket) -> None:
        self._control = control
        self.line = line
        self.who = _who(line)
        self.asked = bytearray()
        self.owed = bytearray()
        self.closing = False

    def ready(self, mask: int, now_ns: int) -> None:
        if mask & WRITE:
            self._control.send(self)
            if not self.closing:
                self._control.carry_out(self, now_ns)
        if mask & ~WRITE and not self.closing:
            self._control.read(self, now_ns)


class Control:
    """The listening Unix socket and those connected to it."""

    def __init__(self, data_dir: Path, exchange: Exchange, poller: Poller, reloader: Reloader) -> None:
        self._data_dir, self._exchange, self._poller, self._reloader = data_dir, exchange, poller, reloader
        self._operators: set[Operator] = set()
        #: Answered in this turn; sent after its commit.
        self._answered: list[Operator] = []
        self._listener = _listen(data_dir)

    def open(self) -> None:
        """Commands are taken from now on."""
        self._poller.add(self._listener.fileno(), self)

    def close(self) -> None:
        """No more commands; the socket's name is taken away."""
        for operator in list(self._operators):
            self._end(operator)
        self._poller.remove(self._listener.fileno())
        self._listener.close()
        (self._data_dir / CONTROL).unlink(missing_ok=True)

    def ready(self, mask: int, now_ns: int) -> None:
        """Somebody connects."""
        try:
            line, _ = self._listener.accept()
        except OSError:
            return
        if len(self._operators) >= OPERATORS_MAX:
            line.close()
            return
        line.setblocking(False)
        operator = Operator(self, line)
        self._operators.add(operator)
        self._poller.add(line.fileno(), operator)

    def read(self, operator: Operator, now_ns: int) -> None:
        """Take what came, and carry out the whole lines of it."""
        try:
            came = operator.line.recv(REQUEST_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        operator.asked += came
        if not came or len(operator.asked) > REQUEST_BYTES_MAX:
            self._end(operator)
            return
        self.carry_out(operator, now_ns)

    def carry_out(self, operator: Operator, now_ns: int) -> None:
        """Carry out what an operator asked, line by line, as long as it takes its answers."""
        while len(operator.owed) < OWED_BYTES_MAX and (end := operator.asked.find(b"\n")) >= 0:
            request = bytes(operator.asked[:end])
            del operator.asked[: end + 1]
            answer = self._answer(request, operator.who, now_ns)
            operator.owed += json.dumps(answer).encode() + b"\n"
            self._answered.append(operator)

    def flush(self) -> None:
        """After a commit: send the answers of the turn."""
        answered, self._answered = self._answered, []
        for operator in answered:
            if operator in self._operators:
                self.send(operator)

    def send(self, operator: Operator) -> None:
        """Send what an operator is owed, as far as it takes it."""
        try:
            sent = operator.line.send(operator.owed)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(operator)
            return
        del operator.owed[:sent]
        wants_more = len(operator.owed) < OWED_BYTES_MAX
        self._poller.change(operator.line.fileno(), (READ if wants_more else 0) | (WRITE if operator.owed else 0))

    def _answer(self, request: bytes, who: str, now_ns: int) -> dict[str, Any]:
        try:
            asked = json.loads(request)
            verb, arguments, why = asked["verb"], asked.get("arguments", {}), asked.get("why", "")
            if not isinstance(verb, str) or not isinstance(arguments, dict) or not isinstance(why, str):
                raise ValueError("verb and why are texts, arguments is an object")
            if reason := misspoken(verb, arguments, why):
                raise ValueError(reason)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"ok": False, "error": f"not a command: {error}"}
        LOGGER.info("%s asks for %s %s%s", who, verb, arguments, f" because {why}" if why else "")
        if verb == RELOAD:
            return self._reloader.carry_out(who, why, now_ns)
        answer = self._exchange.command(verb, arguments, who, now_ns, why)
        if verb == RETIRE and answer["ok"]:
            # what connections are owed is no state, so it is told beside the answer, which is
            answer["owed_from"] = needed_from(self._exchange)
            self._exchange.outbox.let_go(min(answer["floor"], answer["owed_from"]))
        return answer

    def _end(self, operator: Operator) -> None:
        self._operators.discard(operator)
        operator.closing = True
        self._poller.remove(operator.line.fileno())
        operator.line.close()


def _listen(data_dir: Path) -> socket.socket:
    """The socket, readable and writable for its owner only from the moment it exists."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with _inside(data_dir):
            Path(CONTROL).unlink(missing_ok=True)  # left by one that was killed; the lock says it is gone
            listener.bind(CONTROL)
            listener.listen(OPERATORS_MAX)
    except OSError as error:
        listener.close()
        raise VenueError(f"cannot make the control socket in {data_dir}: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _who(line: socket.socket) -> str:
    """The user at the other end, as the kernel knows it where it tells."""
    user = os.getuid()
    if hasattr(socket, "SO_PEERCRED"):
        user = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = ""
    return name if name and is_writable(name) else f"uid {user}"
