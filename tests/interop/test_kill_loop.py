"""kill -9 of the exchange at random moments under load: afterwards journal, wire and client tell the same
story.

A client trades with everything it has, through a proxy that keeps every byte; the exchange is killed,
sometimes while it starts, and started again on its data directory. The client continues its session each
time. In the end:

- what the journal says it said to the client is gapless, and the client took each report exactly once, byte
for byte;
- every byte the proxy saw is the journal's, as a first saying or as the resend of one;
- the house rests exactly what it wishes;
- every order was answered exactly once, and no ExecID came twice.
"""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import RecordingProxy, ServerProcess, frames

from fixsim.client import Client, Order
from fixsim.client.faults import ConnectionLost, LogonRefused, NoAnswer, NobodyListens
from fixsim.config import default_config
from fixsim.fix import codec, tags
from fixsim.fix.message import Message
from fixsim.fix.tags import ExecType, MsgType
from fixsim.gateway.quoter import Place, Quoter, wishes
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.layout import Kind

NAME = "STORMY"
SYMBOLS = {"AAPL": (18_000, 19_500, 2), "MSFT": (40_000, 43_000, 2), "SAP": (8_800, 9_000, 2)}
#: What differs between the first saying of a message and its resend.
RENEWED = frozenset({tags.BODY_LENGTH, tags.SENDING_TIME, tags.POSS_DUP_FLAG, tags.ORIG_SENDING_TIME, tags.CHECK_SUM})


def substance(message: Message) -> list[tuple[int, bytes]]:
    """The fields of a message that a resend leaves as they are."""
    return [pair for pair in message.fields if pair[0] not in RENEWED]


class Storm:
    """A client that enters, replaces and cancels orders as fast as it can, by a seed."""

    def __init__(self, port: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.received: list[Message] = []
        self.client = Client("127.0.0.1", port, NAME, "FIXSIM", timeout_s=60.0, on_message=self.received.append)
        self.sent: list[str] = []

    def log_on(self) -> None:
        """Connect, continue, and take everything that was missed."""
        for _ in range(50):
            try:
                self.client.connect()
                self.client.settle()
                return
            except (NobodyListens, LogonRefused, ConnectionLost):
                time.sleep(0.1)  # the exchange has not noticed yet that the old connection is gone
        raise AssertionError(f"no Logon: {self.client.why_closed}")

    def rage(self) -> None:
        """Trade until the connection breaks."""
        while self.client.connected:
            try:
                self._act()
                self.client.pump()
            except ConnectionLost:
                return

    def _act(self) -> None:
        symbol = self.random.choice(list(SYMBOLS))
        low, high, decimals = SYMBOLS[symbol]
        price = f"{self.random.randrange(low, high, 2) / 10**decimals:.{decimals}f}"
        choice = self.random.randrange(8)
        if choice < 2 and self.sent:
            self._change(self.client.orders[self.random.choice(self.sent[-200:])], price)
            return
        tif = "ioc" if choice < 4 else self.random.choice(("gtc", "day"))
        limit = None if choice == 2 else price
        send = self.client.buy if self.random.random() < 0.5 else self.client.sell
        order = send(self.random.randrange(1, 50), symbol, limit, tif=tif, wait=False)
        self.sent.append(order.cl_ord_id)

    def _change(self, order: Order, price: str) -> None:
        if self.random.random() < 0.5:
            self.client.send_cancel(order)
        elif order.price is not None:
            self.client.send_replace(order, self.random.randrange(1, 60), price)


@dataclass
class Told:
    """What the journal holds of one session."""

    said: dict[int, Message] = field(default_factory=dict)
    heard: Counter[bytes] = field(default_factory=Counter)
    exec_ids: Counter[bytes] = field(default_factory=Counter)
    to_house: list[Message] = field(default_factory=list)


def told(directory: Path) -> Told:
    """Read the journal; a number that was used twice fails at once."""
    found = Told()
    for batch in Reader(directory).batches():
        for record in records(batch.view):
            if record.kind not in (Kind.IN, Kind.OUT):
                continue
            message = codec.decode(bytes(record.payload))
            if record.kind == Kind.IN and message.get(tags.SENDER_COMP_ID) == NAME.encode():
                found.heard[bytes(record.payload)] += 1
            if record.kind == Kind.OUT and message.msg_type == MsgType.EXECUTION_REPORT:
                if message.get(tags.EXEC_TYPE) != ExecType.ORDER_STATUS:
                    found.exec_ids[message.get(tags.EXEC_ID, b"")] += 1
                if message.get(tags.TARGET_COMP_ID) == b"HOUSE":
                    found.to_house.append(message)
            if record.kind == Kind.OUT and message.get(tags.TARGET_COMP_ID) == NAME.encode():
                assert record.seq not in found.said, f"MsgSeqNum {record.seq} was said twice"
                assert message.get_int(tags.MSG_SEQ_NUM) == record.seq
                found.said[record.seq] = message
    return found


def check_client(storm: Storm, journal: Told) -> None:
    """The client took every application message of the journal once, in order, as it was said."""
    said = [message for _, message in sorted(journal.said.items()) if message.msg_type not in b"0A12345"]
    assert len(storm.received) == len(said)
    for got, expected in zip(storm.received, said, strict=True):
        assert substance(got) == substance(expected)


def check_orders(storm: Storm) -> None:
    """Every order was answered once, and its fills add up."""
    answers: Counter[str] = Counter()
    for report in storm.received:
        if report.msg_type == MsgType.EXECUTION_REPORT and report.get(tags.EXEC_TYPE) in (ExecType.NEW, ExecType.REJECTED):
            answers[report.get(tags.CL_ORD_ID, b"").decode()] += 1
    assert {name: answers[name] for name in storm.sent} == dict.fromkeys(storm.sent, 1)
    for name in storm.sent:
        order = storm.client.orders[name]
        assert order.reports, f"{name} was never answered"
        assert sum(int(fill.get(tags.LAST_QTY, b"0")) for fill in order.fills) == int(order.cum_qty)


def check_wire(proxy: RecordingProxy, journal: Told) -> None:
    """What travelled is what the journal holds."""
    sent: Counter[bytes] = Counter()
    for recording in proxy.recordings:
        sent.update(frames(recording.to_exchange))
        for frame in frames(recording.to_client):
            message = codec.decode(frame)
            again = message.get(tags.POSS_DUP_FLAG) == b"Y"
            if again and message.msg_type == MsgType.SEQUENCE_RESET:
                continue
            seq = message.get_int(tags.MSG_SEQ_NUM)
            assert seq is not None and seq in journal.said, f"said and not written: {codec.show(frame)}"
            expected = journal.said[seq]
            assert (substance(message) == substance(expected)) if again else (message == expected)
    assert not journal.heard - sent, "the journal holds what was never sent"


def wait_for_the_house(directory: Path) -> None:
    """A house that was told of its fills by a resend quotes again a few turns later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            check_house(told(directory))
            return
        except AssertionError:
            time.sleep(0.2)


def check_house(journal: Told) -> None:
    """The house rests exactly what it wishes: no quote was lost or doubled by a crash."""
    quoter = Quoter(wishes(default_config()))
    for report in journal.to_house:
        quoter.learn(report)
    resting: Counter[Place] = Counter()
    for quote in quoter.quotes.values():
        resting[quote.place] += quoter.wishes[quote.place].lots_of(quote.leaves.encode())
    assert resting == {place: wish.lots for place, wish in quoter.wishes.items()}


def run(tmp_path: Path, kills: int, seed: int) -> None:
    """`kills` times: trade, kill -9, start again; then compare everybody's story."""
    chance = random.Random(seed)
    with ServerProcess(tmp_path / "data") as server, RecordingProxy(server.host, server.port) as proxy:
        try:
            storm = Storm(proxy.port, seed)
            for _ in range(kills):
                storm.log_on()
                killer = threading.Timer(chance.uniform(0.0, 0.25), server.kill)
                killer.start()
                storm.rage()
                killer.join()
                if chance.random() < 0.15:  # recovery may be killed too
                    server.launch()
                    time.sleep(chance.uniform(0.0, 3.0))
                    server.kill()
                server.start()
            storm.log_on()
            storm.client.close()
            wait_for_the_house(tmp_path / "data" / "journal")
            assert server.stop() == 0
            journal = told(tmp_path / "data" / "journal")
            assert sorted(journal.said) == list(range(1, len(journal.said) + 1))
            assert storm.client.core.store.next_in == len(journal.said) + 1
            assert [exec_id for exec_id, count in journal.exec_ids.items() if count > 1] == []
            check_client(storm, journal)
            check_orders(storm)
            check_wire(proxy, journal)
            check_house(journal)
            assert len(storm.sent) > 100 * kills, "there was no load"
        except (AssertionError, NoAnswer) as failure:
            raise AssertionError(f"seed {seed}: {failure}\n{server.tell()[-4000:]}") from failure


@pytest.mark.timeout(900)
def test_a_dozen_kills_lose_double_and_renumber_nothing(tmp_path: Path) -> None:
    run(tmp_path, kills=12, seed=20_261_120)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2))
def test_a_hundred_kills_lose_double_and_renumber_nothing(tmp_path: Path, seed: int) -> None:
    run(tmp_path, kills=50, seed=seed)
