"""Merkle trees as in RFC 6962, section 2.1: hashes, growing trees, proofs.

Pure: whoever checks an exported journal needs this module and nothing of a database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

RangeHash = Callable[[int, int], bytes]
"""Gives the tree hash of the leaves from `low` up to, not including, `high`."""


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """Return the largest power of two below `size`: where a tree of two or more is cut."""
    return 1 << (size - 1).bit_length() - 1


@dataclass(slots=True)
class Frontier:
    """A tree of which only the right edge is kept: enough to grow it, and to know its root.

    Parameters
    ----------
    edge
        Hashes of the whole subtrees that make up `size` leaves, from the left.
    """

    size: int = 0
    edge: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, size: int, edge: bytes) -> Frontier:
        parts = [edge[at : at + HASH_BYTES] for at in range(0, len(edge), HASH_BYTES)]
        return cls(size, parts)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf's hash; return every inner node that is whole now: level, place, hash."""
        made = []
        level, place, top = 0, self.size, leaf
        while place & 1:
            top = node_hash(self.edge.pop(), top)
            level, place = level + 1, place >> 1
            made.append((level, place, top))
        self.edge.append(top)
        self.size += 1
        return made

    @property
    def is_sound(self) -> bool:
        return len(self.edge) == self.size.bit_count()

    @property
    def root(self) -> bytes:
        if not self.edge:
            return EMPTY_ROOT
        root = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            root = node_hash(left, root)
        return root


def inclusion_path(index: int, size: int, of: RangeHash) -> list[bytes]:
    """Return the audit path of leaf `index`, from 0, in the tree of `size` leaves."""
    low, high, path = 0, size, []
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(of(middle, high))
            high = middle
        else:
            path.append(of(low, middle))
            low = middle
    return path[::-1]


def consistency_path(first: int, second: int, of: RangeHash) -> list[bytes]:
    """Return the proof that the tree of `first` leaves is a beginning of that of `second`."""
    if first in (0, second):
        return []
    low, high, path, is_whole = 0, second, [], True
    while first != high:
        middle = low + split(high - low)
        if first <= middle:
            path.append(of(middle, high))
            high = middle
        else:
            path.append(of(low, middle))
            low, is_whole = middle, False
    if not is_whole:
        path.append(of(low, high))
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that `path` leads to, or None if it has the wrong length."""
    if not 0 <= index < size:
        return None
    place, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            root = node_hash(sibling, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        place, last = place >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(
    first: int, second: int, roots: tuple[bytes, bytes], path: Sequence[bytes]
) -> bool:
    """Tell whether `path` proves that the second tree only adds to the first."""
    if first == second:
        return roots[0] == roots[1] and not path
    if first == 0:
        return roots[0] == EMPTY_ROOT and not path
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, roots[0])
    if not 0 < first < second or not hashes:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for part in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, part)
        place, last = place >> 1, last >> 1
    return last == 0 and (old, new) == roots
