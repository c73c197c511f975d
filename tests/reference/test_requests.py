"""OrderCancelRequest(F), OrderCancelReplaceRequest(G), OrderStatusRequest(H), halts and the trading day."""

import pytest
from oracle_stage import Venue, check, shown

LONG = "x" * 65


@pytest.fixture
def venue() -> Venue:
    """A has bought 100 at 10.00, of which 30 are filled: order `a`, OrderID 1, ExecIDs up to 4."""
    venue = Venue()
    venue.buy("A", "a", 100, "10", "59=1")
    venue.sell("B", "s", 30, "10")
    return venue


# ---------------------------------------------------------------- F


def test_cancel_takes_out_the_whole_remainder(venue: Venue) -> None:
    (reply,) = venue.cancel("A", "c", "a", more="38=1|1=OTHER")
    assert shown(reply) == (
        "A 35=8|37=1|11=c|41=a|17=5|150=4|39=4|55=AAPL|54=1|38=100|40=2|44=10.00|59=1|151=0|14=30|"
        "6=10.000000|60=20240102-10:00:00.000"
    )
    assert venue.bids() == []


def test_cancel_is_answered_with_the_routing_of_the_request(venue: Venue) -> None:
    check(venue.cancel("A", "c", "a", more="115=HUB"), "A 150=4|128=HUB")


@pytest.mark.parametrize(
    ("session", "text"),
    [
        ("A", "11=c|41=zzz|55=AAPL|54=1"),
        ("A", "11=c|41=a|55=AAPL|54=2"),
        ("A", "11=c|41=a|55=MSFT|54=1"),
        ("B", "11=c|41=a|55=AAPL|54=1"),
    ],
    ids=["no such id", "other side", "other symbol", "other session"],
)
@pytest.mark.parametrize("kind", ["F", "G"])
def test_request_for_an_unknown_order(venue: Venue, kind: str, session: str, text: str) -> None:
    replies = venue.say(session, f"35={kind}|{text}|38=10|40=2|44=9")
    answered = "1" if kind == "F" else "2"
    check(replies, f"{session} 35=9|37=NONE|39=8|102=1|434={answered}|11=c|41={text[8:].split('|')[0]}|-17|-55")
    check(venue.cancel("A", "c", "a"), "A 150=4|11=c|17=5")  # neither id nor ExecID was used


def test_cancel_reject_is_written_in_full(venue: Venue) -> None:
    venue.cancel("A", "c", "a")
    (reply,) = venue.cancel("A", "d", "a", more="115=HUB")
    assert shown(reply) == ("A 35=9|128=HUB|37=1|11=d|41=a|39=4|434=1|102=0|60=20240102-10:00:00.000|58=Too late to cancel")


def test_replaced_id_and_the_id_of_a_request_name_no_order(venue: Venue) -> None:
    venue.replace("A", "b", "a", 90, "10")
    check(venue.cancel("A", "c", "a"), "A 35=9|102=1|37=NONE|39=8")
    check(venue.cancel("A", "c", "b"), "A 150=4|41=b")
    check(venue.cancel("A", "d", "c"), "A 35=9|102=1|37=NONE|39=8")
    check(venue.cancel("A", "d", "b"), "A 35=9|102=0|37=1|39=4")


def test_cancel_of_a_filled_order_is_too_late(venue: Venue) -> None:
    check(venue.cancel("B", "c", "s", 2), "B 35=9|37=2|39=2|102=0|434=1")


@pytest.mark.parametrize("kind", ["F", "G"])
def test_ids_of_requests_are_checked(venue: Venue, kind: str) -> None:
    terms = "41=a|55=AAPL|54=1|38=50|40=2|44=10"
    check(venue.say("A", f"35={kind}|11={LONG}|{terms}"), "A 35=9|102=99|37=1|39=1")
    check(venue.say("A", f"35={kind}|11=a|{terms}"), "A 35=9|102=6|37=1|39=1|58=Duplicate ClOrdID(11)")


def test_too_late_comes_before_a_bad_id(venue: Venue) -> None:
    check(venue.cancel("B", LONG, "s", 2), "B 35=9|102=0")


def test_poss_resend_of_a_seen_request_reports_the_state_once(venue: Venue) -> None:
    check(venue.cancel("A", "c", "a", more="97=Y"), "A 150=4|17=5")
    check(venue.cancel("A", "c", "a", more="97=Y"), "A 150=I|17=0|11=a|39=4|-41|-790")
    check(venue.replace("A", "c", "a", 1, "9", more="97=Y"), "A 150=I|17=0|11=a|39=4")


def test_accepted_requests_use_up_their_ids_and_refused_ones_do_not(venue: Venue) -> None:
    venue.cancel("A", "c", "zzz")
    venue.cancel("A", "c", "a")
    check(venue.buy("A", "c", 10, "10"), "A 150=8|103=6")


# ---------------------------------------------------------------- G


def test_replace_takes_the_new_id_and_keeps_order_id_account_and_routing() -> None:
    venue = Venue()
    venue.say("A", "35=D|115=HUB|1=ACC|11=a|55=AAPL|54=1|38=100|40=2|44=10")
    (reply,) = venue.replace("A", "b", "a", 80, "10.5", more="1=OTHER|115=DESK")
    assert shown(reply) == (
        "A 35=8|128=DESK|37=1|11=b|41=a|17=2|150=5|39=0|1=ACC|55=AAPL|54=1|38=80|40=2|44=10.50|59=0|"
        "151=80|14=0|6=0|60=20240102-10:00:00.000"
    )
    check(venue.sell("B", "s", 80, "10")[-1:], "A 150=F|11=b|128=HUB|1=ACC|-41")


def queue_after(qty: int, price: str) -> list[tuple[str, list[str]]]:
    """The bids when the first of two orders for 100 at 10.00 was replaced."""
    venue = Venue()
    venue.buy("A", "a", 100, "10")
    venue.buy("B", "b", 100, "10")
    venue.replace("A", "r", "a", qty, price)
    return venue.bids()


def test_same_price_and_no_more_quantity_keeps_the_place() -> None:
    assert queue_after(60, "10") == [("10", ["r 60", "b 100"])]
    assert queue_after(100, "10.00") == [("10", ["r 100", "b 100"])]


def test_more_quantity_or_another_price_goes_to_the_back() -> None:
    assert queue_after(101, "10") == [("10", ["b 100", "r 101"])]
    assert queue_after(60, "10.01") == [("10.01", ["r 60"]), ("10", ["b 100"])]
    assert queue_after(60, "9") == [("10", ["b 100"]), ("9", ["r 60"])]


def test_replace_that_crosses_trades_under_the_new_id(venue: Venue) -> None:
    venue.sell("B", "x", 20, "10.02")
    check(
        venue.replace("A", "b", "a", 60, "10.05"),
        "A 150=5|39=1|11=b|41=a|38=60|14=30|151=30",
        "A 150=F|39=1|11=b|-41|31=10.02|32=20|14=50|151=10|851=2",
        "B 150=F|39=2|11=x|851=1",
    )
    assert venue.bids() == [("10.05", ["b 10"])]


def test_replace_may_fill_the_order(venue: Venue) -> None:
    venue.sell("B", "x", 70, "10.02")
    check(venue.replace("A", "b", "a", 100, "10.02"), "A 150=5|39=1", "A 150=F|39=2|151=0", "B 150=F|39=2")
    check(venue.cancel("A", "c", "b"), "A 35=9|102=0|39=2")


@pytest.mark.parametrize("qty", [30, 29, 1])
def test_total_at_or_below_what_was_traded_completes_the_order(venue: Venue, qty: int) -> None:
    check(venue.replace("A", "b", "a", qty, "10.50"), "A 150=5|39=2|11=b|41=a|38=30|14=30|151=0|44=10.50|-32")
    assert venue.bids() == []
    check(venue.replace("A", "c", "b", 100, "10"), "A 35=9|102=0|39=2")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("40=1|44=", "OrdType(40) differs from the order's"),
        ("59=0", "TimeInForce(59) differs from the order's"),
        ("99=9", "Unsupported StopPx(99)"),
        ("111=5", "Unsupported MaxFloor(111)"),
        ("38=", "OrderQty(38) is missing"),
        ("38=0", "OrderQty(38) is not a positive number"),
        ("38=50.5", "OrderQty(38) is off the lot grid"),
        ("38=1000001", "OrderQty(38) exceeds the maximum"),
        ("44=", "Price(44) is missing"),
        ("44=-1", "Price(44) is not a positive number"),
        ("44=10.001", "Price(44) is off the tick grid"),
        ("44=99999999999", "Price(44) exceeds the maximum"),
        ("38=0|44=0|40=1|99=9", "OrdType(40) differs from the order's"),
        ("38=0|44=0|99=9", "Unsupported StopPx(99)"),
    ],
)
def test_bad_terms_refuse_the_replace_and_leave_the_order_alone(venue: Venue, change: str, text: str) -> None:
    terms = {"11": "b", "41": "a", "55": "AAPL", "54": "1", "38": "100", "40": "2", "44": "10"}
    terms |= dict(part.split("=") for part in change.split("|"))
    line = "|".join(f"{tag}={value}" for tag, value in terms.items())
    check(venue.say("A", f"35=G|{line}"), f"A 35=9|434=2|102=2|37=1|39=1|11=b|41=a|58={text}")
    assert venue.bids() == [("10", ["a 70"])]
    check(venue.replace("A", "b", "a", 100, "10", more="59=1"), "A 150=5|17=5")


# ---------------------------------------------------------------- H


def test_status_tells_the_state_of_the_moment_under_the_current_id(venue: Venue) -> None:
    check(venue.status("A", "a", "790=Q"), "A 150=I|17=0|39=1|11=a|790=Q|37=1|38=100|14=30|151=70|-41|-103")
    venue.replace("A", "b", "a", 80, "10")
    check(venue.status("A", "a"), "A 150=I|39=1|11=b|38=80|-790")
    venue.cancel("A", "c", "b")
    for name in ("a", "b", "c"):
        check(venue.status("A", name, "37=1"), "A 150=I|17=0|39=4|11=b|151=0")


def test_status_of_an_unknown_order(venue: Venue) -> None:
    for session, name, more in (("A", "zzz", "790=Q"), ("B", "a", "790=Q"), ("A", "a", "37=2|790=Q")):
        (reply,) = venue.status(session, name, more)
        assert shown(reply) == (
            f"{session} 35=8|37=NONE|11={name}|790=Q|17=0|150=I|39=8|103=5|55=AAPL|54=1|151=0|14=0|6=0|"
            "60=20240102-10:00:00.000|58=Unknown order"
        )


def test_status_needs_neither_the_symbol_nor_the_side_of_the_order(venue: Venue) -> None:
    check(venue.say("A", "35=H|11=a|55=NOPE|54=2"), "A 150=I|39=1|55=AAPL|54=1")


# ---------------------------------------------------------------- halts and days


def test_halt_lets_cancels_and_status_through_but_no_replace(venue: Venue) -> None:
    venue.exchange.halt("AAPL")
    check(venue.replace("A", "b", "a", 80, "10"), "A 35=9|102=2|434=2|39=1|58=Instrument is halted")
    check(venue.replace("A", "b", "zzz", 80, "10"), "A 35=9|102=1")
    check(venue.status("A", "a"), "A 150=I|39=1")
    check(venue.cancel("A", "b", "a"), "A 150=4")


def test_day_orders_expire_in_the_order_they_were_accepted() -> None:
    venue = Venue()
    venue.buy("A", "cheap", 10, "1", "59=0")
    venue.buy("A", "stays", 10, "2", "59=1")
    venue.say("B", "35=D|115=HUB|11=dear|55=AAPL|54=1|38=10|40=2|44=9")
    venue.buy("A", "gone", 10, "3")
    venue.cancel("A", "c", "gone")
    venue.replace("A", "cheaper", "cheap", 20, "1.5")
    check(
        venue.next_day(),
        "A 150=C|39=C|11=cheaper|37=1|151=0|14=0|-41|-378|38=20",
        "B 150=C|39=C|11=dear|151=0|128=HUB",
    )
    assert venue.bids() == [("2", ["stays 10"])]
    assert venue.next_day() == []


def test_a_new_date_forgets_all_ids_but_those_that_open_orders_go_by() -> None:
    venue = Venue()
    venue.buy("A", "day", 10, "1", "59=0")
    venue.buy("A", "first", 10, "2", "59=1")
    venue.replace("A", "second", "first", 20, "2")
    venue.next_day()
    check(venue.cancel("A", "c", "day"), "A 35=9|37=NONE|102=1|39=8")
    check(venue.status("A", "first"), "A 150=I|39=8|103=5")
    check(venue.buy("A", "second", 10, "1"), "A 150=8|103=6|37=2")
    check(venue.buy("A", "first", 10, "1"), "A 150=0|37=3")
    check(venue.buy("A", "day", 10, "1"), "A 150=0|37=4")


def test_orders_of_the_new_date_do_not_expire_with_the_old_ones(venue: Venue) -> None:
    venue.buy("A", "old", 10, "9")
    venue.now_ns += 86_400_000_000_000
    venue.buy("A", "new", 10, "9")
    check(venue.exchange.expire(venue.now_ns), "A 150=C|11=old")
    assert venue.bids() == [("10", ["a 70"]), ("9", ["new 10"])]


def test_day_order_still_trades_until_the_deadline_comes(venue: Venue) -> None:
    venue.buy("A", "old", 10, "11")
    venue.now_ns += 86_400_000_000_000
    check(venue.sell("B", "x", 10, "11"), "B 150=0", "B 150=F", "A 150=F|11=old|39=2")
    assert venue.exchange.expire(venue.now_ns) == []
