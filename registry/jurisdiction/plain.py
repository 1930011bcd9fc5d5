"""A country without customs of its own: ISO 3166-2 regions, parcel numbers, square metres.

What another country's file looks like: copy this one, give it a country, and name its regimes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache

import pycountry

from registry.jurisdiction.interface import (
    LAND,
    Jurisdiction,
    KeyForm,
    Policy,
    Subject,
    TitleRegime,
)
from registry.jurisdiction.trade import NOTHING_MORE, TRADE_REGIMES
from registry.kernel.money import PAISA_PER_RUPEE


@cache
def _regions() -> frozenset[str]:
    """Return every region of ISO 3166-2; as a set, since pycountry's own search ignores case."""
    return frozenset(region.code for region in pycountry.subdivisions)


def _has_region(code: str) -> bool:
    return code in _regions()


LAND_REGIMES: Mapping[str, TitleRegime] = {
    "FREEHOLD": TitleRegime(
        title_proof=frozenset({"TITLE_EXTRACT"}),
        required=frozenset({"TITLE_EXTRACT"}),
        basis="REGISTERED_DEED",
        subjects=dict.fromkeys(LAND, NOTHING_MORE),
        marla_kinds=frozenset(),
        registered_instrument_only=True,
    ),
    "LEASEHOLD": TitleRegime(
        title_proof=frozenset({"LEASE_DEED"}),
        required=frozenset({"LEASE_DEED", "TITLE_EXTRACT"}),
        basis="LEASE_DEED",
        subjects=dict.fromkeys(LAND, NOTHING_MORE),
        marla_kinds=frozenset(),
        registered_instrument_only=True,
        leasehold=True,
    ),
}

_PARCEL_KEY = KeyForm(
    re.compile(r"PARCEL\|[A-Z]{2}-[A-Z0-9]{1,3}(\|[A-Z0-9/-]+){1,3}"),
    "PARCEL|ISO 3166-2 region|parcel number|unit, upper case",
    location_fields=("region",),
)

PLAIN = Jurisdiction(
    country=None,
    name="any other country",
    region_field="region",
    has_region=_has_region,
    extent=(-180.0, -90.0, 180.0, 90.0),
    regimes={**TRADE_REGIMES, **LAND_REGIMES},
    key_forms=dict.fromkeys(LAND, _PARCEL_KEY),
    identifiers={},
    policy=Policy(
        second_checker_above_paisa=500_000_000 * PAISA_PER_RUPEE,
        max_secured_fraction=Fraction(1, 2),
        area_noted_above=Fraction(1, 1000),
        area_refused_above=Fraction(1, 100),
        overlap_sqm=Decimal("0.5"),
        overlap_fraction=Fraction(1, 1000),
        valuation_max_age_days=dict.fromkeys(Subject, 30) | dict.fromkeys(LAND, 180),
        price_max_age_days={Subject.BULLION: 1},
    ),
)
