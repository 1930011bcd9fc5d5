"""A synthetic mauza: a grid of fields, each surveyed on its own, with the noise of surveys."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

WEST, SOUTH = 72.0, 29.5
SIDE = 0.0006
"""Degrees of a field's side: about 57 by 67 metres, 7 kanal 11 marla."""

NOISE = 2e-8
"""Degrees by which two surveys of one corner differ: about 2 mm, well within PAR-02."""

COLUMNS = 500
AREA_SQFT_PER_SARSAI = 30.25
SQM_PER_SQFT = 0.09290304


def corners(number: int) -> tuple[float, float]:
    """Return the south-west corner of a field."""
    line, place = divmod(number, COLUMNS)
    return WEST + place * SIDE, SOUTH + line * SIDE


def ring_of(number: int) -> list[list[float]]:
    """Return the field as one surveyor measured it: the same for the same number."""
    chance = random.Random(number)  # noqa: S311 - noise, no secret

    def near(value: float) -> float:
        return round(value + chance.uniform(-NOISE, NOISE), 9)

    west, south = corners(number)
    east, north = west + SIDE, south + SIDE
    ideal = ((west, south), (east, south), (east, north), (west, north))
    ring = [[near(x), near(y)] for x, y in ideal]
    return [*ring, ring[0]]


def areas_of(lines: int) -> NDArray[Any]:
    """Return the deed area of the fields of each line, in whole ten-thousandths of a sarsai."""
    import shapely  # noqa: PLC0415 - with the parcels' own measure, as a surveyor would

    from registry.parcel.batch import areas_sqm  # noqa: PLC0415

    souths = SOUTH + np.arange(lines) * SIDE
    areas = areas_sqm(shapely.box(WEST, souths, WEST + SIDE, souths + SIDE))
    sqm = np.array([float(area) for area in areas])
    return np.round(sqm / SQM_PER_SQFT / AREA_SQFT_PER_SARSAI * 10_000).astype(np.int64)


def kms_of(parts: int) -> tuple[int, int, str]:
    """Write ten-thousandths of a sarsai as kanal, marla and sarsai."""
    marla, sarsai = divmod(parts, 90_000)
    kanal, marla = divmod(marla, 20)
    return kanal, marla, f"{sarsai / 10_000:.4f}"


def features(count: int) -> Iterator[dict[str, Any]]:
    """Yield fields as a land records department exports them."""
    areas = areas_of(count // COLUMNS + 1)
    for number in range(count):
        kanal, marla, sarsai = kms_of(int(areas[number // COLUMNS]))
        properties = {
            "khasra": f"{number + 1}/1",
            "mauza": "Chak Demo 12",
            "kanal": kanal,
            "marla": marla,
            "sarsai": sarsai,
        }
        geometry = {"type": "Polygon", "coordinates": [ring_of(number)]}
        yield {"type": "Feature", "properties": properties, "geometry": geometry}


def write_geojson(file: BinaryIO, count: int) -> None:
    """Write a FeatureCollection of `count` fields."""
    file.write(b'{"type": "FeatureCollection", "features": [\n')
    for number, feature in enumerate(features(count)):
        mark = b",\n" if number else b""
        file.write(mark + json.dumps(feature).encode())
    file.write(b"\n]}\n")


def mapping(owner: str) -> dict[str, Any]:
    """Map the export's own names to a dossier's."""
    area = [{"from": "kanal"}, {"from": "marla"}, {"from": "sarsai"}]
    khasra = {"no": {"from": "khasra"}, "area_kms": area, "geom": {"from": "geometry"}}
    return {
        "location": {
            "province": "PK-PB",
            "district": "Okara",
            "tehsil": "Depalpur",
            "mauza": {"from": "mauza"},
            "hadbast_no": "999",
        },
        "details": {"khasras": [khasra], "area_kms": area, "marla_kind": "MARLA_272_25"},
        "underlying_keys": [{"template": "KHASRA|PK-PB|OKARA|DEPALPUR|999|{khasra:key}"}],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": owner, "hissa": 1}]},
    }
