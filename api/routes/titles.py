"""/v1/titles: who holds what, at any time."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownSessionDep
from api.routes.router import resource_router
from api.schemas.common import Instant
from api.schemas.titles import TitleRead, TitleVersionRead
from registry.kernel.clock import now
from registry.title import service as titles

router = resource_router("titles")


@router.get("/titles/{title_id}")
def get_title(
    title_id: UUID,
    session: KnownSessionDep,
    as_of: Instant | None = None,
    known_at: Instant | None = None,
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
def list_title_versions(title_id: UUID, session: KnownSessionDep) -> list[TitleVersionRead]:
    """List every version ever recorded, those superseded included."""
    titles.get_title(session, title_id)
    return [TitleVersionRead.of(session, row) for row in titles.list_versions(session, title_id)]
