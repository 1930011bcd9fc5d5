"""Enrolments that go to whom they are about, by two officers, and by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from registry.investor import service as investors
from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.party import service as parties
from registry.party.group import Member
from registry.party.models import PartyKind
from registry.party.service import NewParty
from tests import factories as make
from tests import kyc
from tests.api.house import Caller, House, at_once, house_settings, open_house, problem_of
from tests.api.people import Person, ok
from tests.api.test_invitations import begin, confirmed, enrolled, invited, redeem
from tests.factories import MAKER, numbers

pytestmark = pytest.mark.db

WHY = "The card of the true owner was seen on 28 November 2026."


def officers(house: House) -> tuple[Caller, Caller]:
    return house.caller(kyc.FIRST_OFFICER), house.caller(kyc.SECOND_OFFICER)


def party_of(house: House, investor_id: str) -> str:
    return str(house.one("SELECT party_id FROM investor WHERE id = :id", id=investor_id))


def subject_of(house: House, party_id: str) -> str:
    return str(house.one("SELECT subject FROM investor WHERE party_id = :id", id=party_id))


def listed(who: Caller, party_id: str) -> list[dict[str, Any]]:
    return list(ok(who.get("/v1/enrolment_handovers", party_id=party_id))["items"])


def proposed(house: House, party_id: str, subject: str | None = None) -> dict[str, Any]:
    body = {"party_id": party_id, "subject": subject, "reason": WHY}
    made: dict[str, Any] = ok(officers(house)[0].post("/v1/enrolment_handovers", body), 201)
    return made


def handed_over(house: House, party_id: str, subject: str | None = None) -> dict[str, Any]:
    path = f"/v1/enrolment_handovers/{proposed(house, party_id, subject)['id']}/confirm"
    done: dict[str, Any] = ok(officers(house)[1].post(path))
    assert done["state"] == "DONE"
    return done


def test_handover__where_passkeys_are_off__goes_to_an_account_that_is_named(
    fresh_database: Database, tmp_path: Path
) -> None:
    with open_house(house_settings(tmp_path, session_key=None), fresh_database) as house:
        assert house.services.sessions is None
        _, investor_id = enrolled(house)
        party_id, owner = party_of(house, investor_id), Person(house)
        body = {"party_id": party_id, "reason": WHY}
        refused = officers(house)[0].post("/v1/enrolment_handovers", body)

        done = handed_over(house, party_id, owner.actor.subject)

    problem_of(refused, 422, "handover_subject_missing")
    assert done["investor_id"] == investor_id


def test_handover__somebody_enrolled_with_anothers_cnic__the_owner_gets_it(house: House) -> None:
    thief, investor_id = enrolled(house)
    thief.link()
    signed_in = house.stranger(thief.sign_in()["access_token"])
    with house.desk() as desk:
        who = Actor(thief.actor.subject, frozenset({Role.INVESTOR}))
        investor = desk.session.get_one(Investor, UUID(investor_id))
        wallet = make.proven_wallet(desk, who, investor.id).address
        kyc.opened(desk, who, investor)
    owner = Person(house)

    done = handed_over(house, party_of(house, investor_id), owner.actor.subject)

    assert done["investor_id"] == investor_id
    assert done["previous_subject"] == thief.actor.subject
    assert ok(owner.caller.get("/v1/me"))["investor"]["id"] == investor_id
    assert ok(thief.caller.get("/v1/me"))["investor"] is None
    problem_of(signed_in.get("/v1/me"), 401, "session_ended")
    problem_of(thief.answer(), 401, "passkey_not_believed")
    state = "SELECT state FROM wallet WHERE address = :address"
    assert house.one(state, address=wallet) == "RETIRED"
    review = "SELECT state FROM kyc_review WHERE investor_id = :id"
    assert house.one(review, id=investor_id) == "WITHDRAWN"
    problem_of(thief.caller.get(f"/v1/investors/{investor_id}"), 404, "not_found")


def test_handover__recorded_by_a_registrar__enrols_whoever_is_invited(house: House) -> None:
    with house.desk() as desk:
        party_id = str(make.person(desk).id)

    done = handed_over(house, party_id)
    made = confirmed(house, done["investor_id"])
    options = ok(begin(house, made["code"]))["public_key"]
    owner = Person(house)
    ok(redeem(house, owner, made["code"], options), 201)

    me = ok(house.stranger(owner.sign_in()["access_token"]).get("/v1/me"))
    assert me["investor"]["id"] == done["investor_id"]
    assert me["investor"]["kyc_state"] == "PENDING"


def test_handover__invitation_that_the_thief_has__lets_nobody_in(house: House) -> None:
    """Its code names the enrolment, which is the owner's from now on."""
    thief, investor_id = enrolled(house)
    code, proposal = confirmed(house, investor_id)["code"], invited(house, investor_id)
    options = ok(begin(house, code))["public_key"]
    owner = Person(house)

    handed_over(house, party_of(house, investor_id), owner.actor.subject)

    problem_of(redeem(house, thief, code, options), 401, "invitation_invalid")
    problem_of(begin(house, code), 401, "invitation_invalid")
    confirm = f"/v1/invitations/{proposal['id']}/confirm"
    problem_of(house.caller(Role.REGISTRAR_CHECKER).post(confirm), 409, "invitation_over")
    made = confirmed(house, investor_id)["code"]
    ok(redeem(house, owner, made, ok(begin(house, made))["public_key"]), 201)


@pytest.mark.parametrize("who", ["the same officer", "the officer's own account"])
def test_handover__by_one_person__is_refused(house: House, who: str) -> None:
    _, investor_id = enrolled(house)
    first, second = officers(house)
    party_id = party_of(house, investor_id)
    if who == "the same officer":
        path = f"/v1/enrolment_handovers/{proposed(house, party_id)['id']}/confirm"
        problem_of(first.post(path), 403, "checker_is_maker")
    else:
        own = {"party_id": party_id, "subject": kyc.FIRST_OFFICER.subject, "reason": WHY}
        problem_of(first.post("/v1/enrolment_handovers", own), 403, "checker_is_maker")
        taken = proposed(house, party_id, kyc.SECOND_OFFICER.subject)
        path = f"/v1/enrolment_handovers/{taken['id']}/confirm"
        problem_of(second.post(path), 403, "checker_is_maker")
    assert ok(first.get(f"/v1/investors/{investor_id}"))["kyc_state"] == "PENDING"


@pytest.mark.parametrize("kind", [PartyKind.GROUP, PartyKind.ASSET_AS_PARTY])
def test_handover__of_what_is_no_person_and_no_company__is_refused(
    house: House, kind: PartyKind
) -> None:
    """It would be enrolled, and never come through a KYC."""
    with house.desk() as desk:
        if kind == PartyKind.GROUP:
            members = (Member(make.person(desk).id, 1), Member(make.person(desk).id, 1))
            told: dict[str, Any] = {"members": members}
        else:
            told = {"asset_id": make.registered(desk, make.open_apartment(desk)).id}
        new = NewParty(kind=kind, name=f"Nobody {next(numbers)}", **told)
        party = parties.create_party(desk.session, desk.vault, MAKER, new)

    body = {"party_id": str(party.id), "reason": WHY}
    problem_of(officers(house)[0].post("/v1/enrolment_handovers", body), 409, "party_cannot_enrol")

    # As one that was handed over before this was asked.
    subject = f"group-{next(numbers)}"
    with house.desk() as desk:
        investor = investors.enrol_as(desk.session, MAKER, party.id, subject=subject)
        with pytest.raises(Conflict, match="party_cannot_enrol"):
            kyc.opened(desk, Actor(subject, frozenset({Role.INVESTOR})), investor)


def test_handover__kyc_was_passed__is_refused(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        make.pass_kyc(desk, who, investor)
        party_id = str(investor.party_id)
    body = {"party_id": party_id, "reason": WHY}
    problem_of(officers(house)[0].post("/v1/enrolment_handovers", body), 409, "enrolment_in_use")


def test_handover__kyc_passed_after_it_was_proposed__is_refused(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        party_id = str(investor.party_id)
    made = proposed(house, party_id)
    with house.desk() as desk:
        make.pass_kyc(desk, who, desk.session.get_one(Investor, investor.id))
    path = f"/v1/enrolment_handovers/{made['id']}/confirm"
    problem_of(officers(house)[1].post(path), 409, "enrolment_in_use")
    assert subject_of(house, party_id) == who.subject


def test_handover__review_recommended__is_decided_first(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        make.proven_wallet(desk, who, investor.id)
        kyc.recommend(desk, kyc.submitted(desk, who, investor))
        party_id = str(investor.party_id)
    path = f"/v1/enrolment_handovers/{proposed(house, party_id)['id']}/confirm"
    problem_of(officers(house)[1].post(path), 409, "kyc_review_recommended")
    assert subject_of(house, party_id) == who.subject


def test_handover__proposed_twice_withdrawn_or_done__is_told(house: House) -> None:
    first, second = officers(house)
    _, investor_id = enrolled(house)
    party_id = party_of(house, investor_id)
    made = proposed(house, party_id)
    again = {"party_id": party_id, "reason": WHY}
    problem_of(first.post("/v1/enrolment_handovers", again), 409, "handover_exists")
    path = f"/v1/enrolment_handovers/{made['id']}"
    assert ok(first.post(f"{path}/withdraw"))["state"] == "WITHDRAWN"
    problem_of(second.post(f"{path}/confirm"), 409, "handover_decided")
    handed_over(house, party_id)
    states = [each["state"] for each in listed(first, party_id)]
    assert states == ["WITHDRAWN", "DONE"]


def test_handover__to_an_account_that_is_enrolled__is_refused(house: House) -> None:
    other, _ = enrolled(house)
    _, investor_id = enrolled(house)
    body = {
        "party_id": party_of(house, investor_id),
        "subject": other.actor.subject,
        "reason": WHY,
    }
    problem_of(officers(house)[0].post("/v1/enrolment_handovers", body), 409, "investor_exists")


def test_handover__confirmed_by_two_at_once__happens_once(house: House) -> None:
    with house.desk() as desk:
        party_id = str(make.person(desk).id)
    path = f"/v1/enrolment_handovers/{proposed(house, party_id)['id']}/confirm"
    third = Actor(f"compliance-{next(numbers)}", frozenset({Role.COMPLIANCE}))

    answers = at_once(
        lambda: officers(house)[1].post(path),
        lambda: house.caller(third).post(path),
    )

    assert sorted(each.status_code for each in answers) == [200, 409]
    assert subject_of(house, party_id), "one enrolment"
