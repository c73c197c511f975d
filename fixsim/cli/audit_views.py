"""How answers of `fixsim audit` look: cells of tables for people, JSON for programs."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from fixsim.audit.moments import show_moment
from fixsim.errors import FixError, UsageError
from fixsim.fix.codec import decode, show
from fixsim.fix.dictionary import fix44

TRADE_COLUMNS: Final = ("time", "match", "symbol", "trade", "aggressor", "buyer", "seller", "positions")
SESSION_COLUMNS: Final = ("time", "position", "session", "run", "event", "seq", "range", "text")
EVENT_COLUMNS: Final = ("time", "position", "what happened")
HAPPENING_COLUMNS: Final = ("time", "position", "event", "symbol", "session", "who", "why", "text", "venue time")


def for_json(value: Any) -> Any:
    """`value` for JSON: raw bytes one character per byte (Latin-1), decimals as text, `time` to the
    nanosecond.
    """
    if isinstance(value, dict):
        row = {name: for_json(item) for name, item in value.items()}
        if "time_ns" in row and isinstance(value["time_ns"], int):
            row["time"] = show_moment(value["time_ns"])
        return row
    if isinstance(value, list | tuple):
        return [for_json(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


async def stream_json(rows: AsyncIterator[dict[str, Any]], shape: Callable[[dict[str, Any]], Any]) -> int:
    """Print rows as one JSON array, a row a line, as they come; how many there were."""
    count = 0
    async for row in rows:
        sys.stdout.write(",\n" if count else "[")
        json.dump(shape(row), sys.stdout, ensure_ascii=False)
        count += 1
    sys.stdout.write("]\n" if count else "[]\n")
    return count


def msg_type_of(text: str) -> str:
    """MsgType(35) for what a person wrote: `D`, or `newordersingle`. UsageError for a name FIX 4.4 does
    not have.
    """
    if len(text) <= 2:
        return text
    for msg_type, spec in fix44().messages.items():
        if spec.name.lower() == text.lower():
            return msg_type.decode()
    raise UsageError(f"FIX 4.4 has no message {text!r}")


def named_type(msg_type: str) -> str:
    """`NewOrderSingle(D)`."""
    return f"{fix44().message_name(msg_type.encode()) or 'unknown'}({msg_type})"


def value_name(tag: int, value: str | None) -> str:
    """The name of an enumerated value, the value itself when it has none, empty for None."""
    return "" if value is None else fix44().value_name(tag, value.encode()) or value


def decoded(frame: bytes) -> list[dict[str, Any]]:
    """The fields of a frame with names; one nameless field with the whole when it cannot be read."""
    try:
        described = fix44().describe(decode(frame, check=False))
    except FixError:
        return [{"tag": 0, "name": "", "value": show(frame), "meaning": ""}]
    return [
        {"tag": tag, "name": name, "value": value if isinstance(value, str) else show(value), "meaning": meaning}
        for tag, name, value, meaning in described
    ]


def headline(row: dict[str, Any]) -> str:
    """One line about a message."""
    part = f".{row['part']}" if row["part"] else ""
    arrow = "<-" if row["direction"] == "in" else "->"
    return (
        f"{show_moment(row['time_ns'])} {row['position']}{part} {arrow} {row['session']} "
        f"{row['run']}/{row['msg_seq_num']} {named_type(row['msg_type'])}"
    )


def trade_cells(row: dict[str, Any]) -> list[Any]:
    """A trade as a row of TRADE_COLUMNS."""
    buyer, seller = (
        f"{row[f'{side}_session']} {row[f'{side}_cl_ord_id']} ({row[f'{side}_order_id']})" for side in ("buy", "sell")
    )
    return [
        show_moment(row["time_ns"]), row["match_id"], row["symbol"], _traded(row),
        row["aggressor"], buyer, seller, f"{row['buy_position']} {row['sell_position']}",
    ]  # fmt: skip


def _traded(row: dict[str, Any]) -> str:
    """Quantity and price, and what became of them."""
    traded = f"{row['last_qty']} @ {row['last_px']}"
    if row["amended"] == "corrected":
        return f"{traded}, corrected to {row['amended_qty']} @ {row['amended_px']}"
    return traded if row["amended"] is None else f"{traded}, {row['amended']}"


def happening_cells(row: dict[str, Any]) -> list[Any]:
    """An event of the venue as a row of HAPPENING_COLUMNS; venue time where it is another."""
    venue_ns = None if row["venue_ns"] == row["time_ns"] else row["venue_ns"]
    return [
        show_moment(row["time_ns"]), row["position"], row["event"], row["symbol"], row["session"], row["who"], row["why"],
        row["text"], show_moment(venue_ns),
    ]  # fmt: skip


def session_cells(row: dict[str, Any]) -> list[Any]:
    """A session's event as a row of SESSION_COLUMNS."""
    ends = (row["begin_seq_no"], row["end_seq_no"])
    span = "" if ends == (None, None) else "-".join("" if end is None else str(end) for end in ends)
    return [
        show_moment(row["time_ns"]), row["position"], row["session"], row["run"], row["event"], row["msg_seq_num"], span,
        row["text"],
    ]  # fmt: skip


def order_title(life: dict[str, Any]) -> str:
    """Who, what and how it stands."""
    if life["order_id"] is None:
        return f"{life['cl_ord_ids'][0]} of {life['session']}: never became an order"
    terms = f"{value_name(54, life['side'])} {life['order_qty']} {life['symbol']} {value_name(40, life['ord_type'])}"
    price = "" if life["price"] is None else f" {life['price']}"
    return (
        f"OrderID {life['order_id']} of {life['session']}: {terms}{price} {value_name(59, life['time_in_force'])}, "
        f"{value_name(39, life['ord_status'])} ({' -> '.join(life['cl_ord_ids'])})"
    )


def event_cells(event: dict[str, Any]) -> list[Any]:
    """An event of an order's life as a row of EVENT_COLUMNS."""
    what = _report_sentence(event) if "exec_type" in event else _message_sentence(event)
    return [show_moment(event["time_ns"]), event["position"], what]


def _message_sentence(event: dict[str, Any]) -> str:
    arrow = "<-" if event["direction"] == "in" else "->"
    return f"{arrow} {named_type(event['msg_type'])} {event['cl_ord_id']} {_text_of(event['raw'])}".rstrip()


def _report_sentence(event: dict[str, Any]) -> str:
    """What an ExecutionReport(8) says, shortest first."""
    words = [f"-> {value_name(150, event['exec_type'])} {event['cl_ord_id']}"]
    if event["last_qty"] is not None:
        words.append(f"{event['last_qty']} @ {event['last_px']}")
    if event["counterpart"] is not None:
        other = event["counterpart"]
        words.append(
            f"with {other['session']} {other['cl_ord_id']} (OrderID {other['order_id']}, position {other['position']})"
        )
    if event["ord_rej_reason"] is not None:
        words.append(value_name(103, event["ord_rej_reason"]))
    price = "" if event["price"] is None else f" @ {event['price']}"
    words.append(f"{value_name(39, event['ord_status'])}: {event['order_qty']}{price}")
    words.append(f"leaves {event['leaves_qty']} cum {event['cum_qty']} avg {event['avg_px']}")
    return ", ".join([*words, event["text"]] if event["text"] else words)


def _text_of(frame: bytes) -> str:
    """CxlRejReason(102) and Text(58) of a message, as far as it has them."""
    try:
        message = decode(frame, check=False)
    except FixError:
        return ""
    found = (message.get(tag) for tag in (102, 58))
    reason, text = (None if value is None else value.decode("latin-1") for value in found)
    return " ".join(part for part in (value_name(102, reason), text) if part)
