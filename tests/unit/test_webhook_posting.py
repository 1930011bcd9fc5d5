"""Where a webhook really goes: to the name that its owner wrote, letter for letter."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from api.webhooks.posting import Outcome, Poster
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.webhook.outbox import Outgoing
from registry.webhook.secret import new_secret

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "name",
    [
        "xn--strae-oqa.de",  # straße.de, which IDNA 2003 calls strasse.de
        "xn--nxasmm1c.com",  # βόλος.com, of which the last letter would be another
        "hooks.example.com",
    ],
)
def test_post__name_of_any_alphabet__is_looked_up_and_certified_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[bytes] = []
    sent: list[httpx.Request] = []

    def lookup(host: str, port: int, **_: Any) -> Any:
        asked.append(host.encode("idna"))  # as Python's own does
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(204)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    async def run() -> Outcome:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        poster = Poster(allow_loopback=False, client=client)
        payload = {"type": "webhook.test", "timestamp": "now", "data": {}}
        message = Outgoing(
            new_id(), now(), "somebody", f"https://{name}/hook", new_id(), payload, [new_secret()]
        )
        try:
            return await poster.post(message)
        finally:
            await poster.close()

    assert asyncio.run(run()) == Outcome(status=204)
    assert asked == [name.encode()]
    (request,) = sent
    certified: str = request.extensions["sni_hostname"]
    assert certified.encode("idna") == name.encode()
    assert request.headers["Host"] == name
    assert request.url.host == "93.184.216.34"
