"""Reading back: versions and times of a title, ETags, and people without their numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from registry.asset.models import Asset
from registry.kernel.actor import Role
from tests import factories as make
from tests import sales
from tests.api.house import House, at_once, problem_of

pytestmark = pytest.mark.db


@pytest.fixture
def draft(house: House) -> Asset:
    with house.desk() as desk:
        return make.open_apartment(desk)


def read(house: House, path: str, role: Role = Role.REGISTRAR_MAKER, **query: Any) -> Any:
    response = house.caller(role).get(path, **query)
    assert response.status_code == 200, response.text
    return response.json()


def sold_to(now: dict[str, Any], *owners: str) -> dict[str, Any]:
    """Return the dossier `now` as an edit that names other owners."""
    same = ("title_regime", "location", "details", "underlying_keys")
    parts = [{"party_id": owner, "hissa": 1} for owner in owners]
    return {name: now[name] for name in same} | {
        "ownership": {"kul_hissay": len(parts), "owners": parts}
    }


# ETag and If-Match


def test_asset__amended_with_its_etag__has_another(house: House, draft: Asset) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    path = f"/v1/assets/{draft.id}"
    read_first = maker.get(path)
    first = read_first.headers["etag"]
    body = sold_to(read_first.json(), *[item["party_id"] for item in read_first.json()["owners"]])
    elsewhere = body["location"] | {"place": "Elsewhere"}
    changed = body | {"location": elsewhere}

    amended = maker.patch(path, changed, **{"If-Match": first})

    assert amended.status_code == 200, amended.text
    assert amended.headers["etag"] == maker.get(path).headers["etag"] != first
    assert amended.json()["location"] == elsewhere
    assert amended.json()["dossier_hash"] != read_first.json()["dossier_hash"]
    problem_of(maker.patch(path, changed, **{"If-Match": first}), 412, "stale_version")


def test_asset__two_edits_of_one_version_at_one_moment__one_is_refused(
    house: House, draft: Asset
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    path = f"/v1/assets/{draft.id}"
    now = maker.get(path)
    owner = now.json()["owners"][0]["party_id"]
    edits = [
        sold_to(now.json(), owner) | {"location": now.json()["location"] | {"place": place}}
        for place in ("Elsewhere", "Nowhere")
    ]

    answers = at_once(
        *[
            lambda edit=edit: maker.patch(path, edit, **{"If-Match": now.headers["etag"]})
            for edit in edits
        ]
    )

    assert sorted(answer.status_code for answer in answers) in ([200, 412], [200, 409])
    winner = next(answer for answer in answers if answer.is_success)
    assert read(house, path)["location"] == winner.json()["location"]


# Titles, as of a time and as known at a time


def test_title__restated__is_read_as_it_was_known(house: House, draft: Asset) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)
    asset = maker.get(f"/v1/assets/{draft.id}")
    title = f"/v1/titles/{asset.json()['title_id']}"
    before = read(house, title)
    old_owner = before["version"]["owners"][0]["party_id"]
    with house.desk() as desk:
        new_owner = str(make.person(desk).id)
    edit = sold_to(asset.json(), old_owner, new_owner)
    assert maker.patch(
        f"/v1/assets/{draft.id}", edit, **{"If-Match": asset.headers["etag"]}
    ).is_success

    after = read(house, title)
    then = read(house, title, known_at=before["known_at"], as_of=before["as_of"])

    assert then["version"]["owners"] == before["version"]["owners"]
    assert {owner["party_id"] for owner in after["version"]["owners"]} == {old_owner, new_owner}
    assert (then["version"]["seq"], after["version"]["seq"]) == (1, 2)
    versions = read(house, f"{title}/versions")
    assert [version["seq"] for version in versions] == [1, 2]
    assert versions[0]["superseded_at"] is not None
    assert versions[1]["superseded_at"] is None


def test_title__before_it_was_there__is_not_found(house: House, draft: Asset) -> None:
    title_id = read(house, f"/v1/assets/{draft.id}")["title_id"]
    recorded = datetime.fromisoformat(read(house, f"/v1/titles/{title_id}")["as_of"])
    early = (recorded - timedelta(days=1)).isoformat()
    maker = house.caller(Role.REGISTRAR_MAKER)

    for query in ({"as_of": early}, {"known_at": early}, {"as_of": early, "known_at": early}):
        problem_of(maker.get(f"/v1/titles/{title_id}", **query), 404, "not_found")


@pytest.mark.parametrize("name", ["as_of", "known_at"])
@pytest.mark.parametrize("moment", ["rubbish", "2026-07-28", "2026-07-28T09:00:00", "block:7", ""])
def test_title__moment_that_is_none__is_refused(
    house: House, draft: Asset, name: str, moment: str
) -> None:
    title_id = read(house, f"/v1/assets/{draft.id}")["title_id"]
    response = house.caller(Role.REGISTRAR_MAKER).get(f"/v1/titles/{title_id}", **{name: moment})

    problem_of(response, 422, "request_invalid")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_title__moment_at_the_end_of_time__is_answered(
    house: House, draft: Asset, moment: str
) -> None:
    title_id = read(house, f"/v1/assets/{draft.id}")["title_id"]
    response = house.caller(Role.REGISTRAR_MAKER).get(f"/v1/titles/{title_id}", as_of=moment)

    assert response.status_code in {200, 404}, response.text


# Personal data


def test_person__anywhere_in_the_api__has_a_masked_number(house: House) -> None:
    cnic, masked = "37405-7654321-9", "37405-*****21-9"
    with house.desk() as desk:
        party = make.person(desk, name="Masked", cnic=cnic)
        asset = make.open_apartment(desk, party)
    registrar = house.caller(Role.REGISTRAR_CHECKER)
    answers = [
        registrar.get(f"/v1/parties/{party.id}"),
        registrar.get("/v1/parties", cnic=cnic),
        registrar.get(f"/v1/assets/{asset.id}"),
        house.caller(Role.AUDITOR).get("/v1/journal", subject_id=str(party.id)),
    ]

    assert answers[0].json()["cnic_masked"] == masked
    assert [item["cnic_masked"] for item in answers[1].json()["items"]] == [masked]
    for answer in answers:
        assert answer.is_success, answer.text
        assert cnic not in answer.text
        assert "7654321" not in answer.text


def test_person__in_the_database__is_sealed(house: House) -> None:
    with house.desk() as desk:
        party = make.person(desk, cnic="37405-1112223-9")
    row = house.one("SELECT p::text FROM party p WHERE id = :id", id=party.id)

    assert "1112223" not in row
    assert b"1112223".hex() not in row


def test_problem__of_a_wrong_number__does_not_repeat_it(house: House) -> None:
    body = {"kind": "NATURAL", "name": "X", "cnic": "37405-765432-9"}
    response = house.caller(Role.REGISTRAR_MAKER).post("/v1/parties", body)

    problem_of(response, 422, "cnic_malformed")
    assert "765432" not in response.text


# Answers as they are promised


def test_amounts_and_units__beyond_what_json_numbers_hold__are_text(house: House) -> None:
    with house.desk() as desk:
        token = sales.structured(desk, sales.wrapped_apartment(desk))
    said = read(house, f"/v1/tokenizations/{token.id}")

    assert said["declared_fractions"] == str(token.declared_fractions)
    assert said["price"] == {"amount": f"{token.price_paisa // 100}.00", "currency": "PKR"}


def test_gate__blocked__shows_every_rule_and_stores_the_run(house: House, draft: Asset) -> None:
    path = f"/v1/assets/{draft.id}/rule_runs"
    run = house.caller(Role.REGISTRAR_CHECKER).post(path).json()

    failed = {rule["id"] for rule in run["results"] if not rule["passed"]}
    assert failed == {"TTL-05", "WRP-01", "VAL-01"}
    assert run["answer"] == "BLOCK:TTL-05,VAL-01,WRP-01"
    assert read(house, path)[0]["id"] == run["id"]
    assert all(rule["message_ur"] and rule["remedy"] for rule in run["results"])
