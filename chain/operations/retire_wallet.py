"""Taking a lost wallet out of use, for every token at once."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from registry.case import execution
from registry.operation.models import Operation


class RetireWallet(PlainEffect):
    """Calls `IdentityFactory.retire`: the wallet is no key of its identity any more."""

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        retire = contract("IdentityFactory").functions["retire"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "IdentityFactory")),
            data=retire.encode(operation.params["wallet"]),
        )

    def on_final(self, session: Session, operation: Operation) -> None:
        execution.confirm_retired(session, operation)

    def on_failed(self, session: Session, operation: Operation) -> None:
        execution.follow_case(session, UUID(operation.params["case_id"]))
