"""The journal's root, carried to the RegistryAnchor."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from chain.contracts.abi import contract
from chain.contracts.platform import platform_address
from chain.node.client import Receipt, bytes_of
from chain.operations.effect import Call, Chain, PlainEffect
from registry.anchor import service as anchors
from registry.operation.models import Operation


class AnchorJournal(PlainEffect):
    """Calls `RegistryAnchor.anchor`; a tree that the contract has already, or had, reverts."""

    def check(self, session: Session, operation: Operation) -> None:
        """Refuse a root that is not the journal's any more: it would stand there for ever."""
        anchors.require_sealed(session, _size(operation), _root(operation))

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        return Call(
            to=bytes_of(platform_address(session, chain.chain_id, anchors.CONTRACT)),
            data=contract(anchors.CONTRACT)
            .functions["anchor"]
            .encode(anchors.LOG, _size(operation), _root(operation)),
        )

    def read_result(self, operation: Operation, receipt: Receipt) -> dict[str, Any]:
        """Tell in which block its event is looked for."""
        return {"block_number": receipt.block_number}


def _size(operation: Operation) -> int:
    return int(operation.params["tree_size"])


def _root(operation: Operation) -> bytes:
    return bytes.fromhex(operation.params["root"])
