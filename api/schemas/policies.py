"""Thresholds over HTTP: exact, as ``1/4`` or a whole number of the policy's unit."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, Read, ShortText
from registry.policy.models import Bound, PolicyName, PolicyRow, PolicyUnit
from registry.policy.service import Policy

_NUMBER = r"(0|[1-9][0-9]{0,18})"


class PolicyCreate(Body):
    """A threshold from a day on: a fraction such as ``1/5``, or a whole number of its unit."""

    name: PolicyName
    value: Annotated[
        str,
        StringConstraints(pattern=rf"^{_NUMBER}(/[1-9][0-9]{{0,18}})?$"),
        Field(examples=["1/5", "200000000"]),
    ]
    source: ShortText
    valid_from: date

    def fraction(self) -> Fraction:
        return Fraction(self.value)


class PolicyRead(Read):
    """A threshold; `valid_from` is null where it held before the register began.

    `verified` says whether the source was seen to say so. `rails` are those whose payments count,
    where it is about payments.
    """

    name: PolicyName
    value: str
    unit: PolicyUnit
    bound: Bound
    source: str
    verified: bool
    valid_from: date | None
    rails: list[str]

    @classmethod
    def of(cls, policy: Policy) -> Self:
        return cls(
            name=policy.name,
            value=str(policy.value),
            unit=policy.unit,
            bound=policy.bound,
            source=policy.source,
            verified=policy.is_verified,
            valid_from=policy.valid_from,
            rails=list(policy.rails),
        )


class PolicyRowRead(Read):
    """A value that was proposed; it counts once `confirmed_by` stands."""

    id: UUID
    name: PolicyName
    value: str
    source: str
    valid_from: date
    proposed_by: str
    confirmed_by: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: PolicyRow) -> Self:
        return cls(**row.model_dump(exclude={"numerator", "denominator"}), value=str(row.value))
