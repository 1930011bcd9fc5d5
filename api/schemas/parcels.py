"""Parcels over HTTP: GeoJSON (RFC 7946), with areas as measured and as stated."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import shapely

from api.schemas.assets import LandAreaRead
from api.schemas.common import Read
from registry.parcel.models import Parcel
from registry.parcel.rules import difference_percent


class ParcelProperties(Read):
    """What the register knows of a parcel besides its ground.

    Parameters
    ----------
    deed_area
        As the deed states it, with the size of its marla, and what that is exactly.
    area_sqm
        Geodesic area of the geometry on WGS 84.
    difference_percent
        How far the measured area is off the deed's (PAR-01).
    live
        Whether the parcel holds its ground: no other live parcel overlaps it (PAR-02).
    """

    asset_id: UUID
    number: str
    mauza_key: str
    deed_area: LandAreaRead | None
    area_sqm: Decimal | None
    difference_percent: Decimal | None
    live: bool


class GeoJsonType(StrEnum):
    """What an object of GeoJSON is (RFC 7946, section 1.4); named, as Swift has its own `Type`."""

    FEATURE = "Feature"
    FEATURE_COLLECTION = "FeatureCollection"


class ParcelRead(Read):
    """One parcel as a GeoJSON Feature; `geometry` is null where nobody surveyed it."""

    type: GeoJsonType = GeoJsonType.FEATURE
    id: UUID
    bbox: tuple[float, float, float, float] | None
    geometry: dict[str, Any] | None
    properties: ParcelProperties

    @classmethod
    def of(cls, parcel: Parcel) -> Self:
        deed, box = parcel.deed_area, parcel.box
        ground = shapely.from_wkb(parcel.geometry) if parcel.geometry is not None else None
        return cls(
            id=parcel.id,
            bbox=(box.west, box.south, box.east, box.north) if box else None,
            geometry=shapely.geometry.mapping(ground) if ground is not None else None,
            properties=ParcelProperties(
                asset_id=parcel.asset_id,
                number=parcel.number,
                mauza_key=parcel.mauza_key,
                deed_area=LandAreaRead.of(deed) if deed else None,
                area_sqm=parcel.area_sqm,
                difference_percent=difference_percent(parcel.area_sqm, parcel.deed_sqm),
                live=parcel.live,
            ),
        )


class ParcelCollection(Read):
    """The parcels of one asset as a GeoJSON FeatureCollection."""

    type: GeoJsonType = GeoJsonType.FEATURE_COLLECTION
    features: list[ParcelRead]
