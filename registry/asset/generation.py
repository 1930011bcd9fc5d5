"""Power plants: what they earn under a power purchase agreement (PPA)."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from registry.asset.interface import LAND_APPROVALS, AssetClassSpec, ClassDetails
from registry.asset.models import AssetClass
from registry.asset.power import SITE_KEY, PowerSource, Rate
from registry.jurisdiction.interface import Subject

HOURS_PER_YEAR = 8760
KWH_PER_MWH = 1000

Output = Annotated[Decimal, Field(gt=0, max_digits=20, decimal_places=6)]


class GenerationDetails(ClassDetails):
    """The plant and its contract.

    Parameters
    ----------
    dc_mwp
        Installed peak power.
    capacity_factor
        Part of the year's hours at full power, above 0 and at most 1.
    p50_mwh_year
        What an even year gives: power, capacity factor and 8,760 h multiplied, exactly.
    annual_revenue_pkr
        That at the tariff, exactly.
    ppa_ends
        Last day of the PPA, and so of the right behind a token (TOK-06).
    """

    dc_mwp: Rate
    capacity_factor: Annotated[Decimal, Field(gt=0, le=1, decimal_places=4)]
    p50_mwh_year: Output
    tariff_pkr_kwh: Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=4)]
    annual_revenue_pkr: Output
    source: PowerSource
    ppa_ends: date

    @model_validator(mode="after")
    def _figures_follow_from_each_other(self) -> Self:
        output = self.dc_mwp * self.capacity_factor * HOURS_PER_YEAR
        if self.p50_mwh_year != output:
            raise ValueError(f"p50_mwh_year is {output}: dc_mwp x capacity_factor x 8760 h")
        revenue = self.p50_mwh_year * KWH_PER_MWH * self.tariff_pkr_kwh
        if self.annual_revenue_pkr != revenue:
            raise ValueError(f"annual_revenue_pkr is {revenue}: p50_mwh_year x 1000 x tariff")
        return self

    def right_ends_on(self) -> date | None:
        return self.ppa_ends


GENERATION = AssetClassSpec(
    asset_class=AssetClass.ENERGY_GENERATION,
    label="Power plant",
    subject=Subject.POWER_PLANT,
    details=GenerationDetails,
    keys=SITE_KEY,
    approvals=Counter(LAND_APPROVALS),
)
