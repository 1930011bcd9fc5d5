"""What the platform's contracts log that serve all tokens: claims, settlements, anchored roots.

Every event of theirs is kept as it was said. An ONCHAINID that somebody else's factory made logs
its claims itself, at an address of its own for each person; those are not watched (ADR 0040).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from chain.contracts.abi import contract
from chain.node.client import Log, bytes_of, hex_of
from chain.sync.decode import UndecodableLog, written
from registry.captable.events import ProjectedContractEvent

CONTRACTS = ("ClaimStore", "ClaimIssuer", "Settlement", "RegistryAnchor")
"""Names of the contracts, as `chain.contracts.platform` deploys them."""
_SUBJECTS: Mapping[str, str] = {
    "ClaimIssued": "identity",
    "ClaimRevoked": "identity",
    "NonceCancelled": "party",
}
"""The argument that names whom an event is about, where there is one to be looked for."""


def read_contract_event(log: Log, name: str) -> list[ProjectedContractEvent]:
    """Decode a log of the contract `name`; nothing where its ABI does not have the event.

    Raises
    ------
    UndecodableLog
        Topics or data are not those of the event.
    """
    event = _by_topic(name).get(log.topics[0]) if log.topics else None
    if event is None:
        return []
    try:
        said = contract(name).events[event].decode(log)
    except ValueError as error:
        raise UndecodableLog(f"{event} of {hex_of(log.address)}: {error}") from error
    subject = _SUBJECTS.get(event)
    return [
        ProjectedContractEvent(
            address=log.address,
            block_number=log.block_number,
            log_index=log.log_index,
            tx_hash=log.tx_hash,
            event=event,
            subject=bytes_of(said[subject]) if subject else None,
            said={argument: written(value) for argument, value in said.items()},
        )
    ]


@cache
def _by_topic(name: str) -> dict[bytes, str]:
    return {event.topic: event.name for event in contract(name).events.values()}
