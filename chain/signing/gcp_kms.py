"""A key in Google Cloud KMS, of the algorithm EC_SIGN_SECP256K1_SHA256, over its REST API.

The service signs whatever 32 bytes stand in the field ``digest.sha256``: ours are a Keccak-256.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from chain.errors import SignerRefused, SignerUnavailable
from chain.signing.kms import TIMEOUT_SECONDS, KmsSigner

ALGORITHM = "EC_SIGN_SECP256K1_SHA256"
SERVICE = "https://cloudkms.googleapis.com"
METADATA = "http://metadata.google.internal"
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 (a path)
_ALREADY_THERE, _NOT_READY = "ALREADY_EXISTS", "FAILED_PRECONDITION"
RENEW_SECONDS = 60.0
"""A token is renewed that long before it ends."""


@dataclass
class AccessTokens:
    """The tokens that the service asks for.

    Parameters
    ----------
    fixed
        One from the settings, renewed by whoever sets it; else the machine's own is used.
    metadata_url
        Where the machine's own come from.
    """

    fixed: str | None = field(default=None, repr=False)
    metadata_url: str = METADATA
    _token: str = field(default="", init=False, repr=False)
    _ends: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def get(self) -> str:
        """Give a token that is good for a minute yet.

        Raises
        ------
        SignerUnavailable
            The machine gives none.
        """
        if self.fixed is not None:
            return self.fixed
        with self._lock:
            if time.monotonic() > self._ends - RENEW_SECONDS:
                self._renew()
            return self._token

    def _renew(self) -> None:
        try:
            answer = httpx.get(
                self.metadata_url + TOKEN_PATH,
                headers={"Metadata-Flavor": "Google"},
                timeout=TIMEOUT_SECONDS,
                trust_env=False,
            )
            said = answer.raise_for_status().json()
            self._token = str(said["access_token"])
            self._ends = time.monotonic() + float(said["expires_in"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise SignerUnavailable(
                f"The machine gives no Google access token: {type(error).__name__}. "
                "Set GCP_ACCESS_TOKEN, or run with a service account."
            ) from error


class _Refusal(SignerRefused):
    """The service refuses; `status` is its own name for why."""

    def __init__(self, said: str, status: str) -> None:
        super().__init__(said)
        self.status = status


class _Service:
    """The key service, as the one who asks for one key sees it."""

    def __init__(self, name: str, *, tokens: AccessTokens, endpoint: str | None) -> None:
        self._name = name
        self._tokens = tokens
        self._http = httpx.Client(base_url=endpoint or SERVICE, timeout=TIMEOUT_SECONDS)

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        name = self._name
        headers = {"Authorization": f"Bearer {self._tokens.get()}"}
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SignerUnavailable(f"{name} cannot be asked: {type(error).__name__}.") from error
        if answer.status_code == HTTPStatus.OK:
            try:
                found = answer.json()
            except ValueError as error:
                raise SignerUnavailable(f"{name} answers no JSON.") from error
            return found if isinstance(found, dict) else {}
        status = _status_of(answer)
        said = f"{name} answers {answer.status_code} {status}."
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            raise SignerUnavailable(said)
        raise _Refusal(said, status)


class GcpKmsSigner(KmsSigner):
    """Signs with `asymmetricSign`.

    Parameters
    ----------
    version
        ``projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/1``.
    endpoint
        Another address of the service.

    Raises
    ------
    SignerRefused
        The key is unknown, forbidden to us, or of another kind.
    SignerUnavailable
        The service does not answer now, or is still making the key.
    """

    def __init__(self, version: str, *, tokens: AccessTokens, endpoint: str | None = None) -> None:
        self._version = version
        self._service = _Service(f"gcp-kms:{version}", tokens=tokens, endpoint=endpoint)
        try:
            answer = self._service.call("GET", f"/v1/{version}/publicKey")
        except _Refusal as refusal:
            if refusal.status == _NOT_READY:
                raise SignerUnavailable(str(refusal)) from refusal
            raise
        if answer.get("algorithm") != ALGORITHM:
            raise SignerRefused(f"gcp-kms:{version} is no key of {ALGORITHM}.")
        super().__init__(f"gcp-kms:{version}", str(answer.get("pem", "")).encode())

    def _ask(self, digest: bytes) -> bytes:
        # Their CRC32C are left out: the signature is verified against digest and key.
        body = {"digest": {"sha256": base64.b64encode(digest).decode()}}
        answer = self._service.call("POST", f"/v1/{self._version}:asymmetricSign", body)
        try:
            return base64.b64decode(answer["signature"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise SignerRefused(f"gcp-kms:{self._version} answers with no signature.") from error


def make_gcp_key(ring: str, name: str, *, tokens: AccessTokens, endpoint: str | None = None) -> str:
    """Make a key of this name in a ring, unless it is there, and give its first version.

    Parameters
    ----------
    ring
        ``projects/…/locations/…/keyRings/…``.

    Raises
    ------
    SignerRefused, SignerUnavailable
    """
    service = _Service(f"gcp-kms:{ring}/cryptoKeys/{name}", tokens=tokens, endpoint=endpoint)
    wanted = {
        "purpose": "ASYMMETRIC_SIGN",
        # The curve is to be had in hardware only.
        "versionTemplate": {"algorithm": ALGORITHM, "protectionLevel": "HSM"},
    }
    try:
        service.call("POST", f"/v1/{ring}/cryptoKeys?cryptoKeyId={name}", wanted)
    except _Refusal as refusal:
        if refusal.status != _ALREADY_THERE:
            raise
    return f"{ring}/cryptoKeys/{name}/cryptoKeyVersions/1"


def _status_of(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["status"])
    except (ValueError, KeyError, TypeError):
        return "without a reason"
