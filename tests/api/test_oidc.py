"""Tokens of an external issuer, whose keys come from its JWKS."""

from __future__ import annotations

import base64
import contextlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry.kernel.db import Database
from tests.api.conftest import DatabaseMaker
from tests.api.house import House, house_settings, open_house, problem_of
from tests.api.issuer import ISSUER, KeyServer, new_key, public_jwk, sign

pytestmark = pytest.mark.db

KEYS = {algorithm: new_key(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
JWKS = [public_jwk(algorithm, algorithm, key) for algorithm, key in KEYS.items()]


@pytest.fixture(scope="module")
def database(make_database: DatabaseMaker) -> Iterator[Database]:
    with make_database() as database:
        yield database


@pytest.fixture(scope="module")
def house(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service that believes the issuer; tests leave its keys as they are."""
    with KeyServer() as server, serving(server, database, tmp_path_factory.mktemp("oidc")) as house:
        server.publish(*JWKS)
        yield house


@pytest.fixture
def server() -> Iterator[KeyServer]:
    """An issuer of the test's own."""
    with KeyServer() as server:
        server.publish(*JWKS)
        yield server


@pytest.fixture
def new_house(server: KeyServer, database: Database, tmp_path: Path) -> Iterator[House]:
    """A service that has not asked `server` for its keys yet."""
    with serving(server, database, tmp_path) as house:
        yield house


@contextlib.contextmanager
def serving(server: KeyServer, database: Database, directory: Path) -> Iterator[House]:
    settings = house_settings(directory, oidc_issuer=ISSUER, oidc_jwks_url=server.url)
    with open_house(settings, database) as house:
        yield house


def ask(house: House, token: str) -> httpx.Response:
    return house.stranger(token).get("/v1/me")


@pytest.mark.parametrize("algorithm", KEYS)
def test_oidc__token_of_a_published_key__is_believed(house: House, algorithm: str) -> None:
    response = ask(house, sign(algorithm, algorithm, KEYS[algorithm]))

    assert response.status_code == 200, response.text
    assert (response.json()["subject"], response.json()["roles"]) == ("ayesha", ["investor"])


def test_oidc__many_tokens__keys_are_asked_for_once(new_house: House, server: KeyServer) -> None:
    for algorithm in [*KEYS, *KEYS]:
        assert ask(new_house, sign(algorithm, algorithm, KEYS[algorithm])).is_success
        # An unknown key does not make us ask again and again.
        assert ask(new_house, sign("unknown", algorithm, KEYS[algorithm])).status_code == 401

    assert server.requests == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-service"},
        {"aud": ["another-service"]},
        {"iss": "https://issuer.example.evil"},
        {"iss": f"{ISSUER}/"},
        {"sub": ""},
    ],
    ids=str,
)
def test_oidc__token_for_others_or_by_others__is_not_believed(
    house: House, changes: dict[str, object]
) -> None:
    problem_of(ask(house, sign("RS256", "RS256", KEYS["RS256"], **changes)), 401, "token_invalid")


def test_oidc__expired__is_expired(house: House) -> None:
    token = sign("RS256", "RS256", KEYS["RS256"], exp=1_700_000_000)

    problem_of(ask(house, token), 401, "token_expired")


def test_oidc__key_of_somebody_else__is_not_believed(house: House) -> None:
    problem_of(ask(house, sign("RS256", "RS256", new_key("RS256"))), 401, "token_invalid")


def test_oidc__no_key_id__is_not_believed(house: House) -> None:
    token = jwt.encode({"sub": "ayesha"}, KEYS["RS256"], "RS256")

    problem_of(ask(house, token), 401, "token_invalid")


def test_oidc__public_key_as_hmac_secret__is_not_believed(house: House) -> None:
    """The oldest trick: what everybody knows, used as the secret of a symmetric algorithm."""
    public = KEYS["RS256"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, said, _ = sign("RS256", "RS256", KEYS["RS256"]).split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"RS256"}').decode().rstrip("=")
    mac = hmac.digest(pem, f"{head}.{said}".encode(), "sha256")
    seal = base64.urlsafe_b64encode(mac).decode().rstrip("=")

    problem_of(ask(house, f"{head}.{said}.{seal}"), 401, "token_invalid")


@pytest.mark.parametrize(("kid", "algorithm"), [("ES256", "RS256"), ("RS256", "ES256")])
def test_oidc__algorithm_of_another_kind_of_key__is_not_believed(
    house: House, kid: str, algorithm: str
) -> None:
    problem_of(ask(house, sign(kid, algorithm, KEYS[algorithm])), 401, "token_invalid")


def test_oidc__token_of_the_development_issuer__is_not_believed(house: House) -> None:
    problem_of(ask(house, house.token_with("ayesha", ["auditor"])), 401, "token_invalid")
    problem_of(house.stranger().post("/dev/token", {}), 404, "not_found")


def test_oidc__key_rotated__old_one_is_refused_and_new_one_believed(
    new_house: House, server: KeyServer
) -> None:
    old = sign("RS256", "RS256", KEYS["RS256"])
    assert ask(new_house, old).is_success
    key = new_key("RS256")
    server.publish(public_jwk("next", "RS256", key))
    new_house.forget_keys()

    assert ask(new_house, sign("next", "RS256", key)).is_success
    problem_of(ask(new_house, old), 401, "token_invalid")


def test_oidc__issuer_down__is_unavailable_until_it_is_back(
    new_house: House, server: KeyServer
) -> None:
    token, jwks = sign("RS256", "RS256", KEYS["RS256"]), server.answer
    server.answer = b"<html>Service Unavailable</html>"
    response = ask(new_house, token)
    problem_of(response, 503, "issuer_unavailable")
    assert response.headers["retry-after"]

    server.answer = jwks
    new_house.forget_keys()
    assert ask(new_house, token).is_success


def test_oidc__issuer_goes_down_later__its_keys_are_still_believed(
    new_house: House, server: KeyServer
) -> None:
    token = sign("RS256", "RS256", KEYS["RS256"])
    assert ask(new_house, token).is_success
    server.answer = b"<html>Service Unavailable</html>"

    assert ask(new_house, token).is_success


def test_oidc__nothing_listens__is_unavailable(database: Database, tmp_path: Path) -> None:
    with KeyServer() as server:
        url = server.url
    settings = house_settings(tmp_path, oidc_issuer=ISSUER, oidc_jwks_url=url)
    with open_house(settings, database) as house:
        token = sign("RS256", "RS256", KEYS["RS256"])

        problem_of(ask(house, token), 503, "issuer_unavailable")
