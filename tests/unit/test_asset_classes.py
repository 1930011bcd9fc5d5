from __future__ import annotations

from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from registry.asset.apartment import APARTMENT, ApartmentDetails
from registry.asset.classes import CLASSES, check_details, check_keys, check_regime, class_of
from registry.asset.interface import AssetClassSpec
from registry.asset.models import AssetClass
from registry.asset.warehoused import WAREHOUSED_COMMODITY, WarehousedDetails
from registry.kernel.actor import Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Invalid

pytestmark = pytest.mark.unit

APARTMENT_DETAILS: dict[str, Any] = {
    "parent_area_kms": [4, 0, 0],
    "marla_kind": "MARLA_272_25",
    "undivided_share": [37, 2000],
    "covered_area_sqft": "1480.00",
}
WHEAT_DETAILS: dict[str, Any] = {
    "hs": "100199",
    "name": "Wheat",
    "crop_year": "2026",
    "qty_kg": "2500000",
    "pledged_kg": "0",
    "packages": {"code": "BG", "count": 50000, "kg_each": "50"},
    "quality": {"moisture_pct": "10.2"},
    "expiry": "2027-03-31",
    "insured_pkr": "240000000.00",
    "unit": "KGM",
}


def changed(details: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copy = deepcopy(details)
    *parents, last = path.split("/")
    inner: Any = copy
    for parent in parents:
        inner = inner[int(parent) if isinstance(inner, list) else parent]
    inner[int(last) if isinstance(inner, list) else last] = value
    return copy


def test_check_details__apartment__is_read_exactly() -> None:
    details = check_details(APARTMENT, APARTMENT_DETAILS)

    assert isinstance(details, ApartmentDetails)
    area = details.land_area()
    assert area is not None
    assert area.area_sqft == Decimal(80) * Decimal("272.25")
    assert details.insured_paisa() is None
    assert details.expires_on() is None


def test_check_details__wheat__knows_its_insurance_and_expiry() -> None:
    details = check_details(WAREHOUSED_COMMODITY, WHEAT_DETAILS)

    assert isinstance(details, WarehousedDetails)
    assert details.insured_paisa() == 240_000_000_00
    assert details.expires_on() == date(2027, 3, 31)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("parent_area_kms", [4, 0]),
        ("parent_area_kms", "4-0-0"),
        ("parent_area_kms/0", -1),
        ("parent_area_kms/0", 10**9 + 1),
        ("parent_area_kms/0", 1.5),
        ("parent_area_kms/1", 20),
        ("parent_area_kms/1", -1),
        ("parent_area_kms/2", "9"),
        ("parent_area_kms/2", "-0.1"),
        ("parent_area_kms/2", "0.00001"),
        ("marla_kind", "MARLA_272"),
        ("marla_kind", None),
        ("undivided_share", [1]),
        ("undivided_share", [2001, 2000]),
        ("undivided_share/0", 0),
        ("undivided_share/1", 0),
        ("undivided_share/1", -5),
        ("undivided_share/0", "half"),
        ("covered_area_sqft", "0"),
        ("covered_area_sqft", "-1"),
        ("covered_area_sqft", "NaN"),
        ("covered_area_sqft", "Infinity"),
        ("covered_area_sqft", "1.0000001"),
        ("covered_area_sqft", "1" * 20),
        ("covered_area_sqft", []),
    ],
)
def test_check_details__bad_apartment__is_refused_where_it_is_wrong(path: str, value: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        check_details(APARTMENT, changed(APARTMENT_DETAILS, path, value))

    assert refusal.value.code == "details_invalid"
    assert refusal.value.field is not None
    assert refusal.value.field.startswith("/details/")


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("hs", "10019", "hs"),
        ("hs", "1001999", "hs"),
        ("hs", "10019A", "hs"),
        ("hs", "10019\u0669", "hs"),
        ("hs", 100199, "hs"),
        ("name", "", "name"),
        ("name", " ", "name"),
        ("name", "x" * 201, "name"),
        ("crop_year", "26", "crop_year"),
        ("crop_year", "202\u0666", "crop_year"),
        ("qty_kg", "0", "qty_kg"),
        ("qty_kg", "-1", "qty_kg"),
        ("qty_kg", "0.0000001", "qty_kg"),
        ("qty_kg", "much", "qty_kg"),
        ("pledged_kg", "-1", "pledged_kg"),
        ("pledged_kg", "2500000.000001", ""),
        ("packages", None, "packages"),
        ("packages/code", "BAG", "packages/code"),
        ("packages/code", "bg", "packages/code"),
        ("packages/count", 0, "packages/count"),
        ("packages/count", 1.5, "packages/count"),
        ("packages/kg_each", "0", "packages/kg_each"),
        ("packages/colour", "blue", "packages/colour"),
        ("quality/moisture_pct", "100.0001", "quality/moisture_pct"),
        ("quality/moisture_pct", "-0.1", "quality/moisture_pct"),
        ("quality/moisture_pct", "1.00001", "quality/moisture_pct"),
        ("quality", [], "quality"),
        ("expiry", "31-03-2027", "expiry"),
        ("expiry", "2027-02-29", "expiry"),
        ("unit", "LBR", "unit"),
        ("colour", "blue", "colour"),
    ],
)
def test_check_details__bad_wheat__is_refused_where_it_is_wrong(
    path: str, value: Any, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        check_details(WAREHOUSED_COMMODITY, changed(WHEAT_DETAILS, path, value))

    assert refusal.value.code == "details_invalid"
    assert refusal.value.field == f"/details/{field}"


@pytest.mark.parametrize("amount", ["-1", "1.005", "Rs 5", "", "1e9"])
def test_check_details__insured_sum_is_no_money__is_refused(amount: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_details(WAREHOUSED_COMMODITY, WHEAT_DETAILS | {"insured_pkr": amount})

    assert refusal.value.code == "money_malformed"
    assert refusal.value.field == "/details/insured_pkr"


@pytest.mark.parametrize(
    ("path", "value"),
    [("pledged_kg", "2500000"), ("quality/moisture_pct", "100"), ("quality", {}),
     ("hs", "100199000000"), ("qty_kg", "0.000001")],
)  # fmt: skip
def test_check_details__wheat_at_a_limit__is_accepted(path: str, value: Any) -> None:
    details = changed(WHEAT_DETAILS, path, value)

    assert check_details(WAREHOUSED_COMMODITY, details)


@pytest.mark.parametrize(
    ("spec", "details", "missing"),
    [(APARTMENT, APARTMENT_DETAILS, name) for name in APARTMENT_DETAILS]
    + [
        (WAREHOUSED_COMMODITY, WHEAT_DETAILS, name)
        for name in WHEAT_DETAILS
        if name not in {"pledged_kg", "unit"}
    ],
)
def test_check_details__field_missing__is_named(
    spec: AssetClassSpec, details: dict[str, Any], missing: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        check_details(spec, {name: value for name, value in details.items() if name != missing})

    assert refusal.value.field == f"/details/{missing}"


@pytest.mark.parametrize(
    ("spec", "details", "path"),
    [
        (APARTMENT, APARTMENT_DETAILS, "undivided_share/1"),
        (WAREHOUSED_COMMODITY, WHEAT_DETAILS, "packages/count"),
    ],
)
def test_check_details__whole_number_beyond_json__is_refused_or_hashed(
    spec: AssetClassSpec, details: dict[str, Any], path: str
) -> None:
    # what the canonical JSON of the dossier cannot hold may not get into the dossier
    assert record_hash(check_details(spec, details).model_dump(mode="json"))
    with pytest.raises(Invalid, match="details_invalid"):
        check_details(spec, changed(details, path, 2**53))


@pytest.mark.parametrize(
    ("asset_class", "regime"),
    [(spec.asset_class, regime) for spec in CLASSES.values() for regime in spec.regimes],
)
def test_check_regime__regime_of_the_class__is_accepted(
    asset_class: AssetClass, regime: str
) -> None:
    check_regime(class_of(asset_class), regime)


@pytest.mark.parametrize(
    ("asset_class", "regime"),
    [("LAND_APARTMENT", "EWR"), ("COMMODITY_WAREHOUSED", "LDA_ALLOTMENT"), ("LAND_APARTMENT", "")],
)
def test_check_regime__regime_of_another_class__is_refused(asset_class: str, regime: str) -> None:
    with pytest.raises(Invalid, match="regime_not_applicable"):
        check_regime(class_of(asset_class), regime)


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (APARTMENT, "APT|PK-PB|LAHORE|GULBERG-III|DEMO-HEIGHTS|7-B"),
        (APARTMENT, "APT|DHA|T1|4C"),
        (WAREHOUSED_COMMODITY, "EWR|DEMOCMC|2026-000108"),
        (WAREHOUSED_COMMODITY, "EWR|NAYMAT|A/1"),
    ],
)
def test_check_keys__natural_key__is_accepted(spec: AssetClassSpec, key: str) -> None:
    check_keys(spec, [key])


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (APARTMENT, ""),
        (APARTMENT, "APT|LAHORE|7"),
        (APARTMENT, "APT|pk|lahore|tower|7"),
        (APARTMENT, "APT|DHA||TOWER|7"),
        (APARTMENT, "EWR|DEMOCMC|1"),
        # one thing must not have two spellings (KEY-01)
        (APARTMENT, "APT|DHA|T1|4C\n"),
        (APARTMENT, " APT|DHA|T1|4C"),
        (WAREHOUSED_COMMODITY, "EWR|DEMOCMC"),
        (WAREHOUSED_COMMODITY, "EWR|DEMOCMC|1|2"),
        (WAREHOUSED_COMMODITY, "EWR|DEMOCMC|1\n"),
    ],
)
def test_check_keys__other_form__is_refused_where_it_stands(spec: AssetClassSpec, key: str) -> None:
    good = "APT|A|B|C" if spec is APARTMENT else "EWR|A|B"

    with pytest.raises(Invalid) as refusal:
        check_keys(spec, [good, key])

    assert refusal.value.code == "underlying_key_malformed"
    assert refusal.value.field == "/underlying_keys/1"


def test_check_keys__key_twice__is_refused() -> None:
    with pytest.raises(Invalid, match="underlying_key_repeated"):
        check_keys(APARTMENT, ["APT|A|B|C", "APT|A|B|C"])


def test_check_keys__no_key__is_refused() -> None:
    # an asset that claims nothing could be registered twice
    with pytest.raises(Invalid, match="underlying_key_malformed"):
        check_keys(APARTMENT, [])


@pytest.mark.parametrize("spec", CLASSES.values(), ids=lambda spec: str(spec.asset_class))
def test_classes__every_class__is_decided_by_compliance_and_a_checker(spec: AssetClassSpec) -> None:
    assert spec.approvals[Role.COMPLIANCE] == 1
    assert spec.approvals[Role.REGISTRAR_CHECKER] == 1
    assert sum(spec.approvals.values()) >= 3
    assert all(regime.title_proof for regime in spec.regimes.values())
    assert "ALLOTMENT_LETTER" not in {
        kind for regime in spec.regimes.values() for kind in regime.title_proof
    }
