"""Cargo behind an electronic bill of lading to order: who holds the bill may claim the goods."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from registry.asset.interface import (
    GOODS_APPROVALS,
    AssetClassSpec,
    ClassDetails,
    PositiveDecimal,
    ShortText,
    found,
)
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import KeyForm, Subject
from registry.kernel.identifiers import container_fault, hs_fault, imo_fault, voyage_fault
from registry.kernel.whole import NO_FLAG
from registry.rulebook.facts import Finding

SEAL_PATTERN = r"^[A-Z0-9-]{1,15}$"


class Container(BaseModel):
    """One container of the shipment; its number is checked by rule ID-02."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    no: ShortText
    seal: Annotated[str, StringConstraints(pattern=SEAL_PATTERN)]
    gross_kg: PositiveDecimal
    net_kg: PositiveDecimal

    @model_validator(mode="after")
    def _weighs_more_than_its_cargo(self) -> Self:
        if self.net_kg > self.gross_kg:
            raise ValueError("the cargo weighs more than cargo and packing together")
        return self


class CargoPackages(BaseModel):
    """How the cargo is packed (UN/ECE Recommendation 21 codes)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2}$")]
    count: Annotated[int, Field(gt=0, lt=2**53), NO_FLAG]


class BillOfLadingDetails(ClassDetails):
    """The shipment as the bill describes it.

    Parameters
    ----------
    imo
        The ship's number (ID-03).
    universal_voyage
        DCSA's universal voyage reference (ID-06).
    hs
        Codes of the goods (ID-05).
    is_to_order
        A straight bill is no document of title, so only one to order is registered.
    """

    vessel_name: ShortText
    imo: ShortText
    voyage: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 /-]{1,50}$")]
    universal_voyage: ShortText | None = None
    containers: Annotated[tuple[Container, ...], Field(max_length=1000)]
    hs: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=100)]
    packages: CargoPackages
    is_to_order: Literal[True]
    shipped_on_board: date

    def covered_things(self) -> int:
        return len(self.containers)

    def findings(self) -> Mapping[str, Finding]:
        nothing_covered = super().findings()
        return nothing_covered or found(
            ID_02=(container_fault(container.no) for container in self.containers),
            ID_03=[imo_fault(self.imo)],
            ID_05=(hs_fault(code) for code in self.hs),
            ID_06=[voyage_fault(self.universal_voyage) if self.universal_voyage else None],
            EBL_01=self._repeated(),
        )

    def _repeated(self) -> Iterator[str]:
        for number, times in Counter(container.no for container in self.containers).items():
            if times > 1:
                yield f"Container {number} stands {times} times on the bill."


BILL_OF_LADING = AssetClassSpec(
    asset_class=AssetClass.SHIPPING_EBL,
    label="Electronic bill of lading",
    subject=Subject.CARGO,
    details=BillOfLadingDetails,
    keys=KeyForm(
        re.compile(r"EBL\|[A-Z0-9]{2,4}\|[A-Z0-9-]{1,20}"),
        "EBL|SCAC or SMDG code|transport document reference, upper case",
    ),
    approvals=Counter(GOODS_APPROVALS),
    location_fields=frozenset({"unlocode_pol", "unlocode_pod"}),
)
