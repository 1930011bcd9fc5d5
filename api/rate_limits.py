"""How much one caller may ask for: whom we know by who they are, others by where they come from.

What a principal uses up is their own, and an address counts only while its callers are not known:
nobody can use up what another needs, neither by wrong credentials nor from the same network
(ADR 0042).
"""

from __future__ import annotations

import itertools
import math
from ipaddress import IPv6Address, ip_address

from fastapi import Request
from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.errors import TooManyRequests
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from registry.rate_limit import service as buckets
from registry.rate_limit.service import WINDOW_SECONDS, Allowance

SWEEP_EVERY = 1_000
IPV6_HOST_BITS = 64
_REFUSED = Counter(
    "milkiyat_requests_limited", "Requests of this process refused with 429", ["quota"]
)


class RateLimits:
    """Counts requests, in buckets that all processes share.

    Parameters
    ----------
    settings
        Quotas for a minute; 0 limits nothing.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._quotas = {
            "principal": settings.rate_limit_principal_per_minute,
            "address": settings.rate_limit_address_per_minute,
        }
        self._taken = itertools.count(1)

    def count_principal(self, request: Request, subject: str) -> None:
        """Count a request of somebody whom we know.

        Raises
        ------
        TooManyRequests
        """
        self._count(request, "principal", subject)

    def count_address(self, request: Request) -> None:
        """Count a request of somebody whom we do not know.

        Raises
        ------
        TooManyRequests
        """
        self._count(request, "address", network_of(request.client.host if request.client else ""))

    def _count(self, request: Request, name: str, whose: str) -> None:
        quota = self._quotas[name]
        if not quota:
            return
        # Committed at once: no row of a bucket is held while the request goes on.
        with self._database.autocommit() as connection:
            allowance = buckets.take(connection, name, whose, quota)
            if next(self._taken) % SWEEP_EVERY == 0:
                buckets.sweep(connection)
        request.state.allowance = allowance
        if allowance.wait:
            _REFUSED.labels(quota=name).inc()
            raise TooManyRequests(allowance)


def network_of(host: str) -> str:
    """Return whose an address is: of IPv6 the network, since a host has all addresses of it."""
    try:
        address = ip_address(host)
    except ValueError:
        return host  # a socket's path, or no address at all: one bucket for all of them
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> IPV6_HOST_BITS << IPV6_HOST_BITS))


def fields_of(allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Write the header fields RateLimit-Policy and RateLimit."""
    name, full_in = allowance.name, math.ceil(allowance.full_in)
    policy = f'"{name}";q={allowance.quota};w={WINDOW_SECONDS}'
    return [
        (b"ratelimit-policy", policy.encode()),
        (b"ratelimit", f'"{name}";r={allowance.remaining};t={full_in}'.encode()),
    ]


class TellAllowance:
    """Says in every answer what is left of the caller's quota."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def tell(message: Message) -> None:
            allowance = state.get("allowance")
            if allowance is not None and message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *fields_of(allowance)]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, tell)
