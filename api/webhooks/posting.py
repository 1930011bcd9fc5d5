"""One message to one URL: signed, within a time, to a public address, and no further."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from api.schemas.common import with_checksums
from api.webhooks.lookup import Lookups
from registry.kernel.clock import now
from registry.webhook.address import is_own_machine, is_public
from registry.webhook.outbox import Outgoing
from registry.webhook.secret import signature_of

TRY_SECONDS = 15.0
"""For all of a try: looking the name up, connecting, sending, and the head of the answer."""
MAX_WAIT_LENGTH = 40
"""Characters of a Retry-After: a date of RFC 9110 has 29."""
USER_AGENT = "Milkiyat-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try.

    Parameters
    ----------
    fault
        Why it failed, for whoever owns the endpoint; None where it was taken.
    wait
        What the receiver asked for.
    """

    status: int | None = None
    fault: str | None = None
    wait: timedelta | None = None


class AddressRefused(Exception):
    """The name leads nowhere that a webhook may go."""


class Poster:
    """Sends messages, many at once, each on a connection to an address that was judged.

    Parameters
    ----------
    allow_loopback
        Whether plain http to this machine is taken, as in development.
    """

    def __init__(self, *, allow_loopback: bool, client: httpx.AsyncClient | None = None) -> None:
        self._allow_loopback = allow_loopback
        # Neither a proxy of the environment nor a redirect decides where it goes.
        self._client = client or httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=TRY_SECONDS
        )
        self._lookups = Lookups()

    async def post(self, message: Outgoing) -> Outcome:
        """Try once; whatever a receiver does, this ends."""
        try:
            async with asyncio.timeout(TRY_SECONDS):
                return await self._post(message)
        except TimeoutError:
            return Outcome(fault=f"it took longer than {TRY_SECONDS:.0f} seconds")
        except AddressRefused as refused:
            return Outcome(fault=str(refused))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as fault:
            return Outcome(fault=f"{type(fault).__name__}: {fault}"[:300])

    async def close(self) -> None:
        self._lookups.close()
        await self._client.aclose()

    async def _post(self, message: Outgoing) -> Outcome:
        url = httpx.URL(message.url)
        address = await self._address_of(url, message.owner)
        moment, body = now(), body_of(message.payload)
        headers = {
            "Host": url.netloc.decode(),
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "webhook-id": str(message.message_id),
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature_of(
                message.secrets, str(message.message_id), moment, body
            ),
        }
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body.encode(),
            headers=headers,
            # The certificate is the name's, whatever address was connected to.
            extensions={"sni_hostname": _name_of(url)},
        )
        answer = await self._client.send(request, stream=True)
        await answer.aclose()  # what it says beyond its head is not read
        if answer.is_success:
            return Outcome(status=answer.status_code)
        return Outcome(
            status=answer.status_code,
            fault=f"it answered {answer.status_code}",
            wait=_wait_of(answer.headers.get("Retry-After")),
        )

    async def _address_of(self, url: httpx.URL, owner: str) -> str:
        """Look the host up, and give an address of it that may be connected to.

        Raises
        ------
        AddressRefused
        """
        own = self._allow_loopback and is_own_machine(urlsplit(str(url)))
        if not own and url.scheme != "https":
            raise AddressRefused("deliveries go by https only")
        port = url.port or (80 if url.scheme == "http" else 443)
        try:
            addresses = await self._lookups.find(owner, _name_of(url), port)
        except socket.gaierror as fault:
            raise AddressRefused("its name is not known") from fault
        # All of them: which one is taken must not depend on luck.
        if not addresses or not (own or all(map(is_public, addresses))):
            raise AddressRefused("its name leads to an address that is not public")
        return addresses[0]


def _name_of(url: httpx.URL) -> str:
    """Return the host as it is asked of the name service: in ASCII, never decoded.

    httpx decodes by IDNA 2008, and the system's lookup and TLS encode by IDNA 2003: between the two
    xn--strae-oqa.de becomes strasse.de, which is somebody else's.
    """
    return url.raw_host.decode("ascii")


def body_of(payload: Mapping[str, Any]) -> str:
    """Write a message; addresses are EIP-55, as everywhere at the edge."""
    said = {**payload, "data": with_checksums(payload["data"])}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _wait_of(asked: str | None) -> timedelta | None:
    """Read Retry-After (RFC 9110): seconds, or a date."""
    if asked is None:
        return None
    if len(asked) > MAX_WAIT_LENGTH:
        return None  # no receiver means such a time, and Python reads no number of 5,000 digits
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=min(int(asked), 10**6))
    try:
        until = parsedate_to_datetime(asked)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max(until - datetime.now(UTC), timedelta())
    except (ValueError, OverflowError):
        return None
