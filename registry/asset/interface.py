"""What every class of assets says of itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from registry.asset.models import AssetClass
from registry.kernel.actor import Role
from registry.kernel.units import LandArea
from registry.rulebook.facts import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class SpatialUnit:
    """One parcel as its dossier states it.

    Parameters
    ----------
    number
        Khasra, plot or parcel number.
    area
        What the deed or the record of rights says.
    geometry
        GeoJSON geometry (RFC 7946, EPSG:4326), where the parcel was surveyed.
    """

    number: str
    area: LandArea | None
    geometry: Mapping[str, Any] | None


class ClassDetails(BaseModel):
    """The fields of one class, exact and closed: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def land_area(self) -> LandArea | None:
        """Area of the land that the asset is, or stands on."""
        return None

    def spatial_units(self) -> tuple[SpatialUnit, ...]:
        """Parcels that the asset is (LADM LA_SpatialUnit); their areas sum to `land_area`."""
        return ()

    def part_of_parent(self) -> Fraction | None:
        """Undivided share in the parent parcel, where the asset is a unit on one (PAR-04)."""
        return None

    def insured_paisa(self) -> int | None:
        """Sum insured, where the class must be insured."""
        return None

    def expires_on(self) -> date | None:
        """Last day on which the title paper is good, where it expires."""
        return None

    def findings(self) -> Mapping[str, Finding]:
        """Rule id to what is wrong with the fields, for the rules that this class is asked."""
        return {}


PositiveDecimal = Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=6)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TitleRegime:
    """What proves title under one regime.

    Parameters
    ----------
    title_proof
        Kinds of documents that prove title; one of them, verified, suffices (TTL-05).
    required
        Kinds that must be attached before the dossier can be submitted.
    basis
        What the title rests on (LADM's source of the right).
    """

    title_proof: frozenset[str]
    required: frozenset[str]
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetClassSpec:
    """One class of assets.

    Parameters
    ----------
    regimes
        Title regimes under which the class is held.
    approvals
        How many different persons of each role approve the dossier besides its maker
        (`registry-domain` section 1.6).
    valuation_max_age_days
        Age at which a valuation is stale.
    """

    asset_class: AssetClass
    label: str
    details: type[ClassDetails]
    key_pattern: re.Pattern[str]
    key_form: str
    regimes: Mapping[str, TitleRegime]
    approvals: Counter[Role]
    valuation_max_age_days: int
