"""Invitations: two people let an investor in who cannot sign in, and nobody else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Unproven
from registry.passkey import invitations, service
from registry.passkey.models import Passkey
from registry.passkey.secret import CODE_MARK, new_secret
from tests.api.house import House, at_once, problem_of
from tests.api.people import Person, ok
from tests.api.test_passkeys import age
from tests.db.races import meanwhile
from tests.factories import ACTORS, numbers

pytestmark = pytest.mark.db

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
HOOK = {"url": "https://hooks.example.com/"}


def enrolled(house: House) -> tuple[Person, str]:
    """Give an investor, and their id."""
    person, number = Person(house), next(numbers)
    said = {"name": f"Investor {number}", "cnic": f"35202-{number:07}-1", "residence_country": "PK"}
    made = ok(person.caller.post("/v1/investors", {"person": said}), 201)
    return person, made["id"]


def invited(house: House, investor_id: str) -> dict[str, Any]:
    path = f"/v1/investors/{investor_id}/invitations"
    made: dict[str, Any] = ok(house.caller(Role.COMPLIANCE).post(path), 201)
    return made


def confirmed(house: House, investor_id: str) -> dict[str, Any]:
    made = invited(house, investor_id)
    path = f"/v1/invitations/{made['id']}/confirm"
    assert ok(house.caller(Role.REGISTRAR_CHECKER).post(path))["state"] == "OPEN"
    return made


def begin(house: House, code: str) -> httpx.Response:
    return house.stranger().post("/v1/invitations/registrations", {"code": code})


def redeem(house: House, person: Person, code: str, options: dict[str, Any]) -> httpx.Response:
    body = {"code": code, "credential": person.device.create(options), "name": "New phone"}
    return house.stranger().post("/v1/invitations/passkeys", body)


def test_invitation__made_confirmed_and_used__lets_the_investor_in(house: House) -> None:
    person, investor_id = enrolled(house)
    made = confirmed(house, investor_id)
    options = ok(begin(house, made["code"]))["public_key"]

    passkey = ok(redeem(house, person, made["code"], options), 201)

    assert passkey["is_invited"] is True
    me = house.stranger(person.sign_in()["access_token"]).get("/v1/me")
    assert ok(me)["subject"] == person.actor.subject
    [shown] = ok(house.caller(Role.COMPLIANCE).get(f"/v1/investors/{investor_id}/invitations"))[
        "items"
    ]
    assert (shown["state"], shown["confirmed_by"]) == ("USED", "the-registrar_checker")
    assert "code" not in shown
    problem_of(begin(house, made["code"]), 401, "invitation_invalid")
    acts = "SELECT string_agg(act, ' ' ORDER BY id) FROM journal_entry WHERE subject_id = :id"
    assert house.one(acts, id=made["id"]) == "passkey_invitation_made passkey_invitation_confirmed"


def test_invitation__its_code__is_shown_once_and_stands_nowhere(house: House) -> None:
    _, investor_id = enrolled(house)
    path = f"/v1/investors/{investor_id}/invitations"
    first, again = (house.caller(Role.COMPLIANCE).post(path, key="invite") for _ in range(2))

    assert first.headers["cache-control"] == "no-store"
    assert again.json() == first.json() | {"code": None}
    code = first.json()["code"]
    for table in ("passkey_invitation", "stored_answer", "journal_entry"):
        found = f"SELECT count(*) FROM {table} t WHERE t::text LIKE :a OR t::text LIKE :b"
        assert house.one(found, a=f"%{code}%", b=f"%{code.encode().hex()}%") == 0, table


def test_invitation__not_confirmed__does_not_count(house: House) -> None:
    _, investor_id = enrolled(house)

    problem_of(begin(house, invited(house, investor_id)["code"]), 401, "invitation_invalid")


def test_invitation__confirmed_by_its_maker__is_refused(house: House) -> None:
    """Who has the code alone becomes nobody."""
    _, investor_id = enrolled(house)
    both = Actor("both", frozenset({Role.COMPLIANCE, Role.REGISTRAR_CHECKER}))
    made = ok(house.caller(both).post(f"/v1/investors/{investor_id}/invitations"), 201)

    refused = house.caller(both).post(f"/v1/invitations/{made['id']}/confirm")

    problem_of(refused, 403, "checker_is_maker")
    problem_of(begin(house, made["code"]), 401, "invitation_invalid")


def test_invitation__revoked_or_used_or_old__is_over(house: House) -> None:
    _, investor_id = enrolled(house)
    compliance, checker = house.caller(Role.COMPLIANCE), house.caller(Role.REGISTRAR_CHECKER)
    revoked, old = confirmed(house, investor_id), confirmed(house, investor_id)
    path = f"/v1/invitations/{revoked['id']}"
    problem_of(checker.post(f"{path}/confirm"), 409, "invitation_confirmed")
    assert ok(compliance.post(f"{path}/revoke"))["state"] == "REVOKED"
    with house.database.transaction() as session:
        session.connection().execute(
            text("UPDATE passkey_invitation SET expires_at = now() WHERE id = :id"),
            {"id": old["id"]},
        )

    refusals = [begin(house, made["code"]).json() for made in (revoked, old)]
    refusals.append(begin(house, new_secret(CODE_MARK)).json())

    assert refusals[0]["code"] == "invitation_invalid"
    assert all(refusal == refusals[0] for refusal in refusals), "a code tells nothing"
    for made in (revoked, old):
        for act in ("confirm", "revoke"):
            answer = checker.post(f"/v1/invitations/{made['id']}/{act}")
            problem_of(answer, 409, "invitation_over")


def test_invitation__used_by_two_at_once__adds_one(house: House) -> None:
    person, investor_id = enrolled(house)
    thief = Person(house)
    code = confirmed(house, investor_id)["code"]
    asked = [ok(begin(house, code))["public_key"] for _ in range(2)]

    answers = at_once(
        lambda: redeem(house, person, code, asked[0]), lambda: redeem(house, thief, code, asked[1])
    )

    assert sorted(answer.status_code for answer in answers) == [201, 401]


def test_invitation__answered_wrongly__counts_on(house: House) -> None:
    person, investor_id = enrolled(house)
    code = confirmed(house, investor_id)["code"]
    options = ok(begin(house, code))["public_key"]
    body = {"code": code, "name": "Phone"}
    wrong = person.device.create(options, origin="https://evil.example")
    with house.unchanged():
        refused = house.stranger().post("/v1/invitations/passkeys", body | {"credential": wrong})
        problem_of(refused, 422, "origin_not_allowed")

    assert redeem(house, person, code, options).status_code == 201


def test_invitation__challenge_of_another_investor__is_refused(house: House) -> None:
    person, investor_id = enrolled(house)
    _, other_id = enrolled(house)
    code, other = confirmed(house, investor_id)["code"], confirmed(house, other_id)["code"]
    options = ok(begin(house, other))["public_key"]

    problem_of(redeem(house, person, code, options), 422, "passkey_challenge_invalid")


def test_invitation__for_nobody__is_not_found(house: House) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    compliance = house.caller(Role.COMPLIANCE)

    problem_of(compliance.post(f"/v1/investors/{nobody}/invitations"), 404, "not_found")
    problem_of(compliance.post(f"/v1/invitations/{nobody}/confirm"), 404, "not_found")
    problem_of(compliance.get(f"/v1/investors/{nobody}/invitations"), 404, "not_found")


def test_passkeys__revoked_by_compliance__lock_a_thief_out_and_not_the_owner(house: House) -> None:
    person, investor_id = enrolled(house)
    person.link()
    tokens = person.sign_in()
    path = f"/v1/investors/{investor_id}/passkeys/revoke"

    gone = house.caller(Role.COMPLIANCE).post(path, {"reason": "Phone stolen, 35202-1234567-1"})

    assert ok(gone) == {"passkeys": 1}
    problem_of(house.stranger(tokens["access_token"]).get("/v1/me"), 401, "session_ended")
    problem_of(person.answer(), 401, "passkey_not_believed")
    person.device.credential_id = b"another" * 4
    person.link()
    person.sign_in()
    reason = "SELECT facts ->> 'reason' FROM journal_entry WHERE act = 'passkey_removed' LIMIT 1"
    assert house.one(reason) == "Phone stolen, ***"


def test_passkeys__revoked_while_a_thief_adds_one__are_all_gone(house: House) -> None:
    """The thief's request was let in before the end of the session that it came by."""
    person, _ = enrolled(house)
    person.link()
    tokens = person.sign_in()
    thief = Actor(person.actor.subject, frozenset({Role.INVESTOR}), UUID(tokens["session_id"]))
    compliance, subject = ACTORS[Role.COMPLIANCE], person.actor.subject
    with house.database.transaction() as session:
        service.require_recent(session, thief)
        session.add(
            Passkey(subject=subject, user_handle=b"x" * 32, credential_id=b"thief" * 5,
                    public_key=b"", sign_count=0, name="Thief", is_synced=False)
        )  # fmt: skip
        session.flush()
        with meanwhile(
            house.database,
            lambda other: service.revoke_all(other, compliance, subject, reason="Stolen"),
        ) as revoked:
            session.commit()
    assert revoked.result() == 2

    with house.database.transaction() as session, pytest.raises(Unproven, match="session_ended"):
        service.require_recent(session, thief)
    assert live_passkeys(house, subject) == 0


def test_session__long_after_its_sign_in__adds_no_wallet_and_no_webhook(house: House) -> None:
    """A token that leaked would link a thief's wallet for good, or send notices to them."""
    person, investor_id = enrolled(house)
    person.link()
    tokens = person.sign_in()
    signed_in = house.stranger(tokens["access_token"])
    wallets, webhooks = f"/v1/investors/{investor_id}/wallets", "/v1/webhook_endpoints"
    endpoint = ok(signed_in.post(webhooks, HOOK), 201)
    path = f"{webhooks}/{endpoint['id']}"
    assert signed_in.post(wallets, {"address": ADDRESS}).status_code == 201
    age(house, "user_session", id=tokens["session_id"])

    with house.unchanged():
        for refused in (
            signed_in.post(wallets, {"address": ADDRESS}),
            signed_in.post(webhooks, HOOK),
            signed_in.post(f"{path}/rotate_secret"),
            signed_in.post(f"{path}/enable"),
        ):
            problem_of(refused, 403, "sign_in_not_recent")
    assert ok(signed_in.get(webhooks))[0]["id"] == endpoint["id"]


def test_passkeys__revoked_by_compliance__send_nothing_to_webhooks(house: House) -> None:
    person, investor_id = enrolled(house)
    person.link()
    endpoint = ok(person.caller.post("/v1/webhook_endpoints", HOOK), 201)
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    ok(person.caller.post(f"{path}/test"), 201)

    revoke = f"/v1/investors/{investor_id}/passkeys/revoke"
    ok(house.caller(Role.COMPLIANCE).post(revoke, {"reason": "Phone stolen"}))

    shown = ok(person.caller.get(path))
    assert "make sure that its address is yours" in shown["disabled_because"]
    [waiting] = ok(person.caller.get(f"{path}/deliveries"))["items"]
    assert waiting["state"] == "ABANDONED"
    assert ok(person.caller.post(f"{path}/enable"))["disabled_at"] is None


def test_passkeys__revoked_by_compliance__take_the_codes_along(house: House) -> None:
    person, investor_id = enrolled(house)
    code, unconfirmed = confirmed(house, investor_id)["code"], invited(house, investor_id)
    options = ok(begin(house, code))["public_key"]

    path = f"/v1/investors/{investor_id}/passkeys/revoke"
    ok(house.caller(Role.COMPLIANCE).post(path, {"reason": "Phone stolen"}))

    problem_of(redeem(house, person, code, options), 401, "invitation_invalid")
    confirm = f"/v1/invitations/{unconfirmed['id']}/confirm"
    problem_of(house.caller(Role.REGISTRAR_CHECKER).post(confirm), 409, "invitation_over")
    begin(house, confirmed(house, investor_id)["code"]).raise_for_status()


def test_passkeys__revoked_while_a_code_is_used__are_gone_with_its_own(house: House) -> None:
    person, investor_id = enrolled(house)
    code = confirmed(house, investor_id)["code"]
    options = ok(begin(house, code))["public_key"]
    issuer = house.services.sessions
    assert issuer is not None
    with house.database.transaction() as session:
        invitations.add_invited(
            session, issuer.party, code, credential=person.device.create(options), name="Phone"
        )
        with meanwhile(
            house.database,
            lambda other: invitations.shut_out(
                other, ACTORS[Role.COMPLIANCE], UUID(investor_id), reason="Stolen"
            ),
        ) as gone:
            session.commit()
    assert gone.result() == 1
    assert live_passkeys(house, person.actor.subject) == 0


def live_passkeys(house: House, subject: str) -> int:
    query = "SELECT count(*) FROM passkey WHERE subject = :s AND removed_at IS NULL"
    found: int = house.one(query, s=subject)
    return found
