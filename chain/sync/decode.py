"""From logs to facts: the one place that knows how T-REX 4.1.6 writes its events.

Everything else sees `ProjectedEvent`. A log that does not have exactly the topics and the data
of its event is refused, since somebody's own token may emit anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from chain.contracts.abi import contract
from chain.node.client import Log, bytes_of, hex_of
from registry.captable.events import ProjectedEvent, ProjectedToken
from registry.captable.models import EventKind, ForcedAct

ZERO = bytes(20)

Facts = dict[str, Any]


def _parties(source: bytes, target: bytes, units: int) -> Facts:
    return {
        "source": source if source != ZERO else None,
        "target": target if target != ZERO else None,
        "units": units,
    }


_TOKEN: Mapping[str, tuple[EventKind, Callable[[Facts], Facts]]] = {
    "Transfer": (
        EventKind.TRANSFER,
        lambda said: _parties(bytes_of(said["from"]), bytes_of(said["to"]), said["value"]),
    ),
    "AddressFrozen": (
        EventKind.ADDRESS_FROZEN,
        lambda said: {
            "target": bytes_of(said["_userAddress"]),
            "extra": {"frozen": said["_isFrozen"], "agent": said["_owner"]},
        },
    ),
    "TokensFrozen": (
        EventKind.TOKENS_FROZEN,
        lambda said: {"target": bytes_of(said["_userAddress"]), "units": said["_amount"]},
    ),
    "TokensUnfrozen": (
        EventKind.TOKENS_UNFROZEN,
        lambda said: {"target": bytes_of(said["_userAddress"]), "units": said["_amount"]},
    ),
    "Paused": (EventKind.PAUSED, lambda said: {"extra": {"agent": said["_userAddress"]}}),
    "Unpaused": (EventKind.UNPAUSED, lambda said: {"extra": {"agent": said["_userAddress"]}}),
    "AgentAdded": (EventKind.AGENT_ADDED, lambda said: {"target": bytes_of(said["_agent"])}),
    "AgentRemoved": (EventKind.AGENT_REMOVED, lambda said: {"target": bytes_of(said["_agent"])}),
    "RecoverySuccess": (
        EventKind.RECOVERY,
        lambda said: {
            "source": bytes_of(said["_lostWallet"]),
            "target": bytes_of(said["_newWallet"]),
        },
    ),
}
_REGISTRY: Mapping[str, tuple[EventKind, Callable[[Facts], Facts]]] = {
    "IdentityRegistered": (
        EventKind.IDENTITY_REGISTERED,
        lambda said: {
            "target": bytes_of(said["investorAddress"]),
            "extra": {"identity": bytes_of(said["identity"]).hex()},
        },
    ),
    "IdentityRemoved": (
        EventKind.IDENTITY_REMOVED,
        lambda said: {"target": bytes_of(said["investorAddress"])},
    ),
    "IdentityUpdated": (
        EventKind.IDENTITY_UPDATED,
        lambda said: {
            "extra": {
                "old_identity": bytes_of(said["oldIdentity"]).hex(),
                "identity": bytes_of(said["newIdentity"]).hex(),
            },
        },
    ),
    "CountryUpdated": (
        EventKind.COUNTRY_UPDATED,
        lambda said: {
            "target": bytes_of(said["investorAddress"]),
            "extra": {"country": said["country"]},
        },
    ),
}


_STORAGE: Mapping[str, tuple[EventKind, Callable[[Facts], Facts]]] = {
    "IdentityStored": _REGISTRY["IdentityRegistered"],
    "IdentityUnstored": _REGISTRY["IdentityRemoved"],
    "IdentityModified": _REGISTRY["IdentityUpdated"],
    "CountryModified": _REGISTRY["CountryUpdated"],
}
"""What a storage logs has the arguments of what a registry does, whichever registry was called."""
_BY_CONTRACT = {"Token": _TOKEN, "IdentityRegistry": _REGISTRY, "IdentityRegistryStorage": _STORAGE}


class UndecodableLog(Exception):
    """A contract of ours emitted something that its ABI does not have; read nothing past it.

    Parameters
    ----------
    address
        Of the contract, where it is a token's.
    """

    def __init__(self, said: str, address: bytes = b"") -> None:
        super().__init__(said)
        self.address = address


def read_event(log: Log, token: bytes, name: str) -> ProjectedEvent | None:
    """Decode a log of a token, its identity registry or storage; None where it moves nothing here.

    Parameters
    ----------
    name
        Which contract of the token's suite wrote the log.

    Raises
    ------
    UndecodableLog
        Topics or data are not those of the event.
    """
    readers = _BY_CONTRACT[name]
    event = _by_topic(name).get(log.topics[0]) if log.topics else None
    if event is None or event not in readers:
        return None
    kind, read = readers[event]
    try:
        facts = read(contract(name).events[event].decode(log))
    except ValueError as error:
        said = f"{event} of {hex_of(log.address)}: {error}"
        raise UndecodableLog(said, log.address) from error
    return ProjectedEvent(
        token=token,
        block_number=log.block_number,
        log_index=log.log_index,
        tx_hash=log.tx_hash,
        kind=kind,
        **facts,
    )


def written(value: Any) -> str:
    """Give an argument as it is kept: bytes in hex, and a text without NUL.

    The database takes no NUL, and whoever owns a token may log any text.
    """
    return hex_of(value) if isinstance(value, bytes) else str(value).replace("\0", "\ufffd")


def read_case_act(log: Log) -> ProjectedEvent | None:
    """Decode an act of the case agent; None for its other events.

    Raises
    ------
    UndecodableLog
        Topics or data are not those of the event.
    """
    executed = contract("CaseAgent").events["CaseActExecuted"]
    if not log.topics or log.topics[0] != executed.topic:
        return None
    try:
        said = executed.decode(log)
    except ValueError as error:
        raise UndecodableLog(f"CaseActExecuted of {hex_of(log.address)}: {error}") from error
    return ProjectedEvent(
        token=bytes_of(said["token"]),
        block_number=log.block_number,
        log_index=log.log_index,
        tx_hash=log.tx_hash,
        kind=EventKind.CASE_ACT,
        **_parties(bytes_of(said["wallet"]), bytes_of(said["counterparty"]), said["units"]),
        extra={
            "case_id": said["caseId"].hex(),
            "number": str(said["number"]),
            "act": list(ForcedAct)[said["act"]].value,
            "operator": said["operator"],
        },
    )


def is_allowance_spent(approval: Log, transfer: ProjectedEvent) -> bool:
    """Tell whether a log is the Approval that `transferFrom` writes right before its Transfer."""
    spent = contract("Token").events["Approval"]
    if not approval.topics or approval.topics[0] != spent.topic:
        return False
    try:
        owner = bytes_of(spent.decode(approval)["owner"])
    except ValueError as error:
        said = f"Approval of {hex_of(approval.address)}: {error}"
        raise UndecodableLog(said, approval.address) from error
    return (
        approval.address == transfer.token
        and approval.tx_hash == transfer.tx_hash
        and approval.log_index + 1 == transfer.log_index
        and owner == transfer.source
    )


def is_own_transfer(sender: bytes, to: bytes | None, data: bytes, transfer: ProjectedEvent) -> bool:
    """Tell whether a transaction is a holder's own call of the token to transfer.

    Parameters
    ----------
    sender, to, data
        Of the transaction itself.
    """
    functions = contract("Token").functions
    own = {functions[name].selector for name in ("transfer", "batchTransfer")}
    return sender == transfer.source and to == transfer.token and data[:4] in own


@cache
def _by_topic(name: str) -> dict[bytes, str]:
    return {event.topic: event.name for event in contract(name).events.values()}


def read_deployment(log: Log) -> ProjectedToken | None:
    """Decode a suite's deployment from a log of our factory; None for its other events."""
    deployed = contract("TREXFactory").events["TREXSuiteDeployed"]
    if not log.topics or log.topics[0] != deployed.topic:
        return None
    said = deployed.decode(log)
    return ProjectedToken(
        address=bytes_of(said["_token"]),
        identity_registry=bytes_of(said["_ir"]),
        compliance=bytes_of(said["_mc"]),
        block_number=log.block_number,
    )
