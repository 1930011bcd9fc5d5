"""Key services of two clouds on the loopback: their wire protocol, real keys, and bad days."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain.signing.gcp_kms import ALGORITHM
from chain.signing.kms import ORDER

AWS_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
GCP_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
GCP_RING = GCP_KEY.partition("/cryptoKeys/")[0]
TOKEN = "ya29.machine"
Answer = tuple[int, dict[str, Any]]

THROTTLED: dict[str, Answer] = {
    "aws": (400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
    "gcp": (429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}),
}
DENIED: dict[str, Answer] = {
    "aws": (400, {"__type": "AccessDeniedException", "message": "not authorized"}),
    "gcp": (403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "denied"}}),
}
BROKEN: dict[str, Answer] = {
    "aws": (500, {"__type": "KMSInternalException", "message": "oops"}),
    "gcp": (503, {"error": {"code": 503, "status": "UNAVAILABLE", "message": "oops"}}),
}


class Kms:
    """One server for both clouds, with one key.

    Parameters
    ----------
    secret
        32 bytes.
    curve
        Of the public key that it shows; another than secp256k1 is the operator's mistake.
    """

    def __init__(self, secret: bytes, curve: ec.EllipticCurve | None = None) -> None:
        self._key = PrivateKey(secret)
        shown = ec.derive_private_key(int.from_bytes(secret, "big"), curve or ec.SECP256K1())
        self._public = shown.public_key()
        self.algorithm = ALGORITHM
        self.is_high = False
        """Whether s lies in the upper half, as it does every other time in life."""
        self.signed: list[bytes] = []
        self.made: list[str] = []
        """Keys that were asked to be made: all of them are the one key."""
        self.aliases: dict[str, str] = {}
        self.generating = 0
        """So many times a key that was made is not ready yet."""
        self.fails_alias = 0
        """So many aliases are not made: as if the asker were killed before."""
        self.tokens_given = 0
        self.troubles: deque[Answer] = deque()
        """Answered to the next requests to sign, one each."""
        kms = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*kms.get(self.path, dict(self.headers)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(*kms.post(self.path, dict(self.headers), body))

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                sent = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def get(self, path: str, headers: dict[str, str]) -> Answer:
        if path.startswith("/computeMetadata/"):
            assert headers["Metadata-Flavor"] == "Google"
            self.tokens_given += 1
            return 200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return DENIED["gcp"]
        if path.startswith(f"/v1/{GCP_RING}/cryptoKeys/wallet-"):
            name = path.split("/")[-4]
            if name not in self.made:
                return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
            if self.generating:
                self.generating -= 1
                return 400, {"error": {"code": 400, "status": "FAILED_PRECONDITION"}}
        elif path != f"/v1/{GCP_KEY}/publicKey":
            return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        pem = self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return 200, {"pem": pem.decode(), "algorithm": self.algorithm, "name": GCP_KEY}

    def post(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        if "X-Amz-Target" in headers:
            return self._aws(headers, body)
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        if self.troubles:
            return self.troubles.popleft()
        if "cryptoKeyId=" in path:
            return self._make_gcp(path, body)
        assert path.endswith(":asymmetricSign")
        signature = self._sign(base64.b64decode(body["digest"]["sha256"], validate=True))
        return 200, {"signature": base64.b64encode(signature).decode(), "name": GCP_KEY}

    def _make_gcp(self, path: str, body: dict[str, Any]) -> Answer:
        place, name = path.split("?cryptoKeyId=")
        assert place == f"/v1/{GCP_RING}/cryptoKeys"
        wanted = {"algorithm": ALGORITHM, "protectionLevel": "HSM"}
        assert (body["purpose"], body["versionTemplate"]) == ("ASYMMETRIC_SIGN", wanted)
        if name in self.made:
            return 409, {"error": {"code": 409, "status": "ALREADY_EXISTS"}}
        self.made.append(name)
        return 200, {"name": f"{GCP_RING}/cryptoKeys/{name}"}

    def _make_aws(self, target: str, body: dict[str, Any]) -> Answer:
        if target == "CreateKey":
            assert (body["KeySpec"], body["KeyUsage"]) == ("ECC_SECG_P256K1", "SIGN_VERIFY")
            self.made.append(body["Tags"][0]["TagValue"])
            return 200, {"KeyMetadata": {"KeyId": AWS_KEY}}
        if self.fails_alias:
            self.fails_alias -= 1
            return BROKEN["aws"]
        if body["AliasName"] in self.aliases:
            return 400, {"__type": "AlreadyExistsException", "message": "taken"}
        self.aliases[body["AliasName"]] = body["TargetKeyId"]
        return 200, {}

    def _aws(self, headers: dict[str, str], body: dict[str, Any]) -> Answer:
        assert "Signature=" in headers["Authorization"]
        target = headers["X-Amz-Target"].removeprefix("TrentService.")
        if target in {"CreateKey", "CreateAlias"}:
            return self._make_aws(target, body)
        if self.aliases.get(body["KeyId"], body["KeyId"]) != AWS_KEY:
            return 400, {"__type": "NotFoundException", "message": "no such key"}
        if headers["X-Amz-Target"] == "TrentService.GetPublicKey":
            der = self._public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return 200, {"PublicKey": base64.b64encode(der).decode(), "KeyId": AWS_KEY}
        assert headers["X-Amz-Target"] == "TrentService.Sign"
        assert (body["MessageType"], body["SigningAlgorithm"]) == ("DIGEST", "ECDSA_SHA_256")
        if self.troubles:
            return self.troubles.popleft()
        signature = self._sign(base64.b64decode(body["Message"], validate=True))
        return 200, {"Signature": base64.b64encode(signature).decode(), "KeyId": AWS_KEY}

    def _sign(self, digest: bytes) -> bytes:
        assert len(digest) == 32
        self.signed.append(digest)
        r, s = decode_dss_signature(self._key.sign(digest, hasher=None))
        return encode_dss_signature(r, ORDER - s if self.is_high else s)
