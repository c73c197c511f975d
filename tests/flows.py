"""Flows of orders to compare exchanges on: mostly good, often colliding, sometimes wrong in a known way.

A `Step` is a small intention ("session 1 cancels what it sent three messages ago"); `compose` turns steps
into messages. Steps do not depend on each other, so hypothesis can drop any of them when it shrinks:

    @given(flows())                             # or: for flow in [seeded_flow(seed=7, count=100_000)]
    def test_both_say_the_same(flow): ...

Each message is (session, fields): 35 first, header fields that matter to the application (97, routing), then
the body. `frames` numbers and renders them. All pass a strict FIX 4.4 validation: what is wrong is wrong for
the exchange alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import NamedTuple, TypeVar

from hypothesis import strategies as st
from simplefix import FixMessage

from fixsim.reference.listing import Listing

T = TypeVar("T")
Field = tuple[int, bytes]
Message = tuple[str, list[Field]]

SESSIONS = ("ALPHA", "BRAVO", "CHARLIE")
TRANSACT_TIME = b"20240102-10:00:00.000"


def listing(
    symbol: str, tick: str, lot: str, max_lots: int = 1_000_000, min_lots: int = 1, reference: str | None = None
) -> Listing:
    """An instrument; its highest price is what the bound on price x quantity leaves."""
    tick_size, lot_size = Decimal(tick), Decimal(lot)
    return Listing(
        symbol,
        tick_size,
        lot_size,
        min_qty=min_lots * lot_size,
        max_qty=max_lots * lot_size,
        currency="USD",
        highest_price=tick_size * min((1 << 40) - 2, ((1 << 62) - 1) // max_lots),
        reference_price=None if reference is None else Decimal(reference),
    )


#: Cents; a large lot, a wide tick and a minimum; fractional lots; and a pattern.
LISTINGS = (
    listing("AAPL", "0.01", "1"),
    listing("BIG", "0.05", "100", min_lots=2, reference="50.10"),
    listing("BTC-USDT", "0.1", "0.0001"),
    listing("SYM*", "1", "10"),
)
TRADED = (*LISTINGS[:3], listing("SYM007", "1", "10"))

VERBS = ("D", "D", "D", "D", "F", "G", "G", "H")
QUESTIONS = ("x", "V", "R")
ORDER_FLAWS = (
    "symbol", "off_tick", "off_lot", "no_qty", "zero_qty", "huge_qty", "small_qty", "no_price", "zero_price",
    "huge_price", "priced_market", "duplicate", "poss_resend", "poss_resend_new", "stop", "good_till_date",
    "iceberg", "min_qty", "pegged", "held", "buy_minus", "long_id", "long_account", "long_route", "good_till_time",
    "no_till", "no_date", "good_till_crossing", "both_halts", "reinstate", "withdraw",
)  # fmt: skip
REQUEST_FLAWS = (
    "unknown", "foreign", "duplicate", "poss_resend", "poss_resend_new", "wrong_side", "wrong_symbol",
    "long_id", "off_tick", "off_lot", "no_qty", "no_price", "huge_price", "market", "other_tif", "iceberg", "reinstate",
    "good_till_date",
)  # fmt: skip
#: TimeInForce(59) of a seeded flow, as often as it comes; "" for none.
TIMES_IN_FORCE = ("", "", "", "", "", "", "0", "0", "1", "1", "1", "1", "3", "3", "4", "4", "2", "7")
STATUS_FLAWS = ("unknown", "foreign", "order_id", "request_id")
FLAWS = tuple(dict.fromkeys(ORDER_FLAWS + REQUEST_FLAWS + STATUS_FLAWS))


class Step(NamedTuple):
    """One intention, in numbers small enough to shrink."""

    verb: str = "D"  # MsgType
    session: int = 0
    instrument: int = 0
    buy: bool = True
    offset: int = 0  # ticks away from the middle; negative crosses it
    lots: int = 1
    time_in_force: str = ""  # "" for none
    market: bool = False
    target: int = 0  # how many messages of this session ago the order meant was sent
    routed: bool = False  # carries account and routing
    flaw: str = ""  # one of FLAWS; what does not apply to the verb is ignored


@dataclass
class Sent:
    """An order as its sender believes it to be."""

    cl_ord_id: bytes
    instrument: int
    side: bytes
    ticks: int
    lots: int
    tif: str
    market: bool


class Composer:
    """Turns steps into messages, remembering what each session has sent."""

    def __init__(self, sessions: tuple[str, ...] = SESSIONS) -> None:
        self.sessions = sessions
        self.sent: dict[str, list[Sent]] = {name: [] for name in sessions}
        self.ids: dict[str, list[bytes]] = {name: [] for name in sessions}
        self.count = 0
        self.verbs: dict[str, Callable[[Step, str], list[Field]]] = {
            "D": self.new_order, "F": self.cancel, "G": self.replace, "H": self.status,
            "x": self.security_list, "V": self.market_data, "R": self.quote,
        }  # fmt: skip

    def message(self, step: Step) -> Message:
        session = self.sessions[step.session % len(self.sessions)]
        self.count += 1
        head: list[Field] = [(35, step.verb.encode())]
        if step.flaw.startswith("poss_resend") and step.verb in "DFG":
            head.append((97, b"Y"))
        if step.routed:
            head += [(50, b"DESK%d" % step.session), (115, b"CLIENT"), (116, b"TRADER")]
        if step.flaw == "long_route" and step.verb == "D":
            head += [(128, b"R" * 120), (129, b"S" * 120)]
        return session, head + self.verbs[step.verb](step, session)

    # ---------------------------------------------------------------- ids

    def fresh_id(self, step: Step, session: str) -> bytes:
        """A new ClOrdID, or an old one where the flaw asks for it."""
        if step.flaw in ("duplicate", "poss_resend") and self.ids[session]:
            return back(self.ids[session], step.target)
        name = b"%s-%d" % (session[:1].encode(), self.count)
        if step.flaw == "long_id":
            return name.ljust(65, b"x")
        self.ids[session].append(name)
        return name

    def meant(self, step: Step, session: str) -> Sent:
        """The order that a request is about; somebody else's or nobody's where the flaw asks for it."""
        owner = self.sessions[(step.session + 1) % len(self.sessions)] if step.flaw == "foreign" else session
        if step.flaw == "unknown" or not self.sent[owner]:
            return Sent(b"nobody", step.instrument, side(step), 1_000 + step.offset, step.lots, "", False)
        return back(self.sent[owner], step.target)

    # ---------------------------------------------------------------- orders

    def new_order(self, step: Step, session: str) -> list[Field]:
        traded = TRADED[step.instrument % len(TRADED)]
        ticks = 1_000 - step.offset if step.buy else 1_000 + step.offset
        order = Sent(
            self.fresh_id(step, session),
            step.instrument,
            side(step),
            ticks,
            step.lots,
            step.time_in_force,
            step.market,
        )
        self.sent[session].append(order)
        symbol = b"NOPE" if step.flaw == "symbol" else traded.symbol.encode()
        account = b"A" * 65 if step.flaw == "long_account" else b"ACC"
        return [
            (11, order.cl_ord_id),
            *([(1, account)] if step.routed or step.flaw == "long_account" else []),
            *([(18, b"1 5")] if step.routed and step.flaw not in ("held", "both_halts", "reinstate", "withdraw") else []),
            (55, symbol),
            (54, b"3" if step.flaw == "buy_minus" else order.side),
            (60, TRANSACT_TIME),
            *quantity(step, traded, order.lots),
            *price(step, traded, order.ticks, order.market),
            *order_extras(step),
        ]

    def cancel(self, step: Step, session: str) -> list[Field]:
        order = self.meant(step, session)
        return [(41, order.cl_ord_id), (11, self.fresh_id(step, session)), *self.subject(step, order)]

    def replace(self, step: Step, session: str) -> list[Field]:
        """New price and quantity near the old ones; an offset of 0 keeps the price."""
        order = self.meant(step, session)
        traded = TRADED[order.instrument % len(TRADED)]
        away = -step.offset if order.side == b"1" else step.offset
        market = order.market or step.flaw == "market"
        changed = Sent(
            self.fresh_id(step, session),
            order.instrument,
            order.side,
            order.ticks + away,
            max(1, order.lots + step.lots - 5),
            order.tif,
            order.market,
        )
        self.sent[session].append(changed)
        return [
            (41, order.cl_ord_id),
            (11, changed.cl_ord_id),
            *self.subject(step, order),
            *quantity(step, traded, changed.lots),
            *price(step, traded, changed.ticks, market),
            *([(59, order.tif.encode())] if order.tif and step.buy else []),
            *([(59, b"3")] if step.flaw == "other_tif" and not (order.tif and step.buy) else []),
            *([(111, b"100")] if step.flaw == "iceberg" else []),
            *([(18, b"J")] if step.flaw == "reinstate" else []),
            *([(432, b"20240102")] if step.flaw == "good_till_date" else []),
        ]

    def subject(self, step: Step, order: Sent) -> list[Field]:
        """Symbol, side and time of a request about `order`."""
        away = 1 if step.flaw == "wrong_symbol" else 0
        symbol = TRADED[(order.instrument + away) % len(TRADED)].symbol
        turned = {b"1": b"2"}.get(order.side, b"1")
        said = turned if step.flaw == "wrong_side" else order.side
        return [(55, symbol.encode()), (54, said), (60, TRANSACT_TIME)]

    def status(self, step: Step, session: str) -> list[Field]:
        order = self.meant(step, session)
        name = order.cl_ord_id
        if step.routed and self.ids[session] and step.flaw not in ("unknown", "foreign"):
            name = back(self.ids[session], step.target)
        return [
            *([(37, b"%d" % (step.target + 1))] if step.flaw == "order_id" else []),
            (11, name),
            (55, TRADED[order.instrument % len(TRADED)].symbol.encode()),
            (54, order.side),
            *([(790, b"Q-%d" % self.count)] if step.flaw == "request_id" else []),
        ]

    # ---------------------------------------------------------------- questions

    def security_list(self, step: Step, session: str) -> list[Field]:
        kind = (b"0", b"4", b"1")[step.target % 3]
        symbol = b"NOPE" if step.flaw == "unknown" else TRADED[step.instrument % len(TRADED)].symbol.encode()
        return [(320, b"L-%d" % self.count), (559, kind), *([(55, symbol)] if kind == b"0" else [])]

    def market_data(self, step: Step, session: str) -> list[Field]:
        symbol = b"NOPE" if step.flaw == "unknown" else TRADED[step.instrument % len(TRADED)].symbol.encode()
        kind, depth = (b"1" if step.flaw == "foreign" else b"0"), step.lots % 4
        return [
            (262, b"M-%d" % self.count),
            (263, kind),
            (264, b"%d" % (-1 if step.flaw == "order_id" else depth)),
            *([(265, b"1")] if kind == b"1" else []),
            *([(266, b"Y" if step.buy else b"N")] if step.routed else []),
            (267, b"3"),
            *((269, entry_type) for entry_type in (b"0", b"1", b"4" if step.flaw == "request_id" else b"2")),
            (146, b"2"),
            (55, b"AAPL"),
            (55, symbol),
        ]

    def quote(self, step: Step, session: str) -> list[Field]:
        """A QuoteRequest(R): a good message that no exchange of ours serves."""
        return [(131, b"R-%d" % self.count), (146, b"1"), (55, b"AAPL")]


def back(items: Sequence[T], target: int) -> T:
    """The item `target` places from the end, going round."""
    return items[-1 - target % len(items)]


def side(step: Step) -> bytes:
    """Buy, or one of the sells: a short one now and then."""
    return b"1" if step.buy else (b"5" if step.lots == 7 else b"2")


def quantity(step: Step, traded: Listing, lots: int) -> list[Field]:
    """OrderQty(38), with the zeros that FIX allows."""
    changed: dict[str, Decimal | None] = {
        "no_qty": None,
        "zero_qty": Decimal(0),
        "huge_qty": traded.max_qty + traded.lot_size,
        "small_qty": traded.lot_size,
        "off_lot": traded.lot_size / 2,
    }
    qty = changed.get(step.flaw, lots * traded.min_qty)
    text = "" if qty is None else f"0{qty:f}" if step.lots == 3 else f"{qty:f}"
    if step.lots == 4 and "." in text:
        text += "00"
    return [(38, text.encode())] if text else []


def price(step: Step, traded: Listing, ticks: int, market: bool) -> list[Field]:
    """OrdType(40) and Price(44)."""
    if step.flaw == "stop":
        return [(40, b"3"), (99, b"10")]
    if market or step.flaw == "priced_market":
        return [(40, b"1"), *([(44, b"10")] if step.flaw == "priced_market" else [])]
    value = ticks * traded.tick_size
    if step.flaw == "no_price":
        return [(40, b"2")]
    changed = {
        "zero_price": Decimal(0),
        "huge_price": traded.highest_price + traded.tick_size,
        "off_tick": value + traded.tick_size / 2,
    }
    text = f"{changed.get(step.flaw, value):f}"
    return [(40, b"2"), (44, (text + "0" if step.lots == 4 and "." in text else text).encode())]


def order_extras(step: Step) -> list[Field]:
    """TimeInForce(59), and what an order may ask for that is not offered."""
    asked: dict[str, list[Field]] = {
        "good_till_date": [(59, b"6"), (432, b"2024010%d" % (1 + step.target % 5))],
        "good_till_time": [(59, b"6"), (126, b"20240102-10:00:00.%03d" % (20 * step.target))],
        "no_till": [(59, b"6")],
        "no_date": [(59, b"6"), (432, b"20240103"), (126, b"20240103-10:00:00")],
        "good_till_crossing": [(59, b"5")],
        "both_halts": [(18, b"J K")],
        "reinstate": [(18, b"1 J")],
        "withdraw": [(18, b"K")],
        "iceberg": [(111, b"100")],
        "min_qty": [(110, b"%d" % (step.target % 2))],
        "pegged": [(211, b"0.1")],
        "held": [(18, b"1 G")],
    }
    if step.flaw in ("good_till_date", "good_till_time", "good_till_crossing", "no_till", "no_date"):
        return asked[step.flaw]
    tif: list[Field] = [(59, step.time_in_force.encode())] if step.time_in_force else []
    return tif + asked.get(step.flaw, [])


def compose(steps: Iterable[Step]) -> list[Message]:
    """The messages that `steps` stand for, in order."""
    composer = Composer()
    return [composer.message(step) for step in steps]


def steps(verbs: tuple[str, ...] = VERBS + QUESTIONS) -> st.SearchStrategy[Step]:
    """One step; without a flaw, a plain day limit order near the middle, it is at its simplest."""
    return st.builds(
        Step,
        verb=st.sampled_from(verbs),
        session=st.integers(0, len(SESSIONS) - 1),
        instrument=st.sampled_from((0, 0, 0, 1, 2, 3)),
        buy=st.booleans(),
        offset=st.integers(-3, 3),
        lots=st.integers(1, 9),
        time_in_force=st.sampled_from(("", "", "", "0", "1", "1", "3", "4", "2", "7")),
        market=st.sampled_from((False, False, False, False, True)),
        target=st.integers(0, 6),
        routed=st.sampled_from((False, False, False, True)),
        flaw=st.one_of(st.just(""), st.just(""), st.just(""), st.sampled_from(FLAWS)),
    )


def flows(max_size: int = 60) -> st.SearchStrategy[list[Message]]:
    """Whole flows of up to `max_size` messages."""
    return st.lists(steps(), max_size=max_size).map(compose)


def seeded_flow(
    seed: int, count: int, *, flawed: float = 0.1, sessions: tuple[str, ...] = SESSIONS, spread: int = 12
) -> Iterator[Message]:
    """`count` messages, the same for the same seed; a share is `flawed`, prices lie within `spread` ticks."""
    random, composer = Random(seed), Composer(sessions)
    for _ in range(count):
        question = random.random() < 0.02
        yield composer.message(
            Step(
                verb=random.choice(QUESTIONS if question else VERBS),
                session=random.randrange(len(sessions)),
                instrument=random.randrange(len(TRADED)),
                buy=random.random() < 0.5,
                offset=random.randint(-spread // 4, spread),
                lots=random.randint(1, 9) if random.random() < 0.95 else random.randint(20, 80),
                time_in_force=random.choice(TIMES_IN_FORCE),
                market=random.random() < 0.06,
                target=int(40 * random.random() ** 3),
                routed=random.random() < 0.1,
                flaw=random.choice(STATUS_FLAWS if question else FLAWS)
                if random.random() < (0.3 if question else flawed)
                else "",
            )
        )


def frames(flow: Iterable[Message], target: str = "FIXSIM", first: int = 1) -> Iterator[tuple[str, bytes]]:
    """The flow as whole FIX 4.4 frames, each session numbered from `first`."""
    numbers: dict[str, int] = {}
    for session, fields in flow:
        number = numbers.setdefault(session, first)
        numbers[session] = number + 1
        message = FixMessage()
        message.append_pair(8, b"FIX.4.4")
        message.append_pair(35, fields[0][1])
        for tag, value in ((49, session), (56, target), (34, number), (52, TRANSACT_TIME), *fields[1:]):
            message.append_pair(tag, value)
        yield session, message.encode()
