"""Who may not send a body has nothing of it read: the answer goes first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from starlette.types import Message, Scope

from api.body_limit import LINGER_BYTES
from registry.kernel.actor import Role
from tests.api.house import House
from tests.factories import ACTORS

pytestmark = pytest.mark.db

FORM = b"multipart/form-data; boundary=x"
JSON = b"application/json"
PIECE = bytes(64 * 1024)
ANNOUNCED = 160_000
"""Less than the house takes."""
NOBODY = "00000000-0000-7000-8000-000000000000"
BODIES = [
    ("/v1/assets/imports", FORM),
    (f"/v1/assets/{NOBODY}/documents", FORM),
    ("/v1/parties", JSON),
]


@dataclass
class Sender:
    """Sends zeros without an end, and notes how many were taken before the answer began."""

    taken: int = 0
    status: int = 0
    before: int = 0

    async def receive(self) -> Message:
        self.taken += len(PIECE)
        return {"type": "http.request", "body": PIECE, "more_body": True}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.before = message["status"], self.taken


def send(house: House, path: str, content_type: bytes, role: Role | None, length: int) -> Sender:
    headers = [(b"content-type", content_type), (b"content-length", str(length).encode())]
    if role is not None:
        headers.append((b"authorization", f"Bearer {house.token(ACTORS[role])}".encode()))
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("x", 80),
    }  # fmt: skip
    sender = Sender()
    asyncio.run(house.app(scope, sender.receive, sender.send))
    return sender


@pytest.mark.parametrize(("path", "content_type"), BODIES)
@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.TREASURY, 403)])
def test_body__of_who_may_not_send_it__is_not_read(
    house: House, path: str, content_type: bytes, role: Role | None, status: int
) -> None:
    sender = send(house, path, content_type, role, ANNOUNCED)

    assert (sender.status, sender.before) == (status, 0)


@pytest.mark.parametrize(("path", "content_type"), BODIES)
def test_body__of_who_may_send_it__is_read(house: House, path: str, content_type: bytes) -> None:
    """Until it is found out that it is no form, or has no end: the test above sees what is read."""
    sender = send(house, path, content_type, Role.REGISTRAR_MAKER, ANNOUNCED)

    assert sender.status in {400, 413}
    assert sender.before > 0


def test_body__refused_and_long__is_not_waited_for(house: House) -> None:
    limit = house.services.settings.max_import_bytes
    assert limit > 4 * LINGER_BYTES

    sender = send(house, "/v1/assets/imports", FORM, None, limit)

    assert (sender.status, sender.before) == (401, 0)
    assert LINGER_BYTES <= sender.taken < 2 * LINGER_BYTES
