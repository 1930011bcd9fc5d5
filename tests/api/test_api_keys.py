"""API keys over HTTP: from the proposal to the first act, and every way in which one fails."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry.api_key import service
from registry.api_key.secret import NewSecret, hash_of
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from tests import factories as make
from tests.api.house import House, problem_of
from tests.factories import CHECKER, MAKER, numbers
from tests.keys import live_key, proposed_key

pytestmark = pytest.mark.db

PATH = "/v1/api_keys"


def wanted(**changes: Any) -> dict[str, Any]:
    ends = now() + timedelta(days=90)
    said = {"name": f"desk-{next(numbers)}", "roles": ["registrar_maker"]}
    return said | {"expires_at": ends.isoformat()} | changes


def person(number: int) -> dict[str, str]:
    return {"kind": "NATURAL", "name": "Person by a system", "cnic": f"35202-{number:07}-1"}


def test_key__proposed_confirmed_used_revoked__lets_a_system_in_for_that_long(
    house: House,
) -> None:
    maker, checker = house.caller(Role.REGISTRAR_MAKER), house.caller(Role.REGISTRAR_CHECKER)

    made = maker.post(PATH, wanted(name="land-desk"))
    issued = made.json()
    path, system = f"{PATH}/{issued['id']}", house.stranger(issued["secret"])
    problem_of(system.get("/v1/me"), 401, "api_key_not_confirmed")
    confirmed = checker.post(f"{path}/confirm").json()

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert (issued["state"], confirmed["state"]) == ("PROPOSED", "ACTIVE")
    assert issued["principal"] == f"key:land-desk@{MAKER.subject}"
    assert issued["secret"].startswith(f"mk_{issued['prefix']}_")
    me = system.get("/v1/me").json()
    assert me == {"subject": issued["principal"], "roles": ["registrar_maker"], "investor": None}
    lodged = system.post("/v1/parties", person(next(numbers)))
    assert lodged.status_code == 201, lodged.text
    who = "SELECT actor FROM journal_entry WHERE subject_id = :id"
    assert house.one(who, id=lodged.json()["id"]) == issued["principal"]

    house.services.keys.wait()
    shown = maker.get(path).json()
    assert shown["last_used_at"] is not None
    assert "secret" not in shown

    revoked = checker.post(f"{path}/revoke", {"reason": "The system is replaced"}).json()
    assert (revoked["state"], revoked["revoked_by"]) == ("REVOKED", CHECKER.subject)
    refused = system.get("/v1/me")
    problem_of(refused, 401, "api_key_revoked")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert revoked in maker.get(PATH, limit="200").json()["items"]


def test_propose__repeated_under_its_key__makes_one_and_shows_the_secret_once(
    house: House,
) -> None:
    maker, body = house.caller(Role.REGISTRAR_MAKER), wanted()

    first = maker.post(PATH, body, key="make-a-key")
    again = maker.post(PATH, body, key="make-a-key")

    assert again.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json() | {"secret": None}


def test_secret__after_its_answer__stands_nowhere_in_the_database(house: House) -> None:
    made = house.caller(Role.REGISTRAR_MAKER).post(PATH, wanted(), key=f"k-{next(numbers)}").json()
    confirm = f"{PATH}/{made['id']}/confirm"
    house.caller(Role.REGISTRAR_CHECKER).post(confirm)
    house.stranger(made["secret"]).post("/v1/parties", person(next(numbers)), key="of-a-system")
    house.services.keys.wait()
    secret = made["secret"].removeprefix(f"mk_{made['prefix']}_")

    with house.database.reading() as session:
        connection = session.connection()
        tables = connection.execute(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
                 " 'public'::regnamespace")
        ).scalars().all()  # fmt: skip
        needles = {"plain": f"%{secret}%", "hex": f"%{secret.encode().hex()}%"}
        for table in tables:
            found = connection.execute(
                text(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE :plain'
                     " OR t::text LIKE :hex"), needles
            ).scalar_one()  # fmt: skip
            assert found == 0, table
    assert house.one("SELECT count(*) FROM api_key WHERE prefix = :p", p=made["prefix"]) == 1


def test_use__that_cannot_be_noted__is_noted_next_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.desk() as desk:
        key, secret = live_key(desk.session)
    used = "SELECT last_used_at FROM api_key WHERE id = :id"
    noting = service.note_use
    monkeypatch.setattr(service, "note_use", fail)

    assert house.stranger(secret).get("/v1/me").status_code == 200
    house.services.keys.wait()
    assert house.one(used, id=key.id) is None

    monkeypatch.setattr(service, "note_use", noting)
    assert house.stranger(secret).get("/v1/me").status_code == 200
    house.services.keys.wait()
    assert house.one(used, id=key.id) is not None


def fail(*_: object) -> None:
    raise PoolTimeout("no connection is left")


def test_key__wrong__says_the_same_whether_its_prefix_exists(house: House) -> None:
    with house.desk() as desk:
        key, secret = live_key(desk.session)
    other = NewSecret.make().text
    wrong = [other, f"mk_{key.prefix}_{other[16:]}", secret[:-1], secret + "x", "mk_", "mk_x"]

    problems = [problem_of(house.stranger(text).get("/v1/me"), 401, "api_key_invalid")
                for text in wrong]  # fmt: skip

    assert all(problem == problems[0] for problem in problems)
    assert house.stranger(secret).get("/v1/me").status_code == 200


def test_key__expired__is_refused(house: House) -> None:
    with house.desk() as desk:
        key, secret = live_key(desk.session)
        key.expires_at = now() - timedelta(seconds=1)
        key.recorded_at = now() - timedelta(days=365)

    problem_of(house.stranger(secret).get("/v1/me"), 401, "api_key_expired")


def test_key__expired_with_a_wrong_secret__does_not_say_so(house: House) -> None:
    with house.desk() as desk:
        key, secret = live_key(desk.session)
        key.expires_at = now() - timedelta(seconds=1)

    wrong = secret[:-5] + ("aaaaa" if secret[-5:] != "aaaaa" else "bbbbb")
    assert hash_of(wrong) != hash_of(secret)
    problem_of(house.stranger(wrong).get("/v1/me"), 401, "api_key_invalid")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roles": ["registrar_checker"]}, "role_not_for_systems"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "key_term_wrong"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "key_term_wrong"),
        ({"expires_at": "soon"}, "request_invalid"),
        ({"expires_at": 1}, "request_invalid"),
        ({"roles": []}, "request_invalid"),
        ({"roles": ["admin"]}, "request_invalid"),
        ({"roles": None}, "request_invalid"),
        ({"name": "a@b"}, "request_invalid"),
        ({"name": "Key:A"}, "request_invalid"),
        ({"name": "desk\n"}, "request_invalid"),
        ({"name": ""}, "request_invalid"),
        ({"name": "x" * 64}, "request_invalid"),
        ({"secret": "mk_mine"}, "unknown_field"),
    ],
)
def test_propose__bad_request__is_refused_and_changes_nothing(
    house: House, changes: dict[str, Any], code: str
) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)

    with house.unchanged():
        problem_of(maker.post(PATH, wanted(**changes)), 422, code)


def test_propose__role_that_the_maker_lacks__is_refused(house: House) -> None:
    maker = house.caller(Role.REGISTRAR_MAKER)

    problem_of(maker.post(PATH, wanted(roles=["auditor"])), 403, "role_not_yours")


def test_confirm__one_s_own__is_refused(house: House) -> None:
    both = house.caller(
        Actor("small-office", frozenset({Role.REGISTRAR_MAKER, Role.REGISTRAR_CHECKER}))
    )
    key_id = both.post(PATH, wanted()).json()["id"]

    problem_of(both.post(f"{PATH}/{key_id}/confirm"), 403, "checker_is_maker")


def test_key__another_s__is_not_there(house: House) -> None:
    with house.desk() as desk:
        key, _ = proposed_key(desk.session)
    stranger = house.caller(Actor("another-office", frozenset({Role.REGISTRAR_MAKER})))

    problem_of(stranger.get(f"{PATH}/{key.id}"), 404, "not_found")
    problem_of(stranger.post(f"{PATH}/{key.id}/revoke", {"reason": "x"}), 404, "not_found")
    assert stranger.get(PATH).json()["items"] == []


def test_token__that_names_a_system__is_refused(house: House) -> None:
    """Nobody becomes a system, or the person behind one, by what an issuer calls them."""
    token = house.token_with(f"key:desk@{MAKER.subject}", ["registrar_checker"])

    problem_of(house.stranger(token).get("/v1/me"), 401, "token_invalid")


def test_key__next_one_of_the_name__goes_on_as_the_same_principal(house: House) -> None:
    with house.desk() as desk:
        _, old = live_key(desk.session, name="rotating")
        _, new = live_key(desk.session, name="rotating")
    number, subjects = next(numbers), set()
    answers = []
    for secret in (old, new):
        system = house.stranger(secret)
        subjects.add(system.get("/v1/me").json()["subject"])
        answers.append(system.post("/v1/parties", person(number), key="across-the-change"))

    assert len(subjects) == 1
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_system__and_its_maker__are_one_pair_of_eyes_over_http(house: House) -> None:
    office = Actor("one-office", frozenset({Role.REGISTRAR_MAKER, Role.DOCUMENT_VERIFIER}))
    with house.desk() as desk:
        _, secret = live_key(desk.session, office, roles=[Role.REGISTRAR_MAKER])
        asset = make.open_apartment(desk)
    system = house.stranger(secret)
    paper = system.upload(f"/v1/assets/{asset.id}/documents", make.pdf())
    assert paper.status_code == 201, paper.text
    verify = f"/v1/documents/{paper.json()['id']}/verify"
    said = {"source_registry": "Sub-Registrar", "source_reference": "1/2026"}

    problem_of(house.caller(office).post(verify, said), 403, "verifier_is_uploader")
    assert house.caller(Role.DOCUMENT_VERIFIER).post(verify, said).status_code == 200
