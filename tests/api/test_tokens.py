"""Bearer tokens of the development issuer: believed, expired, forged."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from api.auth.tokens import CLOCK_SKEW, MAX_LIFETIME
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.settings import DEVELOPMENT_ISSUER, Settings
from registry.passkey import service as passkeys
from tests.api.conftest import DatabaseMaker
from tests.api.house import House, house_settings, open_house, problem_of
from tests.authenticator import Authenticator

pytestmark = pytest.mark.db

PAST = CLOCK_SKEW + timedelta(seconds=5)
Forge = Callable[[dict[str, Any]], str]


@pytest.fixture
def key(house: House) -> str:
    secret = house.services.settings.token_key
    assert secret is not None
    return secret.get_secret_value()


def claims(**changes: Any) -> dict[str, Any]:
    """Return what a good token says, with `changes`; None leaves a claim out."""
    issued = datetime.now(UTC)
    good: dict[str, Any] = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": "milkiyat",
        "sub": "somebody",
        "roles": ["auditor"],
        "iat": issued,
        "exp": issued + timedelta(hours=1),
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def unsigned(said: dict[str, Any], algorithm: str) -> str:
    def part(value: dict[str, Any]) -> str:
        raw = json.dumps(value, default=lambda moment: int(moment.timestamp())).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(said)}."


def ask(house: House, token: str) -> Any:
    return house.stranger(token).get("/v1/me")


def test_dev_token__asked_for__lets_in_as_whom_it_says(house: House) -> None:
    body = {"subject": "ayesha", "roles": ["investor", "issuer"], "expires_in": 60}
    answer = house.stranger().post("/dev/token", body).json()

    me = ask(house, answer["access_token"]).json()

    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 60)
    assert (me["subject"], me["roles"]) == ("ayesha", ["investor", "issuer"])


def test_dev_token__expired_beyond_the_skew__is_expired(house: House) -> None:
    body = {"subject": "ayesha", "roles": ["investor"], "expires_in": -int(PAST.total_seconds())}
    token = house.stranger().post("/dev/token", body).json()["access_token"]

    response = ask(house, token)

    problem_of(response, 401, "token_expired")
    assert "invalid_token" in response.headers["www-authenticate"]


def test_token__expired_within_the_skew__is_believed(house: House, key: str) -> None:
    late = datetime.now(UTC) - CLOCK_SKEW / 2

    assert ask(house, jwt.encode(claims(exp=late), key)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"subject": "ayesha", "roles": []},
        {"subject": "", "roles": ["investor"]},
        {"subject": "a\u0000b", "roles": ["investor"]},
        {"subject": "ayesha", "roles": ["administrator"]},
        {"subject": "ayesha", "roles": ["investor"], "expires_in": 10**12},
        {
            "subject": "ayesha",
            "roles": ["investor"],
            "expires_in": MAX_LIFETIME.total_seconds() + 1,
        },
    ],
)
def test_dev_token__asked_for_wrongly__is_refused(house: House, body: dict[str, Any]) -> None:
    problem_of(house.stranger().post("/dev/token", body), 422, "request_invalid")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody-else"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"roles": "auditor"},
        {"roles": {"auditor": True}},
        {"iat": datetime(2999, 1, 1, tzinfo=UTC)},
        {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
        {"exp": "tomorrow"},
    ],
    ids=str,
)
def test_token__claim_wrong__is_not_believed(
    house: House, key: str, changes: dict[str, Any]
) -> None:
    problem_of(ask(house, jwt.encode(claims(**changes), key)), 401, "token_invalid")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "RS256", ""])
def test_token__no_signature__is_not_believed(house: House, algorithm: str) -> None:
    problem_of(ask(house, unsigned(claims(), algorithm)), 401, "token_invalid")


@pytest.mark.parametrize(
    "forge",
    [
        lambda said: jwt.encode(said, "another key, long enough for its algorithm"),
        lambda said: jwt.encode(said, "another key, long enough for its algorithm " * 2, "HS512"),
        lambda _: "garbage",
        lambda _: "a.b.c",
        lambda _: "é.ü.ñ".encode().decode("latin-1"),
        lambda _: "." * 2000,
    ],
    ids=["other_key", "other_algorithm", "garbage", "dots", "not_ascii", "many_dots"],
)
def test_token__forged__is_not_believed(house: House, forge: Forge) -> None:
    token = forge(claims())
    response = house.client.get("/v1/me", headers={b"Authorization": f"Bearer {token}".encode()})

    problem_of(response, 401, "token_invalid")


def test_token__right_key_but_another_algorithm__is_not_believed(house: House, key: str) -> None:
    problem_of(ask(house, jwt.encode(claims(), key, "HS384")), 401, "token_invalid")


def test_token__altered_claims__is_not_believed(house: House, key: str) -> None:
    head, _, seal = jwt.encode(claims(), key).split(".")
    _, body, _ = unsigned(claims(roles=["compliance"]), "HS256").split(".")

    problem_of(ask(house, f"{head}.{body}.{seal}"), 401, "token_invalid")


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Token abc"])
def test_token__other_scheme__is_missing(house: House, header: str) -> None:
    response = house.client.get("/v1/me", headers={"Authorization": header})

    problem_of(response, 401, "token_missing")


def test_token__in_the_query__is_missing(house: House, key: str) -> None:
    response = house.client.get("/v1/me", params={"access_token": jwt.encode(claims(), key)})

    problem_of(response, 401, "token_missing")


# Production


@pytest.fixture(scope="module")
def production(
    make_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with make_database() as database:
        settings = production_settings(tmp_path_factory.mktemp("production"), database)
        with open_house(settings, database) as house:
            yield house


def production_settings(directory: Path, database: Database) -> Settings:
    return house_settings(
        directory,
        environment="production",
        database_url=database.url,
        rpc_url="https://node.example",
        signer_keystore=directory,
        signer_password="unused",
        public_url="https://register.example",
        oidc_issuer="https://issuer.example",
        oidc_jwks_url="https://issuer.example/keys",
        passkey_rp_id="example.com",
        passkey_origins="https://app.example.com",
    )


def test_production__development_issuer__is_not_there(production: House) -> None:
    body = {"subject": "ayesha", "roles": ["investor"]}

    problem_of(production.stranger().post("/dev/token", body), 404, "not_found")
    assert "/dev/token" not in production.stranger().get("/openapi.json").json()["paths"]


def test_production__token_of_the_development_issuer__is_not_believed(production: House) -> None:
    secret = production.services.settings.token_key
    assert secret is not None
    token = jwt.encode(claims(), secret.get_secret_value(), headers={"kid": "1"})

    response = production.stranger(token).get("/v1/me")

    assert response.status_code in {401, 503}, response.text


def test_production__token_of_our_own_issuer__is_believed_while_its_session_lives(
    production: House,
) -> None:
    """A passkey signs in there, whether the external issuer answers or not."""
    device = Authenticator(rp_id="example.com", origin="https://app.example.com")
    issuer = production.services.sessions
    assert issuer is not None
    with production.desk() as desk:
        ayesha = Actor("ayesha", frozenset({Role.INVESTOR}))
        options = passkeys.begin_registration(desk.session, issuer.party, ayesha)
        made = device.create(options)
        passkeys.add_passkey(desk.session, issuer.party, ayesha, credential=made, name="Phone")
    asked = production.stranger().post("/v1/sessions/challenges").json()["public_key"]
    answer = production.stranger().post("/v1/sessions", {"credential": device.get(asked)})
    caller = production.stranger(answer.json()["access_token"])

    assert caller.get("/v1/me").json()["subject"] == "ayesha"
    assert caller.delete(f"/v1/sessions/{answer.json()['session_id']}").status_code == 204
    problem_of(caller.get("/v1/me"), 401, "session_ended")
