"""/v1/operations: what is being done."""

from __future__ import annotations

from uuid import UUID

from api.auth.access import STAFF
from api.deps import ActorDep, ReadSessionDep, ServicesDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.operations import OperationRead
from registry.kernel.errors import NotFound
from registry.offering import orders
from registry.operation import service as operations
from registry.operation.models import OperationState

router = resource_router("record")


@router.get("/operations/{operation_id}")
def get_operation(
    operation_id: UUID, session: ReadSessionDep, actor: ActorDep, services: ServicesDep
) -> OperationRead:
    """See what the chain is doing for you: state, transactions, confirmations, problem."""
    operation = operations.get_operation(session, operation_id)
    if not (
        actor.roles & STAFF
        or operation.requested_by == actor.subject
        or orders.is_mint_of(session, actor, operation_id)
    ):
        raise NotFound("operation", operation_id)
    return OperationRead.of(session, services.settings.chain_id, operation)


@router.get("/operations")
def list_operations(
    session: ReadSessionDep,
    services: ServicesDep,
    paging: PagingDep,
    subject_id: str | None = None,
    state: OperationState | None = None,
) -> Page[OperationRead]:
    """List operations, oldest first."""
    rows = operations.list_operations(
        session, subject_id=subject_id, state=state, after=paging.after_id, limit=paging.fetch
    )
    chain_id = services.settings.chain_id
    return paging.page(
        rows, lambda row: str(row.id), lambda row: OperationRead.of(session, chain_id, row)
    )
