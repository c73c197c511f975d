"""Limits under random flows: the kernels with their running sums, and the oracle that adds up anew, must refuse the same orders."""

import os
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flows import SESSIONS, Composer, Step, seeded_flow, steps
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.stage import DAY_NS, Said, Stage, small_config
from exchange.test_differential import Event, Order, Twins
from fixsim.config import Config, Counterparty, Limits, Risk
from fixsim.reference.risk import RiskDesk

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
FIRMS = {"ALPHA": "ONE", "BRAVO": "ONE", "CHARLIE": "TWO"}


def limited(*limits: Limits) -> Config:
    """The small venue with limits; ALPHA and BRAVO are of one firm."""
    config = small_config()
    cap = Limits("instrument", "*", price_max=Decimal(10_000))
    instruments = tuple(
        replace(entry, max_qty=entry.lot_size * 5_000, reference_price=entry.tick_size * 1_000) for entry in config.instruments
    )
    fitted = tuple(replace(entry, price_max=cap.price_max) if entry.scope == "instrument" else entry for entry in limits)
    if not any(entry.scope == "instrument" for entry in fitted):
        fitted = (*fitted, cap)
    return replace(
        config,
        instruments=instruments,
        counterparties=tuple(Counterparty(name, firm=firm) for name, firm in FIRMS.items()),
        limits=fitted,
        risk=Risk(money_decimals=5),
    )


class LimitedTwins(Twins):
    """Both exchanges under the same limits."""

    def __init__(self, *limits: Limits) -> None:
        super().__init__(config=limited(*limits))
        config = self.stage.config
        self.oracle.risk = RiskDesk(config.limits, FIRMS, money_decimals=config.risk.money_decimals)
        self.oracle.risk.day = self.stage.now_ns // DAY_NS

    def _order(self, event: Order) -> tuple[list[Said], list[Said]]:
        now_ns = self.stage.now_ns
        if event.verb == "second":
            self.stage.now_ns = now_ns + 1_000_000_000
            return self.stage.tick(self.stage.now_ns), self._replies(self.oracle.look_at_risk(self.stage.now_ns))
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


#: Limits small enough to be reached by the flows, each often absent.
def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), values)


MONEY = st.sampled_from([Decimal(text) for text in ("0", "50", "200", "1000", "5000.5", "40000")])
ACTIVITY = {
    "order_qty_max": st.sampled_from([Decimal(text) for text in ("0.0005", "3", "5", "400")]),
    "order_notional_max": MONEY,
    "collar_static_bps": st.sampled_from((10, 20, 50)),
    "collar_last_bps": st.sampled_from((5, 10, 30)),
    "collar_mid_bps": st.sampled_from((5, 10, 30)),
    "protection_ticks": st.sampled_from((0, 1, 2)),
    "protection_bps": st.sampled_from((1, 10, 25)),
    "open_orders_max": st.integers(0, 5),
    "open_notional_max": MONEY,
    "duplicate_window_ms": st.sampled_from((1, 2, 5, 20)),
    "order_rate": st.sampled_from((1, 50, 200)),
    "order_to_trade_max": st.integers(1, 4),
}
HOLDINGS = {
    "position_max": st.sampled_from([Decimal(text) for text in ("0", "5", "12", "300")]),
    "gross_max": MONEY,
    "net_max": MONEY,
    "credit_max": MONEY,
    "daily_loss_max": st.sampled_from([Decimal(text) for text in ("0", "0.1", "1", "20")]),
}


@st.composite
def limits(draw: st.DrawFn) -> list[Limits]:
    """Some owners, each with some limits."""
    owners = draw(
        st.lists(
            st.sampled_from(
                [("session", "ALPHA"), ("session", "*"), ("firm", "ONE"), ("account", "ACC"), ("account", "*"),
                 ("instrument", "AAPL"), ("instrument", "*")]
            ),
            min_size=1, max_size=4, unique=True,
        )
    )  # fmt: skip
    found = []
    for scope, name in owners:
        keys = ACTIVITY if scope == "instrument" else ACTIVITY | HOLDINGS
        chosen = {key: draw(_maybe(values)) for key, values in keys.items()}
        extra: dict[str, Any] = {"order_to_trade_free": draw(st.sampled_from((0, 2, 5)))}
        if scope != "instrument" and draw(st.booleans()):
            extra["restricted"] = draw(st.sampled_from((("BIG",), ("SYM*",))))
        extra["short_sale"] = draw(st.sampled_from(("free", "free", "locate", "forbidden")))
        found.append(Limits(scope, name, **{key: value for key, value in chosen.items() if value is not None}, **extra))
    return found


#: Time, days and kill switches between the messages.
HAPPENINGS = st.sampled_from(
    [Order("second"), Order("second"), Order("second"), Order("day")]
    + [Order(verb, what) for verb in ("kill", "unkill") for what in ("session:ALPHA", "firm:ONE", "account:ACC", "symbol:AAPL", "all:")]
)
ORDERLY = steps(("D", "D", "D", "D", "F", "G", "G"))


@given(limits(), st.lists(st.one_of(ORDERLY, ORDERLY, ORDERLY, ORDERLY, ORDERLY, HAPPENINGS), max_size=60))
@settings(max_examples=30 if PLAIN else 300)
def test_both_exchanges_refuse_the_same_orders(chosen: list[Limits], mixed: list[Step | Order]) -> None:
    composer = Composer()
    events: list[Event] = [item if isinstance(item, Order) else composer.message(item) for item in mixed]
    LimitedTwins(*chosen).run(events)
