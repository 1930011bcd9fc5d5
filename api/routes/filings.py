"""/v1/ctr_filings and /v1/str_cases: what is reported to the Financial Monitoring Unit."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.filings import CtrCreate, CtrRead, FilingReference, StrCreate, StrRead
from registry.filing import ctr, suspicion
from registry.filing.models import CtrState, StrState

router = resource_router("filings")


@router.post("/ctr_filings", status_code=201, dependencies=IDEMPOTENT)
def prepare_ctr_filing(
    body: CtrCreate, session: SessionDep, actor: ActorDep, response: Response
) -> CtrRead:
    """Add up what a party paid on a day."""
    row = ctr.prepare_filing(session, actor, party_id=body.party_id, day=body.day)
    response.headers["Location"] = f"/v1/ctr_filings/{row.id}"
    return CtrRead.of(row)


@router.get("/ctr_filings")
def list_ctr_filings(
    session: LegalSessionDep,
    reading: ReadingDep,
    actor: ActorDep,
    paging: PagingDep,
    state: CtrState | None = None,
) -> Page[CtrRead]:
    """List currency transaction reports in the order in which they were prepared."""
    rows = ctr.list_filings(session, actor, state=state, after=paging.after_id, limit=paging.fetch)
    return reading.of(paging.page(rows, lambda row: str(row.id), CtrRead.of))


@router.get("/ctr_filings/{filing_id}")
def get_ctr_filing(
    filing_id: UUID, session: LegalSessionDep, reading: FullReadingDep, actor: ActorDep
) -> CtrRead:
    """Read one report."""
    return reading.of(CtrRead.of(ctr.get_filing(session, actor, filing_id)))


@router.post("/ctr_filings/{filing_id}/file", dependencies=IDEMPOTENT)
def file_ctr_filing(
    filing_id: UUID, body: FilingReference, session: SessionDep, actor: ActorDep
) -> CtrRead:
    """Record that it was filed, as another person than who prepared it."""
    return CtrRead.of(ctr.file_ctr(session, actor, filing_id, reference=body.reference))


@router.post("/ctr_filings/{filing_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_ctr_filing(
    filing_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> CtrRead:
    """Give up a report that was not filed."""
    return CtrRead.of(ctr.withdraw_ctr(session, actor, filing_id, reason=body.reason))


@router.post("/str_cases", status_code=201, dependencies=IDEMPOTENT)
def open_str_case(
    body: StrCreate, session: SessionDep, actor: ActorDep, response: Response
) -> StrRead:
    """Open a case of a suspicion."""
    row = suspicion.open_str_case(session, actor, **dict(body))
    response.headers["Location"] = f"/v1/str_cases/{row.id}"
    return StrRead.of(row)


@router.get("/str_cases")
def list_str_cases(
    session: LegalSessionDep,
    reading: ReadingDep,
    actor: ActorDep,
    paging: PagingDep,
    state: StrState | None = None,
) -> Page[StrRead]:
    """List cases in the order in which they were opened."""
    rows = suspicion.list_str_cases(
        session, actor, state=state, after=paging.after_id, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: str(row.id), StrRead.of))


@router.get("/str_cases/{str_case_id}")
def get_str_case(
    str_case_id: UUID, session: LegalSessionDep, reading: FullReadingDep, actor: ActorDep
) -> StrRead:
    """Read one case."""
    return reading.of(StrRead.of(suspicion.get_str_case(session, actor, str_case_id)))


@router.post("/str_cases/{str_case_id}/file", dependencies=IDEMPOTENT)
def file_str_case(
    str_case_id: UUID, body: FilingReference, session: SessionDep, actor: ActorDep
) -> StrRead:
    """Record that it was reported, as another person than who opened it."""
    return StrRead.of(suspicion.file_str(session, actor, str_case_id, reference=body.reference))


@router.post("/str_cases/{str_case_id}/close", dependencies=IDEMPOTENT)
def close_str_case(
    str_case_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> StrRead:
    """Put a case aside without a report, as another person than who opened it."""
    return StrRead.of(suspicion.close_str(session, actor, str_case_id, reason=body.reason))
