"""/v1/titles and /v1/encumbrances: rights, and what is held against them."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response
from pydantic import AwareDatetime

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.titles import EncumbranceCreate, EncumbranceRead, TitleRead, TitleVersionRead
from registry.encumbrance import service as encumbrances
from registry.kernel.clock import now
from registry.title import service as titles
from registry.tokenization.liens import put_encumbrance_in_force

router = resource_router("titles")


@router.get("/titles/{title_id}")
def get_title(
    title_id: UUID,
    session: ReadSessionDep,
    as_of: AwareDatetime | None = None,
    known_at: AwareDatetime | None = None,
) -> TitleRead:
    """Read who held the title at a time, as we knew it at a time."""
    moment = now()
    return TitleRead.of(
        session,
        titles.get_title(session, title_id),
        as_of=as_of or moment,
        known_at=known_at or moment,
    )


@router.get("/titles/{title_id}/versions")
def list_title_versions(title_id: UUID, session: ReadSessionDep) -> list[TitleVersionRead]:
    """List every version ever recorded, those superseded included."""
    titles.get_title(session, title_id)
    return [TitleVersionRead.of(session, row) for row in titles.list_versions(session, title_id)]


@router.post("/titles/{title_id}/encumbrances", status_code=201, dependencies=IDEMPOTENT)
def lodge_encumbrance(
    title_id: UUID,
    body: EncumbranceCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> EncumbranceRead:
    """Lodge a lien, charge, order or other restriction."""
    encumbrance = encumbrances.lodge_encumbrance(session, actor, title_id, body.new())
    response.headers["Location"] = f"/v1/encumbrances/{encumbrance.id}"
    return EncumbranceRead.of(encumbrance)


@router.get("/titles/{title_id}/encumbrances")
def list_encumbrances(title_id: UUID, session: ReadSessionDep) -> list[EncumbranceRead]:
    """List every encumbrance that the title ever had."""
    titles.get_title(session, title_id)
    return [EncumbranceRead.of(row) for row in encumbrances.list_encumbrances(session, title_id)]


@router.get("/encumbrances/{encumbrance_id}")
def get_encumbrance(encumbrance_id: UUID, session: ReadSessionDep) -> EncumbranceRead:
    """Read one encumbrance."""
    return EncumbranceRead.of(encumbrances.get_encumbrance(session, encumbrance_id))


@router.post("/encumbrances/{encumbrance_id}/activate", dependencies=IDEMPOTENT)
def activate_encumbrance(
    encumbrance_id: UUID, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Put it in force; one that blocks everything suspends the asset and pauses its token."""
    return EncumbranceRead.of(put_encumbrance_in_force(session, actor, encumbrance_id))


@router.post("/encumbrances/{encumbrance_id}/discharge", dependencies=IDEMPOTENT)
def discharge_encumbrance(
    encumbrance_id: UUID, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Ask for a discharge (maker), then grant it (checker)."""
    return EncumbranceRead.of(encumbrances.discharge_encumbrance(session, actor, encumbrance_id))
