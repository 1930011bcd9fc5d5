"""Who may call what: every route, without a token and as every role."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import _PASSKEY_ROUTERS, _ROUTERS, _require_access_table
from api.auth.access import ACCESS, PEOPLE_ONLY, PUBLIC
from api.deps import ADMITTED
from api.routes.router import ResourceRoute
from registry.api_key.models import MACHINE_ROLES
from registry.api_key.secret import NewSecret
from registry.kernel.actor import Actor, Role
from tests.api.house import Caller, House, problem_of
from tests.factories import ACTORS
from tests.keys import live_key

pytestmark = pytest.mark.db

GUARDED = sorted(name for name, roles in ACCESS.items() if roles != PUBLIC)
NOBODY = "00000000-0000-7000-8000-000000000000"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.fixture(scope="module")
def routes(house: House) -> dict[str, APIRoute]:
    """Every route of the application by its name."""
    found = [context.original_route for context in iter_route_contexts(house.app.routes)]
    return {route.name: route for route in found if isinstance(route, APIRoute)}


@pytest.fixture(scope="module")
def systems(house: House) -> dict[Role, Caller]:
    """A system for each role that one may have."""
    with house.desk() as desk:
        keys = {role: live_key(desk.session, ACTORS[role])[1] for role in MACHINE_ROLES}
    return {role: house.stranger(secret) for role, secret in keys.items()}


def call(caller: Caller, route: APIRoute) -> httpx.Response:
    """Call a route with nothing but ids that nobody has."""
    path = route.path.replace("{address}", ADDRESS).replace("{rail}", "bank_transfer")
    assert route.methods is not None
    (method,) = route.methods
    # A stream of one's own would begin, and not end.
    headers = {"Last-Event-ID": "nobody's"} if route.name == "stream_my_events" else {}
    return caller.ask(method, re.sub(r"\{\w+\}", NOBODY, path), headers=headers)


def test_access_table__held_against_the_application__names_exactly_its_routes(
    routes: dict[str, APIRoute],
) -> None:
    assert routes.keys() == ACCESS.keys()


def no_answer() -> None:
    """Answer nothing to anybody."""


def test_access_table__route_without_a_row__stops_the_application(house: House) -> None:
    stray = APIRouter()
    stray.add_api_route("/v1/back_door", no_answer, name="back_door")
    house.app.include_router(stray)
    try:
        with pytest.raises(AssertionError, match="back_door"):
            _require_access_table(house.app)
    finally:
        house.app.router.routes.pop()


def test_resource_routers__each_of_them__asks_for_the_caller() -> None:
    asks = {
        route.name
        for router in (*_ROUTERS, *_PASSKEY_ROUTERS)
        for route in router.routes
        if isinstance(route, ResourceRoute) and ADMITTED in router.dependencies
    }

    assert asks == set(GUARDED)


@pytest.mark.parametrize("name", GUARDED)
def test_route__no_token__is_unauthenticated(
    house: House, routes: dict[str, APIRoute], name: str
) -> None:
    response = call(house.stranger(), routes[name])

    problem_of(response, 401, "token_missing")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", GUARDED)
def test_route__key_that_nobody_made__is_unauthenticated(
    house: House, routes: dict[str, APIRoute], name: str
) -> None:
    response = call(house.stranger(NewSecret.make().text), routes[name])

    problem_of(response, 401, "api_key_invalid")


@pytest.mark.parametrize("name", GUARDED)
def test_route__every_role__is_let_in_as_the_table_says(
    house: House, routes: dict[str, APIRoute], name: str
) -> None:
    callers = {role: house.caller(role) for role in Role}

    assert let_in(callers, routes[name], refusal="role_missing") == ACCESS[name]


@pytest.mark.parametrize("name", GUARDED)
def test_route__every_role_of_a_system__is_let_in_as_the_table_says(
    systems: dict[Role, Caller], routes: dict[str, APIRoute], name: str
) -> None:
    is_closed = name in PEOPLE_ONLY
    allowed = set() if is_closed else ACCESS[name] & MACHINE_ROLES

    refusal = "person_needed" if is_closed else "role_missing"
    assert let_in(systems, routes[name], refusal=refusal) == allowed


def let_in(callers: dict[Role, Caller], route: APIRoute, *, refusal: str) -> set[Role]:
    """Call a route as each, and return who was not refused."""
    found = set()
    for role, caller in callers.items():
        response = call(caller, route)
        assert response.status_code < 500 or response.json()["code"] == "sync_not_started", (
            response.text
        )
        if response.status_code == 403:
            problem_of(response, 403, refusal)
        else:
            assert response.status_code not in {401, 429}, response.text
            found.add(role)
    return found


def test_access_table__what_takes_a_person__is_of_routes_that_there_are() -> None:
    assert ACCESS.keys() >= PEOPLE_ONLY
    assert {name for name in ACCESS if "api_key" in name} <= PEOPLE_ONLY


@pytest.mark.parametrize("name", ["get_me", "get_token", "list_offerings", "create_party"])
def test_route__token_without_a_role__is_forbidden(
    house: House, routes: dict[str, APIRoute], name: str
) -> None:
    nobody = house.caller(Actor("somebody", frozenset()))

    problem_of(call(nobody, routes[name]), 403, "role_missing")


def test_route__roles_nobody_knows__are_no_roles(house: House, routes: dict[str, APIRoute]) -> None:
    """The state machines' own roles cannot be had from a token."""
    pretender = Actor("somebody", frozenset({"system", "structurer", "admin", "*"}))
    token = house.token_with(pretender.subject, sorted(pretender.roles))

    problem_of(call(house.stranger(token), routes["get_me"]), 403, "role_missing")
