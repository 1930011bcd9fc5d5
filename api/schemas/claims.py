"""Claims about an identity over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from api.schemas.common import BigInteger, Read, WithAddresses, address_of, hash_of
from registry.captable.claims import Claim, ClaimChange, ClaimState


class ClaimRead(Read):
    """The newest claim of one issuer on one topic; it counts where `state` is `VALID`.

    `revoked_at` is the last revocation, also of an older claim than this one.
    """

    topic: BigInteger
    issuer: str
    state: ClaimState
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    evidence_hash: str
    block_number: int

    @classmethod
    def of(cls, claim: Claim) -> Self:
        return cls(
            topic=claim.topic,
            issuer=address_of(claim.issuer),
            state=claim.state,
            issued_at=claim.issued_at,
            expires_at=claim.expires_at,
            revoked_at=claim.revoked_at,
            evidence_hash=hash_of(claim.evidence_hash),
            block_number=claim.block_number,
        )


class ClaimChangeRead(Read):
    """One claim that was written, or one revocation; `said` are the arguments of its event."""

    block_number: int
    time: datetime
    log_index: int
    tx_hash: str
    event: str
    said: WithAddresses

    @classmethod
    def of(cls, row: ClaimChange) -> Self:
        return cls(
            block_number=row.block_number,
            time=row.mined_at,
            log_index=row.log_index,
            tx_hash=hash_of(row.tx_hash),
            event=row.event,
            said=dict(row.said),
        )
