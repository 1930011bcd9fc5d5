"""Thresholds of the law and of the house, as rows: value, source, and from which day."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from fractions import Fraction

from sqlalchemy import CheckConstraint, Index

from registry.kernel.columns import Record, bigint, enumeration


class PolicyName(StrEnum):
    """What has a threshold.

    RETENTION_OF_REPORTS is how long reports of suspicion and of cash are kept, RETENTION anything
    else. REGISTER_STATEMENT is how old the newest statement of a register of record may be.
    """

    UBO = "UBO"
    LARGE_HOLDER = "LARGE_HOLDER"
    CTR = "CTR"
    TRAVEL_RULE = "TRAVEL_RULE"
    STR = "STR"
    PROSCRIPTION_REPORT = "PROSCRIPTION_REPORT"
    RETENTION = "RETENTION"
    RETENTION_OF_REPORTS = "RETENTION_OF_REPORTS"
    CMC_CAPITAL = "CMC_CAPITAL"
    CMC_REVIEW = "CMC_REVIEW"
    LICENCE_APPLICATION = "LICENCE_APPLICATION"
    REGISTER_STATEMENT = "REGISTER_STATEMENT"


class PolicyUnit(StrEnum):
    FRACTION = "FRACTION"
    PAISA = "PAISA"
    DAYS = "DAYS"
    MONTHS = "MONTHS"
    YEARS = "YEARS"


class Bound(StrEnum):
    """On which side of the value the policy speaks."""

    AT_LEAST = "AT_LEAST"
    ABOVE = "ABOVE"
    AT_MOST = "AT_MOST"


class PolicyRow(Record, table=True):
    """A value that holds from a day on, once a second person has confirmed it; never changed.

    What it measures, and on which side, is the policy's own (`policies.json`).
    """

    __tablename__ = "policy_row"
    __table_args__ = (
        CheckConstraint("numerator >= 0 AND denominator > 0", name="ck_policy_row_value"),
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_policy_row_four_eyes",
        ),
        Index("ix_policy_row_name", "name", "valid_from"),
    )

    name: PolicyName = enumeration(PolicyName)
    numerator: int = bigint()
    denominator: int = bigint()
    source: str
    valid_from: date
    proposed_by: str
    confirmed_by: str | None = None

    @property
    def value(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)
