"""What an order is counted at: a sell at what it could bring."""

import pytest

from exchange.limited import Trading
from exchange.test_risk import CANCELED, NEW, REPLACED, session

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
