"""Finding a route among hundreds: by what its path begins with, and how long it is.

The framework's router tries one pattern after the other: of 400 routes that took longer than all
else that stands around an answer.
"""

from __future__ import annotations

from collections import defaultdict

from fastapi import APIRouter
from starlette.convertors import PathConvertor
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

_Place = tuple[str, int]


class RouteIndex:
    """Lets a router try only those of its routes that can be meant, in their order.

    What none of them takes goes to the router itself, which knows what to say of it.

    Parameters
    ----------
    router
        With all of its routes: those that come later are found by itself.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._whole: ASGIApp = router.middleware_stack
        grouped: dict[_Place, list[BaseRoute]] = defaultdict(list)
        for route in router.routes:
            assert isinstance(route, Route), f"{route} has no pattern of its own"
            grouped[_place_of(_fixed(route))].append(route)
        self._parts = {
            place: APIRouter(routes=routes, redirect_slashes=False, default=self._whole)
            for place, routes in grouped.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        part = self.part_of(scope["path"]) if scope["type"] == "http" else None
        scope["router"] = self._router
        await (part or self._whole)(scope, receive, send)

    def part_of(self, path: str) -> APIRouter | None:
        """Return a router of those that can be meant by a path; None where there is none."""
        return self._parts.get(_place_of(path))


def _fixed(route: Route) -> str:
    """Return the path of a route all of whose paths have the same place."""
    kind, _ = _place_of(route.path_format)
    many = any(isinstance(each, PathConvertor) for each in route.param_convertors.values())
    assert not many, f"{route.path} is of no length"
    assert "{" not in kind, f"{route.path} is of no kind"
    return route.path_format


def _place_of(path: str) -> _Place:
    """Return the kind of the resource, as in /v1/KIND/..., and how many parts there are."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) > 2 else "", path.count("/")  # noqa: PLR2004
