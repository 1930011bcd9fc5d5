from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.kernel.errors import Invalid
from registry.kernel.units import AreaUnit, LandArea, MarlaKind, PlainArea

pytestmark = pytest.mark.unit

REVENUE = MarlaKind.MARLA_272_25


@pytest.mark.parametrize(
    ("kind", "sqft"),
    [
        (MarlaKind.MARLA_272_25, "272.25"),
        (MarlaKind.MARLA_225, "225"),
        (MarlaKind.MARLA_250, "250"),
    ],
)
def test_marla__kind__has_its_size(kind: MarlaKind, sqft: str) -> None:
    assert kind.sqft == Decimal(sqft)


@pytest.mark.parametrize(
    ("area", "sqft"),
    [
        # `registry-domain` section 3
        (LandArea(12, 7, Decimal(3), REVENUE), "67336.5"),
        # one acre; a calculator with a marla of 272 gives 43,520
        (LandArea(8, 0, Decimal(0), REVENUE), "43560"),
        (LandArea(0, 0, Decimal(1), REVENUE), "30.25"),
        (LandArea(0, 0, Decimal(1), MarlaKind.MARLA_225), "25"),
        (LandArea(0, 1, Decimal(0), MarlaKind.MARLA_250), "250"),
        (LandArea(0, 0, Decimal(0), REVENUE), "0"),
    ],
)
def test_area_sqft__known_area__is_exact(area: LandArea, sqft: str) -> None:
    assert area.area_sqft == Decimal(sqft)


def test_area_sqm__known_area__is_exact() -> None:
    area = LandArea(12, 7, Decimal(3), REVENUE)

    assert area.area_sqm == Decimal("6255.76555296")


@given(
    kanal=st.integers(0, 10**9),
    marla=st.integers(0, 19),
    sarsai=st.decimals(0, Decimal("8.9999"), places=4),
    kind=st.sampled_from([MarlaKind.MARLA_272_25, MarlaKind.MARLA_225]),
)
def test_area_sqft__whole_square_karams__equals_the_fraction(
    kanal: int, marla: int, sarsai: Decimal, kind: MarlaKind
) -> None:
    parts = (kanal * 20 + marla) * 9 + Fraction(sarsai)

    assert (
        Fraction(LandArea(kanal, marla, sarsai, kind).area_sqft) == parts * Fraction(kind.sqft) / 9
    )


@pytest.mark.parametrize(
    ("kanal", "marla", "sarsai"),
    [(-1, 0, "0"), (0, -1, "0"), (0, 20, "0"), (0, 0, "-0.0001"), (0, 0, "9")],
)
def test_land_area__beyond_a_measure__is_refused(kanal: int, marla: int, sarsai: str) -> None:
    with pytest.raises(Invalid) as refusal:
        LandArea(kanal, marla, Decimal(sarsai), REVENUE)

    assert refusal.value.code == "area_malformed"


@pytest.mark.parametrize(("marla", "sarsai"), [(0, "0"), (19, "8.9999")])
def test_land_area__at_a_measure__is_accepted(marla: int, sarsai: str) -> None:
    assert str(LandArea(0, marla, Decimal(sarsai), REVENUE)) == (
        f"0K-{marla}M-{sarsai}S (marla of 272.25 sq ft)"
    )


@pytest.mark.parametrize(
    ("quantity", "unit", "sqft", "sqm"),
    [
        ("500", AreaUnit.SQYD, "4500", "418.063680"),
        ("1", AreaUnit.SQFT, "1", "0.09290304"),
        ("0.09290304", AreaUnit.SQM, "1.0000", "0.09290304"),
        ("612.5", AreaUnit.SQM, "6592.8951", "612.5"),
    ],
)
def test_plain_area__known_area__is_exact(
    quantity: str, unit: AreaUnit, sqft: str, sqm: str
) -> None:
    area = PlainArea(Decimal(quantity), unit)

    assert (area.area_sqft, area.area_sqm) == (Decimal(sqft), Decimal(sqm))
    assert str(area) == f"{quantity} {unit}"
