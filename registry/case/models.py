"""Cases: why somebody's units are acted on without them, and each act that follows from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.captable.models import ForcedAct
from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant, uint256


class CaseKind(StrEnum):
    """What a case does."""

    FREEZE_WALLET = "FREEZE_WALLET"
    FREEZE_UNITS = "FREEZE_UNITS"
    FORCED_TRANSFER = "FORCED_TRANSFER"
    BURN = "BURN"
    RECOVERY = "RECOVERY"
    SUCCESSION = "SUCCESSION"


class CaseState(StrEnum):
    OPENED = "OPENED"
    APPROVED = "APPROVED"
    EXECUTING = "EXECUTING"
    INCOMPLETE = "INCOMPLETE"
    EXECUTED = "EXECUTED"
    LIFT_OPENED = "LIFT_OPENED"
    LIFT_APPROVED = "LIFT_APPROVED"
    LIFTING = "LIFTING"
    LIFT_INCOMPLETE = "LIFT_INCOMPLETE"
    LIFTED = "LIFTED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


RUNNING = (CaseState.EXECUTING, CaseState.LIFTING)
"""Acts are on their way."""

FREEZES = (CaseKind.FREEZE_WALLET, CaseKind.FREEZE_UNITS)
"""What can be lifted by the opposite act."""

IN_FORCE = (
    CaseState.EXECUTING,
    CaseState.INCOMPLETE,
    CaseState.EXECUTED,
    CaseState.LIFT_OPENED,
    CaseState.LIFT_APPROVED,
    CaseState.LIFTING,
    CaseState.LIFT_INCOMPLETE,
)
"""States in which the chain may show what a freeze did."""


class Case(Record, table=True):
    """One case. Its id, left-padded to 32 bytes, is the case id on chain.

    Parameters
    ----------
    wallet
        Whose units: 20 bytes; none where a whole estate is divided.
    investor_id
        The holder: whom the wallet belongs to where that is known, or who has died.
    counterparty
        The wallet that receives, or the new one of a recovery.
    order_id
        The order that it obeys; with no paper it is the ground, and was agreed on when it was
        applied.
    kyc_review_id
        The review by whose end wallets are frozen; then there is no paper, and no approval.
    takes_frozen
        Whether units that are frozen may be moved or burned too.
    heirs
        Of a succession, in the order of the certificate: investor, party, relation, wallet, and
        the share as numerator and denominator.
    """

    __tablename__ = "legal_case"
    __table_args__ = (
        CheckConstraint(
            "CASE kind WHEN 'SUCCESSION' THEN investor_id IS NOT NULL"
            " WHEN 'FORCED_TRANSFER' THEN wallet IS NOT NULL AND counterparty IS NOT NULL"
            " WHEN 'RECOVERY' THEN wallet IS NOT NULL AND counterparty IS NOT NULL"
            " AND investor_id IS NOT NULL ELSE wallet IS NOT NULL END",
            name="ck_legal_case_subject",
        ),
        CheckConstraint(
            "acting_person(approved_by) <> acting_person(maker)", name="ck_legal_case_four_eyes"
        ),
        CheckConstraint(
            "(document_id IS NULL) = (document_sha256 IS NULL) AND CASE"
            " WHEN document_id IS NOT NULL THEN kyc_review_id IS NULL"
            " WHEN kyc_review_id IS NOT NULL THEN order_id IS NULL AND kind = 'FREEZE_WALLET'"
            " ELSE order_id IS NOT NULL AND kind IN ('FREEZE_WALLET', 'FREEZE_UNITS') END",
            name="ck_legal_case_ground",
        ),
    )

    kind: CaseKind = enumeration(CaseKind)
    state: CaseState = enumeration(CaseState, default=CaseState.OPENED)
    legal_basis: str
    reason: str
    document_id: UUID | None = Field(default=None, foreign_key="document.id", index=True)
    document_sha256: bytes | None = binary(nullable=True, default=None)
    kyc_review_id: UUID | None = Field(default=None, foreign_key="kyc_review.id", index=True)
    order_id: UUID | None = Field(default=None, foreign_key="court_order.id", index=True)
    wallet: bytes | None = binary(nullable=True, default=None, index=True)
    investor_id: UUID | None = Field(default=None, foreign_key="investor.id", index=True)
    counterparty: bytes | None = binary(nullable=True, default=None)
    takes_frozen: bool = False
    heirs: list[dict[str, Any]] = document(default_factory=list)
    maker: str
    approved_by: str | None = None
    executed_at: AwareDatetime | None = instant()
    lifted_at: AwareDatetime | None = instant()


class CaseLift(Record, table=True):
    """What ends a freeze; one that was rejected or withdrawn stays readable.

    Its ground is a paper, the review by which a KYC stands again, or the order that has ended.
    """

    __tablename__ = "case_lift"
    __table_args__ = (
        CheckConstraint(
            "acting_person(approved_by) <> acting_person(maker)", name="ck_case_lift_four_eyes"
        ),
        CheckConstraint(
            "(document_id IS NULL) = (document_sha256 IS NULL)"
            " AND num_nonnulls(document_id, kyc_review_id, order_id) = 1",
            name="ck_case_lift_ground",
        ),
        Index("uq_case_lift_open", "case_id", unique=True, postgresql_where=text("NOT dropped")),
    )

    case_id: UUID = Field(foreign_key="legal_case.id")
    legal_basis: str
    reason: str
    document_id: UUID | None = Field(default=None, foreign_key="document.id")
    document_sha256: bytes | None = binary(nullable=True, default=None)
    kyc_review_id: UUID | None = Field(default=None, foreign_key="kyc_review.id")
    order_id: UUID | None = Field(default=None, foreign_key="court_order.id")
    maker: str
    approved_by: str | None = None
    dropped: bool = False


class CaseAct(Record, table=True):
    """One act of a case on one token; the chain carries each number out once.

    Parameters
    ----------
    lift_id
        The lift that it belongs to; none for what the case itself does.
    units
        Whole fractions; none where the whole wallet is acted on.
    operation_id
        What carries it out: the newest attempt to have it done.
    """

    __tablename__ = "case_act"
    __table_args__ = (
        UniqueConstraint("case_id", "number", name="uq_case_act_number"),
        CheckConstraint("number > 0 AND units > 0", name="ck_case_act_positive"),
    )

    case_id: UUID = Field(foreign_key="legal_case.id")
    number: int = bigint()
    act: ForcedAct = enumeration(ForcedAct)
    tokenization_id: UUID = Field(foreign_key="tokenization.id", index=True)
    wallet: bytes = binary(index=True)
    counterparty: bytes | None = binary(nullable=True, default=None)
    units: int | None = uint256(default=None, nullable=True)
    lift_id: UUID | None = Field(default=None, foreign_key="case_lift.id")
    operation_id: UUID | None = Field(default=None, foreign_key="operation.id")
