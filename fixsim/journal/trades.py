"""A trade as its two ExecutionReports(8) told it, found by reading the journal through."""

from typing import Any, Final

from fixsim.errors import UsageError
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.layout import Kind

TRADE: Final = b"\x01150=F\x01"
Fields = dict[bytes, bytes]


def find_trade(reader: Reader, match_id: int) -> dict[str, Any]:
    """The trade with this SecondaryExecID(527), as the command that amends it tells it. UsageError when there is none."""
    found = _reports(reader, b"\x01527=%d\x01" % match_id, 2)
    if len(found) < 2:
        raise UsageError(f"the journal knows no trade with match id {match_id}")
    told: dict[str, Any] = {
        "match_id": match_id, "last_qty": found[0][b"32"].decode(), "last_px": found[0][b"31"].decode(),
    }  # fmt: skip
    for report in found:
        side = "buy" if report[b"54"] == b"1" else "sell"
        told |= {f"{side}_order_id": int(report[b"37"]), f"{side}_exec_id": int(report[b"17"])}
    return told


def match_of_execution(reader: Reader, exec_id: int) -> int:
    """The match id of the trade that one side was told under this ExecID(17). UsageError when there is none."""
    found = _reports(reader, b"\x0117=%d\x01" % exec_id, 1)
    if not found:
        raise UsageError(f"the journal knows no trade with ExecID {exec_id}")
    return int(found[0][b"527"])


def _reports(reader: Reader, needle: bytes, count: int) -> list[Fields]:
    """Fields of the first `count` reports of trades that have `needle` in them."""
    found: list[Fields] = []
    for batch in reader.batches():
        if needle not in bytes(batch.view):
            continue
        for record in records(batch.view):
            if record.kind == Kind.OUT and needle in (payload := bytes(record.payload)) and TRADE in payload:
                found.append({tag: value for tag, _, value in (part.partition(b"=") for part in payload.split(b"\x01")[:-1])})
                if len(found) == count:
                    return found
    return found
