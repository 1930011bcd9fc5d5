"""One step of the platform's deployment."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from chain.contracts.grants import grant_of
from chain.contracts.platform import BY_NAME, Places, platform_address
from chain.node.client import Receipt, bytes_of, hex_of
from chain.operations.effect import Call, Chain, PlainEffect
from registry.operation.models import Operation, PlatformContract


class PlatformStep(PlainEffect):
    """Creates a contract of the platform, wires two of them, or grants a key its role."""

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        grant = grant_of(operation)
        if grant is not None:
            right, account = grant
            place = platform_address(session, chain.chain_id, right.contract)
            return Call(to=bytes_of(place), data=right.data(account))
        rows = session.exec(
            select(PlatformContract).where(col(PlatformContract.chain_id) == chain.chain_id)
        )
        places = Places(
            contracts={row.name: hex_of(row.address) for row in rows},
            platform=hex_of(chain.platform.address),
            claim_signer=hex_of(chain.claim_signer.address),
            confirmer=hex_of(chain.confirmer.address),
        )
        step = BY_NAME[operation.params["step"]]
        target = bytes_of(places[step.calls[0]]) if step.calls else None
        return Call(to=target, data=step.data(places))

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        created = receipt.contract_address
        return {"block_number": receipt.block_number} | (
            {"address": hex_of(created)} if created else {}
        )

    def on_mined(self, session: Session, chain: Chain, operation: Operation) -> None:
        if "address" in operation.result:
            session.merge(
                PlatformContract(
                    chain_id=chain.chain_id,
                    name=operation.params["step"],
                    address=bytes_of(operation.result["address"]),
                    block_number=operation.result["block_number"],
                )
            )
