"""The trees are RFC 6962's: its definitions written out once more, and the values everybody gets."""

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixsim.audit.merkle import (
    EMPTY,
    Frontier,
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    node_hash,
    root_of_inclusion,
    tree_hash,
)

#: Entries and roots of the trees of the first n of them, as implementations of RFC 6962 publish them for testing.
ENTRIES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


def defined(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word by word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256().digest()
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return node_hash(defined(hashes[:k]), defined(hashes[k:]))


@pytest.mark.parametrize("count", range(len(ROOTS)))
def test_roots_are_those_everybody_gets(count: int) -> None:
    entries = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES[:count]]
    assert tree_hash(entries).hex() == ROOTS[count]
    assert Frontier(entries).root().hex() == ROOTS[count]


@given(st.integers(0, 300))
def test_a_tree_is_what_is_defined_however_it_grew(count: int) -> None:
    assert defined(leaves(count)) == tree_hash(leaves(count)) == Frontier(leaves(count)).root()
    assert (tree_hash(leaves(count)) == EMPTY) == (count == 0)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 33, 64, 100])
def test_every_leaf_can_be_proved_and_nothing_else(size: int) -> None:
    hashes, random = leaves(size), Random(size)
    root = tree_hash(hashes)
    for index in range(size):
        path = inclusion_path(index, hashes)
        assert root_of_inclusion(hashes[index], index, size, path) == root
        assert root_of_inclusion(leaf_hash(b"another"), index, size, path) != root
        assert root_of_inclusion(hashes[index], index, size, [*path, root]) is None
        assert size == 1 or root_of_inclusion(hashes[index], (index + 1) % size, size, path) != root
        if path:
            assert root_of_inclusion(hashes[index], index, size, path[:-1]) is None
            at = random.randrange(len(path))
            flipped = bytes([path[at][0] ^ 1]) + path[at][1:]
            assert root_of_inclusion(hashes[index], index, size, [*path[:at], flipped, *path[at + 1 :]]) != root
    assert root_of_inclusion(hashes[0], size, size, []) is None


@pytest.mark.parametrize("size", [1, 2, 3, 6, 8, 21, 64])
def test_every_beginning_is_consistent_and_nothing_else(size: int) -> None:
    hashes = leaves(size)
    root = tree_hash(hashes)
    for first in range(1, size + 1):
        old, path = tree_hash(hashes[:first]), consistency_path(first, hashes) if first < size else []
        assert is_consistent(first, old, size, root, path)
        assert not is_consistent(first, leaf_hash(b"x"), size, root, path)
        assert not is_consistent(first, old, size, leaf_hash(b"x"), path)
        assert not is_consistent(first, old, size, root, [*path, root])
        if path:
            assert not is_consistent(first, old, size, root, path[1:])
    assert not is_consistent(0, EMPTY, size, root, [])
