"""Proving what is said of a token's holders: the chain is asked about them, at one block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain.contracts.abi import Function, contract
from chain.contracts.decoding import Garbled
from chain.node.client import ChainClient, hex_of
from chain.proving.claims import questions
from chain.proving.difference import Difference, differ
from chain.proving.holdings import HoldingReader
from chain.proving.many_calls import WORD, Call, ManyCalls, address_word
from registry.captable.believed import NOBODY, HolderFacts
from registry.captable.claims_believed import ClaimsBelieved
from registry.captable.ledger import Holding

FACTS_OF_EACH = 5
SUM = "sum of balances"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the projection says of a token at a block.

    Parameters
    ----------
    reading
        How often the token had been read again when this was said of it.
    total : int or None
        What all holders have together; None where nobody added that up this time.
    holders
        Of whom everything is to be proven.
    amounts
        What everybody has, where that is proven of the token as a whole.
    claims
        About the identities of `holders`, where the platform's own contracts tell of them.
    """

    token_no: int
    address: bytes
    identity_registry: bytes
    compliance: bytes
    block_number: int
    block_hash: bytes
    supply: int
    paused: bool
    reading: int
    total: int | None = None
    holders: Sequence[HolderFacts] = ()
    amounts: Mapping[bytes, Holding] | None = None
    claims: ClaimsBelieved | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the chain says to it."""

    supply: int
    differences: list[Difference] = field(default_factory=list)


def prove(calls: ManyCalls, claimed: Claimed) -> Outcome:
    """Hold every claim against the chain at exactly its block.

    Raises
    ------
    RpcRefused
        The block has left the chain, or the node has forgotten its state.
    """
    token, registry = contract("Token").functions, contract("IdentityRegistry").functions
    asked: list[tuple[bytes, Function, list[str]]] = [
        (claimed.address, token["totalSupply"], []),
        (claimed.address, token["paused"], []),
        (claimed.address, token["identityRegistry"], []),
        (claimed.address, token["compliance"], []),
    ]
    for holder in claimed.holders:
        name = [hex_of(holder.address)]
        asked += [
            (claimed.address, token["balanceOf"], name),
            (claimed.address, token["getFrozenTokens"], name),
            (claimed.address, token["isFrozen"], name),
            (claimed.identity_registry, registry["identity"], name),
            (claimed.identity_registry, registry["investorCountry"], name),
        ]
    of_claims = questions(claimed.claims, claimed.holders)
    answers = calls.ask(
        [_call(to, function, given) for to, function, given in asked]
        + [question.call for question in of_claims],
        claimed.block_hash,
    )
    answers, told = answers[: len(asked)], answers[len(asked) :]
    values = [
        _read(function, answer) for (_, function, _), answer in zip(asked, answers, strict=True)
    ]
    supply, paused, registered_at, ruled_by, *of_holders = values
    registry_address = hex_of(claimed.identity_registry)
    found = [
        *differ("supply", claimed.supply, supply),
        *differ("paused", claimed.paused, paused),
        *differ("identity registry", registry_address, registered_at),
        *differ("compliance", hex_of(claimed.compliance), ruled_by),
    ]
    for place, holder in enumerate(claimed.holders):
        theirs = of_holders[place * FACTS_OF_EACH : (place + 1) * FACTS_OF_EACH]
        found += _differences_of(holder, theirs)
    if not found and claimed.total is not None:
        # A holder whom the projection lost is not asked about; the sum tells.
        found += differ(SUM, claimed.total, supply)
    for question, answer in zip(of_claims, told, strict=True):
        found += question.differs(answer)
    return Outcome(supply if isinstance(supply, int) else 0, found)


def prove_amounts(
    client: ChainClient, reader: HoldingReader, claimed: Claimed, amounts: Mapping[bytes, Holding]
) -> Outcome:
    """Hold the supply and what everybody has against the chain, and nothing else.

    Raises
    ------
    RpcRefused
        The block has left the chain, or the node has forgotten its state.
    """
    total_supply = contract("Token").functions["totalSupply"]
    told = client.call(claimed.address, total_supply.encode(), block=claimed.block_hash)
    supply = int.from_bytes(told, "big")
    theirs = iter(reader.read(claimed.address, list(amounts), claimed.block_hash))
    found = differ("supply", claimed.supply, supply)
    for address, ours in amounts.items():
        for what, amount in zip(("balance", "frozen"), ours, strict=True):
            found += differ(what, amount, next(theirs), holder=address)
    if not found:
        # A holder whom the projection lost is not asked about; the sum tells.
        found = differ(SUM, sum(balance for balance, _ in amounts.values()), supply)
    return Outcome(supply, found)


def _differences_of(holder: HolderFacts, theirs: Sequence[Any]) -> list[Difference]:
    identity = None if holder.identity == NOBODY else hex_of(holder.identity)
    there = None if theirs[3] == hex_of(NOBODY) else theirs[3]
    said = (
        ("balance", holder.balance, theirs[0]),
        ("frozen", holder.frozen, theirs[1]),
        ("address frozen", holder.is_frozen, theirs[2]),
        ("identity", identity, there),
        ("country", holder.country, theirs[4]),
    )
    return [
        difference
        for what, ours, chain in said
        for difference in differ(what, ours, chain, holder=holder.address)
    ]


def _call(to: bytes, function: Function, given: Sequence[str]) -> Call:
    if given:
        # All of these take one address: put together by hand, there are five for each holder.
        return to, function.selector + address_word(bytes.fromhex(given[0][2:]))
    return to, function.selector


def _read(function: Function, answer: bytes | None) -> Any:
    """Read an answer; what is none is given as a text that equals nothing of ours."""
    if answer is None:
        return "refused"
    kind = function.outputs[0]
    if len(answer) == WORD and kind.startswith("uint"):
        return int.from_bytes(answer, "big")
    try:
        return function.decode(answer)
    except Garbled:
        return f"undecodable 0x{answer.hex()}"
