"""Tokenizations: from a checked title to an ERC-3643 token."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration


class TokenizationState(StrEnum):
    PROPOSED = "PROPOSED"
    STRUCTURED = "STRUCTURED"
    APPROVED = "APPROVED"
    DEPLOYING = "DEPLOYING"
    DEPLOYED = "DEPLOYED"
    OFFERING = "OFFERING"
    MINTING = "MINTING"
    LIVE = "LIVE"
    PAUSED = "PAUSED"
    REDEEMING = "REDEEMING"
    BURNED = "BURNED"
    UNWINDING = "UNWINDING"
    CANCELLED = "CANCELLED"


ENDED = (TokenizationState.BURNED, TokenizationState.CANCELLED)


class Tokenization(Record, table=True):
    """One token of one asset; at most one is alive for an asset (TOK-01).

    `compliance` is `ComplianceTerms.record`; none in a row from before they were asked for.
    `suite` holds the addresses of the deployed contracts, as hex, by role. `title_status` and
    `title_root` are what the chain was told of the title last (`tokenization.title_status`), and
    `title_told` how often.
    """

    __table_args__ = (
        Index(
            "uq_tokenization_alive",
            "asset_id",
            unique=True,
            postgresql_where=text("state NOT IN ('BURNED', 'CANCELLED')"),
        ),
        Index(
            "uq_tokenization_symbol",
            "symbol",
            unique=True,
            postgresql_where=text("state NOT IN ('BURNED', 'CANCELLED')"),
        ),
        CheckConstraint("declared_fractions > 0", name="ck_tokenization_fractions"),
        CheckConstraint("price_paisa > 0", name="ck_tokenization_price"),
        CheckConstraint(
            "economic_share_num > 0 AND economic_share_num <= economic_share_den",
            name="ck_tokenization_economic_share",
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    state: TokenizationState = enumeration(TokenizationState, default=TokenizationState.PROPOSED)
    symbol: str
    name: str
    declared_fractions: int = bigint()
    price_paisa: int = bigint()
    economic_share_num: int = bigint()
    economic_share_den: int = bigint()
    maturity: date | None = None
    compliance: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True))
    )
    structured_by: str
    token_address: bytes | None = binary(nullable=True, default=None, unique=True)
    title_status: str | None = None
    title_root: bytes | None = binary(nullable=True, default=None)
    title_told: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    suite: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))

    @property
    def economic_share(self) -> Fraction:
        """What part of the asset's worth all fractions together are."""
        return Fraction(self.economic_share_num, self.economic_share_den)
