"""How routers are made: known callers only, problems documented, idempotent; or open to anybody."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.params import Depends as DependsOn
from fastapi.routing import APIRoute

from api.deps import ADMITTED, admit
from api.handlers import PlainRoute
from api.idempotency import IdempotentRoute
from api.schemas.common import PROBLEMS

Responses = dict[int | str, dict[str, Any]]


class KnownRoute(APIRoute):
    """Asks who calls before all else: the framework reads a body before any dependency."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_known(request: Request) -> Response:
            await admit(request, self.name)
            return await answer(request)

        return answer_known


class ResourceRoute(KnownRoute, IdempotentRoute):
    """Of known callers, each of whose mutations is carried out once."""


def resource_router(tag: str) -> APIRouter:
    """Give a router under /v1 whose routes ask the access table."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=ResourceRoute,
        dependencies=[ADMITTED],
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
        route_class=PlainRoute,
        responses=responses,
        dependencies=dependencies,
        generate_unique_id_function=_name_of,
    )


def _name_of(route: APIRoute) -> str:
    """Name an operation like its route: clients are generated from it, the access table uses it."""
    return route.name
