"""Proofs that can be checked without the journal: that a record is under a head, that one head continues another.

An inclusion proof has two steps: from the record to the root of its batch, from the batch's entry to the root of the
head. Both are paths of RFC 6962. `docs/tamper-evidence.md` shows a checker in forty lines that shares nothing with this one.
"""

from dataclasses import dataclass
from typing import Any, Final

from fixsim.audit.chain import ENTRY, ChainFiles, Entry, hash_batch, octets_of
from fixsim.audit.heads import SignedHead, parse_head
from fixsim.audit.merkle import consistency_path, inclusion_path, is_consistent, leaf_hash, root_of_inclusion, tree_hash
from fixsim.errors import AuditError, JournalError
from fixsim.journal.reader import Reader
from fixsim.journal.record import HEADER, Record, record_at

INCLUSION: Final = "fixsim inclusion 1"
CONSISTENCY: Final = "fixsim consistency 1"


@dataclass(frozen=True)
class Proved:
    """What a good proof proves: the record (None for consistency), and the heads it is about, the newest last."""

    record: Record | None
    heads: tuple[SignedHead, ...]


def prove_record(reader: Reader, chain: ChainFiles, position: int, signed: SignedHead) -> dict[str, Any]:
    """An inclusion proof of the record at `position` under `signed`. Raises AuditError when there is none to be had."""
    head = signed.head
    if position >= head.position:
        raise AuditError(f"position {position} is not proved yet: the head covers what is in front of {head.position}")
    leaves = _leaves_under(chain, signed)
    index = chain.index_of(position)
    if index is None:
        raise AuditError(f"no record begins at position {position}")
    entry = chain.entry(index)
    octets = octets_of(reader, entry.begin, entry.end)
    hashed = hash_batch(octets)
    if tree_hash(hashed.leaves) != entry.root:
        raise AuditError(f"the journal does not hold what was sealed at position {entry.begin}; see fixsim audit verify")
    if position - entry.begin not in hashed.offsets:
        raise AuditError(f"no record begins at position {position}")
    place = hashed.offsets.index(position - entry.begin)
    end = hashed.offsets[place + 1] if place + 1 < len(hashed.offsets) else len(octets)
    return {
        "proof": INCLUSION,
        "position": position,
        "record": octets[hashed.offsets[place] : end].hex(),
        "record_index": place,
        "record_path": [sibling.hex() for sibling in inclusion_path(place, hashed.leaves)],
        "seal": entry.packed().hex(),
        "seal_index": index,
        "seal_path": [sibling.hex() for sibling in inclusion_path(index, leaves)],
        **signed.as_json(),
    }


def prove_consistency(chain: ChainFiles, old: SignedHead, new: SignedHead) -> dict[str, Any]:
    """A proof that `new` continues `old`. Raises AuditError when it does not, or the chain is not theirs."""
    if old.head.seals > new.head.seals:
        raise AuditError(f"the older head has {old.head.seals} seals, the newer one {new.head.seals}")
    leaves = _leaves_under(chain, new)
    if tree_hash(leaves[: old.head.seals]).hex() != old.head.root:
        raise AuditError(f"the chain does not continue the head of {old.head.time}; see fixsim audit verify")
    path = consistency_path(old.head.seals, leaves)
    return {
        "proof": CONSISTENCY,
        "old": old.as_json(),
        "new": new.as_json(),
        "path": [] if old.head.seals == new.head.seals else [sibling.hex() for sibling in path],
    }


def _leaves_under(chain: ChainFiles, signed: SignedHead) -> list[bytes]:
    """The leaves that `signed` is about. AuditError when the chain has others."""
    if signed.head.seals > len(chain):
        raise AuditError(f"the head has {signed.head.seals} seals, the chain {len(chain)}; see fixsim audit verify")
    leaves = chain.leaves(signed.head.seals)
    if tree_hash(leaves).hex() != signed.head.root:
        raise AuditError(f"the chain is not the one of the head of {signed.head.time}; see fixsim audit verify")
    return leaves


def check_proof(told: Any, public_key: str | None = None) -> Proved:
    """Check a proof read from JSON. Raises AuditError that says which step is wrong.

    With `public_key` (hex) the heads must be signed by it.
    """
    try:
        kind = told["proof"]
        if kind == INCLUSION:
            return _check_inclusion(told, public_key)
        if kind == CONSISTENCY:
            return _check_consistency(told, public_key)
    except (TypeError, KeyError, ValueError, AttributeError, JournalError) as error:
        raise AuditError("this is no proof of ours: a part is missing or malformed") from error
    raise AuditError(f"a proof of an unknown kind: {kind!r}")


def _check_inclusion(told: Any, public_key: str | None) -> Proved:
    signed = parse_head(told, "the proof")
    signed.check(public_key)
    octets, packed = bytes.fromhex(told["record"]), bytes.fromhex(told["seal"])
    entry = Entry(*ENTRY.unpack(packed)) if len(packed) == ENTRY.size else None
    if entry is None or len(octets) < HEADER.size:
        raise AuditError("this is no proof of ours: the record or the seal is cut short")
    record = record_at(memoryview(octets), 0, int(told["position"]))
    steps = (
        ("the record is not one of its batch", octets, told["record_index"], entry.records, told["record_path"], entry.root),
        ("the batch is not under the head", packed, told["seal_index"], signed.head.seals, told["seal_path"],
         bytes.fromhex(signed.head.root)),
    )  # fmt: skip
    for fault, leaf, index, size, path, root in steps:
        if root_of_inclusion(leaf_hash(leaf), int(index), size, [bytes.fromhex(each) for each in path]) != root:
            raise AuditError(fault)
    if not entry.begin <= record.position < entry.end or entry.end > signed.head.position:
        raise AuditError("the record does not lie in its batch")
    return Proved(record, (signed,))


def _check_consistency(told: Any, public_key: str | None) -> Proved:
    old, new = parse_head(told["old"], "the proof"), parse_head(told["new"], "the proof")
    for signed in (old, new):
        signed.check(public_key)
    if public_key is None and old.public_key != new.public_key:
        raise AuditError("the two heads are signed by different keys")
    path = [bytes.fromhex(sibling) for sibling in told["path"]]
    if not is_consistent(old.head.seals, bytes.fromhex(old.head.root), new.head.seals, bytes.fromhex(new.head.root), path):
        raise AuditError("the newer head does not continue the older one: what was in front of it has changed")
    return Proved(None, (old, new))
