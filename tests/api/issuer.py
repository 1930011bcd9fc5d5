"""An OIDC issuer of the tests' own: keys under a JWKS address, and tokens signed with them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "milkiyat"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
ALGORITHMS: dict[str, Any] = {
    "RS256": RSAAlgorithm,
    "ES256": ECAlgorithm,
    "EdDSA": OKPAlgorithm,
}


def new_key(algorithm: str) -> Key:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(kid: str, algorithm: str, key: Key) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(ALGORITHMS[algorithm].to_jwk(key.public_key()))
    return said | {"kid": kid, "use": "sig", "alg": algorithm}


def sign(kid: str, algorithm: str, key: Any, **changes: Any) -> str:
    issued = datetime.now(UTC)
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ayesha",
        "roles": ["investor"],
        "iat": issued,
        "exp": issued + timedelta(minutes=5),
    }
    return jwt.encode(said | changes, key, algorithm, headers={"kid": kid})


class KeyServer:
    """Serves a JWKS on the loopback; `answer` is what it says next."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.status = 200
        self.location: str | None = None
        self.requests = 0
        self.answers = threading.Event()
        """Cleared, the server keeps who asks waiting."""
        self.answers.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                server.answers.wait(10)
                self.send_response(server.status)
                if server.location is not None:
                    self.send_header("Location", server.location)
                self.send_header("Content-Length", str(len(server.answer)))
                self.end_headers()
                self.wfile.write(server.answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/keys"

    def publish(self, *keys: dict[str, Any]) -> None:
        self.answer = json.dumps({"keys": keys}).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answers.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
