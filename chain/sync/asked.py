"""What T-REX 4.1.6 does not log, read from what the transaction itself asked for.

`IdentityUpdated` names no wallet, `ModuleInteraction` no arguments, and `IdentityRegistered` no
country, which the registry tells while the node has the state (`chain.sync.countries`). Where a
transaction calls the contract directly, its data has them; where it goes by way of another
contract, they stay unknown, and what is unknown is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import structlog

from chain.contracts.abi import Function, contract
from chain.contracts.decoding import Garbled, decode
from chain.contracts.platform import RULE_MODULES
from chain.errors import NotKept
from chain.node.client import ChainClient, Log, Sent, bytes_of
from chain.sync.decode import written
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind

log = structlog.get_logger()

SETTLED_BLOCKS = 64
"""Below the head: hardly ever taken back, and of a state that every node still has (128 blocks)."""

_MODULES = (*RULE_MODULES, "TitleStatusModule")


def transactions_of(client: ChainClient, said: Iterable[Log | ProjectedEvent]) -> dict[bytes, Sent]:
    """Return the transactions of logs, by their hashes; without those that no node has kept.

    Raises
    ------
    NotKept
        One is missing of a block so near to the head that the node may yet come to it.
    """
    mined = {each.tx_hash: each.block_number for each in said}
    if not mined:
        return {}
    kept = client.kept_transactions(mined)
    lost = {each: number for each, number in mined.items() if each not in kept}
    if lost:
        if max(lost.values()) > client.block_number() - SETTLED_BLOCKS:
            raise NotKept(f"the node does not know {len(lost)} transactions whose logs it gave")
        log.warning("transactions_not_kept", count=len(lost), newest_block=max(lost.values()))
    return kept


def is_half_told(event: ProjectedEvent) -> bool:
    """Tell whether a log of this kind leaves out what it was about."""
    if event.kind == EventKind.IDENTITY_UPDATED:
        return True
    return event.kind == EventKind.CONTROL and (event.extra or {})["event"] == "ModuleInteraction"


def told_whole(sent: Sent | None, event: ProjectedEvent, entry: Log) -> ProjectedEvent:
    """Add the wallet, or the function and its arguments, to an event that is half told."""
    if event.kind == EventKind.IDENTITY_UPDATED:
        wallet = None if sent is None else _updated(sent, event, entry)
        return event if wallet is None else msgspec.structs.replace(event, target=wallet)
    data = sent.data if sent is not None and sent.to == entry.address else b""
    assert event.extra is not None
    said = event.extra["said"] | _interaction(event.extra["said"]["selector"], data)
    return msgspec.structs.replace(event, extra=event.extra | {"said": said})


def _updated(sent: Sent, event: ProjectedEvent, entry: Log) -> bytes | None:
    """Tell whose identity a transaction replaced: by the registry itself, or by way of it."""
    if entry.topics[0] == _MODIFIED and sent.to == entry.address:
        function = contract("IdentityRegistryStorage").functions["modifyStoredIdentity"]
    elif entry.topics[0] == _MODIFIED or sent.to == entry.address:
        function = contract("IdentityRegistry").functions["updateIdentity"]
    else:
        return None
    asked = _arguments(function, sent.data)
    if asked is None or bytes_of(asked[1]).hex() != (event.extra or {})["identity"]:
        return None
    return bytes_of(asked[0])


_MODIFIED = contract("IdentityRegistryStorage").events["IdentityModified"].topic


def asked_countries(data: bytes) -> dict[bytes, int]:
    """Return the country of each wallet that a call of an identity registry registers."""
    functions = contract("IdentityRegistry").functions
    one = _arguments(functions["registerIdentity"], data)
    if one is not None:
        return {bytes_of(one[0]): one[2]}
    many = _arguments(functions["batchRegisterIdentity"], data)
    return {} if many is None else dict(zip(map(bytes_of, many[0]), many[2], strict=False))


def _interaction(selector: str, data: bytes) -> dict[str, str]:
    function = _module_functions().get(bytes_of(selector))
    if function is None:
        return {}
    asked = _arguments(contract("ModularCompliance").functions["callModuleFunction"], data)
    arguments = None if asked is None else _arguments(function, asked[0])
    if arguments is None:
        return {"function": function.name}
    return {"function": function.name, "arguments": ", ".join(map(written, arguments))}


def _arguments(function: Function, data: bytes) -> tuple[Any, ...] | None:
    """Return the arguments of a call; None where the data is no call of the function."""
    if data[:4] != function.selector:
        return None
    try:
        return decode(function.inputs, data[4:])
    except Garbled:
        return None


@cache
def _module_functions() -> dict[bytes, Function]:
    """Give the functions of the platform's rule modules, by their selectors."""
    return {
        function.selector: function
        for name in _MODULES
        for function in contract(name).functions.values()
    }
