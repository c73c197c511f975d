"""Each limit at its edge, and the ways around it that must not be: replaces, many small orders, fills, reconnects, recovery."""

from decimal import Decimal
from typing import Any

import pytest

from exchange.limited import Trading, limited
from exchange.stage import DAY_NS, Stage, rehearsed
from fixsim.config import Limits
from fixsim.exchange.digest import state_digest

#: 2030-05-06 08:00 UTC, ahead of the wall of these tests.
AHEAD_NS = 1_904_284_800_000_000_000
NEW, REPLACED, CANCELED = "0", "5", "4"


def session(**values: Any) -> Limits:
    """Limits of ALPHA; a text that is a number is an amount."""
    return Limits("session", "ALPHA", **{key: amount(value) for key, value in values.items()})


def instrument(**values: Any) -> Limits:
    return Limits("instrument", "AAPL", **{key: amount(value) for key, value in values.items()})


def amount(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) and value[:1].isdigit() else value


# ---------------------------------------------------------------- an order by itself


@pytest.mark.parametrize(
    ("limits", "good", "bad", "text"),
    [
        (session(order_qty_max="100"), (100, "10.00"), (101, "10.00"), "OrderQty(38) exceeds the risk limit"),
        (session(order_notional_max="1000"), (100, "10.00"), (100, "10.01"), "Order value exceeds the risk limit"),
        (instrument(price_min=Decimal("9.995")), (1, "10.00"), (1, "9.99"), "Price(44) is below the lowest allowed"),
        (instrument(price_max=Decimal("10.005")), (1, "10.00"), (1, "10.01"), "Price(44) is above the highest allowed"),
        (session(collar_static_bps=100), (1, "10.10"), (1, "10.11"), "Price(44) is too far from the reference price"),
        (instrument(collar_static_bps=100), (1, "9.90"), (1, "9.89"), "Price(44) is too far from the reference price"),
    ],
)
def test_an_order_is_taken_at_the_limit_and_refused_beyond(
    limits: Limits, good: tuple[int, str], bad: tuple[int, str], text: str
) -> None:
    trading = Trading(limits)
    assert trading.buy("ALPHA", *bad) == text
    assert trading.buy("ALPHA", *good) == NEW


def test_a_limit_of_one_session_is_not_anothers() -> None:
    trading = Trading(session(order_qty_max="100"))
    assert trading.buy("BRAVO", 101, "10.00") == NEW


def test_a_replace_is_checked_as_if_it_were_new() -> None:
    trading = Trading(session(order_qty_max="100", order_notional_max="1000"))
    trading.buy("ALPHA", 100, "10.00", "11=one")
    assert trading.replace("ALPHA", "one", 1, 101, "9.00") == "OrderQty(38) exceeds the risk limit"
    assert trading.replace("ALPHA", "one", 1, 100, "10.01") == "Order value exceeds the risk limit"
    assert trading.replace("ALPHA", "one", 1, 99, "10.10", "11=two") == REPLACED


def test_dynamic_collars_follow_the_last_trade_and_the_middle() -> None:
    trading = Trading(session(collar_last_bps=100), Limits("session", "BRAVO", collar_mid_bps=100))
    assert trading.buy("ALPHA", 1, "50.00") == NEW  # there was no trade yet
    assert trading.sell("CHARLIE", 1, "50.00") == NEW  # it trades at 50.00
    assert trading.buy("ALPHA", 1, "50.51") == "Price(44) is too far from the last trade"
    assert trading.sell("ALPHA", 1, "49.49") == "Price(44) is too far from the last trade"
    assert trading.buy("ALPHA", 1, "49.50") == NEW
    assert trading.buy("BRAVO", 1, "10.00") == NEW  # there is no middle without offers
    trading.sell("CHARLIE", 1, "50.50")
    assert trading.sell("BRAVO", 1, "50.51") == "Price(44) is too far from the middle of the book"
    assert trading.sell("BRAVO", 1, "50.50") == NEW


def test_market_orders_that_gather_leave_the_middle_between_the_limits_and_count_at_the_mark() -> None:
    """In a call they stand in front of every limit: no price can be read off them."""
    trading = Trading(session(collar_mid_bps=100), instrument(order_notional_max="500"))
    trading.stage.command("phase", symbol="AAPL", phase="volatility-auction")
    assert trading.buy("ALPHA", 1, "10.00") == NEW
    assert trading.sell("ALPHA", 1, "10.00") == NEW
    assert trading.sell("ALPHA", 1, "10.11") == "Price(44) is too far from the middle of the book"
    assert trading.sell("ALPHA", 50) == NEW  # 50 at the reference price of 10.00
    assert trading.buy("ALPHA", 51) == "Order value exceeds the risk limit"
    assert trading.buy("ALPHA", 1, "10.11") == "Price(44) is too far from the middle of the book"
    assert trading.buy("ALPHA", 50) == NEW
    assert trading.sell("ALPHA", 1, "9.00") == "Price(44) is too far from the middle of the book"


def test_a_market_order_goes_no_further_than_its_protection() -> None:
    trading = Trading(instrument(protection_ticks=5))
    for price in ("10.00", "10.05", "10.06"):
        trading.sell("CHARLIE", 10, price)
    said = [dict(fields) for name, fields in trading.say("ALPHA", "35=D|54=1|38=30|40=1") if name == "ALPHA"]
    assert [(told[150], told.get(31)) for told in said] == [(b"0", None), (b"F", b"10.00"), (b"F", b"10.05"), (b"4", None)]
    assert said[-1][151] == b"0" and said[-1][14] == b"20"
    trading.sell("CHARLIE", 10, "10.00")
    fok = [dict(fields) for _, fields in trading.say("ALPHA", "35=D|54=1|38=11|40=1|59=4")]
    assert [told[150] for told in fok] == [b"0", b"4"]  # ten are within reach


def test_the_middle_of_a_call_is_between_its_limits() -> None:
    trading = Trading(session(collar_mid_bps=100))
    trading.stage.command("phase", symbol="AAPL", phase="pre-open")
    trading.buy("CHARLIE", 1, "10.00")
    trading.sell("CHARLIE", 1, "10.02")
    trading.buy("CHARLIE", 1)
    assert trading.sell("ALPHA", 1, "10.05") == NEW
    assert trading.sell("ALPHA", 1, "10.12") == "Price(44) is too far from the middle of the book"


def test_an_equal_order_is_refused_within_the_window_only() -> None:
    trading = Trading(session(duplicate_window_ms=500))
    assert trading.buy("ALPHA", 10, "10.00") == NEW
    trading.wait(499.999)
    assert trading.buy("ALPHA", 10, "10.00") == "Same terms as an order just entered (session)"
    assert trading.buy("ALPHA", 10, "10.01") == NEW
    assert trading.sell("ALPHA", 10, "10.02") == NEW
    assert trading.buy("ALPHA", 11, "10.00") == NEW
    assert trading.buy("BRAVO", 10, "10.00") == NEW
    trading.wait(0.001)
    assert trading.buy("ALPHA", 10, "10.00") == NEW
    assert trading.buy("ALPHA", 10, "10.00") == "Same terms as an order just entered (session)"


def test_an_equal_order_is_remembered_across_a_restart() -> None:
    trading = Trading(session(duplicate_window_ms=60_000))
    trading.buy("ALPHA", 10, "10.00")
    trading.restart()
    assert trading.buy("ALPHA", 10, "10.00") == "Same terms as an order just entered (session)"


# ---------------------------------------------------------------- what is open


def test_many_small_orders_are_one_large_one() -> None:
    trading = Trading(session(open_orders_max=3, open_notional_max="1000"))
    assert trading.buy("ALPHA", 33, "10.00", "11=a") == NEW
    assert trading.sell("ALPHA", 33, "10.10", "11=b") == NEW
    assert trading.buy("ALPHA", 34, "9.91") == "Open notional limit exceeded (session)"
    assert trading.buy("ALPHA", 33, "9.90", "11=c") == NEW
    assert trading.buy("ALPHA", 1, "0.01") == "Open orders limit reached (session)"
    assert trading.cancel("ALPHA", "b", 2) == CANCELED
    assert trading.buy("ALPHA", 35, "10.00") == "Open notional limit exceeded (session)"
    assert trading.buy("ALPHA", 33, "10.10") == NEW


def test_a_replace_gives_back_what_its_order_held() -> None:
    trading = Trading(session(open_notional_max="1000"))
    trading.buy("ALPHA", 100, "10.00", "11=a")
    assert trading.replace("ALPHA", "a", 1, 99, "10.10", "11=b") == REPLACED
    assert trading.replace("ALPHA", "b", 1, 99, "10.11") == "Open notional limit exceeded (session)"
    assert trading.replace("ALPHA", "b", 1, 50, "10.10", "11=c") == REPLACED
    assert trading.buy("ALPHA", 49, "10.10") == NEW
    assert trading.owner("session", "ALPHA")["open_buy"] == "999.90000"


def test_fills_give_back_what_was_reserved() -> None:
    trading = Trading(session(open_notional_max="1000"))
    trading.buy("ALPHA", 100, "10.00")
    trading.sell("CHARLIE", 60, "10.00")
    assert trading.owner("session", "ALPHA")["open_buy"] == "400.00000"
    assert trading.buy("ALPHA", 61, "10.00") == "Open notional limit exceeded (session)"
    assert trading.buy("ALPHA", 60, "10.00") == NEW


# ---------------------------------------------------------------- what is held


def test_a_position_counts_everything_that_works_on_its_side() -> None:
    trading = Trading(session(position_max="100"))
    trading.buy("ALPHA", 60, "10.00")
    trading.sell("CHARLIE", 50, "10.00")  # ALPHA is long 50 and has 10 working
    assert trading.buy("ALPHA", 41, "9.00") == "Position limit exceeded (session)"
    assert trading.buy("ALPHA", 40, "9.00", "11=a") == NEW
    assert trading.sell("ALPHA", 151, "20.00") == "Position limit exceeded (session)"
    assert trading.sell("ALPHA", 150, "20.00") == NEW
    assert trading.replace("ALPHA", "a", 1, 41, "9.00") == "Position limit exceeded (session)"
    assert trading.replace("ALPHA", "a", 1, 40, "9.50", "11=b") == REPLACED


def test_a_firm_is_all_its_sessions_together_and_an_account_wherever_it_comes_from() -> None:
    trading = Trading(Limits("firm", "ONE", position_max=Decimal(100)), Limits("account", "A*", position_max=Decimal(70)))
    assert trading.buy("ALPHA", 60, "10.00", "1=A1") == NEW
    assert trading.buy("BRAVO", 41, "10.00") == "Position limit exceeded (firm)"
    assert trading.buy("BRAVO", 11, "10.00", "1=A1") == "Position limit exceeded (account)"
    assert trading.buy("BRAVO", 40, "10.00", "1=A2") == NEW
    assert trading.buy("CHARLIE", 11, "10.00", "1=A1") == "Position limit exceeded (account)"
    assert trading.buy("CHARLIE", 70, "10.00", "1=B1") == NEW


def test_what_closes_a_position_is_never_in_the_way_of_exposure() -> None:
    trading = Trading(session(net_max="1000", gross_max="1000", credit_max="1000"))
    trading.sell("CHARLIE", 100, "10.00")
    assert trading.buy("ALPHA", 100, "10.00") == NEW
    assert trading.buy("ALPHA", 1, "10.00") == "Gross exposure limit exceeded (session)"
    assert trading.sell("ALPHA", 100, "10.00") == NEW
    assert trading.sell("ALPHA", 1, "10.00") == "Gross exposure limit exceeded (session)"


def test_exposure_adds_up_over_instruments() -> None:
    trading = Trading(session(gross_max="20000"), Limits("session", "BRAVO", net_max=Decimal(10_000)))
    trading.buy("ALPHA", 1_000, "10.00")
    assert trading.sell("ALPHA", 300, "50.00", "55=BIG") == "Gross exposure limit exceeded (session)"
    assert trading.sell("ALPHA", 10, "1000", "55=SYM1") == NEW
    assert trading.buy("BRAVO", 1_000, "10.00") == NEW
    assert trading.sell("BRAVO", 10, "1001", "55=SYM1") == "Net exposure limit exceeded (session)"
    assert trading.buy("BRAVO", 1, "0.01") == "Net exposure limit exceeded (session)"


def test_a_credit_line_is_reserved_used_and_released() -> None:
    trading = Trading(session(credit_max="1000"))
    assert trading.buy("ALPHA", 101, "10.00") == "Credit line exceeded (session)"
    assert trading.buy("ALPHA", 100, "10.00", "11=a") == NEW
    assert trading.buy("ALPHA", 1, "0.01") == "Credit line exceeded (session)"
    assert trading.cancel("ALPHA", "a", 1) == CANCELED
    trading.sell("CHARLIE", 100, "9.00")
    assert trading.buy("ALPHA", 100, "10.00") == NEW  # trades at 9.00
    assert trading.buy("ALPHA", 11, "10.00") == "Credit line exceeded (session)"
    assert trading.buy("ALPHA", 10, "10.00") == NEW
    trading.stage.now_ns += DAY_NS
    trading.wait(0)
    assert trading.buy("ALPHA", 100, "10.00") == NEW  # the line is a day's


def test_what_a_day_may_cost() -> None:
    trading = Trading(session(daily_loss_max="100"))
    trading.sell("CHARLIE", 200, "10.00")
    assert trading.buy("ALPHA", 200, "10.00") == NEW
    assert trading.buy("ALPHA", 1, "9.00", "11=rests") == NEW
    trading.buy("BRAVO", 1, "9.50")
    trading.sell("CHARLIE", 1, "9.50")  # 200 are worth 100 less
    assert trading.wait(1_000) == []
    assert trading.owner("session", "ALPHA")["loss"] == "100.00000"
    assert trading.buy("ALPHA", 1, "9.00") == NEW
    trading.buy("BRAVO", 1, "9.49")
    trading.sell("CHARLIE", 1, "9.49")
    said = trading.wait(1_000)
    assert [(name, dict(told)[150], dict(told)[378]) for name, told in said] == [("ALPHA", b"4", b"8")] * 2
    assert trading.buy("ALPHA", 1, "9.00") == "Daily loss limit reached (session)"
    assert trading.sell("ALPHA", 200, "12.00") == NEW  # what closes the position is taken
    assert trading.owner("session", "ALPHA")["stopped"]
    trading.buy("BRAVO", 1, "11.00")
    trading.sell("CHARLIE", 1, "11.00")
    trading.wait(1_000)
    assert trading.buy("ALPHA", 1, "9.00") == "Daily loss limit reached (session)"  # a better price does not lift it
    assert trading.stage.command("limits.reset", scope="session", name="ALPHA")["ok"]
    assert trading.buy("ALPHA", 1, "9.00") == NEW


# ---------------------------------------------------------------- how busy somebody is


def test_orders_come_at_a_rate() -> None:
    trading = Trading(session(order_rate=10, order_burst=2))
    assert [trading.buy("ALPHA", 1, price) for price in ("1.00", "1.01", "1.02")] == [NEW, NEW, "Order rate exceeded (session)"]
    trading.wait(99)
    assert trading.buy("ALPHA", 1, "1.03") == "Order rate exceeded (session)"
    trading.wait(1)
    assert trading.buy("ALPHA", 1, "1.04", "11=a") == NEW
    assert trading.replace("ALPHA", "a", 1, 1, "1.05") == "Order rate exceeded (session)"
    assert trading.cancel("ALPHA", "a", 1) == CANCELED


def test_messages_beyond_the_rate_are_refused_in_the_way_of_their_kind() -> None:
    trading = Trading(session(message_rate=1, message_burst=2))
    assert trading.buy("ALPHA", 1, "1.00", "11=a") == NEW
    assert trading.answer("ALPHA", "35=H|54=1|11=a") == "I"
    assert trading.buy("ALPHA", 1, "1.00") == "Message rate exceeded"
    told = dict(trading.say("ALPHA", "35=F|41=a|54=1")[0][1])
    assert (told[35], told[102], told[39], told[58]) == (b"9", b"2", b"0", b"Message rate exceeded")
    told = dict(trading.say("ALPHA", "35=H|54=1|11=a")[0][1])
    assert (told[35], told[380], told[58]) == (b"j", b"0", b"Message rate exceeded")
    trading.wait(1_000)
    assert trading.cancel("ALPHA", "a", 1) == CANCELED


def test_messages_beyond_the_rate_end_the_session_where_that_is_asked_for() -> None:
    trading = Trading(session(message_rate=1, message_burst=1, message_rate_action="disconnect"))
    trading.buy("ALPHA", 1, "1.00")
    told = dict(trading.say("ALPHA", "35=H|54=1|11=1")[0][1])
    assert (told[35], told[58]) == (b"5", b"Message rate exceeded")


def test_messages_beyond_the_rate_wait_outside_where_that_is_asked_for() -> None:
    trading = Trading(session(message_rate=10, message_burst=2, message_rate_action="queue"))
    stage = trading.stage
    order = [(55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), (38, b"1"), (40, b"2"), (44, b"1.00")]
    frames = [stage.frame("ALPHA", [(35, b"D"), (11, b"Q%d" % number), *order]) for number in range(4)]
    buffer = bytearray(b"".join(frames))
    del buffer[: stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns)]
    assert bytes(buffer) == b"".join(frames[2:])
    assert stage.exchange.waits_until_ns == stage.now_ns + 100_000_000
    assert len(stage.drain()) == 2
    assert stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns + 99_999_999) == 0
    stage.now_ns += 100_000_000
    assert stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns) == len(frames[2])


def test_who_waits_outside_while_the_clock_stands_is_not_silent_and_may_come_and_leave() -> None:
    limits = session(message_rate=1, message_burst=1, message_rate_action="queue")
    stage = Stage(limited(limits), clock_start_ns=AHEAD_NS)
    stage.log_on("ALPHA", heartbeat_s=10)
    order = [(55, b"AAPL"), (54, b"1"), (60, b"20240102-10:00:00"), (38, b"1"), (40, b"2"), (44, b"1.00")]
    buffer = bytearray(b"".join(stage.frame("ALPHA", [(35, b"D"), (11, b"Q%d" % number), *order]) for number in range(2)))
    buffer += stage.frame("ALPHA", [(35, b"0")])
    del buffer[: stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns)]
    stage.drain()
    end_ns, said = stage.now_ns + 100_000_000_000, []
    while stage.exchange.next_deadline_ns() <= end_ns:
        said += stage.tick(stage.exchange.next_deadline_ns())
        assert stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns) == 0
    assert [told for _, told in said] == [[(35, b"0")]] * 10
    stage.command("clock.advance", by_ns=1_000_000_000)
    del buffer[: stage.exchange.receive(stage.links["ALPHA"], buffer, stage.now_ns)]
    assert [dict(told)[11] for _, told in stage.drain()] == [b"Q1"]
    stage.command("sessions.disconnect", session="ALPHA")
    stage.numbers["ALPHA"] -= 1  # its heartbeat, which waits, is thrown away with the connection
    assert stage.say("ALPHA", [(35, b"5")]) == []
    ((link, _),) = stage.exchange.take_closings()
    stage.exchange.lose_link(link, "over", stage.now_ns)
    stage.log_on("ALPHA")
    assert stage.exchange.members.by_name[b"ALPHA"].is_logged_on
    assert state_digest(rehearsed(stage.writer.batches)) == state_digest(stage.exchange)


def test_who_may_be_read_and_is_silent_is_given_up() -> None:
    stage = Stage(limited(session(message_rate=1, message_burst=2, message_rate_action="queue")), clock_start_ns=AHEAD_NS)
    stage.log_on("ALPHA", heartbeat_s=10)
    while stage.exchange.next_deadline_ns() <= stage.now_ns + 100_000_000_000:
        stage.tick(stage.exchange.next_deadline_ns())
    assert [reason for _, reason in stage.exchange.take_closings()] == ["the peer is silent, TestRequest was not answered"]


def test_orders_need_trades_beside_them() -> None:
    trading = Trading(session(order_to_trade_max=2, order_to_trade_free=3))
    assert [trading.buy("ALPHA", 1, price, f"11={price}") for price in ("1.00", "1.01")] == [NEW, NEW]
    assert trading.cancel("ALPHA", "1.00", 1) == CANCELED
    assert trading.buy("ALPHA", 1, "1.02") == "Order-to-trade ratio exceeded (session)"
    assert trading.cancel("ALPHA", "1.01", 1) == CANCELED
    trading.stage.now_ns += DAY_NS
    trading.wait(0)
    assert trading.buy("ALPHA", 1, "1.02") == NEW


# ---------------------------------------------------------------- what may not be


def test_restricted_symbols_are_refused() -> None:
    trading = Trading(session(restricted=("BIG", "SYM*")))
    assert trading.buy("ALPHA", 200, "50.00", "55=BIG") == "Symbol(55) is restricted"
    assert trading.buy("ALPHA", 10, "1000", "55=SYM9") == "Symbol(55) is restricted"
    assert trading.buy("ALPHA", 1, "10.00") == NEW


def test_a_short_sale_needs_a_locate_where_that_is_asked_for() -> None:
    trading = Trading(session(short_sale="locate", locates=("BIG",)), Limits("session", "BRAVO", short_sale="forbidden"))
    assert trading.order("ALPHA", 5, 1, "10.00") == "Short sale without a locate"
    assert trading.order("ALPHA", 5, 1, "10.00", "114=Y") == "Short sale without a locate"
    assert trading.order("ALPHA", 5, 1, "10.00", "114=N") == NEW
    assert trading.order("ALPHA", 6, 1, "10.00") == NEW
    assert trading.order("ALPHA", 5, 200, "50.00", "55=BIG") == NEW
    assert trading.order("BRAVO", 5, 1, "10.00", "114=N") == "Short sales are not permitted"


def test_every_check_can_be_switched_off_at_once() -> None:
    trading = Trading(session(order_qty_max="1", open_orders_max=0, restricted=("AAPL",)), checks=False)
    assert trading.buy("ALPHA", 100, "10.00") == NEW
    assert (trading.stage.exchange.machine.orders["party"][:1] == -1).all()


# ---------------------------------------------------------------- across time


def test_what_is_used_survives_a_restart_and_a_reconnect() -> None:
    trading = Trading(session(position_max="100", open_orders_max=2))
    trading.buy("ALPHA", 60, "10.00")
    trading.sell("CHARLIE", 50, "10.00")
    before = trading.owner("session", "ALPHA")
    trading.restart()
    assert trading.owner("session", "ALPHA") == before
    assert trading.buy("ALPHA", 41, "9.00") == "Position limit exceeded (session)"
    assert trading.buy("ALPHA", 40, "9.00") == NEW
    assert trading.sell("ALPHA", 1, "19.00") == "Open orders limit reached (session)"


def test_a_replay_comes_to_the_same_state() -> None:
    trading = Trading(session(position_max="1000", daily_loss_max="5"), Limits("account", "*", credit_max=Decimal(9_000)))
    for price in ("10.00", "9.90", "9.80"):
        trading.buy("ALPHA", 40, price, "1=ACC")
        trading.sell("CHARLIE", 30, price)
        trading.wait(1_000)
    trading.stage.command("kill", switch="on", scope="firm", name="TWO")
    trading.stage.exchange.commit()
    assert state_digest(rehearsed(trading.stage.writer.batches)) == state_digest(trading.stage.exchange)


def test_a_refused_order_leaves_no_trace_in_the_tables_of_limits() -> None:
    trading = Trading(Limits("account", "*", position_max=Decimal(1)))
    machine = trading.stage.exchange.machine
    fresh = [int(machine.core[0][name]) for name in ("owners_fresh", "holdings_fresh", "parties_fresh")]
    for account in range(20):
        assert trading.buy("ALPHA", 20, "1000", f"1=ACC{account}|55=SYM{account}") == "Position limit exceeded (account)"
    assert [int(machine.core[0][name]) for name in ("owners_fresh", "holdings_fresh", "parties_fresh")] == fresh
    assert not machine.party_index.any()


# ---------------------------------------------------------------- kill switch


@pytest.mark.parametrize(
    ("scope", "name", "blocked"),
    [
        ("session", "ALPHA", {"ALPHA"}),
        ("firm", "ONE", {"ALPHA", "BRAVO"}),
        ("account", "ACC", {"ALPHA", "CHARLIE"}),
        ("symbol", "AAPL", {"ALPHA", "BRAVO", "CHARLIE"}),
        ("all", "", {"ALPHA", "BRAVO", "CHARLIE"}),
    ],
)
def test_a_kill_switch_blocks_and_pulls_whom_it_names(scope: str, name: str, blocked: set[str]) -> None:
    trading = Trading()
    account = {"ALPHA": "1=ACC|", "BRAVO": "", "CHARLIE": "1=ACC|"}
    for who, price in (("ALPHA", "10.00"), ("BRAVO", "10.01"), ("CHARLIE", "10.02")):
        assert trading.buy(who, 5, price, f"{account[who]}11={who}") == NEW
    answer, said = trading.stage.commanded("kill", switch="on", scope=scope, name=name)
    assert answer["cancelled"] == len(blocked)
    assert {(to, dict(told)[11].decode(), dict(told)[378]) for to, told in said} == {(who, who, b"8") for who in blocked}
    for who in account:
        expected = f"Kill switch is on ({scope})" if who in blocked else NEW
        assert trading.buy(who, 5, "9.00", f"{account[who]}11={who}2") == expected
    trading.restart()
    for who in account:
        expected = f"Kill switch is on ({scope})" if who in blocked else NEW
        assert trading.buy(who, 5, "9.00", f"{account[who]}11={who}3") == expected
    assert trading.stage.command("kill", switch="off", scope=scope, name=name)["ok"]
    assert trading.buy("ALPHA", 5, "9.00", "1=ACC") == NEW


def test_who_is_not_named_goes_on_while_a_kill_switch_is_on() -> None:
    trading = Trading()
    trading.buy("ALPHA", 5, "10.00", "1=ACC|11=a")
    trading.buy("ALPHA", 5, "10.00", "11=b")
    trading.stage.command("kill", switch="on", scope="account", name="ACC")
    assert trading.replace("ALPHA", "a", 1, 6, "10.00") == "Too late to cancel"
    assert trading.replace("ALPHA", "b", 1, 6, "10.00", "1=ACC|11=c") == REPLACED  # the order has no account
    assert trading.cancel("ALPHA", "c", 1) == CANCELED


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"switch": "maybe", "scope": "all"}, "'maybe' is neither on nor off"),
        ({"switch": "on", "scope": "desk"}, "'desk' is none of session, firm, account, symbol, all"),
        ({"switch": "on", "scope": "firm"}, "which firm? It needs a name"),
        ({"switch": "on", "scope": "firm", "name": "THREE"}, "unknown firm 'THREE'"),
        ({"switch": "on", "scope": "all", "name": "ALPHA"}, "all has no name"),
        ({"switch": "off", "scope": "all"}, "no kill switch is on for all"),
    ],
)
def test_a_kill_switch_that_cannot_be_is_refused(arguments: dict[str, str], error: str) -> None:
    answer = Trading().stage.command("kill", **arguments)
    assert (answer["ok"], answer["error"]) == (False, error)


def test_limits_of_a_scope_that_is_none_are_not_shown_as_nothing() -> None:
    answer = Trading().stage.command("limits.show", scope="bogus")
    assert (answer["ok"], answer["error"]) == (False, "'bogus' is none of session, firm, account, instrument")
