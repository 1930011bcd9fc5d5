"""Reading GeoJSON geometries (RFC 7946) strictly: what is not exactly a parcel is refused.

Coordinates are longitude and latitude (EPSG:4326). A height may stand in third place and is
left out: a parcel is a piece of ground. Rings may run either way round, as RFC 7946 asks readers
to allow. A parcel on the antimeridian is sent as a MultiPolygon cut there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any, NoReturn

from registry.kernel.errors import Invalid

MAX_VERTICES = 10_000
MAX_SPAN_DEGREES = 2.0
"""Wider than any parcel; also what keeps the locks on a parcel's ground few."""

_SMALLEST_RING = 4
_LIST = (list, tuple)
_NUMBERS = frozenset({int, float})
_ABSURD = 1e9
_WIDTHS = (frozenset({2}), frozenset({3}), frozenset({2, 3}))

Ring = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Extent:
    """A rectangle of longitudes and latitudes; none of ours crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def contains(self, other: Extent) -> bool:
        return (
            self.west <= other.west
            and self.south <= other.south
            and other.east <= self.east
            and other.north <= self.north
        )

    def __str__(self) -> str:
        return f"{self.west}, {self.south} to {self.east}, {self.north}"


THE_EARTH = Extent(-180.0, -90.0, 180.0, 90.0)


def read_extent(written: str) -> Extent:
    """Read ``west,south,east,north``, as RFC 7946 orders a bbox.

    Raises
    ------
    Invalid
        ``bbox_malformed``.
    """
    try:
        extent = Extent(*map(float, written.split(",")))
    except (TypeError, ValueError):
        extent = None
    # NaN is in no order with anything.
    if (
        extent is None
        or not (extent.west <= extent.east and extent.south <= extent.north)
        or not THE_EARTH.contains(extent)
    ):
        raise Invalid(
            "bbox_malformed",
            f"{written!r} is no rectangle on the earth.",
            field="/query/bbox",
            remedy="Write west,south,east,north in degrees: 73.1,30.6,73.2,30.7.",
        )
    return extent


@dataclass(frozen=True, slots=True)
class Outline:
    """The rings of a geometry: for each polygon its shell, then its holes."""

    polygons: tuple[tuple[Ring, ...], ...]
    is_multiple: bool
    extent: Extent


def read_outline(value: object, pointer: str, within: Extent = THE_EARTH) -> Outline:
    """Read one geometry, except for how its lines run.

    Parameters
    ----------
    pointer
        JSON pointer of the geometry, to which the error's `field` adds.
    within
        The ground on which a parcel can lie, as far as the jurisdiction says.

    Raises
    ------
    Invalid
        ``geometry_invalid``, ``geometry_too_detailed``, ``geometry_outside``.
    """
    polygons, is_multiple = _polygons_of(value, pointer)
    pointer += "/coordinates"
    left = MAX_VERTICES
    read = []
    for number, rings in enumerate(polygons):
        at = f"{pointer}/{number}" if is_multiple else pointer
        if not isinstance(rings, _LIST) or not rings:
            _refuse(at, "A polygon is a list of rings, at least one.")
        kept = []
        for index, ring in enumerate(rings):
            if isinstance(ring, _LIST):
                left -= len(ring)
            if left < 0:
                raise Invalid(
                    "geometry_too_detailed",
                    f"The geometry has more than {MAX_VERTICES} vertices.",
                    field=pointer,
                    remedy="Simplify it, or register the parts as parcels of their own.",
                )
            kept.append(_read_ring(ring, f"{at}/{index}"))
        read.append(tuple(kept))
    extent = _extent_of([position for rings in read for position in rings[0]])
    _check_extent(extent, pointer, within)
    return Outline(tuple(read), is_multiple, extent)


def _polygons_of(value: object, pointer: str) -> tuple[Sequence[Any], bool]:
    if not isinstance(value, Mapping):
        _refuse(pointer, "A geometry is a GeoJSON object.")
    kind = value.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        _refuse(f"{pointer}/type", "A parcel is a Polygon or a MultiPolygon.")
    if value.get("crs") is not None:
        # RFC 7946 has no such member; whoever sends one may mean metres of a zone.
        _refuse(f"{pointer}/crs", "Coordinates are always EPSG:4326; there is no crs to choose.")
    coordinates = value.get("coordinates")
    if not isinstance(coordinates, _LIST) or not coordinates:
        _refuse(f"{pointer}/coordinates", "Coordinates are a list that is not empty.")
    return (coordinates, True) if kind == "MultiPolygon" else ((coordinates,), False)


def _read_ring(ring: object, pointer: str) -> Ring:
    if not isinstance(ring, _LIST) or len(ring) < _SMALLEST_RING:
        _refuse(pointer, "A ring has four positions or more, the last the same as the first.")
    # Whole rings are asked at once, in C; only a ring at fault is looked at one by one. A sum is
    # no number where one of its parts is none.
    if (
        not set(map(type, ring)) <= set(_LIST)
        or frozenset(map(len, ring)) not in _WIDTHS
        or not _NUMBERS.issuperset(map(type, chain.from_iterable(ring)))
        or not _are_finite(chain.from_iterable(ring))
    ):
        _blame_position(ring, pointer)
    kept = [(float(position[0]), float(position[1])) for position in ring]
    if kept[0] != kept[-1]:
        _refuse(pointer, "The ring is not closed: its last position differs from its first.")
    return kept


def _are_finite(numbers: Iterable[float]) -> bool:
    try:
        return isfinite(sum(map(float, numbers)))
    except OverflowError:
        return False  # an integer of hundreds of digits


def _blame_position(ring: Sequence[Any], pointer: str) -> NoReturn:
    at = next(index for index, position in enumerate(ring) if not _is_position(position))
    _refuse(
        f"{pointer}/{at}",
        "A position is longitude and latitude in degrees: two finite numbers, or three with a "
        "height.",
    )


def _is_position(position: object) -> bool:
    return (
        isinstance(position, _LIST)
        and len(position) in (2, 3)
        # A bool is an int to Python, and no number to anybody else.
        and all(type(number) in _NUMBERS and abs(number) < _ABSURD for number in position)
    )


def _extent_of(positions: Ring) -> Extent:
    longitudes, latitudes = zip(*positions, strict=True)
    return Extent(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def _check_extent(extent: Extent, pointer: str, within: Extent) -> None:
    if not THE_EARTH.contains(extent):
        _refuse(pointer, f"Not longitude and latitude in degrees: it reaches from {extent}.")
    if max(extent.east - extent.west, extent.north - extent.south) > MAX_SPAN_DEGREES:
        _refuse(pointer, f"No parcel is as wide as this one: it reaches from {extent}.")
    if not within.contains(extent):
        raise Invalid(
            "geometry_outside",
            f"The geometry reaches from {extent}; the jurisdiction from {within}.",
            field=pointer,
            remedy="Longitude comes first. Check the projection that it was surveyed in.",
        )


def _refuse(pointer: str, reason: str) -> NoReturn:
    raise Invalid("geometry_invalid", reason, field=pointer, remedy=_REMEDY)


_REMEDY = "Send a closed, simple polygon as RFC 7946 has it, in degrees of EPSG:4326."


def crosses_itself(pointer: str, reason: str) -> Invalid:
    """Make the error of a geometry whose lines cross, touch or lie outside its shell."""
    return Invalid(
        "geometry_invalid",
        f"The geometry is no area: {reason}.",
        field=pointer,
        remedy="Correct the line at the place that `detail` names; no ring may cross itself.",
    )
