"""The journal, its seals and proofs over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from api.schemas.common import AsOfBlockRead, BigInteger, Read, address_of, hash_of
from registry.anchor.reading import Anchor, AnchorState
from registry.anchor.service import LOG
from registry.journal.models import JournalEntry, JournalSeal
from registry.journal.proofs import ConsistencyProof, InclusionProof


class JournalEntryRead(Read):
    """One act, as it was journalled; `seq` is its number, once it is sealed."""

    id: UUID
    seq: int | None
    recorded_at: datetime
    actor: str
    act: str
    subject_kind: str
    subject_id: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, entry: JournalEntry, seq: int | None) -> Self:
        return cls(**entry.model_dump(exclude={"recording_id"}), seq=seq)


class JournalHeadRead(Read):
    """How many entries are sealed, and the root of their Merkle tree (RFC 6962)."""

    tree_size: int
    root: str
    previous_root: str
    sealed_at: datetime

    @classmethod
    def of(cls, seal: JournalSeal) -> Self:
        return cls(
            tree_size=seal.tree_size,
            root=seal.root.hex(),
            previous_root=seal.previous_root.hex(),
            sealed_at=seal.sealed_at,
        )


class AnchorRead(Read):
    """A root of the journal that goes on chain, or stands there.

    The contract answers `rootAt(log, tree_size)` with `root` to anybody. `tx_hash` and `block` are
    those of its event, and null while the chain, as far as it is read, has none.
    """

    id: UUID
    chain: str
    contract: str | None
    log: str
    tree_size: BigInteger
    root: str
    state: AnchorState
    operation_id: UUID
    tx_hash: str | None
    block: AsOfBlockRead | None

    @classmethod
    def of(cls, anchor: Anchor, needed: int, **more: Any) -> Self:
        return cls(
            id=anchor.id,
            chain=f"eip155:{anchor.chain_id}",
            contract=address_of(anchor.contract) if anchor.contract else None,
            log=hash_of(LOG),
            tree_size=anchor.tree_size,
            root=anchor.root.hex(),
            state=anchor.state,
            operation_id=anchor.operation_id,
            tx_hash=hash_of(anchor.tx_hash) if anchor.tx_hash else None,
            block=AsOfBlockRead.of(anchor.block, needed) if anchor.block else None,
            **more,
        )


class CoveringAnchorRead(AnchorRead):
    """The first anchor on chain whose tree has the entry, and the entry's path to its root."""

    audit_path: list[str]

    @classmethod
    def covering(cls, anchor: Anchor, needed: int, path: Sequence[bytes]) -> Self:
        return cls.of(anchor, needed, audit_path=[part.hex() for part in path])


class InclusionProofRead(Read):
    """That `entry` is leaf `seq` - 1 of the tree of `tree_size` leaves; hashes are hex.

    `leaf_hash` is SHA-256 of a zero byte and the canonical JSON (RFC 8785) of `entry`. `entry` is
    null where the row is gone, and where it tells of what you may not know of. `anchor` proves the
    same to a root on chain; null while no root that covers the entry is there.
    """

    seq: int
    tree_size: int
    root: str
    leaf_hash: str
    audit_path: list[str]
    entry: dict[str, Any] | None
    anchor: CoveringAnchorRead | None

    @classmethod
    def of(cls, proof: InclusionProof, anchor: CoveringAnchorRead | None) -> Self:
        return cls(
            seq=proof.seq,
            tree_size=proof.tree_size,
            root=proof.root.hex(),
            leaf_hash=proof.leaf_hash.hex(),
            audit_path=[part.hex() for part in proof.path],
            entry=proof.entry,
            anchor=anchor,
        )


class ConsistencyProofRead(Read):
    """That the journal of the first size is a beginning of that of the second."""

    first_size: int
    second_size: int
    first_root: str
    second_root: str
    path: list[str]

    @classmethod
    def of(cls, proof: ConsistencyProof) -> Self:
        return cls(
            first_size=proof.first_size,
            second_size=proof.second_size,
            first_root=proof.first_root.hex(),
            second_root=proof.second_root.hex(),
            path=[part.hex() for part in proof.path],
        )
