"""What every jurisdiction says of itself: its law, as far as the register asks for it, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from registry.kernel.units import MarlaKind


class Subject(StrEnum):
    """What a title can be of, as far as the law tells one from another."""

    FARMLAND = "FARMLAND"
    PLOT = "PLOT"
    APARTMENT = "APARTMENT"
    PREMISES = "PREMISES"
    INDUSTRIAL_SITE = "INDUSTRIAL_SITE"
    WAREHOUSED_GOODS = "WAREHOUSED_GOODS"
    BULLION = "BULLION"
    CARGO = "CARGO"
    FREIGHT_CONTRACT = "FREIGHT_CONTRACT"
    POWER_PLANT = "POWER_PLANT"
    MINING_SITE = "MINING_SITE"
    MINING_MACHINES = "MINING_MACHINES"


LAND = frozenset(
    {
        Subject.FARMLAND,
        Subject.PLOT,
        Subject.APARTMENT,
        Subject.PREMISES,
        Subject.INDUSTRIAL_SITE,
    }
)
REGISTERED_INSTRUMENTS = frozenset({"REGISTERED_DEED", "LEASE_DEED", "COURT_DECREE"})
"""Bases of a title that stand in a registrar's book, and not only in a record of rights."""


@dataclass(frozen=True, slots=True)
class KeyForm:
    """How the natural key of a thing is written.

    Parameters
    ----------
    form
        The same for people.
    location_fields
        What of the location stands in it, in this order, after its first word.
    region_led_fields
        The same for a key that may begin with an authority's name instead: what stands in it
        where it begins with a region.
    """

    pattern: re.Pattern[str]
    form: str
    location_fields: tuple[str, ...] = ()
    region_led_fields: tuple[str, ...] = ()


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
    subjects
        What can be held under it, and the further papers that each needs.
    regional_papers
        Further papers by region.
    marla_kinds
        Sizes of the marla that its papers use; none means that they state a plain area.
    registered_instrument_only
        Whether the basis must be a registered instrument (TTL-06).
    leasehold
        Whether the title ends with a lease.
    location_fields
        What the location must name.
    paper_max_age_days
        Kinds of papers that are good for so many days after their date (DOC-02).
    """

    title_proof: frozenset[str]
    required: frozenset[str]
    basis: str
    subjects: Mapping[Subject, frozenset[str]]
    regional_papers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    marla_kinds: frozenset[MarlaKind] = frozenset(MarlaKind)
    registered_instrument_only: bool = False
    leasehold: bool = False
    location_fields: frozenset[str] = frozenset()
    paper_max_age_days: Mapping[str, int] = field(default_factory=dict)

    def papers(self, subject: Subject, region: str | None) -> frozenset[str]:
        """Return every kind of paper that a dossier must hold to be submitted."""
        regional = self.regional_papers.get(region or "", frozenset())
        return self.required | self.subjects[subject] | regional

    def accepts_basis(self, basis: str) -> bool:
        """Tell whether a title of this regime may rest on `basis` (TTL-06)."""
        return not self.registered_instrument_only or basis in REGISTERED_INSTRUMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Thresholds, all exact.

    Parameters
    ----------
    second_checker_above_paisa
        Value above which a second registrar's checker decides too.
    max_secured_fraction
        Most of the value that may be secured debt (ENC-04).
    area_noted_above, area_refused_above
        Measured against stated area, relative (PAR-01).
    overlap_sqm, overlap_fraction
        What two parcels may overlap: the larger of the two, the latter of the smaller (PAR-02).
    valuation_max_age_days
        Age at which a valuation is stale (VAL-01).
    price_max_age_days
        The same at the opening of a sale, for what has a price every day (VAL-02).
    """

    second_checker_above_paisa: int
    max_secured_fraction: Fraction
    area_noted_above: Fraction
    area_refused_above: Fraction
    overlap_sqm: Decimal
    overlap_fraction: Fraction
    valuation_max_age_days: Mapping[Subject, int]
    price_max_age_days: Mapping[Subject, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """One country's law, as data.

    Parameters
    ----------
    country
        ISO 3166-1 alpha-2; None for the profile of every country that has no file of its own.
    region_field
        The field of a location that names the region.
    has_region
        Whether a code is one of its ISO 3166-2 regions.
    extent
        West, south, east and north, in degrees, within which its parcels lie.
    key_forms
        Natural keys of land; those of goods are the same everywhere.
    identifiers
        Forms of the identifiers that its authorities give.
    parcel_numbers
        How its record numbers the parcels of a kind of land; another form is only noted (PAR-05).
    land_classes
        What its record calls the classes of land; another name is only noted (PAR-06).
    authorities
        Authorities whose names begin keys, and the regions in which each allots land; one that
        is not listed may allot anywhere (KEY-02).
    city_of_district
        Districts that are part of a city, as keys write both: keys of units name the city.
    """

    country: str | None
    name: str
    region_field: str
    has_region: Callable[[str], bool]
    extent: tuple[float, float, float, float]
    regimes: Mapping[str, TitleRegime]
    key_forms: Mapping[Subject, KeyForm]
    identifiers: Mapping[str, re.Pattern[str]]
    policy: Policy
    parcel_numbers: Mapping[Subject, KeyForm] = field(default_factory=dict)
    land_classes: frozenset[str] = frozenset()
    authorities: Mapping[str, frozenset[str]] = field(default_factory=dict)
    city_of_district: Mapping[str, str] = field(default_factory=dict)

    def region_of(self, location: Mapping[str, str]) -> str | None:
        return location.get(self.region_field)

    def regimes_of(self, subject: Subject) -> Mapping[str, TitleRegime]:
        """Return the regimes under which such a thing is held here."""
        return {name: regime for name, regime in self.regimes.items() if subject in regime.subjects}
