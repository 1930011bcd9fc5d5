"""/v1/valuers: the panel of valuers, whose opinions the register accepts."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.valuers import PanelValuerCreate, PanelValuerEnd, PanelValuerRead
from registry.kernel.clock import day_of
from registry.valuation import panel

router = resource_router("valuers")


@router.post("/valuers", status_code=201, dependencies=IDEMPOTENT)
def propose_valuer(
    body: PanelValuerCreate, session: SessionDep, actor: ActorDep
) -> PanelValuerRead:
    """Propose somebody for the panel; another person confirms."""
    entry = panel.propose_valuer(session, actor, **body.model_dump())
    return PanelValuerRead.model_validate(entry)


@router.get("/valuers")
def list_valuers(
    session: KnownSessionDep, paging: PagingDep, as_of: LegalTimeParam = None
) -> Page[PanelValuerRead]:
    """List every place on the panel that there ever was, or who was on it at a time."""
    on = day_of(as_of) if as_of else None
    rows = panel.list_panel(session, after=paging.after_id, limit=paging.fetch, on=on)
    return paging.page(rows, lambda row: str(row.id), PanelValuerRead.model_validate)


@router.post("/valuers/{entry_id}/confirm", dependencies=IDEMPOTENT)
def confirm_valuer(entry_id: UUID, session: SessionDep, actor: ActorDep) -> PanelValuerRead:
    """Put a valuer on the panel whom somebody else proposed."""
    return PanelValuerRead.model_validate(panel.confirm_valuer(session, actor, entry_id))


@router.post("/valuers/{entry_id}/end", dependencies=IDEMPOTENT)
def end_valuer(
    entry_id: UUID, body: PanelValuerEnd, session: SessionDep, actor: ActorDep
) -> PanelValuerRead:
    """Take a valuer off the panel after a last day; opinions of before stand."""
    entry = panel.end_valuer(session, actor, entry_id, ends_on=body.ends_on, reason=body.reason)
    return PanelValuerRead.model_validate(entry)
