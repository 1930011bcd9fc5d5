"""The API on a database of its own, and the people who call it."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import uvicorn
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from api.app import create_app
from api.auth.tokens import DevelopmentIssuer, OidcVerifier
from api.deps import Services
from api.program import services
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.settings import DEVELOPMENT_ISSUER, Settings
from tests.factories import ACTORS, Desk

BANK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # a test's own
MAX_UPLOAD_BYTES = 200_000
NOTICE = "/v1/payments/webhooks/bank_transfer"
HOUR = timedelta(hours=1)


def house_settings(data_dir: Path, **changes: Any) -> Settings:
    fields: dict[str, Any] = {
        "data_dir": data_dir,
        "pii_key": SecretStr(Fernet.generate_key().decode()),
        "pii_index_key": SecretStr(Fernet.generate_key().decode()),
        "token_key": SecretStr(secrets.token_urlsafe(48)),
        "session_key": SecretStr(new_session_key()),
        "report_key": SecretStr(new_report_key()),
        "payment_webhook_secret": SecretStr(BANK_SECRET),
        "max_upload_bytes": MAX_UPLOAD_BYTES,
        # Counted as in production; only the tests of quotas come to the end of one.
        "rate_limit_principal_per_minute": 100_000,
        "rate_limit_address_per_minute": 100_000,
    }
    return Settings(**(fields | changes))


def new_session_key() -> str:
    """Make a key for SESSION_KEY."""
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


def new_report_key() -> str:
    """Make a key for REPORT_KEY."""
    key = Ed25519PrivateKey.generate()
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


class Caller:
    """One principal at the API."""

    def __init__(self, client: httpx.Client, token: str | None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        """Send one request; `key` is its Idempotency-Key, a body of bytes is sent as it is."""
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        headers |= more.pop("headers", {})
        return self._client.request(method, path, headers=headers, **more)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.ask("GET", path, params=query)

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        return self.ask("POST", path, key=key, json=body, **more)

    def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.ask("PATCH", path, json=body, headers=headers)

    def delete(self, path: str, *, key: str | None = None) -> httpx.Response:
        return self.ask("DELETE", path, key=key)

    def upload(
        self,
        path: str,
        content: bytes,
        *,
        name: str = "deed.pdf",
        key: str | None = None,
        **fields: str,
    ) -> httpx.Response:
        data = {"kind": "OTHER_PAPER"} | fields
        files = {"file": (name, content, "application/pdf")}
        return self.ask("POST", path, key=key, data=data, files=files)


@dataclass(frozen=True)
class House:
    """An application, what it was started with, and a client of it."""

    services: Services
    app: FastAPI
    client: httpx.Client

    @property
    def database(self) -> Database:
        return self.services.database

    def caller(self, who: Actor | Role) -> Caller:
        """Sign in as `who`, or as the one person of a role."""
        actor = ACTORS[who] if isinstance(who, Role) else who
        return Caller(self.client, self.token(actor))

    def stranger(self, token: str | None = None) -> Caller:
        return Caller(self.client, token)

    def token(self, actor: Actor, lifetime: timedelta = HOUR) -> str:
        issuer = self.services.tokens
        assert isinstance(issuer, DevelopmentIssuer)
        return issuer.issue(actor.subject, [Role(role) for role in actor.roles], lifetime)

    def token_with(self, subject: str, roles: list[str]) -> str:
        """Sign a token that says anything, as a careless issuer might."""
        key = self.services.settings.token_key
        assert key is not None
        issued = datetime.now(UTC)
        said = {
            "iss": DEVELOPMENT_ISSUER,
            "aud": self.services.settings.oidc_audience,
            "sub": subject,
            "roles": roles,
            "iat": issued,
            "exp": issued + HOUR,
        }
        return jwt.encode(said, key.get_secret_value())

    def forget_keys(self) -> None:
        """Do what minutes do: let the cached keys of the issuer run out."""
        assert isinstance(self.services.tokens, OidcVerifier)
        self.services.tokens.keys.expire()

    @contextlib.contextmanager
    def desk(self) -> Iterator[Desk]:
        """Do work as the services do it, and commit it."""
        with self.database.transaction() as session:
            yield Desk(session, self.services.vault, self.services.store)

    def one(self, query: str, **values: Any) -> Any:
        """Read one value."""
        with self.database.reading() as session:
            return session.connection().execute(text(query), values).scalar_one()

    def contents(self) -> dict[str, tuple[int, str]]:
        """How many rows each table has, and the hash of all of them; buckets aside."""
        with self.database.reading() as session:
            connection = session.connection()
            tables = connection.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' "
                    "AND relnamespace = 'public'::regnamespace ORDER BY relname"
                )
            ).scalars()
            parts = [
                f"SELECT '{name}', count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) "
                f'FROM "{name}" t'
                for name in tables
            ]
            rows = connection.execute(text(" UNION ALL ".join(parts))).all()
        return {name: (number, digest or "") for name, number, digest in rows}

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Fail if anything in the database is not what it was before."""
        before = self.contents()
        yield
        after = self.contents()
        changed = {
            name: (before[name], after[name]) for name in after if after[name] != before[name]
        }
        assert not changed, f"a refused request changed {changed}"

    def notify(self, notice: Any, *, at: datetime | None = None, **headers: str) -> httpx.Response:
        """Be the bank: sign a notice and send it."""
        body = notice if isinstance(notice, bytes) else json.dumps(notice).encode()
        return self.client.post(NOTICE, content=body, headers=signed(body, at=at) | headers)


def signed(body: bytes, *, at: datetime | None = None, secret: str = BANK_SECRET) -> dict[str, str]:
    """Headers of a bank's notice (Standard Webhooks)."""
    moment = at or datetime.now(UTC)
    return {
        "webhook-id": "notice-1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign("notice-1", moment, body.decode()),
        "content-type": "application/json",
    }


@contextlib.contextmanager
def open_house(settings: Settings, database: Database) -> Iterator[House]:
    """Serve the API from a thread, on a port that the kernel chooses."""
    made = services(settings, database)
    app = create_app(made)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # The kernel keeps the first calls until the server listens.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=address, timeout=30, trust_env=False, limits=limits) as client:
        yield House(made, app, client)
    server.should_exit = True
    thread.join()
    listener.close()


def problem_of(response: httpx.Response, status: int, code: str) -> Any:
    """Return the problem, which must be of this status and code, and fit to be read."""
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].endswith(f":{code}")
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in response.text
    return problem


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Make calls at the same moment, and return their answers in order."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], httpx.Response]) -> httpx.Response:
        start.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@contextlib.contextmanager
def at_once_each(*calls: Callable[[], Any]) -> Iterator[list[Any]]:
    """Make calls in threads of their own; their results stand in the list when it is left."""
    results: list[Any] = []
    with ThreadPoolExecutor(len(calls)) as pool:
        made = [pool.submit(call) for call in calls]
        yield results
        results += [call.result() for call in made]
