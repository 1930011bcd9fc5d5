"""Warehoused commodities: goods behind an electronic warehouse receipt (EWR)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from registry.asset.interface import (
    GOODS_APPROVALS,
    AssetClassSpec,
    ClassDetails,
    Percent,
    PositiveDecimal,
    ShortText,
    found,
)
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import KeyForm, Subject
from registry.kernel.identifiers import hs_fault
from registry.kernel.money import Money
from registry.kernel.whole import NO_FLAG
from registry.rulebook.facts import Finding

Quantity = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]


class Packages(BaseModel):
    """How the goods are packed (UN/ECE Recommendation 21 codes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")]
    count: Annotated[int, Field(gt=0, lt=2**53), NO_FLAG]
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

    hs: ShortText
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
    def _insurance_is_money(self) -> Self:
        Money.parse(self.insured_pkr, field="/details/insured_pkr")
        return self

    def insured_paisa(self) -> int | None:
        return Money.parse(self.insured_pkr).paisa

    def expires_on(self) -> date | None:
        return self.expiry

    def right_ends_on(self) -> date | None:
        return self.expiry

    def findings(self) -> Mapping[str, Finding]:
        pledged = f"{self.pledged_kg} kg are pledged of {self.qty_kg} kg."
        return found(
            ID_05=[hs_fault(self.hs)],
            EWR_01=[pledged if self.pledged_kg > self.qty_kg else None],
        )


WAREHOUSED_COMMODITY = AssetClassSpec(
    asset_class=AssetClass.COMMODITY_WAREHOUSED,
    label="Warehoused commodity",
    subject=Subject.WAREHOUSED_GOODS,
    details=WarehousedDetails,
    keys=KeyForm(
        re.compile(r"EWR\|[A-Z0-9-]+\|[A-Z0-9/-]+"), "EWR|issuer|receipt number, upper case"
    ),
    approvals=Counter(GOODS_APPROVALS),
)
