"""Signatures of what the register hands out: Ed25519, checked with the public keys and no more."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from registry.kernel.errors import RegistryError

SIGNATURE_BYTES = 64


class SigningKeyMalformed(RegistryError):
    """REPORT_KEY is not usable; the service must not start with it."""

    def __init__(self) -> None:
        super().__init__(
            "report_key_malformed",
            "REPORT_KEY is not a comma-separated list of Ed25519 private keys, each PKCS #8 in "
            "base64 and named once.",
        )


class PublicKeyMalformed(Exception):
    """What was named as a public key is none."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key.

    Parameters
    ----------
    kid
        Its thumbprint (RFC 7638): the same key has the same name everywhere.
    """

    kid: str
    private: Ed25519PrivateKey

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> SigningKey:
        return cls(_thumbprint(_members(private.public_key())), private)

    @property
    def public_jwk(self) -> dict[str, str]:
        """The public half as RFC 8037 writes it."""
        named = {"kid": self.kid, "use": "sig", "alg": "EdDSA"}
        return _members(self.private.public_key()) | named

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def read_signing_keys(setting: str) -> tuple[SigningKey, ...]:
    """Read REPORT_KEY, the signing one first.

    Raises
    ------
    SigningKeyMalformed
    """
    keys = tuple(_read_key(part.strip()) for part in setting.split(","))
    if len({key.kid for key in keys}) < len(keys):
        raise SigningKeyMalformed
    return keys


def _read_key(text: str) -> SigningKey:
    try:
        private = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause, which may quote the key.
        raise SigningKeyMalformed from None
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningKeyMalformed
    return SigningKey.of(private)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys that somebody trusts, by name."""

    by_kid: Mapping[str, Ed25519PublicKey]

    @classmethod
    def read(cls, text: str) -> PublicKeys:
        """Read what ``/v1/public_keys`` answers, one key of it, or only its ``x``.

        Raises
        ------
        PublicKeyMalformed
        """
        text = text.strip()
        try:
            said = json.loads(text) if text.startswith("{") else {"x": text}
            found = [_public(jwk["x"]) for jwk in said.get("keys", [said])]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PublicKeyMalformed from error
        if not found:
            raise PublicKeyMalformed
        return cls({_thumbprint(_members(key)): key for key in found})

    def verifies(self, kid: str, message: bytes, signature: bytes) -> bool:
        key = self.by_kid.get(kid)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def to_base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Read what `to_base64url` wrote.

    Raises
    ------
    ValueError
    """
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _public(x: Any) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(from_base64url(x))


def _members(key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": to_base64url(key.public_bytes_raw())}


def _thumbprint(members: Mapping[str, str]) -> str:
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return to_base64url(hashlib.sha256(text.encode()).digest())
