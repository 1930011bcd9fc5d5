"""Contracts as published: their ABI and bytecode, calls encoded, answers and reverts decoded.

T-REX 4.1.6 and ONCHAINID 2.2.1 come from their npm packages, unchanged; ours from
`chain/artifacts`, where `chain.contracts.compile` wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from chain.contracts.decoding import Garbled, decode
from chain.errors import Reverted
from chain.node.client import Log

WORD_BYTES = 32

_ROOT = Path(__file__).resolve().parents[2]
_MODULES = _ROOT / "contracts" / "node_modules"
_PACKAGES = {
    "own": _ROOT / "chain" / "artifacts",
    "trex": _MODULES / "@tokenysolutions" / "t-rex" / "artifacts" / "contracts",
    "onchainid": _MODULES / "@onchain-id" / "solidity" / "artifacts" / "contracts",
}
SOURCES = {
    "Token": "trex:token/Token.sol/Token.json",
    "ClaimTopicsRegistry": (
        "trex:registry/implementation/ClaimTopicsRegistry.sol/ClaimTopicsRegistry.json"
    ),
    "IdentityRegistry": "trex:registry/implementation/IdentityRegistry.sol/IdentityRegistry.json",
    "IdentityRegistryStorage": (
        "trex:registry/implementation/IdentityRegistryStorage.sol/IdentityRegistryStorage.json"
    ),
    "TrustedIssuersRegistry": (
        "trex:registry/implementation/TrustedIssuersRegistry.sol/TrustedIssuersRegistry.json"
    ),
    "ModularCompliance": "trex:compliance/modular/ModularCompliance.sol/ModularCompliance.json",
    "TREXImplementationAuthority": (
        "trex:proxy/authority/TREXImplementationAuthority.sol/TREXImplementationAuthority.json"
    ),
    "TREXFactory": "trex:factory/TREXFactory.sol/TREXFactory.json",
    "Identity": "onchainid:Identity.sol/Identity.json",
    "ImplementationAuthority": (
        "onchainid:proxy/ImplementationAuthority.sol/ImplementationAuthority.json"
    ),
    "IdFactory": "onchainid:factory/IdFactory.sol/IdFactory.json",
    # Never deployed by the platform: the bench holds ours against it.
    "PublishedClaimIssuer": "onchainid:ClaimIssuer.sol/ClaimIssuer.json",
}

_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a contract."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> bytes:
        return self.selector + encode(self.inputs, arguments)

    def decode(self, answer: bytes) -> Any:
        """Return the one value of an answer, or the tuple of several.

        Raises
        ------
        Garbled
            It is no answer of this function.
        """
        values = decode(self.outputs, answer)
        return values[0] if len(values) == 1 else values


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a contract, as topic 0 names it."""

    name: str
    topic: bytes
    indexed: tuple[tuple[str, str], ...]
    plain: tuple[tuple[str, str], ...]

    def decode(self, log: Log) -> dict[str, Any]:
        """Return the arguments by name; an indexed dynamic one is its 32-byte hash.

        Raises
        ------
        ValueError
            The log does not have exactly the topics and the data of the event.
        """
        kinds = [kind for _, kind in self.plain]
        if not any(map(_is_dynamic, kinds)) and len(log.data) != WORD_BYTES * len(kinds):
            raise ValueError(f"it has {len(log.data)} bytes of data")
        named = {
            name: topic if _is_dynamic(kind) else decode([kind], topic)[0]
            for (name, kind), topic in zip(self.indexed, log.topics[1:], strict=True)
        }
        values = decode(kinds, log.data)
        return named | dict(zip((name for name, _ in self.plain), values, strict=True))


def _is_dynamic(kind: str) -> bool:
    return kind in {"string", "bytes"} or kind.endswith("]")


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract's published interface and code.

    Parameters
    ----------
    bytecode, deployed
        What creates it, and what then stands on chain where it has no immutables.
    """

    name: str
    bytecode: bytes
    deployed: bytes
    constructor: tuple[str, ...]
    functions: Mapping[str, Function]
    events: Mapping[str, Event]

    def creation(self, arguments: Sequence[Any]) -> bytes:
        """Give the data of the transaction that creates it."""
        return self.bytecode + encode(self.constructor, list(arguments))


@cache
def contract(name: str) -> Contract:
    """Load a published contract by its name in `SOURCES`, one of ours by its own name."""
    package, path = SOURCES.get(name, f"own:{name}.json").split(":")
    artifact = json.loads((_PACKAGES[package] / path).read_text("utf-8"))
    functions, events = {}, {}
    constructor: tuple[str, ...] = ()
    for entry in artifact["abi"]:
        kinds = tuple(collapse_if_tuple(item) for item in entry.get("inputs", ()))
        if entry["type"] == "constructor":
            constructor = kinds
        elif entry["type"] == "function":
            signature = f"{entry['name']}({','.join(kinds)})"
            outputs = tuple(collapse_if_tuple(item) for item in entry["outputs"])
            functions[entry["name"]] = Function(
                entry["name"], keccak(text=signature)[:4], kinds, outputs
            )
        elif entry["type"] == "event":
            events[entry["name"]] = _event(entry, kinds)
    bytecode, deployed = (
        bytes.fromhex(artifact[code].removeprefix("0x"))
        for code in ("bytecode", "deployedBytecode")
    )
    return Contract(name, bytecode, deployed, constructor, functions, events)


def _event(entry: dict[str, Any], kinds: Sequence[str]) -> Event:
    pairs = [(item["name"], kind) for item, kind in zip(entry["inputs"], kinds, strict=True)]
    flags = [item["indexed"] for item in entry["inputs"]]
    return Event(
        name=entry["name"],
        topic=keccak(text=f"{entry['name']}({','.join(kinds)})"),
        indexed=tuple(pair for pair, flag in zip(pairs, flags, strict=True) if flag),
        plain=tuple(pair for pair, flag in zip(pairs, flags, strict=True) if not flag),
    )


@cache
def _custom_errors() -> dict[bytes, tuple[str, tuple[tuple[str, str], ...]]]:
    known = {}
    for path in sorted(_PACKAGES["own"].glob("*.json")):
        for entry in json.loads(path.read_text("utf-8")).get("abi", ()):
            if entry["type"] == "error":
                inputs = tuple((item["name"], collapse_if_tuple(item)) for item in entry["inputs"])
                signature = f"{entry['name']}({','.join(kind for _, kind in inputs)})"
                known[keccak(text=signature)[:4]] = (entry["name"], inputs)
    return known


def read_revert(data: bytes, message: str) -> Reverted:
    """Decode revert data: a `require` sentence, a panic, or one of our own typed errors.

    Parameters
    ----------
    message
        The node's own words, for contracts that revert without data.
    """
    selector, body = data[:4], data[4:]
    shown = "0x" + selector.hex() if selector else ""
    try:
        if selector == _ERROR_STRING:
            return Reverted(shown, decode(["string"], body)[0], {})
        if selector == _PANIC:
            return Reverted(shown, f"Panic 0x{decode(['uint256'], body)[0]:02x}", {})
        if selector in _custom_errors():
            name, inputs = _custom_errors()[selector]
            values = decode([kind for _, kind in inputs], body)
            names = [argument for argument, _ in inputs]
            return Reverted(shown, name, dict(zip(names, map(_plain, values), strict=True)))
    except Garbled:
        return Reverted(shown, f"undecodable revert data 0x{data.hex()}", {})
    return Reverted(shown, message, {})


def _plain(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value
