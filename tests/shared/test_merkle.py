"""RFC 6962 trees against the definition of the RFC, written out naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import merkle
from shared.errors import BadProof


def naive_root(leaves: list[bytes]) -> bytes:
    """Return MTH(D) as RFC 6962 section 2.1 defines it, over entries."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


class Tree:
    """Complete subtrees in a dict, as the collector keeps them in a table."""

    def __init__(self, size: int) -> None:
        self.entries = [f"leaf {at}".encode() for at in range(size)]
        self.nodes: dict[tuple[int, int], bytes] = {}
        for at, entry in enumerate(self.entries):
            for level, index, value in merkle.grown(self.node, at, merkle.leaf_hash(entry)):
                self.nodes[level, index] = value

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


TREE = Tree(70)


@pytest.mark.parametrize("size", range(71))
def test_roots_are_those_of_the_definition(size: int) -> None:
    expected = naive_root(TREE.entries[:size])
    assert merkle.root(TREE.node, size) == expected
    assert merkle.root_of([merkle.leaf_hash(entry) for entry in TREE.entries[:size]]) == expected


@pytest.mark.parametrize("size", [0, 1, 2, 4095, 4096, 4097, 8191, 8192, 12_289])
def test_leaves_that_come_in_parts_have_the_same_root(size: int) -> None:
    leaves = [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(size)]
    rising = merkle.Rising()
    for at in range(0, size, 1500):
        rising.add(leaves[at : at + 1500])
    assert rising.root() == merkle.root_of(leaves)


def test_the_empty_tree_and_known_vectors() -> None:
    # RFC 6962 section 2.1: the hash of an empty list is the hash of an empty string.
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # certificate-transparency's own vector for a leaf of no bytes
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_every_leaf_of_every_tree_is_proved_and_no_other() -> None:
    for size in range(1, 40):
        root = merkle.root(TREE.node, size)
        for index in range(size):
            path = merkle.inclusion(TREE.node, index, size)
            leaf = merkle.leaf_hash(TREE.entries[index])
            merkle.check_inclusion(leaf, index, size, path, root)
            with pytest.raises(BadProof):
                merkle.check_inclusion(merkle.leaf_hash(b"other"), index, size, path, root)
            with pytest.raises(BadProof):
                merkle.check_inclusion(leaf, index, size, [*path, root], root)


def test_every_prefix_is_proved_and_no_other_history() -> None:
    for new in range(40):
        root = merkle.root(TREE.node, new)
        for old in range(new + 1):
            proof = merkle.consistency(TREE.node, old, new)
            old_root = merkle.root(TREE.node, old)
            merkle.check_consistency(old, new, old_root, root, proof)
            if old:
                with pytest.raises(BadProof):
                    merkle.check_consistency(old, new, hashlib.sha256(b"rewritten").digest(), root, proof)


@given(st.integers(1, 60), st.data())
def test_a_changed_proof_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = merkle.consistency(TREE.node, old, new)
    if not proof:
        return
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
    with pytest.raises(BadProof):
        merkle.check_consistency(old, new, merkle.root(TREE.node, old), merkle.root(TREE.node, new), changed)


def test_a_shorter_log_is_no_continuation() -> None:
    with pytest.raises(BadProof, match="does not contain"):
        merkle.check_consistency(5, 4, merkle.root(TREE.node, 5), merkle.root(TREE.node, 4), [])
