"""Taking a wallet out of use, for every token at once."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from registry.case import execution
from registry.investor import wallets
from registry.operation.models import Operation
from registry.wallet_removal import service as wallet_removal


class RetireWallet(PlainEffect):
    """Calls `IdentityFactory.retire`: the wallet is no key of its identity any more.

    A recovery retires a lost wallet as its last step; else its owner gives up an empty one.
    """

    def check(self, session: Session, operation: Operation) -> None:
        if not _is_of_case(operation):
            wallet_removal.require_removable(session, operation)

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        retire = contract("IdentityFactory").functions["retire"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "IdentityFactory")),
            data=retire.encode(operation.params["wallet"]),
        )

    def on_final(self, session: Session, operation: Operation) -> None:
        if _is_of_case(operation):
            execution.confirm_retired(session, operation)
        else:
            wallets.retire_wallet(session, UUID(operation.params["wallet_id"]))

    def on_failed(self, session: Session, operation: Operation) -> None:
        if _is_of_case(operation):
            execution.follow_case(session, UUID(operation.params["case_id"]))
        else:
            wallet_removal.keep_wallet(session, operation)


def _is_of_case(operation: Operation) -> bool:
    return "case_id" in operation.params
