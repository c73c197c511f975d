"""`fixsim audit verify`, `head`, `key`, `prove`, `check-proof`: whether the record is what it was, and how to show it."""

import asyncio
import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from fixsim.cli.output import FINDING, print_json, say
from fixsim.cli.progress import progress_bar
from fixsim.errors import AuditError, UsageError

if TYPE_CHECKING:
    from fixsim.audit.chain import ChainFiles
    from fixsim.audit.findings import Finding
    from fixsim.audit.heads import SignedHead
    from fixsim.audit.verify_files import FileCheck
    from fixsim.journal.reader import Reader

DataDir = Annotated[Path, typer.Option(help="Data directory of the exchange, or a copy.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="FIXSIM_DATABASE_URL",
        help="postgresql://..., or none to leave rows alone; the embedded one is looked for otherwise.",
    ),
]
Heads = Annotated[list[Path] | None, typer.Option("--head", metavar="FILE", help="A head kept elsewhere; may be given again.")]
Head = Annotated[Path | None, typer.Option(metavar="FILE", help="Prove under this head, not under a new one.")]
Key = Annotated[str | None, typer.Option(metavar="HEX|FILE", help="The public key that must have signed.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there, not to standard output.")]
DEFAULT_DATA_DIR: Final = Path("fixsim-data")
#: Findings shown unless --limit says otherwise.
FINDINGS_MAX: Final = 100


def key(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    pem: Annotated[bool, typer.Option("--pem", help="As PEM, for other programs.")] = False,
    json: Json = False,
) -> None:
    """The public key that heads of this data directory are signed with."""
    from fixsim.audit.heads import fingerprint, load_key

    found = load_key(data_dir)
    if json:
        print_json({"public_key": found.public, "fingerprint": fingerprint(found.public), "pem": found.public_pem()})
    else:
        print(found.public_pem().rstrip() if pem else found.public)


def head(data_dir: DataDir = DEFAULT_DATA_DIR, out: Out = None) -> None:
    """A signed head: it commits to everything in front of the position it names. For somebody else to keep."""
    from fixsim.audit.chain import ChainFiles

    chain = ChainFiles(data_dir)
    signed = _new_head(data_dir, chain)
    _write(signed.as_json(), out)
    behind = _behind(data_dir, signed.head.position)
    if behind:
        say(f"{behind} bytes are sealed behind position {signed.head.position}: this head does not prove them yet")


def prove(
    position: Annotated[int | None, typer.Argument(metavar="[POSITION]", min=0, help="A record's journal position.")] = None,
    since: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prove that the head continues this older one instead.")
    ] = None,
    head: Head = None,
    out: Out = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """A proof that a message is under a head, or that one head continues another; checked without the journal."""
    from fixsim.audit.chain import ChainFiles
    from fixsim.audit.heads import read_head
    from fixsim.audit.proofs import prove_consistency, prove_record
    from fixsim.cli.narrate import open_journal

    if (position is None) == (since is None):
        raise UsageError("give the position of a message, or --since FILE for the older of two heads")
    chain = ChainFiles(data_dir)
    signed = _new_head(data_dir, chain) if head is None else read_head(head)
    if since is not None:
        _write(prove_consistency(chain, read_head(since), signed), out)
    elif position is not None:
        _write(prove_record(open_journal(data_dir), chain, position, signed), out)


def check_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A proof, as fixsim audit prove writes it.")],
    key: Key = None,
    json: Json = False,
) -> None:
    """Check a proof. Needs nothing but the file; --key says who must have signed."""
    from fixsim.audit.findings import describe
    from fixsim.audit.heads import fingerprint, read_json
    from fixsim.audit.moments import show_moment
    from fixsim.audit.proofs import check_proof as check

    proved = check(read_json(file), _public_key(key))
    newest = proved.heads[-1]
    record = proved.record
    if json:
        told: dict[str, Any] = {
            "verdict": "good",
            "heads": [signed.as_json() for signed in proved.heads],
            "key_given": bool(key),
        }
        if record is not None:
            told |= {"position": record.position, "time_ns": record.time_ns, "message": describe(record)}
            told |= {"raw": bytes(record.payload).decode("latin-1")}
        print_json(told)
        return
    if record is None:
        print(f"good: the head of {newest.head.time} continues that of {proved.heads[0].head.time}")
    else:
        print(f"good: position {record.position}, {show_moment(record.time_ns)}: {describe(record)}")
        print(f"is under the head of {newest.head.time}, position {newest.head.position}")
    print(f"signed by {newest.public_key}")
    if key is None:
        say(f"compare the key (fingerprint {fingerprint(newest.public_key)}) with one you trust, or give it by --key")


def verify(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    database_url: Url = None,
    head: Heads = None,
    key: Key = None,
    limit: Annotated[int, typer.Option(min=1, help="Findings shown at most.")] = FINDINGS_MAX,
    json: Json = False,
) -> None:
    """Hold journal files, hash chain, PostgreSQL rows and heads against each other.

    Names what was altered, is missing, was put in or reordered, the first of each first. Exit code 1 for any finding.
    """
    from fixsim.audit.chain import ChainFiles
    from fixsim.audit.heads import read_head
    from fixsim.audit.verify_files import FileCheck, check_head
    from fixsim.cli.narrate import open_journal

    reader, chain = open_journal(data_dir), ChainFiles(data_dir)
    signed = [(path, read_head(path)) for path in head or ()]
    public_key = _public_key(key) or _own_key(data_dir)
    findings: list[Finding] = []
    files = FileCheck(reader, chain)
    end = chain.entry(len(chain) - 1).end if len(chain) else 0
    with progress_bar("hashing", end) as progress:
        findings += files.run(progress)
    for _, one in signed:
        findings += check_head(one, chain, files, public_key)
    rows = _check_rows(data_dir, database_url, reader, files, findings, end)
    told = {
        "verdict": "altered" if findings else "good",
        "seals": len(files.leaves),
        "records": files.records,
        "position": end,
        "unproved_bytes": files.unproved_bytes,
        "unproved_records": files.unproved_records,
        "heads": len(signed),
        "rows": rows,
        "findings": [asdict(finding) for finding in findings[:limit]],
    }
    if json:
        print_json(told)
    else:
        _tell(told, findings, limit)
    if findings:
        raise typer.Exit(FINDING)


def _tell(told: dict[str, Any], findings: "list[Finding]", limit: int) -> None:
    for finding in findings[:limit]:
        print(finding.line())
    if len(findings) > limit:
        say(f"{len(findings) - limit} more; --limit shows them")
    counted = f"{told['seals']} seals, {told['records']} records to position {told['position']}"
    if told["rows"] is not None:
        counted += ", rows of " + ", ".join(f"{table} {count}" for table, count in told["rows"].items())
    if told["heads"]:
        counted += f", heads {told['heads']}"
    print(f"{len(findings)} findings in {counted}" if findings else f"good: {counted}")
    if told["unproved_bytes"]:
        say(f"{told['unproved_records']} records ({told['unproved_bytes']} bytes) are sealed behind that and not proved yet")


def _check_rows(
    data_dir: Path, url: str | None, reader: "Reader", files: "FileCheck", findings: "list[Finding]", end: int
) -> dict[str, int] | None:
    """Compare the rows, if there is a database: how many of each table were compared, None without one."""
    from fixsim.audit.place import has_cluster

    if url == "none" or (url in (None, "embedded") and not has_cluster(data_dir)):
        return None
    from fixsim.audit.database import EMBEDDED, open_database
    from fixsim.audit.verify_rows import RowCheck
    from fixsim.audit.verify_views import check_views

    database = open_database(data_dir, url or EMBEDDED, say, create=False)

    async def run(progress: Callable[[int], None] | None) -> dict[str, int]:
        await database.start()
        connection = await database.connect()
        try:
            check = RowCheck(reader, connection, files.batches(), files.holes)
            await check.run(findings.append, progress)
            if not await check_views(connection, findings.append):
                say("the views were not compared: this login may not make a temporary one")
            await _name(check, findings)
            return check.compared
        finally:
            await connection.close()

    try:
        with progress_bar("comparing rows", end) as progress:
            return asyncio.run(run(progress))
    finally:
        database.leave()


async def _name(check: Any, findings: "list[Finding]") -> None:
    """What the database has where the journal is not what it was."""
    from dataclasses import replace

    from fixsim.audit.findings import JOURNAL

    for place, finding in enumerate(findings):
        if finding.where == JOURNAL and (known := await check.message_at(finding.position)) and known != finding.message:
            text = f"{finding.text}; " if finding.text else ""
            findings[place] = replace(finding, text=f"{text}the database has {known}")


# ---------------------------------------------------------------- heads, keys, files


def _new_head(data_dir: Path, chain: "ChainFiles") -> "SignedHead":
    from fixsim.audit.heads import head_of, load_key

    return load_key(data_dir).sign(head_of(chain))


def _behind(data_dir: Path, position: int) -> int:
    """Bytes sealed behind `position`, which is where a batch ended."""
    from fixsim.cli.narrate import open_journal
    from fixsim.errors import JournalError

    try:
        return sum(batch.end - batch.begin for batch in open_journal(data_dir).batches(position, live=True))
    except JournalError:
        return 0


def _own_key(data_dir: Path) -> str | None:
    """The public key of the data directory, None when it is gone: then heads vouch for themselves only."""
    from fixsim.audit.heads import load_key

    try:
        return load_key(data_dir).public
    except AuditError:
        return None


def _public_key(text: str | None) -> str | None:
    """A public key as it was given: hex, or a file with hex or a head in it. Raises UsageError."""
    if text is None:
        return None
    if _is_key(text):
        return text.lower()
    try:
        found = Path(text).read_text(encoding="ascii").strip()
        found = json_module.loads(found)["public_key"] if found.startswith("{") else found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--key {text}: 64 hexadecimal digits, or a file that holds them") from error
    if not isinstance(found, str) or not _is_key(found):
        raise UsageError(f"--key {text}: 64 hexadecimal digits, or a file that holds them")
    return found.lower()


def _is_key(text: str) -> bool:
    try:
        return len(text) == 64 and len(bytes.fromhex(text)) == 32
    except ValueError:
        return False


def _write(told: dict[str, Any], out: Path | None) -> None:
    if out is None:
        print_json(told)
        return
    out.write_text(json_module.dumps(told) + "\n", encoding="ascii")
    say(f"written to {out}")


#: The commands, by name.
EVIDENCE: Final[dict[str, Callable[..., None]]] = {
    "verify": verify,
    "head": head,
    "key": key,
    "prove": prove,
    "check-proof": check_proof,
}
