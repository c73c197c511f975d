"""A row never fails to load, and the quick way to it gives what the careful way gives."""

import json
import re
from pathlib import Path

import pytest
from audit_stage import Stage
from hypothesis import given
from hypothesis import strategies as st

from fixsim.audit import rows as room
from fixsim.audit.rows import EXECUTION_COLUMNS, NULL, Rows
from fixsim.fix.codec import encode
from fixsim.journal.reader import Reader
from fixsim.journal.record import json_payload, pack
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind

DECIMALS = st.decimals(min_value=0, max_value=10**12, places=6).map(lambda value: f"{value:f}".encode())
#: Any value of a FIX field, the awkward ones included.
TEXTS = st.binary(min_size=1, max_size=12).filter(lambda value: b"\x01" not in value)
PLAIN_TEXTS = st.from_regex(rb"[!-\[\]-~]{1,12}", fullmatch=True)


def execution(body: list[tuple[int, bytes]]) -> dict[str, bytes]:
    """The row of `executions` for an ExecutionReport(8) with `body`, as COPY's text form."""
    frame = encode(b"8", [(49, b"FIXSIM"), (56, b"ME"), (34, b"1"), (52, b"20251120-10:00:00")], body)
    marks = (b"\x0111=", b"\x0137=", b"\x0117=", b"\x0155=")
    at = [frame.find(mark) + len(mark) if mark in frame else 0 for mark in marks]
    gathered = Rows({})
    record = pack(Kind.OUT, 0, 7, frame, session=1, seq=1, msg_type=b"8", at=(at[0], at[1], at[2], at[3]))
    assert list(gathered.take(memoryview(record), 0, 0)) == []
    (row,) = gathered.executions
    assert row.endswith(b"\n") and row.count(b"\n") == 1
    return dict(zip(EXECUTION_COLUMNS, row[:-1].split(b"\t"), strict=True))


def report(cl_ord_id: bytes, qty: bytes, text: bytes | None, fill: bool, orig: bytes | None) -> list[tuple[int, bytes]]:
    """The body of a report in the order of the rules of engagement."""
    body = [(37, b"12"), (11, cl_ord_id), *([(41, orig)] if orig else []), (17, b"13"), (150, b"0"), (39, b"0")]
    body += [(55, b"AAPL"), (54, b"1"), (38, qty), (40, b"2"), (44, b"187.25"), (59, b"0")]
    body += [(32, qty), (31, b"187.25")] if fill else []
    body += [(151, qty), (14, b"0"), (6, b"0"), (60, b"20251120-10:00:00.123456")]
    body += [(527, b"9"), (851, b"2")] if fill else []
    return body + ([(58, text)] if text else [])


@given(cl_ord_id=PLAIN_TEXTS, qty=DECIMALS, text=st.none() | PLAIN_TEXTS, fill=st.booleans(), orig=st.none() | PLAIN_TEXTS)
def test_the_quick_way_and_the_careful_way_agree(
    cl_ord_id: bytes, qty: bytes, text: bytes | None, fill: bool, orig: bytes | None
) -> None:
    body = report(cl_ord_id, qty, text, fill, orig)
    quick = execution(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_REPORT", lambda payload, at: None)
        assert execution(body) == quick
    assert quick["cl_ord_id"] == cl_ord_id and quick["order_qty"] == qty
    assert quick["transact_time_ns"] == b"1763632800123456000"


@given(cl_ord_id=TEXTS, qty=TEXTS, text=TEXTS)
def test_any_bytes_give_a_row_that_copy_can_read(cl_ord_id: bytes, qty: bytes, text: bytes) -> None:
    row = execution(report(cl_ord_id, qty, text, True, None))
    for value in row.values():
        value.decode()
        assert b"\0" not in value
        assert value == NULL or re.fullmatch(rb"(?:[^\\]|\\[\\tnr])*", value)
    assert row["order_qty"] == NULL or re.fullmatch(rb"-?\d*\.?\d*", row["order_qty"])


def test_a_refused_order_has_no_order_id() -> None:
    body = [(37, b"NONE"), (11, b"X"), (17, b"1"), (150, b"8"), (39, b"8"), (103, b"1"), (55, b"NIX"), (54, b"1")]
    body += [(38, b"1e5"), (40, b"1"), (151, b"0"), (14, b"0"), (6, b"0"), (60, b"20251120-10:00:00"), (58, b"a\\b")]
    row = execution(body)
    assert row["order_id"] == NULL and row["ord_rej_reason"] == b"1" and row["price"] == NULL
    assert row["order_qty"] == NULL and row["text"] == b"a\\\\b"


def test_resent_frames_and_events_tell_a_sessions_story(data_dir: Path) -> None:
    stage = Stage(data_dir)
    stage.log_on(b"BUYER")
    stage.order(b"BUYER", b"B1", b"1", b"100", b"187.25")
    stage.resend(b"BUYER", 1, 2)
    stage.close()
    gathered = Rows({})
    for batch in Reader(journal_directory(data_dir)).batches():
        (resend,) = gathered.take(batch.view, 0, 0)
        gathered.add_resent(resend, 1, stage.said[resend.position, 1][2])
    events = [row.split(b"\t")[4] for row in gathered.sessions]
    assert events == [b"connected", b"logon_received", b"logon", b"resend_requested", b"resent"]
    assert gathered.sessions[-1].split(b"\t")[6:8] == [b"1", b"2"]
    assert gathered.new_names == {1: b"BUYER"}


def test_a_message_type_longer_than_its_header_is_stored_whole() -> None:
    frame = encode(b"XYZ", [(49, b"ME"), (56, b"FIXSIM"), (34, b"1"), (52, b"20251120-10:00:00")], [(58, b"?")])
    gathered = Rows({})
    list(gathered.take(memoryview(pack(Kind.IN, 0, 7, frame, session=1, seq=1, msg_type=b"XY")), 0, 0))
    assert b"\0\0\0\x03XYZ" in gathered.messages[0]


def happenings(*told: tuple[int, object]) -> list[list[bytes]]:
    """Rows of `events` for records of some kinds with JSON payloads."""
    gathered = Rows({})
    for position, (kind, payload) in enumerate(told):
        record = pack(kind, 64 * position, 7, json_payload(payload))
        assert list(gathered.take(memoryview(record), 0, 0)) == []
    return [row[:-1].split(b"\t") for row in gathered.events]


def test_a_command_is_an_event_with_who_and_why() -> None:
    asked = {"verb": "halt", "arguments": {"symbol": "AAPL"}, "who": "anna", "why": "news\tpending", "venue_ns": 9}
    assert happenings((Kind.OPERATOR, asked)) == [
        [b"0", b"7", b"9", b"halt", b"anna", b"news\\tpending", b"AAPL", NULL, NULL]
    ]


def test_what_only_asks_is_no_event() -> None:
    asked = [{"verb": verb, "arguments": {}, "who": "anna", "why": ""} for verb in ("book", "sessions.show", "clock.show")]
    assert happenings(*((Kind.OPERATOR, payload) for payload in asked)) == []


def test_arguments_of_a_command_are_its_text() -> None:
    asked = {"verb": "cancel-all", "arguments": {"session": "BERT", "account": "X", "side": None}, "who": "anna", "why": ""}
    assert happenings((Kind.OPERATOR, asked)) == [
        [b"0", b"7", NULL, b"cancel-all", b"anna", NULL, NULL, b"BERT", b"account=X"]
    ]


def test_starts_reloads_and_what_happens_by_itself_are_events() -> None:
    rows = happenings(
        (Kind.START, {"version": "1.2", "journal": 1, "venue_ns": 0, "config": {"venue": {}}}),
        (Kind.CONFIG, {"who": "SIGHUP", "why": "", "changes": ["added a", "removed b"], "config": {}}),
        (Kind.EVENT, {"event": "phase", "symbol": "AAPL", "phase": "closed", "until_ns": 0, "venue_ns": 8}),
        (Kind.EVENT, {"event": "refused", "verb": "halt", "why": "unknown symbol", "venue_ns": 8}),
    )
    assert [row[3:] for row in rows] == [
        [b"start", NULL, NULL, NULL, NULL, b"version=1.2"],
        [b"reload", b"SIGHUP", NULL, NULL, NULL, b"added a; removed b"],
        [b"phase", NULL, NULL, b"AAPL", NULL, b"phase=closed until_ns=0"],
        [b"refused", NULL, b"unknown symbol", NULL, NULL, b"of=halt"],
    ]


@pytest.mark.parametrize("payload", [[], "x", 7, {"arguments": 7}, {"arguments": None, "verb": []}, {"who": {"a": 1}}])
def test_a_payload_that_nobody_would_write_is_a_row_too(payload: object) -> None:
    (row,) = happenings((Kind.OPERATOR, payload))
    assert len(row) == 9


def test_a_text_beyond_ascii_is_kept_as_it_was_said() -> None:
    gathered = Rows({})
    asked = {"verb": "halt", "arguments": {"symbol": "AAPL", "note": "\u20ac"}, "who": "zo\u00eb", "why": "caf\u00e9\0"}
    list(gathered.take(memoryview(pack(Kind.OPERATOR, 0, 7, json.dumps(asked).encode())), 0, 0))
    assert gathered.events[0].decode().split("\t")[4:] == ["zo\u00eb", "caf\u00e9\u2400", "AAPL", "\\N", "note=\u20ac\n"]
    assert "who=zo\u00eb why=caf\u00e9\u2400" in gathered.sessions[0].decode()


#: What is left of bytes that were no UTF-8.
HALF = "caf\udce9"
KEYS = ("verb", "event", "why", "who", "arguments", "symbol", "session", "sender", "reason", "changes")


@pytest.mark.parametrize("kind", [Kind.OPERATOR, Kind.CONFIG, Kind.START, Kind.LINK, Kind.EVENT])
@pytest.mark.parametrize("key", KEYS)
def test_half_a_character_is_shown_as_its_number(kind: int, key: str) -> None:
    value = {"arguments": {HALF: HALF}, "changes": [HALF]}.get(key, HALF)
    told = {"verb": "halt", "event": "lost", "arguments": {}, "who": "anna", "why": "", key: value}
    gathered = Rows({})
    assert list(gathered.take(memoryview(pack(kind, 64, 7, json.dumps(told).encode(), session=1)), 0, 0)) == []
    text = b"".join(gathered.events + gathered.sessions)
    assert text.count(b"\n") == len(gathered.events) + len(gathered.sessions) > 0
    text.decode()
    assert kind != Kind.OPERATOR or key in ("event", "sender", "changes") or rb"caf\\udce9" in text


def test_a_report_of_a_bust_names_the_report_it_amends() -> None:
    body = [(37, b"12"), (11, b"A"), (17, b"13"), (19, b"7"), (150, b"H"), (39, b"4"), (55, b"AAPL"), (54, b"1"), (38, b"5")]
    body += [(40, b"2"), (44, b"1.5"), (59, b"0"), (151, b"0"), (14, b"0"), (6, b"0"), (60, b"20251120-10:00:00"), (527, b"3")]
    row = execution(body)
    assert (row["exec_id"], row["exec_ref_id"], row["exec_type"], row["match_id"]) == (b"13", b"7", b"H", b"3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_REPORT", lambda payload, at: None)
        assert execution(body) == row


def test_an_auctions_report_is_read_the_quick_way_too() -> None:
    body = [(37, b"12"), (11, b"A"), (17, b"13"), (150, b"F"), (39, b"2"), (378, b"8"), (636, b"Y"), (1, b"ACC"), (18, b"J K")]
    body += [(55, b"AAPL"), (54, b"1"), (38, b"5"), (40, b"1"), (59, b"2"), (32, b"5"), (31, b"1.5"), (151, b"0"), (14, b"5")]
    body += [(6, b"1.5"), (60, b"20251120-10:00:00"), (527, b"3")]
    row = execution(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_REPORT", lambda payload, at: None)
        assert execution(body) == row
    assert (row["account"], row["match_id"], row["liquidity"]) == (b"ACC", b"3", NULL)
