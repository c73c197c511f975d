"""An exchange as one would write it with the `quickfix` package of PyPI, for comparison: memory store, no log, no journal.

    python bench/acceptors/on_quickfix.py [--port PORT] [--dictionary spec/FIX44.xml|none] [--sender LOAD1]

QuickFIX wants a port by number and its sessions by name, and listens on every interface.
"""

import argparse
import socket
import tempfile
import threading
from pathlib import Path

import quickfix as fix
from book import Books, Order

SETTINGS = """[DEFAULT]
ConnectionType=acceptor
StartTime=00:00:00
EndTime=00:00:00
NonStopSession=Y
SocketAcceptPort={port}
SocketNodelay=Y
UseDataDictionary={checks}
DataDictionary={dictionary}
CheckLatency=N
[SESSION]
BeginString=FIX.4.4
SenderCompID={venue}
TargetCompID={sender}
"""


class Exchange(fix.Application):
    """Orders in, reports out, in QuickFIX's callbacks."""

    def __init__(self, session: fix.SessionID) -> None:
        super().__init__()
        self.books, self.execs, self.session = Books(), 0, session
        self.tags = {tag: fix.StringField(tag) for tag in (11, 35, 38, 41, 44, 54, 55)}

    def onCreate(self, session: fix.SessionID) -> None:  # noqa: N802
        pass

    def onLogon(self, session: fix.SessionID) -> None:  # noqa: N802
        pass

    def onLogout(self, session: fix.SessionID) -> None:  # noqa: N802
        self.books = Books()

    def toAdmin(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        pass

    def fromAdmin(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        pass

    def toApp(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        pass

    def fromApp(self, message: fix.Message, session: fix.SessionID) -> None:  # noqa: N802
        """NewOrderSingle(D) and OrderCancelRequest(F)."""
        kind = fix.MsgType()
        message.getHeader().getField(kind)
        if kind.getValue() == "D":
            self.enter(message)
        elif kind.getValue() == "F":
            self.cancel(message)

    def text_of(self, message: fix.Message, tag: int) -> str:
        """A value as text."""
        field = self.tags[tag]
        message.getField(field)
        return str(field.getValue())

    def enter(self, message: fix.Message) -> None:
        """New first, then each fill for both sides."""
        price = round(float(self.text_of(message, 44)) * 100)
        order = self.books.order(
            "", self.text_of(message, 11), self.text_of(message, 55), self.text_of(message, 54), price,
            round(float(self.text_of(message, 38))),
        )  # fmt: skip
        self.report(order, "0", "0")
        for maker, quantity, at in self.books.enter(order):
            for one in (order, maker):
                one.fill(quantity, at)
                self.report(one, "F", "1" if one.leaves else "2", [(32, str(quantity)), (31, f"{at / 100:.2f}")])

    def cancel(self, message: fix.Message) -> None:
        """Canceled under the id of the request."""
        orig = self.text_of(message, 41)
        order = self.books.cancel("", orig)
        if order is not None:
            order.leaves, order.cl_ord_id = 0, self.text_of(message, 11)
            self.report(order, "4", "4", [(41, orig)])

    def report(self, order: Order, exec_type: str, status: str, more: list[tuple[int, str]] | None = None) -> None:
        """ExecutionReport(8)."""
        self.execs += 1
        message = fix.Message()
        message.getHeader().setField(35, "8")
        for tag, value in (
            (37, str(order.order_id)), (11, order.cl_ord_id), (17, str(self.execs)), (150, exec_type), (39, status),
            (55, order.symbol), (54, order.side), (38, str(order.quantity)), (40, "2"), (44, f"{order.price / 100:.2f}"),
            (151, str(order.leaves)), (14, str(order.cum)), (6, f"{order.average:.6f}"), *(more or ()),
        ):  # fmt: skip
            message.setField(tag, value)
        message.setField(fix.TransactTime())
        fix.Session.sendToTarget(message, self.session)


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dictionary", default=str(Path(__file__).resolve().parents[2] / "spec" / "FIX44.xml"))
    parser.add_argument("--sender", default="LOAD1", help="SenderCompID of the client")
    parser.add_argument("--venue", default="FIXSIM")
    asked = parser.parse_args()
    port, checks = asked.port or free_port(), "N" if asked.dictionary == "none" else "Y"
    text = SETTINGS.format(port=port, checks=checks, dictionary=asked.dictionary, venue=asked.venue, sender=asked.sender)
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text if checks == "Y" else "\n".join(x for x in text.splitlines() if not x.startswith("DataDictionary=")))
        file.flush()
        settings = fix.SessionSettings(file.name)
    session = fix.SessionID("FIX.4.4", asked.venue, asked.sender)
    application, store = Exchange(session), fix.MemoryStoreFactory()
    acceptor = fix.SocketAcceptor(application, store, settings)
    acceptor.start()
    print(f"quickfix ready {port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
