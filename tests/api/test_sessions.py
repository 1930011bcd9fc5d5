"""Sessions: tokens that rotate, the phone that lost an answer, the thief, and the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import text

from api.auth.session_tokens import SessionIssuer
from registry.kernel.actor import Role
from registry.passkey.secret import REFRESH_MARK, hash_of, new_secret
from tests.api.house import House, at_once, problem_of
from tests.api.people import linked, ok, refresh
from tests.factories import ACTORS

pytestmark = pytest.mark.db

ENDED = "SELECT ended_for FROM user_session WHERE id = :id"
HALF_A_MINUTE = 31


def pass_time(house: House, session_id: str, *, seconds: int = 0, hours: int = 0) -> None:
    """Let time pass for a session and its tokens."""
    moved = {
        "refresh_token": ("used_at", "session_id"),
        "user_session": ("refreshed_at, idle_until, expires_at", "id"),
    }
    with house.database.transaction() as session:
        for table, (columns, key) in moved.items():
            sets = ", ".join(
                f"{name} = {name} - make_interval(secs => :s)" for name in columns.split(", ")
            )
            session.connection().execute(
                text(f"UPDATE {table} SET {sets} WHERE {key} = :id"),
                {"id": session_id, "s": seconds + hours * 3600},
            )


def me(house: House, tokens: dict[str, Any]) -> int:
    return house.stranger(tokens["access_token"]).get("/v1/me").status_code


def ended_for(house: House, tokens: dict[str, Any]) -> str | None:
    found: str | None = house.one(ENDED, id=tokens["session_id"])
    return found


def issuer_of(house: House) -> SessionIssuer:
    assert house.services.sessions is not None
    return house.services.sessions


def test_refresh__again_and_again__rotates_within_one_session(house: House) -> None:
    tokens = linked(house).sign_in()
    seen = {tokens["refresh_token"]}
    first = tokens
    for _ in range(4):
        answer = refresh(house, tokens["refresh_token"])
        tokens = ok(answer)
        seen.add(tokens["refresh_token"])
        assert answer.headers["cache-control"] == "no-store"

    assert len(seen) == 5
    assert tokens["session_id"] == first["session_id"]
    assert tokens["session_expires_at"] == first["session_expires_at"]
    assert me(house, tokens) == 200
    assert ended_for(house, tokens) is None


def test_refresh_tokens__kept__are_hashes(house: House) -> None:
    tokens = linked(house).sign_in()
    successor = ok(refresh(house, tokens["refresh_token"]))["refresh_token"]

    kept = house.one(
        "SELECT string_agg(t::text, ' ') FROM refresh_token t WHERE session_id = :id",
        id=tokens["session_id"],
    )
    for token in (tokens["refresh_token"], successor):
        assert token not in kept
        assert token.encode().hex() not in kept


def test_refresh__used_long_ago__ends_the_session_for_everybody(house: House) -> None:
    """A thief refreshes with the token of before, or the owner after the thief."""
    tokens = linked(house).sign_in()
    newest = ok(refresh(house, tokens["refresh_token"]))
    pass_time(house, tokens["session_id"], seconds=HALF_A_MINUTE)

    problem_of(refresh(house, tokens["refresh_token"]), 401, "refresh_token_reused")

    assert ended_for(house, tokens) == "REUSE"
    problem_of(refresh(house, newest["refresh_token"]), 401, "session_ended")
    assert me(house, newest) == 401
    entry = (
        "SELECT actor || ' ' || (facts ->> 'cause') FROM journal_entry"
        " WHERE act = 'session_ended' AND subject_id = :id"
    )
    assert house.one(entry, id=tokens["session_id"]) == "system REUSE"


def test_refresh__answer_lost__is_answered_again_within_seconds(house: House) -> None:
    tokens = linked(house).sign_in()
    lost = ok(refresh(house, tokens["refresh_token"]))

    again = ok(refresh(house, tokens["refresh_token"]))

    assert again["refresh_token"] != lost["refresh_token"]
    assert again["session_id"] == lost["session_id"]
    assert me(house, ok(refresh(house, again["refresh_token"]))) == 200


def test_refresh__answer_lost_several_times__is_answered_until_seconds_are_over(
    house: House,
) -> None:
    tokens = linked(house).sign_in()
    for _ in range(4):
        ok(refresh(house, tokens["refresh_token"]))
    pass_time(house, tokens["session_id"], seconds=HALF_A_MINUTE)

    problem_of(refresh(house, tokens["refresh_token"]), 401, "refresh_token_reused")


def test_refresh__successor_in_use__is_not_answered_again(house: House) -> None:
    tokens = linked(house).sign_in()
    newer = ok(refresh(house, tokens["refresh_token"]))
    ok(refresh(house, newer["refresh_token"]))

    problem_of(refresh(house, tokens["refresh_token"]), 401, "refresh_token_reused")
    assert ended_for(house, tokens) == "REUSE"


def test_refresh__thief_within_the_seconds__is_found_out_by_the_owner(house: House) -> None:
    """The rule for lost answers opens no hole: one of the two successors counts no more."""
    tokens = linked(house).sign_in()
    owners = ok(refresh(house, tokens["refresh_token"]))
    thiefs = ok(refresh(house, tokens["refresh_token"]))
    assert me(house, thiefs) == 200

    problem_of(refresh(house, owners["refresh_token"]), 401, "refresh_token_reused")

    problem_of(refresh(house, thiefs["refresh_token"]), 401, "session_ended")
    assert me(house, thiefs) == 401


def test_refresh__twice_at_once__both_are_answered_and_one_successor_counts(house: House) -> None:
    tokens = linked(house).sign_in()

    answers = at_once(*[lambda: refresh(house, tokens["refresh_token"])] * 2)

    assert [answer.status_code for answer in answers] == [200, 200]
    newest = [answer.json()["refresh_token"] for answer in answers]
    live = "SELECT count(*) FROM refresh_token WHERE token_sha256 = :h AND replaced_at IS NULL"
    [counts] = [token for token in newest if house.one(live, h=hash_of(token))]
    [dead] = set(newest) - {counts}
    ok(refresh(house, counts))
    problem_of(refresh(house, dead), 401, "refresh_token_reused")


def test_refresh__not_in_time__is_over(house: House) -> None:
    person = linked(house)
    tokens = person.sign_in()
    pass_time(house, tokens["session_id"], hours=72)

    problem_of(refresh(house, tokens["refresh_token"]), 401, "session_expired")
    assert ok(person.caller.get("/v1/sessions")) == []


def test_refresh__in_time_for_a_month__is_over_then(house: House) -> None:
    tokens = linked(house).sign_in()
    refreshed = 0
    for _ in range(15):
        pass_time(house, tokens["session_id"], hours=71)
        answer = refresh(house, tokens["refresh_token"])
        if answer.status_code != 200:
            break
        tokens, refreshed = answer.json(), refreshed + 1

    assert refreshed == 720 // 71
    problem_of(answer, 401, "session_expired")


@pytest.mark.parametrize(
    "token",
    ["", "mr_", "mr_" + "é" * 43, "x" * 100, new_secret(REFRESH_MARK)],
    ids=["empty", "mark", "letters", "long", "never_given"],
)
def test_refresh__token_that_nobody_was_given__is_refused(house: House, token: str) -> None:
    with house.unchanged():
        problem_of(refresh(house, token), 401, "refresh_token_invalid")


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": "x" * 101},
                                  {"refresh_token": "x", "more": 1}])  # fmt: skip
def test_refresh__body_of_another_form__is_invalid(house: House, body: Any) -> None:
    assert house.stranger().post("/v1/sessions/refresh", body).status_code == 422


def test_session__ended_by_its_owner__stops_at_once(house: House) -> None:
    person = linked(house)
    here, there = person.sign_in(), person.sign_in()
    path = f"/v1/sessions/{there['session_id']}"

    assert house.stranger(here["access_token"]).delete(path).status_code == 204

    assert (me(house, here), me(house, there)) == (200, 401)
    problem_of(refresh(house, there["refresh_token"]), 401, "session_ended")
    assert ended_for(house, there) == "SIGNED_OUT"
    [left] = ok(house.stranger(here["access_token"]).get("/v1/sessions"))
    assert left["id"] == here["session_id"]
    again = house.stranger(here["access_token"]).delete(path)
    problem_of(again, 404, "not_found")


def test_session__ended_from_within__signs_out(house: House) -> None:
    tokens = linked(house).sign_in()
    caller = house.stranger(tokens["access_token"])

    assert caller.delete(f"/v1/sessions/{tokens['session_id']}", key="bye").status_code == 204
    problem_of(caller.get("/v1/me"), 401, "session_ended")


def test_session__of_somebody_else__is_not_there(house: House) -> None:
    mine, theirs = linked(house).sign_in(), linked(house).sign_in()
    caller = house.stranger(mine["access_token"])

    problem_of(caller.delete(f"/v1/sessions/{theirs['session_id']}"), 404, "not_found")
    assert me(house, theirs) == 200


def test_passkey__removed__ends_its_sessions_at_once(house: House) -> None:
    person = linked(house)
    tokens = person.sign_in()
    [passkey] = ok(person.caller.get("/v1/passkeys"))

    assert person.caller.delete(f"/v1/passkeys/{passkey['id']}").status_code == 204

    assert (me(house, tokens), ended_for(house, tokens)) == (401, "PASSKEY_REMOVED")


def test_last_passkey__is_removed_only_by_who_has_another_way_in(house: House) -> None:
    person = linked(house)
    signed_in = house.stranger(person.sign_in()["access_token"])
    [passkey] = ok(signed_in.get("/v1/passkeys"))
    path = f"/v1/passkeys/{passkey['id']}"

    problem_of(signed_in.delete(path), 409, "last_passkey")
    assert person.caller.delete(path).status_code == 204, "by a token of the other issuer"
    problem_of(person.caller.delete(path), 404, "not_found")


def test_last_two_passkeys__removed_at_once__leave_one(house: House) -> None:
    person = linked(house)
    signed_in = house.stranger(person.sign_in()["access_token"])
    second = linked(house)  # another device, of somebody else
    second.actor = person.actor
    second.device.credential_id = b"second" * 5
    second.link(caller=signed_in)
    paths = [f"/v1/passkeys/{one['id']}" for one in ok(signed_in.get("/v1/passkeys"))]
    # Each by a session of the passkey that stays.
    callers = [house.stranger(second.sign_in()["access_token"]), signed_in]

    answers = at_once(lambda: callers[0].delete(paths[0]), lambda: callers[1].delete(paths[1]))

    assert 204 in {answer.status_code for answer in answers}
    left = "SELECT count(*) FROM passkey WHERE subject = :s AND removed_at IS NULL"
    assert house.one(left, s=person.actor.subject) == 1


def test_access_token__of_a_session__is_short_and_names_it(house: House) -> None:
    tokens = linked(house).sign_in()
    said = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    head = jwt.get_unverified_header(tokens["access_token"])

    assert said["exp"] - said["iat"] == 600
    assert (said["iss"], said["aud"], said["sid"]) == ("milkiyat", "milkiyat", tokens["session_id"])
    assert (head["alg"], head["typ"]) == ("ES256", "at+jwt")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sid": "00000000-0000-7000-8000-000000000000"}, "session_ended"),
        ({"sid": "nothing"}, "token_invalid"),
        ({"sid": None}, "token_invalid"),
        ({"sub": "somebody-else"}, "session_ended"),
        ({"aud": "another-service"}, "token_invalid"),
        pytest.param(
            {"exp": datetime.now(UTC) - timedelta(minutes=1)}, "token_expired", id="expired"
        ),
        ({"typ": "JWT"}, "token_invalid"),
        ({"kid": "another"}, "token_invalid"),
    ],
    ids=str,
)
def test_access_token__that_says_something_else__is_refused(
    house: House, changes: dict[str, Any], code: str
) -> None:
    """Signed by our own key each time: only what it says is wrong."""
    tokens = linked(house).sign_in()
    key = issuer_of(house).keys[0]
    said = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    heads = {"kid": key.kid, "typ": "at+jwt"}
    heads |= {name: changes[name] for name in heads if name in changes}
    said |= {name: value for name, value in changes.items() if name not in heads}
    token = jwt.encode(said, key.private, "ES256", headers=heads)

    problem_of(house.stranger(token).get("/v1/me"), 401, code)


def test_access_token__with_a_role_of_staff__has_it_not(house: House) -> None:
    tokens = linked(house).sign_in()
    key = issuer_of(house).keys[0]
    said = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    said["roles"] = ["compliance", "investor"]
    token = jwt.encode(said, key.private, "ES256", headers={"kid": key.kid, "typ": "at+jwt"})

    assert ok(house.stranger(token).get("/v1/me"))["roles"] == ["investor"]


def test_access_token__by_the_development_issuer_in_our_name__is_refused(house: House) -> None:
    setting = house.services.settings.token_key
    assert setting is not None
    tokens = linked(house).sign_in()
    said = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    forged = jwt.encode(said, setting.get_secret_value(), "HS256")

    problem_of(house.stranger(forged).get("/v1/me"), 401, "token_invalid")


def test_sessions__of_a_caller_by_another_issuer__are_listed_too(house: House) -> None:
    person = linked(house)
    tokens = person.sign_in()

    [shown] = ok(person.caller.get("/v1/sessions"))
    assert (shown["id"], shown["is_current"]) == (tokens["session_id"], False)
    problem_of(house.caller(ACTORS[Role.AUDITOR]).get("/v1/sessions"), 403, "role_missing")
