"""Adding a passkey: what an authenticator may not make, and for whom."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.api.house import House, at_once, problem_of
from tests.api.people import Person, linked, ok
from tests.authenticator import PRESENT, VERIFIED, Authenticator, b64

pytestmark = pytest.mark.db

P256 = {1: 2, 3: -7, -1: 1}
KNOWN = "SELECT count(*) FROM passkey WHERE subject = :subject"


def begin(person: Person) -> dict[str, Any]:
    options: dict[str, Any] = ok(person.caller.post("/v1/passkeys/registrations"))["public_key"]
    return options


def add(person: Person, credential: Any, **more: Any) -> Any:
    body = {"credential": credential, "name": "Phone"} | more
    return person.caller.post("/v1/passkeys", body)


def cose(**parts: Any) -> bytes:
    from webauthn.helpers import encode_cbor  # noqa: PLC0415

    names = {"kty": 1, "alg": 3, "crv": -1, "x": -2, "y": -3}
    return encode_cbor(P256 | {names[name]: value for name, value in parts.items()})


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"origin": "https://evil.example"}, "origin_not_allowed"),
        ({"cross_origin": True}, "origin_not_allowed"),
        ({"rp_id": "evil.example"}, "relying_party_differs"),
        ({"flags": PRESENT}, "user_verification_missing"),
        ({"flags": VERIFIED}, "user_verification_missing"),
        ({"type": "webauthn.get"}, "passkey_refused"),
        ({"challenge": b64(b"c" * 32)}, "passkey_challenge_invalid"),
        ({"fmt": "fido-u2f"}, "passkey_refused"),
        ({"fmt": "tpm"}, "passkey_refused"),
        ({"fmt": "unheard-of"}, "passkey_refused"),
        ({"fmt": "packed"}, "passkey_refused"),
        ({"statement": {"sig": b"x"}}, "passkey_refused"),
        ({"cose": b""}, "passkey_malformed"),
        ({"cose": b"\xff" * 9}, "passkey_malformed"),
        ({"cose": cose()}, "passkey_malformed"),
        ({"cose": cose(x=b"\x01" * 32, y=b"\x02" * 32)}, "passkey_malformed"),
        ({"cose": cose(x=b"\x01" * 4, y=b"", crv=99)}, "passkey_malformed"),
        ({"cose": cose(alg=-257, x=b"\x01" * 32, y=b"\x02" * 32)}, "passkey_refused"),
        ({"cose": cose(alg=-65535, x=b"\x01" * 32, y=b"\x02" * 32)}, "passkey_refused"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_add__what_does_not_hold__is_refused_by_name_and_adds_nothing(
    house: House, lies: dict[str, Any], code: str
) -> None:
    person = Person(house)
    options = begin(person)
    with house.unchanged():
        refused = add(person, person.device.create(options, **lies))

    problem = problem_of(refused, 422, code)
    assert problem["field"] == "/credential"
    # Nothing was used up: the person's own authenticator still answers.
    assert add(person, person.device.create(options)).status_code == 201


def test_add__answered_twice__adds_one(house: House) -> None:
    person = Person(house)
    credential = person.device.create(begin(person))

    assert add(person, credential).status_code == 201
    problem_of(add(person, credential), 422, "passkey_challenge_invalid")


def test_add__twice_at_once__adds_one(house: House) -> None:
    person = Person(house)
    credential = person.device.create(begin(person))

    answers = at_once(*[lambda: add(person, credential)] * 3)

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]
    assert house.one(KNOWN, subject=person.actor.subject) == 1


def test_add__repeated_under_its_key__answers_the_same(house: House) -> None:
    person = Person(house)
    body = {"credential": person.device.create(begin(person)), "name": "Phone"}

    first, again = (person.caller.post("/v1/passkeys", body, key="add-it") for _ in range(2))

    assert (first.status_code, again.json()) == (201, first.json())


def test_add__challenge_of_another_person__is_refused(house: House) -> None:
    thief, victim = Person(house), Person(house)
    options = begin(victim)

    refused = add(thief, thief.device.create(options))

    problem_of(refused, 422, "passkey_challenge_invalid")
    assert add(victim, victim.device.create(options)).status_code == 201


def test_add__challenge_of_a_sign_in__is_refused(house: House) -> None:
    person = Person(house)
    options = begin(person) | {"challenge": person.options()["challenge"]}

    problem_of(add(person, person.device.create(options)), 422, "passkey_challenge_invalid")


def test_add__challenge_older_than_five_minutes__is_refused(house: House) -> None:
    person = Person(house)
    options = begin(person)
    with house.database.transaction() as session:
        session.connection().execute(
            text("UPDATE passkey_challenge SET expires_at = now() - interval '1 second'")
        )

    problem_of(add(person, person.device.create(options)), 422, "passkey_challenge_invalid")


def test_add__passkey_of_somebody_else__is_refused(house: House) -> None:
    """Nobody takes a credential's name away from its owner."""
    victim = linked(house)
    thief = Person(house, device=Authenticator(credential_id=victim.device.credential_id))

    problem_of(add(thief, thief.device.create(begin(thief))), 422, "passkey_known")
    victim.sign_in()


def test_add__more_than_anybody_needs__is_refused(house: House) -> None:
    person = Person(house)
    for _ in range(20):
        person.device = Authenticator()
        person.link()

    problem_of(person.caller.post("/v1/passkeys/registrations"), 409, "passkeys_exhausted")


@pytest.mark.parametrize(
    "body",
    [
        {"credential": {}},
        {"name": "Phone"},
        {"credential": {}, "name": ""},
        {"credential": {}, "name": "x" * 201},
        {"credential": {}, "name": "a\u0000b"},
        {"credential": "x", "name": "Phone"},
        {"credential": {}, "name": "Phone", "subject": "somebody-else"},
    ],
)
def test_add__body_of_another_form__is_invalid(house: House, body: Any) -> None:
    assert Person(house).caller.post("/v1/passkeys", body).status_code == 422


def test_rename_and_remove__passkey_of_another_person__is_not_there(house: House) -> None:
    victim, stranger = linked(house), linked(house)
    [passkey] = ok(victim.caller.get("/v1/passkeys"))
    path = f"/v1/passkeys/{passkey['id']}"

    problem_of(stranger.caller.post(f"{path}/rename", {"name": "Mine"}), 404, "not_found")
    problem_of(stranger.caller.delete(path), 404, "not_found")
    victim.sign_in()


def test_passkey_and_challenge__in_the_database__name_no_person(house: House) -> None:
    person = Person(house)
    person.link("Ayesha Sample 35201-7654321-2")

    row = house.one("SELECT t::text FROM passkey t WHERE subject = :s", s=person.actor.subject)
    assert "7654321" not in row
    entry = "SELECT string_agg(facts::text, ' ') FROM journal_entry WHERE actor = :s"
    assert "Ayesha" not in house.one(entry, s=person.actor.subject)
