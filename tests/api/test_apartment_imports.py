"""Whole buildings in one file: units whose undivided shares never pass their parcel (PAR-04)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from registry.kernel.actor import Role
from tests import factories as make
from tests.api.house import House
from tests.imports import results, send, work

pytestmark = pytest.mark.e2e

FLATS = {
    "asset_class": "LAND_APARTMENT",
    "title_regime": "REGISTERED_DEED_URBAN",
    "code_prefix": "TWR",
}


@pytest.fixture
def owner(fresh_house: House) -> str:
    with fresh_house.desk() as desk:
        return str(make.person(desk).id)


def mapping(owner: str, led_by: str = "PK-PB|LAHORE") -> dict[str, Any]:
    """Map a building manager's sheet: unit, parts of the parcel, covered area."""
    return {
        "location": {"province": "PK-PB", "district": "Lahore", "place": "Gulberg III"},
        "details": {
            "parent_area_kms": [4, 0, 0],
            "marla_kind": "MARLA_225",
            "undivided_share": [{"from": "parts"}, {"from": "of"}],
            "covered_area_sqft": {"from": "sqft"},
        },
        "underlying_keys": [{"template": f"APT|{led_by}|GULBERG-III|{{tower:key}}|{{unit:key}}"}],
        "ownership": {"kul_hissay": 1, "owners": [{"party_id": owner, "hissa": 1}]},
    }


def unit(number: int, parts: object = 1, of: object = 20, tower: str = "Tower One") -> list[Any]:
    return [tower, f"{number}-B", parts, of, "1480.00"]


def sheet(*units: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([["tower", "unit", "parts", "of", "sqft"], *units])
    return text.getvalue().encode()


def onboard(
    house: House,
    owner: str,
    *units: list[Any],
    batch_rows: int = 100,
    led_by: str = "PK-PB|LAHORE",
) -> Any:
    """Hand a sheet in, have it worked, and return what became of its rows, by number."""
    answer = send(house, sheet(*units), mapping(owner, led_by), **FLATS)
    assert answer.status_code == 202, answer.text
    work(house, batch_rows)
    job = house.caller(Role.AUDITOR).get(answer.headers["Location"]).json()
    assert job["state"] == "DONE", job
    said = {}
    for row in results(house, job):
        rules = [problem["rule"] or problem["code"] for problem in row["problems"]]
        said[row["row"]] = rules if row["outcome"] == "refused" else row["outcome"]
    return said


def test_flats__that_make_the_whole_parcel__are_all_accepted(
    fresh_house: House, owner: str
) -> None:
    said = onboard(fresh_house, owner, *(unit(number) for number in range(20)))

    assert set(said.values()) == {"accepted"}
    assert fresh_house.one("SELECT sum(1.0 * numerator / denominator) FROM undivided_share") == 1


@pytest.mark.parametrize("batch_rows", [1, 7, 100])
def test_flats__one_too_many_in_one_file__is_refused_and_the_others_are_not(
    fresh_house: House, owner: str, batch_rows: int
) -> None:
    units = [unit(number) for number in range(19)]
    units += [unit(30, 2), unit(31, 1), unit(32, 1), unit(33, 1, tower="Tower Two")]

    said = onboard(fresh_house, owner, *units, batch_rows=batch_rows)

    refused = {number: why for number, why in said.items() if why != "accepted"}
    assert refused == {20: ["PAR-04"], 22: ["PAR-04"]}


def test_flats__more_than_the_register_leaves__are_refused(fresh_house: House, owner: str) -> None:
    onboard(fresh_house, owner, *(unit(number) for number in range(19)))

    said = onboard(fresh_house, owner, unit(40, 2), unit(41, 1), unit(1, 1, 10_000))

    assert said == {1: ["PAR-04"], 2: "accepted", 3: ["KEY-01", "PAR-04"]}


@pytest.mark.parametrize("led_by", ["PK-SD|LAHORE", "PK-PB|MULTAN", "CDA|LAHORE"])
def test_flats__keyed_in_another_place__make_no_second_parcel_of_the_ground(
    fresh_house: House, owner: str, led_by: str
) -> None:
    onboard(fresh_house, owner, *(unit(number) for number in range(20)))

    said = onboard(fresh_house, owner, unit(1), unit(2), led_by=led_by)

    assert said == {1: ["KEY-02"], 2: ["KEY-02"]}
    assert fresh_house.one("SELECT count(DISTINCT parent_key) FROM undivided_share") == 1


def test_flats__shares_that_are_none__are_refused(fresh_house: House, owner: str) -> None:
    bad = [(0, 20), (1, 0), (21, 20), (-1, 20), ("1.5", 20), ("one", 20), ("", 20)]

    said = onboard(fresh_house, owner, *(unit(n, *parts) for n, parts in enumerate(bad)))

    assert set(said) == set(range(1, len(bad) + 1))
    assert "accepted" not in said.values(), said
