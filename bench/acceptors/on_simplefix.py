"""An exchange as one would write it with asyncio and simplefix, for comparison: sessions without recovery, no journal.

python bench/acceptors/on_simplefix.py [--port 0]
"""

import argparse
import asyncio
from datetime import UTC, datetime

import simplefix
from book import Books, Order

BOOKS = Books()


def text_of(message: simplefix.FixMessage, tag: int) -> str:
    """A value as text."""
    return (message.get(tag) or b"").decode()


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.parser = simplefix.FixParser()
        self.number, self.execs = 0, 0
        self.names = ("", "")
        self.transport: asyncio.Transport | None = None
        self.out: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, octets: bytes) -> None:
        """Take all whole messages, then say everything at once."""
        self.parser.append_buffer(octets)
        heard = {self}
        while (message := self.parser.get_message()) is not None:
            kind = message.get(35)
            if kind == b"A":
                self.names = (text_of(message, 56), text_of(message, 49))
                self.say("A", [(98, "0"), (108, text_of(message, 108))])
            elif kind == b"D":
                self.enter(message, heard)
            elif kind == b"F":
                self.cancel(message)
        for session in heard:
            session.flush()

    def enter(self, message: simplefix.FixMessage, heard: "set[Session]") -> None:
        """NewOrderSingle(D)."""
        order = BOOKS.order(
            self, text_of(message, 11), text_of(message, 55), text_of(message, 54), round(float(text_of(message, 44)) * 100),
            int(text_of(message, 38)),
        )  # fmt: skip
        self.report(order, "0", "0")
        for maker, quantity, price in BOOKS.enter(order):
            for one in (order, maker):
                one.fill(quantity, price)
                assert isinstance(one.owner, Session)
                heard.add(one.owner)
                one.owner.report(one, "F", "1" if one.leaves else "2", [(32, quantity), (31, f"{price / 100:.2f}")])

    def cancel(self, message: simplefix.FixMessage) -> None:
        """OrderCancelRequest(F)."""
        orig = text_of(message, 41)
        order = BOOKS.cancel(self, orig)
        if order is None:
            self.say("9", [(37, "NONE"), (11, text_of(message, 11)), (41, orig), (39, "8"), (434, "1")])
            return
        order.leaves, order.cl_ord_id = 0, text_of(message, 11)
        self.report(order, "4", "4", [(41, orig)])

    def report(self, order: Order, exec_type: str, status: str, more: list[tuple[int, object]] | None = None) -> None:
        """ExecutionReport(8)."""
        self.execs += 1
        self.say("8", [
            (37, order.order_id), (11, order.cl_ord_id), (17, self.execs), (150, exec_type), (39, status), (55, order.symbol),
            (54, order.side), (38, order.quantity), (40, "2"), (44, f"{order.price / 100:.2f}"), *(more or ()),
            (151, order.leaves), (14, order.cum), (6, f"{order.average:.6f}"),
        ])  # fmt: skip

    def say(self, kind: str, body: list[tuple[int, object]]) -> None:
        """Queue one message."""
        self.number += 1
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(49, self.names[0], header=True)
        message.append_pair(56, self.names[1], header=True)
        message.append_pair(34, self.number, header=True)
        message.append_utc_timestamp(52, datetime.now(UTC).replace(tzinfo=None), header=True)
        for tag, value in body:
            message.append_pair(tag, value)
        if kind == "8":
            message.append_utc_timestamp(60, datetime.now(UTC).replace(tzinfo=None))
        self.out.append(message.encode())

    def flush(self) -> None:
        """Write what was queued."""
        assert self.transport is not None
        self.transport.write(b"".join(self.out))
        self.out.clear()


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", port)
    print(f"simplefix ready {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))
