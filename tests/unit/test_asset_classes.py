"""What holds for every class, and the fields of apartments and warehoused goods."""

from __future__ import annotations

import re
from collections import Counter
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from registry.asset.apartment import APARTMENT, ApartmentDetails
from registry.asset.classes import CLASSES, check_details, class_of
from registry.asset.interface import LAND_APPROVALS, AssetClassSpec, ClassDetails, ShortText
from registry.asset.law import check_against_law, check_keys, dossier_findings, read_law
from registry.asset.models import AssetClass
from registry.asset.warehoused import WAREHOUSED_COMMODITY, WarehousedDetails
from registry.jurisdiction.interface import KeyForm, Subject
from registry.kernel.actor import Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Invalid
from tests.dossiers import SAMPLES, sample

pytestmark = pytest.mark.unit

LAHORE = {"province": "PK-PB", "district": "Lahore", "place": "Lahore"}
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
        ("parent_area_kms", None),
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
        ("hs", "", "hs"),
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
    [(APARTMENT, APARTMENT_DETAILS, "undivided_share")]
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
    ("path", "value", "rules"),
    [
        ("hs", "10019", {"ID-05"}),
        ("hs", "1001999", {"ID-05"}),
        ("hs", "10019A", {"ID-05"}),
        ("hs", "10019\u0669", {"ID-05"}),
        ("pledged_kg", "2500000.000001", {"EWR-01"}),
        ("pledged_kg", "2500000", set()),
        ("hs", "100199000000", set()),
    ],
)
def test_findings__wheat__are_exactly_of_the_rules_broken(
    path: str, value: str, rules: set[str]
) -> None:
    details = check_details(WAREHOUSED_COMMODITY, changed(WHEAT_DETAILS, path, value))

    assert set(details.findings()) == rules


# What every class has in common


@pytest.mark.parametrize("asset_class", AssetClass)
def test_class__sound_dossier__is_lawful_and_breaks_no_rule(asset_class: AssetClass) -> None:
    said = sample(asset_class)
    law = read_law(class_of(asset_class), said.regime, said.location)

    details = check_details(law.spec, said.details)
    check_against_law(law, details, said.keys, said.location)

    assert dossier_findings(law, details, said.keys, said.location) == {}
    assert law.regime.title_proof
    assert law.papers
    stored = details.model_dump(mode="json", exclude_none=True)
    assert check_details(law.spec, stored) == details
    assert record_hash(stored)


@pytest.mark.parametrize("asset_class", AssetClass)
def test_class__unknown_field__is_refused(asset_class: AssetClass) -> None:
    details = {**sample(asset_class).details, "colour": "blue"}

    with pytest.raises(Invalid) as refusal:
        check_details(class_of(asset_class), details)

    assert (refusal.value.code, refusal.value.field) == ("details_invalid", "/details/colour")


@pytest.mark.parametrize(
    ("asset_class", "missing"),
    [
        (asset_class, name)
        for asset_class in AssetClass
        for name, field in class_of(asset_class).details.model_fields.items()
        if field.is_required()
    ],
)
def test_class__required_field_missing__is_named(asset_class: AssetClass, missing: str) -> None:
    details = {
        name: value for name, value in sample(asset_class).details.items() if name != missing
    }

    with pytest.raises(Invalid) as refusal:
        check_details(class_of(asset_class), details)

    assert (refusal.value.code, refusal.value.field) == ("details_invalid", f"/details/{missing}")


def test_classes__every_name__has_its_file_and_its_sample() -> None:
    assert set(CLASSES) == set(SAMPLES) == set(AssetClass)
    assert len({spec.details for spec in CLASSES.values()}) == len(AssetClass) == 12
    assert {spec.subject for spec in CLASSES.values()} == set(Subject)


@pytest.mark.parametrize("spec", CLASSES.values(), ids=lambda spec: str(spec.asset_class))
def test_classes__every_class__is_decided_by_compliance_and_a_checker(spec: AssetClassSpec) -> None:
    assert spec.approvals[Role.COMPLIANCE] == 1
    assert spec.approvals[Role.REGISTRAR_CHECKER] == 1
    assert sum(spec.approvals.values()) >= 3


# Regimes and keys


@pytest.mark.parametrize(
    ("asset_class", "regime"),
    [
        ("LAND_APARTMENT", "EWR"),
        ("COMMODITY_WAREHOUSED", "LDA_ALLOTMENT"),
        ("LAND_APARTMENT", ""),
        ("LAND_AGRICULTURAL", "DHA_TRANSFER_LETTER"),
        ("LAND_PLOT", "FREEHOLD"),
        ("SHIPPING_EBL", "CONTRACT_ASSIGNED"),
    ],
)
def test_read_law__regime_of_another_class_or_country__is_refused(
    asset_class: str, regime: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        read_law(class_of(asset_class), regime, LAHORE)

    assert refusal.value.code == "regime_not_applicable"
    assert refusal.value.field == "/title_regime"


@pytest.mark.parametrize(
    ("spec", "regime", "key"),
    [
        (APARTMENT, "LDA_ALLOTMENT", "APT|PK-PB|LAHORE|GULBERG-III|DEMO-HEIGHTS|7-B"),
        (APARTMENT, "LDA_ALLOTMENT", "APT|DHA|T1|4C"),
        (WAREHOUSED_COMMODITY, "EWR", "EWR|DEMOCMC|2026-000108"),
        (WAREHOUSED_COMMODITY, "EWR", "EWR|NAYMAT|A/1"),
    ],
)
def test_check_keys__natural_key__is_accepted(spec: AssetClassSpec, regime: str, key: str) -> None:
    check_keys(read_law(spec, regime, LAHORE), [key])


BAD_KEYS = {
    AssetClass.LAND_APARTMENT: [
        "",
        "APT|LAHORE|7",
        "APT|pk|lahore|tower|7",
        "APT|DHA||TOWER|7",
        "APT|DHA|TOWER|B-07",
        "APT|DHA|TOWER|7-",
        "APT|DHA|TOWER-|7",
        "EWR|DEMOCMC|1",
        # one thing must not have two spellings (KEY-01)
        "APT|DHA|T1|4C\n",
        " APT|DHA|T1|4C",
    ],
    AssetClass.COMMODITY_WAREHOUSED: ["EWR|DEMOCMC", "EWR|DEMOCMC|1|2", "EWR|DEMOCMC|1\n"],
    AssetClass.LAND_AGRICULTURAL: [
        "KHASRA|PK-PB|OKARA|DEPALPUR|512/1",
        "KHASRA|PB|OKARA|DEPALPUR|999|512/1",
        "KHASRA|PK-PB|OKARA|DEPALPUR|999|512/1 MIN",
        "KHASRA|PK-PB|OKARA|DEPALPUR|999|0512/1",
        "KHASRA|PK-PB|OKARA|DEPALPUR|0999|512/1",
        "KHASRA|PK-PB|OKARA|DEPALPUR|999|512/",
        "KHASRA|PK-PB|OKARA|DEPALPUR|999|5/1/2/3/4",
    ],
    AssetClass.LAND_PLOT: [
        "PLT|LDA|3",
        "PLT|LDA|A|B|C|D|E",
        "PLT|LDA|GULBERG-III|A|07",
        "PLT|LDA|GULBERG-III|A|7-",
        "PLT|LDA|GULBERG-III|A|7--B",
        "PLT|LDA|GULBERG-III|A|-7",
    ],
    AssetClass.LAND_COMMERCIAL: [
        "UNIT|CDA|BLUE-AREA|FLOOR-5",
        "UNIT|CDA|BLUE-AREA|PLAZA|A|05",
        "PLT|CDA|BLUE-AREA|PLAZA|5",
    ],
    AssetClass.COMMODITY_BULLION: ["BAR|DMO|DM0001", "BAR|DMO|DM0001|24"],
    AssetClass.SHIPPING_EBL: ["EBL|D|REF1", "EBL|DEMOX|REF1", f"EBL|DEMO|{'R' * 21}"],
    AssetClass.SHIPPING_CONTRACT: ["CONTRACT|DEMO", "CONTRACT|DEMO LINES|1"],
    AssetClass.ENERGY_MINING_SITE: ["SITE|DEMO", "ASIC|1"],
    AssetClass.ENERGY_MINING_FLEET: ["ASIC|", "ASIC|a1", f"ASIC|{'1' * 41}"],
}


@pytest.mark.parametrize(
    ("asset_class", "key"),
    [(asset_class, key) for asset_class, keys in BAD_KEYS.items() for key in keys],
)
def test_check_keys__other_form__is_refused_where_it_stands(
    asset_class: AssetClass, key: str
) -> None:
    said = sample(asset_class)
    law = read_law(class_of(asset_class), said.regime, said.location)

    with pytest.raises(Invalid) as refusal:
        check_keys(law, [said.keys[0], key])

    assert refusal.value.code == "underlying_key_malformed"
    assert refusal.value.field == "/underlying_keys/1"


def test_check_keys__key_twice__is_refused() -> None:
    with pytest.raises(Invalid, match="underlying_key_repeated"):
        check_keys(read_law(APARTMENT, "LDA_ALLOTMENT", LAHORE), ["APT|A|B|C", "APT|A|B|C"])


def test_check_keys__no_key__is_refused() -> None:
    # an asset that claims nothing could be registered twice
    with pytest.raises(Invalid, match="underlying_key_malformed"):
        check_keys(read_law(APARTMENT, "LDA_ALLOTMENT", LAHORE), [])


@pytest.mark.parametrize(
    "asset_class",
    [AssetClass.LAND_AGRICULTURAL, AssetClass.COMMODITY_BULLION, AssetClass.ENERGY_MINING_FLEET],
)
def test_check_against_law__keys_are_not_those_of_the_fields__is_refused(
    asset_class: AssetClass,
) -> None:
    said, other = sample(asset_class, 1), sample(asset_class, 2)
    law = read_law(class_of(asset_class), said.regime, said.location)
    details = check_details(law.spec, said.details)

    for keys in (said.keys[:1], [*said.keys, other.keys[0]], [said.keys[0], other.keys[1]]):
        # what is not claimed could be registered a second time (KEY-01)
        with pytest.raises(Invalid, match="underlying_keys_incomplete"):
            check_against_law(law, details, keys, said.location)


@pytest.mark.parametrize("field", ["province", "district", "tehsil", "hadbast_no"])
def test_check_against_law__khasra_key_of_another_village__is_refused(field: str) -> None:
    said = sample(AssetClass.LAND_AGRICULTURAL)
    location = {**said.location, field: "PK-SD" if field == "province" else "Elsewhere"}
    law = read_law(class_of(AssetClass.LAND_AGRICULTURAL), said.regime, location)

    with pytest.raises(Invalid, match="underlying_key_elsewhere"):
        check_against_law(law, check_details(law.spec, said.details), said.keys, location)


class PatentDetails(ClassDetails):
    """Fields of a thirteenth class: everything that its file would hold."""

    claims: tuple[ShortText, ...]
    ends: date

    def covered_things(self) -> int:
        return len(self.claims)

    def right_ends_on(self) -> date | None:
        return self.ends


PATENT = AssetClassSpec(
    asset_class=AssetClass.SHIPPING_CONTRACT,  # its own name is the one further line
    label="Patent",
    subject=Subject.FREIGHT_CONTRACT,
    details=PatentDetails,
    keys=KeyForm(re.compile(r"PATENT\|[0-9]+"), "PATENT|number"),
    approvals=Counter(LAND_APPROVALS),
)


def test_interface__thirteenth_class__needs_nothing_but_its_own_file() -> None:
    law = read_law(PATENT, "CONTRACT_ASSIGNED", LAHORE)
    details = check_details(PATENT, {"claims": ["A pump."], "ends": "2040-01-01"})
    empty = check_details(PATENT, {"claims": [], "ends": "2040-01-01"})

    check_against_law(law, details, ["PATENT|143021"], LAHORE)

    assert dossier_findings(law, details, (), LAHORE) == {}
    assert set(dossier_findings(law, empty, (), LAHORE)) == {"TTL-02"}
    assert details.right_ends_on() == date(2040, 1, 1)
    assert law.valuation_max_age_days == 30
    with pytest.raises(Invalid, match="underlying_key_malformed"):
        check_against_law(law, details, ["CONTRACT|A|1"], LAHORE)
