"""RFC 6962 Merkle trees: roots, inclusion and consistency proofs, and their checks.

Rules of this file: no storage. A tree is a function `node(level, index)` that gives the hash of the complete
subtree over leaves ``[index << level, (index + 1) << level)``. Sections are those of RFC 6962; the checks follow
RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from shared.errors import BadProof

Node = Callable[[int, int], bytes]

_FULL = 4096  # leaves; a power of two
EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(octets: bytes) -> bytes:
    """Return the hash of one leaf (section 2.1)."""
    return hashlib.sha256(b"\x00" + octets).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(node: Node, size: int, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give the complete subtrees, lowest first, that a new leaf at index `size` completes: (level, index, hash)."""
    level, index, value = 0, size, leaf
    yield level, index, value
    while index & 1:
        value = node_hash(node(level, index - 1), value)
        level, index = level + 1, index >> 1
        yield level, index, value


def subtree(node: Node, first: int, stop: int) -> bytes:
    """Return the Merkle tree hash over leaves [first, stop), first being a multiple of the largest power of two."""
    if first == stop:
        return EMPTY
    size = stop - first
    level = size.bit_length() - 1
    if size == 1 << level:
        return node(level, first >> level)
    middle = first + _split(size)
    return node_hash(subtree(node, first, middle), subtree(node, middle, stop))


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def root(node: Node, size: int) -> bytes:
    """Return the root of the tree of that size."""
    return subtree(node, 0, size)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes held in a list.

    >>> root_of([]).hex()[:16]
    'e3b0c44298fc1c14'
    """
    level = list(leaves)
    if not level:
        return EMPTY
    while len(level) > 1:
        paired = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


class Rising:
    """The root over leaves that come one after the other; one hash is held for each 4,096 of them."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._full: list[bytes] = []  # roots of complete subtrees of 4,096 leaves

    def add(self, leaves: Iterable[bytes]) -> None:
        """Take the hashes of the next leaves."""
        self._leaves += leaves
        while len(self._leaves) >= _FULL:
            self._full.append(root_of(self._leaves[:_FULL]))
            del self._leaves[:_FULL]

    def root(self) -> bytes:
        """Return the root over all leaves so far.

        >>> rising = Rising()
        >>> rising.add([leaf_hash(b"a"), leaf_hash(b"b")])
        >>> rising.root() == root_of([leaf_hash(b"a"), leaf_hash(b"b")])
        True
        """
        return root_of([*self._full, root_of(self._leaves)] if self._leaves else self._full)


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return the audit path of a leaf (section 2.1.1), lowest first."""
    return _path(node, index, 0, size)


def _path(node: Node, index: int, first: int, stop: int) -> list[bytes]:
    if stop - first <= 1:
        return []
    middle = first + _split(stop - first)
    if index < middle:
        return [*_path(node, index, first, middle), subtree(node, middle, stop)]
    return [*_path(node, index, middle, stop), subtree(node, first, middle)]


def consistency(node: Node, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of size `old` is a prefix of that of size `new` (section 2.1.2)."""
    return [] if old in (0, new) else _subproof(node, old, 0, new, whole=True)


def _subproof(node: Node, old: int, first: int, stop: int, *, whole: bool) -> list[bytes]:
    if old == stop:
        return [] if whole else [subtree(node, first, stop)]
    middle = first + _split(stop - first)
    if old <= middle:
        return [*_subproof(node, old, first, middle, whole=whole), subtree(node, middle, stop)]
    return [*_subproof(node, old, middle, stop, whole=False), subtree(node, first, middle)]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> None:
    """Believe that a leaf stands at an index of the tree with that root (RFC 9162 section 2.1.3.2).

    Raises:
        BadProof: the path does not lead there.
    """
    if not 0 <= index < size:
        raise BadProof(f"position {index} is outside a tree of {size}")
    at, last, value = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise BadProof("an inclusion proof is too long")
        if at & 1 or at == last:
            value = node_hash(step, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, step)
        at, last = at >> 1, last >> 1
    if last != 0 or value != expected:
        raise BadProof(f"an inclusion proof of position {index} does not lead to the root of size {size}")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Believe that the older tree is a prefix of the newer (RFC 9162 section 2.1.4.2).

    Raises:
        BadProof: it is not shown to be.
    """
    if not 0 <= old <= new or (old == new and (proof or old_root != new_root)):
        raise BadProof(f"a log of size {new} does not contain the log of size {old} seen before")
    if old in (0, new):
        return
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    if not steps:
        raise BadProof("a consistency proof is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise BadProof("a consistency proof is too long")
        if at & 1 or at == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node_hash(newer, step)
        at, last = at >> 1, last >> 1
    if last != 0 or older != old_root or newer != new_root:
        raise BadProof(f"the log of size {new} is not a continuation of the log of size {old} seen before")
