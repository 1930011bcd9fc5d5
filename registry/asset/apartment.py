"""Apartments: a deed or letter for the unit, and an undivided share of the parcel below it.

No strata statute was found for the Punjab, so the share in the parent parcel is part of the
title (LADM annex C, case 6).
"""

from __future__ import annotations

from collections import Counter
from typing import Self

from pydantic import model_validator

from registry.asset.interface import LAND_APPROVALS, AssetClassSpec
from registry.asset.land import AreaFields, Kms, Part, UnitDetails, stated_area
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import Subject
from registry.kernel.units import Area, MarlaKind


class ApartmentDetails(UnitDetails):
    """The unit and its share of the land.

    Parameters
    ----------
    parent_area_kms : tuple[int, int, Decimal]
        Area of the parent parcel in kanal, marla, sarsai; with `marla_kind`.
    parent_area
        The same in one plain unit.
    """

    parent_area_kms: Kms | None = None
    marla_kind: MarlaKind | None = None
    parent_area: AreaFields | None = None
    undivided_share: tuple[Part, Part]

    @model_validator(mode="after")
    def _stands_on_a_parcel(self) -> Self:
        if self.land_area() is None:
            raise ValueError(
                "the parent parcel's area is missing: parent_area_kms with marla_kind, "
                "or parent_area"
            )
        return self

    def land_area(self) -> Area | None:
        return stated_area(self.parent_area_kms, self.marla_kind, self.parent_area)


APARTMENT = AssetClassSpec(
    asset_class=AssetClass.LAND_APARTMENT,
    label="Apartment",
    subject=Subject.APARTMENT,
    details=ApartmentDetails,
    approvals=Counter(LAND_APPROVALS),
)
