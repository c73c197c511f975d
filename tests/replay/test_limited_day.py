"""A day under limits, on a clock that stands: the oracle refuses what the exchange refused, and answers the rest as it did."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from exchange.limited import limited

from fixsim.config import Limits
from fixsim.exchange.replay import Replay
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.units import NS_PER_S

from .recording import Recording

#: 2030-05-06 08:00 UTC.
OPENING_NS: Final = 1_904_284_800_000_000_000
WHEN: Final = (60, b"20240102-10:00:00.000")
TERMS: Final = ((55, b"AAPL"), (54, b"1"), (38, b"100"), (40, b"2"), (44, b"10.00"))
#: Every request that is offered, and one that is not.
REQUESTS: Final = (
    [(35, b"D"), (11, b"one more"), *TERMS, WHEN],
    [(35, b"F"), (11, b"F1"), (41, b"first"), (55, b"AAPL"), (54, b"1"), WHEN],
    [(35, b"G"), (11, b"G1"), (41, b"first"), *TERMS, WHEN],
    [(35, b"H"), (11, b"first"), (55, b"AAPL"), (54, b"1")],
    [(35, b"q"), (11, b"Q1"), (530, b"7"), WHEN],
    [(35, b"x"), (320, b"X1"), (559, b"4")],
    [(35, b"V"), (262, b"V1"), (263, b"0"), (264, b"1"), (267, b"1"), (269, b"0"), (146, b"1"), (55, b"AAPL")],
    [(35, b"e"), (324, b"E1"), (55, b"AAPL"), (263, b"0")],
    [(35, b"g"), (335, b"T1"), (263, b"0")],
    [(35, b"R"), (131, b"R1"), (146, b"1"), (55, b"AAPL")],
)


def judged(data_dir: Path) -> None:
    """Both judges find the record as it should be."""
    judges: tuple[Any, ...] = (Replay, SecondOpinion)
    for judge in judges:
        judge(Reader(journal_directory(data_dir)), fix44()).run()


def test_whatever_is_said_beyond_the_rate_is_refused_by_both_and_counts_for_both(tmp_path: Path) -> None:
    day = Recording(tmp_path, limited(Limits("session", "ALPHA", message_rate=1, message_burst=2)), clock_start_ns=OPENING_NS)
    day.log_on("ALPHA")
    day.say("ALPHA", [(35, b"D"), (11, b"first"), *TERMS, WHEN])
    day.say("ALPHA", REQUESTS[-2])
    refused = [dict(day.say("ALPHA", request)[0][1]) for request in REQUESTS]
    assert {told[58] for told in refused} == {b"Message rate exceeded"}
    assert [told[35] for told in refused] == [b"8", b"9", b"9", *[b"j"] * 7]
    assert {told.get(380) for told in refused[3:]} == {b"0"}
    for request in REQUESTS:
        day.command("clock.advance", by_ns=NS_PER_S)
        assert [dict(told).get(58) for _, told in day.say("ALPHA", request)] != [b"Message rate exceeded"]
    day.close()
    judged(tmp_path)


def test_who_is_put_out_and_who_loses_too_much_is_cancelled_by_both_while_the_clock_stands(tmp_path: Path) -> None:
    limits = Limits("session", "ALPHA", daily_loss_max=Decimal(1)), Limits("session", "BRAVO", message_rate=9)
    config = limited(*limits, counterparty={"cancel_on_disconnect": True, "cancel_grace_s": 0.0})
    day = Recording(tmp_path, config, clock_start_ns=OPENING_NS)
    day.log_on("ALPHA", "BRAVO", "CHARLIE")
    for number, (buyer, price) in enumerate((("ALPHA", b"50.00"), ("CHARLIE", b"30.00"))):
        day.command("clock.advance", by_ns=2 * NS_PER_S)
        for side, who in ((b"2", "BRAVO"), (b"1", buyer)):
            terms = [(55, b"AAPL"), (54, side), (38, b"100"), (40, b"2"), (44, price)]
            day.say(who, [(35, b"D"), (11, b"%d" % number), *terms, WHEN])
        day.say("BRAVO", [(35, b"D"), (11, b"bid %d" % number), *TERMS, WHEN])
        day.say("ALPHA", [(35, b"D"), (11, b"rests %d" % number), *TERMS, WHEN])
        day.tick(day.now_ns)
    assert day.command("sessions.disconnect", session="BRAVO")["ok"]
    day.say("BRAVO", [(35, b"5")])
    day.exchange.lose_link(day.links["BRAVO"], "over", day.now_ns)
    said = [dict(told) for _, told in day.tick(day.now_ns)]
    assert [(told[11], told[378]) for told in said] == [(b"bid 0", b"7"), (b"bid 1", b"7")]
    assert day.books()["AAPL"] == ([], [])
    day.close()
    judged(tmp_path)
