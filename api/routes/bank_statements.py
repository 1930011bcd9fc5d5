"""/v1/bank_statements and the payouts of a sale: what treasury does with the bank."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import File, Response, UploadFile

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.bank_statements import (
    BankStatementLineRead,
    BankStatementRead,
    ProceedsPayoutCreate,
    ProceedsPayoutRead,
    ProceedsRead,
)
from api.schemas.common import Page
from api.schemas.payments import SignedMoney
from api.schemas.redemptions import RailReference
from registry.payment import payouts, statements
from registry.payment.models import LineOutcome

router = resource_router("bank statements")


@router.post("/bank_statements", status_code=201, dependencies=IDEMPOTENT)
def import_bank_statement(
    session: SessionDep, actor: ActorDep, response: Response, file: Annotated[UploadFile, File()]
) -> BankStatementRead:
    """Book a statement (camt.053 or CSV), whole or not at all; the same file again: 200."""
    row, is_new = statements.import_statement(session, actor, file.file.read())
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/bank_statements/{row.id}"
    return BankStatementRead.read(session, row)


@router.get("/bank_statements")
def list_bank_statements(session: ReadSessionDep, paging: PagingDep) -> Page[BankStatementRead]:
    """List statements in the order in which they were read."""
    rows = statements.list_statements(session, after=paging.after_id, limit=paging.fetch)
    return paging.page(
        rows, lambda row: str(row.id), lambda row: BankStatementRead.read(session, row)
    )


@router.get("/bank_statements/{statement_id}")
def get_bank_statement(statement_id: UUID, session: ReadSessionDep) -> BankStatementRead:
    """Read a statement: how its closing balance differs from our books, and what it brought."""
    return BankStatementRead.read(session, statements.get_statement(session, statement_id))


@router.get("/bank_statements/{statement_id}/lines")
def list_bank_statement_lines(
    statement_id: UUID,
    session: ReadSessionDep,
    paging: PagingDep,
    outcome: LineOutcome | None = None,
) -> Page[BankStatementLineRead]:
    """List its lines in the order of the file; UNKNOWN and DIFFERS are for a person to look at."""
    statements.get_statement(session, statement_id)
    after = int(paging.after) if paging.after else 0
    rows = statements.list_lines(
        session, statement_id, outcome=outcome, after=after, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.line_no), BankStatementLineRead.of)


@router.get("/offerings/{offering_id}/payouts")
def list_proceeds_payouts(offering_id: UUID, session: ReadSessionDep) -> ProceedsRead:
    """See what a sale has brought that can be paid to the issuer, and what was."""
    rows = payouts.list_payouts(session, offering_id)
    return ProceedsRead(
        payable=SignedMoney.of(payouts.payable_of(session, offering_id)),
        payouts=[ProceedsPayoutRead.of(row) for row in rows],
    )


@router.post("/offerings/{offering_id}/payouts", status_code=201, dependencies=IDEMPOTENT)
def propose_proceeds_payout(
    offering_id: UUID, body: ProceedsPayoutCreate, session: SessionDep, actor: ActorDep
) -> ProceedsPayoutRead:
    """Propose that the issuer is paid; another person of treasury confirms it."""
    row = payouts.propose_payout(
        session, actor, offering_id, amount_paisa=body.amount.paisa("/amount/amount")
    )
    return ProceedsPayoutRead.of(row)


@router.post("/proceeds_payouts/{payout_id}/confirm", dependencies=IDEMPOTENT)
def confirm_proceeds_payout(
    payout_id: UUID, body: RailReference, session: SessionDep, actor: ActorDep
) -> ProceedsPayoutRead:
    """Record that the bank has paid the issuer, by its own reference; as a second person."""
    row = payouts.confirm_payout(session, actor, payout_id, rail_reference=body.rail_reference)
    return ProceedsPayoutRead.of(row)


@router.post("/proceeds_payouts/{payout_id}/reject", dependencies=IDEMPOTENT)
def reject_proceeds_payout(
    payout_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> ProceedsPayoutRead:
    """Give a proposed payout up."""
    return ProceedsPayoutRead.of(
        payouts.reject_payout(session, actor, payout_id, reason=body.reason)
    )
