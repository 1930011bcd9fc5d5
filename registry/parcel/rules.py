"""PAR-01 and PAR-02 as pure arithmetic: what survey noise explains, and what it does not.

How much that is, the jurisdiction says (`registry.jurisdiction.interface.Policy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from registry.jurisdiction.interface import Policy
from registry.rulebook.facts import Finding

_PERCENT_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Measured:
    """One parcel's area: as measured on the ellipsoid, and as the deed states it."""

    number: str
    area_sqm: Decimal
    deed_sqm: Decimal

    @property
    def difference(self) -> Fraction:
        """How far the measured area is off, as a part of the deed's."""
        deed = Fraction(self.deed_sqm)
        return abs(Fraction(self.area_sqm) - deed) / deed


def difference_percent(area_sqm: Decimal | None, deed_sqm: Decimal | None) -> Decimal | None:
    """Return the same for people to read; rules compare `Measured.difference`."""
    if area_sqm is None or not deed_sqm:
        return None
    percent = Measured("", area_sqm, deed_sqm).difference * 100
    return (Decimal(percent.numerator) / percent.denominator).quantize(_PERCENT_PLACES)


def area_finding(parcels: Sequence[Measured], policy: Policy) -> Finding | None:
    """Say which measured areas differ from the deed's, and how gravely (PAR-01)."""
    off = [parcel for parcel in parcels if parcel.difference > policy.area_noted_above]
    if not off:
        return None
    detail = "; ".join(
        f"{parcel.number} measures {parcel.area_sqm:.2f} m², its deed says "
        f"{parcel.deed_sqm:.2f} m² ({difference_percent(parcel.area_sqm, parcel.deed_sqm)} % off)"
        for parcel in off
    )
    is_grave = any(parcel.difference > policy.area_refused_above for parcel in off)
    return Finding(f"{detail}.", None if is_grave else "MEDIUM")


def overlap_tolerance_sqm(one_sqm: Decimal, other_sqm: Decimal, policy: Policy) -> Fraction:
    """Return how much ground two parcels may share: neighbours are never surveyed alike."""
    of_the_smaller = Fraction(min(one_sqm, other_sqm)) * policy.overlap_fraction
    return max(Fraction(policy.overlap_sqm), of_the_smaller)
