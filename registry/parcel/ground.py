"""Locks on the ground itself, so that two who put parcels on one place meet (ADR 0014).

The ground is cut into cells of a hundredth of a degree, about a kilometre. Whoever makes a parcel
live holds, until COMMIT, every cell that its bounding box touches: two parcels with a point in
common both hold the cell of that point, whatever mauza, scheme or zone they are filed under. Who
would need too many cells takes the whole ground instead; for that, everybody else holds the whole
ground in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor

from sqlalchemy import text
from sqlmodel import Session

from registry.parcel.geojson import Extent

CELLS_PER_DEGREE = 100
MAX_CELLS = 256

_LOCK_FAMILY = 0x6D7A  # any number that no other pair of advisory locks begins with
_WHOLE_GROUND = -1
_COLUMNS = 361 * CELLS_PER_DEGREE

_HOLD_IN_COMMON = text("SELECT pg_advisory_xact_lock_shared(:family, :whole)")
_HOLD_ALONE = text("SELECT pg_advisory_xact_lock(:family, :whole)")
# A function that locks is called row by row, in the order of the array.
_HOLD_CELLS = text(
    "SELECT pg_advisory_xact_lock(:family, cell) FROM unnest(CAST(:cells AS integer[])) AS cell"
)


def lock_ground(session: Session, extents: Iterable[Extent]) -> None:
    """Wait until nobody else puts parcels on this ground, and keep it until COMMIT.

    Call it once in a transaction, with all of its parcels: cells are taken in one order, so that
    nobody waits in a circle.
    """
    cells = _cells_of(extents)
    if cells == []:
        return
    connection = session.connection()
    if cells is None:
        connection.execute(_HOLD_ALONE, {"family": _LOCK_FAMILY, "whole": _WHOLE_GROUND})
        return
    connection.execute(_HOLD_IN_COMMON, {"family": _LOCK_FAMILY, "whole": _WHOLE_GROUND})
    connection.execute(_HOLD_CELLS, {"family": _LOCK_FAMILY, "cells": cells})


def _cells_of(extents: Iterable[Extent]) -> list[int] | None:
    """Return the numbers of all cells touched, in order; None if they are too many."""
    cells: set[int] = set()
    for extent in extents:
        west, east = (_cell(degrees, 180) for degrees in (extent.west, extent.east))
        south, north = (_cell(degrees, 90) for degrees in (extent.south, extent.north))
        if (east - west + 1) * (north - south + 1) > MAX_CELLS:
            return None
        cells |= {
            row * _COLUMNS + column
            for row in range(south, north + 1)
            for column in range(west, east + 1)
        }
        if len(cells) > MAX_CELLS:
            return None
    return sorted(cells)


def _cell(degrees: float, origin: int) -> int:
    return floor((degrees + origin) * CELLS_PER_DEGREE)
