"""/v1/sanctions_lists and /v1/sanctions_hits: whom a list names, and who looks like them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import File, Response, UploadFile

from api.deps import ActorDep, ReadSessionDep, SessionDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.sanctions import HitVerdict, SanctionsHitRead, SanctionsListRead
from registry.kyc_standing import service as standing
from registry.sanctions import hits, lists
from registry.sanctions.models import HitState

router = resource_router("sanctions")

PATH = "/sanctions_lists"


@router.post(PATH, status_code=201, dependencies=IDEMPOTENT)
def import_sanctions_list(
    session: SessionDep, actor: ActorDep, response: Response, file: Annotated[UploadFile, File()]
) -> SanctionsListRead:
    """Take in an edition of the UN consolidated list (XML); everybody is screened against it."""
    edition = lists.import_list(session, actor, file.file)
    response.headers["Location"] = f"/v1{PATH}/{edition.id}"
    return SanctionsListRead.of(session, edition)


@router.get(PATH)
def list_sanctions_lists(session: ReadSessionDep, paging: PagingDep) -> Page[SanctionsListRead]:
    """List editions in the order in which they were taken in."""
    rows = lists.list_lists(session, after=paging.after_id, limit=paging.fetch)
    return paging.page(
        rows, lambda row: str(row.id), lambda row: SanctionsListRead.of(session, row)
    )


@router.get(f"{PATH}/{{list_id}}")
def get_sanctions_list(list_id: UUID, session: ReadSessionDep) -> SanctionsListRead:
    """Read an edition, and how far the screening against it is."""
    return SanctionsListRead.of(session, lists.get_list(session, list_id))


@router.post(f"{PATH}/{{list_id}}/confirm", dependencies=IDEMPOTENT)
def confirm_sanctions_list(
    list_id: UUID, session: SessionDep, actor: ActorDep
) -> SanctionsListRead:
    """Let an edition count that names fewer than half of those before it, as another officer."""
    return SanctionsListRead.of(session, lists.confirm_list(session, actor, list_id))


@router.get("/sanctions_hits")
def list_sanctions_hits(
    session: ReadSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    actor: ActorDep,
    vault: VaultDep,
    state: HitState | None = None,
    party_id: UUID | None = None,
) -> Page[SanctionsHitRead]:
    """List hits, for instance those that wait for a decision."""
    rows = hits.list_hits(
        session, actor, state=state, party_id=party_id, after=paging.after_id, limit=paging.fetch
    )
    page = paging.page(
        rows, lambda row: str(row.id), lambda row: SanctionsHitRead.of(session, vault, row)
    )
    return reading.of(page)


@router.get("/sanctions_hits/{hit_id}")
def get_sanctions_hit(
    hit_id: UUID,
    session: ReadSessionDep,
    reading: FullReadingDep,
    actor: ActorDep,
    vault: VaultDep,
) -> SanctionsHitRead:
    """Read a hit; the party's own details are read at /v1/parties, for a stated reason."""
    return reading.of(SanctionsHitRead.of(session, vault, hits.get_hit(session, actor, hit_id)))


@router.post("/sanctions_hits/{hit_id}/recommend", dependencies=IDEMPOTENT)
def recommend_sanctions_hit(
    hit_id: UUID, body: HitVerdict, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> SanctionsHitRead:
    """Say as the first officer whether the party is whom the list names."""
    hit = hits.recommend_hit(session, actor, hit_id, verdict=body.verdict, reason=body.reason)
    return SanctionsHitRead.of(session, vault, hit)


@router.post("/sanctions_hits/{hit_id}/return", dependencies=IDEMPOTENT)
def return_sanctions_hit(
    hit_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> SanctionsHitRead:
    """Disagree as the second officer."""
    hit = hits.return_hit(session, actor, hit_id, reason=body.reason)
    return SanctionsHitRead.of(session, vault, hit)


@router.post("/sanctions_hits/{hit_id}/confirm", dependencies=IDEMPOTENT)
def confirm_sanctions_hit(
    hit_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> SanctionsHitRead:
    """Decide as the second officer; a true match freezes what the party holds, at once."""
    hit = standing.confirm_hit(session, actor, hit_id, reason=body.reason)
    return SanctionsHitRead.of(session, vault, hit)


@router.post("/sanctions_hits/{hit_id}/reopen", dependencies=IDEMPOTENT)
def reopen_sanctions_hit(
    hit_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> SanctionsHitRead:
    """Have what was decided looked at anew; it blocks until two officers decide again."""
    hit = hits.reopen_hit(session, actor, hit_id, reason=body.reason)
    return SanctionsHitRead.of(session, vault, hit)
