"""A small exchange for the client's tests: the acceptor role of the same session layer, and answers from a
function.
"""

import socket
import threading
import time
from collections.abc import Callable

from fixsim.client.core import Core, Identity, News, Received, anything_goes, profile_of
from fixsim.client.store import MemoryStore
from fixsim.fix import tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType, OrdStatus
from fixsim.session.session import Session

Answer = tuple[bytes, list[tuple[int, bytes]]]
Rules = Callable[[Message], list[Answer]]

EXCHANGE = Identity(b"FIXSIM", b"ALICE")
ALICE = Identity(b"ALICE", b"FIXSIM")


class AcceptorCore(Core):
    """The same ears and mouth, waiting to be spoken to."""

    verdict = "accepted"

    def _new_session(self) -> Session:
        return Session(profile_of(self.identity), self.store, anything_goes, role="acceptor")

    def connected(self, now_ns: int, reset: bool = False) -> None:
        self.session = self._new_session()
        self.session.connected(now_ns, self.verdict)
        self.farewell = None


def report(message: Message, exec_type: bytes, ord_status: bytes, **more: bytes) -> Answer:
    """An ExecutionReport(8) that answers `message`; `more` by constant name in lower case replaces what is
    there.
    """
    fields = {
        tags.ORDER_ID: b"1",
        tags.CL_ORD_ID: message.get(tags.CL_ORD_ID, b""),
        tags.EXEC_ID: b"1",
        tags.EXEC_TYPE: exec_type,
        tags.ORD_STATUS: ord_status,
        tags.SYMBOL: message.get(tags.SYMBOL, b""),
        tags.SIDE: message.get(tags.SIDE, b"1"),
        tags.ORDER_QTY: message.get(tags.ORDER_QTY, b"0"),
        tags.ORD_TYPE: message.get(tags.ORD_TYPE, b"2"),
        tags.PRICE: message.get(tags.PRICE, b"0"),
        tags.LEAVES_QTY: message.get(tags.ORDER_QTY, b"0"),
        tags.CUM_QTY: b"0",
        tags.AVG_PX: b"0",
    }
    fields |= {getattr(tags, name.upper()): value for name, value in more.items()}
    return MsgType.EXECUTION_REPORT, list(fields.items())


def acknowledge(message: Message) -> list[Answer]:
    """Rules that take every order, cancel and replace."""
    orig = message.get(tags.ORIG_CL_ORD_ID, b"")
    match message.msg_type:
        case MsgType.NEW_ORDER_SINGLE:
            return [report(message, ExecType.NEW, OrdStatus.NEW)]
        case MsgType.ORDER_CANCEL_REQUEST:
            return [
                report(message, ExecType.CANCELED, OrdStatus.CANCELED, orig_cl_ord_id=orig, leaves_qty=b"0")
            ]
        case MsgType.ORDER_CANCEL_REPLACE_REQUEST:
            return [report(message, ExecType.REPLACED, OrdStatus.NEW, orig_cl_ord_id=orig)]
        case _:
            return [
                (
                    MsgType.BUSINESS_MESSAGE_REJECT,
                    [
                        (tags.REF_SEQ_NUM, message.get(tags.MSG_SEQ_NUM, b"")),
                        (tags.REF_MSG_TYPE, message.msg_type),
                        (tags.BUSINESS_REJECT_REASON, b"3"),
                    ],
                )
            ]


class Peer:
    """An exchange on a loopback port, in a thread; one connection at a time, one session for all of them."""

    def __init__(self, rules: Rules = acknowledge) -> None:
        self.rules = rules
        self.core = AcceptorCore(EXCHANGE, MemoryStore())
        self.received: list[Message] = []
        self.news: list[News] = []
        self.raw: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._cutting = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        self._thread.join(5)
        self._listener.close()

    def cut(self) -> None:
        """Break the present connection without a word."""
        self._cutting.set()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                link, _ = self._listener.accept()
            except TimeoutError:
                continue
            with link:
                self._talk(link)

    def _talk(self, link: socket.socket) -> None:
        link.settimeout(0.01)
        self._cutting.clear()
        self.core.connected(time.time_ns())
        while not self._stopping.is_set() and not self._cutting.is_set():
            try:
                chunk = link.recv(65_536)
                if not chunk:
                    break
                self.raw.append(chunk)
                self.core.receive(chunk, time.time_ns())
            except TimeoutError:
                self.core.tick(time.time_ns())
            except OSError:
                break
            if self._answer(link):
                return
        self.core.receive_eof(time.time_ns())

    def _answer(self, link: socket.socket) -> bool:
        """Say what is to be said; True when the session wants the connection closed."""
        news = self.core.take_news()
        self.news += news
        for item in news:
            if isinstance(item, Received):
                self.received.append(item.message)
                for msg_type, body in self.rules(item.message):
                    self.core.say(msg_type, body, time.time_ns())
        if waiting := self.core.take_bytes():
            link.sendall(waiting)
        return any(type(item).__name__ == "Disconnect" for item in news)
