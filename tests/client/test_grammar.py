"""What a person types, as a request."""

import pytest

from fixsim.client.grammar import Request, parse_line
from fixsim.errors import UsageError

BUY = Request("buy", "AAPL", "100", "187.25")


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("buy 100 AAPL @ 187.25", BUY),
        ("BUY 100 AAPL @187.25", BUY),
        ("buy 100 AAPL@187.25", BUY),
        ("buy 100 AAPL @ 187.25 --tif ioc", Request("buy", "AAPL", "100", "187.25", tif="ioc")),
        (
            "--tif=FOK buy 100 AAPL @ 1 --id X --account 'my account'",
            Request("buy", "AAPL", "100", "1", "fok", "X", "my account"),
        ),
        ("sell 0.5 BTC-USDT", Request("sell", "BTC-USDT", "0.5")),
        ("sell 0.5 BTC-USDT market", Request("sell", "BTC-USDT", "0.5")),
        ("sell 0.5 BTC-USDT @ market", Request("sell", "BTC-USDT", "0.5")),
        ("cancel X", Request("cancel", "X")),
        ("cancel X --id Y", Request("cancel", "X", cl_ord_id="Y")),
        ("replace X 200 @ 187.30", Request("replace", "X", "200", "187.30")),
        ("replace X 200", Request("replace", "X", "200")),
        ("replace X @ 187.30", Request("replace", "X", None, "187.30")),
        ("status X", Request("status", "X")),
        ("symbols", Request("symbols")),
        ("book AAPL", Request("book", "AAPL")),
        ("book AAPL 5", Request("book", "AAPL", levels=5)),
        ("exit", Request("quit")),
        ("  # a remark", None),
        ("", None),
    ],
)
def test_a_line_is_read_as(line: str, request_: Request | None) -> None:
    assert parse_line(line) == request_


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("hold 100 AAPL", "unknown command 'hold'"),
        ("buy AAPL", "usage: buy QTY SYMBOL"),
        ("buy 100 AAPL @", "usage: buy"),
        ("buy 100 AAPL @ 1 2", "usage: buy"),
        ("buy 100 AAPL --tif never", "--tif never: expected one of day, gtc, ioc, fok, open, close"),
        ("buy 100 AAPL --tif", "--tif needs a value"),
        ("buy 100 AAPL --soon", "unknown option --soon"),
        ("cancel", "usage: cancel ID"),
        ("replace X", "usage: replace ID"),
        ("book AAPL many", "usage: book SYMBOL"),
        ("book AAPL -1", "usage: book SYMBOL"),
        ("symbols all", "usage: symbols"),
        ("status X --tif day", "status takes no --tif"),
        ("buy 'AAPL", "No closing quotation"),
    ],
)
def test_a_mistake_names_what_was_expected(line: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(line)
    assert hint in str(caught.value)
