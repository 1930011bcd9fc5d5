"""Agricultural land: khasras of one khewat in the record of rights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from registry.asset.interface import (
    LAND_APPROVALS,
    AssetClassSpec,
    ShortText,
    SpatialUnit,
    found,
)
from registry.asset.land import AreaFields, Geometry, GroundDetails, Kms, stated_area
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import Subject
from registry.kernel.units import Area, LandArea
from registry.rulebook.facts import Finding


class Khasra(BaseModel):
    """One field of the village map.

    Parameters
    ----------
    no
        Khasra number, such as ``512/1``.
    land_class
        Nehri, barani, banjar, ghair mumkin …, as the record calls it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    no: ShortText
    area_kms: Kms | None = None
    area: AreaFields | None = None
    geom: Geometry | None = None
    land_class: ShortText | None = None


class AgriculturalDetails(GroundDetails):
    """The khasras, and the area that the title states for all of them.

    Parameters
    ----------
    khasras
        Each with its own area, in the units of the title's.
    """

    khasras: Annotated[tuple[Khasra, ...], Field(max_length=1000)]

    @model_validator(mode="after")
    def _khasras_are_measured_alike(self) -> Self:
        numbers = [khasra.no for khasra in self.khasras]
        if len(set(numbers)) != len(numbers):
            raise ValueError("a khasra stands twice")
        whole = self.land_area()
        for khasra in self.khasras:
            area = self._area_of(khasra)
            if type(area) is not type(whole):
                raise ValueError(f"khasra {khasra.no} needs an area in the units of the title")
        return self

    def _area_of(self, khasra: Khasra) -> Area | None:
        kind = self.marla_kind if khasra.area_kms is not None else None
        return stated_area(khasra.area_kms, kind, khasra.area)

    def spatial_units(self) -> tuple[SpatialUnit, ...]:
        return tuple(
            SpatialUnit(
                number=khasra.no,
                area=self._area_of(khasra),
                geometry=khasra.geom,
                pointer=f"/details/khasras/{place}/geom",
                land_class=khasra.land_class,
            )
            for place, khasra in enumerate(self.khasras)
        )

    def covered_things(self) -> int:
        return len(self.khasras)

    def key_endings(self) -> tuple[str, ...]:
        return tuple(f"|{khasra.no.upper().replace(' ', '-')}" for khasra in self.khasras)

    def findings(self) -> Mapping[str, Finding]:
        nothing_covered = super().findings()
        return nothing_covered or found(PAR_03=[self._area_fault()])

    def _area_fault(self) -> str | None:
        whole, parts = self.land_area(), [unit.area for unit in self.spatial_units()]
        assert whole is not None, "validated"
        if isinstance(whole, LandArea):
            stated = whole.total_sarsai
            total = sum(part.total_sarsai for part in parts if isinstance(part, LandArea))
            unit = "sarsai"
        else:
            stated, unit = whole.area_sqm, "m²"
            total = sum(part.area_sqm for part in parts if part is not None)
        if total == stated:
            return None
        return f"The khasras sum to {total} {unit}, the title states {stated}."


AGRICULTURAL = AssetClassSpec(
    asset_class=AssetClass.LAND_AGRICULTURAL,
    label="Agricultural land",
    subject=Subject.FARMLAND,
    details=AgriculturalDetails,
    approvals=Counter(LAND_APPROVALS),
)
