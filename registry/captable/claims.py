"""Which claims stood about an identity at a block, folded from what store and issuer told.

The fold is that of the contracts: a claim counts while its kind is admitted and the key that issued
it is the issuer's, and is void from its expiry on and where it was issued up to a revocation
(`ClaimStore.sol`, `ClaimIssuer.sol`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.claim_events import (
    Event,
    Rules,
    Slot,
    fold_slots,
    rules_at,
    told_about,
)
from registry.captable.models import ChainBlock, Token
from registry.captable.registered import registered_at

Place = tuple[int, int]
"""Number of a block, index of a log in it."""


class ClaimState(StrEnum):
    """Whether a claim counts, and if not, why."""

    VALID = "VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    DISMISSED = "DISMISSED"
    KEY_REMOVED = "KEY_REMOVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The newest claim of one issuer on one topic about an identity.

    Parameters
    ----------
    revoked_at
        The last revocation, whether or not it was before this claim.
    block_number
        In which it was written.
    """

    identity: bytes
    topic: int
    issuer: bytes
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    evidence_hash: bytes
    block_number: int
    state: ClaimState


@dataclass(frozen=True, slots=True)
class KnownWallet:
    """How a token's registry knew a wallet, and what was claimed about its identity."""

    identity: bytes
    country: int
    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One claim that was written, or one revocation; what it leaves out it does not concern."""

    block_number: int
    mined_at: datetime
    log_index: int
    tx_hash: bytes
    event: str
    said: Mapping[str, str]


def known_wallets(
    session: Session, token: Token, block: AsOfBlock, addresses: Collection[bytes]
) -> dict[bytes, KnownWallet]:
    """Return what was known of wallets at `block`; whoever was not registered is left out."""
    registered = registered_at(session, token, block, addresses)
    identities = {each.identity for each in registered.values()}
    claims = claims_at(session, token.chain_id, identities, block)
    return {
        address: KnownWallet(each.identity, each.country, claims.get(each.identity, ()))
        for address, each in registered.items()
    }


def claims_at(
    session: Session, chain_id: int, identities: Collection[bytes], block: AsOfBlock
) -> dict[bytes, list[Claim]]:
    """Return the newest claim of each issuer and topic, by identity; void ones too."""
    if not identities:
        return {}
    slots = fold_slots(told_about(session, chain_id, identities, block))
    found: dict[bytes, list[Claim]] = {}
    if not slots:
        return found
    rules = rules_at(session, chain_id, block)
    for slot in slots:
        if slot.issued is not None:
            claim = _claim_of(slot, slot.issued, rules, block)
            found.setdefault(claim.identity, []).append(claim)
    return found


def _claim_of(slot: Slot, issued: Event, rules: Rules, block: AsOfBlock) -> Claim:
    said = issued["said"]
    return Claim(
        identity=bytes.fromhex(said["identity"][2:]),
        topic=int(said["topic"]),
        issuer=bytes.fromhex(said["issuer"][2:]),
        issued_at=_time(said["issuedAt"]),
        expires_at=_time(said["expiresAt"]),
        revoked_at=None if slot.revoked_at is None else _time(slot.revoked_at),
        evidence_hash=bytes.fromhex(said["evidenceHash"][2:]),
        block_number=issued["block_number"],
        state=state_of(slot, rules, block),
    )


def state_of(slot: Slot, rules: Rules, block: AsOfBlock) -> ClaimState:
    """Tell whether the claim of a slot counts at a block; there has to be one."""
    assert slot.issued is not None
    said = slot.issued["said"]
    if slot.is_revoked:
        return ClaimState.REVOKED
    if _time(said["expiresAt"]) <= block.mined_at:
        return ClaimState.EXPIRED
    # When it was written its kind was admitted and its key an active one, or it would not stand.
    if not rules.admitted.get(slot.kind, True):
        return ClaimState.DISMISSED
    if not rules.keys.get((slot.kind[1], said["keyIndex"]), True):
        return ClaimState.KEY_REMOVED
    return ClaimState.VALID


def _time(seconds: str | int) -> datetime:
    # A claim may be made for longer than a calendar reaches.
    return datetime.fromtimestamp(min(int(seconds), _LAST), UTC)


_LAST = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def list_claim_changes(
    session: Session,
    chain_id: int,
    identities: Collection[bytes],
    block: AsOfBlock,
    *,
    after: Place | None,
    limit: int,
) -> Sequence[ClaimChange]:
    """List every claim and revocation about some identities up to a block, oldest first."""
    told = [
        event
        for event in told_about(session, chain_id, identities, block)
        if after is None or (event["block_number"], event["log_index"]) > after
    ][:limit]
    times = _times(session, chain_id, {event["block_number"] for event in told}, block)
    return [
        ClaimChange(
            event["block_number"],
            times[event["block_number"]],
            event["log_index"],
            event["tx_hash"],
            event["event"],
            event["said"],
        )
        for event in told
    ]


def _times(
    session: Session, chain_id: int, numbers: Collection[int], block: AsOfBlock
) -> dict[int, datetime]:
    stored = session.exec(
        select(ChainBlock.number, ChainBlock.mined_at).where(
            col(ChainBlock.chain_id) == chain_id, col(ChainBlock.number).in_(numbers)
        )
    ).all()
    return dict(stored) | (block.lost.times(numbers) if block.lost else {})
