"""What an order is counted at: a sell at what it could bring, a market order at a price that is known, or not at all."""

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.limited import FIRMS, Trading, limited
from exchange.stage import Stage, rehearsed
from exchange.test_risk import CANCELED, NEW, REPLACED, session
from fixsim.config import Limits
from fixsim.exchange.digest import state_digest
from fixsim.exchange.payloads import config_payload

SELLS_AT_THE_BID = {
    "order_notional_max": "Order value exceeds the risk limit",
    "gross_max": "Gross exposure limit exceeded (session)",
    "net_max": "Net exposure limit exceeded (session)",
    "open_notional_max": "Open notional limit exceeded (session)",
}


@pytest.mark.parametrize("key", SELLS_AT_THE_BID)
@pytest.mark.parametrize("price", ["0.01", None])
def test_a_sell_is_worth_what_it_could_bring_however_little_it_asks_for(key: str, price: str | None) -> None:
    trading = Trading(session(**{key: "10000"}))
    trading.buy("CHARLIE", 1_000, "20.00")
    assert trading.sell("ALPHA", 501, price) == SELLS_AT_THE_BID[key]
    assert trading.sell("ALPHA", 500, price) == NEW
    assert trading.owner("session", "ALPHA")["open_sell"] == "0.00000"


def test_a_protected_sell_is_counted_at_the_bid_too() -> None:
    trading = Trading(session(gross_max="10000", protection_ticks=500))
    trading.buy("CHARLIE", 1_000, "20.00")
    assert trading.sell("ALPHA", 501) == "Gross exposure limit exceeded (session)"
    assert trading.sell("ALPHA", 500) == NEW


def test_what_a_sell_holds_is_given_back_to_the_last_cent() -> None:
    trading = Trading(session(open_notional_max="100000"))

    def shown() -> str:
        return str(trading.owner("session", "ALPHA")["open_sell"])

    trading.sell("ALPHA", 100, "9.00", "11=a")
    assert shown() == "1000.00000", "the reference price is 10.00"
    trading.buy("CHARLIE", 30, "9.00")
    assert shown() == "700.00000"
    trading.buy("BRAVO", 10, "8.00", "11=bid")
    assert trading.replace("ALPHA", "a", 2, 90, "9.00", "11=b") == REPLACED
    assert shown() == "600.00000", "less at the same price is counted as before"
    assert trading.replace("ALPHA", "b", 2, 90, "12.00", "11=c") == REPLACED
    assert shown() == "720.00000"
    assert trading.replace("ALPHA", "c", 2, 90, "11.00", "11=d") == REPLACED
    assert shown() == "660.00000"
    trading.restart()
    assert trading.replace("ALPHA", "d", 2, 90, "9.50", "11=e") == REPLACED
    before = shown()
    trading.restart()
    assert shown() == before == "600.00000", "the mark is above the limit, before a restart and after it"
    assert trading.cancel("ALPHA", "e", 2) == CANCELED
    assert shown() == "0.00000"


def test_a_replace_to_a_lower_price_is_counted_at_the_bid() -> None:
    trading = Trading(session(gross_max="11000"))
    assert trading.sell("ALPHA", 500, "22.00", "11=a") == NEW
    trading.buy("CHARLIE", 1_000, "21.00")
    assert trading.sell("ALPHA", 24, "0.01") == "Gross exposure limit exceeded (session)"
    assert trading.replace("ALPHA", "a", 2, 524, "0.01") == "Gross exposure limit exceeded (session)"
    assert trading.replace("ALPHA", "a", 2, 523, "0.01") == REPLACED


def test_the_first_order_of_an_instrument_is_counted_at_the_mark_it_will_have() -> None:
    trading = Trading(session(gross_max="1000"))
    assert trading.sell("ALPHA", 10, "1", "55=SYM7") == "Gross exposure limit exceeded (session)"
    assert not trading.stage.exchange.machine.books["mark"][3:].any()


# ---------------------------------------------------------------- market orders without a price


class Unpriced(Trading):
    """AAPL has no reference price and has never traded; it is before its opening, if nothing else is said."""

    def __init__(self, *limits: Limits, phase: str = "pre-open") -> None:
        config = limited(*limits)
        instruments = tuple(replace(entry, reference_price=None) for entry in config.instruments)
        self.stage = Stage(replace(config, instruments=instruments))
        self.stage.log_on(*FIRMS)
        self.stage.command("phase", symbol="AAPL", phase=phase)
        self.count = 0


UNPRICED = {
    "order_notional_max": "Order value: no price to count the order at",
    "gross_max": "Gross exposure limit: no price to count the order at (session)",
    "net_max": "Net exposure limit: no price to count the order at (session)",
    "credit_max": "Credit line: no price to count the order at (session)",
    "open_notional_max": "Open notional limit: no price to count the order at (session)",
}


@pytest.mark.parametrize("phase", ["pre-open", "opening-auction", "continuous"])
@pytest.mark.parametrize("key", UNPRICED)
def test_a_market_order_that_cannot_be_counted_is_refused_by_every_limit_of_money(key: str, phase: str) -> None:
    trading = Unpriced(session(**{key: "10000"}), phase=phase)
    (_, told), = trading.say("ALPHA", "35=D|54=1|38=1|40=1")
    said = dict(told)
    assert (said[150], said[39], said[103], said[58].decode()) == (b"8", b"8", b"3", UNPRICED[key])
    assert trading.buy("ALPHA", 1, "900.00") == NEW
    assert state_digest(rehearsed(trading.stage.writer.batches)) == state_digest(trading.stage.exchange)


def test_a_market_sell_that_cannot_be_counted_is_no_matter_of_credit() -> None:
    trading = Unpriced(session(credit_max="10000"), Limits("session", "BRAVO", gross_max=Decimal(1)))
    assert trading.sell("ALPHA", 1) == NEW
    assert trading.sell("BRAVO", 1) == "Gross exposure limit: no price to count the order at (session)"


def test_without_a_limit_of_money_no_price_is_asked_for() -> None:
    trading = Unpriced(session(position_max="1000", open_orders_max=5), Limits("session", "BRAVO", credit_max=Decimal(1)))
    assert trading.buy("ALPHA", 1_000) == NEW
    assert trading.buy("CHARLIE", 1_000) == NEW
    assert trading.buy("BRAVO", 1) == "Credit line: no price to count the order at (session)"


def test_a_market_order_in_a_call_counts_at_the_offers_it_would_reach() -> None:
    trading = Unpriced(session(credit_max="10000"))
    trading.sell("CHARLIE", 10, "900.00")
    trading.sell("CHARLIE", 100, "1000.00")
    trading.sell("CHARLIE", 100)
    assert trading.buy("ALPHA", 11) == "Credit line exceeded (session)"
    assert trading.buy("ALPHA", 10, more="11=a") == NEW
    assert trading.owner("session", "ALPHA")["open_buy"] == "9000.00000"
    assert trading.answer("ALPHA", "35=G|41=a|54=1|38=12|40=1") == "Credit line exceeded (session)"
    assert trading.answer("ALPHA", "35=G|41=a|54=1|38=11|40=1|11=b") == REPLACED
    assert trading.cancel("ALPHA", "b", 1) == CANCELED
    assert trading.owner("session", "ALPHA")["open_buy"] == "0.00000"


def test_a_price_that_is_known_is_enough() -> None:
    trading = Trading(session(credit_max="10000"))
    trading.stage.command("phase", symbol="AAPL", phase="pre-open")
    assert trading.buy("ALPHA", 1_001) == "Credit line exceeded (session)"
    assert trading.buy("ALPHA", 1_000) == NEW


def test_the_last_trade_is_a_price_in_a_call() -> None:
    trading = Unpriced(session(gross_max="10000", credit_max="10000"), phase="continuous")
    trading.buy("ALPHA", 10, "9.00")
    trading.sell("CHARLIE", 10, "9.00")
    trading.stage.command("phase", symbol="AAPL", phase="closing-auction")
    assert trading.buy("ALPHA", 1_102) == "Gross exposure limit exceeded (session)"
    assert trading.buy("ALPHA", 1_000) == NEW


def test_what_was_open_before_there_was_a_limit_counts_at_its_own_price() -> None:
    trading = Trading()
    trading.stage = Stage(replace(limited(), limits=()))
    trading.stage.log_on(*FIRMS)
    trading.stage.command("phase", symbol="AAPL", phase="pre-open")
    trading.sell("ALPHA", 10, "9.00", "11=a")
    trading.sell("ALPHA", 10, more="11=m")
    limit(trading, open_notional_max="200")
    owner = trading.owner("session", "ALPHA")
    assert (owner["open_sell"], owner["open_orders"]) == ("90.00000", 2)
    assert trading.replace("ALPHA", "a", 2, 10, "9.50", "11=b") == REPLACED
    limit(trading, open_notional_max="300")
    assert trading.owner("session", "ALPHA")["open_sell"] == "100.00000", "a replace counts it anew, and that stays"
    assert trading.answer("ALPHA", "35=G|41=m|54=2|38=11|40=1|11=n") == REPLACED
    assert trading.owner("session", "ALPHA")["open_sell"] == "210.00000"


def limit(trading: Trading, **values: str) -> None:
    """ALPHA has other limits from now on."""
    config, exchange = limited(session(**values)), trading.stage.exchange
    exchange.reload(config, config_payload(config, "test", "", trading.stage.now_ns), trading.stage.now_ns)
    trading.stage.drain()
