"""Many parcels at once, for a bulk import and for the one or two of a dossier alike.

An import reads and measures a few thousand geometries with `read_shapes`, takes the ground that
they lie on with `lock_ground`, and asks `find_overlaps` which of them lie on each other or on a
parcel of the register. Whatever is then written as live in the same transaction overlaps nothing:
nobody else can put a parcel there before it ends. The transaction must be READ COMMITTED, so that
what others committed while it waited is seen.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlmodel import Session

from registry.jurisdiction.interface import Policy
from registry.parcel.ground import lock_ground
from registry.parcel.models import box_text
from registry.parcel.rules import overlap_tolerance_sqm
from registry.parcel.shapes import Geometries, Shape, areas_sqm, read_shape, read_shapes

_SQM_PER_SQUARE_DEGREE = 1.25e10
"""More than a square degree has anywhere: it spares measuring what is surely too small."""

_ON_THE_SAME_GROUND = text("""
SELECT CAST(asked.at - 1 AS integer), parcel.id, parcel.asset_id, parcel.number,
       parcel.geometry, parcel.area_sqm
FROM unnest(CAST(:boxes AS box[])) WITH ORDINALITY AS asked (box, at)
JOIN parcel ON parcel.live AND parcel.box && asked.box
WHERE parcel.asset_id <> :besides
""")

_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A live parcel of the register."""

    parcel_id: UUID
    asset_id: UUID
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two parcels with more ground in common than survey noise explains (PAR-02).

    Parameters
    ----------
    at
        Place of the parcel in the list that was asked about.
    other
        The parcel of the register, or the place of an earlier one in the same list.
    """

    at: int
    other: Neighbour | int
    area_sqm: Decimal
    tolerance_sqm: Fraction


def find_overlaps(
    session: Session, shapes: Sequence[Shape], policy: Policy, *, besides: UUID | None = None
) -> list[Overlap]:
    """Return what overlaps within `shapes`, and what overlaps the live register.

    Parameters
    ----------
    policy
        Of the jurisdiction: how much two neighbours may share.
    besides
        The asset whose own parcels of the register are not asked.
    """
    return [
        *overlaps_within(shapes, policy),
        *overlaps_with_register(session, shapes, policy, besides=besides),
    ]


def overlaps_within(shapes: Sequence[Shape], policy: Policy) -> list[Overlap]:
    """Return the pairs of `shapes` that overlap, each as the later one on the earlier one."""
    geometries = _geometries_of(shapes)
    earlier, later = shapely.STRtree(geometries).query(geometries)
    keep = earlier < later
    earlier, later = earlier[keep], later[keep]
    areas = [shape.area_sqm for shape in shapes]
    found = _in_excess(
        geometries[earlier],
        geometries[later],
        [(areas[a], areas[b]) for a, b in zip(earlier.tolist(), later.tolist(), strict=True)],
        policy,
    )
    return [
        Overlap(at=int(later[pair]), other=int(earlier[pair]), area_sqm=area, tolerance_sqm=most)
        for pair, area, most in found
    ]


def overlaps_with_register(
    session: Session, shapes: Sequence[Shape], policy: Policy, *, besides: UUID | None = None
) -> list[Overlap]:
    """Return which of `shapes` overlap live parcels: one query, candidates by bounding box."""
    boxes = "{" + ";".join(box_text(shape.extent) for shape in shapes) + "}"
    rows = session.connection().execute(
        _ON_THE_SAME_GROUND, {"boxes": boxes, "besides": besides or _NOBODY}
    )
    near = list(rows)
    at = [row[0] for row in near]
    found = _in_excess(
        _geometries_of([shapes[place] for place in at]),
        shapely.from_wkb(np.array([row[4] for row in near], dtype=object)),
        [(shapes[row[0]].area_sqm, row[5]) for row in near],
        policy,
    )
    return [
        Overlap(
            at=at[pair],
            other=Neighbour(*near[pair][1:4]),
            area_sqm=area,
            tolerance_sqm=most,
        )
        for pair, area, most in found
    ]


def _geometries_of(shapes: Sequence[Shape]) -> Geometries:
    geometries = np.empty(len(shapes), dtype=object)
    geometries[:] = [shape.geometry for shape in shapes]
    return geometries


def _boxes_in_common(left: Geometries, right: Geometries) -> NDArray[np.float64]:
    """Return the common area of each pair's boxes, in square degrees: no less than their own."""
    one, other = shapely.bounds(left), shapely.bounds(right)
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    sides: NDArray[np.float64] = np.maximum(high - low, 0.0)
    return sides[:, 0] * sides[:, 1]


def _in_excess(
    left: Geometries,
    right: Geometries,
    areas: Sequence[tuple[Decimal, Decimal]],
    policy: Policy,
) -> Iterator[tuple[int, Decimal, Fraction]]:
    """Yield each pair with too much in common: its place, the common area, the tolerance."""
    least = float(policy.overlap_sqm) / _SQM_PER_SQUARE_DEGREE
    # Nearly all neighbours are let go by their boxes alone.
    near = np.flatnonzero(_boxes_in_common(left, right) > least)
    common = shapely.intersection(left[near], right[near])
    large = shapely.area(common) > least
    suspects: list[int] = near[large].tolist()
    measured = areas_sqm(common[large])
    for pair, area in zip(suspects, measured, strict=True):
        tolerance = overlap_tolerance_sqm(*areas[pair], policy)
        if area > tolerance:
            yield pair, area, tolerance


__all__ = [
    "Neighbour",
    "Overlap",
    "Shape",
    "areas_sqm",
    "find_overlaps",
    "lock_ground",
    "overlaps_with_register",
    "overlaps_within",
    "read_shape",
    "read_shapes",
]
