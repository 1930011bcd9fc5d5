"""/v1/breaks and the statements of the register of record: what differs, and who closes it."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Response, UploadFile

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.reconciliation import (
    BreakRead,
    FixCreate,
    LossAccepted,
    StatementCreate,
    StatementRead,
)
from registry.reconciliation import service as reconciliation
from registry.reconciliation import statements
from registry.reconciliation.models import BreakState
from registry.tokenization import service as tokenizations

router = resource_router("reconciliation")

PATH = "/register_statements"


@router.post("/tokens/{token_id}/breaks", dependencies=IDEMPOTENT)
def run_reconciliation(token_id: UUID, session: SessionDep) -> list[BreakRead]:
    """Hold the token against orders, instructions and registers; give what differs now."""
    rows = reconciliation.run_checks(session, token_id)
    return [BreakRead.model_validate(row) for row in rows]


@router.get("/breaks")
def list_breaks(
    session: ReadSessionDep,
    paging: PagingDep,
    token_id: UUID | None = None,
    state: BreakState | None = None,
) -> Page[BreakRead]:
    """List breaks in the order in which they were found."""
    rows = reconciliation.list_breaks(
        session,
        tokenization_id=token_id,
        state=state,
        after=paging.after_id,
        limit=paging.fetch,
    )
    return paging.page(rows, lambda row: str(row.id), BreakRead.model_validate)


@router.get("/breaks/{break_id}", dependencies=REVEALING)
def get_break(break_id: UUID, session: ReadSessionDep) -> BreakRead:
    """Read one break."""
    return BreakRead.model_validate(reconciliation.get_break(session, break_id))


@router.post("/breaks/{break_id}/investigate", dependencies=IDEMPOTENT)
def investigate_break(break_id: UUID, session: SessionDep, actor: ActorDep) -> BreakRead:
    """Take a break on."""
    return BreakRead.model_validate(reconciliation.investigate_break(session, actor, break_id))


@router.post("/breaks/{break_id}/propose_fix", dependencies=IDEMPOTENT)
def propose_break_fix(
    break_id: UUID, body: FixCreate, session: SessionDep, actor: ActorDep
) -> BreakRead:
    """Propose what makes it good."""
    row = reconciliation.propose_fix(
        session, actor, break_id, explanation=body.explanation, reference=body.reference
    )
    return BreakRead.model_validate(row)


@router.post("/breaks/{break_id}/approve_fix", dependencies=IDEMPOTENT)
def approve_break_fix(break_id: UUID, session: SessionDep, actor: ActorDep) -> BreakRead:
    """Close it, if a run made now no longer finds it."""
    return BreakRead.model_validate(reconciliation.approve_fix(session, actor, break_id))


@router.post("/breaks/{break_id}/reject_fix", dependencies=IDEMPOTENT)
def reject_break_fix(
    break_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> BreakRead:
    """Send the fix back."""
    row = reconciliation.reject_fix(session, actor, break_id, reason=body.reason)
    return BreakRead.model_validate(row)


@router.post("/breaks/{break_id}/accept_loss", dependencies=IDEMPOTENT)
def accept_break_loss(
    break_id: UUID, body: LossAccepted, session: SessionDep, actor: ActorDep
) -> BreakRead:
    """Agree to write it off: compliance, then a registrar's checker."""
    row = reconciliation.accept_loss(session, actor, break_id, role=body.role, reason=body.reason)
    return BreakRead.model_validate(row)


@router.post("/tokens/{token_id}/register_statements", status_code=201, dependencies=IDEMPOTENT)
def file_register_statement(
    token_id: UUID, body: StatementCreate, session: SessionDep, actor: ActorDep, response: Response
) -> StatementRead:
    """File the register of record at the end of a day; each holder that differs is a break."""
    row = statements.file_statement(session, actor, token_id, as_of=body.as_of, rows=body.lines())
    reconciliation.compare_registers(session, token_id)
    response.headers["Location"] = f"/v1/tokens/{token_id}/register_statements"
    return StatementRead.model_validate(row)


@router.post(PATH, status_code=201, dependencies=IDEMPOTENT)
def upload_register_statement(
    session: SessionDep,
    actor: ActorDep,
    response: Response,
    file: Annotated[UploadFile, File(description="CSV in UTF-8: party_id,units, a holder a line")],
    token_id: Annotated[UUID, Form()],
    as_of: Annotated[date, Form()],
) -> StatementRead:
    """File it as a CSV file, however many holders there are; else as file_register_statement."""
    row = statements.upload_statement(session, actor, token_id, as_of=as_of, file=file.file)
    reconciliation.compare_registers(session, token_id)
    response.headers["Location"] = f"/v1/tokens/{token_id}/register_statements"
    return StatementRead.model_validate(row)


@router.get("/tokens/{token_id}/register_statements")
def list_register_statements(token_id: UUID, session: ReadSessionDep) -> list[StatementRead]:
    """List the statements of a token, newest day first."""
    tokenizations.get_tokenization(session, token_id)
    rows = statements.list_statements(session, token_id)
    return [StatementRead.model_validate(row) for row in rows]
