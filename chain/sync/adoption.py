"""Following a token that we did not deploy, or deployed before we followed its chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain.contracts.abi import contract
from chain.contracts.decoding import Garbled
from chain.errors import ChainError, RpcRefused
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.sync.labels import read_label
from registry.captable.events import ProjectedToken

VERSIONS = "4."
"""Of T-REX; events and functions are those of 4.1.6."""
SOMEBODY = "0x" + "11" * 20
"""Any address: it is asked about only to see whether the function is there."""


class AdoptionRefused(ChainError):
    """An address that cannot be followed as a token, and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """A function that the projection, or its proof, relies on."""

    name: str
    about: tuple[str, ...] = ()


OF_TOKEN = (
    Question("version"),
    Question("identityRegistry"),
    Question("compliance"),
    Question("totalSupply"),
    Question("paused"),
    Question("balanceOf", (SOMEBODY,)),
    Question("getFrozenTokens", (SOMEBODY,)),
    Question("isFrozen", (SOMEBODY,)),
)
OF_REGISTRY = (
    Question("identityStorage"),
    Question("identity", (SOMEBODY,)),
    Question("investorCountry", (SOMEBODY,)),
)

OF_STORAGE = (
    Question("storedIdentity", (SOMEBODY,)),
    Question("storedInvestorCountry", (SOMEBODY,)),
)


def examine(
    client: ChainClient, address: bytes, *, first_block: int | None = None
) -> ProjectedToken:
    """Look whether a token of our kind stands at an address, and since when.

    Parameters
    ----------
    first_block
        From where to read; without it, the block in which its code appeared is searched.

    Raises
    ------
    WrongChain, RpcUnavailable
    AdoptionRefused
        Nothing is there, or something else.
    """
    client.check()
    if not client.code(address):
        raise AdoptionRefused(f"{hex_of(address)} has no code on chain {client.chain_id}.")
    token = _ask_all(client, "Token", address, OF_TOKEN)
    if not str(token["version"]).startswith(VERSIONS):
        raise AdoptionRefused(
            f"{hex_of(address)} is T-REX {token['version']}; what is followed is {VERSIONS}x."
        )
    registry = bytes_of(token["identityRegistry"])
    if not client.code(registry):
        raise AdoptionRefused(
            f"The identity registry {hex_of(registry)} of {hex_of(address)} has no code."
        )
    answers = _ask_all(client, "IdentityRegistry", registry, OF_REGISTRY)
    storage = bytes_of(answers["identityStorage"])
    if not client.code(storage):
        raise AdoptionRefused(
            f"The identity storage {hex_of(storage)} of {hex_of(address)} has no code."
        )
    _ask_all(client, "IdentityRegistryStorage", storage, OF_STORAGE)
    return ProjectedToken(
        address=address,
        identity_registry=registry,
        # Other registries may write to it, of which its own logs alone tell.
        identity_storage=storage,
        compliance=bytes_of(token["compliance"]),
        block_number=min(first_block_of(client, each) for each in (address, storage))
        if first_block is None
        else first_block,
        label=read_label(client, address),
    )


def _ask_all(
    client: ChainClient, name: str, address: bytes, questions: tuple[Question, ...]
) -> dict[str, Any]:
    answers, missing = {}, []
    for question in questions:
        function = contract(name).functions[question.name]
        try:
            answers[question.name] = function.decode(
                client.call(address, function.encode(*question.about))
            )
        except (RpcRefused, Garbled) as fault:
            if isinstance(fault, RpcRefused) and not fault.is_revert:
                raise
            missing.append(question.name)
    if missing:
        raise AdoptionRefused(
            f"{hex_of(address)} is no {name} of T-REX {VERSIONS}x: it has no {', '.join(missing)}."
        )
    return answers


def first_block_of(client: ChainClient, address: bytes) -> int:
    """Return the block in which the code appeared; 0 where the node keeps no state that old.

    Reading from block 0 finds the same, having looked through blocks that hold nothing. Looked for
    from the head down: many nodes keep the state of the newest blocks alone.
    """
    low, high, step = 0, client.block_number(), 1
    try:
        while low < high:
            place = max(low, high - step)
            code = client.request("eth_getCode", hex_of(address), hex(place))
            # Twice as far each time, until the code is not there; then between the two.
            low, high = (low, place) if bytes_of(code) else (place + 1, high)
            step = step * 2 if low == 0 else (high - low + 1) // 2
    except RpcRefused:
        return 0
    return low
