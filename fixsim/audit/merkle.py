"""Merkle trees as RFC 6962 section 2.1 defines them: hash, inclusion proof, consistency proof; checked as in RFC 9162.

A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right); the left half of a tree of n leaves is the
largest power of two below n. Here trees are given by the hashes of their leaves.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

#: Hash of a tree without leaves.
EMPTY: Final = sha256(b"").digest()
HASH_BYTES: Final = 32


def leaf_hash(entry: bytes | memoryview) -> bytes:
    """Hash of the leaf that holds `entry`."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash over leaf hashes."""
    level = list(leaves) or [EMPTY]
    while len(level) > 1:
        # a node without a partner is the root of a complete subtree on the right: it rises as it is
        risen = level[-1:] if len(level) & 1 else []
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + risen
    return level[0]


class Frontier:
    """A tree that grows: the roots of its complete subtrees, largest first; 32 bytes for each bit of its size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._roots: list[bytes] = []
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """Append a leaf by its hash."""
        size, node = self.size, leaf
        while size & 1:
            node = node_hash(self._roots.pop(), node)
            size >>= 1
        self._roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Merkle tree hash of what was added so far."""
        if not self._roots:
            return EMPTY
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(index, leaves): the hashes that lead from leaf `index` to the root, nearest first."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    begin, end = 0, len(leaves)
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(tree_hash(leaves[middle:end]))
            end = middle
        else:
            path.append(tree_hash(leaves[begin:middle]))
            begin = middle
    return path[::-1]


def consistency_path(size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(size, leaves): that the tree of the first `size` leaves is the beginning of the tree of all of them."""
    if not 0 < size <= len(leaves):
        raise IndexError(size)
    path: list[bytes] = []
    begin, end, whole = 0, len(leaves), True
    while begin + size != end:
        middle = begin + _split(end - begin)
        if begin + size <= middle:
            path.append(tree_hash(leaves[middle:end]))
            end = middle
        else:
            path.append(tree_hash(leaves[begin:middle]))
            size -= middle - begin
            begin, whole = middle, False
    if not whole:
        path.append(tree_hash(leaves[begin:end]))
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that `path` leads to from leaf hash `leaf` at `index` of `size`; None when the path does not fit."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(sibling, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Does `path` prove that the tree of `first` leaves is the beginning of the tree of `second`?"""
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    steps = [first_root, *path] if first & (first - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and (old, new) == (first_root, second_root)
