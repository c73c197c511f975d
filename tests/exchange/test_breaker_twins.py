"""Kernels and oracle say the same while breakers of every kind act: executions, calls, repricings and halts."""

import os
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.stage import Field, Stage, rehearsed, small_config
from exchange.test_differential import Order, Twins
from fixsim.config import Config, Instrument, Limits
from fixsim.config.breakers import PROFILES, Breaker, Constituent, Level, MarketBreaker
from fixsim.exchange.digest import state_digest
from fixsim.exchange.names import NAMES
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.listing import Listing
from fixsim.reference.risk import RiskDesk

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
SYMBOLS = ("AAA", "BBB")
SESSIONS = ("ALPHA", "BRAVO")
NOON = b"20240102-10:00:00"
SECOND_NS = 1_000_000_000

#: What instruments are stopped by; no call ends by chance, so that the oracle knows when.
KINDS = {
    "corridor": Breaker(
        "corridor", static_bps=600, dynamic_bps=200, call_s=20, extended_bps=900, market_extensions=1, extension_s=10
    ),
    "monitored": Breaker("monitored", static_bps=400, call_s=10, extension_bps=500, extensions=2, extension_s=10),
    "range": Breaker("range", range_bps=150, window_s=10, call_s=5),
    "bands": replace(PROFILES["luld-tier-1"], name="bands", window_s=60, call_s=30, extension_s=20, doubled_last_s=0),
    "index": None,
}
MARKET = MarketBreaker((Constituent("AAA", 2), Constituent("BBB", 3)), (Level(300, 40), Level(500, 60), Level(800, 0)), 15)


class Move(NamedTuple):
    """One thing that happens: an order, a cancel or a replace of the `target`th order, time that passes, an operator."""

    verb: str
    session: int
    symbol: int
    buy: bool
    #: Half per cents from 100.00.
    price: int
    lots: int
    tif: int
    target: int


MOVES = st.builds(
    Move,
    verb=st.sampled_from(("order", "order", "order", "order", "order", "cancel", "replace", "wait", "wait", "operator")),
    session=st.integers(0, 1), symbol=st.integers(0, 1), buy=st.booleans(), price=st.integers(-20, 20), lots=st.integers(1, 9),
    tif=st.integers(0, 5), target=st.integers(0, 30),
)  # fmt: skip
LONG = int(os.environ.get("LONG", 300 if PLAIN else 1_500))
WAITS_S = (0.5, 2, 6, 11, 16, 31, 61)
OPERATORS = ("continuous", "continuous", "halted", "volatility-auction")


def config_of(kind: str) -> Config:
    """Two instruments with a breaker of one kind, or an index over them."""
    profile = KINDS[kind]
    instruments = tuple(
        Instrument(
            symbol, Decimal("0.01"), Decimal(1), Decimal(1), Decimal(1_000_000), reference_price=Decimal(100),
            breaker=None if profile is None else kind,
        )
        for symbol in SYMBOLS
    )  # fmt: skip
    return replace(
        small_config(), instruments=instruments, breakers=() if profile is None else (profile,),
        market_breaker=None if profile is not None else MARKET,
    )  # fmt: skip


class Talk:
    """What sessions say: orders, and cancels and replaces of what was said before."""

    def __init__(self) -> None:
        #: Whose, ClOrdID(11), symbol and side of everything that was sent.
        self.ids: list[tuple[int, bytes, bytes, bytes]] = []

    def message(self, number: int, move: Move) -> tuple[str, list[Field]]:
        """A move as the message of a session."""
        name, price = b"%d" % number, b"%.2f" % (100 + move.price / 2)
        symbol, side = SYMBOLS[move.symbol].encode(), b"1" if move.buy else b"2"
        owner, terms = move.session, (b"2", b"0")
        fields: list[Field] = [(35, b"D"), (11, name)]
        if move.verb != "order" and self.ids:
            owner, orig, symbol, side = self.ids[move.target % len(self.ids)]
            fields = [(35, b"F" if move.verb == "cancel" else b"G"), (41, orig), (11, name)]
        else:
            terms = (b"1", b"0") if move.tif == 5 else (b"2", (b"0", b"0", b"1", b"3", b"4")[move.tif])
        self.ids.append((owner, name, symbol, side))
        fields += [(55, symbol), (54, side), (60, NOON), (38, b"%d" % (10 * move.lots))]
        if fields[0][1] != b"F":
            fields += [(40, terms[0]), (59, terms[1])] if fields[0][1] == b"D" else [(40, b"2")]
            fields += [(44, price)] if terms[0] == b"2" else []
        return SESSIONS[owner], fields


class Guarded(Twins):
    """Twins whose instruments are stopped when their prices run away."""

    def __init__(self, kind: str, *limits: Limits) -> None:
        config, profile = replace(config_of(kind), limits=limits), KINDS[kind]
        self.stage = Stage(config)
        self.stage.log_on(*SESSIONS)
        self.oracle = ReferenceExchange(
            [Listing.of(instrument) for instrument in config.instruments],
            breakers={} if profile is None else dict.fromkeys(SYMBOLS, profile),
            market_breaker=config.market_breaker,
            risk=RiskDesk(config.limits),
        )
        self.checker = None
        self.story: list[str] = []
        self.talk = Talk()
        #: How often something was stopped: an instrument in continuous trading, or an order that was repriced.
        self.stops = 0

    def play(self, moves: list[Move]) -> None:
        """Let all of them happen; phases and books are compared after each."""
        for number, move in enumerate(moves, 1):
            trading = self.trading()
            if move.verb == "wait":
                self.wait(WAITS_S[move.target % len(WAITS_S)])
            elif move.verb == "operator":
                self.happen(Order("phase", SYMBOLS[move.symbol], OPERATORS[move.target % len(OPERATORS)]))
            else:
                self.happen(self.talk.message(number, move))
            if move.verb != "operator":
                self.stops += len(trading - self.trading()) + sum("378=3" in line for line in self.story[-20:])
            self.compare_books()
            self.compare_phases()
        assert state_digest(rehearsed(self.stage.writer.batches)) == state_digest(self.stage.exchange)

    def trading(self) -> set[str]:
        """Instruments in continuous trading."""
        return {symbol for symbol in SYMBOLS if self.oracle.floor.phase(symbol) == "continuous"}

    def wait(self, seconds: float) -> None:
        """Time passes, and stops at everything that is due."""
        end_ns = self.stage.now_ns + int(seconds * SECOND_NS)
        self.story.append(f"@ {seconds} s")
        while self.stage.exchange.next_deadline_ns() <= end_ns:
            self.stage.now_ns = max(self.stage.now_ns, self.stage.exchange.next_deadline_ns())
            said = self.stage.tick(self.stage.now_ns)
            self.compare(said, [(reply.session, reply.fields) for reply in self.oracle.due(self.stage.now_ns)])
        self.stage.now_ns = end_ns

    def happen(self, event: tuple[str, list[Field]] | Order) -> None:
        """Something happens a millisecond later; first what is due until then."""
        self.wait(0.001)
        self.stage.now_ns -= 1_000_000
        super().happen(event)

    def compare_phases(self) -> None:
        """Every instrument is in the same phase, inside of the same bounds."""
        for symbol in SYMBOLS:
            row = self.stage.exchange.machine.books[self.stage.exchange.listings.by_symbol[symbol.encode()].book]
            mine, theirs = NAMES[int(row["phase"])], self.oracle.floor.phase(symbol)
            if mine != theirs:
                self.fail(f"the phase of {symbol} differs", mine, theirs)
            if row["corridor"] and mine == "continuous":
                low, high = self.oracle.breakers.watches[symbol].bounds()
                bounds = (int(row["floor"]), int(row["ceiling"]))
                wanted = (int(low * 100), int(high * 100) if high.is_finite() else bounds[1])
                if bounds != wanted:
                    self.fail(f"the bounds of {symbol} differ", str(bounds), str(wanted))


@pytest.mark.parametrize("kind", KINDS)
@given(moves=st.lists(MOVES, max_size=40))
@settings(max_examples=25 if PLAIN else 120, deadline=None)
def test_both_exchanges_are_stopped_alike(kind: str, moves: list[Move]) -> None:
    Guarded(kind).play(moves)


@pytest.mark.parametrize("kind", KINDS)
@given(moves=st.lists(MOVES, max_size=40), protection_ticks=st.sampled_from((0, 50, 300)))
@settings(max_examples=15 if PLAIN else 80, deadline=None)
def test_protected_market_orders_are_stopped_alike(kind: str, moves: list[Move], protection_ticks: int) -> None:
    Guarded(kind, Limits("session", "*", protection_ticks=protection_ticks)).play(moves)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_day_is_interrupted_alike(kind: str) -> None:
    random = Random(kind)
    verbs = ("order",) * 12 + ("cancel", "replace", "wait", "operator")
    moves = [
        Move(
            random.choice(verbs), random.randrange(2), random.randrange(2), random.random() < 0.5, round(random.gauss(0, 9)),
            random.randint(1, 9), random.randrange(6), random.randrange(1_000),
        )
        for _ in range(LONG)
    ]  # fmt: skip
    twins = Guarded(kind)
    twins.play(moves)
    assert twins.oracle.match_id > 5, "there was trading"
    assert twins.stops > 1, "and it was stopped"
