"""Farmland, plots, premises and industrial sites: their fields on both sides of each limit."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.asset.classes import check_details, class_of
from registry.asset.interface import ClassDetails
from registry.asset.land import GroundDetails
from registry.asset.law import dossier_findings, read_law
from registry.asset.models import AssetClass
from registry.kernel.errors import Invalid
from registry.rulebook.service import rule_book
from tests.dossiers import sample, square

pytestmark = pytest.mark.unit

FARMLAND, PLOT = AssetClass.LAND_AGRICULTURAL, AssetClass.LAND_PLOT
SHOP, SITE = AssetClass.LAND_COMMERCIAL, AssetClass.LAND_INDUSTRIAL


def read(asset_class: AssetClass, **changes: Any) -> ClassDetails:
    fields = {**deepcopy(dict(sample(asset_class).details)), **changes}
    given = {name: value for name, value in fields.items() if value is not None}
    return check_details(class_of(asset_class), given)


def khasras(*areas: list[Any]) -> list[dict[str, Any]]:
    return [{"no": f"1/{number}", "area_kms": area} for number, area in enumerate(areas, 1)]


def test_farmland__khasras__are_its_parcels() -> None:
    details = read(
        FARMLAND,
        khasras=[
            {"no": "512/1", "area_kms": [8, 0, 0], "geom": square(73.112, 30.665)},
            {"no": "512/2 min", "area_kms": [12, 7, 3], "land_class": "nehri"},
        ],
    )

    first, second = details.spatial_units()

    assert (first.number, second.number) == ("512/1", "512/2 min")
    assert first.geometry == square(73.112, 30.665)
    assert second.geometry is None
    assert second.area is not None
    assert second.area.area_sqft == Decimal("67336.5")
    assert second.area.area_sqm.quantize(Decimal("0.0001")) == Decimal("6255.7656")
    assert details.key_endings() == ("|512/1", "|512/2-MIN")
    assert details.findings() == {}


@pytest.mark.parametrize(
    ("khasra", "rules"),
    [
        ({"no": "512/1/2/3"}, set()),
        ({"no": "512 min", "land_class": "Ghair Mumkin"}, set()),
        ({"no": "512min"}, set()),
        ({"no": "512/1/2/3/4"}, {"PAR-05"}),
        ({"no": "A-12"}, {"PAR-05"}),
        ({"no": "512/"}, {"PAR-05"}),
        ({"no": "٥١٢"}, {"PAR-05"}),
        ({"no": "512", "land_class": "orchard"}, {"PAR-06"}),
        ({"no": "twelve", "land_class": "orchard"}, {"PAR-05", "PAR-06"}),
    ],
)
def test_farmland__what_the_record_does_not_usually_say__is_only_noted(
    khasra: dict[str, Any], rules: set[str]
) -> None:
    said = sample(FARMLAND)
    law = read_law(class_of(FARMLAND), said.regime, said.location)
    details = read(FARMLAND, khasras=[{"area_kms": [8, 0, 0]} | khasra], area_kms=[8, 0, 0])

    assert set(dossier_findings(law, details, said.keys, said.location)) == rules
    for rule in rules:
        assert set(rule_book()[rule].moments.values()) == {"WARNING"}


@pytest.mark.parametrize(
    ("parts", "rules"),
    [
        (khasras([8, 0, 0], [12, 7, 3]), set()),
        # nineteen marla and one are a kanal, nine sarsai a marla
        (khasras([19, 19, "8.5"], [0, 7, "3.5"]), set()),
        (khasras([8, 0, 0], [12, 7, "2.9999"]), {"PAR-03"}),
        (khasras([8, 0, 0], [12, 7, "3.0001"]), {"PAR-03"}),
        (khasras([8, 0, 0]), {"PAR-03"}),
        ([], {"TTL-02"}),
    ],
)
def test_farmland__sum_of_the_khasras__is_exact(
    parts: list[dict[str, Any]], rules: set[str]
) -> None:
    assert set(read(FARMLAND, khasras=parts).findings()) == rules


@pytest.mark.parametrize(("second", "rules"), [("0.5", set()), ("0.500001", {"PAR-03"})])
def test_farmland__plain_areas__sum_exactly_too(second: str, rules: set[str]) -> None:
    details = read(
        FARMLAND,
        area_kms=None,
        marla_kind=None,
        area={"quantity": "1.5", "unit": "SQM"},
        khasras=[
            {"no": "1", "area": {"quantity": "1", "unit": "SQM"}},
            {"no": "2", "area": {"quantity": second, "unit": "SQM"}},
        ],
    )

    assert set(details.findings()) == rules


def as_kms(sarsai: Decimal) -> list[Any]:
    marla, rest = divmod(sarsai, 9)
    return [*divmod(int(marla), 20), str(rest)]


@given(
    parts=st.lists(st.decimals(Decimal("0.0001"), 10**6, places=4), min_size=1, max_size=20),
    off=st.sampled_from([Decimal(0), Decimal("0.0001"), Decimal("-0.0001"), Decimal(9)]),
)
def test_farmland__any_partition__sums_exactly_or_fires_par_03(
    parts: list[Decimal], off: Decimal
) -> None:
    whole = sum(parts, Decimal(0)) + off
    assume(whole > 0)
    details = read(FARMLAND, khasras=khasras(*map(as_kms, parts)), area_kms=as_kms(whole))

    assert set(details.findings()) == ({"PAR-03"} if off else set())


BAD_FARMLAND: list[dict[str, Any]] = [
    {"area_kms": None},
    {"marla_kind": None},
    {"area_kms": None, "marla_kind": None},
    {"area": {"quantity": "1", "unit": "SQM"}},
    {"khasras": khasras([8, 0, 0]) * 2},
    {"khasras": [{"no": "1", "area": {"quantity": "1", "unit": "SQM"}}]},
    {"khasras": [{"no": "1"}]},
    {"khasras": [{"no": "", "area_kms": [1, 0, 0]}]},
    {"khasras": [{"no": "1", "area_kms": [0, 0, 0]}]},
    {"area_kms": [0, 0, 0]},
    {"khasras": [{"no": "1", "area_kms": [1, 20, 0]}]},
    {"khasras": [{"no": "1", "area_kms": [1, 0, 9]}]},
    {"khasras": [{"no": "1", "area_kms": [-1, 0, 0]}]},
    {"khasras": [{"no": "1", "area_kms": [1, 0, 0], "geom": "POLYGON"}]},
    {"khasras": "1"},
    {"area_kms": [1.5, 0, 0]},
]


@pytest.mark.parametrize("changes", BAD_FARMLAND)
def test_farmland__malformed__is_refused_where_it_is_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        read(FARMLAND, **changes)

    assert refusal.value.code == "details_invalid"
    assert (refusal.value.field or "").startswith("/details/")


@pytest.mark.parametrize("asset_class", [PLOT, SITE])
def test_ground__one_parcel__has_the_titles_area(asset_class: AssetClass) -> None:
    details = read(asset_class, parcel_no="D-07", geom=square(62.3, 25.2))

    (unit,) = details.spatial_units()

    assert (unit.number, unit.area) == ("D-07", details.land_area())
    assert unit.geometry == square(62.3, 25.2)
    assert details.part_of_parent() is None


@pytest.mark.parametrize(
    ("asset_class", "changes"),
    [
        (PLOT, {"area_kms": None}),
        (PLOT, {"area": {"quantity": "0", "unit": "SQM"}}),
        (PLOT, {"area_kms": None, "marla_kind": None, "area": {"quantity": "1", "unit": "ACRE"}}),
        (PLOT, {"parcel_no": ""}),
        (SITE, {"covered_area_sqft": "0"}),
        (SHOP, {"covered_area_sqft": None}),
        (SHOP, {"covered_area_sqft": "0"}),
        (SHOP, {"covered_area": {"quantity": "1", "unit": "SQM"}}),
        (SHOP, {"undivided_share": [2, 1]}),
        (SHOP, {"undivided_share": [0, 1]}),
        (SHOP, {"leasehold": {"lessor": "CDA"}}),
        (SHOP, {"leasehold": {"lessor": "", "ends": "2051-06-30"}}),
        (
            SITE,
            {"leasehold": {"lessor": "Z", "ends": "2047-12-31", "concession_ends": "2047-12-30"}},
        ),
    ],
)
def test_land__malformed__is_refused(asset_class: AssetClass, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(asset_class, **changes)


def test_lease__ends_with_its_concession__is_the_end_of_the_right() -> None:
    ends = "2047-12-31"
    details = read(SITE, leasehold={"lessor": "Z", "ends": ends, "concession_ends": ends})

    assert details.lease_ends_on() == details.right_ends_on() == date(2047, 12, 31)
    assert details.expires_on() is None


@pytest.mark.parametrize(
    ("asset_class", "share", "expected"),
    [
        (AssetClass.LAND_APARTMENT, [37, 2000], Fraction(37, 2000)),
        (AssetClass.LAND_APARTMENT, [5, 5], Fraction(1)),
        (SHOP, [1, 24], Fraction(1, 24)),
        (SHOP, None, None),
    ],
)
def test_unit__undivided_share__is_an_exact_part_of_the_parent(
    asset_class: AssetClass, share: list[int] | None, expected: Fraction | None
) -> None:
    assert read(asset_class, undivided_share=share).part_of_parent() == expected


# The record of rights


def test_ground__in_the_record_of_rights__is_read_with_its_edition() -> None:
    record = {"khewat": "41/2", "khatunis": ["88", "89/1"], "jamabandi_year": "1999-00"}
    details = read(FARMLAND, record_of_rights=record)

    assert isinstance(details, GroundDetails)
    assert details.record_of_rights is not None
    assert details.record_of_rights.khatunis == ("88", "89/1")
    assert isinstance(read(PLOT, record_of_rights={"khewat": "7"}), GroundDetails)


@pytest.mark.parametrize(
    "changes",
    [
        {"khewat": "0"},
        {"khewat": ""},
        {"khewat": None},
        {"khewat": "41 or so"},
        {"khewat": "41/2/3/4"},
        {"khewat": "1234567"},
        {"khatunis": ["88", "88"]},
        {"khatunis": ["x"]},
        {"khatunis": [str(number) for number in range(1, 202)]},
        {"jamabandi_year": "2018-20"},
        {"jamabandi_year": "2018"},
        {"jamabandi_year": "2098-99"},
        {"jamabandi_year": "1718-19"},
        {"khata": "12"},
    ],
)
def test_ground__record_of_rights_malformed__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        read(FARMLAND, record_of_rights={"khewat": "41"} | changes)

    assert refusal.value.code == "details_invalid"
    assert str(refusal.value.field).startswith("/details/record_of_rights")


def test_unit__in_the_record_of_rights__is_refused() -> None:
    with pytest.raises(Invalid, match="details_invalid"):
        read(SHOP, record_of_rights={"khewat": "41"})
