"""Mining fleets: machines without a site of their own, hosted by somebody else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

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
    Load,
    Pue,
    Rate,
    RevenueShare,
    repeated_serials,
    revenue_share_fault,
)
from registry.jurisdiction.interface import KeyForm, Subject
from registry.rulebook.facts import Finding


class Machine(BaseModel):
    """One machine, by its nameplate."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    model: ShortText
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{1,40}$")]
    ths: Rate
    j_per_th: Rate


class MiningFleetDetails(ClassDetails):
    """The machines, each with its serial number, and where they stand.

    Parameters
    ----------
    host
        Who runs the building.
    contracted_mw
        Power that the host has promised (NRG-01).
    reported_phs
        Petahashes a second of the last production statement (NRG-03), where there is one.
    hosting_ends
        Last day of the hosting agreement (TOK-06).
    """

    host: ShortText
    machines: Annotated[tuple[Machine, ...], Field(max_length=1000)]
    pue: Pue
    contracted_mw: Rate
    tariff_pkr_kwh: Rate
    uptime_pct_guaranteed: Percent
    holder_revenue_share: RevenueShare
    reported_phs: Rate | None = None
    hosting_ends: date

    @model_validator(mode="after")
    def _shares_at_most_the_whole(self) -> Self:
        fault = revenue_share_fault(self.holder_revenue_share)
        if fault:
            raise ValueError(fault)
        return self

    def covered_things(self) -> int:
        return len(self.machines)

    def key_endings(self) -> tuple[str, ...]:
        return tuple(f"|{machine.serial}" for machine in self.machines)

    def load(self) -> Load:
        return Load.of(((1, item.ths, item.j_per_th) for item in self.machines), self.pue)

    def right_ends_on(self) -> date | None:
        return self.hosting_ends

    def findings(self) -> Mapping[str, Finding]:
        nothing_covered, load = super().findings(), self.load()
        return nothing_covered or found(
            NRG_01=[load.power_fault(self.contracted_mw)],
            NRG_02=repeated_serials(machine.serial for machine in self.machines),
            NRG_03=[load.hashrate_fault(self.reported_phs)],
        )


MINING_FLEET = AssetClassSpec(
    asset_class=AssetClass.ENERGY_MINING_FLEET,
    label="Mining fleet",
    subject=Subject.MINING_MACHINES,
    details=MiningFleetDetails,
    keys=KeyForm(re.compile(r"ASIC\|[A-Z0-9-]{1,40}"), "ASIC|serial number, upper case"),
    approvals=Counter(LAND_APPROVALS),
)
