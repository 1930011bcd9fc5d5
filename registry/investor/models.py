"""Investors: who may hold tokens, through which wallets, on what KYC."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class KycState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    LAPSED = "LAPSED"
    REVOKED = "REVOKED"


BARRED = (KycState.LAPSED, KycState.REVOKED)
"""They had a standing and lost it: their wallets are frozen."""


class WalletState(StrEnum):
    PROVEN = "PROVEN"
    RETIRING = "RETIRING"
    """Its owner gives it up; the chain is being told."""
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
    """An address that an investor controls, and its ONCHAINID.

    They signed `challenge` with it (EIP-4361), or its key is in our custody and signs what they
    confirm. An address belongs to one investor for good; one that is lost is RETIRED, and used no
    more.
    """

    __table_args__ = (
        CheckConstraint("is_custodial = (challenge IS NULL)", name="ck_wallet_proof"),
    )

    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    address: bytes = binary(unique=True)
    state: WalletState = enumeration(WalletState, default=WalletState.PROVEN)
    is_custodial: bool = False
    challenge: str | None = None
    proven_at: AwareDatetime = instant(nullable=False)
    identity: bytes | None = binary(nullable=True, default=None)


class WalletChallenge(Record, table=True):
    """What an address has to sign for an investor; until it has, it is nobody's (EIP-4361).

    Whoever asks reserves nothing: several may be asked for one address, each for another investor.
    """

    __tablename__ = "wallet_challenge"
    __table_args__ = (UniqueConstraint("investor_id", "address"),)

    investor_id: UUID = Field(foreign_key="investor.id")
    address: bytes = binary()
    message: str
    expires_at: AwareDatetime = instant(nullable=False)


class CustodialKey(Record, table=True):
    """The key of a custodial wallet: written first, so that it is made once (ADR 0049).

    Parameters
    ----------
    key_uri
        Where it lies, as the settings name keys: a name, and no secret.
    ended_at
        Its wallet was given up; the key is kept, and signs nothing.
    """

    __tablename__ = "custodial_key"
    __table_args__ = (
        CheckConstraint(
            "(wallet_id IS NULL) = (key_uri IS NULL) AND (wallet_id IS NULL) = (made_at IS NULL)"
            " AND (ended_at IS NULL OR wallet_id IS NOT NULL)",
            name="ck_custodial_key_made",
        ),
        Index(
            "uq_custodial_key_of_investor",
            "investor_id",
            "chain_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_custodial_key_unmade", "id", postgresql_where=text("key_uri IS NULL")),
    )

    investor_id: UUID = Field(foreign_key="investor.id")
    chain_id: int = bigint()
    wallet_id: UUID | None = Field(default=None, foreign_key="wallet.id", unique=True)
    key_uri: str | None = Field(default=None, unique=True)
    made_at: AwareDatetime | None = instant()
    ended_at: AwareDatetime | None = instant()
