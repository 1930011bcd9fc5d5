"""PATCH /v1/parties: what is known of somebody is corrected, who they are stays."""

from __future__ import annotations

from typing import Any

import pytest

from registry.kernel.actor import Role
from tests.api.house import House, at_once, problem_of
from tests.api.test_personal_data import WHY, person, record

pytestmark = pytest.mark.db

FIRST = {"If-Match": '"1"'}
LEI = "7LTWFZYICNSX8D621K86"


def personal(house: House, party_id: str) -> dict[str, Any]:
    answer = house.caller(Role.COMPLIANCE).get(f"/v1/parties/{party_id}", **WHY)
    assert answer.is_success, answer.text
    return dict(answer.json()["personal"])


def test_amend__some_fields__changes_them_alone_and_raises_the_version(house: House) -> None:
    body, created = record(house)
    party_id = created.json()["id"]
    before = personal(house, party_id)
    assert created.headers["etag"] == '"1"'
    changes = {"name": "Qurratulain Khan", "dob": None, "iban": "gb33 bukb 2020 1555 5555 55"}
    changes["name_ur"] = body["name_ur"]  # said again as it stands: no correction

    answer = house.caller(Role.REGISTRAR_MAKER).patch(f"/v1/parties/{party_id}", changes, **FIRST)

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    assert (answer.json()["name"], answer.json()["year_of_birth"]) == ("Q*** K***", None)
    now = changes | {"iban": "GB33BUKB20201555555555"}
    assert personal(house, party_id) == before | now
    [entry] = [
        row["facts"]
        for row in house.caller(Role.AUDITOR)
        .get("/v1/journal", subject_id=party_id)
        .json()["items"]
        if row["act"] == "party_amended"
    ]
    assert entry == {"fields": ["dob", "iban", "name"]}
    found = house.caller(Role.REGISTRAR_MAKER).get("/v1/parties", iban=body["iban"]).json()["items"]
    assert party_id not in [row["id"] for row in found]


def test_amend__company__keeps_its_name_open(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    company = {"kind": "LEGAL", "name": "Kohinoor Mills Limited", "lei": LEI}
    path = f"/v1/parties/{maker.post('/v1/parties', company).json()['id']}"

    answer = maker.patch(path, {"name": "Kohinoor Mills PLC", "ntn": "1234567-8"}, **FIRST)

    assert answer.json()["name"] == "Kohinoor Mills PLC"
    assert answer.json()["ntn_masked"] == "***-8"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "name_away": ({"name": None}, "name_required"),
    "cnic": ({"cnic": "35202-1234567-1"}, "unknown_field"),
    "kind": ({"kind": "LEGAL"}, "unknown_field"),
    "born_tomorrow": ({"dob": "9999-12-31"}, "dob_in_future"),
    "no_day": ({"dob": "1983-02-30"}, "request_invalid"),
    "country_away": ({"residence_country": None}, "country_unknown"),
    "country": ({"nationality": "XX"}, "country_unknown"),
    "passport_form": ({"passport": "-"}, "passport_malformed"),
    "passport_of_nowhere": ({"passport_country": None}, "passport_country_required"),
    "iban_digit": ({"iban": "PK37SCBL0000001123456702"}, "iban_malformed"),
    "iban_short": ({"iban": ""}, "iban_malformed"),
    "ntn": ({"ntn": "76543218"}, "ntn_malformed"),
    "address_half": ({"address": {"street": "Mall Road"}}, "address_incomplete"),
    "address_abroad": ({"address": {"address_line": ["1"], "country": "XX"}}, "country_unknown"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_amend__wrong_detail__is_refused_and_changes_nothing(house: House, name: str) -> None:
    changes, code = REFUSED[name]
    _, created = record(house)
    path = f"/v1/parties/{created.json()['id']}"

    with house.unchanged():
        response = house.caller(Role.REGISTRAR_MAKER).patch(path, changes, **FIRST)

    problem_of(response, 422, code)


def test_amend__detail_of_persons_for_a_company__is_refused(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    company = {"kind": "LEGAL", "name": "X", "cuin": "7777777", "dob": "1990-01-01"}

    problem_of(maker.post("/v1/parties", company), 422, "personal_detail_not_applicable")


def test_amend__without_or_with_an_old_version__is_refused(house: House) -> None:
    _, created = record(house)
    path, maker = f"/v1/parties/{created.json()['id']}", house.caller(Role.REGISTRAR_MAKER)
    assert maker.patch(path, {"ntn": None}, **FIRST).is_success

    with house.unchanged():
        problem_of(maker.patch(path, {"dob": None}), 428, "if_match_required")
        problem_of(maker.patch(path, {"dob": None}, **FIRST), 412, "stale_version")


def test_amend__two_at_once__one_is_told_that_it_is_late(house: House) -> None:
    _, created = record(house)
    path, maker = f"/v1/parties/{created.json()['id']}", house.caller(Role.REGISTRAR_MAKER)

    answers = at_once(
        lambda: maker.patch(path, {"ntn": None}, **FIRST),
        lambda: maker.patch(path, {"dob": None}, **FIRST),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_passport__of_somebody_else__is_refused_at_recording_and_amending(house: House) -> None:
    taken, _ = record(house)
    body, created = record(house)
    again = person(passport=taken["passport"])
    path, maker = f"/v1/parties/{created.json()['id']}", house.caller(Role.REGISTRAR_MAKER)

    problem_of(maker.post("/v1/parties", again), 409, "party_exists")
    with house.unchanged():
        hyphened = f"{taken['passport'][:2]}-{taken['passport'][2:]}"
        problem_of(maker.patch(path, {"passport": hyphened}, **FIRST), 409, "party_exists")
    assert personal(house, created.json()["id"])["passport"] == body["passport"]


def test_passport__of_a_person_without_a_cnic__identifies_and_stays(house: House) -> None:
    _, created = record(house, cnic=None, passport_country="GB", nationality="GB")
    path = f"/v1/parties/{created.json()['id']}"

    response = house.caller(Role.COMPLIANCE).patch(path, {"passport": None}, **FIRST)

    assert created.json()["cnic_masked"] is None
    problem_of(response, 422, "cnic_required")
