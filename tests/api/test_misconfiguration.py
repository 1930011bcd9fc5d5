"""What the service tells and lets in by its very set-up: headers, origins, limits, inventory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Route

from api.app import create_app
from api.auth.access import ACCESS
from api.body_limit import MAX_JSON_BYTES
from registry.kernel.actor import Role
from registry.kernel.settings import ROOT
from tests.api.house import House, house_settings, open_house, problem_of
from tests.conftest import DatabaseMaker, open_folder

pytestmark = pytest.mark.db

ALWAYS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
PATHS = ("/healthz", "/v1/me", "/v1/nothing", "/openapi.json")
FETCHED = {("WebhookEndpointCreate", "url")}
"""Called with every address that its name has checked, see tests/unit/test_webhook_address.py."""
URL_LIKE = {"url", "uri", "callback", "webhook", "host", "endpoint", "redirect", "link"}


def test_answer__of_any_kind__is_no_page_in_a_frame_and_in_no_cache(house: House) -> None:
    for path in PATHS:
        answer = house.client.get(path)
        assert ALWAYS.items() <= dict(answer.headers).items(), path
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers


def fail() -> None:
    raise ZeroDivisionError("select * from party where cnic = '35202-1234567-1'")


def test_fault__of_ours__tells_no_trace_and_has_the_headers(house: House) -> None:
    stray = APIRouter()
    stray.add_api_route("/v1/fault", fail, name="fault")
    house.app.include_router(stray)
    try:
        answer = house.client.get("/v1/fault")
    finally:
        house.app.router.routes.pop()

    problem_of(answer, 500, "internal_error")
    assert ALWAYS.items() <= dict(answer.headers).items()
    for told in ("ZeroDivision", "select", "35202", ".py", "line "):
        assert told not in answer.text
    assert not house.app.debug


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
def test_origin__of_any_page__is_given_no_leave_to_read(house: House, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answers = [
        house.client.get("/v1/me", headers={"Origin": origin}),
        house.caller(Role.INVESTOR).ask("GET", "/v1/me", headers={"Origin": origin}),
        house.client.options("/v1/me", headers=asked),
    ]

    assert answers[-1].status_code == 405
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture(scope="module")
def production(house: House) -> FastAPI:
    """The application as production would be: without the development issuer."""
    settings = house.services.settings.model_copy(update={"environment": "production"})
    tokens = house.services.tokens
    # The issuer of production reads keys that nobody serves here; no token is asked for below.
    made = replace(house.services, settings=settings, tokens=_Nobody(tokens))
    return create_app(made)


class _Nobody:
    """Believes no token."""

    def __init__(self, before: Any) -> None:
        self.verify = before.verify


def test_production__has_no_development_route_and_no_page_with_scripts_of_others(
    production: FastAPI,
) -> None:
    paths = {getattr(route, "path", "") for route in production.routes}

    assert not {"/dev/token", "/docs", "/redoc", "/docs/oauth2-redirect"} & paths
    assert "/openapi.json" in paths


def test_routes__of_any_kind__are_described_or_named_here(house: House) -> None:
    """Inventory: no route but those of the description, and the pages that show it."""
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text("utf-8"))
    described = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    routes = [context.original_route for context in iter_route_contexts(house.app.routes)]
    served = {route.name for route in routes if isinstance(route, APIRoute)}
    pages = {route.path for route in routes if type(route) is Route}

    assert len(served) + len(pages) == len(routes)
    assert served == set(ACCESS) == described | {"issue_development_token"}
    assert pages == {"/openapi.json", "/docs", "/docs/oauth2-redirect"}


def test_bodies__of_every_route__name_no_address_for_us_to_call(house: House) -> None:
    """Server-side request forgery: what a client sends is fetched in one place only."""
    schemas = house.app.openapi()["components"]["schemas"]
    fields = {
        (name, field)
        for name, schema in schemas.items()
        for field in schema.get("properties", {})
        if name.endswith(("Create", "Patch", "Body", "Fields", "Refresh", "Rename", "Confirm"))
    }

    assert len(fields) > 100, "the scan lost its way"
    words = {pair: set(pair[1].split("_")) for pair in fields}
    assert {pair for pair, said in words.items() if said & URL_LIKE} == FETCHED


def test_bodies__of_every_route__are_bounded_in_each_list_and_text(house: House) -> None:
    """Resource consumption: whatever a client may repeat has an end, besides the body's own."""
    document = house.app.openapi()
    for name, schema in document["components"]["schemas"].items():
        if not name.endswith(("Create", "Patch", "Body", "Fields", "Confirm")):
            continue
        for field, said in schema.get("properties", {}).items():
            for each in (said, *said.get("anyOf", ())):
                if each.get("type") == "array":
                    assert "maxItems" in each, (name, field)


def test_json__longer_than_any_list_needs__is_refused_unread(make_database: DatabaseMaker) -> None:
    with open_folder() as folder, make_database() as database:
        settings = house_settings(folder, max_upload_bytes=4 * MAX_JSON_BYTES)
        with open_house(settings, database) as house:
            answer = house.client.post("/v1/parties", content=b" " * (MAX_JSON_BYTES + 1))

    problem_of(answer, 413, "request_too_large")
