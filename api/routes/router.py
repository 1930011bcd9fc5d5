"""How routers are made: known callers only, problems documented, idempotent; or open to anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.params import Depends as DependsOn
from fastapi.routing import APIRoute

from api.deps import get_actor
from api.idempotency import IdempotentRoute
from api.schemas.common import PROBLEMS

Responses = dict[int | str, dict[str, Any]]


def resource_router(tag: str) -> APIRouter:
    """Give a router under /v1 whose routes ask the access table."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=IdempotentRoute,
        dependencies=[Depends(get_actor)],
        responses=PROBLEMS,
        generate_unique_id_function=_name_of,
    )


def open_router(
    tag: str,
    *,
    prefix: str = "",
    responses: Responses | None = None,
    dependencies: Sequence[DependsOn] = (),
) -> APIRouter:
    """Give a router whose routes look themselves at whoever calls, if they care."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses=responses,
        dependencies=dependencies,
        generate_unique_id_function=_name_of,
    )


def _name_of(route: APIRoute) -> str:
    """Name an operation like its route: clients are generated from it, the access table uses it."""
    return route.name
