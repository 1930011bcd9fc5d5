"""A call that stands alone, sent with one transaction and two round trips to the node (ADR 0054).

Somebody waits, and nothing else is ready: then nothing is prepared ahead of the transaction that
signs, but in it. The stream of nonces is held while the node is asked, once, for what it is asked
for in three goes on the long way. Nothing is judged here: what does not go smoothly leaves no
trace, and is begun anew on the long way.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from sqlalchemy import BigInteger, LargeBinary, bindparam, insert, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col

from chain.errors import RpcUnavailable, WrongChain
from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.sending.attempts import Attempts
from chain.sending.fees import Fees
from chain.sending.funds import Purse
from chain.sending.nonces import Nonces, require_known
from chain.sending.outbox import claim_ready
from chain.sending.pool import Group, Pool
from chain.sending.standing import Standing, standing_of
from chain.sending.steps import step
from chain.signing.port import Signer
from registry.kernel import failpoints
from registry.kernel.db import Database
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)

log = structlog.get_logger()

_BOUND = (
    update(Operation)
    .where(col(Operation.id) == bindparam("owner"))
    .values(
        state=OperationState.SIGNED,
        signer=bindparam("by", type_=LargeBinary),
        nonce=bindparam("at_nonce", type_=BigInteger),
        ended_at=None,
        waits_for=None,
    )
    .cte("bound")
)
_STORED = insert(OperationAttempt).add_cte(_BOUND)


class ShortWay:
    """Sends what one key is to send, where that is one call.

    Parameters
    ----------
    signer
        One of the chain's senders.
    pool, nonces, fees, attempts
        Of the same key.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        signer: Signer,
        *,
        pool: Pool,
        nonces: Nonces,
        fees: Fees,
        attempts: Attempts,
    ) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._pool = pool
        self._nonces = nonces
        self._fees = fees
        self._attempts = attempts

    def send(self) -> int | None:
        """Send the one call that is ready.

        Returns
        -------
        int or None
            Operations that moved; None where the long way is to look.

        Raises
        ------
        WrongChain, RpcUnavailable
            The node serves another chain, or is away; nothing is lost.
        """
        try:
            with self._database.transaction() as session:
                ready = claim_ready(session, self._pool.ready_kinds(session), 2)
                if len(ready) > 1 or any(each.kind == OperationKind.BATCH for each in ready):
                    return None
                attempt = self._sign_one(session, ready[0]) if ready else None
        except (OperationalError, RpcUnavailable, WrongChain):
            raise
        except Exception as fault:  # noqa: BLE001 (a bug as well: the long way meets it, and tells)
            log.debug("long_way", reason=repr(fault))
            return None
        if attempt is None:
            return 0
        failpoints.reach("after_sign_commit")
        self._attempts.broadcast([attempt])
        return 1

    def _sign_one(self, session: Session, operation: Operation) -> OperationAttempt | None:
        """Prepare, sign and store; None where another key of the pool is to send it."""
        keys = [key.address for key in self._chain.senders]
        standing = standing_of(session, self._chain.chain_id, keys)
        flying = {key: each.flying for key, each in standing.items()}
        if not self._pool.share(session, [Group(operation.kind, [operation.id])], flying):
            return None
        with step(self._database, "prepare", [operation.id]):
            call = EFFECTS[operation.kind].prepare(session, self._chain, operation)
        with step(self._database, "sign", [operation.id]) as spans:
            attempt = self._sign(session, operation, call, standing)
            spans.note(tx=hex_of(attempt.tx_hash))
        return attempt

    def _sign(
        self,
        session: Session,
        operation: Operation,
        call: Call,
        standing: Mapping[bytes, Standing],
    ) -> OperationAttempt:
        nonce = self._nonces.count_on(session, 1)
        assert nonce is not None, "a key without stream has sent nothing: the long way opens it"
        market, priced = self._fees.price_at_once(call)
        given_out = {key: each.given_out for key, each in standing.items()}
        require_known(session, given_out | {self._signer.address: nonce}, market.nonces_used)
        committed = standing[self._signer.address].committed_wei
        Purse(market.balance_wei - committed).require(self._signer, priced.cost_wei)
        for refusal in EFFECTS[operation.kind].refusals(session, [operation]).values():
            raise refusal
        # Written below, with the attempt, and not by the session once more.
        session.expunge(operation)
        operation.signer, operation.nonce = self._signer.address, nonce
        attempt = self._attempts.make(session, operation, priced, is_first=True)
        _store(session, operation, attempt)
        failpoints.reach("before_sign_commit")
        return attempt


def _store(session: Session, operation: Operation, attempt: OperationAttempt) -> None:
    """Write the nonce of an operation and its first signed bytes, with one statement."""
    given = attempt.model_dump() | {"owner": operation.id}
    given |= {"by": operation.signer, "at_nonce": operation.nonce}
    session.connection().execute(_STORED, given)
