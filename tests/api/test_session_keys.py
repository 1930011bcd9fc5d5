"""Our own issuer: its keys as others see them, their rotation, and where it does not exist."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from api.auth.session_keys import SessionKeyMalformed, read_keys
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from tests.api.house import House, house_settings, new_session_key, open_house, problem_of
from tests.api.issuer import ISSUER, KeyServer, new_key, public_jwk, sign
from tests.api.people import Person, linked, ok, present, refresh
from tests.authenticator import APP, Authenticator

pytestmark = pytest.mark.db

JWKS = "/.well-known/jwks.json"


def keys_of(house: House) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = ok(house.stranger().get(JWKS))["keys"]
    return keys


def test_public_keys__of_our_issuer__check_its_tokens(house: House) -> None:
    answer = house.stranger().get(JWKS)
    [key] = ok(answer)["keys"]
    tokens = linked(house).sign_in()

    assert answer.headers["cache-control"] == "public, max-age=300"
    assert "d" not in key, "the private half stays at home"
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    head = jwt.get_unverified_header(tokens["access_token"])
    assert head["kid"] == key["kid"]
    said = jwt.decode(tokens["access_token"], jwt.PyJWK(key), ["ES256"], audience="milkiyat")
    assert said["sid"] == tokens["session_id"]


def test_keys__rotated__new_one_signs_and_old_one_counts_until_it_is_dropped(
    fresh_database: Database, tmp_path: Path
) -> None:
    old, new = new_session_key(), new_session_key()

    def serving(keys: str) -> Any:
        settings = house_settings(tmp_path, session_key=SecretStr(keys))
        return open_house(settings, fresh_database)

    with serving(old) as house:
        before = linked(house).sign_in()
    with serving(f"{old}, {new}") as house:  # known everywhere before it signs
        assert len(keys_of(house)) == 2
        assert house.stranger(before["access_token"]).get("/v1/me").status_code == 200
    with serving(f"{new},{old}") as house:
        after = ok(refresh(house, before["refresh_token"]))
        heads = [jwt.get_unverified_header(one["access_token"]) for one in (before, after)]
        assert [key["kid"] for key in keys_of(house)] == [heads[1]["kid"], heads[0]["kid"]]
        for tokens in (before, after):
            assert house.stranger(tokens["access_token"]).get("/v1/me").status_code == 200
    with serving(new) as house:
        assert house.stranger(after["access_token"]).get("/v1/me").status_code == 200
        dropped = house.stranger(before["access_token"]).get("/v1/me")
        problem_of(dropped, 401, "token_invalid")


def test_our_issuer__beside_an_external_one__serves_the_people_whom_that_one_knows(
    fresh_database: Database, tmp_path: Path
) -> None:
    key = new_key("ES256")
    with KeyServer() as server:
        server.publish(public_jwk("one", "ES256", key))
        settings = house_settings(tmp_path, oidc_issuer=ISSUER, oidc_jwks_url=server.url)
        with open_house(settings, fresh_database) as house:
            person = Person(house, Actor("ayesha", frozenset({Role.INVESTOR})))
            person.link(caller=house.stranger(sign("one", "ES256", key)))
            asked = server.requests
            tokens = person.sign_in()

            assert ok(house.stranger(tokens["access_token"]).get("/v1/me"))["subject"] == "ayesha"
            assert server.requests == asked, "our own tokens are no question to another issuer"
            # What the other issuer signs in our name is not ours.
            said = jwt.decode(tokens["access_token"], options={"verify_signature": False})
            forged = jwt.encode(said, key, "ES256", headers={"kid": "one", "typ": "at+jwt"})
            problem_of(house.stranger(forged).get("/v1/me"), 401, "token_invalid")


def test_app__whose_origin_is_named__signs_in(fresh_database: Database, tmp_path: Path) -> None:
    origins = f"http://localhost:8000,{APP}"
    settings = house_settings(tmp_path, passkey_origins=origins)
    with open_house(settings, fresh_database) as house:
        linked(house, origin=APP).sign_in()
        other = linked(house)
        problem_of(other.answer(origin=APP[:-1] + "B"), 401, "origin_not_allowed")


def test_service__without_passkeys__has_none_of_the_routes(
    fresh_database: Database, tmp_path: Path
) -> None:
    settings = house_settings(tmp_path, session_key=None)
    with open_house(settings, fresh_database) as house:
        assert house.services.sessions is None
        problem_of(house.stranger().get(JWKS), 404, "not_found")
        problem_of(house.stranger().post("/v1/sessions/challenges"), 404, "not_found")
        problem_of(house.caller(Role.INVESTOR).get("/v1/passkeys"), 404, "not_found")


def der(key: Any) -> str:
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(raw).decode()


TWICE = new_session_key()


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "hunter2",
        f"{TWICE},",
        f"{TWICE},{TWICE}",
        f"{TWICE};{TWICE}",
        der(ec.generate_private_key(ec.SECP384R1())),
        der(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "password", "comma", "twice", "semicolon", "another curve", "rsa"],
)
def test_session_key__that_is_none__is_refused_without_being_told(setting: str) -> None:
    with pytest.raises(SessionKeyMalformed) as refusal:
        read_keys(setting)

    assert refusal.value.code == "session_key_malformed"
    assert setting not in str(refusal.value) or not setting


def test_key__named_by_its_thumbprint__has_the_same_name_everywhere() -> None:
    """RFC 7638: the members that are required, in order, without a space."""
    [key] = read_keys(TWICE)

    assert read_keys(TWICE)[0].kid == key.kid
    assert list(json.loads(json.dumps(key.public_jwk))) == [
        "crv",
        "kty",
        "x",
        "y",
        "kid",
        "use",
        "alg",
    ]
    assert len(key.kid) == 43


def test_sign_in__answer_that_only_another_service_asked_for__is_refused(
    fresh_database: Database, tmp_path: Path
) -> None:
    """The same device, two relying parties: a passkey of one is none of the other."""
    settings = house_settings(
        tmp_path, passkey_rp_id="shop.example", passkey_origins="https://shop.example"
    )
    with open_house(settings, fresh_database) as house:
        person = Person(house, device=Authenticator(user_handle=b"x" * 32))
        credential = person.device.get(person.options(), origin="https://shop.example")

        problem_of(present(house, credential), 401, "relying_party_differs")
