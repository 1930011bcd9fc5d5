"""The logs of ERC-3643, written as a node keeps them: topics and data, nothing of ours between.

Signatures are spelled out here a second time, so that a decoder which has one wrong is found out.
Source: T-REX 4.1.6; `CaseAgent` is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from eth_utils.crypto import keccak

WORD = 32
ADDRESS = 20
BLOOM_BITS = 2048


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log before it has its place in a block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes = b""


@cache
def topic(signature: str) -> bytes:
    return bytes(keccak(text=signature))


TRANSFER = topic("Transfer(address,address,uint256)")
APPROVAL = topic("Approval(address,address,uint256)")
TOKENS_FROZEN = topic("TokensFrozen(address,uint256)")
TOKENS_UNFROZEN = topic("TokensUnfrozen(address,uint256)")
ADDRESS_FROZEN = topic("AddressFrozen(address,bool,address)")
PAUSED = topic("Paused(address)")
UNPAUSED = topic("Unpaused(address)")
RECOVERY = topic("RecoverySuccess(address,address,address)")
AGENT_ADDED = topic("AgentAdded(address)")
AGENT_REMOVED = topic("AgentRemoved(address)")
REGISTERED = topic("IdentityRegistered(address,address)")
REMOVED = topic("IdentityRemoved(address,address)")
UPDATED = topic("IdentityUpdated(address,address)")
COUNTRY = topic("CountryUpdated(address,uint16)")
DEPLOYED = topic("TREXSuiteDeployed(address,address,address,address,address,address,string)")
CASE_ACT = topic("CaseActExecuted(bytes32,address,uint8,uint64,address,address,uint256,address)")
REGISTRY_SET = topic("IdentityRegistryAdded(address)")
COMPLIANCE_SET = topic("ComplianceAdded(address)")
INFORMATION = topic("UpdatedTokenInformation(string,string,uint8,string,address)")


def word(value: bytes | int) -> bytes:
    """Pad an address or a number to 32 bytes, as topics and data have them."""
    return value.to_bytes(WORD, "big") if isinstance(value, int) else value.rjust(WORD, b"\0")


def event(address: bytes, name: bytes, *indexed: bytes | int, data: bytes = b"") -> RawLog:
    return RawLog(address, (name, *map(word, indexed)), data)


def transfer(token: bytes, source: bytes, target: bytes, units: int) -> RawLog:
    return event(token, TRANSFER, source, target, data=word(units))


def bloom(logs: list[RawLog]) -> bytes:
    """Give the filter of a header (Yellow Paper, 4.4.3)."""
    bits = 0
    for log in logs:
        for item in (log.address, *log.topics):
            bits |= _bits(item)
    return bits.to_bytes(BLOOM_BITS // 8, "big")


@cache
def _bits(item: bytes) -> int:
    digest = keccak(item)
    bits = 0
    for place in range(0, 6, 2):
        bits |= 1 << int.from_bytes(digest[place : place + 2], "big") % BLOOM_BITS
    return bits
