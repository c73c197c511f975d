"""What must hold of any exchange's reports, whoever sent them: FIX 4.4 invariants over a stream.

Feed every ExecutionReport(8) and OrderCancelReject(9), of all sessions, in the order they were said. The
first thing that does not hold raises AssertionError, which names the rule and shows the report. Orders are
told apart by OrderID(37).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from fixsim.reference.message import Field
from fixsim.reference.number import places, read_number

REQUIRED: Final = {b"8": (37, 11, 17, 150, 39, 55, 54, 151, 14, 6), b"9": (37, 11, 41, 39, 434, 102)}
OPEN: Final = frozenset({b"0", b"1", b"9"})
ENDS: Final = {b"4": b"4", b"C": b"C", b"3": b"3"}  # ExecType(150) that ends an order -> its OrdStatus(39)
ORD_STATUSES: Final = frozenset({b"0", b"1", b"2", b"3", b"4", b"8", b"9", b"C"})
EXEC_TYPES: Final = frozenset({b"0", b"3", b"4", b"5", b"8", b"9", b"C", b"D", b"F", b"G", b"H", b"I"})
WIDE: Final = Context(prec=400, rounding=ROUND_HALF_EVEN)


@dataclass(slots=True)
class Life:
    """What is known of one order from its reports so far."""

    session: str
    cl_ord_id: bytes
    symbol: bytes
    side: bytes
    qty: Decimal
    cum: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    status: bytes = b"0"
    #: Quantity, price and ExecID(17) of its trades by match id, as they were told last.
    trades: dict[bytes, tuple[Decimal, Decimal, bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class Half:
    """The first report of a match, waiting for the other side's."""

    order_id: bytes
    side: bytes
    terms: tuple[bytes | None, ...]  # symbol, quantity, price, time: both sides share them


@dataclass(slots=True)
class Report:
    """One message, read for checking."""

    session: str
    fields: Sequence[Field]
    values: dict[int, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.values = dict(reversed(self.fields))

    def get(self, tag: int) -> bytes | None:
        return self.values.get(tag)

    def number(self, tag: int) -> Decimal:
        value = read_number(self.get(tag))
        self.must(value is not None, f"{tag} is a number")
        assert value is not None
        return value

    def must(self, holds: bool, rule: str) -> None:
        """Raise AssertionError, with `rule` and the report, unless it `holds`."""
        if not holds:
            shown = "|".join(f"{tag}={value.decode('latin-1')}" for tag, value in self.fields)
            raise AssertionError(f"{rule}: {self.session} {shown}")


class ReportChecker:
    """Watches the reports of one exchange from its first on."""

    def __init__(self) -> None:
        self.lives: dict[bytes, Life] = {}  # by OrderID(37)
        self.exec_ids: set[bytes] = set()
        self.halves: dict[bytes, Half] = {}  # by match id (527)
        self.matched: set[bytes] = set()

    def see(self, fields: Sequence[Field], session: str = "") -> None:
        """Check one message to `session`; all but 8 and 9 are let pass."""
        report = Report(session, fields)
        msg_type = report.get(35) or b""
        for tag in REQUIRED.get(msg_type, ()):
            count = sum(1 for this, value in fields if this == tag and value)
            report.must(count == 1, f"{tag} is there once, with a value")
        if msg_type == b"9":
            self._see_cancel_reject(report)
        elif msg_type == b"8":
            self._see_execution_report(report)

    def finish(self) -> None:
        """At the end of a stream that holds the reports of all sessions: every match had two sides."""
        assert not self.halves, f"matches reported to one side only: {sorted(self.halves)}"

    # ------------------------------------------------------------ 9

    def _see_cancel_reject(self, report: Report) -> None:
        report.must(report.get(434) in (b"1", b"2"), "434 names F or G")
        unknown = report.get(37) == b"NONE"
        report.must(unknown == (report.get(102) == b"1"), "37=NONE exactly where the order is unknown")
        report.must(unknown == (report.get(39) == b"8"), "39=8 exactly where the order is unknown")
        if not unknown:
            life = self._life(report)
            report.must(report.get(39) == life.status, f"39 is the order's status {life.status!r}")
            if report.get(102) == b"0":
                report.must(life.status not in OPEN, "102=0 is for an order that is closed")

    # ------------------------------------------------------------ 8

    def _see_execution_report(self, report: Report) -> None:
        exec_type, status = report.get(150), report.get(39)
        report.must(exec_type in EXEC_TYPES, "150 is an ExecType of FIX 4.4 in use")
        report.must(status in ORD_STATUSES, "39 is an OrdStatus of FIX 4.4 in use")
        self._see_exec_id(report)
        for tag, types in ((32, b"FG"), (31, b"FG"), (527, b"FGH"), (19, b"GH")):
            belongs = (exec_type or b"") in types
            report.must((report.get(tag) is not None) == belongs, f"{tag} is there on a trade, and only there")
        report.must((report.get(103) is not None) == (exec_type == b"8" or status == b"8"), "103 says why")
        if status == b"8":
            self._see_refusal(report)
            return
        self._see_quantities(report)
        steps = {b"0": self._see_new, b"5": self._see_replaced, b"F": self._see_trade}
        steps |= {b"G": self._see_amended, b"H": self._see_amended}
        steps |= {b"I": self._see_status, b"8": self._see_status, b"9": self._see_aside, b"D": self._see_aside}
        steps.get(exec_type or b"", self._see_end)(report)
        self._see_average(report)

    def _see_exec_id(self, report: Report) -> None:
        exec_id = report.get(17) or b""
        if report.get(150) == b"I":
            return
        report.must(exec_id not in self.exec_ids, "17 never repeats")
        report.must(exec_id != b"0", "17=0 is for status reports")
        self.exec_ids.add(exec_id)

    def _see_refusal(self, report: Report) -> None:
        report.must(report.get(150) in (b"8", b"I"), "39=8 comes with 150=8 or 150=I")
        for tag in (151, 14, 6):
            report.must(report.number(tag) == 0, f"{tag} is 0 of what was never an order")

    def _see_quantities(self, report: Report) -> None:
        """38 = 14 + 151 while open; nothing is left once closed; 39 follows from the three."""
        qty, leaves, cum = report.number(38), report.number(151), report.number(14)
        status = report.get(39)
        report.must(qty > 0 and leaves >= 0 and cum >= 0, "quantities are not negative")
        if status in OPEN:
            report.must(qty == cum + leaves, "38 = 14 + 151 while the order is open")
            report.must(leaves > 0, "an open order has something left")
            expected = b"9" if status == b"9" else b"1" if cum else b"0"
            report.must(status == expected, "39=1 when part is filled, 39=0 when nothing is")
        else:
            report.must(leaves == 0, "151=0 once the order is closed")
            report.must((status == b"2") == (cum == qty), "39=2 when all is filled, and only then")

    def _see_new(self, report: Report) -> None:
        order_id = report.get(37) or b""
        report.must(order_id not in self.lives, "150=0 comes once, first of all, with a fresh 37")
        report.must(report.get(39) == b"0" and report.number(14) == 0, "a new order has not traded")
        report.must(report.get(41) is None, "no 41 on a new order")
        self.lives[order_id] = Life(
            report.session,
            report.get(11) or b"",
            report.get(55) or b"",
            report.get(54) or b"",
            report.number(38),
        )

    def _see_replaced(self, report: Report) -> None:
        life = self._open_life(report)
        report.must(report.get(41) == life.cl_ord_id, f"41 is the order's id {life.cl_ord_id!r}")
        report.must(report.get(11) != life.cl_ord_id, "11 of a replaced order is the request's")
        report.must(report.number(14) == life.cum, "a replace executes nothing")
        life.cl_ord_id, life.qty = report.get(11) or b"", report.number(38)
        life.status = report.get(39) or b""

    def _see_trade(self, report: Report) -> None:
        life = self._open_life(report)
        last_qty, last_px = report.number(32), report.number(31)
        self._must_be_current(report, life)
        report.must(last_qty > 0 and last_px > 0, "a trade has a price and a quantity")
        report.must(report.number(14) == life.cum + last_qty, "14 rises by 32")
        if report.get(44) is not None:
            worse = last_px > report.number(44) if life.side == b"1" else last_px < report.number(44)
            report.must(not worse, "no trade beyond the limit")
        life.cum += last_qty
        life.notional = WIDE.add(life.notional, WIDE.multiply(last_qty, last_px))
        life.status = report.get(39) or b""
        life.trades[report.get(527) or b""] = (last_qty, last_px, report.get(17) or b"")
        self._see_match(report)

    def _see_amended(self, report: Report) -> None:
        """A trade corrected (150=G) or busted (150=H): what it was is not counted any more."""
        life = self._life(report)
        self._must_be_current(report, life)
        was = life.trades.get(report.get(527) or b"")
        report.must(was is not None, "527 names a trade of this order")
        assert was is not None
        corrected = report.get(150) == b"G"
        qty, price = (report.number(32), report.number(31)) if corrected else (Decimal(0), Decimal(0))
        report.must(report.get(19) == was[2], f"19 is the ExecID {was[2]!r} that spoke of the trade before")
        report.must(was[0] > 0 and qty <= was[0], "a trade only becomes less, and ends with a bust")
        report.must(report.number(14) == life.cum - was[0] + qty, "14 falls by what the trade has lost")
        if life.status not in OPEN:
            closed = b"4" if life.status == b"2" and qty < was[0] else life.status
            report.must(report.get(39) == closed, "an order that is closed stays closed")
        life.cum += qty - was[0]
        life.notional = WIDE.add(WIDE.subtract(life.notional, WIDE.multiply(was[0], was[1])), WIDE.multiply(qty, price))
        life.status = report.get(39) or b""
        life.trades[report.get(527) or b""] = (qty, price, report.get(17) or b"")

    def _see_match(self, report: Report) -> None:
        match_id, order_id = report.get(527) or b"", report.get(37) or b""
        side = b"1" if report.get(54) == b"1" else b"2"
        terms = tuple(report.get(tag) for tag in (55, 32, 31, 60))
        report.must(match_id not in self.matched, "a match has two sides, not three")
        first = self.halves.pop(match_id, None)
        if first is None:
            self.halves[match_id] = Half(order_id, side, terms)
            return
        self.matched.add(match_id)
        report.must(first.terms == terms, "both sides share symbol, quantity, price and time")
        report.must(first.side != side and first.order_id != order_id, "a match has a buyer and a seller")

    def _see_aside(self, report: Report) -> None:
        """Suspended while trading is halted, or back in the book: nothing but the status changes."""
        life = self._open_life(report)
        self._must_be_current(report, life)
        suspended = report.get(150) == b"9"
        report.must((report.get(39) == b"9") == suspended, "39=9 while the order is suspended")
        report.must((report.get(636) == b"Y") != suspended, "636=Y when it works again")
        report.must((report.get(378) is None) == suspended, "378 says why it was restated")
        report.must(report.number(14) == life.cum, "14 changes only by a trade")
        life.status = report.get(39) or b""

    def _see_end(self, report: Report) -> None:
        """Cancelled or expired, asked for (with 41) or not."""
        life = self._open_life(report)
        exec_type = report.get(150) or b""
        report.must(report.get(39) == ENDS.get(exec_type), "39 is what 150 made it")
        if report.get(41) is None:
            report.must(report.get(11) == life.cl_ord_id, f"11 is the order's id {life.cl_ord_id!r}")
        else:
            report.must(exec_type == b"4", "41 only where a request is answered")
            report.must(report.get(41) == life.cl_ord_id, f"41 is the order's id {life.cl_ord_id!r}")
            report.must(report.get(11) != life.cl_ord_id, "11 of an answered cancel is the request's")
        report.must(report.number(38) == life.qty, "38 changes only by a replace")
        report.must(report.number(14) == life.cum, "14 changes only by a trade")
        life.status = report.get(39) or b""

    def _see_status(self, report: Report) -> None:
        """150=I, or a refused duplicate that tells the state of the order it collided with."""
        life = self._life(report)
        report.must(report.get(39) == life.status, f"39 is the order's status {life.status!r}")
        report.must(report.number(38) == life.qty and report.number(14) == life.cum, "nothing has changed")
        if report.get(150) == b"I":
            self._must_be_current(report, life)
        else:
            report.must(report.get(103) == b"6", "only a duplicate is refused with an order's state")

    # ------------------------------------------------------------ what they share

    def _life(self, report: Report) -> Life:
        life = self.lives.get(report.get(37) or b"")
        report.must(life is not None, "37 names an order that was acknowledged")
        assert life is not None
        report.must(life.session == report.session, f"the order belongs to {life.session!r}")
        return life

    def _open_life(self, report: Report) -> Life:
        life = self._life(report)
        report.must(life.status in OPEN, "nothing happens to an order that is closed")
        return life

    def _must_be_current(self, report: Report, life: Life) -> None:
        report.must(report.get(11) == life.cl_ord_id, f"11 is the order's id {life.cl_ord_id!r}")
        report.must(report.get(41) is None, "41 only where a request is answered")
        same = (report.get(55), report.get(54), report.number(38)) == (life.symbol, life.side, life.qty)
        report.must(same, "55, 54 and 38 are the order's")

    def _see_average(self, report: Report) -> None:
        """6 = sum(32 x 31) / 14, rounded half-even to as many decimals as are shown."""
        life, shown = self._life(report), report.number(6)
        if not life.cum:
            report.must(shown == 0, "6=0 while nothing has traded")
            return
        exact = WIDE.divide(life.notional, life.cum)
        rounded = exact.quantize(Decimal(1).scaleb(-places(shown)), context=WIDE)
        report.must(shown == rounded, f"6 is {rounded}")
