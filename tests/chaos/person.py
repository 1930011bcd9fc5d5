"""The person who looks when somebody else has used one of our keys, or a mint has failed."""

from __future__ import annotations

import contextlib
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from chain.errors import ChainError
from chain.sending.rebuild import Rebuild
from chain.sending.remedies import retry
from registry.kernel.actor import Actor, Role
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.offering import service as offerings
from registry.operation import service as operations
from registry.operation.models import (
    FAILED,
    Operation,
    OperationDependency,
    OperationKind,
    OperationState,
)
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from tests.chaos.schedule import KeyUsed, Schedule
from tests.chaos.stage import Stage
from tests.factories import COMPLIANCE

log = structlog.get_logger()

ACTOR = Actor("cli:amna", frozenset({Role.OPERATIONS}))


class Person:
    """Accepts what is foreign, and has planned anew what failed though nothing is wrong with it."""

    def __init__(self, database: Database, stage: Stage, schedule: Schedule, node_url: str) -> None:
        self._database = database
        self._sale = stage.sale
        self._chain = stage.chain(node_url, pool=schedule.pool)
        self._finality = schedule.finality
        self._accepts = schedule.has(KeyUsed)

    def look(self) -> bool:
        """Do what is to be done, and tell whether anything was."""
        if self._accepts:
            rebuild = Rebuild(self._database, self._chain, finality=self._finality)
            with contextlib.suppress(ChainError, DBAPIError):
                rebuild.run(accept_foreign=True)
        return self._plan_anew()

    def mint_again(self) -> None:
        """Have every mint planned anew that has failed by now."""
        with contextlib.suppress(Conflict, DBAPIError), self._database.transaction() as session:
            sale = UUID(self._sale.tokenization_id)
            if tokenizations.get_tokenization(session, sale).state == TokenizationState.MINTING:
                offerings.close_and_mint(session, COMPLIANCE, sale)

    def _plan_anew(self) -> bool:
        with self._database.reading() as session:
            failed = session.exec(
                select(Operation).where(
                    col(Operation.state).in_(FAILED),
                    col(Operation.key).not_like("%#%"),
                    col(Operation.kind) != OperationKind.BATCH,
                )
            ).all()
            wanted = [
                operation
                for operation in failed
                if operation.state != OperationState.REFUSED or _may_go_on(session, operation)
            ]
            session.expunge_all()
        done = [self._plans_anew(operation) for operation in wanted]
        return any(done)

    def _plans_anew(self, operation: Operation) -> bool:
        try:
            with self._database.transaction() as session:
                if operation.kind == OperationKind.MINT:
                    offerings.close_and_mint(session, COMPLIANCE, UUID(self._sale.tokenization_id))
                else:
                    retry(session, ACTOR, operation.id)
        except Conflict as refused:
            # What comes first has to be planned anew first, say; the next look does the other.
            log.info("not_planned_anew", operation=str(operation.id), reason=refused.code)
            return False
        return True


def _may_go_on(session: Session, operation: Operation) -> bool:
    """Tell whether it was refused since what comes first had failed, and that is planned anew."""
    if operation.problem is None or operation.problem["code"] != "dependency_failed":
        return False
    required = session.exec(
        select(Operation)
        .join(OperationDependency, col(OperationDependency.requires_id) == col(Operation.id))
        .where(col(OperationDependency.operation_id) == operation.id)
    ).all()
    current = [
        operations.find_by_key(session, earlier.key.removesuffix(f"#{earlier.id}"))
        for earlier in required
    ]
    return all(each is not None and each.state not in FAILED for each in current)
