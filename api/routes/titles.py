"""/v1/titles: who holds what, at any time."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownAtParam, KnownSessionDep, LegalTimeParam
from api.routes.router import resource_router
from api.schemas.titles import TitleRead, TitleVersionRead
from registry.kernel.clock import now
from registry.title import service as titles

router = resource_router("titles")


@router.get("/titles/{title_id}")
def get_title(
    title_id: UUID,
    session: KnownSessionDep,
    as_of: LegalTimeParam = None,
    known_at: KnownAtParam = None,
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
def list_title_versions(
    title_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> list[TitleVersionRead]:
    """List every version ever recorded, those superseded included, or those begun by a time."""
    titles.get_title(session, title_id)
    rows = titles.list_versions(session, title_id, until=as_of)
    return [TitleVersionRead.of(session, row) for row in rows]
