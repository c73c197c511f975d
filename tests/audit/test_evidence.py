"""Whatever is changed in journal files or chain is found and named; what is proved can be shown to others."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from replay.forgery import Loose, forge, reframed
from replay.recording import record_day

from fixsim.audit.chain import ENTRY, MAGIC, ChainFiles
from fixsim.audit.hasher import Hasher
from fixsim.cli.main import main
from fixsim.journal.reader import Reader
from fixsim.journal.record import Record, records
from fixsim.journal.segments import journal_directory
from fixsim.layout import Kind

Audit = Callable[..., tuple[int, str, str]]


def hashed(data_dir: Path) -> None:
    hasher = Hasher(data_dir, lambda line: pytest.fail(line))
    hasher.finish()
    assert hasher.run()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A day with its chain; nobody changes it."""
    data_dir = tmp_path_factory.mktemp("evidence")
    record_day(data_dir, 300, seed=3)
    hashed(data_dir)
    yield data_dir
    shutil.rmtree(data_dir)


@pytest.fixture
def copy(day: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(day, tmp_path / "copy"))


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str]) -> Audit:
    """Runs `fixsim audit ...`; exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["audit", *map(str, arguments)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.out, said.err

    return run


def verified(audit: Audit, data_dir: Path, *more: object) -> list[dict[str, Any]]:
    """The findings of `fixsim audit verify`."""
    code, out, err = audit("verify", "--data-dir", data_dir, "--json", *more)
    assert out, err
    told = json.loads(out)
    assert (code == 1) == bool(told["findings"]) == (told["verdict"] == "altered")
    return list(told["findings"])


def all_records(data_dir: Path) -> list[Record]:
    return [record for batch in Reader(journal_directory(data_dir)).batches() for record in records(batch.view)]


def spoil(data_dir: Path, position: int, change: Callable[[int], int]) -> None:
    """Change one byte of the journal, which is one file."""
    (file,) = journal_directory(data_dir).glob("*.fixj")
    octets = bytearray(file.read_bytes())
    octets[position] = change(octets[position])
    file.write_bytes(octets)


def test_a_day_is_good(day: Path, audit: Audit, tmp_path: Path) -> None:
    code, out, _ = audit("verify", "--data-dir", day)
    assert code == 0 and out.startswith("good: ")
    assert audit("head", "--data-dir", day, "--out", tmp_path / "head")[0] == 0
    assert verified(audit, day, "--head", tmp_path / "head") == []


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_names_its_record(seed: int, day: Path, copy: Path, audit: Audit) -> None:
    """Any bit of any record: header, payload, padding, or seal."""
    random = Random(seed)
    record = random.choice(all_records(day))
    at = random.randrange(record.position, record.end)
    spoil(copy, at, lambda octet: octet ^ 1 << random.randrange(8))
    found = verified(audit, copy)
    assert [(f["what"], f["where"], f["position"]) for f in found] == [("altered", "journal", record.position)]
    if record.kind in (Kind.IN, Kind.OUT) and at >= record.position + 64:
        assert found[0]["message"]


def test_bits_in_several_batches_are_each_found(day: Path, copy: Path, audit: Audit) -> None:
    wanted = [record.position for record in all_records(day)[10::150]]
    for position in wanted:
        spoil(copy, position + 70, lambda octet: octet ^ 32)
    assert [finding["position"] for finding in verified(audit, copy)] == wanted


@pytest.mark.parametrize("seed", range(12))
def test_a_bit_of_the_chain_is_the_chains(seed: int, copy: Path, audit: Audit) -> None:
    """The journal is what it was, and is not blamed."""
    random = Random(seed)
    name = ("seals", "records")[seed % 4 == 3]
    file = copy / "chain" / name
    octets = bytearray(file.read_bytes())
    octets[random.randrange(len(MAGIC) if name == "seals" else 0, len(octets))] ^= 1 << random.randrange(8)
    file.write_bytes(octets)
    found = verified(audit, copy)
    assert found and {finding["where"] for finding in found} == {"chain"}


def test_a_file_cut_short_is_missing_its_end(day: Path, copy: Path, audit: Audit) -> None:
    record = all_records(day)[400]
    (file,) = journal_directory(copy).glob("*.fixj")
    file.write_bytes(file.read_bytes()[: record.position + 10])
    first = verified(audit, copy)[0]
    assert (first["what"], first["where"]) in {("altered", "journal"), ("missing", "journal")}
    assert record.position - 4_000 < first["position"] <= record.position


def test_a_journal_that_lost_its_sealed_end_is_missing_it(day: Path, copy: Path, audit: Audit) -> None:
    batches = list(Reader(journal_directory(day)).batches())
    (file,) = journal_directory(copy).glob("*.fixj")
    octets = bytearray(file.read_bytes())
    end = batches[-5].end
    octets[end:] = bytes(len(octets) - end)
    file.write_bytes(octets)
    (found,) = verified(audit, copy)
    assert (found["what"], found["where"], found["position"]) == ("missing", "journal", batches[-4].begin)


def reports(loose: list[Loose]) -> list[int]:
    return [at for at, (header, _) in enumerate(loose) if header[10] == b"8\0"]


@pytest.mark.parametrize("what", ["altered", "missing", "inserted", "reordered", "altered longer"])
def test_a_journal_written_anew_is_found_at_the_first_difference(
    what: str, day: Path, copy: Path, audit: Audit, tmp_path: Path
) -> None:
    """Every seal of the forged journal is right; only the chain knows better."""
    named: list[int] = []

    def change(loose: list[Loose]) -> list[Loose]:
        places = reports(loose)
        if named or len(places) < 3 or loose[0][0][4] < 60_000:
            return loose
        first, second = places[:2]
        named.append(loose[first][0][4])
        header, payload = loose[first]
        match what:
            case "altered":
                loose[first] = (header, payload.replace(b"\x0160=2024", b"\x0160=2025"))
            case "altered longer":
                loose[first] = (header, reframed(payload, b"\x0114=", b"\x0158=forged\x0114="))
            case "missing":
                del loose[first]
            case "inserted":
                loose.insert(first, (list(header), reframed(payload, b"\x0117=", b"\x0117=9")))
            case "reordered":
                loose[first], loose[second] = loose[second], loose[first]
        return loose

    shutil.rmtree(copy / "journal")
    forge(day, copy, change)
    assert named
    first = verified(audit, copy)[0]
    assert (first["what"], first["where"], first["position"]) == (what.split()[0], "journal", named[0])


def test_a_message_replaced_in_the_very_last_batch_is_found(day: Path, copy: Path, audit: Audit) -> None:
    """A start would cut it as a torn tail; the chain remembers that it was sealed."""
    last = all_records(day)[-1]
    spoil(copy, last.position + 80, lambda octet: octet ^ 1)
    (found,) = verified(audit, copy)
    assert (found["what"], found["position"]) == ("altered", last.position)


# ---------------------------------------------------------------- heads and proofs


def test_a_history_rewritten_with_its_chain_is_found_by_a_head_kept_elsewhere(
    day: Path, copy: Path, audit: Audit, tmp_path: Path
) -> None:
    head = tmp_path / "head.json"
    audit("head", "--data-dir", day, "--out", head)

    def change(loose: list[Loose]) -> list[Loose]:
        return [(header, payload.replace(b"\x0154=1\x01", b"\x0154=2\x01")) for header, payload in loose]

    shutil.rmtree(copy / "journal")
    forge(day, copy, change)
    for name in ("seals", "records"):
        (copy / "chain" / name).unlink()
    hashed(copy)
    assert verified(audit, copy) == []  # there is nothing left to compare it with
    (found,) = verified(audit, copy, "--head", head)
    assert found["where"] == "chain" and "written anew" in found["text"]


def test_a_head_that_was_changed_or_signed_by_another_is_found(day: Path, audit: Audit, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    audit("head", "--data-dir", day, "--out", head)
    told = json.loads(head.read_text())
    told["head"]["records"] += 1
    head.write_text(json.dumps(told))
    (found,) = verified(audit, day, "--head", head)
    assert found["where"] == "head" and "signature" in found["text"]
    audit("head", "--data-dir", day, "--out", head)
    (found,) = verified(audit, day, "--head", head, "--key", "ab" * 32)
    assert "signed by" in found["text"]
    head.write_text("{}")
    assert audit("verify", "--data-dir", day, "--head", head)[0] == 1


def test_any_message_can_be_proved_to_somebody_without_the_journal(day: Path, audit: Audit, tmp_path: Path) -> None:
    proof, key = tmp_path / "proof.json", audit("key", "--data-dir", day)[1].strip()
    for record in all_records(day)[::61]:
        assert audit("prove", record.position, "--data-dir", day, "--out", proof)[0] == 0
        code, out, _ = audit("check-proof", proof, "--key", key, "--json")
        told = json.loads(out)
        assert (code, told["verdict"], told["position"]) == (0, "good", record.position)
        assert told["raw"].encode("latin-1") == bytes(record.payload)
    assert audit("check-proof", proof)[1].startswith("good: position ")
    assert audit("check-proof", proof, "--key", "00" * 32)[0] == 1
    assert audit("check-proof", proof, "--key", "nonsense")[0] == 2


def test_a_proof_of_something_else_is_refused(day: Path, audit: Audit, tmp_path: Path) -> None:
    proof, random = tmp_path / "proof.json", Random(5)
    audit("prove", all_records(day)[77].position, "--data-dir", day, "--out", proof)
    good = json.loads(proof.read_text())
    for name in ("record", "seal", "signature"):
        octets = bytearray.fromhex(good[name])
        octets[random.randrange(len(octets))] ^= 1
        proof.write_text(json.dumps(good | {name: octets.hex()}))
        assert audit("check-proof", proof)[0] == 1
    for changed in (
        {"record_index": good["record_index"] + 1}, {"seal_index": good["seal_index"] ^ 1},
        {"seal_path": good["seal_path"][1:]},
        {"record_path": [*good["record_path"], "00" * 32]}, {"position": good["position"] + 8}, {"proof": "of guilt"},
        {"head": good["head"] | {"seals": good["head"]["seals"] + 1}}, {"seal_path": "x"}, {"record": "zz"}, {"head": None},
    ):  # fmt: skip
        proof.write_text(json.dumps(good | changed))
        code, out, err = audit("check-proof", proof)
        assert (code, out) == (1, "") and err.startswith("fixsim: ") and err.count("\n") == 1
    proof.write_text("[]")
    assert audit("check-proof", proof)[0] == 1
    assert audit("check-proof", tmp_path / "none")[0] == 1


def test_one_head_continues_another(day: Path, copy: Path, audit: Audit, tmp_path: Path) -> None:
    new, old, proof = (tmp_path / name for name in ("new", "old", "proof"))
    audit("head", "--data-dir", day, "--out", new)
    seals = copy / "chain" / "seals"
    octets = seals.read_bytes()
    for count in (1, 2, 57, len(ChainFiles(day))):
        seals.write_bytes(octets[: len(MAGIC) + count * ENTRY.size])
        audit("head", "--data-dir", copy, "--out", old)
        assert audit("prove", "--since", old, "--head", new, "--data-dir", day, "--out", proof)[0] == 0
        assert audit("check-proof", proof)[0] == 0
        assert verified(audit, day, "--head", old, "--head", new) == []
    told = json.loads(proof.read_text())
    proof.write_text(json.dumps(told | {"old": told["old"] | {"signature": "00" * 64}}))
    assert audit("check-proof", proof)[0] == 1
    assert audit("prove", "--since", new, "--head", old, "--data-dir", copy)[0] in (0, 1)


def test_what_is_behind_the_head_is_not_proved_and_that_is_said(copy: Path, audit: Audit, tmp_path: Path) -> None:
    seals = copy / "chain" / "seals"
    octets = seals.read_bytes()
    seals.write_bytes(octets[: len(octets) - 5 * ENTRY.size])
    last = all_records(copy)[-1].position
    code, _, err = audit("head", "--data-dir", copy, "--out", tmp_path / "head")
    assert code == 0 and "does not prove them yet" in err
    code, _, err = audit("prove", last, "--data-dir", copy)
    assert code == 1 and "not proved yet" in err
    code, _, err = audit("verify", "--data-dir", copy)
    assert code == 0 and "not proved yet" in err


@pytest.mark.parametrize(
    "arguments", [["prove"], ["prove", "5", "--since", "x"], ["check-proof"], ["prove", "-1"], ["verify", "--key", "x"]]
)
def test_a_mistake_is_exit_code_2(arguments: list[str], day: Path, audit: Audit) -> None:
    more = [] if arguments[0] == "check-proof" else ["--data-dir", str(day)]
    code, out, err = audit(*arguments, *more)
    assert (code, out) == (2, "") and err


def test_there_is_no_chain_no_key_no_record(day: Path, tmp_path: Path, audit: Audit) -> None:
    for arguments in (["head"], ["key"], ["prove", "64"]):
        code, out, err = audit(*arguments, "--data-dir", tmp_path)
        assert (code, out) == (1, "") and err.count("\n") == 1
    code, _, err = audit("prove", "65", "--data-dir", day)
    assert code == 1 and "no record begins" in err
