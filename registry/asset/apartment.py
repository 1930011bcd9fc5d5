"""Apartments: a deed or letter for the unit, and an undivided share of the parcel below it.

No strata statute was found for the Punjab, so the share in the parent parcel is part of the
title (LADM annex C, case 6).
"""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from registry.asset.interface import AssetClassSpec, ClassDetails, PositiveDecimal, TitleRegime
from registry.asset.models import AssetClass
from registry.kernel.actor import Role
from registry.kernel.units import LandArea, MarlaKind

Whole = Annotated[int, Field(ge=0, le=10**9)]
Part = Annotated[int, Field(gt=0, lt=2**53)]  # canonical JSON ends there


class ApartmentDetails(ClassDetails):
    """The unit and its share of the land.

    Parameters
    ----------
    parent_area_kms : tuple[int, int, Decimal]
        Area of the parent parcel in kanal, marla, sarsai.
    undivided_share : tuple[int, int]
        Numerator and denominator of the unit's share in the parent parcel, at most 1.
    covered_area_sqft : Decimal
        Covered area of the unit.
    """

    parent_area_kms: tuple[Whole, Whole, Annotated[Decimal, Field(ge=0, lt=9, decimal_places=4)]]
    marla_kind: MarlaKind
    undivided_share: tuple[Part, Part]
    covered_area_sqft: PositiveDecimal

    @model_validator(mode="after")
    def _share_is_part_of_a_whole(self) -> Self:
        numerator, denominator = self.undivided_share
        if numerator > denominator:
            raise ValueError("the undivided share is more than the whole parcel")
        _, marla, _ = self.parent_area_kms
        if marla >= 20:  # noqa: PLR2004 - twenty marla are the next kanal
            raise ValueError("marla is 0 to 19: twenty marla are a kanal")
        return self

    def land_area(self) -> LandArea | None:
        kanal, marla, sarsai = self.parent_area_kms
        return LandArea(kanal, marla, sarsai, self.marla_kind)


APARTMENT = AssetClassSpec(
    asset_class=AssetClass.LAND_APARTMENT,
    label="Apartment",
    details=ApartmentDetails,
    key_pattern=re.compile(r"^APT\|[A-Z0-9-]+(\|[A-Z0-9-]+){2,5}$"),
    key_form="APT|authority or province|place|scheme|building|unit, upper case",
    regimes={
        "REGISTERED_DEED_URBAN": TitleRegime(
            title_proof=frozenset({"REGISTERED_SALE_DEED"}),
            required=frozenset({"REGISTERED_SALE_DEED", "PT1_EXTRACT", "NEC", "BUILDING_APPROVAL"}),
            basis="REGISTERED_DEED",
        ),
        "DHA_TRANSFER_LETTER": TitleRegime(
            title_proof=frozenset({"DHA_TRANSFER_LETTER"}),
            required=frozenset({"DHA_TRANSFER_LETTER", "NDC"}),
            basis="AUTHORITY_TRANSFER",
        ),
        "LDA_ALLOTMENT": TitleRegime(
            # An allotment letter is a contract right; only the transfer deed is title (TTL-05).
            title_proof=frozenset({"LDA_TRANSFER_DEED"}),
            required=frozenset({"NDC"}),
            basis="AUTHORITY_TRANSFER",
        ),
    },
    approvals=Counter(
        {
            Role.DOCUMENT_VERIFIER: 1,
            Role.LEGAL_COUNSEL: 1,
            Role.VALUATION_CHECKER: 1,
            Role.COMPLIANCE: 1,
            Role.REGISTRAR_CHECKER: 1,
        }
    ),
    valuation_max_age_days=180,
)
