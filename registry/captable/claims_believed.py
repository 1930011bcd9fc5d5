"""What the projection says of claims, for the chain to be asked about (`chain.proving.claims`).

The store is asked slot by slot, and whether our issuer holds a claim in force; an identity of
which nothing was told has an empty slot for each kind of claim that there is, which proves that no
claim was missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.claim_events import Kind, Rules, Slot, fold_slots, rules_at, told_about
from registry.captable.claims import ClaimState, state_of
from registry.captable.contract_models import FollowedContract
from registry.captable.models import ChainBlock

STORE, ISSUER = "ClaimStore", "ClaimIssuer"


@dataclass(frozen=True, slots=True)
class KindFact:
    """Whether claims of one issuer on one topic count in a store."""

    store: bytes
    issuer: bytes
    topic: int
    is_admitted: bool


@dataclass(frozen=True, slots=True)
class KeyFact:
    """Whether an issuer accepts what a key signed."""

    issuer: bytes
    key: bytes
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFact:
    """What a store has of one issuer on one topic about an identity; zeros where it has nothing.

    Parameters
    ----------
    evidence
        The part of its hash that the store keeps.
    is_in_force
        Whether our issuer has to say that it is valid. A dismissed kind is no matter of it.
    """

    store: bytes
    issuer: bytes
    topic: int
    issued_at: int
    expires_at: int
    revoked_at: int
    key_index: int
    evidence: bytes
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class ClaimsBelieved:
    """Everything that is said of claims about some identities, at one block."""

    kinds: Sequence[KindFact]
    keys: Sequence[KeyFact]
    about: Mapping[bytes, Sequence[ClaimFact]]


EVIDENCE_BYTES = 16
_NONE = bytes(EVIDENCE_BYTES)


def read_claims(
    session: Session, chain_id: int, number: int, identities: Collection[bytes]
) -> ClaimsBelieved | None:
    """Return what is said of claims about identities at a block, void ones too.

    Returns
    -------
    ClaimsBelieved | None
        None where store and issuer do not stand, are read apart from their chain, or were not
        read from their first block: then nobody can say what there is. Also where the block was
        just taken back.
    """
    contracts = session.exec(
        select(FollowedContract).where(
            col(FollowedContract.chain_id) == chain_id,
            col(FollowedContract.name).in_((STORE, ISSUER)),
        )
    ).all()
    if {each.name for each in contracts} != {STORE, ISSUER} or not all(map(_is_known, contracts)):
        return None
    row = session.get(ChainBlock, (chain_id, number))
    if row is None:
        return None
    block = AsOfBlock(number, row.hash, row.mined_at, 0)
    rules = rules_at(session, chain_id, block)
    slots = fold_slots(told_about(session, chain_id, identities, block))
    ours = frozenset(_written(each.address) for each in contracts if each.name == ISSUER)
    kinds = sorted(rules.admitted.keys() | {slot.kind for slot in slots})
    told = {(slot.identity, slot.kind): slot for slot in slots}
    return ClaimsBelieved(
        kinds=[
            KindFact(_read(kind[0]), _read(kind[1]), int(kind[2]), rules.admitted.get(kind, True))
            for kind in kinds
        ],
        keys=[
            KeyFact(_read(key[0]), _read(rules.names[key]), is_active)
            for key, is_active in sorted(rules.keys.items())
        ],
        about={
            identity: [
                _fact(kind, told.get((_written(identity), kind)), rules, block, ours)
                for kind in kinds
            ]
            for identity in identities
        },
    )


def _is_known(contract: FollowedContract) -> bool:
    return contract.caught_up_to is None and contract.read_from <= contract.block_number


def _fact(
    kind: Kind, slot: Slot | None, rules: Rules, block: AsOfBlock, ours: Collection[str]
) -> ClaimFact:
    said = slot.issued["said"] if slot and slot.issued else {}
    is_in_force = (
        slot is not None
        and slot.issued is not None
        and kind[1] in ours
        # Whether its kind counts, the store says and not the issuer.
        and state_of(slot, rules, block) in {ClaimState.VALID, ClaimState.DISMISSED}
        and rules.keys.get((kind[1], said["keyIndex"]), True)
    )
    return ClaimFact(
        store=_read(kind[0]),
        issuer=_read(kind[1]),
        topic=int(kind[2]),
        issued_at=int(said.get("issuedAt", 0)),
        expires_at=int(said.get("expiresAt", 0)),
        revoked_at=(slot.revoked_at if slot else None) or 0,
        key_index=int(said.get("keyIndex", 0)),
        evidence=_read(said["evidenceHash"])[:EVIDENCE_BYTES] if said else _NONE,
        is_in_force=is_in_force,
    )


def _read(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _written(address: bytes) -> str:
    return f"0x{address.hex()}"
