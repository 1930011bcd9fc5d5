"""Who may do what to a token, and by which rules: the logs that change it (T-REX 4.1.6).

Agents of the token itself have kinds of their own (`chain.sync.decode`), since forced transfers are
told apart by them. Everything here is kept as it was said, by the name of its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from chain.contracts.abi import contract
from chain.node.client import Log, hex_of
from chain.sync.decode import UndecodableLog, written
from registry.captable.events import ProjectedEvent
from registry.captable.models import EventKind

_NAMES: Mapping[str, frozenset[str]] = {
    "Token": frozenset(
        {
            "OwnershipTransferred",
            "IdentityRegistryAdded",
            "ComplianceAdded",
            "UpdatedTokenInformation",
        }
    ),
    "IdentityRegistry": frozenset(
        {
            "OwnershipTransferred",
            "AgentAdded",
            "AgentRemoved",
            "ClaimTopicsRegistrySet",
            "IdentityStorageSet",
            "TrustedIssuersRegistrySet",
        }
    ),
    "ModularCompliance": frozenset(
        {
            "OwnershipTransferred",
            "ModuleAdded",
            "ModuleRemoved",
            "ModuleInteraction",
            "TokenBound",
            "TokenUnbound",
        }
    ),
}


def read_control(log: Log, token: bytes, name: str) -> ProjectedEvent | None:
    """Decode a change of control over a token; None for other logs.

    Parameters
    ----------
    name
        Which contract of the token's suite wrote the log.

    Raises
    ------
    UndecodableLog
        Topics or data are not those of the event.
    """
    event = _by_topic(name).get(log.topics[0]) if log.topics else None
    if event is None:
        return None
    try:
        said = contract(name).events[event].decode(log)
    except ValueError as error:
        said_by = f"{event} of {hex_of(log.address)}: {error}"
        raise UndecodableLog(said_by, log.address) from error
    return ProjectedEvent(
        token=token,
        block_number=log.block_number,
        log_index=log.log_index,
        tx_hash=log.tx_hash,
        kind=EventKind.CONTROL,
        extra={
            "contract": name,
            "event": event,
            "said": {argument.lstrip("_"): written(value) for argument, value in said.items()},
        },
    )


@cache
def _by_topic(name: str) -> dict[bytes, str]:
    events = contract(name).events
    return {events[event].topic: event for event in _NAMES[name]}
