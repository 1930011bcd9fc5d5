"""The chain's own money of each key: what is left for the next call, and how long it lasts."""

from __future__ import annotations

import structlog
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import Session, col, select

from chain.errors import MustWait
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.sending.fees import Fees, Market
from chain.signing.port import Signer
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation.errors import operation_problem
from registry.operation.models import (
    NonceStream,
    Operation,
    OperationAttempt,
    SignerWatch,
)

log = structlog.get_logger()

TYPICAL_GAS = 300_000
"""Of an operation of a key that has sent none yet: a mint with its checks, rounded up."""

SAMPLE = 50
"""So many of its last operations tell what the next one takes."""


class Purse:
    """What one key can still spend, in one turn of the worker.

    Parameters
    ----------
    left_wei : int
        Its balance, without what is signed and not mined.
    """

    def __init__(self, left_wei: int) -> None:
        self.left_wei = left_wei

    def require(self, signer: Signer, cost_wei: int) -> None:
        """Make sure that the key can pay.

        Raises
        ------
        MustWait
            ``signer_out_of_funds``; another key of the pool may have more.
        """
        if cost_wei > self.left_wei:
            raise MustWait(funds_problem(signer, cost_wei, self.left_wei), of_key=True)

    def spend(self, cost_wei: int) -> None:
        self.left_wei -= cost_wei


def funds_problem(signer: Signer, cost_wei: int, left_wei: int) -> dict[str, object]:
    """Say that a key cannot pay, in the form of an operation's problem."""
    return operation_problem(
        "signer_out_of_funds",
        f"It may cost {cost_wei} wei; {hex_of(signer.address)} has {max(left_wei, 0)} to spare.",
        remedy="It goes on when that address is funded.",
    )


class FundsWatch:
    """Tells before a key runs out of money.

    Parameters
    ----------
    wanted_operations : int
        For so many more operations the money is to last.
    """

    def __init__(self, database: Database, chain: Chain, *, wanted_operations: int) -> None:
        self._database = database
        self._chain = chain
        self._wanted = wanted_operations

    def look(self) -> None:
        """Write down how every key stands, and warn of those that have too little.

        Raises
        ------
        RpcUnavailable, RpcRefused
            The node is away.
        """
        for signer in self._chain.senders:
            fees = Fees(self._chain.client, self._chain.fees, signer.address)
            self._look_at(signer, fees.look())

    def _look_at(self, signer: Signer, market: Market) -> None:
        balance = market.balance_wei
        # Before our own counter: what is sent between the two looks is no gap.
        chain_nonce = self._chain.client.nonce(signer.address)
        per_gas = market.fee.max_fee_wei if market.fee else market.due_wei
        with self._database.transaction() as session:
            watch = open_watch(session, self._chain, signer)
            watch.balance_wei = balance
            watch.operation_cost_wei = _typical_gas(session, signer) * per_gas
            watch.wanted_operations = self._wanted
            stream = session.get(NonceStream, (self._chain.chain_id, signer.address))
            watch.chain_nonce = chain_nonce
            watch.next_nonce = stream.next_nonce if stream else None
            watch.watched_at = now()
            session.add(watch)
            is_low, roles = watch.is_low, watch.roles
            lasts = balance // watch.operation_cost_wei if watch.operation_cost_wei else None
        if is_low:
            log.warning(
                "signer_funds_low",
                signer=hex_of(signer.address),
                roles=roles,
                balance_wei=balance,
                lasts_operations=lasts,
                wanted_operations=self._wanted,
            )


def open_watch(session: Session, chain: Chain, signer: Signer) -> SignerWatch:
    """Return the row of a key, locked; made where there is none."""
    identity = (chain.chain_id, signer.address)
    roles = ",".join(chain.roles(signer))
    session.execute(
        upsert(SignerWatch)
        .values(
            chain_id=chain.chain_id,
            signer=signer.address,
            roles=roles,
            balance_wei=0,
            operation_cost_wei=0,
            wanted_operations=0,
            watched_at=now(),
        )
        .on_conflict_do_update(index_elements=["chain_id", "signer"], set_={"roles": roles})
    )
    return session.get_one(SignerWatch, identity, with_for_update=True, populate_existing=True)


def _typical_gas(session: Session, signer: Signer) -> int:
    last = (
        select(col(OperationAttempt.gas).label("gas"))
        .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
        .where(col(Operation.signer) == signer.address)
        .order_by(col(OperationAttempt.signed_at).desc())
        .limit(SAMPLE)
        .subquery()
    )
    average = session.exec(select(func.avg(last.c.gas))).one()
    return max(int(average or 0), TYPICAL_GAS)
