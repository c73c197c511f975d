"""NewOrderSingle(D): its checks in their order, matching, and what is left over."""

from decimal import Decimal

import pytest
from flows import listing
from oracle_stage import Venue, check, shown

from fixsim.reference.listing import Permission
from fixsim.reference.report import Reply


@pytest.fixture
def venue() -> Venue:
    return Venue()


# ---------------------------------------------------------------- accepted


def test_limit_order_rests_and_is_acknowledged_in_full(venue: Venue) -> None:
    (reply,) = venue.buy("A", "a", 100, "10.5", "1=ACC")
    assert shown(reply) == (
        "A 35=8|37=1|11=a|17=1|150=0|39=0|1=ACC|55=AAPL|54=1|38=100|40=2|44=10.50|59=0|151=100|14=0|6=0|"
        "60=20240102-10:00:00.000"
    )
    assert venue.bids() == [("10.5", ["a 100"])]


def test_trade_is_told_to_the_taker_first_at_the_makers_price(venue: Venue) -> None:
    venue.sell("A", "a", 40, "10.00")
    taker, maker = "B 11=b|37=2|54=1", "A 11=a|37=1|54=2"
    check(
        venue.buy("B", "b", 100, "10.05"),
        f"{taker}|17=2|150=0|39=0|151=100|-31|-32|-527|-851",
        f"{taker}|17=3|150=F|39=1|32=40|31=10.00|151=60|14=40|6=10.000000|527=1|851=2|-41",
        f"{maker}|17=4|150=F|39=2|32=40|31=10.00|151=0|14=40|6=10.000000|527=1|851=1|-41",
    )
    assert (venue.bids(), venue.asks()) == ([("10.05", ["b 60"])], [])


def test_best_price_trades_first_then_the_oldest(venue: Venue) -> None:
    for name, price in (("late", "10.01"), ("first", "10.00"), ("second", "10.00")):
        venue.sell("A", name, 10, price)
    fills = [reply for reply in venue.buy("B", "b", 25, "10.01") if reply.session == "A"]
    check(
        fills,
        "A 11=first|31=10.00|527=1|39=2",
        "A 11=second|31=10.00|527=2|39=2",
        "A 11=late|31=10.01|527=3|39=1|151=5",
    )


def test_session_may_trade_with_itself(venue: Venue) -> None:
    venue.sell("A", "s", 10, "10")
    check(venue.buy("A", "b", 10, "10"), "A 150=0|11=b", "A 150=F|11=b|851=2", "A 150=F|11=s|851=1")


def test_average_price_is_rounded_half_even(venue: Venue) -> None:
    venue.exchange.avg_px_decimals = 2
    for name, price in (("a", "10.00"), ("b", "10.01"), ("c", "10.02")):
        venue.sell("A", name, 1, price)
    check(venue.buy("B", "x", 2, "11")[-2:], "B 6=10.00|14=2|39=2", "A 6=10.01")  # 10.005 to even
    venue.sell("A", "d", 1, "10.03")
    check(venue.buy("B", "y", 2, "11")[-2:], "B 6=10.02|14=2|39=2", "A 6=10.03")  # 10.025 to even


def test_fractional_lots_are_written_with_the_decimals_of_the_lot() -> None:
    venue = Venue(listing("BTC-USDT", "0.1", "0.0001"))
    (reply,) = venue.say("A", "35=D|11=a|55=BTC-USDT|54=1|38=.25|40=2|44=0042000.100")
    check([reply], "A 150=0|38=0.2500|151=0.2500|14=0.0000|44=42000.1|6=0")


def test_short_sell_is_a_sell_and_is_echoed(venue: Venue) -> None:
    check(venue.order("A", "a", 5, 10, "10"), "A 150=0|54=5")
    check(venue.order("A", "b", 6, 10, "10"), "A 150=0|54=6")
    assert venue.asks() == [("10", ["a 10", "b 10"])]


def test_reports_of_an_order_carry_its_account_and_its_routing_reversed(venue: Venue) -> None:
    venue.say("A", "35=D|50=DESK|57=X|115=C|116=T|142=L|144=M|1=ACC|11=a|55=AAPL|54=1|38=10|40=2|44=10")
    maker = venue.sell("B", "b", 10, "10")[-1]
    assert shown(maker).startswith("A 35=8|50=X|57=DESK|128=C|129=T|143=L|145=M|37=1|11=a|17=4|150=F|39=2|1=ACC|")


def test_handling_words_are_taken_and_min_qty_of_zero_asks_for_nothing(venue: Venue) -> None:
    check(venue.buy("A", "a", 10, "10", "18=1 5|110=0|21=1"), "A 150=0")


# ---------------------------------------------------------------- what is left over


@pytest.mark.parametrize("tif", ["59=0", "59=1", ""])
def test_day_and_gtc_limit_orders_rest(venue: Venue, tif: str) -> None:
    check(venue.buy("A", "a", 10, "10", tif), f"A 150=0|59={tif[-1:] or '0'}")
    assert venue.bids() == [("10", ["a 10"])]


def test_ioc_cancels_its_remainder_without_378_and_41(venue: Venue) -> None:
    venue.sell("A", "a", 40, "10")
    check(
        venue.buy("B", "b", 100, "10", "59=3"),
        "B 150=0|39=0",
        "B 150=F|39=1|14=40|151=60",
        "A 150=F|39=2",
        "B 150=4|39=4|11=b|14=40|151=0|38=100|6=10.000000|-41|-378",
    )
    assert venue.bids() == []


@pytest.mark.parametrize("tif", ["", "59=0", "59=1", "59=3"])
def test_market_order_takes_what_there_is_and_cancels_the_rest(venue: Venue, tif: str) -> None:
    venue.sell("A", "a", 5, "10")
    venue.sell("A", "b", 5, "99999")
    check(
        venue.buy("B", "m", 20, None, tif),
        "B 150=0|40=1|-44",
        "B 150=F|31=10.00",
        "A 150=F",
        "B 150=F|31=99999.00",
        "A 150=F",
        "B 150=4|39=4|14=10|151=0",
    )


def test_market_order_in_an_empty_book_is_acknowledged_then_cancelled(venue: Venue) -> None:
    check(venue.buy("A", "m", 20), "A 150=0|39=0|151=20", "A 150=4|39=4|151=0|14=0|6=0")


def test_fok_that_cannot_fill_trades_nothing(venue: Venue) -> None:
    venue.sell("A", "a", 60, "10")
    venue.sell("A", "b", 60, "10.01")
    check(venue.buy("B", "x", 100, "10", "59=4"), "B 150=0|39=0|151=100", "B 150=4|39=4|14=0|151=0")
    check(venue.buy("B", "y", 121, None, "59=4"), "B 150=0|39=0|151=121", "B 150=4|39=4|14=0|151=0")
    assert venue.asks() == [("10", ["a 60"]), ("10.01", ["b 60"])]


def test_fok_that_can_fill_fills(venue: Venue) -> None:
    venue.sell("A", "a", 60, "10")
    venue.sell("A", "b", 60, "10.01")
    replies = venue.buy("B", "x", 100, "10.01", "59=4")
    check([replies[0], replies[-2], replies[-1]], "B 150=0", "B 150=F|39=2|14=100|151=0", "A 150=F|39=1|151=20")


# ---------------------------------------------------------------- refused

LONG = "x" * 65
REFUSALS = [
    (f"11={LONG}", "99", "ClOrdID(11) is longer than 64 bytes"),
    (f"1={LONG}", "99", "Account(1) is longer than 64 bytes"),
    (f"115={'c' * 120}|116={'d' * 120}", "99", "Routing fields are longer than 240 bytes"),
    ("55=NOPE", "1", "Unknown Symbol(55)"),
    ("40=3|99=9", "11", "Unsupported OrdType(40)"),
    ("59=5", "11", "Unsupported TimeInForce(59)"),
    ("432=20240105", "11", "Unsupported ExpireDate(432)"),
    ("99=9", "11", "Unsupported StopPx(99)"),
    ("110=1", "11", "Unsupported MinQty(110)"),
    ("111=1", "11", "Unsupported MaxFloor(111)"),
    ("210=1", "11", "Unsupported MaxShow(210)"),
    ("18=1 6", "11", "Unsupported ExecInst(18)"),
    ("126=20240105-10:00:00", "11", "Unsupported ExpireTime(126)"),
    ("168=20240105-10:00:00", "11", "Unsupported EffectiveTime(168)"),
    ("152=1000", "11", "Unsupported CashOrderQty(152)"),
    ("516=10", "11", "Unsupported OrderPercent(516)"),
    ("211=0.1", "11", "Unsupported PegOffsetValue(211)"),
    ("388=0", "11", "Unsupported DiscretionInst(388)"),
    ("54=3", "11", "Unsupported Side(54)"),
    ("11=used", "6", "Duplicate ClOrdID(11)"),
    ("38=", "13", "OrderQty(38) is missing"),
    ("38=0", "13", "OrderQty(38) is not a positive number"),
    ("38=-5", "13", "OrderQty(38) is not a positive number"),
    ("38=1e3", "13", "OrderQty(38) is not a positive number"),
    ("38=10.5", "13", "OrderQty(38) is off the lot grid"),
    ("38=1", "13", "OrderQty(38) is below the minimum"),
    ("38=1000001", "3", "OrderQty(38) exceeds the maximum"),
    (f"38=1{'0' * 60}", "3", "OrderQty(38) exceeds the maximum"),
    ("44=", "99", "Price(44) is missing"),
    ("44=0", "99", "Price(44) is not a positive number"),
    ("44=+1", "99", "Price(44) is not a positive number"),
    ("44=10.005", "99", "Price(44) is off the tick grid"),
    (f"44=10.0{'0' * 50}1", "99", "Price(44) is off the tick grid"),
    ("44=1000000.01", "99", "Price(44) exceeds the maximum"),
    ("40=1", "99", "Price(44) does not belong to a market order"),
]


def strict_venue() -> Venue:
    """At least two shares; the counterparty has a closed order called `used`."""
    stock = listing("AAPL", "0.01", "1", 1_000_000, min_lots=2)
    venue = Venue(type(stock)(**{**stock.__dict__, "highest_price": Decimal(1_000_000)}))
    venue.buy("A", "used", 10, "10")
    venue.cancel("A", "gone", "used")
    return venue


def changed(change: str) -> str:
    """A good order with some fields put otherwise."""
    terms = {"35": "D", "11": "n", "55": "AAPL", "54": "1", "38": "100", "40": "2", "44": "10.00"}
    terms |= dict(part.split("=", 1) for part in change.split("|"))
    return "|".join(f"{tag}={value}" for tag, value in terms.items())


@pytest.mark.parametrize(("change", "reason", "text"), REFUSALS)
def test_refusal_says_why_and_changes_nothing(change: str, reason: str, text: str) -> None:
    venue = strict_venue()
    replies = venue.say("A", changed(change))
    check(replies, f"A 35=8|37=NONE|150=8|39=8|103={reason}|58={text}|151=0|14=0|6=0|17=3|-32|-31")
    assert venue.bids() == []
    check(venue.buy("A", "next", 10, "10"), "A 37=2|17=4")


def test_refusal_echoes_what_was_received_as_it_was_received(venue: Venue) -> None:
    (reply,) = venue.say("A", "35=D|128=HUB|11=a|1=ACC|55=NOPE|54=2|38=002.50|40=2|44=010.0")
    assert shown(reply) == (
        "A 35=8|115=HUB|37=NONE|11=a|17=1|150=8|39=8|103=1|1=ACC|55=NOPE|54=2|38=002.50|40=2|44=010.0|"
        "151=0|14=0|6=0|60=20240102-10:00:00.000|58=Unknown Symbol(55)"
    )


def test_first_failing_check_is_the_answer() -> None:
    venue = strict_venue()
    faults = ["55=NOPE", "40=3", "54=3", "11=used", "38=0", "44=0"]
    expected = ["1", "11", "11", "6", "13", "99"]
    for position, reason in enumerate(expected):
        check(venue.say("A", changed("|".join(faults[position:]))), f"A 150=8|103={reason}")


def test_halted_instrument_takes_no_orders(venue: Venue) -> None:
    venue.exchange.halt("AAPL")
    check(venue.buy("A", "a", 0, "10"), "A 150=8|103=2|58=Instrument is halted")
    venue.exchange.resume("AAPL")
    check(venue.buy("A", "a", 10, "10"), "A 150=0")


@pytest.mark.parametrize(
    ("permission", "allowed", "refused"),
    [
        (Permission(sides=frozenset({b"1"})), (1, 10, "10"), (5, 10, "10")),
        (Permission(sides=frozenset({b"2"})), (6, 10, "10"), (1, 10, "10")),
        (Permission(ord_types=frozenset({b"2"})), (1, 10, "10"), (1, 10, None)),
        (Permission(symbols=frozenset({"AA*"})), (1, 10, "10"), None),
        (Permission(symbols=frozenset({"MSFT"})), None, (1, 10, "10")),
    ],
)
def test_what_is_not_permitted_is_refused(
    permission: Permission, allowed: tuple[object, ...] | None, refused: tuple[object, ...] | None
) -> None:
    venue = Venue(permissions={"A": permission})
    if allowed:
        check(venue.order("A", "a", *allowed), "A 150=0")  # type: ignore[arg-type]
    if refused:
        check(venue.order("A", "b", *refused), "A 150=8|103=0|58=Not permitted")  # type: ignore[arg-type]


# ---------------------------------------------------------------- ids


def test_refused_order_does_not_use_up_its_id(venue: Venue) -> None:
    check(venue.buy("A", "a", 0, "10"), "A 150=8|103=13")
    check(venue.buy("A", "a", 10, "10"), "A 150=0")


def test_ids_belong_to_the_session(venue: Venue) -> None:
    check(venue.buy("A", "a", 10, "10"), "A 150=0|37=1")
    check(venue.buy("B", "a", 10, "10"), "B 150=0|37=2")


def test_duplicate_of_a_live_order_tells_its_state(venue: Venue) -> None:
    venue.buy("A", "a", 100, "10")
    venue.sell("B", "s", 30, "10")
    check(
        venue.order("A", "a", 2, 7, "12", "1=OTHER"),
        "A 11=a|37=1|150=8|39=1|103=6|38=100|44=10.00|151=70|14=30|6=10.000000|54=2|40=2|1=OTHER|-59|58=Duplicate ClOrdID(11)",
    )
    venue.replace("A", "a2", "a", 90, "10")
    check(venue.buy("A", "a", 7, "12"), "A 11=a|37=1|150=8|39=1|103=6|38=90|151=60|14=30")


def test_duplicate_of_a_closed_order_is_a_plain_refusal(venue: Venue) -> None:
    venue.buy("A", "a", 100, "10")
    venue.cancel("A", "c", "a")
    for name in ("a", "c"):
        check(venue.buy("A", name, 7, "12"), f"A 11={name}|37=NONE|150=8|39=8|103=6|38=7|44=12|151=0|14=0|6=0")


def test_poss_resend_of_a_seen_order_reports_its_state_once(venue: Venue) -> None:
    venue.buy("A", "a", 100, "10")
    check(venue.buy("A", "a", 100, "10", "97=Y"), "A 150=I|17=0|11=a|37=1|39=0|151=100|-103|-58")
    check(venue.buy("A", "new", 100, "10", "97=Y"), "A 150=0|11=new|37=2|17=2")


def test_poss_resend_of_a_requests_id_reports_the_order_it_belonged_to(venue: Venue) -> None:
    venue.buy("A", "a", 100, "10")
    venue.replace("A", "b", "a", 90, "10")
    venue.cancel("A", "c", "b")
    for seen in ("a", "b", "c"):
        check(venue.buy("A", seen, 100, "10", "97=Y"), "A 150=I|17=0|11=b|37=1|39=4|38=90|151=0")


def test_pattern_creates_an_instrument_with_the_first_valid_order() -> None:
    venue = Venue(listing("SYM0*", "1", "10"), listing("SYM*", "5", "1"))
    bad: list[Reply] = venue.say("A", "35=D|11=a|55=SYM07|54=1|38=5|40=2|44=7")
    check(bad, "A 150=8|103=13")
    assert venue.exchange.state() == {}
    check(venue.say("A", "35=D|11=a|55=SYM07|54=1|38=10|40=2|44=7"), "A 150=0|55=SYM07|44=7")
    check(venue.say("A", "35=D|11=b|55=SYM1|54=1|38=1|40=2|44=7"), "A 150=8|103=99")
    assert list(venue.exchange.state()) == ["SYM07"]
