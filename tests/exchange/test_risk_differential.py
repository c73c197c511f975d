"""Limits under random flows: kernels with running sums, and the oracle that adds up anew, must refuse the same orders."""

import os
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from flows import Composer, Step, seeded_flow, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.limited import FIRMS, limited
from exchange.stage import DAY_NS, Said
from exchange.test_differential import PHASED, Event, Order, Twins
from exchange.test_operator_twins import Amend, Meeting, Operated, meeting
from fixsim.config import Limits
from fixsim.exchange.laws import broken_laws
from fixsim.reference.risk import RiskDesk

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


class LimitedTwins(Twins):
    """Both exchanges under the same limits."""

    def __init__(self, *limits: Limits, priced: bool = True) -> None:
        config = limited(*limits)
        if not priced:
            config = replace(config, instruments=tuple(replace(entry, reference_price=None) for entry in config.instruments))
        super().__init__(config=config)
        config = self.stage.config
        self.oracle.risk = RiskDesk(config.limits, FIRMS, money_decimals=config.risk.money_decimals)
        self.oracle.risk.day = self.stage.now_ns // DAY_NS

    def _order(self, event: Order) -> tuple[list[Said], list[Said]]:
        now_ns = self.stage.now_ns
        if event.verb == "second":
            self.stage.now_ns = now_ns + 1_000_000_000
            said = self.stage.tick(self.stage.now_ns)
            looked = self.oracle.look_at_risk(self.stage.now_ns)
            return said, self._replies([*looked, *self.oracle.run_out(self.stage.now_ns)])
        if event.verb not in ("kill", "unkill"):
            return super()._order(event)
        scope, _, name = event.symbol.partition(":")
        switch = "on" if event.verb == "kill" else "off"
        answer, said = self.stage.commanded("kill", switch=switch, scope=scope, name=name)
        assert answer["ok"] or switch == "off"
        if switch == "on":
            return said, self._replies(self.oracle.kill(scope, name, now_ns))
        self.oracle.unkill(scope, name)
        return said, []

    @staticmethod
    def _replies(replies: Iterable[Any]) -> list[Said]:
        return [(reply.session, reply.fields) for reply in replies]


def amounts(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


#: Limits small enough to be reached by the flows, each often absent.
MONEY = amounts("0", "50", "200", "1000", "5000.5", "40000")
ACTIVITY: dict[str, tuple[Any, ...]] = {
    "order_qty_max": amounts("0.0005", "3", "5", "400"),
    "order_notional_max": MONEY,
    "collar_static_bps": (10, 20, 50),
    "collar_last_bps": (5, 10, 30),
    "collar_mid_bps": (5, 10, 30),
    "protection_ticks": (0, 1, 2),
    "protection_bps": (1, 10, 25),
    "open_orders_max": (0, 1, 2, 5),
    "open_notional_max": MONEY,
    "duplicate_window_ms": (1, 2, 5, 20),
    "order_rate": (1, 50, 200),
    "order_to_trade_max": (1, 2, 4),
}
HOLDINGS: dict[str, tuple[Any, ...]] = {
    "position_max": amounts("0", "5", "12", "300"),
    "gross_max": MONEY,
    "net_max": MONEY,
    "credit_max": MONEY,
    "daily_loss_max": amounts("0", "0.1", "1", "20"),
}
OWNERS = (
    ("session", "ALPHA"), ("session", "*"), ("firm", "ONE"), ("account", "ACC"), ("account", "*"), ("instrument", "AAPL"),
    ("instrument", "*"),
)  # fmt: skip


def some_limits(random: Random) -> list[Limits]:
    """Some owners, each with a few limits."""
    found = []
    for scope, name in random.sample(OWNERS, random.randint(1, 4)):
        keys = ACTIVITY if scope == "instrument" else ACTIVITY | HOLDINGS
        chosen = {key: random.choice(values) for key, values in keys.items() if random.random() < 0.25}
        if scope == "session" and random.random() < 0.2:
            chosen |= {"message_rate": 300, "message_burst": random.choice((1, 3))}
        extra: dict[str, Any] = {"order_to_trade_free": random.choice((0, 20, 50))}
        if scope != "instrument" and random.random() < 0.2:
            extra["restricted"] = random.choice((("BIG",), ("SYM*",)))
        extra["short_sale"] = random.choice(("free", "free", "locate", "forbidden"))
        found.append(Limits(scope, name, **chosen, **extra))
    return found


#: Time, days and kill switches between the messages.
WHOM = ("session:ALPHA", "firm:ONE", "account:ACC", "symbol:AAPL", "all:")
EVENTS = [*[Order("second")] * 5, Order("day"), *(Order("kill", what) for what in WHOM)]
HAPPENINGS = st.sampled_from([*EVENTS, *(Order("unkill", what) for what in WHOM)])
ORDERLY = steps(("D", "D", "D", "D", "F", "G", "G"))


@given(
    st.randoms(use_true_random=False).map(some_limits),
    st.lists(st.one_of(ORDERLY, ORDERLY, ORDERLY, ORDERLY, ORDERLY, HAPPENINGS), max_size=60),
)
@settings(max_examples=30 if PLAIN else 200)
def test_both_exchanges_refuse_the_same_orders(chosen: list[Limits], mixed: list[Step | Order]) -> None:
    composer = Composer()
    events: list[Event] = [item if isinstance(item, Order) else composer.message(item) for item in mixed]
    LimitedTwins(*chosen).run(events)


@given(
    st.randoms(use_true_random=False).map(some_limits),
    st.lists(st.one_of(ORDERLY, ORDERLY, ORDERLY, ORDERLY, PHASED, HAPPENINGS), max_size=60),
    st.booleans(),
)
@settings(max_examples=30 if PLAIN else 200)
def test_both_exchanges_refuse_the_same_orders_in_calls(
    chosen: list[Limits], mixed: list[Step | Order], priced: bool
) -> None:
    composer = Composer()
    twins = LimitedTwins(*chosen, priced=priced)
    twins.run([item if isinstance(item, Order) else composer.message(item) for item in mixed])
    assert broken_laws(twins.stage.exchange) == []


@pytest.mark.parametrize("seed", range(10 if PLAIN else 40))
def test_both_exchanges_refuse_the_same_orders_in_a_long_flow_of_calls(seed: int) -> None:
    random = Random(seed)
    phases = ("continuous", "continuous", "pre-open", "opening-auction", "closing-auction", "volatility-auction", "halted")
    twins = LimitedTwins(*some_limits(random), priced=seed % 3 > 0)
    for message in seeded_flow(seed, 250, flawed=0.02, spread=6):
        twins.happen(message)
        if random.random() < 0.1:
            symbol = random.choice(list(twins.oracle.board.listed))
            twins.happen(random.choice((Order("second"), Order("phase", symbol, random.choice(phases)))))
    twins.compare_books()
    assert broken_laws(twins.stage.exchange) == []


@pytest.mark.parametrize("seed", range(10 if PLAIN else 60))
def test_both_exchanges_refuse_the_same_orders_in_a_long_flow(seed: int) -> None:
    random = Random(seed)
    events: list[Event] = []
    for message in seeded_flow(seed, 250, flawed=0.02, spread=6):
        events.append(message)
        if random.random() < 0.1:
            happening = random.choice(EVENTS)
            events.append(happening)
            if happening.verb == "kill":
                events += [Order("second"), Order("unkill", happening.symbol)]
    twins = LimitedTwins(*some_limits(random))
    twins.run(events, every=10)
    assert broken_laws(twins.stage.exchange) == []


class Amended(LimitedTwins, Operated):
    """Limits, and trades that are taken back or corrected."""


@pytest.mark.parametrize("seed", range(8 if PLAIN else 40))
def test_both_exchanges_know_of_positions_that_a_bust_or_a_correction_changed(seed: int) -> None:
    random = Random(seed)
    twins = Amended(*some_limits(random))
    for number in range(150):
        if random.random() < 0.2:
            twins.interfere(Amend(random.randint(0, 50), random.choice((0, 0, 50, 100)), random.randint(-3, 3)))
            continue
        what = Meeting(random.randint(0, 2), random.random() < 0.5, random.randint(999, 1_001), random.randint(1, 4), "0")
        twins.happen(meeting(number, what) if random.random() < 0.95 else Order("second"))
    twins.compare_books()
    assert broken_laws(twins.stage.exchange) == []
