"""The figure of one overlap check against a million live parcels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import shapely
from sqlalchemy import text

from bench.figures import print_figure
from bench.mauza import COLUMNS, SIDE, SOUTH, WEST
from bench.timing import p99_ms
from registry.jurisdiction.pakistan import PAKISTAN
from registry.kernel.db import Database
from registry.kernel.ids import new_id
from registry.parcel.batch import find_overlaps, read_shape
from registry.parcel.geojson import Extent
from registry.parcel.models import box_text

ASKED = 1000
_COLUMNS = "id, recorded_at, asset_id, number, mauza_key, geometry, box, area_sqm, live"
_PIECE = 10_000


def measure_overlap(database: Database, count: int) -> None:
    """Ask whether random fields lie on others, as a submission does, and print the percentile."""
    geometries = _fields(count)
    _fill(database, geometries)
    chance = random.Random(2)  # noqa: S311 - no secret
    asked = [_field(*_place(chance.randrange(count)), shift=SIDE / 3) for _ in range(ASKED)]
    shapes = [read_shape(geometry, "") for geometry in asked]
    tree = shapely.STRtree(geometries)

    def in_memory(shape: Any) -> None:
        near = geometries[tree.query(shape.geometry)]
        assert shapely.area(shapely.intersection(near, shape.geometry)).any()

    with database.reading() as session:

        def in_register(shape: Any) -> None:
            assert find_overlaps(session, [shape], PAKISTAN.policy)

        ours = p99_ms(in_register, shapes)
    other = p99_ms(in_memory, shapes)
    print_figure(
        "registry.overlap.p99_ms",
        ours,
        "ms",
        against="an STRtree of all parcels in the memory of one process",
        other=other,
    )


def _place(number: int) -> tuple[float, float]:
    # Three degrees north of the import's own fields, so that neither is in the other's way.
    line, place = divmod(number, COLUMNS * 2)
    return WEST + place * SIDE, SOUTH + 3 + line * SIDE


def _fields(count: int) -> Any:
    places = np.array([_place(number) for number in range(count)])
    west, south = places[:, 0], places[:, 1]
    return shapely.box(west, south, west + SIDE, south + SIDE)


def _field(west: float, south: float, shift: float) -> dict[str, Any]:
    west += shift
    east, north = west + SIDE, south + SIDE
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _fill(database: Database, geometries: Any) -> None:
    """Copy the parcels in; the rules rest, for what is measured is a question."""
    with database.transaction() as session:
        connection = session.connection()
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        asset_id = connection.execute(text("SELECT id FROM asset LIMIT 1")).scalar_one()
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY parcel ({_COLUMNS}) FROM STDIN") as copy:
            for row in _rows(geometries, asset_id):
                copy.write_row(row)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE parcel"))


def _rows(geometries: Any, asset_id: object) -> Iterator[tuple[Any, ...]]:
    at, number = datetime.now(UTC), 0
    for begin in range(0, len(geometries), _PIECE):
        piece = geometries[begin : begin + _PIECE]
        bounds = shapely.bounds(piece).tolist()
        for wkb, edges in zip(shapely.to_wkb(piece), bounds, strict=True):
            number += 1
            box = box_text(Extent(*edges))
            yield new_id(), at, asset_id, f"B{number}", "BENCH", wkb, box, 3830, True
