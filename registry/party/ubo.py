"""Who ultimately owns or controls a company: people, with exact fractions.

This is what a company's KYC states; its register of owners is what it declares
(`registry.interest`).

Source: Companies Act 2017, s. 123A; the fraction from which somebody counts is a policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import Session

from registry.kernel.clock import today
from registry.kernel.errors import Invalid
from registry.party.models import Party, PartyKind
from registry.policy.models import PolicyName
from registry.policy.service import Policy, policy_on


class OwnershipBasis(StrEnum):
    DIRECT = "DIRECT"
    INDIRECT = "INDIRECT"
    CONTROL = "CONTROL"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeneficialOwner:
    """One person behind a company; `fraction` is of its capital, or of its votes."""

    party_id: UUID
    fraction: Fraction
    basis: OwnershipBasis


def declared(session: Session, company: Party, owners: Sequence[BeneficialOwner]) -> list[Any]:
    """Return `owners` as they are kept with `company`.

    Raises
    ------
    Invalid
        ``ubo_not_applicable``, ``ubo_malformed``, ``ubo_below_threshold``,
        ``ubo_exceeds_whole``.
    """
    if owners and company.kind != PartyKind.LEGAL:
        raise Invalid(
            "ubo_not_applicable", "Only a legal person has beneficial owners.", field="/ubo"
        )
    if len({(owner.party_id, owner.basis) for owner in owners}) < len(owners):
        raise Invalid("ubo_malformed", "Somebody is named twice on one basis.", field="/ubo")
    for number, owner in enumerate(owners):
        _check_owner(session, owner, f"/ubo/{number}")
    held = _held(owners)
    _check_large_enough(policy_on(session, PolicyName.UBO, today()), owners, held)
    if sum(held.values(), Fraction(0)) > 1:
        raise Invalid("ubo_exceeds_whole", "More than the whole company is owned.", field="/ubo")
    return [
        {
            "party_id": str(owner.party_id),
            "fraction": [owner.fraction.numerator, owner.fraction.denominator],
            "basis": owner.basis.value,
        }
        for owner in owners
    ]


def _held(owners: Sequence[BeneficialOwner]) -> dict[UUID, Fraction]:
    """Return what each person has, directly and over others together."""
    held: dict[UUID, Fraction] = {}
    for owner in owners:
        if owner.basis != OwnershipBasis.CONTROL:
            held[owner.party_id] = held.get(owner.party_id, Fraction(0)) + owner.fraction
    return held


def _check_large_enough(
    policy: Policy, owners: Sequence[BeneficialOwner], held: Mapping[UUID, Fraction]
) -> None:
    for number, owner in enumerate(owners):
        if owner.basis != OwnershipBasis.CONTROL and not policy.covers(held[owner.party_id]):
            raise Invalid(
                "ubo_below_threshold",
                f"Below {policy.value} nobody is a beneficial owner, unless by control.",
                field=f"/ubo/{number}/fraction",
            )


def _check_owner(session: Session, owner: BeneficialOwner, field: str) -> None:
    person = session.get(Party, owner.party_id)
    if person is None or person.kind != PartyKind.NATURAL:
        raise Invalid(
            "ubo_malformed",
            "A beneficial owner is a recorded natural person.",
            field=f"{field}/party_id",
            remedy="Name the people behind the companies in between.",
        )
    if not 0 < owner.fraction <= 1:
        raise Invalid(
            "ubo_malformed", "A fraction is above 0, and at most 1.", field=f"{field}/fraction"
        )
