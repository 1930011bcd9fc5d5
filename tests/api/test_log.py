"""What the service logs while somebody is recorded, enrolled and looked into: nothing of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.masking import mask_text
from registry.party.models import Party
from tests import factories as make
from tests import kyc
from tests.api.house import House, at_once, problem_of
from tests.api.test_party_amendments import FIRST
from tests.api.test_personal_data import WHY, person, record, values_of
from tests.logs import captured_log

pytestmark = pytest.mark.db


def enrolled(house: House) -> tuple[dict[str, Any], httpx.Response]:
    body = person(passport=None, passport_country=None)
    said = {name: value for name, value in body.items() if name != "kind"}
    investor = house.caller(make.actor(Role.INVESTOR))
    return body, investor.post("/v1/investors", {"person": said}, key=f"enrol-{body['cnic']}")


def look_into(house: House, investor_id: str) -> None:
    with house.desk() as desk:
        investor = desk.session.get_one(Investor, UUID(investor_id))
        kyc.recommended(desk, Actor(investor.subject, frozenset({Role.INVESTOR})), investor)
    compliance = house.caller(Role.COMPLIANCE)
    decision = {"decision": "REJECTED", "reason": "the photograph is of somebody else"}
    path = f"/v1/investors/{investor_id}"
    assert compliance.post(f"{path}/kyc", decision).is_success
    party_id = compliance.get(path).json()["party_id"]
    assert compliance.get(f"/v1/parties/{party_id}", **WHY).is_success


def mislay_the_seal(house: House, party_id: str) -> None:
    """Break a seal, as an attacker or a wrong key would."""
    with house.desk() as desk:
        party = desk.session.get_one(Party, party_id)
        party.details_sealed = party.cnic_sealed


def test_log__a_whole_story_with_faults__holds_nothing_personal(house: House) -> None:
    maker, people = house.caller(Role.REGISTRAR_MAKER), []
    with captured_log() as log:
        body, created = record(house)
        path = f"/v1/parties/{created.json()['id']}"
        people.append(body)
        assert maker.get(path).is_success
        assert maker.get("/v1/parties", cnic=body["cnic"], iban=body["iban"]).is_success
        changed = person(kind=..., cnic=...)
        people.append(changed | {"cnic": body["cnic"]})
        changes = {name: value for name, value in changed.items() if value is not ...}
        assert maker.patch(path, changes, **FIRST).is_success
        problem_of(
            maker.post("/v1/parties", body | {"cnic": "374057654321"}), 422, "cnic_malformed"
        )

        buyer, answer = enrolled(house)
        people.append(buyer)
        assert answer.status_code == 201, answer.text
        look_into(house, answer.json()["id"])

        twice = person()
        people.append(twice)
        answers = at_once(*[lambda: maker.post("/v1/parties", twice)] * 6)
        assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]

        mislay_the_seal(house, created.json()["id"])
        problem_of(maker.get(path), 500, "internal_error")

    logged = log.getvalue()
    assert "request_failed" in logged, "the log was not captured"
    found = [value for body in people for value in values_of(body) if value in logged]
    assert found == []


def test_database_fault__of_a_statement_about_somebody__is_told_without_them(
    house: House,
) -> None:
    body = person()
    query = text("SELECT CAST(:value AS integer) WHERE :name <> ''")

    with pytest.raises(DataError) as fault, house.database.reading() as session:
        session.connection().execute(query, {"value": body["cnic"], "name": body["name"]})

    # PostgreSQL itself repeats what it could not read; a log masks that by its form.
    assert [value for value in values_of(body) if value in mask_text(str(fault.value))] == []
