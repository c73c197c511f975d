"""What the exchange said, as a person and as a program see it."""

from rich.console import Console

from fixsim.client import display
from fixsim.fix import codec
from fixsim.fix.message import Message

HEADER = "8=FIX.4.4|9=1|35={}|49=FIXSIM|56=ALICE|34=7|52=20261120-10:00:00.000|"


def message(msg_type: str, body: str) -> Message:
    return codec.decode(codec.parse_shown(HEADER.format(msg_type) + body + "|10=000|"), check=False)


def shown(thing: object) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as capture:
        console.print(thing)
    return capture.get()


TRADE = message(
    "8",
    "37=1|11=A-1|17=3|150=F|39=1|55=AAPL|54=1|38=100|40=2|44=187.25|59=3"
    "|32=40|31=187.2|151=60|14=40|6=187.2",
)
SNAPSHOT = message(
    "W",
    "262=1|55=AAPL|268=4|269=0|270=187.2|271=100|346=2|290=1|269=0|270=187.1|271=5|346=1|290=2"
    "|269=1|270=187.3|271=7|346=1|290=1|269=2|270=187.25|271=9",
)
LIST = message(
    "y",
    "320=1|322=1|560=0|393=2|146=2|55=AAPL|15=USD|561=1|58=tick=0.01|55=BTC-USDT|15=USDT|561=0.001",
)


def test_a_trade_tells_price_quantity_and_what_is_left() -> None:
    line = display.line(TRADE).plain
    assert line.startswith("Trade")
    for part in ("A-1", "buy 100 AAPL @ 187.25 ioc", "40 @ 187.2", "filled 40 open 60", "avg 187.2"):
        assert part in line


def test_a_refused_order_tells_the_reason() -> None:
    refused = message(
        "8",
        "37=NONE|11=A|17=1|150=8|39=8|103=1|55=XX|54=2|38=1|40=1"
        "|151=0|14=0|6=0|58=Unknown Symbol(55)",
    )
    line = display.line(refused).plain
    for part in ("Rejected", "sell 1 XX @ market", "OrdRejReason(103)=1", "Unknown Symbol(55)"):
        assert part in line


def test_other_refusals_name_their_reason() -> None:
    assert "cancel refused  X  CxlRejReason(102)=1" in display.line(message("9", "41=X|434=1|102=1")).plain
    assert "SessionRejectReason(373)=1 tag 55" in display.line(message("3", "45=2|371=55|373=1")).plain
    assert "BusinessRejectReason(380)=3 no" in display.line(message("j", "45=2|380=3|58=no")).plain
    assert "MDReqRejReason(281)=0" in display.line(message("Y", "262=1|281=0")).plain
    assert "message of type B" in display.line(message("B", "148=x")).plain


def test_a_report_as_json_has_fix_names_and_readable_enumerations() -> None:
    shown = display.as_json(TRADE)
    assert (shown["message"], shown["cl_ord_id"], shown["msg_seq_num"]) == ("ExecutionReport", "A-1", "7")
    assert (shown["exec_type"], shown["exec_type_name"], shown["side_name"]) == ("F", "Trade", "Buy")
    assert "check_sum" not in shown


def test_groups_as_json_are_lists() -> None:
    entries = display.as_json(SNAPSHOT)["no_md_entries"]
    assert isinstance(entries, list)
    assert entries[1] == {
        "md_entry_type": "0",
        "md_entry_px": "187.1",
        "md_entry_size": "5",
        "number_of_orders": "1",
        "md_entry_position_no": "2",
    }
    assert display.as_json(LIST)["tot_no_related_sym"] == "2"


def test_a_book_shows_both_sides_best_first() -> None:
    text = shown(display.book_table(SNAPSHOT))
    rows = [line.split("│") for line in text.splitlines() if "187" in line and "│" in line]
    assert [cell.strip() for cell in rows[0][1:-1]] == ["2", "100", "187.2", "187.3", "7", "1"]
    assert "last 9 @ 187.25" in text


def test_an_empty_book_is_an_empty_table() -> None:
    empty = message("W", "262=1|55=AAPL|268=1|269=0|270=0|271=0")
    assert display.book_table(empty).row_count == 0


def test_the_list_of_symbols_is_a_table() -> None:
    text = shown(display.symbols_table(LIST))
    assert "BTC-USDT" in text
    assert "tick=0.01" in text


def test_markup_in_a_peers_text_is_not_obeyed() -> None:
    assert "[red]x[/red]" in display.line(message("j", "45=1|380=0|58=[red]x[/red]")).plain
