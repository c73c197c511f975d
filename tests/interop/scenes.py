"""A scene: two QuickFIX clients, an operator who drives the clock, and everything that is said, as a page shows it.

What differs from run to run is taken out: the envelope of each message, and numbers of the exchange, which begin at 1 in
each scene. TransactTime(60) stays where the clock alone decides it.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

from harness import QuickFixClient, fields

from fixsim.cli.main import app
from fixsim.fix import tags
from fixsim.fix.message import Message

#: What the session layer adds to a message.
ENVELOPE = frozenset({8, 9, 49, 56, 34, 52, 10})
#: Counters of the exchange, which go on from scene to scene.
COUNTED = (tags.ORDER_ID, tags.EXEC_ID, tags.SECONDARY_EXEC_ID)
#: TransactTime(60) of what clients say: nobody looks at it.
WHEN = "20251120-15:00:00"
BUY, SELL = "1", "2"


class Scene:
    """One scenario, played and written down."""

    def __init__(self, name: str, data_dir: Path, *clients: QuickFixClient) -> None:
        self.name, self.data_dir, self.clients = name, data_dir, clients
        self.lines: list[str] = []
        #: What each client was told, in order.
        self.told: dict[str, list[Message]] = {client.sender: [] for client in clients}
        self._seen = {client.sender: len(client.application) for client in clients}
        self._numbers: dict[int, dict[bytes, int]] = {tag: {} for tag in COUNTED}
        self._syncs = 0

    # ---- what happens

    def order(
        self, client: QuickFixClient, name: str, side: str, qty: int, symbol: str, price: str | None, **more: object
    ) -> None:
        """A NewOrderSingle(D), and everything that it causes."""
        body: dict[str, object] = {"cl_ord_id": name, "symbol": symbol, "side": side, "transact_time": WHEN, "order_qty": qty}
        body |= {"ord_type": "1"} if price is None else {"ord_type": "2", "price": price}
        self.send(client, "D", **(body | more))

    def listen(self, client: QuickFixClient, symbol: str) -> None:
        """SecurityStatusRequest(e): from now on."""
        self.send(client, "e", security_status_req_id=f"S-{symbol}", symbol=symbol, subscription_request_type=1)

    def send(self, client: QuickFixClient, msg_type: str, **body: object) -> None:
        """A message, and everything that it causes."""
        client.send(msg_type, fields(**body))
        self._write(">", client.sender, client.said[-1], False)
        self._hear()

    def advance(self, duration: str, by_chance: bool = False) -> None:
        """`fixsim clock advance`, and what is said meanwhile: when, is a matter of chance where a call ends at random."""
        self.command("clock", "advance", duration)
        self._hear(by_chance)

    def show(self, symbol: str) -> None:
        """`fixsim phase`, and what it prints."""
        self.lines += self.command("phase", symbol).splitlines()

    def command(self, *words: str) -> str:
        """An operator's command; returns what it prints."""
        self.lines.append(f"$ fixsim {' '.join(words)}")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            app([*words, "--data-dir", str(self.data_dir)], prog_name="fixsim", standalone_mode=False)
        return printed.getvalue()

    def close(self, client: QuickFixClient, *symbols: str) -> None:
        """The client listens no longer; the page does not show that."""
        kept = len(self.lines)
        for symbol in symbols:
            self.send(client, "e", security_status_req_id=f"S-{symbol}", symbol=symbol, subscription_request_type=2)
        del self.lines[kept:]

    # ---- what is said

    def _hear(self, by_chance: bool = False) -> None:
        """Everything said until now has come when the answer to a question has; the question itself is no part of the scene."""
        for client in self.clients:
            self._syncs += 1
            mark = f"SYNC-{self.name}-{self._syncs}"
            client.send("e", fields(security_status_req_id=mark, symbol="BTC-USDT", subscription_request_type=0))
            client.expect(1, "f", after=self._seen[client.sender], security_status_req_id=mark)
            fresh = client.application[self._seen[client.sender] :]
            self._seen[client.sender] += len(fresh)
            for message in fresh[:-1]:
                self.told[client.sender].append(message)
                self._write("<", client.sender, message, by_chance)

    def _write(self, way: str, who: str, message: Message, by_chance: bool) -> None:
        shown = (f"{tag}={self._value(tag, value, by_chance)}" for tag, value in message.fields if tag not in ENVELOPE)
        self.lines.append(f"{way} {who} {'|'.join(shown)}|")

    def _value(self, tag: int, value: bytes, by_chance: bool) -> str:
        if tag == tags.TRANSACT_TIME and by_chance:
            return "..."
        if tag in self._numbers and value != b"0":
            numbers = self._numbers[tag]
            return str(numbers.setdefault(value, len(numbers) + 1))
        return value.decode()

    # ---- what came of it

    def statuses(self, who: str, symbol: str) -> list[str]:
        """SecurityTradingStatus(326) of each f about `symbol`, with HaltReasonChar(327) where it has one."""
        found = [one for one in self.told[who] if one.msg_type == b"f" and one.get(tags.SYMBOL) == symbol.encode()]
        return ["".join(_texts(one, tags.SECURITY_TRADING_STATUS, tags.HALT_REASON_CHAR)) for one in found]

    def reports(self, who: str) -> list[str]:
        """ClOrdID(11), ExecType(150), LastPx(31) and ExecRestatementReason(378) of each report, where it has them."""
        found = [one for one in self.told[who] if one.msg_type == b"8"]
        return [
            " ".join(_texts(one, tags.CL_ORD_ID, tags.EXEC_TYPE, tags.LAST_PX, tags.EXEC_RESTATEMENT_REASON)) for one in found
        ]


def _texts(message: Message, *wanted: int) -> Iterator[str]:
    values = (message.get(tag) for tag in wanted)
    return (value.decode() for value in values if value is not None)
