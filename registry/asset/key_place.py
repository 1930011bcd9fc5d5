"""The place that a natural key names, held against the location: one thing has one key (KEY-02).

A unit's key without its last part is the parcel below it. A key that began with another province
than the one in which the thing lies would make a second parcel of the same ground, and the units
on both together could pass the whole (PAR-04).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from registry.jurisdiction.interface import Jurisdiction, KeyForm
from registry.kernel.errors import Invalid

_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
"""ISO 3166-2: no authority's name is written so."""


def check_key_place(
    jurisdiction: Jurisdiction, form: KeyForm, keys: Sequence[str], location: Mapping[str, str]
) -> None:
    """Refuse a key that names another place than the location.

    Raises
    ------
    Invalid
        ``location_incomplete``: the key names a district, and the location none.
        ``underlying_key_elsewhere`` (KEY-02).
    """
    for index, key in enumerate(keys):
        missing = [name for name in _fields_named(form, key) if name not in location]
        if missing:
            raise Invalid(
                "location_incomplete",
                f"The key {key!r} needs a location with {', '.join(missing)}.",
                field=f"/location/{missing[0]}",
            )
        remedy = place_fault(jurisdiction, form, key, location)
        if remedy is not None:
            raise Invalid(
                "underlying_key_elsewhere",
                f"The key {key!r} names another place than the location.",
                field=f"/underlying_keys/{index}",
                remedy=remedy,
                rule="KEY-02",
            )


def place_fault(
    jurisdiction: Jurisdiction, form: KeyForm, key: str, location: Mapping[str, str]
) -> str | None:
    """Say what would have to stand in the key for it to lie where the location does."""
    words = key.split("|")[1:]
    place = [
        _written(jurisdiction, form, name, location.get(name, ""))
        for name in _fields_named(form, key)
    ]
    if words[: len(place)] != place:
        return f"After its first word stands {'|'.join(place)}."
    regions = None if place else jurisdiction.authorities.get(words[0])
    if regions is not None and jurisdiction.region_of(location) not in regions:
        return f"{words[0]} allots land in {', '.join(sorted(regions))} only."
    return None


def _fields_named(form: KeyForm, key: str) -> tuple[str, ...]:
    """Return which fields of the location stand in the key, in this order."""
    if form.location_fields:
        return form.location_fields
    return form.region_led_fields if _REGION.fullmatch(key.split("|")[1]) else ()


def _written(jurisdiction: Jurisdiction, form: KeyForm, name: str, value: str) -> str:
    word = value.upper().replace(" ", "-")
    # Only a built-up place is called by its city; a field lies in its revenue district.
    called_by_city = name in form.region_led_fields and not form.location_fields
    return jurisdiction.city_of_district.get(word, word) if called_by_city else word
