"""Parcels' ground: read from GeoJSON, valid, and measured on the ellipsoid, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from shapely import GeometryType, MultiPolygon, Polygon

from registry.kernel.errors import Invalid
from registry.parcel.geojson import THE_EARTH, Extent, Outline, crosses_itself, read_outline

_WGS84 = Geod(ellps="WGS84")
_TO_THE_SQUARE_CENTIMETRE = Decimal("0.0001")

Geometries = NDArray[Any]
"""Shapely geometries, as shapely's vectorised functions take them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One parcel's ground, valid and measured.

    Parameters
    ----------
    area_sqm
        Geodesic area on WGS 84, never that of a map's plane, to the square centimetre.
    """

    geometry: Polygon | MultiPolygon
    extent: Extent
    area_sqm: Decimal

    @property
    def wkb(self) -> bytes:
        written: bytes = shapely.to_wkb(self.geometry)
        return written


def read_shape(value: object, pointer: str, within: Extent = THE_EARTH) -> Shape:
    """Read one GeoJSON geometry.

    Raises
    ------
    Invalid
        As `read_outline`, or ``geometry_invalid``: its lines cross.
    """
    (read,) = read_shapes([value], [pointer], within)
    if isinstance(read, Invalid):
        raise read
    return read


def read_shapes(
    values: Sequence[object], pointers: Sequence[str], within: Extent = THE_EARTH
) -> list[Shape | Invalid]:
    """Read many GeoJSON geometries; one that is wrong does not stop the others.

    Parameters
    ----------
    pointers
        For each, the JSON pointer that errors begin with; "" where a row is the whole document.

    Returns
    -------
    list[Shape | Invalid]
        For each value in its place, the shape or the error that `read_shape` would raise.
    """
    answers: list[Shape | Invalid | None] = [None] * len(values)
    places: list[int] = []
    outlines: list[Outline] = []
    for place, (value, pointer) in enumerate(zip(values, pointers, strict=True)):
        try:
            outlines.append(read_outline(value, pointer, within))
            places.append(place)
        except Invalid as error:
            answers[place] = error
    geometries = _build(outlines)
    are_valid = shapely.is_valid(geometries)
    areas = areas_sqm(geometries)
    for at, place in enumerate(places):
        if are_valid[at]:
            answers[place] = Shape(geometries[at], outlines[at].extent, areas[at])
        else:
            reason = shapely.is_valid_reason(geometries[at])
            answers[place] = crosses_itself(pointers[place], reason)
    return [answer for answer in answers if answer is not None]


def _build(outlines: Sequence[Outline]) -> Geometries:
    """Make geometries of all outlines in one go, from one flat list of coordinates."""
    rings = [ring for outline in outlines for rings in outline.polygons for ring in rings]
    positions = np.array([position for ring in rings for position in ring], dtype=np.float64)
    ring_ends = np.cumsum([0, *(len(ring) for ring in rings)])
    polygon_ends = np.cumsum([0, *(len(rings) for item in outlines for rings in item.polygons)])
    polygons: Geometries = shapely.from_ragged_array(
        GeometryType.POLYGON, positions.reshape(-1, 2), (ring_ends, polygon_ends)
    )
    first = np.cumsum([0, *(len(outline.polygons) for outline in outlines)])
    built: Geometries = polygons[first[:-1]].copy()
    for at, outline in enumerate(outlines):
        if outline.is_multiple:
            built[at] = shapely.multipolygons(polygons[first[at] : first[at + 1]])
    return built


def areas_sqm(geometries: Geometries) -> list[Decimal]:
    """Return the geodesic area of each geometry; lines and points in it have none."""
    parts, part_of = shapely.get_parts(geometries, return_index=True)
    is_area = shapely.get_type_id(parts) == GeometryType.POLYGON
    # With shells and holes oriented against each other, holes count as negative areas.
    parts = shapely.orient_polygons(parts[is_area])
    rings, ring_of = shapely.get_rings(parts, return_index=True)
    positions = shapely.get_coordinates(rings)
    longitudes = np.ascontiguousarray(positions[:, 0])
    latitudes = np.ascontiguousarray(positions[:, 1])
    ends = np.cumsum(shapely.get_num_points(rings)).tolist()
    signed, begin = np.empty(len(rings)), 0
    for at, end in enumerate(ends):
        signed[at] = _WGS84.polygon_area_perimeter(longitudes[begin:end], latitudes[begin:end])[0]
        begin = end
    totals = np.bincount(
        part_of[is_area][ring_of], weights=signed, minlength=len(geometries)
    ).tolist()
    return [Decimal(total).quantize(_TO_THE_SQUARE_CENTIMETRE) for total in totals]
