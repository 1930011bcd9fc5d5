"""Bullion: allocated bars of gold in a vault, each by its brand and serial number.

Source: `registry-domain` section 1.2, after the LBMA's good-delivery rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
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
from registry.kernel.identifiers import hs_fault
from registry.kernel.money import Money
from registry.rulebook.facts import Finding

SCALE_OZ = Decimal("0.025")
"""Gross weight is read in steps of a fortieth of an ounce, rounded down."""
FINE_PLACES = Decimal("0.001")
LEAST_FINE_OZ, MOST_FINE_OZ = Decimal(350), Decimal(430)
LEAST_ASSAY, MOST_ASSAY = Decimal("995.0"), Decimal("999.9")
PARTS = 1000

Mark = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9-]{1,40}$")]
Year = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]


def fine_ounces(gross_oz: Decimal, assay: Decimal) -> Decimal:
    """Return the fine weight to a thousandth of a troy ounce: 401.125 of 995.8 are 399.440."""
    return (gross_oz * assay / PARTS).quantize(FINE_PLACES, ROUND_HALF_UP)


class Bar(BaseModel):
    """One bar of the list.

    Parameters
    ----------
    assay
        Parts of gold in a thousand.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: Mark
    brand: Mark
    gross_oz: PositiveDecimal
    assay: PositiveDecimal
    fine_oz: PositiveDecimal
    year: Year

    def faults(self) -> Iterator[str]:
        """Say what is wrong with the bar (BUL-01)."""
        bar = f"Bar {self.brand} {self.serial}"
        if self.gross_oz % SCALE_OZ:
            yield f"{bar}: {self.gross_oz} oz gross is no multiple of {SCALE_OZ}."
        if not LEAST_ASSAY <= self.assay <= MOST_ASSAY:
            yield f"{bar}: an assay of {self.assay} is not {LEAST_ASSAY} to {MOST_ASSAY}."
        fine = fine_ounces(self.gross_oz, self.assay)
        if self.fine_oz != fine:
            yield f"{bar}: {self.fine_oz} oz fine are stated, {fine} are there."
        if not LEAST_FINE_OZ <= self.fine_oz <= MOST_FINE_OZ:
            yield f"{bar}: {self.fine_oz} oz fine is not {LEAST_FINE_OZ} to {MOST_FINE_OZ}."


class BullionDetails(ClassDetails):
    """The bar list.

    Parameters
    ----------
    unit
        Troy ounces (UN/ECE Recommendation 20).
    fine_oz_total
        Sum of the bars, to the thousandth (BUL-01).
    insured_pkr
        Sum insured, at least the value (EWR-02).
    """

    hs: ShortText
    name: ShortText
    unit: Literal["APZ"] = "APZ"
    bars: Annotated[tuple[Bar, ...], Field(max_length=1000)]
    fine_oz_total: Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]
    insured_pkr: str

    @model_validator(mode="after")
    def _insurance_is_money(self) -> Self:
        Money.parse(self.insured_pkr, field="/details/insured_pkr")
        return self

    def covered_things(self) -> int:
        return len(self.bars)

    def key_endings(self) -> tuple[str, ...]:
        return tuple(f"|{bar.brand}|{bar.serial}|{bar.year}" for bar in self.bars)

    def insured_paisa(self) -> int | None:
        return Money.parse(self.insured_pkr).paisa

    def findings(self) -> Mapping[str, Finding]:
        nothing_covered = super().findings()
        return nothing_covered or found(ID_05=[hs_fault(self.hs)], BUL_01=self._faults())

    def _faults(self) -> Iterator[str]:
        for bar in self.bars:
            yield from bar.faults()
        names = Counter((bar.brand, bar.serial, bar.year) for bar in self.bars)
        for (brand, serial, _), times in names.items():
            if times > 1:
                yield f"Bar {brand} {serial} stands {times} times."
        total = sum(bar.fine_oz for bar in self.bars)
        if total != self.fine_oz_total:
            yield f"The bars sum to {total} oz fine, {self.fine_oz_total} are stated."


BULLION = AssetClassSpec(
    asset_class=AssetClass.COMMODITY_BULLION,
    label="Bullion",
    subject=Subject.BULLION,
    details=BullionDetails,
    keys=KeyForm(
        re.compile(r"BAR\|[A-Z0-9-]+\|[A-Z0-9-]+\|[0-9]{4}"), "BAR|brand|serial|year, upper case"
    ),
    approvals=Counter(GOODS_APPROVALS),
)
