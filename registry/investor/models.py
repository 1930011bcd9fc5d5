"""Investors: who may hold tokens, through which wallets, on what KYC."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, ColumnElement, Index, text
from sqlmodel import Field, col

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
    CHALLENGED = "CHALLENGED"
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

    They proved it (EIP-4361), or its key is in our custody and signs what they confirm. An
    address belongs to one investor for good; one that is lost is RETIRED, and used no more.
    """

    __table_args__ = (
        CheckConstraint(
            "CASE WHEN is_custodial THEN state <> 'CHALLENGED' AND challenge IS NULL"
            " ELSE challenge IS NOT NULL AND challenge_expires_at IS NOT NULL END",
            name="ck_wallet_proof",
        ),
    )

    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    address: bytes = binary(unique=True)
    state: WalletState = enumeration(WalletState, default=WalletState.CHALLENGED)
    is_custodial: bool = False
    challenge: str | None = None
    challenge_expires_at: AwareDatetime | None = instant()
    proven_at: AwareDatetime | None = instant()
    identity: bytes | None = binary(nullable=True, default=None)


def has_owner() -> ColumnElement[bool]:
    """Whether a wallet is its investor's: a challenge that nobody answered makes it nobody's."""
    return col(Wallet.state) != WalletState.CHALLENGED


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
