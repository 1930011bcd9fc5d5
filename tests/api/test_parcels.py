"""The ground of assets over HTTP: GeoJSON with areas, and parcels within a rectangle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shapely.geometry import shape

from demo.seed import load_seed
from registry.asset.models import AssetClass
from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House, problem_of
from tests.db.ground import OKARA, farm, field, taken

pytestmark = pytest.mark.db

SEED = {asset["code"]: asset for asset in load_seed().assets}


def dossier(house: House, geom: Any, number: int) -> dict[str, Any]:
    with house.desk() as desk:
        owner = make.person(desk)
    return {
        "code": f"OKR-AGR-{number % 10_000:04}",
        "asset_class": AssetClass.LAND_AGRICULTURAL,
        "title_regime": "REVENUE_RECORD_RURAL",
        "location": OKARA,
        "details": {
            "khasras": [{"no": f"{number}", "area_kms": [7, 11, "2"], "geom": geom}],
            "area_kms": [7, 11, "2"],
            "marla_kind": "MARLA_272_25",
        },
        "underlying_keys": [f"KHASRA|PK-PB|OKARA|DEPALPUR|999|{number}"],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": str(owner.id), "hissa": 1}]},
    }


def test_asset_parcels__of_the_seeds_farm__is_geojson_with_both_areas(house: House) -> None:
    geoms = [khasra["geom"] for khasra in SEED["OKR-AGR-0004"]["parcel"]["khasras"]]
    with house.desk() as desk:
        asset = farm(desk.session, *geoms)

    said = house.caller(Role.REGISTRAR_MAKER).get(f"/v1/assets/{asset.id}/parcels").json()

    assert said["type"] == "FeatureCollection"
    first = said["features"][0]
    assert first["geometry"] == geoms[0]
    assert first["bbox"] == [73.112, 30.665, 73.11262973, 30.66560485]
    known = first["properties"]
    assert known["deed_area"]["stated"] == "7K-11M-2S (marla of 272.25 sq ft)"
    assert known["deed_area"]["area_sqft"] == "41170.25"
    assert known["area_sqm"] == "4046.8553"
    assert known["difference_percent"] == "5.8045"
    assert known["live"] is False


def test_asset_parcels__asset_that_nobody_knows__is_not_found(house: House) -> None:
    answer = house.caller(Role.AUDITOR).get(
        "/v1/assets/00000000-0000-7000-8000-000000000000/parcels"
    )

    problem_of(answer, 404, "not_found")


def test_parcels__in_a_rectangle__are_the_live_ones_page_by_page(house: House) -> None:
    with house.desk() as desk:
        here = [
            taken(desk.session, farm(desk.session, field(70 + step, 29.0))) for step in range(3)
        ]
        farm(desk.session, field(70.5, 29.0))
        taken(desk.session, farm(desk.session, field(70.0, 28.0)))
    regulator = house.caller(Role.REGULATOR)

    first = regulator.get("/v1/parcels", bbox="69.9,28.9,72.1,29.1", limit=2).json()
    rest = regulator.get(
        "/v1/parcels", bbox="69.9,28.9,72.1,29.1", limit=2, cursor=first["next"]
    ).json()

    found = [item["properties"]["asset_id"] for item in [*first["items"], *rest["items"]]]
    assert found == [str(asset.id) for asset in here]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "bbox", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "73,30,72,31", "73,31,74,30", "nan,0,1,1",
             "-inf,0,1,1", "0,0,181,1"],
)  # fmt: skip
def test_parcels__no_rectangle__is_refused(house: House, bbox: str) -> None:
    answer = house.caller(Role.REGISTRAR_CHECKER).get("/v1/parcels", bbox=bbox)

    assert problem_of(answer, 422, "bbox_malformed")["field"] == "/query/bbox"


def test_open_dossier__surveyed_field__is_recorded_as_a_parcel(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    geom = field(71.0, 30.0)

    asset = maker.post("/v1/assets", dossier(house, geom, 88001)).json()

    (parcel,) = maker.get(f"/v1/assets/{asset['id']}/parcels").json()["features"]
    assert shape(parcel["geometry"]).equals(shape(geom))


BOWTIE = [[73.0, 30.0], [73.001, 30.001], [73.001, 30.0], [73.0, 30.001], [73.0, 30.0]]


@pytest.mark.parametrize(
    ("geom", "pointer"),
    [
        ({"type": "Polygon", "coordinates": [BOWTIE]}, ""),
        ({"type": "Polygon", "coordinates": [BOWTIE[:3]]}, "/coordinates/0"),
        ({"type": "Polygon"}, "/coordinates"),
        ({"type": "Point", "coordinates": [73.0, 30.0]}, "/type"),
        ({}, "/type"),
        (
            {"type": "Polygon", "coordinates": [[[float("nan"), 30.0], *BOWTIE]]},
            "/coordinates/0/0",
        ),
    ],
)
def test_open_dossier__geometry_that_is_none__changes_nothing(
    house: House, geom: dict[str, Any], pointer: str
) -> None:
    body = json.dumps(dossier(house, geom, 88002))
    maker = house.caller(Role.REGISTRAR_MAKER)

    with house.unchanged():
        answer = maker.ask(
            "POST", "/v1/assets", content=body, headers={"Content-Type": "application/json"}
        )

    problem = problem_of(answer, 422, "geometry_invalid")
    assert problem["field"] == f"/details/khasras/0/geom{pointer}"
