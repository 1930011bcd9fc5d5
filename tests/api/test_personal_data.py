"""Personal data over HTTP: sealed, masked, and shown only for a reason that is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from registry.kernel.actor import Role
from tests.api.house import House, problem_of
from tests.factories import numbers

pytestmark = pytest.mark.db

WHY = {"reveal": True, "purpose": "inquiry 12/2026", "legal_basis": "AML Act 2010, section 25"}
ADDRESS = {"street": "Zaitoon Street", "building": "House 271-K", "town": "Lahore"}
MASKED = {
    "name": "Q*** O*** A***",
    "name_ur": "ق***",
    "father_or_spouse_name": "O*** A***",
    "year_of_birth": 1983,
    "place_of_birth": "M***",
    "nationality": "PK",
    "passport_country": "PK",
    "address": "***",
}
ENTRIES = (
    "SELECT facts::text FROM journal_entry WHERE act = 'personal_data_read' AND subject_id = :id"
)


def person(**changes: Any) -> dict[str, Any]:
    number = next(numbers)
    return {
        "kind": "NATURAL",
        "name": "Qurratulain Orakzai Afridi",
        "name_ur": "قرۃالعین",
        "father_or_spouse_name": "Obaidullah Afridi",
        "cnic": f"37405-{number:07}-9",
        "dob": "1983-08-19",
        "place_of_birth": "Mingora",
        "nationality": "PK",
        "passport": f"QX{number:07}",
        "passport_country": "PK",
        "address": ADDRESS,
        "iban": "PK36SCBL0000001123456702",
        "ntn": "7654321-8",
    } | changes


def record(house: House, **changes: Any) -> tuple[dict[str, Any], httpx.Response]:
    body = person(**changes)
    key = f"person-{next(numbers)}"
    response = house.caller(Role.REGISTRAR_MAKER).post("/v1/parties", body, key=key)
    assert response.status_code == 201, response.text
    return body, response


def values_of(body: Mapping[str, Any]) -> list[str]:
    """Every value of a person that nobody may read by accident."""
    open_ones = {"kind", "nationality", "passport_country", "address", "residence_country"}
    address = body["address"].values()
    return [str(body[name]) for name in body.keys() - open_ones] + [str(item) for item in address]


def test_person__cnic_of_no_province__is_recorded_with_a_warning(house: House) -> None:
    number = next(numbers)
    _, usual = record(house)
    _, unusual = record(house, cnic=f"97405-{number:07}-9")

    assert usual.json()["warnings"] == []
    [warning] = unusual.json()["warnings"]
    assert "ID-01" in warning


def test_person__every_answer__is_masked(house: House) -> None:
    body, created = record(house)
    path = f"/v1/parties/{created.json()['id']}"
    checker = house.caller(Role.REGISTRAR_CHECKER)
    answers = [created, checker.get(path), checker.get("/v1/parties", cnic=body["cnic"])]

    for answer in answers:
        assert not [value for value in values_of(body) if value in answer.text]
    shown = answers[1].json()
    assert MASKED.items() <= shown.items()
    assert shown["passport_masked"] == f"***{body['passport'][-2:]}"
    assert (shown["iban_masked"], shown["ntn_masked"]) == ("PK***6702", "***-8")
    assert shown["personal"] is None


def test_person__in_the_database__is_nowhere_readable(house: House) -> None:
    body, created = record(house)
    dump = house.one("SELECT p::text FROM party p WHERE id = :id", id=created.json()["id"])
    journal = house.one("SELECT string_agg(j::text, ' ') FROM journal_entry j")
    answers = house.one("SELECT string_agg(convert_from(body, 'UTF8'), ' ') FROM stored_answer")

    for value in values_of(body):
        assert value not in dump + journal + answers
        assert value.encode().hex() not in dump


@pytest.mark.parametrize(
    "query",
    [
        lambda body: {"cnic": body["cnic"]},
        lambda body: {"passport": body["passport"].lower(), "passport_country": "PK"},
    ],
)
def test_person__looked_up_by_a_number__is_found_alone(house: House, query: Any) -> None:
    body, created = record(house)
    record(house)

    found = house.caller(Role.REGISTRAR_MAKER).get("/v1/parties", **query(body)).json()["items"]

    assert [row["id"] for row in found] == [created.json()["id"]]


def test_person__looked_up_by_an_account__is_found_with_its_other_owners(house: House) -> None:
    iban = "GB33BUKB20201555555555"
    ids = [record(house, iban=iban)[1].json()["id"] for _ in range(2)]

    found = house.caller(Role.REGISTRAR_MAKER).get("/v1/parties", iban="GB33 BUKB 2020 1555 555555")
    assert [row["id"] for row in found.json()["items"]] == ids


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.REGULATOR])
def test_reveal__with_a_reason__shows_all_and_is_journalled_without_values(
    house: House, role: Role
) -> None:
    body, created = record(house)
    party_id = created.json()["id"]

    answer = house.caller(role).get(f"/v1/parties/{party_id}", **WHY)

    personal = answer.json()["personal"]
    assert personal.pop("address").items() >= ADDRESS.items()
    assert personal == {name: body[name] for name in personal}
    assert answer.headers["cache-control"] == "no-store"
    entry = house.one(ENTRIES, id=party_id)
    assert WHY["purpose"] in entry
    assert WHY["legal_basis"] in entry
    assert not [value for value in values_of(body) if value in entry]


def test_reveal__reason_that_names_a_number__is_journalled_without_it(house: House) -> None:
    body, created = record(house)
    party_id = created.json()["id"]
    why = WHY | {"purpose": f"asked about {body['cnic']}"}

    assert house.caller(Role.COMPLIANCE).get(f"/v1/parties/{party_id}", **why).is_success

    assert "asked about ***" in house.one(ENTRIES, id=party_id)


@pytest.mark.parametrize(
    ("role", "query", "status", "code"),
    [
        (Role.REGISTRAR_MAKER, WHY, 403, "reveal_not_allowed"),
        (Role.AUDITOR, WHY, 403, "reveal_not_allowed"),
        (Role.ISSUER, WHY, 403, "reveal_not_allowed"),
        (Role.INVESTOR, WHY, 403, "role_missing"),
        (Role.REGULATOR, {"reveal": True}, 422, "purpose_required"),
        (Role.REGULATOR, WHY | {"purpose": "   "}, 422, "purpose_required"),
        (Role.COMPLIANCE, WHY | {"legal_basis": ""}, 422, "purpose_required"),
        (Role.COMPLIANCE, WHY | {"purpose": "x" * 501}, 422, "request_invalid"),
    ],
)
def test_reveal__not_for_them_or_without_a_reason__is_refused(
    house: House, role: Role, query: dict[str, Any], status: int, code: str
) -> None:
    body, created = record(house)
    path = f"/v1/parties/{created.json()['id']}"

    with house.unchanged():
        response = house.caller(role).get(path, **query)

    problem_of(response, status, code)
    assert not [value for value in values_of(body) if value in response.text]
