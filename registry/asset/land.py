"""What the classes of land share: how an area is stated, and a lease where the title is one."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from registry.asset.interface import ClassDetails, PositiveDecimal, ShortText, SpatialUnit
from registry.kernel.clock import today
from registry.kernel.units import Area, AreaUnit, LandArea, MarlaKind, PlainArea
from registry.kernel.whole import NO_FLAG

Kanal = Annotated[int, Field(ge=0, le=10**9), NO_FLAG]
Marla = Annotated[int, Field(ge=0, lt=20), NO_FLAG]  # twenty marla are the next kanal
Sarsai = Annotated[Decimal, Field(ge=0, lt=9, decimal_places=4)]
Kms = tuple[Kanal, Marla, Sarsai]
Part = Annotated[int, Field(gt=0, lt=2**53), NO_FLAG]  # canonical JSON ends there
Geometry = dict[str, Any]
"""GeoJSON; `registry.parcel` reads it."""


class AreaFields(BaseModel):
    """An area in one unit, where no kanal and marla are stated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # As many digits as a square metre of it still holds exactly.
    quantity: Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6)]
    unit: AreaUnit

    def area(self) -> PlainArea:
        return PlainArea(self.quantity, self.unit)


def stated_area(
    kms: Kms | None, marla_kind: MarlaKind | None, plain: AreaFields | None
) -> Area | None:
    """Return the area that was stated in one of the two ways.

    Raises
    ------
    ValueError
        Both ways, an area of 0, or a kanal-marla-sarsai without the size of its marla.
    """
    if (kms is None) != (marla_kind is None):
        raise ValueError("kanal, marla and sarsai go with marla_kind, the size of the marla")
    if kms is not None and marla_kind is not None:
        if plain is not None:
            raise ValueError("an area is stated once, in one of its units")
        if not any(kms):
            raise ValueError("an area is more than nothing")
        return LandArea(*kms, marla_kind)
    return plain.area() if plain is not None else None


class Leasehold(BaseModel):
    """The lease that the title is.

    Parameters
    ----------
    concession_ends
        Where the lessor itself only holds a concession: the lease ends by then.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    lessor: ShortText
    ends: date
    concession_ends: date | None = None

    @model_validator(mode="after")
    def _ends_with_the_concession(self) -> Self:
        if self.concession_ends is not None and self.ends > self.concession_ends:
            raise ValueError("the lease ends after the concession of its lessor")
        return self


Number = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}(/[1-9][0-9]{0,5}){0,2}$")]
"""Of a khewat or a khatuni: 41, or 41/2 where it was divided."""

_HARVEST_YEAR = re.compile(r"^((?:18|19|20)[0-9]{2})-([0-9]{2})$")


class RecordOfRights(BaseModel):
    """Where the land stands in the record of rights (jamabandi) of its estate.

    Parameters
    ----------
    khewat
        The owners' holding.
    khatunis
        The cultivators' holdings within it that the title takes in; none where it takes in all.
    jamabandi_year
        Of the edition, as it is named: ``2018-19``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    khewat: Number
    khatunis: Annotated[tuple[Number, ...], Field(max_length=200)] = ()
    jamabandi_year: str | None = None

    @model_validator(mode="after")
    def _is_of_one_edition(self) -> Self:
        if len(set(self.khatunis)) != len(self.khatunis):
            raise ValueError("a khatuni stands twice")
        if self.jamabandi_year is not None:
            named = _HARVEST_YEAR.match(self.jamabandi_year)
            if named is None or (int(named[1]) + 1) % 100 != int(named[2]):
                raise ValueError("a jamabandi is named by two years on end, such as 2018-19")
            if int(named[1]) > today().year:
                raise ValueError("a jamabandi is not of a year to come")
        return self


class LandDetails(ClassDetails):
    """Land, or what stands on it."""

    leasehold: Leasehold | None = None

    def lease_ends_on(self) -> date | None:
        return self.leasehold.ends if self.leasehold else None


class GroundDetails(LandDetails):
    """A piece of ground.

    Parameters
    ----------
    area_kms : tuple[int, int, Decimal]
        Kanal, marla, sarsai, as the deed states them; with `marla_kind`.
    area
        The same in one plain unit, where the papers state no kanal and marla.
    record_of_rights
        Where the revenue record has the ground, if it has it.
    geom
        GeoJSON (RFC 7946, EPSG:4326), where the parcel was surveyed.
    """

    record_of_rights: RecordOfRights | None = None
    area_kms: Kms | None = None
    marla_kind: MarlaKind | None = None
    area: AreaFields | None = None

    @model_validator(mode="after")
    def _has_an_area(self) -> Self:
        if self.land_area() is None:
            raise ValueError("the area is missing: area_kms with marla_kind, or area")
        return self

    def land_area(self) -> Area | None:
        return stated_area(self.area_kms, self.marla_kind, self.area)


class ParcelDetails(GroundDetails):
    """A piece of ground that is one parcel."""

    parcel_no: ShortText = "1"
    geom: Geometry | None = None

    def spatial_units(self) -> tuple[SpatialUnit, ...]:
        return (SpatialUnit(number=self.parcel_no, area=self.land_area(), geometry=self.geom),)


class UnitDetails(LandDetails):
    """A part of a building, with or without a share of the ground below it.

    Parameters
    ----------
    covered_area_sqft, covered_area
        Covered area of the unit, stated once.
    undivided_share : tuple[int, int]
        Numerator and denominator of the unit's share in the parent parcel, at most 1 (PAR-04).
    """

    covered_area_sqft: PositiveDecimal | None = None
    covered_area: AreaFields | None = None
    undivided_share: tuple[Part, Part] | None = None

    @model_validator(mode="after")
    def _is_a_part(self) -> Self:
        if (self.covered_area_sqft is None) == (self.covered_area is None):
            raise ValueError("the covered area is stated once: covered_area_sqft or covered_area")
        if self.undivided_share is not None and self.undivided_share[0] > self.undivided_share[1]:
            raise ValueError("the undivided share is more than the whole parcel")
        return self

    def part_of_parent(self) -> Fraction | None:
        return Fraction(*self.undivided_share) if self.undivided_share else None
