from __future__ import annotations

from collections.abc import Mapping

import pytest

from registry.asset.classes import check_details, class_of
from registry.asset.law import check_against_law, read_law
from registry.asset.models import AssetClass
from registry.jurisdiction.interface import LAND, Jurisdiction, Subject
from registry.jurisdiction.pakistan import CNIC_PROVINCES, PAKISTAN, PROVINCES
from registry.jurisdiction.plain import PLAIN
from registry.jurisdiction.profiles import JURISDICTIONS, jurisdiction_of
from registry.kernel.errors import Invalid
from registry.kernel.units import MarlaKind, PlainArea
from tests.dossiers import sample

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ({"province": "PK-PB"}, PAKISTAN),
        ({"province": "PK-JK", "place": "Mirpur"}, PAKISTAN),
        ({"region": "AE-DU"}, PLAIN),
        ({"region": "DE-BY", "unlocode_pol": "PKGWD"}, PLAIN),
        ({"unlocode_pol": "PKGWD", "unlocode_pod": "AEJEA"}, PAKISTAN),
        ({"unlocode_pol": "AEJEA", "unlocode_pod": "PKGWD"}, PLAIN),
        # a port that nobody knows is a finding (ID-04), wherever it is looked at
        ({"unlocode_pol": "?"}, PLAIN),
    ],
)
def test_jurisdiction_of__location__decides(
    location: Mapping[str, str], expected: Jurisdiction
) -> None:
    assert jurisdiction_of(location) is expected


@pytest.mark.parametrize(
    ("location", "code", "field"),
    [
        ({}, "jurisdiction_unknown", "/location"),
        ({"place": "Lahore"}, "jurisdiction_unknown", "/location"),
        ({"province": "PK-PB", "region": "AE-DU"}, "jurisdiction_unknown", "/location"),
        ({"province": "PB"}, "region_unknown", "/location/province"),
        ({"province": "PK-XX"}, "region_unknown", "/location/province"),
        ({"province": "pk-pb"}, "region_unknown", "/location/province"),
        ({"province": "AE-DU"}, "region_unknown", "/location/province"),
        # Pakistan's own law is not to be had from the plain profile
        ({"region": "PK-PB"}, "region_unknown", "/location/region"),
        ({"region": "AE-XX"}, "region_unknown", "/location/region"),
        ({"region": "ae-du"}, "region_unknown", "/location/region"),
        ({"region": ""}, "region_unknown", "/location/region"),
    ],
)
def test_jurisdiction_of__no_place_of_any__is_refused(
    location: Mapping[str, str], code: str, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        jurisdiction_of(location)

    assert (refusal.value.code, refusal.value.field) == (code, field)


@pytest.mark.parametrize("jurisdiction", JURISDICTIONS, ids=lambda item: item.name)
def test_jurisdiction__every_subject__has_a_regime_a_key_and_an_age(
    jurisdiction: Jurisdiction,
) -> None:
    for subject in Subject:
        regimes = jurisdiction.regimes_of(subject)
        assert regimes, subject
        assert jurisdiction.policy.valuation_max_age_days[subject] > 0
        for regime in regimes.values():
            assert regime.title_proof, "a title that nothing proves"
            assert "ALLOTMENT_LETTER" not in regime.title_proof
            assert "MUTATION_ORDER" not in regime.title_proof
            assert regime.accepts_basis(regime.basis)
            if regime.leasehold:
                assert subject in LAND
    assert set(jurisdiction.key_forms) == LAND


def test_pakistan__regimes__are_those_of_the_register() -> None:
    assert set(PAKISTAN.regimes) == {
        "REVENUE_RECORD_RURAL", "REGISTERED_DEED_URBAN", "LDA_ALLOTMENT", "DHA_TRANSFER_LETTER",
        "COOP_SOCIETY", "CDA_LEASEHOLD", "FREE_ZONE_SUBLEASE", "EWR", "VAULT_ALLOCATED",
        "EBL_TO_ORDER", "CONTRACT_ASSIGNED", "CONTRACT_PLUS_CHATTELS", "CONTRACT_HOSTED_CHATTELS",
    }  # fmt: skip
    assert set(CNIC_PROVINCES.values()) <= PROVINCES
    assert PAKISTAN.identifiers["cnic"].fullmatch("35202-0000001-1")


@pytest.mark.parametrize(
    ("province", "wanted"), [("PK-PB", {"PT1_EXTRACT"}), ("PK-SD", set()), (None, set())]
)
def test_papers__urban_deed__need_pt1_in_the_punjab_only(
    province: str | None, wanted: set[str]
) -> None:
    papers = PAKISTAN.regimes["REGISTERED_DEED_URBAN"].papers(Subject.PREMISES, province)

    assert papers == {"REGISTERED_SALE_DEED", "NEC"} | wanted


@pytest.mark.parametrize(
    ("regime", "basis", "accepted"),
    [
        ("REGISTERED_DEED_URBAN", "REGISTERED_DEED", True),
        ("REGISTERED_DEED_URBAN", "COURT_DECREE", True),
        ("REGISTERED_DEED_URBAN", "RECORD_OF_RIGHTS", False),
        ("REGISTERED_DEED_URBAN", "AUTHORITY_TRANSFER", False),
        ("REVENUE_RECORD_RURAL", "RECORD_OF_RIGHTS", True),
        ("DHA_TRANSFER_LETTER", "AUTHORITY_TRANSFER", True),
    ],
)
def test_accepts_basis__urban_estate__is_a_registered_instrument(
    regime: str, basis: str, accepted: bool
) -> None:
    assert PAKISTAN.regimes[regime].accepts_basis(basis) == accepted


@pytest.mark.parametrize(
    ("regime", "kind", "accepted"),
    [
        ("DHA_TRANSFER_LETTER", MarlaKind.MARLA_225, True),
        ("DHA_TRANSFER_LETTER", MarlaKind.MARLA_272_25, False),
        ("COOP_SOCIETY", MarlaKind.MARLA_250, True),
        ("COOP_SOCIETY", MarlaKind.MARLA_272_25, False),
        ("REGISTERED_DEED_URBAN", MarlaKind.MARLA_272_25, True),
        ("REGISTERED_DEED_URBAN", MarlaKind.MARLA_250, False),
    ],
)
def test_check_against_law__size_of_the_marla__is_the_regimes(
    regime: str, kind: MarlaKind, accepted: bool
) -> None:
    said = sample(AssetClass.LAND_PLOT)
    law = read_law(class_of(AssetClass.LAND_PLOT), regime, said.location)
    details = check_details(law.spec, {**said.details, "marla_kind": str(kind)})

    if accepted:
        check_against_law(law, details, said.keys, said.location)
    else:
        with pytest.raises(Invalid, match="area_unit_not_applicable"):
            check_against_law(law, details, said.keys, said.location)


@pytest.mark.parametrize(
    ("regime", "accepted"), [("CDA_LEASEHOLD", True), ("DHA_TRANSFER_LETTER", False)]
)
def test_check_against_law__square_yards__are_the_capitals(regime: str, accepted: bool) -> None:
    said = sample(AssetClass.LAND_PLOT)
    law = read_law(class_of(AssetClass.LAND_PLOT), regime, said.location)
    lease = {"leasehold": {"lessor": "CDA", "ends": "2051-06-30"}} if accepted else {}
    details = check_details(law.spec, {"area": {"quantity": "500", "unit": "SQYD"}, **lease})

    if accepted:
        check_against_law(law, details, said.keys, said.location)
        assert details.land_area() is not None
    else:
        with pytest.raises(Invalid, match="area_unit_not_applicable"):
            check_against_law(law, details, said.keys, said.location)


def test_check_against_law__lease__goes_with_its_regime() -> None:
    said = sample(AssetClass.LAND_COMMERCIAL)
    free = {name: value for name, value in said.details.items() if name != "leasehold"}
    spec = class_of(AssetClass.LAND_COMMERCIAL)
    leasehold = read_law(spec, "CDA_LEASEHOLD", said.location)
    freehold = read_law(spec, "REGISTERED_DEED_URBAN", said.location)

    check_against_law(freehold, check_details(spec, free), said.keys, said.location)
    with pytest.raises(Invalid, match="lease_missing"):
        check_against_law(leasehold, check_details(spec, free), said.keys, said.location)
    with pytest.raises(Invalid, match="lease_not_applicable"):
        check_against_law(freehold, check_details(spec, said.details), said.keys, said.location)


@pytest.mark.parametrize("field", ["district", "tehsil", "mauza", "hadbast_no"])
def test_read_law__farmland_without_its_village__is_refused(field: str) -> None:
    said = sample(AssetClass.LAND_AGRICULTURAL)
    location = {name: value for name, value in said.location.items() if name != field}

    with pytest.raises(Invalid) as refusal:
        read_law(class_of(AssetClass.LAND_AGRICULTURAL), said.regime, location)

    assert (refusal.value.code, refusal.value.field) == (
        "location_incomplete",
        f"/location/{field}",
    )


@pytest.mark.parametrize(
    ("regime", "port", "field"),
    [("LDA_ALLOTMENT", "PKKHI", "province"), ("FREEHOLD", "AEJEA", "region")],
)
def test_read_law__land_known_by_a_port_only__is_refused(
    regime: str, port: str, field: str
) -> None:
    # without its region the papers of the region would not be asked for
    with pytest.raises(Invalid) as refusal:
        read_law(class_of(AssetClass.LAND_PLOT), regime, {"unlocode_pol": port})

    assert (refusal.value.code, refusal.value.field) == (
        "location_incomplete",
        f"/location/{field}",
    )


def test_plain__freehold_plot__is_a_parcel_in_square_metres() -> None:
    location = {"region": "DE-BY", "place": "München"}
    law = read_law(class_of(AssetClass.LAND_PLOT), "FREEHOLD", location)
    details = check_details(
        law.spec, {"parcel_no": "12/3", "area": {"quantity": "612.5", "unit": "SQM"}}
    )

    check_against_law(law, details, ["PARCEL|DE-BY|MUENCHEN|12/3"], location)

    assert [unit.area for unit in details.spatial_units()] == [details.land_area()]
    assert isinstance(details.land_area(), PlainArea)
    assert law.papers == {"TITLE_EXTRACT"}
    with pytest.raises(Invalid, match="underlying_key_elsewhere"):
        check_against_law(law, details, ["PARCEL|DE-BE|MUENCHEN|12/3"], location)


@pytest.mark.parametrize(
    "asset_class", [AssetClass.COMMODITY_BULLION, AssetClass.ENERGY_MINING_FLEET]
)
def test_plain__goods__are_held_as_everywhere(asset_class: AssetClass) -> None:
    said = sample(asset_class)
    location = {"region": "AE-DU", "place": "Dubai"}
    law = read_law(class_of(asset_class), said.regime, location)

    check_against_law(law, check_details(law.spec, said.details), said.keys, location)

    assert law.jurisdiction is PLAIN
