"""Investors: who may hold tokens, through which wallets, on what KYC."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlmodel import Field

from registry.kernel.columns import Record, binary, enumeration, instant


class KycState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    LAPSED = "LAPSED"
    REVOKED = "REVOKED"


BARRED = (KycState.LAPSED, KycState.REVOKED)
"""They had a standing and lost it: their wallets are frozen."""


class WalletState(StrEnum):
    CHALLENGED = "CHALLENGED"
    PROVEN = "PROVEN"
    RETIRED = "RETIRED"


class Investor(Record, table=True):
    """One principal that holds for one party."""

    subject: str = Field(unique=True)
    party_id: UUID = Field(foreign_key="party.id", unique=True)
    kyc_state: KycState = enumeration(KycState, default=KycState.PENDING)
    kyc_valid_until: AwareDatetime | None = instant()
    kyc_evidence_sha256: bytes | None = binary(nullable=True, default=None)
    kyc_decided_by: str | None = None


class Wallet(Record, table=True):
    """An address that an investor proved to control (EIP-4361), and its ONCHAINID.

    An address belongs to one investor for good; one that is lost is RETIRED, and used no more.
    """

    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    address: bytes = binary(unique=True)
    state: WalletState = enumeration(WalletState, default=WalletState.CHALLENGED)
    challenge: str
    challenge_expires_at: AwareDatetime = instant(nullable=False)
    proven_at: AwareDatetime | None = instant()
    identity: bytes | None = binary(nullable=True, default=None)
