"""What routes depend on: the caller, a session, the services. The only HTTP commit is here.

What waits for nothing is `async`: FastAPI takes a thread for everything else, which costs more than
most of what is done there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session
from starlette.requests import HTTPConnection

from api.auth.access import ACCESS, PEOPLE_ONLY
from api.auth.errors import Unauthenticated
from api.auth.keys import KeyVerifier
from api.auth.session_tokens import SessionIssuer
from api.auth.tokens import TokenVerifier
from api.handlers import RequestReading
from api.rate_limits import RateLimits
from chain.node.client import ChainClient
from chain.node.finality import confirmations_needed
from registry.document.store import DocumentStore
from registry.kernel.actor import Actor
from registry.kernel.db import Database, ReadSession
from registry.kernel.errors import Forbidden, Unproven
from registry.kernel.settings import Settings
from registry.kernel.signing import SigningKey
from registry.kernel.vault import Vault


@dataclass(frozen=True, slots=True)
class Services:
    """What the application was started with.

    `node` is only ever read from, and outside of any transaction (ADR 0025). `signing` holds the
    keys of reports, the one that signs first.
    """

    settings: Settings
    database: Database
    vault: Vault
    store: DocumentStore
    tokens: TokenVerifier
    sessions: SessionIssuer | None
    keys: KeyVerifier
    limits: RateLimits
    node: ChainClient
    signing: tuple[SigningKey, ...]


def services_of(request: Request) -> Services:
    """Give the services to what every route depends on: each dependency of it costs them all."""
    return cast("Services", request.app.state.services)


async def get_services(request: Request) -> Services:
    return services_of(request)


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_confirmations_needed(request: Request) -> int:
    """Give the confirmations of the newest final block; before any transaction is open."""
    services = services_of(request)
    finality = services.settings.finality
    if isinstance(finality, int):
        return finality
    return await run_in_threadpool(confirmations_needed, services.node, finality)


FinalityDep = Annotated[int, Depends(get_confirmations_needed)]

_bearer = HTTPBearer(auto_error=False)


async def admit(request: Request, route: str) -> None:
    """Find out who calls, and whether the access table lets them call a route.

    Before anything of the body is read: who may not send it has nothing written to our disk.

    Parameters
    ----------
    route
        Its name in the access table.

    Raises
    ------
    Unauthenticated
        No token, or none that can be believed.
    Forbidden
        ``role_missing``, ``person_needed``.
    TooManyRequests
        Of this principal; or, as long as we do not know whose they are, of this address.
    """
    credentials = await _bearer(request)
    request.state.actor = await run_in_threadpool(_find_caller, request, credentials, route)


def _find_caller(
    request: Request, credentials: HTTPAuthorizationCredentials | None, route: str
) -> Actor:
    services = services_of(request)
    try:
        actor = _identify(services, credentials)
    except Unauthenticated:
        services.limits.count_address(request)
        raise
    services.limits.count_principal(request, actor.subject)
    if actor.is_system and route in PEOPLE_ONLY:
        raise Forbidden("person_needed", "A person does this, signed in; an API key does not.")
    allowed = ACCESS[route]
    if allowed.isdisjoint(actor.roles):
        raise Forbidden(
            "role_missing", f"This needs one of the roles {', '.join(sorted(allowed))}."
        )
    return actor


def _identify(services: Services, credentials: HTTPAuthorizationCredentials | None) -> Actor:
    if credentials is None:
        raise Unauthenticated(
            "token_missing", "This resource needs a bearer token.", remedy="Sign in first."
        )
    if services.keys.is_key(credentials.credentials):
        return services.keys.verify(credentials.credentials)
    if services.sessions is not None and services.sessions.issued(credentials.credentials):
        return services.sessions.verify(credentials.credentials)
    return services.tokens.verify(credentials.credentials)


async def get_actor(request: Request) -> Actor:
    """Return the caller whom `admit` has let in."""
    return cast("Actor", request.state.actor)


ActorDep = Annotated[Actor, Depends(get_actor)]


class _Admitted(HTTPBearer):
    """Says in the description how callers are known, and that somebody has asked."""

    async def __call__(self, request: HTTPConnection) -> None:
        assert isinstance(request.state.actor, Actor)


ADMITTED = Depends(
    _Admitted(
        scheme_name=HTTPBearer.__name__,
        description="OAuth 2 bearer token (JWT), or an API key",
        auto_error=False,
    )
)
"""Of every route of a resource."""


async def get_turn(request: Request) -> AsyncIterator[None]:
    """Wait until the database has a connection for this request, and keep it till the end.

    A request that waits for a connection blocks one of the threads, and one that has a
    connection needs a thread to go on: without turns, more requests at once than there are
    threads stop each other until the pool gives up.
    """
    async with request.app.state.turns:
        request.state.has_turn = True
        yield


TurnDep = Annotated[None, Depends(get_turn, scope="function")]


def get_session(request: Request, _turn: TurnDep) -> Iterator[Session]:
    """Give the request's one transaction.

    It commits before the answer is sent (scope "function"): a commit that fails becomes a
    problem, never a lost 201. A refusal that keeps what it found out is told after the commit.
    """
    refusal: Unproven | None = None
    with services_of(request).database.transaction() as session:
        request.state.session = session
        try:
            yield session
        except Unproven as error:
            if not error.keeps:
                raise
            refusal = error
    if refusal is not None:
        raise refusal


async def get_read_session(request: Request) -> ReadSession:
    """Give one read-only, repeatable transaction, which the handler begins and ends."""
    return RequestReading(services_of(request).database.engine, request)


SessionDep = Annotated[Session, Depends(get_session, scope="function")]
ReadSessionDep = Annotated[ReadSession, Depends(get_read_session)]


async def get_vault(services: ServicesDep) -> Vault:
    return services.vault


async def get_store(services: ServicesDep) -> DocumentStore:
    return services.store


VaultDep = Annotated[Vault, Depends(get_vault)]
StoreDep = Annotated[DocumentStore, Depends(get_store)]
