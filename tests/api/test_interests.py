"""Declared interests and thresholds over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from registry.kernel.actor import Role
from registry.kernel.clock import now, today
from registry.party.models import Party
from tests import factories as make
from tests.api.house import House, problem_of
from tests.api.reports import WHY

pytestmark = pytest.mark.db

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def parties(house: House) -> tuple[Party, Party]:
    with house.desk() as desk:
        return make.company(desk), make.person(desk)


def declaration(owner: Party, **changes: Any) -> dict[str, Any]:
    said = {
        "declared_on": "2020-01-01",
        "valid_from": "2020-01-01T00:00:00Z",
        "whole": "9007199254740993",
        "paper_sha256": "ab" * 32,
        "interests": [
            {"holder_id": str(owner.id), "nature": "SHAREHOLDER", "parts": "9007199254740992"},
            {"holder_id": str(owner.id), "nature": "CONTROL"},
        ],
    }
    return said | changes


def path_of(company: Party) -> str:
    return f"/v1/parties/{company.id}/interests"


def test_declaration__declared_and_confirmed__is_exact_and_has_its_past(
    house: House, parties: tuple[Party, Party]
) -> None:
    company, owner = parties
    before = now().isoformat()

    made = house.caller(Role.REGISTRAR_MAKER).post(path_of(company), declaration(owner))
    assert made.status_code == 201, made.text
    path = f"{path_of(company)}/{made.json()['id']}"
    confirmed = house.caller(Role.REGISTRAR_CHECKER).post(f"{path}/confirm").json()

    assert made.json()["state"] == "PROPOSED"
    assert confirmed["state"] == "CONFIRMED"
    assert confirmed["whole"] == "9007199254740993"
    assert [line["parts"] for line in confirmed["interests"]] == ["9007199254740992", None]
    assert confirmed["paper_sha256"] == "ab" * 32
    auditor = house.caller(Role.AUDITOR)
    assert confirmed in auditor.get(path_of(company), **WHY).json()["items"]
    held = auditor.get(path_of(company), **WHY, as_of="2020-01-01T00:00:00Z").json()["items"]
    assert held == [confirmed]
    assert auditor.get(path_of(company), **WHY, as_of="2019-01-01T00:00:00Z").json()["items"] == []
    assert auditor.get(path_of(company), **WHY, known_at=before).json()["items"] == []


def test_declaration__by_its_maker_or_twice__is_refused(
    house: House, parties: tuple[Party, Party]
) -> None:
    company, owner = parties
    compliance = house.caller(Role.COMPLIANCE)
    made = compliance.post(path_of(company), declaration(owner)).json()
    path = f"{path_of(company)}/{made['id']}"

    problem_of(compliance.post(f"{path}/confirm"), 403, "checker_is_maker")
    checker = house.caller(Role.REGISTRAR_CHECKER)
    rejected = checker.post(f"{path}/reject", {"reason": "Not signed by 35202-1234567-1"})
    assert rejected.json()["state"] == "REJECTED"
    assert rejected.json()["reason"] == "Not signed by ***"
    problem_of(checker.post(f"{path}/confirm"), 409, "interests_decided")


def line(owner: UUID | str, **changes: Any) -> list[dict[str, Any]]:
    return [{"holder_id": str(owner), "nature": "SHAREHOLDER", "parts": "1"} | changes]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"interests": []}, "interests_required"),
    "stranger": ({"interests": line(NOBODY)}, "interest_holder_unknown"),
    "negative": ({"interests": line(NOBODY, parts="-1")}, "request_invalid"),
    "decimal": ({"interests": line(NOBODY, parts=1.5)}, "request_invalid"),
    "flag": ({"interests": line(NOBODY, parts=True)}, "request_invalid"),
    "nature": ({"interests": line(NOBODY, nature="FRIEND")}, "request_invalid"),
    "whole": ({"whole": "0"}, "request_invalid"),
    "small_whole": ({"whole": "1"}, "interests_exceed_whole"),
    "future": ({"valid_from": "2200-01-01T00:00:00Z"}, "interest_days_wrong"),
    "year_zero": ({"valid_from": "0001-01-01T00:00:00Z"}, "request_invalid"),
    "hash": ({"paper_sha256": "ab"}, "request_invalid"),
    "more": ({"comment": "x"}, "unknown_field"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_declaration__impossible__is_refused_and_nothing_is_kept(
    house: House, parties: tuple[Party, Party], name: str
) -> None:
    company, owner = parties
    changes, code = REFUSED[name]

    with house.unchanged():
        answer = house.caller(Role.COMPLIANCE).post(path_of(company), declaration(owner, **changes))

    problem_of(answer, 422, code)


def test_declaration__of_a_person_or_of_nobody__is_refused(
    house: House, parties: tuple[Party, Party]
) -> None:
    _, owner = parties
    compliance = house.caller(Role.COMPLIANCE)

    answer = compliance.post(path_of(owner), declaration(owner))
    problem_of(answer, 422, "interests_not_applicable")
    problem_of(compliance.get(f"/v1/parties/{NOBODY}/interests"), 404, "not_found")
    problem_of(house.caller(Role.INVESTOR).get(path_of(owner)), 403, "role_missing")


def test_policies__confirmed__hold_from_their_day(house: House) -> None:
    compliance, checker = house.caller(Role.COMPLIANCE), house.caller(Role.REGISTRAR_CHECKER)
    body = {
        "name": "LARGE_HOLDER",
        "value": "1/20",
        "source": "Circular 9/2026",
        "valid_from": "2026-01-01",
    }

    row = compliance.post("/v1/policies/rows", body).json()
    problem_of(compliance.post(f"/v1/policies/rows/{row['id']}/confirm"), 403, "role_missing")
    confirmed = checker.post(f"/v1/policies/rows/{row['id']}/confirm")
    assert confirmed.status_code == 200, confirmed.text

    def large_holder(**query: str) -> Any:
        found = house.caller(Role.REGULATOR).get("/v1/policies", **query).json()
        [policy] = [policy for policy in found if policy["name"] == "LARGE_HOLDER"]
        return policy

    assert large_holder()["value"] == "1/20"
    assert large_holder(as_of="2025-12-31T12:00:00Z")["value"] == "1/10"
    assert large_holder(known_at=row["recorded_at"])["source"].startswith("The house's own")
    rows = house.caller(Role.AUDITOR).get("/v1/policies/rows", name="LARGE_HOLDER").json()
    assert confirmed.json() in rows["items"]
    early = house.caller(Role.AUDITOR).get("/v1/policies/rows", as_of="2025-12-31T00:00:00Z")
    assert early.json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value": "0"}, "policy_value_wrong"),
        ({"value": "6/5"}, "policy_value_wrong"),
        ({"value": "0.25"}, "request_invalid"),
        ({"value": "1/0"}, "request_invalid"),
        ({"value": 1}, "request_invalid"),
        ({"name": "LUNCH"}, "request_invalid"),
        ({"name": "CTR", "value": "1/2"}, "policy_value_wrong"),
        ({"source": ""}, "request_invalid"),
    ],
)
def test_policy__impossible__is_refused(house: House, changes: dict[str, Any], code: str) -> None:
    body = {"name": "UBO", "value": "1/5", "source": "S.R.O.", "valid_from": str(today())}

    with house.unchanged():
        answer = house.caller(Role.COMPLIANCE).post("/v1/policies/rows", body | changes)

    problem_of(answer, 422, code)
