"""Phases, breakers, limits and operators in one flow: both doors write the same journal, and the oracle says it too.

Two exchanges get the same turns, one of them without a fast door; journal and state must be the same after each. In the end
the journal is carried out again by a fresh exchange, and by the oracle, which has an opinion of its own on every byte.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from replay.recording import Recording

from exchange.limited import FIRMS
from exchange.stage import MORNING_NS, Stage, rehearsed, small_config
from exchange.test_breaker_twins import MOVES, SESSIONS, Move, Talk
from exchange.test_doors import Doors
from exchange.test_operator import told
from fixsim.config import Config, Counterparty, Instrument, Limits, Risk
from fixsim.config.breakers import PROFILES, Breaker, Constituent, Level, MarketBreaker
from fixsim.config.schedules import Schedule, Step
from fixsim.exchange.digest import state_digest
from fixsim.exchange.laws import broken_laws
from fixsim.exchange.names import NAMES
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
EXAMPLES = int(os.environ.get("EXAMPLES", 12 if PLAIN else 25))
SECOND_NS = 1_000_000_000
WAITS_S = (0.5, 2, 6, 16, 31, 61)
#: Who only listens.
LISTENER = "CHARLIE"

#: AAA has bands, BBB a corridor and a schedule whose calls end by chance, CCC follows the index alone, which is of all three.
BREAKERS = (
    replace(
        PROFILES["luld-tier-1"], name="bands", window_s=60, limit_state_s=5, call_s=20, random_end_s=5, extension_s=10,
        extensions=2, market_extensions=1,
    ),
    Breaker(
        "corridor", static_bps=600, dynamic_bps=200, call_s=15, random_end_s=5, extended_bps=900, market_extensions=1,
        extension_s=10,
    ),
)  # fmt: skip
MINUTES = Schedule(
    "MINUTES",
    (
        Step("09:00:00", "continuous"), Step("10:00:20", "volatility-auction", 4.0), Step("10:00:40", "continuous"),
        Step("10:01:30", "closing-auction", 4.0), Step("10:01:50", "at-last"), Step("10:02:10", "pre-open"),
        Step("10:02:40", "opening-auction"), Step("10:03:00", "continuous"), Step("23:00:00", "closed"),
    ),
)  # fmt: skip
LIMITS = (
    Limits(
        "session", "*", order_rate=20, collar_last_bps=900, collar_mid_bps=900, protection_bps=400, daily_loss_max=Decimal(900)
    ),
    Limits(
        "session", "BRAVO", position_max=Decimal(300), open_orders_max=8, duplicate_window_ms=400, credit_max=Decimal(40_000)
    ),
    Limits("firm", "ONE", gross_max=Decimal(90_000), order_to_trade_max=12),
    Limits("instrument", "*", price_max=Decimal(500), order_qty_max=Decimal(80)),
)


def everything() -> Config:
    """The small venue with all of it."""
    names = {"AAA": ("bands", None), "BBB": ("corridor", "MINUTES"), "CCC": (None, None)}
    instruments = tuple(
        Instrument(
            symbol, Decimal("0.01"), Decimal(1), Decimal(1), Decimal(5_000), reference_price=Decimal(100), breaker=breaker,
            schedule=schedule,
        )
        for symbol, (breaker, schedule) in names.items()
    )  # fmt: skip
    index = MarketBreaker(tuple(map(Constituent, names)), (Level(300, 20, 5), Level(600, 30, 0), Level(900, 0, 0)), 10)
    parties = tuple(
        Counterparty(name, firm=firm, cancel_on_disconnect=name == "BRAVO", cancel_grace_s=3.0) for name, firm in FIRMS.items()
    )
    return replace(
        small_config(), instruments=instruments, counterparties=parties, breakers=BREAKERS, market_breaker=index,
        schedules=(MINUTES,), limits=LIMITS, risk=Risk(money_decimals=2),
    )  # fmt: skip


class Everything(Doors):
    """Two exchanges; the fast one leaves its journal on the disk."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.talk = data_dir, Talk()
        self.recording = Recording(data_dir, everything(), now_ns=MORNING_NS)
        self.fast, self.slow = self.recording, Stage(everything())
        self.cut = self.slow
        self.slow.exchange.fast_door = False
        self.stages = (self.fast, self.slow)  # type: ignore[assignment]
        #: Verbs that were carried out, and what orders went through.
        self.seen: set[str] = set()
        for stage in self.stages:
            stage.log_on(*FIRMS)
            for symbol in (b"AAA", b"BBB", b"CCC"):
                stage.say(LISTENER, [(35, b"e"), (324, symbol), (55, symbol), (263, b"1")])
            stage.say(LISTENER, [(35, b"g"), (335, b"G"), (263, b"1")])
        self.compare([])

    def turn(self, said: Any) -> None:
        """Frames of one turn; then what is due by the time it is over."""
        self.wait(0.001)
        streams: dict[str, list[bytes]] = {}
        for name, frame in said:
            streams.setdefault(name, []).append(frame)
        for name, frames in streams.items():
            self.fast.feed(name, b"".join(frames))
            for frame in frames:
                self.slow.feed(name, frame)
        self.settle(said)

    def settle(self, said: Any = ()) -> None:
        """The batch is sealed, and both journals are the same."""
        for stage in self.stages:
            stage.exchange.commit()
        self.compare(said)

    def wait(self, seconds: float) -> None:
        """Time passes, and stops at everything that is due."""
        end_ns = self.fast.now_ns + int(seconds * SECOND_NS)
        while (due_ns := self.fast.exchange.next_deadline_ns()) <= end_ns:
            for stage in self.stages:
                stage.now_ns = max(stage.now_ns, due_ns)
                stage.exchange.tick(stage.now_ns)
            self.settle()
        for stage in self.stages:
            stage.now_ns = end_ns

    def play(self, moves: list[Move]) -> None:
        """Orders come up to three in a turn, as they do in a batch; all else by itself."""
        waiting: list[tuple[str, bytes]] = []
        for number, move in enumerate(moves, 1):
            if move.verb in ("order", "cancel", "replace"):
                session, fields = self.talk.message(number, move)
                waiting.append((session, self.frame(session, fields)))
            if waiting and (len(waiting) == 3 or move.verb not in ("order", "cancel", "replace")):
                self.turn(waiting)
                waiting = []
            if move.verb == "wait":
                self.wait(WAITS_S[move.target % len(WAITS_S)])
            elif move.verb == "operator":
                self.interfere(number, move)
        if waiting:
            self.turn(waiting)

    def interfere(self, number: int, move: Move) -> None:
        """An operator, a mass cancel, or a line that is lost and comes back."""
        session = SESSIONS[move.session]
        if move.target % 10 == 0:
            self.turn([(session, self.frame(session, [(35, b"q"), (11, b"q%d" % number), (530, b"7"), (60, T60)]))])
        elif move.target % 10 == 1:
            for stage in self.stages:
                stage.exchange.lose_link(stage.links[session], "gone", stage.now_ns)
            self.settle()
            self.wait(max(0, move.lots - 4))
            self.slow.numbers[session] = self.fast.numbers[session]
            for stage in self.stages:
                stage.connect(session)
            self.settle()
        else:
            self.command(move)

    def command(self, move: Move) -> None:
        """One verb for both; it is answered alike."""
        symbol, on = ("AAA", "BBB", "CCC")[move.lots % 3], {"scope": "session", "name": SESSIONS[move.session]}
        called: dict[str, Any] = {"phase": "volatility-auction", "seconds": move.lots * 4}
        asked: list[tuple[str, dict[str, Any]]] = [
            *[("phase", {"symbol": symbol, **terms}) for terms in (called, {"phase": "end"}, {"phase": "continuous"})],
            ("halt", {"symbol": symbol}), ("resume", {"symbol": symbol}), ("cancel-all", {"symbol": symbol, "side": "buy"}),
            ("kill", {"switch": "on", **on}), ("kill", {"switch": "off", **on}), ("kill", {"switch": "off", **on}),
            ("limits.reset", on), *[("bust", told(self.fast, number)) for number in self.trades(move.tif)],
        ]  # fmt: skip
        verb, arguments = asked[(move.target + move.price) % len(asked)]
        answers = [stage.exchange.command(verb, arguments, "test", stage.now_ns) for stage in self.stages]
        assert answers[0] == answers[1]
        self.seen |= {verb} if answers[0]["ok"] else set()
        self.settle()

    def trades(self, number: int) -> range:
        """The match id of the trade with this number, from 0, if there is one."""
        return range(number + 1, min(number + 2, int(self.fast.exchange.core["match_id"]) + 1))


T60 = b"20240102-10:00:00"


@contextmanager
def played(moves: list[Move]) -> Iterator[Everything]:
    """The moves made, on a journal that lies on the disk meanwhile."""
    with TemporaryDirectory(prefix="fixsim-together-") as home:
        both = Everything(Path(home))
        both.play(moves)
        both.recording.close()
        yield both


def judge(both: Everything) -> SecondOpinion:
    """The journal before a fresh exchange and before the oracle, which end in the state of the one that lived."""
    exchange = both.fast.exchange
    assert broken_laws(exchange) == []
    assert state_digest(rehearsed(both.fast.writer.batches)) == state_digest(exchange)
    opinion = SecondOpinion(Reader(journal_directory(both.data_dir)), fix44())
    opinion.run()
    oracle = opinion.oracle
    for symbol, sides in both.fast.books().items():
        assert tuple(map(list, sides)) == tuple(oracle.state()[symbol]), symbol
        row: Any = exchange.machine.books[exchange.listings.by_symbol[symbol.encode()].book]
        assert NAMES[int(row["phase"])] == oracle.floor.phase(symbol), symbol
        assert int(row["until_ns"]) == (oracle.breakers.watches[symbol].call_ends_ns or 0), symbol
    assert positions(both.fast) == {
        (*whose, symbol): held
        for whose, owner in oracle.risk.owners.items()
        for symbol, held in owner.positions.items()
        if held
    }
    return opinion


def positions(stage: Stage) -> dict[tuple[str, str, str], Decimal]:
    """What owners hold, by scope, name and symbol, as an operator is shown it."""
    shown = stage.exchange.command("limits.show", {}, "test", stage.now_ns)["owners"]
    held = {
        (owner["scope"], owner["name"], one["symbol"]): Decimal(one["position"])
        for owner in shown
        for one in owner["positions"]
    }
    return {whose: position for whose, position in held.items() if position}


@given(moves=st.lists(MOVES, max_size=60))
@settings(max_examples=EXAMPLES, deadline=None)
def test_both_doors_and_the_oracle_agree_on_everything_together(moves: list[Move]) -> None:
    with played(moves) as both:
        judge(both)
