"""Where an asset lies, as a map shows it: simplified, and naming neither a door nor a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import shapely

from registry.parcel.models import Parcel

PUBLIC_PLACES = (
    "country",
    "province",
    "district",
    "tehsil",
    "mauza",
    "place",
    "scheme",
    "sector",
    "unlocode_pol",
    "unlocode_pod",
)
"""Of a location; never a street, a door or whatever else an importer has put there."""

_TOLERANCE_DEGREES = 0.00005
"""About five metres: nobody sees it on a phone."""
_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class Ground:
    """A place on the map.

    Parameters
    ----------
    point
        Longitude and latitude of a point within; None where nobody surveyed it.
    geometry
        GeoJSON, simplified.
    area_sqm
        Of all surveyed parcels, as measured before it was simplified.
    """

    place: Mapping[str, str]
    point: tuple[float, float] | None
    geometry: Mapping[str, Any] | None
    area_sqm: Decimal | None


def ground_of(location: Mapping[str, Any], parcels: Sequence[Parcel]) -> Ground:
    """Tell where an asset lies."""
    place = {name: str(location[name]) for name in PUBLIC_PLACES if location.get(name)}
    surveyed = [parcel for parcel in parcels if parcel.geometry is not None]
    if not surveyed:
        return Ground(place, None, None, None)
    whole = shapely.union_all([shapely.from_wkb(parcel.geometry) for parcel in surveyed])
    shown = shapely.simplify(whole, _TOLERANCE_DEGREES)
    middle = shapely.point_on_surface(whole)
    return Ground(
        place,
        (round(middle.x, _DECIMALS), round(middle.y, _DECIMALS)),
        _rounded(shapely.geometry.mapping(shown)),
        sum((parcel.area_sqm for parcel in surveyed if parcel.area_sqm), Decimal()),
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
