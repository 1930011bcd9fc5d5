"""How keys stand: what was given out to each, what of it is on its way, and what that may cost."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import BindParameter, bindparam, exists, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from registry.operation.models import (
    IN_FLIGHT,
    NonceStream,
    Operation,
    OperationAttempt,
    OperationState,
)

# Made once: an alias of a table takes longer to make than the database to answer.
_LATER = aliased(OperationAttempt)
IS_LAST_ATTEMPT = ~exists().where(
    col(_LATER.operation_id) == col(OperationAttempt.operation_id),
    col(_LATER.seq) > col(OperationAttempt.seq),
)
"""Of a statement that selects attempts: there is no later one of the same operation."""

_KEYS: BindParameter[Collection[bytes]] = bindparam("keys", expanding=True)
_FLYING = (
    select(func.count())
    .where(col(Operation.signer) == col(NonceStream.signer), col(Operation.state).in_(IN_FLIGHT))
    .scalar_subquery()
)
_COMMITTED = (
    select(
        func.coalesce(func.sum(col(OperationAttempt.gas) * col(OperationAttempt.max_fee_wei)), 0)
    )
    .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
    .where(
        col(Operation.signer) == col(NonceStream.signer),
        col(Operation.state).in_([OperationState.SIGNED, OperationState.BROADCAST]),
        IS_LAST_ATTEMPT,
    )
    .scalar_subquery()
)
_STANDINGS = select(
    col(NonceStream.signer), col(NonceStream.next_nonce), _FLYING, _COMMITTED
).where(col(NonceStream.chain_id) == bindparam("chain_id"), col(NonceStream.signer).in_(_KEYS))


@dataclass(frozen=True, slots=True)
class Standing:
    """How one key stands in the database.

    Parameters
    ----------
    given_out : int
        Nonces.
    flying : int
        Transactions that are signed and not final.
    committed_wei : int
        The most that those of them may cost that are not mined.
    """

    given_out: int
    flying: int
    committed_wei: int


def standing_of(session: Session, chain_id: int, keys: Collection[bytes]) -> dict[bytes, Standing]:
    """Tell how keys stand; of those that have ever sent anything."""
    rows = session.connection().execute(_STANDINGS, {"chain_id": chain_id, "keys": list(keys)})
    return {
        bytes(signer): Standing(given_out, flying, int(committed))
        for signer, given_out, flying, committed in rows
    }
