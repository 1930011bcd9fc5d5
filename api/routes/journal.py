"""/v1/journal: what was done, and the proof that nobody changed it since."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlmodel import Session

from api.deps import ActorDep, FinalityDep, ReadSessionDep, ServicesDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.journal import (
    AnchorRead,
    ConsistencyProofRead,
    CoveringAnchorRead,
    InclusionProofRead,
    JournalEntryRead,
    JournalHeadRead,
)
from registry.anchor import reading as anchors
from registry.filing import suspicion
from registry.journal import proofs
from registry.journal import service as journal
from registry.journal.untold import Untold
from registry.kernel.actor import Actor

router = resource_router("journal")


def _untold(session: Session, actor: Actor) -> Untold:
    return suspicion.untold_to(session, actor.person, may_know=suspicion.may_read(actor))


@router.get("/journal")
def list_journal(
    session: ReadSessionDep, paging: PagingDep, actor: ActorDep, subject_id: str | None = None
) -> Page[JournalEntryRead]:
    """List what was done, by whom, to what, oldest first; suspicions for the regulator only."""
    rows = journal.list_entries(
        session,
        subject_id=subject_id,
        after=paging.after_id,
        limit=paging.fetch,
        untold=_untold(session, actor),
    )
    numbers = journal.numbers_of(session, [row.id for row in rows])
    return paging.page(
        rows, lambda row: str(row.id), lambda row: JournalEntryRead.of(row, numbers.get(row.id))
    )


@router.get("/journal/head")
def get_journal_head(session: ReadSessionDep) -> JournalHeadRead:
    """Read the newest seal; whoever keeps it can prove later that nothing before was changed."""
    return JournalHeadRead.of(proofs.get_head(session))


@router.get("/journal/consistency")
def prove_journal_consistency(
    session: ReadSessionDep,
    first: Annotated[int, Query(description="Size of the earlier head")],
    second: Annotated[int, Query(description="Size of the later head")],
) -> ConsistencyProofRead:
    """Prove that the journal only grew between two heads."""
    return ConsistencyProofRead.of(proofs.prove_consistency(session, first, second))


@router.get("/journal/{seq}/proof")
def prove_journal_entry(
    seq: int,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    actor: ActorDep,
) -> InclusionProofRead:
    """Prove that an entry is in the sealed journal, and under a root on chain."""
    proof = proofs.prove_inclusion(session, seq, untold=_untold(session, actor))
    anchor = anchors.find_covering(session, services.settings.chain_id, seq)
    if anchor is None:
        return InclusionProofRead.of(proof, None)
    to_anchor = proofs.prove_inclusion(session, seq, tree_size=anchor.tree_size)
    return InclusionProofRead.of(proof, CoveringAnchorRead.covering(anchor, needed, to_anchor.path))


@router.get("/anchors")
def list_anchors(
    needed: FinalityDep, session: ReadSessionDep, services: ServicesDep, paging: PagingDep
) -> Page[AnchorRead]:
    """List the roots of the journal that went on chain, the newest first."""
    before = int(paging.after) if paging.after else None
    rows = anchors.list_anchors(
        session, services.settings.chain_id, before=before, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.tree_size), lambda row: AnchorRead.of(row, needed))
