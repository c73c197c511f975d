"""The forty lines in docs/tamper-evidence.md check a proof that fixsim made, and refuse one that was changed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, the_block
from replay.recording import record_day

from fixsim.audit.chain import ENTRY, ENTRY_DTYPE
from fixsim.cli.main import main
from fixsim.journal.reader import Reader
from fixsim.journal.record import records
from fixsim.journal.segments import journal_directory

PAGE = ROOT / "docs" / "tamper-evidence.md"


def audit(*arguments: object) -> None:
    """A command that succeeds."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert not left.value.code


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, bytes]:
    """A proof of some message, the key, and the message."""
    home = tmp_path_factory.mktemp("proof")
    data_dir = home / "data"
    record_day(data_dir, 100)
    audit("ship", "--data-dir", data_dir, "--database-url", "none", "--until-end", "--full-speed")
    told = [record for batch in Reader(journal_directory(data_dir)).batches() for record in records(batch.view)]
    record = next(record for record in told[100:] if record.msg_type == b"8\0")
    audit("audit", "prove", record.position, "--data-dir", data_dir, "--out", home / "proof.json")
    return home / "proof.json", json.loads((home / "proof.json").read_text())["public_key"], bytes(record.payload)


def checked(proof: Path, key: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What the page's program says to a proof."""
    program = folder / "check.py"
    program.write_text(the_block("proof").text)
    return subprocess.run([sys.executable, program, proof, key], capture_output=True, text=True, check=False, timeout=60)


def test_the_program_is_short_and_accepts_a_proof(proof: tuple[Path, str, bytes], tmp_path: Path) -> None:
    assert len(the_block("proof").text.splitlines()) <= 45
    done = checked(proof[0], proof[1], tmp_path)
    assert done.returncode == 0, done.stderr
    assert repr(proof[2]) in done.stdout


@pytest.mark.parametrize("name", ["record", "seal", "signature", "record_path", "seal_path", "head", "key"])
def test_the_program_refuses_what_was_changed(name: str, proof: tuple[Path, str, bytes], tmp_path: Path) -> None:
    told, key = json.loads(proof[0].read_text()), proof[1]
    match name:
        case "record" | "seal" | "signature":
            octets = bytearray.fromhex(told[name])
            octets[20] ^= 1
            told[name] = octets.hex()
        case "head":
            told["head"]["root"] = "00" * 32
        case "key":
            key = "11" * 32
        case _:
            told[name] = told[name][1:]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(told))
    assert checked(changed, key, tmp_path).returncode != 0


def test_the_entry_is_as_described() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert ENTRY.format in page and f"{ENTRY.size} bytes for each batch" in page
    row = re.search(r"^\| `seals` \| (.*) \|$", page, re.M)
    assert row is not None
    kinds = re.findall(r"\((int64|uint32|32 bytes)\)", row[1].replace("time of the seal in ns (int64)", "(int64)"))
    told = {"<i8": "int64", "<u4": "uint32", "|V32": "32 bytes"}
    assert kinds == [told[ENTRY_DTYPE[name].str] for name in ENTRY_DTYPE.names or ()]
