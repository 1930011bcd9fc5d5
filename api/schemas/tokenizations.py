"""Tokenizations and offerings over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import (
    BigInteger,
    Body,
    MoneyAmount,
    Read,
    Sha256Hex,
    ShortText,
    Units,
    WithAddresses,
    address_of,
)
from api.schemas.compliance import ComplianceBody
from api.schemas.operations import OperationRead
from registry.kernel.actor import Role
from registry.kernel.whole import NO_FLAG
from registry.tokenization.compliance import terms_of
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.service import TokenTermsProposal, terms_hash
from registry.tokenization.title_status import TitleStatus

Positive = Annotated[int, Field(gt=0, le=2**53), NO_FLAG]


class TokenizationCreate(Body):
    """The terms of a token; decimals are 0, a fraction is whole."""

    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,10}$")]
    name: ShortText
    declared_fractions: Units
    price: MoneyAmount
    economic_share: Annotated[
        tuple[Positive, Positive], Field(description="Numerator and denominator, at most 1")
    ] = (1, 1)
    maturity: date | None = None
    compliance: ComplianceBody = ComplianceBody()

    def terms(self) -> TokenTermsProposal:
        return TokenTermsProposal(
            symbol=self.symbol,
            name=self.name,
            declared_fractions=int(self.declared_fractions),
            price_paisa=self.price.paisa("/price/amount"),
            economic_share=Fraction(*self.economic_share),
            maturity=self.maturity,
            compliance=self.compliance.terms(),
        )


class TokenizationRead(Read):
    """A tokenization; `terms_hash` is what its approvals are of.

    `compliance` is null for a token from before its terms were asked for. `title_status` and
    `title_root` are what the chain was told last of the title behind it.
    """

    id: UUID
    asset_id: UUID
    state: TokenizationState
    symbol: str
    name: str
    declared_fractions: BigInteger
    price: MoneyAmount
    economic_share: tuple[int, int]
    maturity: date | None
    compliance: ComplianceBody | None
    structured_by: str
    terms_hash: str
    token_address: str | None
    suite: WithAddresses | None
    title_status: TitleStatus | None
    title_root: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: Tokenization) -> Self:
        terms = terms_of(row)
        return cls(
            **row.model_dump(exclude={"token_address", "title_root", "compliance"}),
            compliance=ComplianceBody.of(terms) if terms else None,
            price=MoneyAmount.of(row.price_paisa),
            economic_share=(row.economic_share_num, row.economic_share_den),
            terms_hash=terms_hash(row).hex(),
            token_address=address_of(row.token_address) if row.token_address else None,
            title_root=row.title_root.hex() if row.title_root is not None else None,
        )


class TokenizationApproval(Body):
    """An approval of exactly the terms that one has read."""

    role: Role
    terms_hash: Sha256Hex


class UnpauseCreate(Body):
    """Agreement, in one role, that transfers go on, and why they may."""

    role: Role
    reason: Annotated[str, StringConstraints(min_length=3, max_length=2000)]


class GiveUpCreate(Body):
    """Agreement, in one role, that a sale which cannot be closed is given up, and why."""

    role: Role
    reason: Annotated[str, StringConstraints(min_length=3, max_length=2000)]


class GiveUpRead(Read):
    """Who must still agree, and the token: UNWINDING once everybody has."""

    missing: list[Role]
    tokenization: TokenizationRead


class UnpauseRead(Read):
    """Who must still agree; the operation is there once everybody has."""

    missing: list[Role]
    operation: OperationRead | None
