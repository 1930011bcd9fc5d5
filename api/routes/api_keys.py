"""/v1/api_keys: keys of registrars' systems."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request, Response

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT, keep_instead
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.api_keys import ApiKeyCreate, ApiKeyIssued, ApiKeyRead, ApiKeyRevoke
from api.schemas.common import Page
from registry.api_key import service as api_keys

router = resource_router("api_keys")


@router.post("/api_keys", status_code=201, dependencies=IDEMPOTENT)
def propose_api_key(
    body: ApiKeyCreate, session: SessionDep, actor: ActorDep, request: Request, response: Response
) -> ApiKeyIssued:
    """Make a key for a system; its secret is shown here only. Another person confirms it."""
    key, secret = api_keys.propose_key(session, actor, **body.model_dump())
    keep_instead(request, ApiKeyIssued.with_secret(key, None))
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyIssued.with_secret(key, secret)


@router.get("/api_keys")
def list_api_keys(session: ReadSessionDep, actor: ActorDep, paging: PagingDep) -> Page[ApiKeyRead]:
    """List the keys that you made; all of them, if you watch over them."""
    rows = api_keys.list_keys(session, actor, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), ApiKeyRead.of)


@router.get("/api_keys/{key_id}")
def get_api_key(key_id: UUID, session: ReadSessionDep, actor: ActorDep) -> ApiKeyRead:
    """See a key: how it stands, and when it was last used."""
    return ApiKeyRead.of(api_keys.get_key(session, actor, key_id))


@router.post("/api_keys/{key_id}/confirm", dependencies=IDEMPOTENT)
def confirm_api_key(key_id: UUID, session: SessionDep, actor: ActorDep) -> ApiKeyRead:
    """Let a key count that somebody else made."""
    return ApiKeyRead.of(api_keys.confirm_key(session, actor, key_id))


@router.post("/api_keys/{key_id}/revoke", dependencies=IDEMPOTENT)
def revoke_api_key(
    key_id: UUID, body: ApiKeyRevoke, session: SessionDep, actor: ActorDep
) -> ApiKeyRead:
    """End a key at once."""
    return ApiKeyRead.of(api_keys.revoke_key(session, actor, key_id, reason=body.reason))
