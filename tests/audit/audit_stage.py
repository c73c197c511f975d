"""A journal as an exchange would write it, made of plain bytes: orders, trades, admin messages and resends.

Every frame is remembered in `said`, in the form in which it must be found in PostgreSQL again.
"""

import shutil
import tempfile
from pathlib import Path

from fixsim.fix.codec import encode
from fixsim.journal.reader import Reader
from fixsim.journal.record import json_payload, pack, resend_payload
from fixsim.journal.resend import expand
from fixsim.journal.segments import journal_directory
from fixsim.journal.writer import Writer
from fixsim.layout import NIL, Kind
from fixsim.units import format_utc_timestamp

VENUE, SELLER = b"FIXSIM", b"SELLER"
START_NS = 1_760_000_000_000_000_000
MARKS = (b"\x0111=", b"\x0137=", b"\x0117=", b"\x0155=")


def reachable_directory() -> Path:
    """A fresh directory that an unprivileged account can walk to, as an ordinary data directory is."""
    path = Path(tempfile.mkdtemp(prefix="fixsim-audit-"))
    path.chmod(0o711)
    return path


def clear(data_dir: Path) -> None:
    """Take the journal of a data directory away, and the hash chain over it: another one may be written there."""
    for name in ("journal", "chain"):
        shutil.rmtree(data_dir / name, ignore_errors=True)


class Stage:
    """Writes records into open batches; `seal` closes one."""

    def __init__(self, data_dir: Path, segment_bytes: int = 1 << 20, batch_bytes: int = 256 << 10) -> None:
        self.reader = Reader(journal_directory(data_dir))
        self.writer = Writer.open(
            journal_directory(data_dir), segment_bytes=segment_bytes, batch_bytes=batch_bytes, tail_bytes=1 << 12
        )
        self.batch = bytearray()
        self.count = 0
        self.begin = self.writer.begin_batch()
        self.now_ns = START_NS
        self.sessions: dict[bytes, int] = {}
        self.sequences: dict[tuple[bytes, int], int] = {}
        self.last_out: dict[bytes, int] = {}
        self.ids = 0
        #: (position, part): direction, session, raw
        self.said: dict[tuple[int, int], tuple[str, str, bytes]] = {}
        self.resends: list[int] = []

    def close(self) -> None:
        """Seal what is open and let go of the files."""
        self.seal()
        self.writer.close()

    def record(self, kind: int, payload: bytes, session: bytes = b"", msg_type: bytes = b"", seq: int = 0) -> int:
        """Write a record; its position. Batches are sealed when they are full."""
        if len(self.batch) + len(payload) + 1024 > self.writer.room():
            self.seal()
        position = self.begin + len(self.batch)
        places = [payload.find(mark) + len(mark) if mark in payload else 0 for mark in MARKS] if msg_type else [0] * 4
        back = self.last_out.get(session, NIL) if kind in (Kind.OUT, Kind.RESEND) else NIL
        self.batch += pack(
            kind, position, self.now_ns, payload, session=self.sessions.get(session, 0), seq=seq, back=back,
            msg_type=msg_type[:2], at=(places[0], places[1], places[2], places[3]), link=self.sessions.get(session, 0),
        )  # fmt: skip
        self.count += 1
        if kind == Kind.OUT:
            self.last_out[session] = position
        return position

    def seal(self) -> None:
        """End the batch; what it says is in the journal from now on."""
        if self.count:
            length = len(self.batch)
            self.batch += bytes(96)
            self.writer.append(memoryview(self.batch), length, self.count, self.now_ns)
        self.batch, self.count = bytearray(), 0
        self.begin = self.writer.begin_batch()
        for position in self.resends:
            record = self.reader.read(position)
            name = next(name for name, number in self.sessions.items() if number == record.session).decode()
            for part, frame in enumerate(expand(self.reader, record), 1):
                self.said[position, part] = ("out", name, frame)
        self.resends.clear()

    def tick(self, ns: int = 1_000_000) -> None:
        """Let time pass."""
        self.now_ns += ns

    def message(self, kind: int, session: bytes, msg_type: bytes, body: list[tuple[int, bytes]]) -> int:
        """A frame from or to `session`; its position."""
        seq = self.sequences[session, kind] = self.sequences.get((session, kind), 0) + 1
        sender, target = (session, VENUE) if kind == Kind.IN else (VENUE, session)
        stamp = format_utc_timestamp(self.now_ns, 3)
        frame = encode(msg_type, [(49, sender), (56, target), (34, b"%d" % seq), (52, stamp)], body)
        position = self.record(kind, frame, session, msg_type, seq)
        self.said[position, 0] = ("in" if kind == Kind.IN else "out", session.decode("latin-1"), frame)
        return position

    # ------------------------------------------------------------ what a venue does

    def log_on(self, session: bytes) -> None:
        """Connect and exchange Logons."""
        self.sessions.setdefault(session, len(self.sessions) + 1)
        hello = {"event": "connected", "sender": session.decode(), "target": "FIXSIM", "address": "127.0.0.1"}
        self.record(Kind.LINK, json_payload(hello), session)
        for kind in (Kind.IN, Kind.OUT):
            self.message(kind, session, b"A", [(98, b"0"), (108, b"30")])

    def order(self, session: bytes, cl_ord_id: bytes, side: bytes, qty: bytes, px: bytes, symbol: bytes = b"AAPL") -> int:
        """A limit order that is accepted; its OrderID."""
        terms = [(55, symbol), (54, side), (38, qty), (40, b"2"), (44, px), (59, b"0")]
        self.message(Kind.IN, session, b"D", [(11, cl_ord_id), *terms, (60, self.stamp)])
        self.ids += 1
        order_id = self.ids
        self.report(session, order_id, [(11, cl_ord_id)], b"0", b"0", terms, qty, b"0", b"0")
        return order_id

    @property
    def stamp(self) -> bytes:
        return format_utc_timestamp(self.now_ns, 3)

    def report(
        self, session: bytes, order_id: int, ids: list[tuple[int, bytes]], exec_type: bytes, status: bytes,
        terms: list[tuple[int, bytes]], leaves: bytes, cum: bytes, avg: bytes, fill: list[tuple[int, bytes]] | None = None,
        match: list[tuple[int, bytes]] | None = None,
    ) -> int:  # fmt: skip
        """An ExecutionReport(8) in the field order of the rules of engagement."""
        self.ids += 1
        return self.message(
            Kind.OUT, session, b"8",
            [
                (37, b"%d" % order_id), *ids, (17, b"%d" % self.ids), (150, exec_type), (39, status), *terms, *(fill or []),
                (151, leaves), (14, cum), (6, avg), (60, self.stamp), *(match or []),
            ],
        )  # fmt: skip

    def trade(self, buy: tuple[bytes, int, bytes], sell: tuple[bytes, int, bytes], qty: bytes, px: bytes) -> int:
        """Both sides of a trade that fills both orders whole; buy takes. Its match id."""
        self.ids += 1
        match_id = self.ids
        for (session, order_id, cl_ord_id), side, liquidity in ((buy, b"1", b"2"), (sell, b"2", b"1")):
            terms = [(55, b"AAPL"), (54, side), (38, qty), (40, b"2"), (44, px), (59, b"0")]
            self.report(
                session, order_id, [(11, cl_ord_id)], b"F", b"2", terms, b"0", qty, px, [(32, qty), (31, px)],
                [(527, b"%d" % match_id), (851, liquidity)],
            )  # fmt: skip
        return match_id

    def resend(self, session: bytes, begin: int, end: int) -> None:
        """A ResendRequest(2) that is served; what it stands for is known when the batch is sealed."""
        self.message(Kind.IN, session, b"2", [(7, b"%d" % begin), (16, b"0")])
        self.resends.append(self.record(Kind.RESEND, resend_payload(begin, end), session))


def tell_story(stage: Stage) -> None:
    """A morning at the venue: an order replaced and filled, one cancelled, cancels refused, an order
    refused, a resend.
    """
    stage.log_on(b"BUYER")
    stage.log_on(b"SELLER")
    stage.tick()
    stage.order(b"BUYER", b"M1", b"1", b"10", b"410.10", b"MSFT")
    terms = [(55, b"AAPL"), (54, b"2"), (38, b"100"), (40, b"2"), (44, b"187.30"), (59, b"0")]
    sell = stage.order(b"SELLER", b"S1", b"2", b"100", b"187.30")
    stage.tick()
    changed = [(44, b"187.25") if tag == 44 else (tag, value) for tag, value in terms]
    stage.message(Kind.IN, b"SELLER", b"G", [(41, b"S1"), (11, b"S2"), *changed, (60, stage.stamp)])
    stage.report(SELLER, sell, [(11, b"S2"), (41, b"S1")], b"5", b"0", changed, b"100", b"0", b"0")
    stage.tick()
    buy = stage.order(b"BUYER", b"B1", b"1", b"100", b"187.25")
    stage.trade((b"BUYER", buy, b"B1"), (SELLER, sell, b"S2"), b"100", b"187.25")
    stage.tick()
    rest = stage.order(b"BUYER", b"B2", b"1", b"50", b"180.00")
    terms = [(55, b"AAPL"), (54, b"1"), (38, b"50"), (40, b"2"), (44, b"180.00"), (59, b"0")]
    stage.message(Kind.IN, b"BUYER", b"F", [(41, b"B2"), (11, b"X2"), *terms[:3], (60, stage.stamp)])
    stage.report(b"BUYER", rest, [(11, b"X2"), (41, b"B2")], b"4", b"4", terms, b"0", b"0", b"0")
    for orig, cl_ord_id, order_id, status, reason in (
        (b"B1", b"X1", b"%d" % buy, b"2", b"0"),
        (b"NIX", b"X3", b"NONE", b"8", b"1"),
    ):
        stage.message(Kind.IN, b"BUYER", b"F", [(41, orig), (11, cl_ord_id), *terms[:3], (60, stage.stamp)])
        answer = [(37, order_id), (11, cl_ord_id), (41, orig), (39, status), (434, b"1"), (102, reason)]
        stage.message(Kind.OUT, b"BUYER", b"9", [*answer, (60, stage.stamp)])
    stage.tick()
    wrong = [(55, b"NIX"), (54, b"1"), (38, b"5"), (40, b"1")]
    stage.message(Kind.IN, b"BUYER", b"D", [(11, b"R1"), *wrong, (60, stage.stamp)])
    body = [(37, b"NONE"), (11, b"R1"), (17, b"99"), (150, b"8"), (39, b"8"), (103, b"1"), *wrong]
    body += [(151, b"0"), (14, b"0"), (6, b"0"), (60, stage.stamp), (58, b"Unknown Symbol(55)")]
    stage.message(Kind.OUT, b"BUYER", b"8", body)
    stage.resend(b"BUYER", 2, 4)
    stage.tick()
    for kind in (Kind.IN, Kind.OUT):
        stage.message(kind, SELLER, b"5", [(58, b"done for the day")])
    lost = {"event": "lost", "sender": "SELLER", "reason": "logged out"}
    stage.record(Kind.LINK, json_payload(lost), SELLER)
    halt = {"verb": "halt", "arguments": {"symbol": "AAPL"}, "who": "anna", "why": "news pending", "venue_ns": stage.now_ns}
    stage.record(Kind.OPERATOR, json_payload(halt))
    phase = {"event": "phase", "symbol": "AAPL", "phase": "halted", "until_ns": 0, "venue_ns": stage.now_ns}
    stage.record(Kind.EVENT, json_payload(phase))
