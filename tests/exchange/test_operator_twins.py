"""Kernels and oracle say the same when operators and mass cancels interfere with a flow of orders."""

import os
from dataclasses import dataclass
from typing import Any

from flows import SESSIONS, TRADED, VERBS, Composer, Step, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.test_differential import PHASED, Event, Order, Twins
from exchange.test_operator import told
from fixsim.reference.report import Reply

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


@dataclass(frozen=True)
class CancelAll:
    """The operator's, or with `own` a session's."""

    session: str | None
    symbol: str | None
    side: str | None
    own: bool


@dataclass(frozen=True)
class Amend:
    """One of the trades so far becomes another: 0 lots for a bust."""

    trade: int
    percent: int
    ticks: int


SIDES = {"buy": b"1", "sell": b"2"}
CANCELS = st.builds(
    CancelAll,
    st.sampled_from([None, *SESSIONS]),
    st.sampled_from([None, *(listing.symbol for listing in TRADED)]),
    st.sampled_from([None, *SIDES]),
    st.booleans(),
)
AMENDS = st.builds(Amend, st.integers(0, 50), st.sampled_from([0, 0, 50, 100]), st.integers(-3, 3))


class Operated(Twins):
    """Twins whose operator has more to say."""

    def interfere(self, what: Any) -> None:
        """One interference, and what both say to it."""
        self.stage.now_ns += 1_000_000
        now_ns = self.stage.now_ns
        due = self.oracle.look_at_risk(now_ns) + self.oracle.run_out(now_ns)
        self.compare(self.stage.tick(now_ns), _fields(due))
        self.story.append(f"@ {what}")
        if isinstance(what, Amend):
            self._amend(what)
        elif not what.own:
            self._cancel_all(what)

    def _cancel_all(self, what: CancelAll) -> None:
        given_ = {name: getattr(what, name) for name in ("session", "symbol", "side") if getattr(what, name) is not None}
        answer, said = self.stage.commanded("cancel-all", **given_, all=True)
        which = {name: value for name, value in given_.items() if name != "side"}
        if what.side is not None:
            which["side"] = SIDES[what.side]
        if answer["ok"]:
            self.compare(said, _fields(self.oracle.cancel_all(self.stage.now_ns, **which)))
        else:
            assert what.symbol not in self.oracle.board.listed

    def _amend(self, what: Amend) -> None:
        if not self.oracle.match_id:
            return
        match_id = 1 + what.trade % self.oracle.match_id
        trade = self.oracle.ledger.trades[match_id]
        listing = self.oracle.board.listed[trade.halves[0].order.symbol]
        arguments: dict[str, Any] = told(self.stage, match_id)
        verb, terms = "bust", (None, None)
        if what.percent:
            lots = int(trade.qty / listing.lot_size) * what.percent // 100
            terms = (str(lots * listing.lot_size), str(trade.price + what.ticks * listing.tick_size))
            verb, arguments = "correct", arguments | {"quantity": terms[0], "price": terms[1]}
        _, said = self.stage.commanded(verb, **arguments)
        qty, price = (None if text is None else text.encode() for text in terms)
        self.compare(said, _fields(self.oracle.amend(match_id, self.stage.now_ns, qty, price)))


def _fields(replies: list[Reply]) -> list[Any]:
    return [(reply.session, reply.fields) for reply in replies]


def mass_cancel(number: int, what: CancelAll) -> Event:
    """What a session says to cancel its own."""
    fields = [(35, b"q"), (11, b"Q%d" % number), (530, b"7" if what.symbol is None else b"1")]
    fields += [] if what.symbol is None else [(55, what.symbol.encode())]
    fields += [] if what.side is None else [(54, SIDES[what.side])]
    return what.session or SESSIONS[0], [*fields, (60, b"20240102-10:00:00.000")]


@dataclass(frozen=True)
class Meeting:
    """An order at one of three prices, so that many of them meet."""

    session: int
    buy: bool
    price: int
    lots: int
    tif: str


MEETINGS = st.builds(
    Meeting, st.integers(0, 2), st.booleans(), st.integers(999, 1_001), st.integers(1, 4), st.sampled_from("00013")
)


def meeting(number: int, what: Meeting) -> Event:
    """The order as its session says it."""
    fields = [(35, b"D"), (11, b"M%d" % number), (55, b"AAPL"), (54, b"1" if what.buy else b"2"), (38, b"%d" % what.lots)]
    fields += [(40, b"2"), (44, b"%d.%02d" % divmod(what.price, 100)), (59, what.tif.encode())]
    return SESSIONS[what.session], [*fields, (60, b"20240102-10:00:00.000")]


ORDERS = st.one_of(MEETINGS, MEETINGS, MEETINGS, steps(VERBS))
MIXED = st.lists(st.one_of(ORDERS, ORDERS, AMENDS, CANCELS, PHASED, st.just(Order("day"))), max_size=60)
#: Trades and what becomes of them, without much else.
AMENDED = st.lists(st.one_of(MEETINGS, MEETINGS, MEETINGS, AMENDS), max_size=60)


@given(st.one_of(MIXED, AMENDED))
@settings(max_examples=60 if PLAIN else 300)
def test_both_exchanges_say_the_same_to_an_operator(flow: list[Step | Order | Meeting | Amend | CancelAll]) -> None:
    twins, composer = Operated(), Composer()
    for number, item in enumerate(flow):
        if isinstance(item, CancelAll) and item.own:
            twins.happen(mass_cancel(number, item))
        elif isinstance(item, CancelAll | Amend):
            twins.interfere(item)
        elif isinstance(item, Meeting):
            twins.happen(meeting(number, item))
        else:
            twins.happen(item if isinstance(item, Order) else composer.message(item))
        twins.compare_books()
