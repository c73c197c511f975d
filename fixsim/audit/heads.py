"""Signed heads: one line of JSON that commits to everything in front of the position it names.

A head is worth what the place is worth where it is kept: whoever can write to the data directory can also sign with its key.
So it is printed for somebody else to keep. The signature (Ed25519) is over the canonical JSON of `head`: keys
sorted, no blanks, ASCII.
"""

import json
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from fixsim.audit.chain import ChainFiles, chain_directory
from fixsim.audit.merkle import tree_hash
from fixsim.audit.moments import show_moment
from fixsim.errors import AuditError

FORMAT: Final = "fixsim head 1"
KEY: Final = "key.pem"
#: A signature or public key in a head.
PUBLIC_KEY_BYTES: Final = 32


@dataclass(frozen=True)
class Head:
    """What is signed: the tree over the first `seals` batches, which end at `position`. `time_ns` is the last seal's."""

    format: str
    seals: int
    records: int
    position: int
    time_ns: int
    time: str
    root: str

    def canonical(self) -> bytes:
        """The bytes a signature is over."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class SignedHead:
    """A head, who signed it (public key, hex) and the signature (hex)."""

    head: Head
    public_key: str
    signature: str

    def as_json(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {"head": asdict(self.head), "public_key": self.public_key, "signature": self.signature}

    def check(self, public_key: str | None = None) -> None:
        """Raises AuditError unless the signature is right, and by `public_key` (hex) if one is given."""
        if public_key is not None and public_key != self.public_key:
            raise AuditError(f"the head is signed by {self.public_key}, not by {public_key}")
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public_key))
            key.verify(bytes.fromhex(self.signature), self.head.canonical())
        except (ValueError, InvalidSignature) as error:
            raise AuditError("the signature of the head is wrong: it is not what was signed") from error


class SigningKey:
    """The private key of a data directory."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: str = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

    def sign(self, head: Head) -> SignedHead:
        """`head`, signed."""
        return SignedHead(head, self.public, self._key.sign(head.canonical()).hex())

    def public_pem(self) -> str:
        """The public key as other programs read it."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(public_key: str) -> str:
    """A short name of a public key (hex), for people to compare."""
    return sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def make_key(data_dir: Path) -> SigningKey:
    """The key of a data directory, made with mode 0600 when there is none. AuditError when it cannot be used; OSError."""
    directory = chain_directory(data_dir)
    path = directory / KEY
    if not path.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        octets = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        draft = directory / f".{KEY}-{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)  # never over a key that another process has made meanwhile
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return load_key(data_dir)


def load_key(data_dir: Path) -> SigningKey:
    """The key of a data directory. Raises AuditError when there is none, or it cannot be used."""
    path = chain_directory(data_dir) / KEY
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as error:
        raise AuditError(f"there is no key in {path.parent}: fixsim serve makes one when it starts") from error
    except (OSError, ValueError, TypeError) as error:
        raise AuditError(f"{path} cannot be used: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise AuditError(f"{path} is no Ed25519 key")
    return SigningKey(key)


def head_of(chain: ChainFiles) -> Head:
    """The head of the whole chain. Raises AuditError for an empty one, or one that is not what it was."""
    fault = chain.fault()
    if fault is not None:
        raise AuditError(f"seal {fault[0]} of the hash chain is not what it was: {fault[1]}")
    if not len(chain):
        raise AuditError("the hash chain has no seal yet")
    last = chain.entry(len(chain) - 1)
    return Head(
        FORMAT, len(chain), chain.records(), last.end, last.time_ns, show_moment(last.time_ns),
        tree_hash(chain.leaves()).hex(),
    )  # fmt: skip


def read_head(path: Path) -> SignedHead:
    """A head from a file. Raises AuditError when it is none; the signature is not checked."""
    return parse_head(read_json(path), str(path))


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises AuditError."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise AuditError(f"{path} is no JSON: {error}") from error


def parse_head(told: Any, where: str) -> SignedHead:
    """A head from JSON. Raises AuditError."""
    try:
        fields = told["head"]
        head = Head(**fields)
        signed = SignedHead(head, told["public_key"], told["signature"])
        numbers = (head.seals, head.records, head.position, head.time_ns)
        texts = (head.format, head.time, head.root, signed.public_key, signed.signature)
        good = all(type(number) is int and number > 0 for number in numbers) and all(type(text) is str for text in texts)
        good = good and head.format == FORMAT and len(bytes.fromhex(head.root)) == 32
        good = good and len(bytes.fromhex(signed.public_key)) == PUBLIC_KEY_BYTES
    except (TypeError, KeyError, ValueError):
        good = False
    if not good:
        raise AuditError(f"{where} holds no signed head")
    return signed
