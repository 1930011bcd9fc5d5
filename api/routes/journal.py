"""/v1/journal: what was done, and the proof that nobody changed it since."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.deps import ReadSessionDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.journal import (
    ConsistencyProofRead,
    InclusionProofRead,
    JournalEntryRead,
    JournalHeadRead,
)
from registry.journal import proofs
from registry.journal import service as journal

router = resource_router("journal")


@router.get("/journal")
def list_journal(
    session: ReadSessionDep, paging: PagingDep, subject_id: str | None = None
) -> Page[JournalEntryRead]:
    """List what was done, by whom, to what, oldest first."""
    rows = journal.list_entries(
        session, subject_id=subject_id, after=paging.after_id, limit=paging.fetch
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
def prove_journal_entry(seq: int, session: ReadSessionDep) -> InclusionProofRead:
    """Prove that an entry is in the sealed journal."""
    return InclusionProofRead.of(proofs.prove_inclusion(session, seq))
