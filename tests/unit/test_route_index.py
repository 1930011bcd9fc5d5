"""The index of routes finds what the framework's router would find."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from fastapi import APIRouter
from starlette.routing import BaseRoute, Match, Route

from api.app import _PASSKEY_ROUTERS, _ROUTERS
from api.route_index import RouteIndex

pytestmark = pytest.mark.unit

ROUTES: list[BaseRoute] = [
    route for router in (*_ROUTERS, *_PASSKEY_ROUTERS) for route in router.routes
    if isinstance(route, Route)
]  # fmt: skip
WHOLE = APIRouter(routes=ROUTES)
INDEX = RouteIndex(WHOLE)


def first(routes: Iterable[BaseRoute], method: str, path: str) -> BaseRoute | None:
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    found = (route for route in routes if route.matches(dict(scope))[0] == Match.FULL)
    return next(found, None)


@pytest.mark.parametrize("value", ["0199f3a0-0000-7000-8000-000000000000", "import", "0x52"])
def test_part_of__path_of_any_route__has_the_route_that_comes_first(value: str) -> None:
    for route in ROUTES:
        path = re.sub(r"\{[^}]*\}", value, getattr(route, "path_format", ""))
        part = INDEX.part_of(path)

        assert part is not None, path
        for method in getattr(route, "methods", ()):
            found = first(part.routes, method, path)
            assert found is not None, path
            assert found is first(ROUTES, method, path), path


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v2/assets", "/v1/nothing", "//"])
def test_part_of__path_of_no_route__is_left_to_the_router(path: str) -> None:
    part = INDEX.part_of(path)

    assert part is None or first(part.routes, "GET", path) is None


def test_index__route_whose_kind_is_a_parameter__is_refused() -> None:
    router = APIRouter()
    router.add_api_route("/v1/{kind}/all", lambda: None)

    with pytest.raises(AssertionError, match="of no kind"):
        RouteIndex(router)


def test_index__route_of_any_length__is_refused() -> None:
    router = APIRouter()
    router.add_api_route("/v1/files/{rest:path}", lambda: None)

    with pytest.raises(AssertionError, match="of no length"):
        RouteIndex(router)
