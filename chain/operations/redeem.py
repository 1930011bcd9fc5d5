"""Burning the fractions that a redemption has paid for, or whose sale was given up."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chain.operations.agent import agent_call
from chain.operations.effect import Call, Chain, PlainEffect
from registry.case.repository import chain_id_of
from registry.offering import rescinding
from registry.operation.models import Operation
from registry.redemption import burning
from registry.tokenization import service as tokenizations


class Redeem(PlainEffect):
    """Calls `CaseAgent.burn`, with the redemption or the sale as the case, and a number in it."""

    def check(self, session: Session, operation: Operation) -> None:
        if "redemption_id" in operation.params:
            burning.require_burnable(session, operation)
        else:
            rescinding.require_burnable(session, operation)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        said = operation.params
        suite = tokenizations.get_tokenization(session, UUID(said["tokenization_id"])).suite
        assert suite is not None, "what is redeemed was deployed"
        case_id = chain_id_of(UUID(said.get("redemption_id") or said["offering_id"]))
        acted = (case_id, said["number"], suite["token"], said["wallet"], int(said["units"]))
        return agent_call(session, chain, "burn", *acted)
