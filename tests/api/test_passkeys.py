"""Signing in by a passkey: the whole way, and every way in which it must fail."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from registry.kernel.actor import Actor, Role
from tests.api.house import House, at_once, problem_of
from tests.api.people import Person, linked, ok, present
from tests.authenticator import (
    BACKED_UP,
    BACKUP_ELIGIBLE,
    PRESENT,
    VERIFIED,
    Authenticator,
    b64,
)

pytestmark = pytest.mark.db

SIGN_IN = "SELECT count(*) FROM user_session WHERE subject = :subject"


def acts(house: House, subject_id: Any) -> list[str]:
    query = (
        "SELECT coalesce(string_agg(act, ',' ORDER BY id), '') FROM journal_entry"
        " WHERE subject_id = :id"
    )
    return str(house.one(query, id=str(subject_id))).split(",")


def age(house: House, table: str, **where: Any) -> None:
    """Let a day pass for rows of a table."""
    columns = {"passkey_challenge": ("expires_at",), "user_session": ("recorded_at",)}[table]
    sets = ", ".join(f"{name} = {name} - interval '1 day'" for name in columns)
    tests = " AND ".join(f"{name} = :{name}" for name in where) or "true"
    with house.database.transaction() as session:
        session.connection().execute(text(f"UPDATE {table} SET {sets} WHERE {tests}"), where)


def test_passkey__linked_and_used__signs_its_owner_in_as_an_investor(house: House) -> None:
    person = Person(house)
    made = person.link("Ayesha's phone")
    answered = person.answer()
    tokens = ok(answered, 201)
    signed_in = house.stranger(tokens["access_token"])

    assert answered.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 600)
    me = ok(signed_in.get("/v1/me"))
    assert (me["subject"], me["roles"]) == (person.actor.subject, ["investor"])
    [shown] = ok(signed_in.get("/v1/passkeys"))
    assert shown["last_used_at"] is not None
    assert shown == made | {"last_used_at": shown["last_used_at"]}
    [session] = ok(signed_in.get("/v1/sessions"))
    assert (session["passkey_name"], session["is_current"]) == ("Ayesha's phone", True)
    assert acts(house, made["id"]) == ["passkey_added"]
    assert acts(house, session["id"]) == ["session_started"]


def test_options__of_both_ceremonies__ask_for_what_makes_a_passkey(house: House) -> None:
    person = linked(house)
    made = ok(person.caller.post("/v1/passkeys/registrations"))["public_key"]
    asked = person.options()

    assert made["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert made["attestation"] == "none"
    assert {item["alg"] for item in made["pubKeyCredParams"]} == {-7, -8, -257}
    assert made["excludeCredentials"][0]["id"] == b64(person.device.credential_id)
    assert person.actor.subject not in str(made)
    assert asked["userVerification"] == "required"
    assert asked["allowCredentials"] == [], "whose passkeys there are is told to nobody"
    assert asked["rpId"] == "localhost"


def test_roles__of_whoever_links__are_not_those_of_the_passkey(house: House) -> None:
    """Staff sign in where their roles are taken away, too."""
    person = Person(house)
    person.actor = Actor(person.actor.subject, frozenset({Role.INVESTOR, Role.COMPLIANCE}))
    person.link()
    signed_in = house.stranger(person.sign_in()["access_token"])

    assert ok(signed_in.get("/v1/me"))["roles"] == ["investor"]
    problem_of(signed_in.get("/v1/investors"), 403, "role_missing")


def test_person__with_two_passkeys__uses_either(house: House) -> None:
    person = linked(house)
    first, person.device = person.device, Authenticator(counts=False)
    person.link(
        "Tablet", house.stranger(Person(house, person.actor, first).sign_in()["access_token"])
    )

    assert person.device.user_handle == first.user_handle
    person.sign_in()
    names = [passkey["name"] for passkey in ok(person.caller.get("/v1/passkeys"))]
    assert names == ["My phone", "Tablet"]


def test_passkey__that_does_not_count__signs_in_again_and_again(house: House) -> None:
    flags = PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP
    person = linked(house, counts=False, flags=flags)

    person.sign_in()
    person.sign_in()

    assert ok(person.caller.get("/v1/passkeys"))[0]["is_synced"] is True


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"origin": "https://evil.example"}, "origin_not_allowed"),
        ({"origin": "http://localhost:8000.evil.example"}, "origin_not_allowed"),
        ({"origin": None}, "origin_not_allowed"),
        ({"cross_origin": True}, "origin_not_allowed"),
        ({"cross_origin": "false"}, "origin_not_allowed"),
        ({"rp_id": "evil.example"}, "relying_party_differs"),
        ({"flags": PRESENT}, "user_verification_missing"),
        ({"flags": VERIFIED}, "user_verification_missing"),
        ({"type": "webauthn.create"}, "passkey_not_believed"),
        pytest.param(
            {"key": ec.generate_private_key(ec.SECP256R1())},
            "passkey_not_believed",
            id="another_key",
        ),
        ({"signature": b"\x30\x06\x02\x01\x00\x02\x01\x00"}, "passkey_not_believed"),
        ({"signature": b""}, "passkey_not_believed"),
        ({"user_handle": b"x" * 32}, "passkey_not_believed"),
        ({"user_handle": b""}, "passkey_not_believed"),
        ({"challenge": b64(b"c" * 32)}, "passkey_challenge_invalid"),
        ({"challenge": ""}, "passkey_challenge_invalid"),
        ({"challenge": 7}, "passkey_malformed"),
    ],
    ids=str,
)
def test_sign_in__with_a_lie__is_refused_by_name_and_begins_nothing(
    house: House, lies: dict[str, Any], code: str
) -> None:
    person = linked(house)

    response = person.answer(**lies)

    problem_of(response, 401, code)
    assert response.headers["www-authenticate"] == "Bearer"
    assert house.one(SIGN_IN, subject=person.actor.subject) == 0
    person.sign_in()


def test_sign_in__signature_changed_in_one_bit__is_refused(house: House) -> None:
    person = linked(house)
    credential = person.device.get(person.options())
    data = bytearray(credential["response"]["authenticatorData"].encode())
    # The counter's last character: what was signed said another number.
    data[-1] = ord("A") if data[-1] != ord("A") else ord("I")
    credential["response"]["authenticatorData"] = data.decode()

    problem_of(present(house, credential), 401, "passkey_not_believed")


def test_sign_in__answer_replayed__is_refused(house: House) -> None:
    person = linked(house, counts=False)
    credential = person.device.get(person.options())

    assert present(house, credential).status_code == 201
    problem_of(present(house, credential), 401, "passkey_challenge_invalid")


def test_sign_in__one_answer_twice_at_once__begins_one_session(house: House) -> None:
    person = linked(house, counts=False)
    credential = person.device.get(person.options())

    answers = at_once(*[lambda: present(house, credential)] * 4)

    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]
    assert house.one(SIGN_IN, subject=person.actor.subject) == 1


def test_sign_in__failed_once__has_used_its_challenge_up(house: House) -> None:
    person = linked(house, counts=False)
    options = person.options()

    problem_of(
        present(house, person.device.get(options, flags=PRESENT)), 401, "user_verification_missing"
    )
    problem_of(present(house, person.device.get(options)), 401, "passkey_challenge_invalid")


def test_sign_in__challenge_of_a_registration__is_refused(house: House) -> None:
    person = linked(house)
    options = ok(person.caller.post("/v1/passkeys/registrations"))["public_key"]

    problem_of(present(house, person.device.get(options)), 401, "passkey_challenge_invalid")


def test_sign_in__challenge_older_than_five_minutes__is_refused(house: House) -> None:
    person = linked(house)
    options = person.options()
    age(house, "passkey_challenge")

    problem_of(present(house, person.device.get(options)), 401, "passkey_challenge_invalid")


def test_challenges__that_nobody_answers__are_forgotten(house: House) -> None:
    person = Person(house)
    person.options()
    age(house, "passkey_challenge")
    person.options()

    assert house.one("SELECT count(*) FROM passkey_challenge WHERE expires_at < now()") == 0


def test_sign_in__passkey_that_nobody_has__says_the_same_as_a_wrong_signature(
    house: House,
) -> None:
    person = linked(house)
    unknown = Person(house, device=Authenticator(user_handle=b"x" * 32))
    wrong = person.answer(key=unknown.device.key)
    removed = linked(house)
    passkey = ok(removed.caller.get("/v1/passkeys"))[0]
    assert removed.caller.delete(f"/v1/passkeys/{passkey['id']}").status_code == 204

    problems = [problem_of(wrong, 401, "passkey_not_believed")]
    problems += [
        problem_of(who.answer(), 401, "passkey_not_believed") for who in (unknown, removed)
    ]

    assert all(problem == problems[0] for problem in problems)


def test_sign_in__passkey_of_another_person__is_refused(house: House) -> None:
    """An authenticator that names somebody else signs nobody in."""
    thief, victim = linked(house), linked(house)

    problem_of(thief.answer(user_handle=victim.device.user_handle), 401, "passkey_not_believed")
    stolen = Authenticator(
        credential_id=victim.device.credential_id, user_handle=victim.device.user_handle
    )
    problem_of(Person(house, device=stolen).answer(), 401, "passkey_not_believed")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_sign_in__counter_that_does_not_go_on__is_refused_and_told(
    house: House, count: int
) -> None:
    person = linked(house)
    person.device.sign_count = 4
    person.sign_in()  # 5
    [passkey] = ok(person.caller.get("/v1/passkeys"))

    problem_of(person.answer(sign_count=count), 401, "passkey_counter_regressed")

    assert acts(house, passkey["id"]) == ["passkey_added", "passkey_counter_regressed"]
    [shown] = ok(person.caller.get("/v1/passkeys"))
    assert shown["counter_regressed_at"] is not None
    person.sign_in()  # the owner's own goes on: nobody locks them out


def test_sign_in__counter_back_without_the_key__tells_nothing(house: House) -> None:
    """Who has no key does not make us say that there is a copy."""
    person = linked(house)
    person.device.sign_count = 4
    person.sign_in()
    other = ec.generate_private_key(ec.SECP256R1())

    problem_of(person.answer(sign_count=1, key=other), 401, "passkey_not_believed")

    [passkey] = ok(person.caller.get("/v1/passkeys"))
    assert passkey["counter_regressed_at"] is None


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"response": None},
        {"response": {"clientDataJSON": 7}},
        {"response": {"clientDataJSON": "!!!"}},
        {"response": {"clientDataJSON": b64(b"[]")}},
        {"response": {"clientDataJSON": b64(b"[" * 5000)}},
        {"response": {"clientDataJSON": b64(b"\xff\xfe")}},
        {"response": {"clientDataJSON": "x" * 20_000}},
    ],
    ids=lambda credential: str(credential)[:40],
)
def test_sign_in__what_is_no_credential__is_malformed(
    house: House, credential: dict[str, Any]
) -> None:
    with house.unchanged():
        problem_of(present(house, credential), 401, "passkey_malformed")


@pytest.mark.parametrize("depth", [40, 300, 900, 990, 5_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_sign_in__bomb_of_nested_json__is_refused(
    house: House, depth: int, opens: str, closes: str
) -> None:
    bomb = opens * depth + "0" + closes * depth
    body = f'{{"credential": {{"response": {{"clientDataJSON": {bomb}}}}}}}'

    answer = house.client.post("/v1/sessions", content=body.encode())

    assert answer.status_code in {400, 401, 422}, answer.text
    inside = b64(f'{{"type": "webauthn.get", "origin": "x", "challenge": {bomb}}}'.encode())
    problem_of(present(house, {"response": {"clientDataJSON": inside}}), 401, "passkey_malformed")


@pytest.mark.parametrize("body", [{}, {"credential": []}, {"credential": "x"}, {"credentials": {}}])
def test_sign_in__body_of_another_form__is_invalid(house: House, body: Any) -> None:
    assert house.stranger().post("/v1/sessions", body).status_code == 422


@pytest.mark.parametrize("name", ["authenticatorData", "signature", "userHandle"])
@pytest.mark.parametrize("value", [None, 7, "", "AAAA", "é", {}])
def test_sign_in__part_of_the_answer_broken__is_refused(
    house: House, name: str, value: Any
) -> None:
    person = linked(house)
    credential = person.device.get(person.options())
    credential["response"][name] = value

    response = present(house, credential)

    assert response.status_code == 401, response.text
    assert response.json()["code"] in {"passkey_malformed", "passkey_not_believed"}


def test_sign_in__session_in_a_crowd__ends_the_one_refreshed_longest_ago(house: House) -> None:
    person = linked(house, counts=False)
    first, second = person.sign_in(), person.sign_in()
    for _ in range(19):
        person.sign_in()

    sessions = ok(house.stranger(second["access_token"]).get("/v1/sessions"))
    assert len(sessions) == 20
    problem_of(house.stranger(first["access_token"]).get("/v1/me"), 401, "session_ended")


def test_passkeys__changed_long_after_the_sign_in__want_a_new_one(house: House) -> None:
    person = linked(house)
    tokens = person.sign_in()
    signed_in = house.stranger(tokens["access_token"])
    age(house, "user_session", id=tokens["session_id"])
    [passkey] = ok(signed_in.get("/v1/passkeys"))

    for refused in (
        signed_in.post("/v1/passkeys/registrations"),
        signed_in.delete(f"/v1/passkeys/{passkey['id']}"),
    ):
        problem_of(refused, 403, "sign_in_not_recent")
    renamed = signed_in.post(f"/v1/passkeys/{passkey['id']}/rename", {"name": "Old phone"})
    assert ok(renamed)["name"] == "Old phone"


def test_name__with_a_number_of_a_person__hides_it(house: House) -> None:
    assert Person(house).link("35202-1234567-1")["name"] == "***"


def test_passkeys__of_a_system_or_of_staff__are_refused(house: House) -> None:
    for role in (Role.REGISTRAR_MAKER, Role.COMPLIANCE, Role.ISSUER):
        caller = house.caller(role)
        problem_of(caller.post("/v1/passkeys/registrations"), 403, "role_missing")
