"""How a resource's router is made: known callers only, problems documented, idempotent."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.deps import get_actor
from api.idempotency import IdempotentRoute
from api.schemas.common import PROBLEMS


def resource_router(tag: str) -> APIRouter:
    """Give a router under /v1 whose routes ask the access table."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=IdempotentRoute,
        dependencies=[Depends(get_actor)],
        responses=PROBLEMS,
    )
