"""The identity of an investor, which their wallets are linked to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from eth_utils.crypto import keccak
from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import ZERO_ADDRESS, platform_address
from chain.errors import RpcInconsistent
from chain.node.client import Receipt, bytes_of, call_params
from chain.operations.effect import Call, Chain, PlainEffect
from chain.operations.wallets import wallets_of
from chain.signing.policies import SignerRole
from registry.investor.models import Wallet
from registry.investor.wallets import record_identity
from registry.operation.models import Operation


class CreateIdentity(PlainEffect):
    """Calls `IdentityFactory.open`.

    The identity stands for the person, not for the wallet: another wallet of the same investor
    is linked to the same identity.
    """

    role = SignerRole.AGENT

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        wallet = session.get_one(Wallet, UUID(operation.params["wallet_id"]))
        salt = identity_salt(wallet.investor_id)
        open_identity = contract("IdentityFactory").functions["open"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "IdentityFactory")),
            data=open_identity.encode(salt, operation.params["wallet"]),
        )

    def batch_key(self, operation: Operation) -> str:
        return "people"

    def fold(self, session: Session, chain: Chain, operations: Sequence[Operation]) -> Call:
        """Have the desk open them: it registers nobody where it is given no registry."""
        people = [
            (identity_salt(wallet.investor_id), operation.params["wallet"], 0)
            for operation, wallet in zip(operations, wallets_of(session, operations), strict=True)
        ]
        enrol = contract("RegistrationDesk").functions["enrol"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "RegistrationDesk")),
            data=enrol.encode(ZERO_ADDRESS, people, [], b""),
        )

    def all_mined(
        self, session: Session, chain: Chain, operations: Sequence[Operation], receipt: Receipt
    ) -> None:
        """Ask the factory: to open an identity that stands already is no error, and no event.

        Raises
        ------
        RpcInconsistent
            The factory does not know the wallet.
        """
        link_of = contract("IdentityFactory").functions["linkOf"]
        factory = bytes_of(platform_address(session, chain.chain_id, "IdentityFactory"))
        calls = [link_of.encode(operation.params["wallet"]) for operation in operations]
        answers = chain.client.batch(
            [("eth_call", call_params(factory, call, None, "latest")) for call in calls]
        )
        wallets = wallets_of(session, operations)
        for operation, wallet, answer in zip(operations, wallets, answers, strict=True):
            identity, _ = link_of.decode(bytes_of(answer))
            if identity == ZERO_ADDRESS:
                raise RpcInconsistent("the identity was opened, and the factory does not know it")
            operation.result = {"identity": identity}
            session.add(operation)
            record_identity(session, wallet, bytes_of(identity))


def identity_salt(investor_id: UUID) -> bytes:
    """Give the 32 bytes that stand for an investor at the factory, and tell nothing about them."""
    return keccak(text=f"investor:{investor_id}")
