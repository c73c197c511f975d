"""Two exchanges, one conversation: the kernels behind real frames, and the oracle in plain Python, must say the same.

Every step goes to both; replies are compared field by field in the order they were said, books after every step (after
every hundredth in long flows). A failure prints the conversation up to the first difference; hypothesis shrinks it first.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from flows import SESSIONS, TRADED, VERBS, Composer, Step, compose, seeded_flow, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.stage import DAY_NS, NASTY, Field, Said, Stage, shown, small_config
from fixsim.config import Config
from fixsim.exchange.names import NAMES, PHASES
from fixsim.layout import CALLS
from fixsim.reference.check import ReportChecker
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing
from fixsim.reference.report import Reply

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
#: Messages shown before the first difference.
STORY = 60


@dataclass(frozen=True)
class Order:
    """Something that is no message: `halt`, `resume`, another `phase` of a symbol, or the next `day`."""

    verb: str
    symbol: str = ""
    phase: str = ""


#: One thing that happens to both exchanges.
Event = tuple[str, list[Field]] | Order


class Twins:
    """Both exchanges, and what was said to and by them."""

    def __init__(self, strictness: str = "strict", config: Config | None = None) -> None:
        config = config or small_config(strictness)
        self.stage = Stage(config)
        self.stage.log_on(*SESSIONS)
        self.oracle = ReferenceExchange(
            [Listing.of(instrument) for instrument in config.instruments],
            avg_px_decimals=config.venue.avg_px_decimals,
            timestamp_digits=config.venue.timestamp_digits,
        )
        self.checker: ReportChecker | None = ReportChecker()
        self.story: list[str] = []

    def run(self, events: Iterable[Event], every: int = 1) -> None:
        """Let all of `events` happen; books are compared after `every` so many."""
        for count, event in enumerate(events, 1):
            self.happen(event)
            if count % every == 0:
                self.compare_books()
        self.compare_books()
        if self.checker is not None:
            self.checker.finish()

    def happen(self, event: Event) -> None:
        """One event, and what both say to it."""
        self.stage.now_ns += 1_000_000
        due = self.stage.tick(self.stage.now_ns)
        now_ns = self.stage.now_ns
        self.compare(due, _fields(self.oracle.look_at_risk(now_ns) + self.oracle.run_out(now_ns)))
        if isinstance(event, Order):
            self.story.append(f"@ {event.verb} {event.symbol} {event.phase}")
            said, expected = self._order(event)
        else:
            session, fields = event
            number = self.stage.numbers[session] + 1
            self.story.append(f"> {session} {shown(fields)}")
            said = self.stage.say(session, fields)
            replies = self.oracle.receive(session, [*fields, (34, b"%d" % number)], self.stage.now_ns)
            expected = _fields(replies)
        self.compare(said, expected)

    def _order(self, event: Order) -> tuple[list[Said], list[Said]]:
        if event.verb == "day":
            self.stage.now_ns += DAY_NS
            said = self.stage.tick(self.stage.now_ns)
            now_ns = self.stage.now_ns
            return said, _fields(
                self.oracle.expire(now_ns) + self.oracle.look_at_risk(now_ns) + self.oracle.run_out(now_ns)
            )
        asked = {"symbol": event.symbol} | ({"phase": event.phase} if event.phase else {})
        answer, said = self.stage.commanded(event.verb, **asked)
        assert answer["ok"] == (event.symbol in self.oracle.board.listed)
        if not answer["ok"]:
            return said, []
        if event.verb == "phase":
            return said, _fields(self.oracle.move(event.symbol, event.phase, self.stage.now_ns))
        verb = self.oracle.halt if event.verb == "halt" else self.oracle.resume
        return said, _fields(verb(event.symbol, self.stage.now_ns))

    def compare(self, said: list[Said], expected: list[Said]) -> None:
        """The same messages to the same sessions in the same order."""
        for place in range(max(len(said), len(expected))):
            ours = said[place] if place < len(said) else None
            theirs = expected[place] if place < len(expected) else None
            if ours is None or theirs is None or ours != theirs:
                self.fail(f"message {place + 1} of the answer differs", _told(ours), _told(theirs))
            self.story.append(f"< {_told(ours)}")
            if self.checker is not None:
                self.checker.see(ours[1], ours[0])

    def compare_books(self) -> None:
        """The same orders in the same queues, the same counters."""
        state = self.oracle.state()
        ours = {symbol: _plain(sides) for symbol, sides in self.stage.books().items()}
        theirs = {symbol: _plain((book.bids, book.asks)) for symbol, book in state.items()}
        if list(ours) != list(theirs):
            self.fail("the instruments differ", str(list(ours)), str(list(theirs)))
        for symbol in ours:
            for side, mine, other in zip(("bids", "asks"), ours[symbol], theirs[symbol], strict=True):
                if mine != other:
                    self.fail(f"the {side} of {symbol} differ", "\n".join(mine), "\n".join(other))
        core = self.stage.exchange.core
        ids = [int(core[name]) for name in ("order_id", "exec_id", "match_id", "response_id")]
        oracle = self.oracle
        wanted = [oracle.order_id, oracle.exec_id, oracle.match_id, oracle.inquiries.security_response_id]
        if ids != wanted:
            self.fail("the counters differ", str(ids), str(wanted))

    def fail(self, what: str, ours: str, theirs: str) -> None:
        """Fail with the conversation so far."""
        story = "\n".join(self.story[-STORY:])
        pytest.fail(f"{what}\n{story}\n-- exchange:\n{ours}\n-- oracle:\n{theirs}", pytrace=False)


def _fields(replies: Iterable[Reply]) -> list[Said]:
    return [(reply.session, reply.fields) for reply in replies]


def _told(said: Said | None) -> str:
    return "nothing" if said is None else f"{said[0]} {shown(said[1])}"


def _plain(sides: Iterable[Iterable[tuple[Decimal, list[Any]]]]) -> list[list[str]]:
    """Both sides as lines: price, then its queue."""
    return [
        [f"{price.normalize():f}: " + ", ".join(_order_text(*order) for order in orders) for price, orders in side]
        for side in sides
    ]


def _order_text(session: str, name: bytes, order_id: int, *amounts: Decimal) -> str:
    return f"{session} {name!r} {order_id} " + " ".join(f"{amount.normalize():f}" for amount in amounts)


# ---------------------------------------------------------------- flows

#: Halts and days between the messages; a Step is turned into a message when its turn comes.
ORDERS = st.sampled_from([Order(verb, listing.symbol) for verb in ("halt", "resume") for listing in TRADED] + [Order("day")])
#: Tags an application looks at.
LOOKED_AT = (
    1, 11, 18, 37, 38, 40, 41, 44, 54, 55, 59, 99, 110, 111, 126, 152, 168, 210, 211, 262, 263, 264, 266, 269, 320, 388,
    432, 516, 559, 790,
)  # fmt: skip


#: Any phase after any other, with calls more often.
PHASED = st.builds(
    Order,
    st.just("phase"),
    st.sampled_from([listing.symbol for listing in TRADED]),
    st.sampled_from([*PHASES, *(NAMES[phase] for phase in CALLS), "continuous", "continuous"]),
)


def composed(mixed: Iterable[Step | Order]) -> list[Event]:
    """Steps as messages, in order, everything else as it is."""
    composer = Composer()
    return [item if isinstance(item, Order) else composer.message(item) for item in mixed]


def eventful(verbs: tuple[str, ...], max_size: int) -> st.SearchStrategy[list[Event]]:
    """Messages with halts and days between them."""
    item = st.one_of(steps(verbs), steps(verbs), steps(verbs), steps(verbs), ORDERS)
    return st.lists(item, max_size=max_size).map(composed)


class Change(NamedTuple):
    """One field of a message put in, changed, taken out or said twice."""

    at: int
    tag: int
    value: bytes
    what: int

    def apply(self, fields: list[Field]) -> list[Field]:
        """The message with this change; what comes first, MsgType(35), stays."""
        at = 1 + self.at % len(fields)
        rest = fields[at + 1 :]
        if self.what == 0 or at == len(fields):
            return [*fields[:at], (self.tag, self.value), *fields[at:]]
        if self.what == 1:
            return [*fields[:at], (fields[at][0], self.value), *rest]
        return fields[:at] + rest if self.what == 2 else [*fields[:at], fields[at], fields[at], *rest]


CHANGES = st.builds(
    Change,
    at=st.integers(0, 15),
    tag=st.sampled_from(LOOKED_AT),
    value=st.one_of(st.sampled_from(NASTY), st.sampled_from((b"1", b"2", b"3", b"4", b"A-1", b"AAPL", b"BIG"))),
    what=st.integers(0, 3),
)


@st.composite
def wild(draw: st.DrawFn) -> list[Event]:
    """Messages that no dictionary would let pass."""
    flow = draw(st.lists(steps(), max_size=25).map(compose))
    changed: list[Event] = []
    for session, fields in flow:
        for change in draw(st.lists(CHANGES, max_size=2)):
            fields = change.apply(fields)
        changed.append((session, fields))
    return changed


@given(wild())
@settings(max_examples=25 if PLAIN else 300)
def test_both_exchanges_say_the_same_to_what_nobody_validated(flow: list[Event]) -> None:
    twins = Twins("off")
    twins.checker = None
    twins.run(flow)


@given(st.lists(steps(), max_size=60).map(compose))
@settings(max_examples=25 if PLAIN else 250)
def test_both_exchanges_say_the_same(flow: list[Event]) -> None:
    Twins().run(flow)


@given(st.lists(st.one_of(steps(VERBS), steps(VERBS), steps(VERBS), PHASED, ORDERS), max_size=60).map(composed))
@settings(max_examples=25 if PLAIN else 250)
def test_both_exchanges_say_the_same_through_phases_and_auctions(flow: list[Event]) -> None:
    Twins().run(flow)


@given(eventful(VERBS, 50))
@settings(max_examples=15 if PLAIN else 150)
def test_both_exchanges_say_the_same_through_halts_and_days(flow: list[Event]) -> None:
    Twins().run(flow)


@pytest.mark.parametrize("seed", range(2 if PLAIN else 6))
def test_both_exchanges_say_the_same_in_a_long_flow(seed: int) -> None:
    count = 400 if PLAIN else 4_000
    Twins().run(seeded_flow(seed, count), every=100)


@pytest.mark.parametrize("phase", ["pre-open", "volatility-auction", "continuous"])
def test_both_exchanges_let_an_order_for_the_close_wait_again_when_it_is_replaced_behind_its_auction(phase: str) -> None:
    def order(kind: bytes, name: bytes, price: bytes, *more: Field) -> Event:
        terms = [(55, b"AAPL"), (54, b"2"), (60, b"20240102-10:00:00"), (38, b"5"), (40, b"2"), (44, price)]
        return "ALPHA", [(35, kind), *more, (11, name), *terms, (59, b"7")]

    Twins().run(
        [
            Order("phase", "AAPL", "closing-auction"), order(b"D", b"a", b"10.00"), Order("phase", "AAPL", "pre-open"),
            Order("phase", "AAPL", phase), order(b"G", b"b", b"10.10", (41, b"a")),
            ("ALPHA", [(35, b"H"), (11, b"b"), (55, b"AAPL"), (54, b"2")]),
        ]
    )  # fmt: skip
