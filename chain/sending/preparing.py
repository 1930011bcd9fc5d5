"""Building and pricing the call of what is planned, before a nonce is taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from chain.errors import MustWait, OutOfGas, Reverted, SignerRefused, SignerUnavailable
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.sending.fees import Fees, Market, Priced
from chain.sending.nonces import Nonces
from chain.sending.outbox import (
    key_problem,
    node_behind_problem,
    revert_in_doubt_problem,
    too_early_problem,
)
from chain.sending.second_look import NodeBehind, confirm_revert
from chain.sending.steps import step
from chain.sending.trailer import estimable
from chain.signing.port import Signer
from registry.kernel.db import Database
from registry.kernel.rows import among
from registry.operation.models import Operation


class Preparing:
    """Prepares what one key is to send.

    Parameters
    ----------
    signer, fees
        Of the same key.
    """

    def __init__(self, database: Database, chain: Chain, signer: Signer, *, fees: Fees) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._fees = fees
        self._market: Market | None = None

    def begin_turn(self) -> Market:
        """Ask the chain what it asks for; everything is priced by that until the next turn."""
        self._market = self._fees.look()
        return self._market

    def prepare(self, rows: Sequence[UUID]) -> Priced:
        """Give the one call that does these, and what it may take.

        Raises
        ------
        Reverted
            It would revert, and nothing of ours that is on its way can change that; or it is a
            batch, which is halved first.
        MustWait
            It may be sent later.
        RpcRefused
            The node's own trouble.
        RegistryError
            Some row's record is gone or ended.
        """
        with step(self._database, "prepare", rows):
            call, in_order = self._call(rows)
            return self._price(call, len(rows), in_order=in_order)

    def _call(self, rows: Sequence[UUID]) -> tuple[Call, bool]:
        """Give the call, and whether its rows may not go without one that stands before them."""
        try:
            with self._database.transaction() as session:
                found = load(session, rows)
                effect = EFFECTS[found[0].kind]
                if len(found) == 1:
                    return effect.prepare(session, self._chain, found[0]), True
                in_order = effect.lane(found[0]) is not None
                return effect.fold(session, self._chain, found), in_order
        except (SignerUnavailable, SignerRefused) as fault:
            # The claim key: whoever sends would have to ask it.
            raise MustWait(key_problem(fault)) from fault

    def _price(self, call: Call, rows: int, *, in_order: bool) -> Priced:
        """Price a call; what reverts is judged only when nothing of ours is on its way.

        A batch need not wait for that: it is halved, its good rows go, and only a bad one waits.
        """
        market = self._market or self.begin_turn()
        try:
            return self._fees.price(call, market, rows=rows)
        except Reverted as reverted:
            if not self._all_told():
                if in_order:
                    raise MustWait(revert_in_doubt_problem(reverted)) from None
                raise self._judged(reverted, call, rows) from None
        # One of ours may have been mined between the two looks; now nothing is on its way.
        try:
            return self._fees.price(call, market, rows=rows)
        except Reverted as reverted:
            raise self._judged(reverted, call, rows) from None

    def _judged(self, reverted: Reverted, call: Call, rows: int) -> Reverted | MustWait:
        """Say whether a revert is one, or what is to be waited for."""
        if isinstance(reverted, OutOfGas):
            # Without a transaction's limit it might run to its end, and never in a block.
            return reverted
        whole = estimable(call, rows)
        try:
            confirm_revert(self._database, self._chain, self._signer.address, whole)
        except NodeBehind as behind:
            # Where there are several nodes, another one is asked the next time.
            self._chain.client.move_on(str(behind))
            return MustWait(node_behind_problem(behind))
        if reverted.name in call.too_early:
            return MustWait(too_early_problem(reverted))
        return reverted

    def _all_told(self) -> bool:
        """Tell whether chain and database know the same of every key of ours."""
        return all(
            Nonces(self._database, self._chain, key).is_told() for key in self._chain.senders
        )


def load(session: Session, rows: Sequence[UUID]) -> Sequence[Operation]:
    """Give operations in the order of planning, which is the order of their ids."""
    return session.exec(
        select(Operation).where(among(col(Operation.id), rows)).order_by(col(Operation.id))
    ).all()
