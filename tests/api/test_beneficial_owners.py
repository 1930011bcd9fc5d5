"""Who is behind a company: recorded people, with exact fractions, above the law's threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from registry.kernel.actor import Role
from registry.party.models import Party
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.test_party_amendments import FIRST
from tests.factories import numbers

pytestmark = pytest.mark.db

People = tuple[Party, Party]


@pytest.fixture(scope="module")
def people(house: House) -> People:
    with house.desk() as desk:
        return make.person(desk), make.person(desk)


def owner(party: Party, *fraction: int, basis: str = "DIRECT") -> dict[str, Any]:
    return {"party_id": str(party.id), "fraction": list(fraction), "basis": basis}


def company(house: House, ubo: list[dict[str, Any]]) -> Any:
    body = {"kind": "LEGAL", "name": "Kohinoor Mills", "cuin": f"{next(numbers):07}", "ubo": ubo}
    return house.caller(Role.REGISTRAR_MAKER).post("/v1/parties", body)


def test_owners__of_the_threshold_and_more__are_kept_in_lowest_terms(
    house: House, people: People
) -> None:
    one, two = people
    said = [owner(one, 2, 8), owner(two, 3, 4, basis="INDIRECT"), owner(two, 1, 9, basis="CONTROL")]

    answer = company(house, said)

    assert answer.status_code == 201, answer.text
    kept = [owner(one, 1, 4), *said[1:]]
    assert answer.json()["ubo"] == kept
    path = f"/v1/parties/{answer.json()['id']}"
    assert house.caller(Role.COMPLIANCE).get(path).json()["ubo"] == kept


def test_owners__directly_and_over_others__are_held_to_the_threshold_together(
    house: House, people: People
) -> None:
    said = [owner(people[0], 3, 20), owner(people[0], 3, 20, basis="INDIRECT")]

    answer = company(house, said)

    assert answer.status_code == 201, answer.text
    assert answer.json()["ubo"] == said


def test_owners__amended__are_replaced_and_the_rest_stays(house: House, people: People) -> None:
    made = company(house, [owner(people[0], 1, 1)]).json()
    path, maker = f"/v1/parties/{made['id']}", house.caller(Role.REGISTRAR_MAKER)

    answer = maker.patch(path, {"ubo": [owner(people[1], 1, 2)]}, **FIRST)
    assert answer.json() == made | {"ubo": [owner(people[1], 1, 2)], "version": 2}

    answer = maker.patch(path, {"ubo": None}, **{"If-Match": '"2"'})
    assert answer.json()["ubo"] == []


REFUSED: dict[str, tuple[Callable[[People], list[dict[str, Any]]], str]] = {
    "below": (lambda them: [owner(them[0], 249_999, 1_000_000)], "ubo_below_threshold"),
    "below_together": (
        lambda them: [owner(them[0], 1, 8), owner(them[0], 124, 1000, basis="INDIRECT")],
        "ubo_below_threshold",
    ),
    "below_beside_control": (
        lambda them: [owner(them[0], 1, 8), owner(them[0], 1, 8, basis="CONTROL")],
        "ubo_below_threshold",
    ),
    "above_one": (lambda them: [owner(them[0], 3, 2)], "ubo_malformed"),
    "twice": (lambda them: [owner(them[0], 1, 2)] * 2, "ubo_malformed"),
    "too_much": (lambda them: [owner(them[0], 1, 2), owner(them[1], 2, 3)], "ubo_exceeds_whole"),
    "of_zero": (lambda them: [owner(them[0], 1, 0)], "request_invalid"),
    "none": (lambda them: [owner(them[0], 0, 1)], "request_invalid"),
    "basis": (lambda them: [owner(them[0], 1, 2, basis="BLOOD")], "request_invalid"),
    "nobody": (
        lambda _: [{"party_id": str(uuid4()), "fraction": [1, 2], "basis": "DIRECT"}],
        "ubo_malformed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_owners__impossible__are_refused_and_nothing_is_changed(
    house: House, people: People, name: str
) -> None:
    said, code = REFUSED[name]

    with house.unchanged():
        answer = company(house, said(people))

    problem_of(answer, 422, code)


def test_owners__a_company__is_no_person(house: House, people: People) -> None:
    parent = company(house, []).json()
    between = {"party_id": parent["id"], "fraction": [1, 1], "basis": "DIRECT"}

    problem_of(company(house, [between]), 422, "ubo_malformed")


def test_owners__of_a_person__are_refused(house: House, people: People) -> None:
    path = f"/v1/parties/{people[0].id}"
    response = house.caller(Role.COMPLIANCE).patch(path, {"ubo": [owner(people[1], 1, 1)]}, **FIRST)

    problem_of(response, 422, "ubo_not_applicable")
