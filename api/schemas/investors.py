"""Investors over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import StringConstraints
from sqlmodel import Session

from api.schemas.common import Address, Body, Instant, OfPerson, Read, Sha256Hex, address_of
from api.schemas.parties import PersonFields
from registry.investor import wallets
from registry.investor.models import Investor, KycState, Wallet, WalletChallenge, WalletState
from registry.kernel.messages import text_of


class InvestorCreate(Body):
    """Enrolment: as oneself (`person`), or for a recorded company (`party_id`)."""

    person: PersonFields | None = None
    party_id: UUID | None = None


class WalletRead(Read):
    """A wallet that is somebody's, and what it may still be used for."""

    address: str
    state: WalletState
    is_custodial: bool
    identity: str | None

    @classmethod
    def of(cls, wallet: Wallet) -> Self:
        return cls(
            address=address_of(wallet.address),
            state=wallet.state,
            is_custodial=wallet.is_custodial,
            identity=address_of(wallet.identity) if wallet.identity else None,
        )


class WalletChallengeRead(Read):
    """What a wallet has to sign until when, to be its asker's; nothing is reserved meanwhile."""

    address: str
    challenge: str
    challenge_expires_at: datetime

    @classmethod
    def of(cls, challenge: WalletChallenge) -> Self:
        return cls(
            address=address_of(challenge.address),
            challenge=challenge.message,
            challenge_expires_at=challenge.expires_at,
        )


class InvestorRead(OfPerson):
    """An investor, their KYC and their wallets."""

    id: UUID
    party_id: UUID
    kyc_state: KycState
    kyc_message: str
    kyc_valid_until: datetime | None
    wallets: list[WalletRead]

    @classmethod
    def of(cls, session: Session, investor: Investor) -> Self:
        return cls(
            **investor.model_dump(),
            kyc_message=text_of("states", f"kyc.{investor.kyc_state}"),
            wallets=[WalletRead.of(row) for row in wallets.list_wallets(session, investor.id)],
        )


class WalletCreate(Body):
    """A wallet whose control is to be proven."""

    address: Address


class WalletProof(Body):
    """The wallet's signature of its challenge (EIP-191), as 0x-hex: a key's has 65 bytes.

    A contract's has its own form (EIP-1271), or says how it will be deployed (EIP-6492).
    """

    signature: Annotated[
        str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2})*$", max_length=2 + 2 * 8192)
    ]


class KycDecision(Body):
    """What the second officer decides; `evidence_sha256` is the `review_sha256` that they read."""

    decision: Literal["APPROVED", "REJECTED"]
    valid_until: Instant | None = None
    evidence_sha256: Sha256Hex | None = None
    reason: Annotated[str | None, StringConstraints(min_length=3, max_length=2000)] = None
