"""The jurisdictions that there are; the asset's location decides which one holds."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pycountry

from registry.jurisdiction.interface import Jurisdiction
from registry.jurisdiction.pakistan import PAKISTAN
from registry.jurisdiction.plain import PLAIN
from registry.kernel.errors import Invalid

JURISDICTIONS = (PAKISTAN, PLAIN)
"""The profile without a country stands last: it takes whatever no other one does."""

_COUNTRY = re.compile(r"[A-Z]{2}")  # pycountry itself ignores case


def jurisdiction_of(location: Mapping[str, str]) -> Jurisdiction:
    """Return the jurisdiction in which the thing lies, or from whose port it sails.

    Raises
    ------
    Invalid
        ``jurisdiction_unknown``: the location names no region and no port, or two countries.
        ``region_unknown``: the region is none of the country's.
    """
    named = [item for item in JURISDICTIONS if item.region_field in location]
    if len(named) == 1:
        return _with_region(named[0], location)
    port = location.get("unlocode_pol")
    if named or port is None:
        raise Invalid(
            "jurisdiction_unknown",
            "The location does not say in which country's register it belongs.",
            field="/location",
            remedy='Give one "province" of Pakistan (PK-PB), or the "region" of another country.',
        )
    return next(item for item in JURISDICTIONS if item.country in {port[:2], None})


def is_place(code: str) -> bool:
    """Tell whether `code` is a country of ISO 3166-1, or a region of one (ISO 3166-2)."""
    if _COUNTRY.fullmatch(code):
        return pycountry.countries.get(alpha_2=code) is not None
    profile = next(item for item in JURISDICTIONS if item.country in {code[:2], None})
    return profile.has_region(code)


def _with_region(jurisdiction: Jurisdiction, location: Mapping[str, str]) -> Jurisdiction:
    region = location[jurisdiction.region_field]
    foreign = region[:2] in {item.country for item in JURISDICTIONS} - {jurisdiction.country}
    if foreign or not jurisdiction.has_region(region):
        raise Invalid(
            "region_unknown",
            f"{region!r} is no ISO 3166-2 region of {jurisdiction.name}.",
            field=f"/location/{jurisdiction.region_field}",
            remedy="Write it as PK-PB for the Punjab.",
        )
    return jurisdiction
