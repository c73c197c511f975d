"""SecurityListRequest(x), MarketDataRequest(V), and everything that is not served."""

from decimal import Decimal

import pytest
from flows import listing
from oracle_stage import Venue, check, fields, shown
from simplefix import FixMessage

from fixsim.errors import GarbledMessage
from fixsim.reference.exchange import ReferenceExchange


@pytest.fixture
def venue() -> Venue:
    return Venue(
        listing("AAPL", "0.01", "1"),
        listing("BTC-USDT", "0.1", "0.0001", min_lots=10),
        listing("S*", "1", "1"),
    )


def only(venue: Venue, text: str) -> str:
    """The one answer to `text`, as a line."""
    (reply,) = venue.say("A", text)
    return shown(reply)


# ---------------------------------------------------------------- x


def test_whole_list(venue: Venue) -> None:
    assert only(venue, "35=x|50=DESK|320=R|559=4") == (
        "A 35=y|57=DESK|320=R|322=1|560=0|393=2|146=2|55=AAPL|15=USD|561=1|562=1|58=tick=0.01|"
        "55=BTC-USDT|15=USD|561=0.0001|562=0.0010|58=tick=0.1"
    )


def test_list_of_one_symbol(venue: Venue) -> None:
    assert only(venue, "35=x|320=R|559=0|55=AAPL").endswith("|560=0|393=1|146=1|55=AAPL|15=USD|561=1|562=1|58=tick=0.01")


def test_list_that_cannot_be_given(venue: Venue) -> None:
    assert only(venue, "35=x|320=R|559=0|55=NOPE") == "A 35=y|320=R|322=1|560=2"
    assert only(venue, "35=x|320=R|559=1") == "A 35=y|320=R|322=2|560=1"
    assert only(venue, "35=x|320=R|559=0") == "A 35=y|320=R|322=3|560=1"


def test_symbol_of_a_pattern_is_listed_once_an_order_created_it(venue: Venue) -> None:
    assert "560=2" in only(venue, "35=x|320=R|559=0|55=S1")
    venue.say("A", "35=D|11=a|55=S1|54=1|38=1|40=2|44=5")
    assert "560=0|393=1|146=1|55=S1" in only(venue, "35=x|320=R|559=0|55=S1")
    assert "146=3" in only(venue, "35=x|320=R|559=4")


# ---------------------------------------------------------------- V

ASK = "35=V|262=M|263=0|264=0|267=3|269=0|269=1|269=2|146=1|55=AAPL"


def with_orders(venue: Venue) -> Venue:
    """Two bids at 10.00, one at 9.99, an offer at 10.05, and a last trade of 5 at 10.05."""
    for name, qty, price in (("a", 10, "10"), ("b", 20, "10"), ("c", 30, "9.99")):
        venue.buy("A", name, qty, price)
    venue.sell("B", "d", 12, "10.05")
    venue.buy("A", "e", 5, "10.05", "59=3")
    return venue


def test_snapshot_by_level(venue: Venue) -> None:
    assert only(with_orders(venue), ASK) == (
        "A 35=W|262=M|55=AAPL|268=4|"
        "269=0|270=10.00|271=30|346=2|290=1|269=0|270=9.99|271=30|346=1|290=2|"
        "269=1|270=10.05|271=7|346=1|290=1|269=2|270=10.05|271=5"
    )


def test_snapshot_by_order(venue: Venue) -> None:
    asked = ASK.replace("264=0", "264=2|266=N")
    assert only(with_orders(venue), asked) == (
        "A 35=W|262=M|55=AAPL|268=4|"
        "269=0|270=10.00|271=10|37=1|290=1|269=0|270=10.00|271=20|37=2|290=2|"
        "269=1|270=10.05|271=7|37=4|290=1|269=2|270=10.05|271=5"
    )


def test_depth_limits_the_levels_and_types_come_as_asked(venue: Venue) -> None:
    asked = "35=V|115=C|262=M|263=0|264=001|267=3|269=1|269=0|269=1|146=1|55=AAPL"
    assert only(with_orders(venue), asked) == (
        "A 35=W|128=C|262=M|55=AAPL|268=2|269=1|270=10.05|271=7|346=1|290=1|269=0|270=10.00|271=30|346=2|290=1"
    )


def test_depth_is_at_most_a_thousand(venue: Venue) -> None:
    for ticks in range(1_003):
        venue.buy("A", str(ticks), 1, Decimal(ticks + 1) / 100)
    for depth in ("0", "1001", "9" * 5_000):
        assert "|268=1000|" in only(venue, f"35=V|262=M|263=0|264={depth}|267=1|269=0|146=1|55=AAPL")


def test_empty_book_is_one_empty_entry(venue: Venue) -> None:
    assert only(venue, ASK.replace("|269=0|269=1", "|269=1|269=0")) == "A 35=W|262=M|55=AAPL|268=1|269=1|270=0|271=0"


def test_one_snapshot_per_instrument(venue: Venue) -> None:
    replies = venue.say("A", "35=V|262=M|263=0|264=1|267=1|269=0|146=2|55=BTC-USDT|55=AAPL")
    check(replies, "A 35=W|55=BTC-USDT", "A 35=W|55=AAPL")


@pytest.mark.parametrize(
    ("old", "new", "reason", "text"),
    [
        ("263=0", "263=1", "4", "Unsupported SubscriptionRequestType(263)"),
        ("263=0", "263=2", "4", "Unsupported SubscriptionRequestType(263)"),
        ("264=0", "264=-1", "5", "Unsupported MarketDepth(264)"),
        ("264=0", "264=0|266=X", "7", "Unsupported AggregatedBook(266)"),
        ("269=2", "269=4", "8", "Unsupported MDEntryType(269)"),
        ("267=3|269=0|269=1|269=2", "267=0", "8", "Unsupported MDEntryType(269)"),
        ("55=AAPL", "55=NOPE", "0", "Unknown Symbol(55)"),
        ("55=AAPL", "55=AAPL|55=S1", "0", "Unknown Symbol(55)"),
        ("146=1|55=AAPL", "146=0", "0", "Unknown Symbol(55)"),
    ],
)
def test_refused_market_data_request(venue: Venue, old: str, new: str, reason: str, text: str) -> None:
    assert only(venue, ASK.replace(old, new)) == f"A 35=Y|262=M|281={reason}|58={text}"


# ---------------------------------------------------------------- what is not served


@pytest.mark.parametrize("msg_type", ["8", "R", "AF", "B"])
def test_other_application_messages_are_not_supported(venue: Venue, msg_type: str) -> None:
    assert only(venue, f"35={msg_type}|115=C") == (f"A 35=j|128=C|45=2|372={msg_type}|380=3|58=Unsupported Message Type")


@pytest.mark.parametrize(
    "text",
    ["35=D|55=AAPL", "35=F|41=a", "35=F|11=a", "35=G|11=a|41=", "35=H|11=", "35=x|559=4", "35=V|263=0"],
)
def test_message_that_lacks_what_its_answer_needs(venue: Venue, text: str) -> None:
    kind = text[3]
    assert only(venue, text) == f"A 35=j|45=2|372={kind}|380=5|58=Conditionally Required Field Missing"


def test_message_may_be_bytes_or_decoded_by_simplefix() -> None:
    given = fields("35=D|34=2|11=a|55=AAPL|54=1|38=1|40=2|44=1")
    message = FixMessage()
    message.append_pair(8, b"FIX.4.4")
    for tag, value in given:
        message.append_pair(tag, value)
    answers = []
    for wire in (given, message, message.encode()):
        exchange = ReferenceExchange([listing("AAPL", "0.01", "1")])
        answers.append(exchange.receive("A", wire, 0))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("wire", [b"8=FIX.4.4\x01", [(11, b"a")]])
def test_what_is_no_message_is_our_own_mistake(wire: object) -> None:
    with pytest.raises(GarbledMessage):
        ReferenceExchange([]).receive("A", wire, 0)
