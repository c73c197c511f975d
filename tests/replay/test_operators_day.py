"""A day in which an operator did everything he can, carried out again: by the same exchange, and by the oracle."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.stage import small_config
from flows import SESSIONS, seeded_flow

from fixsim.config import Permissions
from fixsim.exchange.digest import state_digest
from fixsim.exchange.payloads import config_payload
from fixsim.exchange.replay import Replay
from fixsim.exchange.second_opinion import SecondOpinion
from fixsim.fix.dictionary import fix44
from fixsim.journal.reader import Reader
from fixsim.journal.segments import journal_directory
from fixsim.journal.trades import find_trade
from fixsim.units import NS_PER_S

from .recording import Recording

#: 2030-05-06 08:00 UTC.
OPENING_NS = 1_904_284_800_000_000_000


def asked(day: Recording, verb: str, **arguments: Any) -> dict[str, Any]:
    answer = day.command(verb, **arguments)
    assert answer["ok"], answer
    return answer


def limit(cl_ord_id: str, side: bytes, qty: bytes) -> list[tuple[int, bytes]]:
    return [
        (35, b"D"), (11, cl_ord_id.encode()), (55, b"BTC-USDT"), (54, side), (38, qty), (40, b"2"), (44, b"777.0"), (59, b"1"),
        (60, b"20240102-10:00:00.000"),
    ]  # fmt: skip


def record(data_dir: Path) -> str:
    """Trades, busts, mass cancels, a halt, a reload and two nights on a simulated clock; the state digest at the end."""
    config = small_config()
    day = Recording(data_dir, config, clock_start_ns=OPENING_NS)
    day.log_on(*SESSIONS)
    flow = list(seeded_flow(3, 500))
    day.play(flow[:150], together=5)
    day.play([(SESSIONS[0], limit("S1", b"2", b"300")), (SESSIONS[1], limit("B1", b"1", b"100"))])
    day.play([(SESSIONS[2], limit("B2", b"1", b"50"))])
    asked(day, "bust", **find_trade(day.file.reader, 1))
    trade = find_trade(day.file.reader, 2)
    asked(day, "correct", **trade, price=str(Decimal(trade["last_px"]) * 2))
    asked(day, "bust", **trade)
    assert not day.command("bust", **trade)["ok"]
    asked(day, "announce", headline="Lunch", text="Back soon")
    asked(day, "clock.advance", by_ns=5 * 3_600 * NS_PER_S)
    asked(day, "halt", symbol="AAPL")
    day.play(flow[150:200], together=5)
    asked(day, "resume", symbol="AAPL")
    asked(day, "cancel-all", session=SESSIONS[0], side="buy")
    fewer = replace(config.counterparties[0], permissions=Permissions(sides=("buy",)))
    entries = [replace(entry, max_qty=entry.max_qty / 2) if entry.symbol == "AAPL" else entry for entry in config.instruments]
    changed = replace(config, counterparties=(fewer,), instruments=tuple(entries))
    day.exchange.reload(changed, config_payload(changed, "test", "practice", day.exchange.venue_ns), day.now_ns)
    day.drain()
    day.play(flow[200:300], together=5)
    day.say(SESSIONS[1], [(35, b"q"), (11, b"Q"), (530, b"7"), (60, b"20240102-10:00:00.000")])
    asked(day, "clock.advance", by_ns=24 * 3_600 * NS_PER_S)
    day.play(flow[300:400], together=5)
    asked(day, "clock.next")
    asked(day, "cancel-all", all=True)
    day.play(flow[400:])
    digest = state_digest(day.exchange)
    day.close()
    return digest


def test_an_operators_day_is_replayed_to_the_same_state_and_the_oracle_agrees(tmp_path: Path) -> None:
    digest = record(tmp_path)
    replay = Replay(Reader(journal_directory(tmp_path)), fix44())
    replay.run()
    assert replay.digest().digest == digest
    assert replay.broken_laws() == []
    opinion = SecondOpinion(Reader(journal_directory(tmp_path)), fix44())
    opinion.run()
    assert opinion.inbound == replay.inbound
    assert opinion.exchange.venue_ns == replay.exchange.venue_ns
