"""/v1/reports: the regulators' reports, one route each, made from the catalogue."""

from __future__ import annotations

import io
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from api.as_of import ChainTimeDep, require_dated
from api.deps import ActorDep, FinalityDep, Services, ServicesDep, TurnDep
from api.pagination import Paging, PagingDep
from api.routes.router import open_router, resource_router
from api.schemas.common import PROBLEMS, address_of
from api.schemas.reports import ReportRead, SigningKeyRead, SigningKeysRead, answer_model
from registry.kernel.clock import now
from registry.report.answering import (
    Desk,
    House,
    going_on,
    key_text,
    note_reading,
    require_right_to_reveal,
)
from registry.report.catalogue import CATALOGUE
from registry.report.envelope import Asking
from registry.report.report import Parameters, Report

router = resource_router("reports")
keys_router = open_router("reports", prefix="/v1", responses=PROBLEMS)


class ReportFormat(StrEnum):
    """In what a report comes; a page at a time as JSON, whole otherwise."""

    JSON = "json"
    CSV = "csv"
    PDF = "pdf"


MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
}
Reason = Annotated[str, Query(min_length=3, max_length=500, pattern=r"\S.*\S.*\S")]
FormatParam = Annotated[
    ReportFormat | None,
    Query(alias="format", description="Without it, what Accept names: JSON, CSV or PDF"),
]
RevealParam = Annotated[bool, Query(description="Persons unmasked, for who may see them")]


def get_asking(
    when: ChainTimeDep,
    needed: FinalityDep,
    actor: ActorDep,
    purpose: Annotated[Reason, Query(description="Why you look; journalled")],
    legal_basis: Annotated[Reason, Query(description="What lets you; journalled")],
    reveal: RevealParam = False,
) -> Asking:
    """Read how a report is asked for.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``as_of_malformed``.
    """
    if reveal:
        require_right_to_reveal(actor)
    require_dated(when.as_of)
    return Asking(
        purpose=purpose.strip(),
        legal_basis=legal_basis.strip(),
        reveal=reveal,
        as_of=when.as_of,
        known_at=when.known_at,
        confirmations_needed=needed,
        made_at=now(),
    )


def get_format(request: Request, wanted: FormatParam = None) -> ReportFormat:
    if wanted is not None:
        return wanted
    accepted = request.headers.get("accept", "")
    named = (kind for kind in ReportFormat if MEDIA_TYPES[kind].split(";")[0] in accepted)
    return next(named, ReportFormat.JSON)


AskingDep = Annotated[Asking, Depends(get_asking)]
FormatDep = Annotated[ReportFormat, Depends(get_format)]


def _route_of(report: Report[Any]) -> Callable[..., Response]:
    """Make the handler of one report."""

    def read(
        services: ServicesDep,
        actor: ActorDep,
        asking: AskingDep,
        paging: PagingDep,
        wanted: FormatDep,
        _turn: TurnDep,
        asked: Parameters,
    ) -> Response:
        is_page = wanted is ReportFormat.JSON
        asking, after = going_on(report, asking, paging.after if is_page else None)
        with services.database.reading(known_at=asking.known_at) as session:
            desk = Desk(
                session,
                _house(services),
                report,
                asked,
                asking,
                reader=actor,
                after=after,
                limit=paging.limit if is_page else None,
            )
            answer = _ANSWERS[wanted](desk, paging)
        with services.database.transaction() as writing:
            note_reading(writing, actor, desk, wanted)
        answer.headers["Cache-Control"] = "no-store"
        if not is_page:
            name = f"{report.code}_{asking.made_at:%Y%m%dT%H%M%SZ}.{wanted}"
            answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    # FastAPI reads a route's parameters from its annotations: those of each report are its own.
    read.__annotations__["asked"] = Annotated[report.parameters, Query()]
    return read


def _house(services: Services) -> House:
    return House(services.settings.chain_id, services.vault, services.signing[0], address_of)


def _page(desk: Desk, paging: Paging) -> Response:
    answer = desk.page()
    following = None if answer.last_key is None else paging.follow(key_text(answer.last_key))
    return JSONResponse(answer.record | {"next": following}, headers=paging.headers)


def _csv(desk: Desk, _: Paging) -> Response:
    file = io.BytesIO()
    desk.write_csv(file)
    return Response(file.getvalue(), media_type=MEDIA_TYPES[ReportFormat.CSV])


def _pdf(desk: Desk, _: Paging) -> Response:
    return Response(desk.pdf(), media_type=MEDIA_TYPES[ReportFormat.PDF])


_ANSWERS: dict[ReportFormat, Callable[[Desk, Paging], Response]] = {
    ReportFormat.JSON: _page,
    ReportFormat.CSV: _csv,
    ReportFormat.PDF: _pdf,
}


@router.get("/reports")
def list_reports() -> list[ReportRead]:
    """List the reports, with what each is asked by and what it tells."""
    return [ReportRead.of(report) for report in CATALOGUE]


@keys_router.get("/public_keys")
def list_signing_keys(services: ServicesDep) -> SigningKeysRead:
    """List the public keys by which `milkiyat verify` checks reports, the one that signs first."""
    return SigningKeysRead(keys=[SigningKeyRead(**key.public_jwk) for key in services.signing])


for each in CATALOGUE:
    model = answer_model(each)
    router.add_api_route(
        f"/reports/{each.code}",
        _route_of(each),
        name=each.name,
        methods=["GET"],
        summary=f"{each.code}: {each.title}",
        description=f"Read {each.code}, {each.title[0].lower()}{each.title[1:]}.",
        response_class=Response,
        responses={
            200: {
                "model": model,
                "description": "A page as JSON, or the whole report as CSV or PDF/A-3",
                "content": {"text/csv": {}, "application/pdf": {}},
            }
        },
    )
