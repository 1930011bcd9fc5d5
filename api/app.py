"""The application: routes, problems, and the access table held against them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.types import ASGIApp

from api import problems
from api.answer_headers import AnswerHeaders
from api.auth.access import ACCESS
from api.auth.tokens import DevelopmentIssuer
from api.body_limit import BodyLimit
from api.deps import Services
from api.description import in_openapi_30
from api.languages import SpeakLanguages
from api.links import with_links
from api.live import Live, cursors_of, newest_notice_of
from api.rate_limits import TellAllowance
from api.route_index import RouteIndex
from api.routes import (
    alerts,
    api_keys,
    assets,
    bank_statements,
    bills,
    cases,
    certificates,
    complaints,
    compliance,
    court_orders,
    custody,
    development,
    encumbrances,
    events,
    evidence,
    exports,
    filings,
    handovers,
    holdings,
    imports,
    interests,
    investors,
    invitations,
    journal,
    kyc,
    me,
    mutations,
    notices,
    offerings,
    parcels,
    parties,
    passkeys,
    payments,
    policies,
    production,
    public_keys,
    receipts,
    reconciliation,
    record,
    redemptions,
    reports,
    sanctions,
    service,
    sessions,
    sign_in,
    standing,
    statements,
    stories,
    titles,
    tokenizations,
    tokens,
    trades,
    valuations,
    valuers,
    webhooks,
)
from api.schemas.common import BODY_PROBLEMS, Problem
from api.tracing import TraceRequests
from api.version import VERSION
from registry.reconciliation.stated_rows import MAX_FILE_BYTES
from registry.sanctions.lists import MAX_LIST_BYTES

MULTIPART_ROOM_BYTES = 64 * 1024
_ROUTERS = (
    parties.router,
    interests.router,
    policies.router,
    imports.router,  # before /assets/{asset_id}, which would take its path
    assets.router,
    parcels.router,
    standing.router,
    evidence.router,
    valuations.router,
    valuers.router,
    titles.router,
    encumbrances.router,
    mutations.router,
    tokenizations.router,
    tokens.router,
    trades.router,
    holdings.router,
    exports.router,
    events.router,
    compliance.router,
    investors.router,
    kyc.router,
    offerings.router,
    me.router,
    statements.router,
    stories.router,
    notices.router,
    webhooks.router,
    payments.router,
    payments.webhooks,
    bank_statements.router,
    receipts.router,
    bills.router,
    court_orders.router,
    custody.router,
    cases.router,
    certificates.router,
    certificates.public,
    reconciliation.router,
    alerts.router,
    complaints.router,
    filings.router,
    production.router,
    redemptions.router,
    sanctions.router,
    api_keys.router,
    record.router,
    journal.router,
    reports.router,
    reports.keys_router,
    service.router,
    handovers.router,
)
_PASSKEY_ROUTERS = (
    passkeys.router,
    sign_in.router,
    invitations.router,
    sessions.router,
    public_keys.router,
)
"""Of a service that takes passkeys."""


class Application(FastAPI):
    """FastAPI, whose description every generator of clients understands."""

    def build_middleware_stack(self) -> ASGIApp:
        # Now, when it has all of its routes.
        self.router.middleware_stack = RouteIndex(self.router)
        # Around everything: also around what answers for a fault of ours.
        is_production = self.state.services.settings.is_production
        return AnswerHeaders(super().build_middleware_stack(), behind_tls=is_production)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"][Problem.__name__] = Problem.model_json_schema()
            _document_bodies(document)
            self.openapi_schema = with_links(in_openapi_30(document))
        return self.openapi_schema


def _document_bodies(document: dict[str, Any]) -> None:
    """Document what answers before any route: a body that is no body, or too large a one."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                for status, response in BODY_PROBLEMS.items():
                    operation["responses"].setdefault(str(status), response)


def create_app(services: Services) -> FastAPI:
    """Build the application around what it was started with."""
    is_production = services.settings.is_production
    app = Application(
        title="Milkiyat",
        version=VERSION,
        summary="Title registry and ERC-3643 tokenization of real-world assets",
        # These pages run scripts of a third party, where people type their tokens in.
        docs_url=None if is_production else "/docs",
        redoc_url=None,
    )
    app.state.services = services
    # A request in turn may hold two connections; the pool's overflow is the second one's.
    app.state.live = Live(cursors_of(services.database))
    app.state.notices = Live(newest_notice_of(services.database))
    app.state.turns = asyncio.Semaphore(services.database.pool_size)
    app.add_middleware(
        BodyLimit,
        max_bytes=services.settings.max_upload_bytes + MULTIPART_ROOM_BYTES,
        by_path={
            f"/v1{sanctions.PATH}": MAX_LIST_BYTES + imports.FORM_ROOM_BYTES,
            f"/v1{reconciliation.PATH}": MAX_FILE_BYTES + imports.FORM_ROOM_BYTES,
            f"/v1{imports.PATH}": services.settings.max_import_bytes + imports.FORM_ROOM_BYTES,
        },
    )
    problems.install(app)
    app.add_middleware(TellAllowance)
    app.add_middleware(SpeakLanguages)
    app.add_middleware(TraceRequests)
    routers = [*_ROUTERS]
    if services.sessions is not None:
        routers += _PASSKEY_ROUTERS
    if isinstance(services.tokens, DevelopmentIssuer):
        routers.append(development.router)
    for router in routers:
        # Its routes as they stand: to include them is to build each a second time, which takes a
        # quarter of the start.
        app.router.routes.extend(router.routes)
    _require_access_table(app)
    return app


def _require_access_table(app: FastAPI) -> None:
    """Refuse to exist with a route that the access table does not name."""
    names = {
        context.original_route.name
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute)
    }
    unnamed = names - ACCESS.keys()
    assert not unnamed, f"routes without a row in the access table: {sorted(unnamed)}"
