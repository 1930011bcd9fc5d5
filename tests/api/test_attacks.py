"""Tricks that are as old as HTTP, and people who want to be two."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.tokenization.service import terms_hash
from tests import factories as make
from tests import kyc, sales
from tests.api.house import House, at_once, problem_of
from tests.factories import actor

pytestmark = pytest.mark.db

TRICKS = {
    "method_override": {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"},
    "other_url": {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"},
    "other_user": {"X-Forwarded-User": "the-auditor", "X-User": "the-auditor", "X-Role": "auditor"},
    "from_home": {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Via": "1.1 localhost"},
    "other_host": {"Host": "localhost:9999", "X-Forwarded-Host": "localhost"},
    "other_place": {"X-Forwarded-Prefix": "/healthz", "X-Forwarded-Path": "/healthz"},
}


@pytest.mark.parametrize("headers", TRICKS.values(), ids=TRICKS)
def test_header__pretending__changes_nothing(house: House, headers: dict[str, str]) -> None:
    investor = house.caller(Role.INVESTOR)

    problem_of(house.stranger().ask("GET", "/v1/journal", headers=headers), 401, "token_missing")
    problem_of(investor.ask("GET", "/v1/journal", headers=headers), 403, "role_missing")
    with house.unchanged():
        problem_of(investor.ask("POST", "/v1/parties", headers=headers), 403, "role_missing")


def test_role__named_in_query_or_body__is_not_held(house: House) -> None:
    investor = house.caller(Role.INVESTOR)
    body = {"kind": "NATURAL", "name": "X", "cnic": "35202-1000009-1", "roles": ["compliance"]}

    with house.unchanged():
        problem_of(investor.post("/v1/parties?role=compliance", body), 403, "role_missing")


def test_token__two_in_one_request__is_not_mixed(house: House) -> None:
    auditor, investor = (
        f"Bearer {house.token(make.ACTORS[role])}" for role in (Role.AUDITOR, Role.INVESTOR)
    )
    for first, second in ((auditor, investor), (investor, auditor)):
        response = house.client.get(
            "/v1/me", headers=[("Authorization", first), ("Authorization", second)]
        )
        assert response.status_code in {200, 401}
        if response.is_success:
            assert len(response.json()["roles"]) == 1


@pytest.mark.parametrize("path", ["/v1/me/", "/v1//me", "/V1/me", "/v1/me;x=1", "/v1/%6de/../me"])
def test_path__written_otherwise__is_guarded_as_well(house: House, path: str) -> None:
    response = house.client.get(path, follow_redirects=True)

    assert response.status_code in {401, 404}, response.text


# One person, two votes


def test_tokenization__one_person_in_both_roles__approves_once(house: House) -> None:
    with house.desk() as desk:
        token = sales.structured(desk, sales.wrapped_apartment(desk))
    both = house.caller(actor(Role.COMPLIANCE, Role.REGISTRAR_CHECKER))
    path = f"/v1/tokenizations/{token.id}/approve"
    body = {"role": "compliance", "terms_hash": terms_hash(token).hex()}
    assert both.post(path, body).status_code == 200

    with house.unchanged():
        response = both.post(path, body | {"role": "registrar_checker"})

    problem_of(response, 409, "already_approved")


def test_tokenization__one_person_twice_at_one_moment__approves_once(house: House) -> None:
    with house.desk() as desk:
        token = sales.structured(desk, sales.wrapped_apartment(desk))
    both = house.caller(actor(Role.COMPLIANCE, Role.REGISTRAR_CHECKER))
    path = f"/v1/tokenizations/{token.id}/approve"
    bodies = [
        {"role": role, "terms_hash": terms_hash(token).hex()}
        for role in ("compliance", "registrar_checker")
    ]

    answers = at_once(*[lambda body=body: both.post(path, body) for body in bodies])

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    state = house.one("SELECT state FROM tokenization WHERE id = :id", id=token.id)
    assert state == "STRUCTURED"


def test_issuer__who_is_compliance_too__cannot_approve_their_own(house: House) -> None:
    with house.desk() as desk:
        wrapped = sales.wrapped_apartment(desk)
        token = sales.structured(desk, wrapped)
    subject = wrapped.issuer.actor.subject
    both = house.caller(Actor(subject, frozenset({Role.ISSUER, Role.COMPLIANCE})))
    body = {"role": "compliance", "terms_hash": terms_hash(token).hex()}

    with house.unchanged():
        response = both.post(f"/v1/tokenizations/{token.id}/approve", body)

    problem_of(response, 403, "checker_is_maker")


def enrolment(number: int) -> dict[str, Any]:
    return {"person": {"name": f"E {number}", "cnic": f"17301-{number:07}-5"}}


def test_enrolment__one_person_under_many_names__is_one(house: House) -> None:
    callers = [house.caller(actor(Role.INVESTOR)) for _ in range(5)]

    answers = at_once(
        *[lambda caller=caller: caller.post("/v1/investors", enrolment(1)) for caller in callers]
    )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 4}


def test_enrolment__many_persons_under_one_name__is_one(house: House) -> None:
    who = house.caller(actor(Role.INVESTOR))

    answers = at_once(*[lambda n=n: who.post("/v1/investors", enrolment(n)) for n in range(10, 15)])

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 4}
    me = who.get("/v1/me").json()
    assert me["investor"]["id"] in {answer.json().get("id") for answer in answers}
    found = [house.services.vault.fingerprint(f"17301-{n:07}-5") for n in range(10, 15)]
    counting = "SELECT count(*) FROM party WHERE cnic_fingerprint = ANY(:found)"
    assert house.one(counting, found=found) == 1


def test_kyc__two_deciders_at_one_moment__is_decided_once(house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
        make.proven_wallet(desk, who, investor.id)
        seen = kyc.recommended(desk, who, investor).review_sha256 or b""
    path = f"/v1/investors/{investor.id}/kyc"
    callers = [house.caller(actor(Role.COMPLIANCE)) for _ in range(2)]
    approve = {
        "decision": "APPROVED",
        "valid_until": (now() + timedelta(days=30)).isoformat(),
        "evidence_sha256": seen.hex(),
    }
    reject = {"decision": "REJECTED", "reason": "not who they say"}

    answers = at_once(lambda: callers[0].post(path, approve), lambda: callers[1].post(path, reject))

    codes = sorted(answer.status_code for answer in answers)
    assert codes in ([200, 409], [202, 409])
    planned = "SELECT count(*) FROM operation WHERE subject_id = :id"
    assert house.one(planned, id=str(investor.id)) == (2 if codes[0] == 202 else 0)
