"""The application: routes, problems, and the access table held against them."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import problems
from api.auth.access import ACCESS
from api.auth.tokens import DevelopmentIssuer
from api.deps import Services
from api.routes import (
    assets,
    development,
    evidence,
    investors,
    me,
    offerings,
    parties,
    payments,
    record,
    service,
    titles,
    tokenizations,
    tokens,
)

VERSION = "0.1.0"
MULTIPART_ROOM_BYTES = 64 * 1024
_ROUTERS = (
    parties.router,
    assets.router,
    evidence.router,
    titles.router,
    tokenizations.router,
    tokens.router,
    investors.router,
    offerings.router,
    me.router,
    payments.router,
    record.router,
    service.router,
)


def create_app(services: Services) -> FastAPI:
    """Build the application around what it was started with."""
    app = FastAPI(
        title="Milkiyat",
        version=VERSION,
        summary="Title registry and ERC-3643 tokenization of real-world assets",
        max_body_size=services.settings.max_upload_bytes + MULTIPART_ROOM_BYTES,
        # One name a route: clients are generated from them, and the access table uses them.
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    if isinstance(services.tokens, DevelopmentIssuer):
        app.include_router(development.router)
    _require_access_table(app)
    return app


def _require_access_table(app: FastAPI) -> None:
    """Refuse to exist with a route that the access table does not name."""
    names = {route.name for route in app.routes if isinstance(route, APIRoute)}
    unnamed = names - ACCESS.keys()
    assert not unnamed, f"routes without a row in the access table: {sorted(unnamed)}"
