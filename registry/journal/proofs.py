"""Proofs from the sealed journal: that an entry is in it, and that it only ever grew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from registry.journal import merkle
from registry.journal.leaves import bodies
from registry.journal.models import JournalLeaf, JournalNode, JournalSeal
from registry.journal.sealer import KEPT_LEVELS, head
from registry.journal.untold import ALL_TOLD, Untold
from registry.kernel.errors import Invalid, NotFound


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the entry numbered `seq` is leaf `seq` - 1 of the tree of this root."""

    seq: int
    tree_size: int
    root: bytes
    leaf_hash: bytes
    path: Sequence[bytes]
    entry: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the tree of the first size is a beginning of that of the second."""

    first_size: int
    second_size: int
    first_root: bytes
    second_root: bytes
    path: Sequence[bytes]


@dataclass(slots=True)
class Tree:
    """The stored tree, read a tile of at most 256 hashes at a time.

    What was hashed is kept: the paths of neighbours are nearly the same.
    """

    session: Session
    _tiles: dict[tuple[int, int], list[bytes]] = field(default_factory=dict)
    _hashes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def range_hash(self, low: int, high: int) -> bytes:
        """Return the hash of the leaves from `low` up to `high`, as RFC 6962 cuts them."""
        size = high - low
        if size == 0:
            return merkle.EMPTY_ROOT
        if (low, high) not in self._hashes:
            self._hashes[low, high] = self._hash(low, high)
        return self._hashes[low, high]

    def _hash(self, low: int, high: int) -> bytes:
        size = high - low
        if size & (size - 1) == 0:
            return self._node(size.bit_length() - 1, low)
        middle = low + merkle.split(size)
        return merkle.node_hash(self.range_hash(low, middle), self.range_hash(middle, high))

    def _node(self, level: int, low: int) -> bytes:
        base = level - level % KEPT_LEVELS
        start, count = low >> base, 1 << level - base
        tile = self._tile(base, start >> KEPT_LEVELS)
        hashes = tile[start % (1 << KEPT_LEVELS) :][:count]
        while len(hashes) > 1:
            hashes = [merkle.node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def _tile(self, base: int, number: int) -> list[bytes]:
        if (base, number) not in self._tiles:
            first, width = number << KEPT_LEVELS, 1 << KEPT_LEVELS
            if base == 0:
                query = (
                    select(JournalLeaf.leaf_hash)
                    .where(col(JournalLeaf.seq) > first, col(JournalLeaf.seq) <= first + width)
                    .order_by(col(JournalLeaf.seq))
                )
            else:
                query = (
                    select(JournalNode.node_hash)
                    .where(
                        col(JournalNode.level) == base,
                        col(JournalNode.position) >= first,
                        col(JournalNode.position) < first + width,
                    )
                    .order_by(col(JournalNode.position))
                )
            self._tiles[base, number] = list(self.session.exec(query).all())
        return self._tiles[base, number]


def get_head(session: Session) -> JournalSeal:
    """Return the newest seal.

    Raises
    ------
    NotFound
        Nothing is sealed yet.
    """
    seal = head(session)
    if seal is None:
        raise NotFound("journal seal", "of any size")
    return seal


def prove_inclusion(
    session: Session, seq: int, *, tree_size: int | None = None, untold: Untold = ALL_TOLD
) -> InclusionProof:
    """Prove that the entry of this number is in the tree of a seal.

    Parameters
    ----------
    tree_size
        Of that seal, `seq` at least; without it, the newest one.
    untold
        Of these entries the proof has the hash alone.

    Raises
    ------
    NotFound
        No sealed entry has this number.
    """
    leaf = session.get(JournalLeaf, seq) if 0 < seq < 2**63 else None
    if leaf is None:
        raise NotFound("sealed journal entry", seq)
    seal = get_head(session) if tree_size is None else session.get_one(JournalSeal, tree_size)
    path = merkle.inclusion_path(seq - 1, seal.tree_size, Tree(session).range_hash)
    found = dict(bodies(session, leaf.kind, [leaf.entry_id]))
    entry = found.get(leaf.entry_id)
    if entry is not None and untold.hides(entry):
        entry = None
    return InclusionProof(seq, seal.tree_size, seal.root, leaf.leaf_hash, path, entry)


def prove_consistency(session: Session, first: int, second: int) -> ConsistencyProof:
    """Prove that the journal of `second` entries only adds to that of `first`.

    Raises
    ------
    Invalid
        ``journal_size_unknown``: the sizes are out of order, or larger than what is sealed.
    """
    sealed = get_head(session).tree_size
    if not 0 < first <= second <= sealed:
        raise Invalid(
            "journal_size_unknown",
            f"{first} and {second} are not two sizes, in order, of a journal of {sealed} entries.",
            field="first",
            remedy="Ask for sizes from 1 to that of /v1/journal/head.",
        )
    of = Tree(session).range_hash
    path = merkle.consistency_path(first, second, of)
    return ConsistencyProof(first, second, of(0, first), of(0, second), path)
