"""An authenticator in software: real keys and real signatures, and any lie that a test wants."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

RP_ID = "localhost"
ORIGIN = "http://localhost:8000"
APP = "android:apk-key-hash:" + "A" * 43
PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 1, 4, 8, 16, 64


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey in one device.

    Parameters
    ----------
    counts
        Whether it counts its signatures; those that synchronise do not.
    """

    counts: bool = True
    flags: int = PRESENT | VERIFIED
    origin: str = ORIGIN
    rp_id: str = RP_ID
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    sign_count: int = 0

    def create(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """Answer `navigator.credentials.create`; `lies` stand in place of what is so."""
        self.user_handle = unb64(options["user"]["id"])
        said = self._client_data("webauthn.create", options, lies)
        attested = b"".join(
            [
                bytes(16),
                len(self.credential_id).to_bytes(2, "big"),
                self.credential_id,
                lies.get("cose", self._cose()),
            ]
        )
        data = self._authenticator_data(lies, ATTESTED) + attested
        attestation = {
            "fmt": lies.get("fmt", "none"),
            "attStmt": lies.get("statement", {}),
            "authData": data,
        }
        response = {"clientDataJSON": b64(said), "attestationObject": b64(encode_cbor(attestation))}
        return self._credential(response)

    def get(self, options: dict[str, Any], **lies: Any) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        if self.counts:
            self.sign_count += 1
        said = self._client_data("webauthn.get", options, lies)
        data = self._authenticator_data(lies, 0)
        signer = lies.get("key", self.key)
        signature = signer.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": b64(said),
            "authenticatorData": b64(data),
            "signature": b64(lies.get("signature", signature)),
            "userHandle": b64(lies.get("user_handle", self.user_handle)),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        name = b64(self.credential_id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": response,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
        }

    def _client_data(self, kind: str, options: dict[str, Any], lies: dict[str, Any]) -> bytes:
        said = {
            "type": lies.get("type", kind),
            "challenge": lies.get("challenge", options["challenge"]),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": lies.get("cross_origin", False),
        }
        return json.dumps(said).encode()

    def _authenticator_data(self, lies: dict[str, Any], more_flags: int) -> bytes:
        rp_id: str = lies.get("rp_id", self.rp_id)
        flags: int = lies.get("flags", self.flags) | more_flags
        count: int = lies.get("sign_count", self.sign_count)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")

    def _cose(self) -> bytes:
        point = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        written: bytes = encode_cbor(key)
        return written
