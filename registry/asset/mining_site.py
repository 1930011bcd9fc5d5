"""Mining sites: machines, the power contract that feeds them, and who shares the revenue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from registry.asset.interface import (
    LAND_APPROVALS,
    AssetClassSpec,
    ClassDetails,
    Percent,
    ShortText,
    found,
)
from registry.asset.models import AssetClass
from registry.asset.power import (
    SITE_KEY,
    Load,
    Machines,
    PowerSource,
    Pue,
    Rate,
    RevenueShare,
    repeated_serials,
    revenue_share_fault,
    shown,
)
from registry.jurisdiction.interface import Subject
from registry.rulebook.facts import Finding


class MiningSiteDetails(ClassDetails):
    """The site with its machines, all of one model.

    Parameters
    ----------
    hashrate_phs
        Reported petahashes a second, at most 5 % above the nameplates (NRG-03).
    it_load_mw, facility_mw
        What the machines draw, and that times `pue`; both follow from the others, exactly.
    contracted_mw
        Most that the power contract gives (NRG-01).
    serials_file_sha256
        Hash of the list of serial numbers, which is too long for a dossier.
    serials
        The list itself where it is short; one for each machine, none twice (NRG-02).
    """

    units: Machines
    th_each: Rate
    hashrate_phs: Rate
    j_per_th: Rate
    it_load_mw: Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=12)]
    pue: Pue
    facility_mw: Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=12)]
    contracted_mw: Rate
    source: PowerSource
    tariff_pkr_kwh: Rate
    uptime_pct_guaranteed: Percent
    holder_revenue_share: RevenueShare
    ppa_ends: date
    serials_file_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    serials: Annotated[tuple[ShortText, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _figures_follow_from_each_other(self) -> Self:
        load = self.load()
        for name, is_so in (("it_load_mw", load.it_load_mw), ("facility_mw", load.facility_mw)):
            if Fraction(getattr(self, name)) != is_so:
                raise ValueError(f"{name} is {shown(is_so)}: units x th_each x j_per_th")
        fault = revenue_share_fault(self.holder_revenue_share)
        if fault:
            raise ValueError(fault)
        if self.serials and len(self.serials) != self.units:
            raise ValueError("there is one serial number for each machine")
        return self

    def load(self) -> Load:
        return Load.of([(self.units, self.th_each, self.j_per_th)], self.pue)

    def right_ends_on(self) -> date | None:
        return self.ppa_ends

    def findings(self) -> Mapping[str, Finding]:
        load = self.load()
        return found(
            NRG_01=[load.power_fault(self.contracted_mw)],
            NRG_02=repeated_serials(self.serials),
            NRG_03=[load.hashrate_fault(self.hashrate_phs)],
        )


MINING_SITE = AssetClassSpec(
    asset_class=AssetClass.ENERGY_MINING_SITE,
    label="Mining site",
    subject=Subject.MINING_SITE,
    details=MiningSiteDetails,
    keys=SITE_KEY,
    approvals=Counter(LAND_APPROVALS),
)
