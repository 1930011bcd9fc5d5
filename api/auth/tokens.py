"""Bearer tokens: whom an issuer says the caller is.

In production an external OIDC issuer signs them, and its keys come from its JWKS. On the
embedded defaults a development issuer stands in, which production refuses to start with.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import jwt
from jwt.utils import base64url_decode

from api.auth.errors import Unauthenticated
from api.auth.key_set import ALGORITHMS, KeySet
from registry.kernel.actor import KEY_MARK, Actor, Role
from registry.kernel.clock import now
from registry.kernel.settings import DEVELOPMENT_ISSUER, Settings

CLOCK_SKEW = timedelta(seconds=30)
MAX_LIFETIME = timedelta(hours=12)
_CLAIMS = ["exp", "iat", "iss", "aud", "sub"]
_KNOWN_ROLES = frozenset(Role)
MOST_READ_BEFORE = 4_096
_read_before: dict[tuple[bytes, Any, str, str], dict[str, Any]] = {}
"""What tokens say whose signatures were right: by their hash, the key, and for whom they are."""


class TokenVerifier(Protocol):
    """Reads a token, or refuses it."""

    def verify(self, token: str) -> Actor:
        """Return who the caller is.

        Raises
        ------
        Unauthenticated
            ``token_expired`` or ``token_invalid``.
        """
        ...


class DevelopmentIssuer:
    """Issues and reads tokens with a key of this installation; for development only."""

    def __init__(self, settings: Settings) -> None:
        assert not settings.is_production, "the development issuer must not run in production"
        assert settings.token_key is not None, "the embedded secrets hold one"
        self._key = settings.token_key.get_secret_value()
        self._audience = settings.oidc_audience

    def issue(self, subject: str, roles: list[Role], lifetime: timedelta) -> str:
        issued = now()
        return jwt.encode(
            {
                "iss": DEVELOPMENT_ISSUER,
                "aud": self._audience,
                "sub": subject,
                "roles": [str(role) for role in roles],
                "iat": issued,
                "auth_time": int(issued.timestamp()),
                "exp": issued + lifetime,
            },
            self._key,
            algorithm="HS256",
        )

    def verify(self, token: str) -> Actor:
        return _read(token, self._key, ["HS256"], self._audience, DEVELOPMENT_ISSUER)


class OidcVerifier:
    """Reads tokens of an external issuer, whose keys rotate under its JWKS address."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_jwks_url is not None
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience
        self.keys = KeySet(settings.oidc_jwks_url)

    def verify(self, token: str) -> Actor:
        head = read_head(token)
        # Asked before the key set: no question to the issuer for what cannot be its token.
        if head.get("alg") not in ALGORITHMS or not head.get("kid"):
            raise invalid_token("it names no key, or no algorithm that we take")
        key = self.keys.find(head["kid"])
        if key is None:
            raise invalid_token("the issuer has no such key")
        return _read(token, key, list(ALGORITHMS), self._audience, self._issuer)


def token_verifier(settings: Settings) -> TokenVerifier:
    """Choose who is believed: an OIDC issuer where one is set, else the development issuer."""
    return OidcVerifier(settings) if settings.oidc_issuer else DevelopmentIssuer(settings)


def _read(token: str, key: Any, algorithms: list[str], audience: str, issuer: str) -> Actor:
    claims = read_claims(token, key, algorithms, audience, issuer)
    subject, roles = claims["sub"], claims.get("roles", [])
    if subject.startswith(KEY_MARK):
        raise Unauthenticated("token_invalid", "The token names a system, which has an API key.")
    if not subject or not isinstance(roles, list):
        raise Unauthenticated("token_invalid", "The token names no subject, or no list of roles.")
    return Actor(
        subject=subject,
        roles=_KNOWN_ROLES.intersection(map(str, roles)),
        signed_in_at=_signed_in_at(claims),
    )


def _signed_in_at(claims: dict[str, Any]) -> datetime | None:
    """Read ``auth_time`` (OpenID Connect Core 2); what is no moment of the past is none."""
    said = claims.get("auth_time")
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        moment = datetime.fromtimestamp(said, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if moment <= now() + CLOCK_SKEW else None


def read_claims(
    token: str, key: Any, algorithms: list[str], audience: str, issuer: str
) -> dict[str, Any]:
    """Return what a token says, if this key signed it, for us, and not too long ago.

    Whoever has signed in asks many times with the same token, which says the same each time. Only
    that it ends is asked anew here; whether its session lives, or its key was recalled, is asked
    before or after by whoever believes it.

    Raises
    ------
    Unauthenticated
        ``token_expired``, ``token_invalid``.
    """
    place = (hashlib.sha256(token.encode()).digest(), key, audience, issuer)
    claims = _read_before.get(place)
    if claims is None:
        claims = _check(token, key, algorithms, audience, issuer)
        if len(_read_before) >= MOST_READ_BEFORE:
            _read_before.clear()
        _read_before[place] = claims
    elif int(claims["exp"]) <= (now() - CLOCK_SKEW).timestamp():
        raise _expired()
    return claims


def _check(
    token: str, key: Any, algorithms: list[str], audience: str, issuer: str
) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=audience,
            issuer=issuer,
            leeway=CLOCK_SKEW,
            options={"require": _CLAIMS},
        )
    except jwt.ExpiredSignatureError as error:
        raise _expired() from error
    except jwt.PyJWTError as error:
        raise invalid_token(str(error)) from error
    return claims


def read_head(token: str) -> dict[str, Any]:
    """Return what a token says of how it is signed; nothing of it was checked.

    Raises
    ------
    Unauthenticated
        ``token_invalid``: it is none.
    """
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:
        raise invalid_token(str(error)) from error


def said_by(token: str) -> object:
    """Return which issuer a token names, if it is one at all; nothing of it was checked."""
    try:
        return json.loads(base64url_decode(token.split(".")[1]))["iss"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _expired() -> Unauthenticated:
    return Unauthenticated("token_expired", "Your token has expired.", remedy="Sign in again.")


def invalid_token(reason: str) -> Unauthenticated:
    """Say why a token is not believed; the reason is one sentence without its full stop."""
    return Unauthenticated(
        "token_invalid",
        f"The token cannot be believed: {reason.rstrip('.')}.",
        remedy="Sign in again.",
    )
