"""Valuations: what an asset was worth on a day, in whose opinion."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration


class ValuationState(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    STALE = "STALE"
    SUPERSEDED = "SUPERSEDED"
    REJECTED = "REJECTED"


class Valuation(Record, table=True):
    """One opinion of value, with the hash of the signed report behind it.

    `low_paisa` and `high_paisa` are the range that the valuer gives. `changed_much` says that it
    was accepted with a change of more than a fifth, so by two checkers.
    """

    __table_args__ = (
        CheckConstraint("amount_paisa > 0", name="ck_valuation_amount"),
        CheckConstraint(
            "low_paisa > 0 AND low_paisa <= amount_paisa AND amount_paisa <= high_paisa",
            name="ck_valuation_range",
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    amount_paisa: int = bigint()
    low_paisa: int | None = bigint(default=None)
    high_paisa: int | None = bigint(default=None)
    basis_date: date
    method: str
    report_sha256: bytes = binary()
    state: ValuationState = enumeration(ValuationState, default=ValuationState.DRAFT)
    valuer: str
    checker: str | None = None
    second_checker: str | None = None
    changed_much: bool = False
    reason: str | None = None
