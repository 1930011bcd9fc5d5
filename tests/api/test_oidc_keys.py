"""How seldom an issuer is asked for its keys, which of them count, and what its clock may say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from api.auth import key_set
from api.auth.key_set import KeySet
from api.auth.tokens import CLOCK_SKEW, OidcVerifier
from registry.kernel.actor import Actor
from registry.kernel.errors import Unavailable
from registry.kernel.settings import Settings
from tests.api.house import at_once_each
from tests.api.issuer import ISSUER, KeyServer, new_key, public_jwk, sign

pytestmark = pytest.mark.unit

KEY = new_key("ES256")
JWK = public_jwk("one", "ES256", KEY)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer() as server:
        server.publish(JWK)
        yield server


@pytest.fixture
def keys(server: KeyServer) -> KeySet:
    return KeySet(server.url)


@pytest.fixture
def verifier(server: KeyServer) -> OidcVerifier:
    return OidcVerifier(Settings(oidc_issuer=ISSUER, oidc_jwks_url=server.url))


def said(verifier: OidcVerifier, **changes: Any) -> Actor | str:
    """Return who the token names, or the code of the refusal."""
    try:
        return verifier.verify(sign("one", "ES256", KEY, **changes))
    except Exception as refusal:
        code = getattr(refusal, "code", None)
        if code is None:
            raise
        return str(code)


def test_find__many_ids_that_nobody_has__asks_once(keys: KeySet, server: KeyServer) -> None:
    assert [keys.find(f"guess-{number}") for number in range(100)] == [None] * 100
    assert server.requests == 1


def test_find__new_key__is_found_once_it_is_time_to_ask(keys: KeySet, server: KeyServer) -> None:
    assert keys.find("one") is not None
    server.publish(JWK, public_jwk("two", "ES256", new_key("ES256")))
    assert keys.find("two") is None

    keys._ask_at = time.monotonic()  # half a minute later

    assert keys.find("two") is not None
    assert keys.find("one") is not None
    assert server.requests == 2


def test_find__recalled_key__is_found_no_more_after_minutes(
    keys: KeySet, server: KeyServer
) -> None:
    assert keys.find("one") is not None
    server.publish(public_jwk("two", "ES256", new_key("ES256")))
    keys.expire()

    assert keys.find("one") is None


def test_find__issuer_away__is_asked_once_in_seconds(keys: KeySet, server: KeyServer) -> None:
    server.status = 500

    for _ in range(50):
        with pytest.raises(Unavailable, match="issuer_unavailable"):
            keys.find("one")

    assert server.requests == 1


def test_find__issuer_away_for_minutes__keeps_its_keys(keys: KeySet, server: KeyServer) -> None:
    assert keys.find("one") is not None
    server.status = 500
    keys.expire()

    assert keys.find("one") is not None
    with pytest.raises(Unavailable):
        keys.find("two")
    assert server.requests == 2


def test_find__issuer_away_for_an_hour__is_unavailable(
    keys: KeySet, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys.find("one") is not None
    server.status = 500
    monkeypatch.setattr(key_set, "STALE_SECONDS", key_set.FRESH_SECONDS)
    keys.expire()

    with pytest.raises(Unavailable):
        keys.find("one")


def test_find__issuer_hangs__nobody_with_a_known_key_waits(keys: KeySet, server: KeyServer) -> None:
    assert keys.find("one") is not None
    keys.expire()
    server.answers.clear()

    with at_once_each(lambda: keys.find("one")) as asking:
        while server.requests < 2:
            time.sleep(0.001)
        started = time.monotonic()
        assert keys.find("one") is not None
        with pytest.raises(Unavailable):
            keys.find("two")
        assert time.monotonic() - started < 1
        server.answers.set()

    assert [found is not None for found in asking] == [True]
    assert server.requests == 2


def test_find__first_callers_together__ask_once(keys: KeySet, server: KeyServer) -> None:
    with at_once_each(*[lambda: keys.find("one")] * 8) as found:
        pass

    assert all(key is not None for key in found)
    assert server.requests == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "alg": "HS256", "kid": "bad"},
        JWK | {"kid": "bad", "use": "enc"},
        JWK | {"kid": "bad", "crv": "P-521"},
        JWK | {"kid": ""},
        {"kid": "bad"},
        {"kid": "bad", "kty": "RSA", "n": "AQAB", "e": "AQAB"},
        public_jwk("bad", "RS256", rsa.generate_private_key(65537, 1024)),
    ],
    ids=["secret", "encryption", "curve", "nameless", "empty", "no modulus", "weak"],
)
def test_find__key_that_is_no_good__is_left_out_and_the_others_count(
    keys: KeySet, server: KeyServer, entry: dict[str, Any]
) -> None:
    server.publish(entry, JWK)

    assert keys.find("bad") is None
    assert keys.find("one") is not None


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b'{"keys": 1}', b'{"keys": [1]}', b"[" * 99999]
)
def test_find__answer_that_is_no_key_set__is_unavailable(
    keys: KeySet, server: KeyServer, answer: bytes
) -> None:
    server.answer = answer

    with pytest.raises(Unavailable):
        keys.find("one")


def test_find__answer_without_an_end__is_unavailable(keys: KeySet, server: KeyServer) -> None:
    server.answer += b" " * key_set.MAX_BYTES

    with pytest.raises(Unavailable):
        keys.find("one")


def test_find__issuer_sends_us_elsewhere__is_not_followed(keys: KeySet, server: KeyServer) -> None:
    with KeyServer() as other:
        other.publish(JWK)
        server.status, server.location = 302, other.url

        with pytest.raises(Unavailable):
            keys.find("one")
        assert other.requests == 0


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"exp": -20}, "believed"),
        ({"exp": -40}, "token_expired"),
        ({"iat": 20}, "believed"),
        ({"iat": 60}, "token_invalid"),
        ({"nbf": 20}, "believed"),
        ({"nbf": 60}, "token_invalid"),
    ],
    ids=str,
)
def test_verify__clocks_that_differ__count_up_to_half_a_minute(
    verifier: OidcVerifier, changes: dict[str, int], outcome: str
) -> None:
    moments = {
        name: datetime.now(UTC) + timedelta(seconds=seconds) for name, seconds in changes.items()
    }
    found = said(verifier, **moments)

    assert ("believed" if isinstance(found, Actor) else found) == outcome


@pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud", "sub"])
def test_verify__claim_missing__is_not_believed(verifier: OidcVerifier, claim: str) -> None:
    issued = datetime.now(UTC)
    whole = {"iss": ISSUER, "aud": "milkiyat", "sub": "ayesha", "iat": issued,
             "exp": issued + timedelta(minutes=5)}  # fmt: skip
    token = jwt.encode({k: v for k, v in whole.items() if k != claim}, KEY, "ES256",
                       headers={"kid": "one"})  # fmt: skip

    with pytest.raises(Exception, match="token_invalid"):
        verifier.verify(token)


@pytest.mark.parametrize(("algorithm", "key"), [("none", None), ("HS256", "x" * 32)])
def test_verify__algorithm_without_a_private_key__asks_nobody(
    verifier: OidcVerifier, server: KeyServer, algorithm: str, key: Any
) -> None:
    token = jwt.encode({"sub": "ayesha"}, key, algorithm, headers={"kid": "one"})

    with pytest.raises(Exception, match="token_invalid"):
        verifier.verify(token)
    assert server.requests == 0


def test_verify__key_recalled_after_a_token_was_believed__believes_it_no_more(
    verifier: OidcVerifier, server: KeyServer
) -> None:
    token = sign("one", "ES256", KEY)
    assert verifier.verify(token) == verifier.verify(token)
    server.publish(public_jwk("two", "ES256", new_key("ES256")))
    verifier.keys.expire()

    with pytest.raises(Exception, match="token_invalid"):
        verifier.verify(token)


def test_verify__key_replaced_under_its_id__believes_what_the_new_one_signed(
    verifier: OidcVerifier, server: KeyServer
) -> None:
    token, other = sign("one", "ES256", KEY), new_key("ES256")
    verifier.verify(token)
    server.publish(public_jwk("one", "ES256", other))
    verifier.keys.expire()

    with pytest.raises(Exception, match="token_invalid"):
        verifier.verify(token)
    assert verifier.verify(sign("one", "ES256", other)).subject


def test_verify__token_read_before__ends_when_its_time_is_over(verifier: OidcVerifier) -> None:
    token = sign("one", "ES256", KEY, exp=datetime.now(UTC) - CLOCK_SKEW + timedelta(seconds=2))
    verifier.verify(token)
    time.sleep(2)

    with pytest.raises(Exception, match="token_expired"):
        verifier.verify(token)
