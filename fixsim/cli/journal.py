"""`fixsim journal`: the files themselves, listed, shown and verified; the exchange may run or not."""

from bisect import bisect_right
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Final

import typer

from fixsim.audit.retention import archive_before
from fixsim.cli.narrate import Narrator, open_journal, time_text
from fixsim.cli.operator import DEFAULT_DATA_DIR, DataDir, Json, ask
from fixsim.cli.output import FINDING, print_json, print_records, say
from fixsim.errors import JournalError, VenueError
from fixsim.journal.reader import Reader, Tail
from fixsim.journal.record import Record, record_at, records

LS_COLUMNS: Final = ("file", "first", "sealed_to", "bytes", "stored", "batches", "records", "begins", "ends")
ARCHIVE_COLUMNS: Final = ("file", "bytes", "stored")

Raw = Annotated[bool, typer.Option("--raw", help="Frames as they are, with | for SOH, not decoded.")]
SessionName = Annotated[str | None, typer.Option(metavar="NAME", help="Only this counterparty (its CompID).")]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Read and verify the journal files."
)


@app.command()
def ls(data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """The segments: what is sealed in each, and the times of its first and last batch."""
    reader = open_journal(data_dir)
    rows = {
        segment.first: {
            "file": segment.path.name, "first": segment.first, "sealed_to": segment.first, "bytes": segment.size,
            "stored": segment.path.stat().st_size, "archived": segment.archived,
            "batches": 0, "records": 0, "begins": None, "ends": None,
        }
        for segment in reader.segments()
    }  # fmt: skip
    damage = _count(reader, rows)
    if json:
        print_json({"directory": str(reader.directory), "segments": list(rows.values())})
    else:
        print_records(LS_COLUMNS, rows.values())
    if damage is not None:
        raise damage


def _count(reader: Reader, rows: dict[int, dict[str, Any]]) -> JournalError | None:
    """Fill `rows`, which are by first position, with what is sealed; the damage that ended it, if any."""
    begins = sorted(rows)
    try:
        for batch in reader.batches():
            row = rows[begins[bisect_right(begins, batch.begin) - 1]]
            seal = reader.seal(batch)
            row["sealed_to"], row["ends"] = batch.end, time_text(seal.time_ns)
            row["begins"] = row["begins"] or time_text(record_at(batch.view, 0, batch.begin).time_ns)
            row["batches"] += 1
            row["records"] += seal.count
    except JournalError as error:
        return error
    return None


@app.command()
def cat(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json: Json = False,
    begin: Annotated[
        int, typer.Option("--from", metavar="POSITION", min=0, help="First position shown.")
    ] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Records shown at most.")] = None,
    session: SessionName = None,
    raw: Raw = False,
    expand: Annotated[bool, typer.Option("--expand", help="Show the frames a RESEND stands for.")] = False,
) -> None:
    """The records, in order."""
    reader = open_journal(data_dir)
    narrator = Narrator(reader, raw)

    def wanted(record: Record) -> bool:
        return record.position >= begin and (session is None or narrator.session(record) == session)

    everything = (record for batch in reader.batches_since(begin) for record in records(batch.view))
    for record in islice(filter(wanted, everything), limit):
        if json:
            resent = [narrator.message(frame) for frame in narrator.resent(record)] if expand else []
            print_json(narrator.object(record) | ({"resent": resent} if resent else {}))
            continue
        print(narrator.line(record))
        if expand:
            for frame in narrator.resent(record):
                print(f"{'':44} {narrator.frame_text(frame)}")


@app.command()
def verify(data_dir: DataDir = DEFAULT_DATA_DIR, json: Json = False) -> None:
    """Check every seal, checksum and link of the chain. Exit code 1 for damage and for an unsealed tail."""
    reader = open_journal(data_dir)
    found: dict[str, Any] = {"directory": str(reader.directory), "batches": 0, "records": 0}
    try:
        for batch in reader.batches():
            found["batches"] += 1
            found["records"] += reader.seal(batch).count
        tail = _tail(reader)
    except JournalError as error:
        _tell(found | {"verdict": "damaged", "position": error.position, "reason": str(error)}, json)
        raise typer.Exit(FINDING) from None
    found |= {"sealed_to": tail.end, "last_seal": f"{tail.crc:08x}", "verdict": "whole"}
    if tail.torn:
        reason = tail.reason or "no batch begins there"
        found |= {"verdict": "torn", "torn_bytes": tail.torn_end - tail.end, "reason": reason}
    _tell(found, json)
    if tail.torn:
        raise typer.Exit(FINDING)


@app.command()
def archive(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    before: Annotated[
        int | None, typer.Option(metavar="POSITION", min=0, help="Only segments that end in front of this position.")
    ] = None,
    json: Json = False,
) -> None:
    """Compress segments that are full; every command goes on reading them. The newest two stay as they are.

    A running exchange is told, and answers a ResendRequest for what lies in them with a GapFill from then on.
    """
    reader = open_journal(data_dir)
    begins = [segment.first for segment in reader.segments()]
    limit = begins[-2] if len(begins) > 2 else 0
    floor = limit if before is None else min(before, limit)
    done: list[dict[str, Any]] = []
    if floor:
        with suppress(VenueError):  # nobody runs there who would have to know
            floor = ask(data_dir, "journal.retire", floor=floor)["floor"]
        archive_before(reader.directory, floor, lambda *told: done.append(dict(zip(ARCHIVE_COLUMNS, told, strict=True))))
    if json:
        print_json({"directory": str(reader.directory), "archived": done})
        return
    print_records(ARCHIVE_COLUMNS, done) if done else say("nothing to archive")


def _tail(reader: Reader) -> Tail:
    """Where the journal ends. A batch that a running exchange is just writing is no torn tail: look until it
    stays.
    """
    tail = reader.last_seal()
    while tail.torn and (again := Reader(reader.directory).last_seal()).end != tail.end:
        tail = again
    return tail


def _tell(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    counted = f"{found['batches']} batches, {found['records']} records"
    if found["verdict"] == "whole":
        print(f"whole: {counted}, sealed to position {found['sealed_to']} (seal {found['last_seal']})")
    elif found["verdict"] == "torn":
        print(f"torn: {counted}, sealed to position {found['sealed_to']}")
        say(f"{found['torn_bytes']} unsealed bytes follow ({found['reason']}); the next start cuts them")
    else:
        print(f"damaged: {counted} before it are good")
        say(found["reason"])
