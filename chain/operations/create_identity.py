"""An ONCHAINID for an investor's wallet, managed by the platform so that it needs no gas."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eth_abi.abi import encode
from eth_utils.crypto import keccak
from sqlmodel import Session

from chain.abi import contract
from chain.client import Receipt, bytes_of, hex_of
from chain.errors import RpcInconsistent
from chain.operations.effect import Call, Chain, PlainEffect
from chain.platform import platform_address
from registry.investor.models import Wallet
from registry.operation.models import Operation


class CreateIdentity(PlainEffect):
    """Calls `IdFactory.createIdentityWithManagementKeys`.

    With `createIdentity` the investor would hold the only management key, and the platform
    could never put the claim on it (`erc3643-facts` section 4).
    """

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        wallet = operation.params["wallet"]
        manager = keccak(encode(["address"], [hex_of(chain.platform.address)]))
        factory = contract("IdFactory").functions["createIdentityWithManagementKeys"]
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, "IdFactory")),
            data=factory.encode(wallet, f"wallet:{wallet.lower()}", [manager]),
        )

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        linked = contract("IdFactory").events["WalletLinked"]
        for log in receipt.logs:
            if log.topics[0] == linked.topic:
                return {"identity": str(linked.decode(log)["identity"])}
        raise RpcInconsistent("the receipt of createIdentity holds no WalletLinked event")

    def on_mined(self, session: Session, chain: Chain, operation: Operation) -> None:
        wallet = session.get_one(Wallet, UUID(operation.params["wallet_id"]))
        wallet.identity = bytes_of(operation.result["identity"])
        session.add(wallet)
