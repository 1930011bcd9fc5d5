"""The law under which an asset is held: its class, its country, its title regime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.asset.classes import class_of
from registry.asset.interface import AssetClassSpec, ClassDetails, found
from registry.asset.key_place import check_key_place, place_fault
from registry.asset.models import Asset
from registry.jurisdiction.interface import LAND, Jurisdiction, KeyForm, TitleRegime
from registry.jurisdiction.profiles import jurisdiction_of
from registry.kernel.errors import Invalid
from registry.kernel.identifiers import unlocode_fault
from registry.kernel.units import LandArea, MarlaKind
from registry.rulebook.facts import Finding

PORTS = ("unlocode_pol", "unlocode_pod")
"""Fields of a location that name a port (rule ID-04)."""


@dataclass(frozen=True, slots=True)
class Law:
    """What the law of one country says of one class under one title regime."""

    spec: AssetClassSpec
    jurisdiction: Jurisdiction
    regime: TitleRegime
    region: str | None

    @property
    def papers(self) -> frozenset[str]:
        """Kinds that a dossier must hold to be submitted."""
        return self.regime.papers(self.spec.subject, self.region)

    @property
    def key_form(self) -> KeyForm:
        return self.spec.keys or self.jurisdiction.key_forms[self.spec.subject]

    @property
    def valuation_max_age_days(self) -> int:
        return self.jurisdiction.policy.valuation_max_age_days[self.spec.subject]

    @property
    def price_max_age_days(self) -> int | None:
        return self.jurisdiction.policy.price_max_age_days.get(self.spec.subject)


def read_law(spec: AssetClassSpec, title_regime: str, location: Mapping[str, str]) -> Law:
    """Find the law of the place.

    Raises
    ------
    Invalid
        ``jurisdiction_unknown``, ``region_unknown``, ``regime_not_applicable``,
        ``location_incomplete``.
    """
    jurisdiction = jurisdiction_of(location)
    regimes = jurisdiction.regimes_of(spec.subject)
    if title_regime not in regimes:
        raise Invalid(
            "regime_not_applicable",
            f"{spec.asset_class} is not held under {title_regime} in {jurisdiction.name}.",
            field="/title_regime",
            remedy=f"Possible: {', '.join(sorted(regimes))}.",
        )
    law = Law(spec, jurisdiction, regimes[title_regime], jurisdiction.region_of(location))
    missing = sorted(_fields_of_place(law) - location.keys())
    if missing:
        raise Invalid(
            "location_incomplete",
            f"{title_regime} needs a location with {', '.join(missing)}.",
            field=f"/location/{missing[0]}",
        )
    return law


def _fields_of_place(law: Law) -> set[str]:
    """Return what the location must name: land lies in a region, whatever port is near."""
    region = {law.jurisdiction.region_field} if law.spec.subject in LAND else set()
    wanted = law.spec.location_fields | law.regime.location_fields
    return region | wanted | set(law.key_form.location_fields)


def places_of(asset: Asset) -> frozenset[str]:
    """Name where an asset is: its region and country, or the country of its port of loading."""
    region = jurisdiction_of(asset.location).region_of(asset.location)
    if region is None:
        return frozenset({asset.location["unlocode_pol"][:2]})
    return frozenset({region, region[:2]})


def law_of(asset: Asset) -> Law:
    """Return the law of an asset that is recorded."""
    return read_law(class_of(asset.asset_class), asset.title_regime, asset.location)


def check_against_law(
    law: Law, details: ClassDetails, keys: Sequence[str], location: Mapping[str, str]
) -> None:
    """Refuse a dossier whose parts do not fit each other.

    Raises
    ------
    Invalid
        ``area_unit_not_applicable``, ``lease_missing``, ``lease_not_applicable``,
        ``underlying_keys_incomplete``, or as `check_keys` and `check_key_place`.
    """
    check_keys(law, keys)
    _check_area_unit(law.regime, details)
    _check_lease(law.regime, details)
    _check_key_endings(details, keys)
    if law.spec.subject in LAND:
        check_key_place(law.jurisdiction, law.key_form, keys, location)


def check_keys(law: Law, keys: Sequence[str]) -> None:
    """Refuse natural keys that this class does not have.

    Raises
    ------
    Invalid
        ``underlying_key_malformed``, ``underlying_key_repeated``.
    """
    form = law.key_form
    if not keys:
        raise Invalid(
            "underlying_key_malformed",
            "An asset without a natural key could be registered twice.",
            field="/underlying_keys",
            remedy=f"Its form is {form.form}",
        )
    for index, key in enumerate(keys):
        if not form.pattern.fullmatch(key):
            raise Invalid(
                "underlying_key_malformed",
                f"{key!r} is not a natural key of {law.spec.asset_class}.",
                field=f"/underlying_keys/{index}",
                remedy=f"Its form is {form.form}",
            )
    if len(set(keys)) != len(keys):
        raise Invalid(
            "underlying_key_repeated", "A natural key stands twice.", field="/underlying_keys"
        )


def _check_area_unit(regime: TitleRegime, details: ClassDetails) -> None:
    area = details.land_area()
    if isinstance(area, LandArea):
        fits = area.marla_kind in regime.marla_kinds
    else:
        # A regime whose papers always state kanal and marla has no plain areas.
        fits = area is None or regime.marla_kinds in {frozenset(), frozenset(MarlaKind)}
    if not fits:
        kinds = ", ".join(sorted(regime.marla_kinds)) or "plain units of area"
        raise Invalid(
            "area_unit_not_applicable",
            "The papers of this title regime state areas in another unit.",
            field="/details",
            remedy=f"They use {kinds}.",
        )


def _check_lease(regime: TitleRegime, details: ClassDetails) -> None:
    ends = details.lease_ends_on()
    if regime.leasehold and ends is None:
        raise Invalid(
            "lease_missing",
            "A title that is a lease states its lessor and its end.",
            field="/details/leasehold",
        )
    if ends is not None and not regime.leasehold:
        raise Invalid(
            "lease_not_applicable",
            "This title regime is no lease.",
            field="/details/leasehold",
            remedy="Leave the lease out, or correct the title regime.",
        )


def _check_key_endings(details: ClassDetails, keys: Sequence[str]) -> None:
    """Hold the keys against the fields: what is listed must be claimed, and nothing else."""
    endings = set(details.key_endings())
    if not endings:
        return
    unclaimed = [ending for ending in endings if not any(key.endswith(ending) for key in keys)]
    foreign = [key for key in keys if not key.endswith(tuple(endings))]
    if unclaimed or foreign or len(keys) != len(endings):
        raise Invalid(
            "underlying_keys_incomplete",
            "The natural keys are not those of the parcels, bars or machines in the details.",
            field="/underlying_keys",
            remedy="Claim one key for each; the keys end with "
            + ", ".join(ending.removeprefix("|") for ending in sorted(endings)[:5])
            + (" …" if len(endings) > 5 else "."),  # noqa: PLR2004 - as many as fit a sentence
        )


def dossier_findings(
    law: Law, details: ClassDetails, keys: Sequence[str], location: Mapping[str, str]
) -> dict[str, Finding]:
    """Return what the fields of a dossier break, for all rules that need nothing else."""
    ports = (unlocode_fault(location[name]) for name in PORTS if name in location)
    # Refused as it is written; what was recorded before that rule is found here.
    places = (_elsewhere(law, key, location) for key in keys)
    return {**details.findings(), **found(ID_04=ports, KEY_02=places), **_unusual(law, details)}


def _elsewhere(law: Law, key: str, location: Mapping[str, str]) -> str | None:
    if law.spec.subject not in LAND:
        return None
    fault = place_fault(law.jurisdiction, law.key_form, key, location)
    return None if fault is None else f"{key} lies elsewhere: {fault}"


def _unusual(law: Law, details: ClassDetails) -> dict[str, Finding]:
    """Note what the record of the place does not usually say: never a reason to refuse."""
    units, known = details.spatial_units(), law.jurisdiction.land_classes
    form = law.jurisdiction.parcel_numbers.get(law.spec.subject)
    return found(
        PAR_05=(
            f"{unit.number!r} is not written as {form.form}."
            for unit in units
            if form is not None and not form.pattern.fullmatch(unit.number)
        ),
        PAR_06=(
            f"{unit.land_class!r} is no class of land that the record knows."
            for unit in units
            if known and unit.land_class is not None and unit.land_class.lower() not in known
        ),
    )
