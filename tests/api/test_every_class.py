"""Dossiers of every class over HTTP: opened, read back, and held against the law of the place."""

from __future__ import annotations

from typing import Any

import pytest

from registry.asset import service as assets
from registry.asset.models import AssetClass
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.dossiers import sample, square

pytestmark = pytest.mark.db


def body(house: House, asset_class: AssetClass, number: int, **changes: Any) -> dict[str, Any]:
    said = sample(asset_class, number)
    with house.desk() as desk:
        owner = make.person(desk)
    return {
        "code": f"TST-{asset_class[:3]}-{number:04}",
        "asset_class": asset_class,
        "title_regime": said.regime,
        "location": said.location,
        "details": said.details,
        "underlying_keys": list(said.keys),
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": str(owner.id), "hissa": 1}]},
    } | changes


@pytest.mark.parametrize("asset_class", AssetClass)
def test_asset__of_every_class__is_opened_and_read_back(
    house: House, asset_class: AssetClass
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    wanted = body(house, asset_class, 100 + list(AssetClass).index(asset_class))

    created = maker.post("/v1/assets", wanted)
    assert created.status_code == 201, created.text
    read = maker.get(created.headers["location"]).json()

    assert read["asset_class"] == asset_class
    assert read["underlying_keys"] == sorted(wanted["underlying_keys"])
    assert read["details"].keys() >= wanted["details"].keys()
    assert read["dossier_hash"] == created.json()["dossier_hash"]
    assert None not in read["details"].values()
    assert maker.get("/v1/assets", code=wanted["code"]).json()["items"] == [read]


def test_asset__farmland_with_geometry__keeps_it_as_it_came(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    field = {"no": "7", "area_kms": [8, 0, 0], "geom": square(73.112, 30.665)}
    details = {"khasras": [field], "area_kms": [8, 0, 0], "marla_kind": "MARLA_272_25"}
    keys = ["KHASRA|PK-PB|OKARA|DEPALPUR|999|7"]

    wanted = body(house, AssetClass.LAND_AGRICULTURAL, 200, details=details, underlying_keys=keys)
    read = maker.post("/v1/assets", wanted).json()

    assert read["details"]["khasras"][0]["geom"] == field["geom"]
    assert read["land_area"] == {
        "stated": "8K-0M-0S (marla of 272.25 sq ft)",
        "area_sqft": "43560.00",
        "area_sqm": "4046.8564224000",
    }


def test_asset__in_another_country__is_a_parcel_in_square_metres(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    wanted = body(
        house,
        AssetClass.LAND_PLOT,
        201,
        title_regime="FREEHOLD",
        location={"region": "AE-DU", "place": "Jebel Ali"},
        details={"parcel_no": "591", "area": {"quantity": "612.5", "unit": "SQM"}},
        underlying_keys=["PARCEL|AE-DU|JEBEL-ALI|591"],
    )

    read = maker.post("/v1/assets", wanted).json()

    assert read["land_area"]["stated"] == "612.5 SQM"
    assert read["land_area"]["area_sqm"] == "612.5"


def test_asset__moved_to_another_country__needs_a_regime_of_that_country(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    created = maker.post("/v1/assets", body(house, AssetClass.LAND_PLOT, 202))
    same = ("title_regime", "details", "underlying_keys")
    moved = {name: created.json()[name] for name in same} | {
        "location": {"region": "AE-DU"},
        "ownership": {"kul_hissay": 1, "owners": created.json()["owners"]},
    }

    path = created.headers["location"]
    with house.unchanged():
        answer = maker.patch(path, moved, **{"If-Match": created.headers["etag"]})
        problem_of(answer, 422, "regime_not_applicable")


def test_asset__broken_bill_of_lading__is_recorded_and_sent_back_by_its_rules(
    house: House,
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    said = dict(sample(AssetClass.SHIPPING_EBL, 203).details)
    wanted = body(house, AssetClass.SHIPPING_EBL, 203, details=said | {"imo": "IMO 0123451"})
    created = maker.post("/v1/assets", wanted)
    path = created.headers["location"]
    with house.desk() as desk:
        asset = assets.get_asset(desk.session, created.json()["id"])
        make.file_required(desk, asset)
        make.value(desk, asset)

    run = maker.post(f"{path}/submit").json()

    assert run["answer"] == "BLOCK:ID-03"
    failed = [row for row in run["results"] if not row["passed"]]
    assert [row["detail"] for row in failed] == ["The check digit of IMO 0123451 is wrong."]
    assert failed[0]["message_ur"]
    assert maker.get(path).json()["state"] == "REQUISITIONED"
