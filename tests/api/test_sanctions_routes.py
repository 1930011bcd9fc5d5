"""Lists and hits over HTTP: a bad file changes nothing, names are masked, two officers decide."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlmodel import select

from registry.kernel.actor import Actor, Role
from registry.party.models import PartyKind
from registry.sanctions import lists
from registry.sanctions.models import SanctionsList
from registry.sanctions.screening import screen_due
from tests import factories as make
from tests.api.house import Caller, House, problem_of
from tests.api.reports import WHY
from tests.db.past import journal_of
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER
from tests.sanctioned import ENTRIES, Entry, file_of, xml_of

pytestmark = pytest.mark.db


def send(house: House, content: bytes, who: Any = Role.COMPLIANCE) -> Any:
    files = {"file": ("list.xml", content, "application/xml")}
    return house.caller(who).post("/v1/sanctions_lists", files=files)


def test_list__malformed__names_the_line_and_changes_nothing(house: House) -> None:
    problem = problem_of(send(house, xml_of().encode()[:-40]), 422, "sanctions_list_malformed")

    assert problem["detail"].startswith("Line ")
    assert house.one("SELECT count(*) FROM sanctions_entry") == 0
    problem_of(send(house, file_of().getvalue(), Role.REGISTRAR_MAKER), 403, "role_missing")


def test_hit__found_by_the_screening__is_decided_by_two_and_shown_masked(house: House) -> None:
    with house.desk() as desk:
        party = make.person(
            desk,
            kind=PartyKind.NATURAL,
            name="Mohd Usman Barlasi",
            dob=date(1971, 3, 4),
            nationality="PK",
        )
    edition = send(house, file_of().getvalue())
    assert edition.status_code == 201, edition.text
    assert edition.json()["entries"] == len(ENTRIES)
    path = edition.headers["Location"]
    first, second = house.caller(FIRST_OFFICER), house.caller(SECOND_OFFICER)
    assert first.get(path).json()["left_parties"] > 0

    while screen_due(house.database, house.services.vault):
        pass
    assert first.get(path).json()["left_parties"] == 0
    [hit] = first.get("/v1/sanctions_hits", party_id=str(party.id)).json()["items"]
    assert hit["party_name"] == "M*** U*** B***"
    assert (hit["state"], hit["entry"]["reference"]) == ("OPEN", "XXi.001")

    path = f"/v1/sanctions_hits/{hit['id']}"
    verdict = {"verdict": "FALSE_POSITIVE", "reason": "His card is 35202-1234567-1."}
    assert first.post(f"{path}/recommend", verdict).json()["state"] == "RECOMMENDED"
    problem_of(first.post(f"{path}/confirm", {"reason": "Mine"}), 403, "checker_is_maker")
    decided = second.post(f"{path}/confirm", {"reason": "Seen"}).json()
    assert decided["state"] == "FALSE_POSITIVE"
    assert "1234567" not in first.get(path).text
    problem_of(second.post(f"{path}/return", {"reason": "Not so"}), 409, "sanctions_hit_decided")

    why = {"reason": "Another paper came in."}
    problem_of(house.caller(Role.REGULATOR).post(f"{path}/reopen", why), 403, "role_missing")
    again = first.post(f"{path}/reopen", why).json()
    assert (again["state"], again["maker"], again["decided_at"]) == ("OPEN", None, None)
    problem_of(first.post(f"{path}/reopen", why), 409, "sanctions_hit_not_decided")


def test_list__of_far_fewer__is_confirmed_by_another_officer(house: House) -> None:
    whole = xml_of([Entry(f"XXi.{each}", f"Somebody Number{each}zai") for each in range(20)],
                   generated="2026-09-01T00:00:00Z")  # fmt: skip
    first, second = house.caller(FIRST_OFFICER), house.caller(SECOND_OFFICER)
    sent = send(house, whole.encode(), FIRST_OFFICER).json()
    if sent["needs_confirmation"]:  # it names others than the edition in use
        sent = second.post(f"/v1/sanctions_lists/{sent['id']}/confirm").json()
    assert sent["is_current"] is True
    small = file_of(generated="2026-09-02T00:00:00Z").getvalue()
    sent = send(house, small, FIRST_OFFICER).json()
    assert (sent["needs_confirmation"], sent["is_current"]) == (True, False)

    path = f"/v1/sanctions_lists/{sent['id']}/confirm"
    problem_of(first.post(path), 403, "checker_is_maker")
    problem_of(house.caller(Role.AUDITOR).post(path), 403, "role_missing")
    confirmed = second.post(path).json()
    assert (confirmed["confirmed_by"], confirmed["is_current"]) == (SECOND_OFFICER.subject, True)
    problem_of(second.post(path), 409, "sanctions_list_counts")


def test_hit__of_somebody_who_is_an_officer__is_told_nothing_of_themselves(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        own, other = (
            make.person(
                desk, kind=PartyKind.NATURAL, name="Mohd Usman Barlasi",
                dob=date(1971, 3, 4), nationality="PK",
            )
            for _ in range(2)
        )  # fmt: skip
        investor.party_id = own.id
        if desk.session.exec(select(SanctionsList)).first() is None:
            lists.import_list(desk.session, FIRST_OFFICER, file_of())
    while screen_due(house.database, house.services.vault):
        pass
    regulator = house.caller(Role.REGULATOR)
    officer = house.caller(Actor(who.subject, frozenset({Role.AUDITOR})))

    def items(caller: Caller, path: str, **query: str) -> list[dict[str, Any]]:
        answer = caller.get(path, **(WHY | {"limit": 200} | query)).raise_for_status().json()
        found: list[dict[str, Any]] = answer["items"]
        return found

    def parties(caller: Caller) -> list[set[str]]:
        listed = {row["party_id"] for row in items(caller, "/v1/sanctions_hits")}
        return [listed, {row["party"] for row in items(caller, "/v1/reports/R-15")}]

    both = {str(own.id), str(other.id)}
    assert all(told >= both for told in parties(regulator))
    assert all(told & both == {str(other.id)} for told in parties(officer))
    [hit] = [row["id"] for row in items(regulator, "/v1/sanctions_hits", party_id=str(own.id))]
    assert regulator.get(f"/v1/sanctions_hits/{hit}", **WHY).status_code == 200
    problem_of(officer.get(f"/v1/sanctions_hits/{hit}", **WHY), 404, "not_found")
    verdict = {"verdict": "FALSE_POSITIVE", "reason": "Another name."}
    judge = house.caller(Actor(who.subject, frozenset({Role.COMPLIANCE})))
    for act in ("recommend", "return", "confirm", "reopen"):
        said = verdict if act == "recommend" else {"reason": "Mine"}
        problem_of(judge.post(f"/v1/sanctions_hits/{hit}/{act}", said), 404, "not_found")
    path = f"/v1/sanctions_hits/{hit}/recommend"
    assert house.caller(FIRST_OFFICER).post(path, verdict).status_code == 200

    # Nor are the acts upon the hit, the row itself, and who read it.
    journal_of(house.database)  # seals everything
    for path, query in (
        ("/v1/journal", {"subject_id": hit}),
        ("/v1/reports/R-27", {"entity": hit}),
    ):
        assert items(regulator, path, **query)
        assert items(officer, path, **query) == []
    asked = {"subject": str(own.id)}
    read = {row["subject"] for row in items(regulator, "/v1/reports/R-24", **asked)}
    assert read >= {"R-15", "list_sanctions_hits", hit}
    assert {row["subject"] for row in items(officer, "/v1/reports/R-24", **asked)} <= {"R-24"}
