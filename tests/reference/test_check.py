"""The checker lets a good exchange pass and names what is wrong with a bad one."""

import pytest
from flows import LISTINGS, seeded_flow
from oracle_stage import MORNING_NS, Venue

from fixsim.reference.check import ReportChecker
from fixsim.reference.exchange import ReferenceExchange
from fixsim.reference.message import Field
from fixsim.reference.report import Reply


def story() -> list[Reply]:
    """Nine answers: A buys 100, B sells 30, A replaces, repeats itself, asks, and cancels twice."""
    venue = Venue()
    replies = venue.buy("A", "a", 100, "10")
    replies += venue.sell("B", "s", 30, "10")
    replies += venue.replace("A", "b", "a", 90, "10.01")
    replies += venue.buy("A", "b", 5, "10")
    replies += venue.status("A", "a")
    replies += venue.cancel("A", "c", "b")
    replies += venue.cancel("A", "d", "b")
    return replies


NEW, NEW_S, TRADE_S, TRADE_A, REPLACED, DUPLICATE, STATUS, CANCELED, REJECTED = range(9)


def changed(fields: list[Field], tag: int, value: str | None) -> list[Field]:
    """`fields` with another value of `tag`, without it, or with it added."""
    kept = [(this, old if this != tag else (value or "").encode()) for this, old in fields]
    if tag not in dict(fields) and value is not None:
        kept.append((tag, value.encode()))
    return [(this, new) for this, new in kept if not (this == tag and value is None)]


def test_good_reports_pass() -> None:
    checker = ReportChecker()
    for reply in story():
        checker.see(reply.fields, reply.session)
    checker.finish()


@pytest.mark.parametrize(
    ("at", "tag", "value", "rule"),
    [
        (NEW, 37, None, "37 is there once"),
        (NEW, 150, "1", "150 is an ExecType"),
        (NEW, 39, "5", "39 is an OrdStatus"),
        (NEW, 151, "99", "38 = 14 [+] 151"),
        (NEW, 41, "z", "no 41 on a new order"),
        (NEW, 103, "0", "103 says why"),
        (NEW, 32, "5", "32 is there on a trade"),
        (NEW, 6, "1", "6=0 while nothing has traded"),
        (NEW, 17, "0", "17=0 is for status reports"),
        (NEW_S, 17, "1", "17 never repeats"),
        (NEW_S, 37, "1", "150=0 comes once"),
        (TRADE_S, 527, None, "527 is there on a trade"),
        (TRADE_S, 32, "29", "14 rises by 32"),
        (TRADE_S, 31, "9.99", "no trade beyond the limit"),
        (TRADE_S, 39, "1", "an open order has something left"),
        (TRADE_S, 6, "10.000001", "6 is 10.000000"),
        (TRADE_A, 60, "20240102-10:00:00.001", "both sides share"),
        (TRADE_A, 31, "9.99", "both sides share"),
        (TRADE_A, 39, "0", "39=1 when part is filled"),
        (TRADE_A, 11, "zzz", "11 is the order's id"),
        (TRADE_A, 41, "a", "41 only where a request is answered"),
        (REPLACED, 41, "zzz", "41 is the order's id"),
        (REPLACED, 11, "a", "11 of a replaced order is the request's"),
        (DUPLICATE, 103, "0", "only a duplicate"),
        (DUPLICATE, 14, "31", "38 = 14"),
        (STATUS, 39, "0", "39=1 when part is filled"),
        (STATUS, 11, "a", "11 is the order's id"),
        (CANCELED, 151, "60", "151=0 once the order is closed"),
        (CANCELED, 39, "C", "39 is what 150 made it"),
        (CANCELED, 38, "80", "38 changes only by a replace"),
        (REJECTED, 39, "1", "39 is the order's status"),
        (REJECTED, 102, "1", "37=NONE exactly where"),
        (REJECTED, 434, "3", "434 names F or G"),
        (REJECTED, 37, "9", "37 names an order"),
    ],
)
def test_fault_is_named(at: int, tag: int, value: str | None, rule: str) -> None:
    checker = ReportChecker()
    for position, reply in enumerate(story()):
        if position == at:
            with pytest.raises(AssertionError, match=rule):
                checker.see(changed(reply.fields, tag, value), reply.session)
            return
        checker.see(reply.fields, reply.session)


def test_report_to_another_session_is_found() -> None:
    checker, replies = ReportChecker(), story()
    checker.see(replies[NEW].fields, "A")
    with pytest.raises(AssertionError, match="belongs to 'A'"):
        checker.see(replies[TRADE_A].fields, "B")


def test_nothing_happens_after_the_end() -> None:
    checker, replies = ReportChecker(), story()
    for reply in replies:
        checker.see(reply.fields, reply.session)
    with pytest.raises(AssertionError, match="closed"):
        checker.see(changed(replies[CANCELED].fields, 17, "99"), "A")


def test_match_with_one_side_is_found_at_the_end() -> None:
    checker = ReportChecker()
    for reply in story()[: TRADE_S + 1]:
        checker.see(reply.fields, reply.session)
    with pytest.raises(AssertionError, match="one side only"):
        checker.finish()


def test_long_mixed_flow_passes() -> None:
    exchange, checker = ReferenceExchange(LISTINGS), ReportChecker()
    for position, (session, fields) in enumerate(seeded_flow(seed=20, count=5_000)):
        for reply in exchange.receive(session, fields, MORNING_NS + position):
            checker.see(reply.fields, reply.session)
    for reply in exchange.expire(MORNING_NS + 86_400_000_000_000):
        checker.see(reply.fields, reply.session)
    checker.finish()
    still_open = {order.time_in_force for order in exchange.open.values()}
    assert still_open == {b"1", b"6"}, "only GTC and GTD orders outlive the day"
