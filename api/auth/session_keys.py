"""The keys by which we sign access tokens ourselves, and how others see them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from jwt.algorithms import ECAlgorithm

from registry.kernel.errors import RegistryError

ALGORITHM = "ES256"


class SessionKeyMalformed(RegistryError):
    """SESSION_KEY is not usable; the service must not start with it."""

    def __init__(self) -> None:
        super().__init__(
            "session_key_malformed",
            "SESSION_KEY is not a comma-separated list of P-256 private keys, each PKCS #8 in "
            "base64 and named once.",
        )


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One key.

    Parameters
    ----------
    kid
        Its thumbprint (RFC 7638): the same key has the same name in every process.
    """

    kid: str
    private: ec.EllipticCurvePrivateKey
    public: jwt.PyJWK

    @property
    def public_jwk(self) -> dict[str, Any]:
        return _jwk(self.private) | {"kid": self.kid, "use": "sig", "alg": ALGORITHM}


def read_keys(setting: str) -> tuple[SessionKey, ...]:
    """Read SESSION_KEY, the signing one first.

    Raises
    ------
    SessionKeyMalformed
    """
    keys = tuple(_read_key(part.strip()) for part in setting.split(","))
    if len({key.kid for key in keys}) < len(keys):
        raise SessionKeyMalformed
    return keys


def _read_key(text: str) -> SessionKey:
    try:
        private = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause, which may quote the key.
        raise SessionKeyMalformed from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise SessionKeyMalformed
    if not isinstance(private.curve, ec.SECP256R1):
        raise SessionKeyMalformed
    members = json.dumps(_jwk(private), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return SessionKey(kid, private, jwt.PyJWK(_jwk(private), ALGORITHM))


def _jwk(private: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    said: dict[str, Any] = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return {name: said[name] for name in ("crv", "kty", "x", "y")}
