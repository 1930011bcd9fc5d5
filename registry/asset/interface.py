"""What every class of assets says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from registry.asset.models import AssetClass
from registry.jurisdiction.interface import KeyForm, Subject
from registry.kernel.actor import Role
from registry.kernel.units import Area
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
    pointer
        Where the geometry stands in the dossier, as a JSON pointer.
    land_class
        What the record calls the land, where it says so.
    """

    number: str
    area: Area | None
    geometry: Mapping[str, Any] | None
    pointer: str = "/details/geom"
    land_class: str | None = None


class ClassDetails(BaseModel):
    """The fields of one class, exact and closed: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def land_area(self) -> Area | None:
        """Area of the land that the asset is, or stands on."""
        return None

    def spatial_units(self) -> tuple[SpatialUnit, ...]:
        """Parcels that the asset is (LADM LA_SpatialUnit); their areas sum to `land_area`."""
        return ()

    def part_of_parent(self) -> Fraction | None:
        """Undivided share in the parent parcel, where the asset is a unit on one (PAR-04)."""
        return None

    def covered_things(self) -> int:
        """How many parcels, units, lots or machines the title covers (TTL-02)."""
        return 1

    def key_endings(self) -> tuple[str, ...]:
        """How the natural keys end that the fields imply: every one of them must be claimed."""
        return ()

    def insured_paisa(self) -> int | None:
        """Sum insured, where the class must be insured."""
        return None

    def expires_on(self) -> date | None:
        """Last day on which the receipt is good, where there is one (EWR-03)."""
        return None

    def lease_ends_on(self) -> date | None:
        """Last day of the lease, where the title is one."""
        return None

    def right_ends_on(self) -> date | None:
        """Last day of the right behind a token (TOK-06): of the lease, unless a class has more."""
        return self.lease_ends_on()

    def findings(self) -> Mapping[str, Finding]:
        """Rule id to what is wrong with the fields, for the rules that this class is asked."""
        if self.covered_things():
            return {}
        return {"TTL-02": Finding("The dossier lists nothing that the title covers.")}


def found(**faults: Iterable[str | None]) -> dict[str, Finding]:
    """Make a finding of the first fault of each rule, if there is one: ``ID_02=(…, None)``."""
    firsts = {rule: next(filter(None, each), None) for rule, each in faults.items()}
    return {rule.replace("_", "-"): Finding(said) for rule, said in firsts.items() if said}


PositiveDecimal = Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=6)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetClassSpec:
    """One class of assets.

    Parameters
    ----------
    subject
        What the title is of: the jurisdiction knows the regimes and thresholds of it.
    keys
        Form of the natural keys; None where each jurisdiction has its own.
    approvals
        How many different persons of each role approve the dossier besides its maker
        (`registry-domain` section 1.6).
    location_fields
        What the location must name, in every country.
    """

    asset_class: AssetClass
    label: str
    subject: Subject
    details: type[ClassDetails]
    keys: KeyForm | None = None
    approvals: Counter[Role]
    location_fields: frozenset[str] = frozenset()


LAND_APPROVALS = Counter(
    {
        Role.DOCUMENT_VERIFIER: 1,
        Role.LEGAL_COUNSEL: 1,
        Role.VALUATION_CHECKER: 1,
        Role.COMPLIANCE: 1,
        Role.REGISTRAR_CHECKER: 1,
    }
)
"""Who decides on land, and on contracts with as many papers."""

GOODS_APPROVALS = Counter({Role.ASSAYER: 1, Role.COMPLIANCE: 1, Role.REGISTRAR_CHECKER: 1})
"""Who decides on goods: whoever saw them, compliance, and the registrar's checker."""
