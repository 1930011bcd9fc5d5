"""Reading GeoJSON, measuring it on the ellipsoid, and comparing neighbours."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.seed import load_seed
from registry.jurisdiction.pakistan import PAKISTAN
from registry.kernel.errors import Invalid
from registry.kernel.units import LandArea, MarlaKind
from registry.parcel.batch import overlaps_within
from registry.parcel.geojson import MAX_VERTICES, Extent
from registry.parcel.ground import MAX_CELLS, _cells_of
from registry.parcel.rules import Measured, area_finding, overlap_tolerance_sqm
from registry.parcel.shapes import Shape, areas_sqm, read_shape, read_shapes

pytestmark = pytest.mark.unit

POLICY = PAKISTAN.policy
SEED = {asset["code"]: asset for asset in load_seed().assets}
METRE = 1 / 111_000
"""About a metre in degrees, on the safe side of nothing: tests say square metres themselves."""


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [*rings]}


def square(west: float, south: float, side: float) -> list[list[float]]:
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


FIELD = square(73.0, 30.0, 0.001)


def khasras(code: str) -> list[dict[str, Any]]:
    return [khasra["geom"] for khasra in SEED[code]["parcel"]["khasras"]]


def shapes(*values: object) -> list[Shape]:
    read = read_shapes(values, [""] * len(values))
    return [shape for shape in read if isinstance(shape, Shape)]


# Reading


def test_read_shape__square__keeps_its_corners_and_extent() -> None:
    shape = read_shape(polygon(FIELD), "/geom")

    assert shape.extent == Extent(73.0, 30.0, 73.001, 30.001)
    assert [list(corner) for corner in shape.geometry.exterior.coords] == FIELD


def test_read_shape__heights_and_either_way_round__are_the_same_ground() -> None:
    high = [[*position, 171.5] for position in FIELD]

    flat, raised, reversed_ = shapes(polygon(FIELD), polygon(high), polygon(FIELD[::-1]))

    assert flat.area_sqm == raised.area_sqm == reversed_.area_sqm
    assert not raised.geometry.has_z


def test_read_shape__hole_and_several_parts__count_as_they_are() -> None:
    hole = square(73.00025, 30.00025, 0.0005)
    apart = square(73.01, 30.0, 0.001)
    whole, inner, other, holed = shapes(
        polygon(FIELD), polygon(hole), polygon(apart), polygon(FIELD, hole)
    )
    (both,) = shapes({"type": "MultiPolygon", "coordinates": [[FIELD, hole], [apart]]})

    assert holed.area_sqm == pytest.approx(whole.area_sqm - inner.area_sqm, abs=Decimal("0.0002"))
    assert both.area_sqm == pytest.approx(holed.area_sqm + other.area_sqm, abs=Decimal("0.0002"))


BOWTIE = [[73.0, 30.0], [73.001, 30.001], [73.001, 30.0], [73.0, 30.001], [73.0, 30.0]]
BAD: dict[str, tuple[object, str]] = {
    "no object": ([FIELD], ""),
    "null": (None, ""),
    "a point": ({"type": "Point", "coordinates": [73.0, 30.0]}, "/type"),
    "a collection": ({"type": "GeometryCollection", "geometries": []}, "/type"),
    "a type of another type": ({"type": ["Polygon"], "coordinates": [FIELD]}, "/type"),
    "no coordinates": ({"type": "Polygon"}, "/coordinates"),
    "no rings": (polygon(), "/coordinates"),
    "coordinates in words": ({"type": "Polygon", "coordinates": "73 30"}, "/coordinates"),
    "metres of a zone": (polygon(square(4e5, 3.3e6, 60.0)), "/coordinates"),
    "latitude over the pole": (polygon(square(73.0, 89.9, 0.2)), "/coordinates"),
    "wide as a province": (polygon(square(70.0, 28.0, 3.0)), "/coordinates"),
    "another crs": (polygon(FIELD) | {"crs": {"type": "name"}}, "/crs"),
    "ring in words": ({"type": "Polygon", "coordinates": ["abcd"]}, "/coordinates/0"),
    "too few": (polygon(FIELD[:3]), "/coordinates/0"),
    "open": (polygon(FIELD[:4]), "/coordinates/0"),
    "open hole": (polygon(FIELD, square(73.0002, 30.0002, 0.0001)[:4]), "/coordinates/1"),
    "position in words": (polygon([*FIELD[:2], "73", *FIELD[2:]]), "/coordinates/0/2"),  # type: ignore[list-item]
    "one number": (polygon([*FIELD[:2], [73.0], *FIELD[2:]]), "/coordinates/0/2"),
    "four numbers": (polygon([*FIELD[:2], [73.0, 30.0, 1.0, 1.0], *FIELD[2:]]), "/coordinates/0/2"),
    "a boolean": (polygon([*FIELD[:2], [True, 30.0], *FIELD[2:]]), "/coordinates/0/2"),
    "a text": (polygon([*FIELD[:2], ["73", 30.0], *FIELD[2:]]), "/coordinates/0/2"),  # type: ignore[list-item]
    "a null": (polygon([*FIELD[:2], [None, 30.0], *FIELD[2:]]), "/coordinates/0/2"),  # type: ignore[list-item]
    "NaN": (polygon([*FIELD[:2], [float("nan"), 30.0], *FIELD[2:]]), "/coordinates/0/2"),
    "infinity": (polygon([*FIELD[:2], [73.0, float("inf")], *FIELD[2:]]), "/coordinates/0/2"),
    "an endless integer": (polygon([*FIELD[:2], [10**400, 30.0], *FIELD[2:]]), "/coordinates/0/2"),
    "nested too deep": (
        {"type": "Polygon", "coordinates": json.loads("[" * 50 + "]" * 50)}, "/coordinates/0"
    ),
    "a bowtie": (polygon(BOWTIE), ""),
    "a line": (polygon([[73.0, 30.0], [73.001, 30.0], [73.0005, 30.0], [73.0, 30.0]]), ""),
    "a hole outside": (polygon(FIELD, square(74.0, 30.0, 0.0001)), ""),
    "parts that overlap": ({"type": "MultiPolygon", "coordinates": [[FIELD], [FIELD]]}, ""),
}  # fmt: skip


@pytest.mark.parametrize(("value", "at"), BAD.values(), ids=BAD.keys())
def test_read_shape__no_parcel__is_refused_where_it_is_wrong(value: object, at: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_shape(value, "/details/geom")

    assert (refusal.value.code, refusal.value.field) == ("geometry_invalid", f"/details/geom{at}")


def test_read_shape__lines_that_cross__says_where() -> None:
    with pytest.raises(Invalid, match=r"Self-intersection\[73.0005 30.0005"):
        read_shape(polygon(BOWTIE), "")


@pytest.mark.parametrize(("corners", "code"), [(0, None), (1, "geometry_too_detailed")])
def test_read_shape__most_vertices_and_one_more__is_taken_and_refused(
    corners: int, code: str | None
) -> None:
    more = MAX_VERTICES - 5 + corners
    south = [[73.0 + 0.001 * step / (more + 1), 30.0] for step in range(1, more + 1)]
    value = polygon([FIELD[0], *south, *FIELD[1:]])

    (read,) = read_shapes([value], [""])

    assert (read.code if isinstance(read, Invalid) else None) == code


def test_read_shape__outside_the_jurisdiction__is_refused() -> None:
    swapped = polygon([[lat, lon] for lon, lat in FIELD])

    with pytest.raises(Invalid) as refusal:
        read_shape(swapped, "/geom", within=Extent(60.0, 23.0, 78.0, 38.0))

    assert refusal.value.code == "geometry_outside"


def test_read_shapes__one_is_wrong__others_are_read_in_their_places() -> None:
    first, wrong, last = read_shapes(
        [polygon(FIELD), polygon(BOWTIE), khasras("OKR-AGR-0004")[0]], ["/0", "/1", "/2"]
    )

    assert isinstance(first, Shape)
    assert isinstance(last, Shape)
    assert isinstance(wrong, Invalid)
    assert wrong.field == "/1"
    assert read_shapes([], []) == []


# PAR-01


def test_area__a_killa_of_the_seed__is_the_deeds_to_a_tenth_of_a_permille() -> None:
    killa = LandArea(8, 0, Decimal(0), MarlaKind.MARLA_272_25)

    (shape, _) = shapes(*khasras("OKR-AGR-0004"))

    assert Measured("512/1", shape.area_sqm, killa.area_sqm).difference < Fraction(1, 10_000)


DEED = Decimal(1_000_000)


@pytest.mark.parametrize(
    ("measured", "severity"),
    [
        ("1001000", "none"),
        ("999000", "none"),
        ("1001000.0001", "MEDIUM"),
        ("998999.9999", "MEDIUM"),
        ("1010000", "MEDIUM"),
        ("990000", "MEDIUM"),
        ("1010000.0001", None),
        ("989999.9999", None),
    ],
)
def test_area_finding__both_sides_of_both_limits__is_as_grave_as_it_should(
    measured: str, severity: str | None
) -> None:
    finding = area_finding([Measured("1", Decimal(measured), DEED)], POLICY)

    assert (finding.severity if finding else "none") == severity


def test_area_finding__several_parcels__names_those_at_fault_and_takes_the_gravest() -> None:
    parcels = [
        Measured(name, Decimal(area), DEED)
        for name, area in [("1", "1000000"), ("2", "1002000"), ("3", "1020000")]
    ]

    finding = area_finding(parcels, POLICY)

    assert finding is not None
    assert finding.severity is None
    assert finding.detail.startswith("2 measures 1002000.00 m²")
    assert "3 measures" in finding.detail


# PAR-02


@pytest.mark.parametrize(
    ("one", "other", "tolerance"),
    [
        ("500", "9000", Fraction(1, 2)),
        ("500.001", "500.001", Fraction("0.500001")),
        ("4000", "90000", Fraction(4)),
    ],
)
def test_tolerance__of_two_parcels__is_half_a_metre_or_a_permille_of_the_smaller(
    one: str, other: str, tolerance: Fraction
) -> None:
    assert overlap_tolerance_sqm(Decimal(one), Decimal(other), POLICY) == tolerance


def test_overlaps__khasras_of_the_seed__share_an_edge_and_pass() -> None:
    assert overlaps_within(shapes(*khasras("OKR-AGR-0004")), POLICY) == []


def test_overlaps__khasra_redrawn_inside__is_found_with_its_whole_area() -> None:
    outer, redrawn = shapes(khasras("OKR-AGR-0004")[0], khasras("OKR-AGR-0019")[0])

    (found,) = overlaps_within([outer, redrawn], POLICY)

    assert (found.at, found.other) == (1, 0)
    assert found.area_sqm == redrawn.area_sqm


def test_overlaps__touching_in_a_line_and_a_corner__are_none() -> None:
    beside = square(73.001, 30.0, 0.001)
    across = square(73.001, 30.001, 0.001)

    assert overlaps_within(shapes(polygon(FIELD), polygon(beside), polygon(across)), POLICY) == []


centimetres = st.floats(-0.03, 0.03)


@given(st.lists(st.tuples(centimetres, centimetres), min_size=8, max_size=8))
def test_overlaps__neighbours_surveyed_twice_within_centimetres__pass(
    noise: list[tuple[float, float]],
) -> None:
    """A killa's side is 64 m: 3 cm along it are at most 2 m² of the 4 that are allowed."""
    side = 64 * METRE
    left = square(73.0, 30.0, side)[:4]
    right = square(73.0 + side, 30.0, side)[:4]
    moved = [
        [lon + east * METRE, lat + north * METRE]
        for (lon, lat), (east, north) in zip([*left, *right], noise, strict=True)
    ]

    neighbours = shapes(polygon([*moved[:4], moved[0]]), polygon([*moved[4:], moved[4]]))

    assert len(neighbours) == 2
    assert overlaps_within(neighbours, POLICY) == []


@given(
    st.floats(-179, 178), st.floats(-80, 80), st.floats(0.0001, 0.01), st.floats(0.002, 1),
    st.booleans(),
)  # fmt: skip
def test_overlaps__more_than_the_tolerance__is_always_found(
    west: float, south: float, side: float, part: float, turned: bool
) -> None:
    first, second = square(west, south, side), square(west + side * (1 - part), south, side)
    one, other = shapes(polygon(first), polygon(second[::-1] if turned else second))
    common = square(west + side * (1 - part), south, side)
    common = [[min(lon, west + side), lat] for lon, lat in common]
    (expected,) = areas_sqm(_array(polygon(common)))
    most = overlap_tolerance_sqm(one.area_sqm, other.area_sqm, POLICY)

    found = overlaps_within([one, other], POLICY)

    if expected > most + Fraction(1, 100):
        assert found[0].area_sqm == pytest.approx(expected, rel=Decimal("0.0001"))
    elif expected < most - Fraction(1, 100):
        assert found == []


def _array(value: dict[str, Any]) -> Any:
    import numpy as np  # noqa: PLC0415

    return np.array([read_shape(value, "").geometry], dtype=object)


# Locks on the ground


@given(
    st.floats(-179, 177), st.floats(-89, 87), st.floats(0, 0.05), st.floats(0, 0.05),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)  # fmt: skip
def test_cells__two_extents_with_a_point_in_common__have_a_cell_in_common(
    west: float, south: float, wide: float, high: float, at: tuple[float, float]
) -> None:
    one = Extent(west, south, west + wide, south + high)
    point = (west + wide * at[0], south + high * at[1])
    other = Extent(point[0], point[1], point[0] + wide, point[1] + high)

    cells, others = _cells_of([one]), _cells_of([other])

    assert cells is not None
    assert others is not None
    assert set(cells) & set(others)
    assert cells == sorted(cells)


def test_cells__too_many__are_the_whole_ground() -> None:
    assert _cells_of([Extent(73.0, 30.0, 74.0, 31.0)]) is None
    spread = [Extent(70 + step / 10, 30.0, 70 + step / 10, 30.0) for step in range(MAX_CELLS + 1)]
    assert _cells_of(spread) is None
    assert _cells_of([]) == []
