"""Warehoused commodities: goods behind an electronic warehouse receipt (EWR)."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from registry.asset.interface import (
    AssetClassSpec,
    ClassDetails,
    Percent,
    PositiveDecimal,
    ShortText,
    TitleRegime,
)
from registry.asset.models import AssetClass
from registry.kernel.actor import Role
from registry.kernel.money import Money

Quantity = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]


class Packages(BaseModel):
    """How the goods are packed (UN/ECE Recommendation 21 codes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")]
    count: Annotated[int, Field(gt=0, lt=2**53)]
    kg_each: PositiveDecimal


class WarehousedDetails(ClassDetails):
    """One lot behind one receipt.

    Parameters
    ----------
    hs
        Harmonized System code, 6 to 12 digits (rule ID-05).
    qty_kg, pledged_kg : Decimal
        Kilograms, to six places; what is pledged is at most what is there (EWR-01).
    quality : dict[str, Decimal]
        Percentages of the assay, such as ``moisture_pct``.
    expiry
        Last day of the receipt (EWR-03).
    insured_pkr
        Sum insured, at least the value (EWR-02).
    """

    hs: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}([0-9]{2}){0,3}$")]
    name: ShortText
    crop_year: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
    qty_kg: PositiveDecimal
    pledged_kg: Quantity = Decimal(0)
    packages: Packages
    quality: dict[str, Percent]
    expiry: date
    insured_pkr: str
    unit: Annotated[str, StringConstraints(pattern=r"^KGM$")] = "KGM"

    @model_validator(mode="after")
    def _pledge_is_covered(self) -> Self:
        if self.pledged_kg > self.qty_kg:
            raise ValueError("more is pledged than the receipt holds")
        Money.parse(self.insured_pkr, field="/details/insured_pkr")
        return self

    def insured_paisa(self) -> int | None:
        return Money.parse(self.insured_pkr).paisa

    def expires_on(self) -> date | None:
        return self.expiry


WAREHOUSED_COMMODITY = AssetClassSpec(
    asset_class=AssetClass.COMMODITY_WAREHOUSED,
    label="Warehoused commodity",
    details=WarehousedDetails,
    key_pattern=re.compile(r"^EWR\|[A-Z0-9-]+\|[A-Z0-9/-]+$"),
    key_form="EWR|issuer|receipt number, upper case",
    regimes={
        "EWR": TitleRegime(
            title_proof=frozenset({"EWR"}),
            required=frozenset(
                {"EWR", "ASSAY_REPORT", "WEIGHT_NOTE", "INSURANCE", "ACCREDITATION"}
            ),
            basis="EWR",
        ),
    },
    approvals=Counter({Role.ASSAYER: 1, Role.COMPLIANCE: 1, Role.REGISTRAR_CHECKER: 1}),
    valuation_max_age_days=30,
)
