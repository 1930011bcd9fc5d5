"""Ceremonies of people whom we do not know yet: what fails counts for their address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import Counter

from api.auth.session_tokens import SessionIssuer
from api.deps import ServicesDep
from registry.kernel.errors import Unproven

_REFUSED = Counter(
    "milkiyat_sign_ins_refused", "Ceremonies and refreshes that this process refused", ["code"]
)


def count_refusals(request: Request, services: ServicesDep) -> Iterator[None]:
    """Count what is not believed, after the refusal's own transaction has ended.

    Who is believed is counted as themselves: nobody at the same address keeps them from it.

    Raises
    ------
    TooManyRequests
    """
    try:
        yield
    except Unproven as refusal:
        _REFUSED.labels(code=refusal.code).inc()
        services.limits.count_address(request)
        raise


def count_request(request: Request, services: ServicesDep) -> None:
    """Count whatever a stranger asks for that costs something before they show anything.

    Raises
    ------
    TooManyRequests
    """
    services.limits.count_address(request)


def get_session_issuer(services: ServicesDep) -> SessionIssuer:
    assert services.sessions is not None, "mounted where there is one only"
    return services.sessions


COUNT_REFUSALS = Depends(count_refusals, scope="function")
COUNT_REQUEST = Depends(count_request)
SessionIssuerDep = Annotated[SessionIssuer, Depends(get_session_issuer)]
