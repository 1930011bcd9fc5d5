"""The planned operations: which may be sent now, and refusing those that never can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, ColumnElement, String, and_, any_, bindparam, cast, exists, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from chain.errors import (
    ChainError,
    NonceAhead,
    OutOfGas,
    Reverted,
    RpcRefused,
    SignerUnavailable,
    WrongChain,
)
from chain.operations import EFFECTS
from chain.sending.steps import mark
from registry.kernel.clock import now
from registry.kernel.errors import RegistryError
from registry.kernel.rows import among
from registry.operation.errors import operation_problem
from registry.operation.models import (
    FAILED,
    ON_CHAIN,
    Operation,
    OperationDependency,
    OperationState,
)

log = structlog.get_logger()

MOST_TOLD = 20
"""So many unknown transactions are named in a problem; the command names all."""


# Made once: an alias of a table takes longer to make than the database to answer.
_DEPENDENCY, _REQUIRED = aliased(OperationDependency), aliased(Operation)
# In one parameter: of a list of them, each is written anew for each statement.
_KINDS = any_(bindparam("kinds", type_=ARRAY(String)))

_CODE = col(Operation.waits_for)["code"].astext
_OPEN = (OperationState.PLANNED, OperationState.SIGNED, OperationState.BROADCAST)

_IS_READY = and_(
    col(Operation.state) == OperationState.PLANNED,
    ~exists().where(
        col(_DEPENDENCY.operation_id) == col(Operation.id),
        col(_REQUIRED.id) == col(_DEPENDENCY.requires_id),
        col(_REQUIRED.state).not_in(ON_CHAIN),
    ),
)

_READY = (
    select(Operation)
    .where(_IS_READY, cast(col(Operation.kind), String) == _KINDS)
    .order_by(col(Operation.id))
    .limit(bindparam("most"))
)

_FRESH = _READY.where(col(Operation.waits_for).is_(None))

# Without their keys: whoever holds the limit of claims may count one of these at this moment.
_CLAIMED = _READY.with_for_update(of=Operation, skip_locked=True, key_share=True)

_ORPHANS = (
    select(Operation, _REQUIRED.kind, _REQUIRED.id)
    .join(_DEPENDENCY, col(_DEPENDENCY.operation_id) == col(Operation.id))
    .join(_REQUIRED, col(_REQUIRED.id) == col(_DEPENDENCY.requires_id))
    .where(
        col(Operation.state) == OperationState.PLANNED,
        cast(col(Operation.kind), String) == _KINDS,
        col(_REQUIRED.state).in_(FAILED),
    )
    .with_for_update(of=Operation, skip_locked=True)
)


def list_ready(session: Session, kinds: Collection[str], limit: int) -> Sequence[Operation]:
    """List what is planned and whose dependencies are on chain, oldest first."""
    return session.exec(_READY, params={"kinds": list(kinds), "most": limit}).all()


def list_fresh(session: Session, kinds: Collection[str], limit: int) -> Sequence[Operation]:
    """List the same, without what says that it waits for something."""
    return session.exec(_FRESH, params={"kinds": list(kinds), "most": limit}).all()


def claim_ready(session: Session, kinds: Collection[str], limit: int) -> Sequence[Operation]:
    """List the same, without what another worker has taken, and keep it until the session ends."""
    return session.exec(_CLAIMED, params={"kinds": list(kinds), "most": limit}).all()


def is_anything_planned(session: Session, kinds: Collection[str]) -> bool:
    """Tell whether anything of these kinds is planned, ready or not."""
    query = (
        select(Operation.id)
        .where(col(Operation.state) == OperationState.PLANNED, col(Operation.kind).in_(kinds))
        .limit(1)
    )
    return session.exec(query).first() is not None


def refuse_orphans(session: Session, kinds: Collection[str]) -> int:
    """Refuse what depends on an operation that failed, and return how many that were."""
    rows = session.exec(_ORPHANS, params={"kinds": list(kinds)}).all()
    for operation, kind, required_id in rows:
        problem = operation_problem(
            "dependency_failed",
            f"The {kind} that must come first has failed.",
            remedy=f"See operation {required_id}.",
        )
        refuse(session, operation, problem)
    return len(rows)


def refuse(session: Session, operation: Operation, problem: dict[str, object]) -> None:
    """End an operation of which nothing was sent."""
    operation.state, operation.problem = OperationState.REFUSED, problem
    operation.ended_at, operation.waits_for = now(), None
    session.add(operation)
    EFFECTS[operation.kind].on_failed(session, operation)
    mark(operation, "refused", since=operation.recorded_at, failed=str(problem["code"]))
    log.warning("operation_refused", operation=str(operation.id), kind=operation.kind, **problem)


def note_waiting(session: Session, rows: Sequence[UUID], problem: Mapping[str, object]) -> None:
    """Write down what operations that have not failed wait for, where that is not said yet.

    Told in the log when the code is another one: figures in its detail may change every turn.
    """
    _note(session, [col(Operation.id).in_(rows), col(Operation.state).in_(_OPEN)], problem)


def note_standstill(session: Session, problem: Mapping[str, object]) -> None:
    """Let everything that could be sent say why nothing is."""
    _note(session, [_IS_READY], problem)


def _note(
    session: Session, those: Sequence[ColumnElement[bool]], problem: Mapping[str, object]
) -> None:
    told = dict(problem)
    waiting = session.exec(
        select(Operation.id, _CODE)
        .where(*those, col(Operation.waits_for).is_distinct_from(told))
        .with_for_update(skip_locked=True)
    ).all()
    if not waiting:
        return
    changed = among(col(Operation.id), [row_id for row_id, _ in waiting])
    session.execute(update(Operation).where(changed).values(waits_for=told))
    anew = [row_id for row_id, code in waiting if code != told["code"]]
    if anew:
        log.warning("operation_waits", operation=str(anew[0]), rows=len(anew), **told)


def forget_waiting(session: Session, codes: Collection[str]) -> None:
    """Take back what planned operations say that they wait for: it has ended."""
    ended = (
        select(Operation.id)
        .where(col(Operation.state) == OperationState.PLANNED, _CODE.in_(codes))
        .with_for_update(skip_locked=True)
    )
    session.execute(
        update(Operation).where(col(Operation.id).in_(ended)).values(waits_for=None),
        execution_options={"synchronize_session": False},
    )


def key_problem(fault: ChainError) -> dict[str, object]:
    """Say why a key does not sign, in the form of an operation's problem."""
    if isinstance(fault, SignerUnavailable):
        return operation_problem(
            "signer_unavailable", str(fault), remedy="It goes on when the service answers."
        )
    return operation_problem(
        "signer_refused", str(fault), remedy="Allow the service to use the key."
    )


def nonce_ahead_problem(fault: NonceAhead, left_open: Sequence[str]) -> dict[str, object]:
    """Say that a key has sent what the database does not know, as an operation's problem.

    Parameters
    ----------
    left_open
        What of that is not explained.
    """
    return operation_problem(
        "nonce_ahead",
        str(fault),
        remedy="It goes on by itself where that is ours; else see: milkiyat operations rebuild",
        unexplained=list(left_open[:MOST_TOLD]),
    )


def wrong_chain_problem(fault: WrongChain) -> dict[str, object]:
    """Say that the node serves another chain, in the form of an operation's problem."""
    return operation_problem(
        "wrong_chain", str(fault), remedy="It goes on when RPC_URL serves the chain of CHAIN_ID."
    )


def problem_of(refused: RegistryError) -> dict[str, object]:
    """Say what the register refused, as an operation's problem."""
    return operation_problem(refused.code, refused.detail, remedy=refused.remedy)


def revert_problem(reverted: Reverted) -> dict[str, object]:
    """Say what a contract refused, or that no block holds it, as an operation's problem."""
    if isinstance(reverted, OutOfGas):
        return operation_problem(
            "call_out_of_gas",
            f"It takes more gas than a transaction may: {reverted.name.rstrip('.')}.",
            remedy="Let the node allow calls as much gas as a block has, then plan it anew.",
        )
    return operation_problem(
        "call_would_revert",
        f"The contract refuses this: {reverted.name.rstrip('.')}.",
        selector=reverted.selector,
        arguments=reverted.arguments,
    )


def revert_in_doubt_problem(reverted: Reverted) -> dict[str, object]:
    """Say that a revert is not believed yet."""
    return operation_problem(
        "revert_in_doubt",
        f"It reverts, and something of ours is not mined yet: {reverted.name.rstrip('.')}.",
        remedy="It is judged again once everything of our keys is mined.",
    )


def node_behind_problem(behind: ChainError) -> dict[str, object]:
    """Say that the node judged it on an old block."""
    return operation_problem(
        "node_behind",
        f"The node has not come as far as it had before: {behind}.",
        remedy="It goes on when the node of RPC_URL has caught up.",
    )


def node_refuses_problem(refused: RpcRefused) -> dict[str, object]:
    """Say what the node answers in place of what the call would take."""
    return operation_problem(
        "node_refuses",
        f"The node answers {refused}.",
        remedy="It is asked again. If that does not end, look at the node of RPC_URL.",
    )


def too_early_problem(reverted: Reverted) -> dict[str, object]:
    """Say that the chain's clock must move on first."""
    return operation_problem(
        "chain_clock_too_early",
        f"In this second the contract refuses it: {reverted.name.rstrip('.')}.",
        remedy="It goes on by itself with a block of a later second.",
    )
