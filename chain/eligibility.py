"""Whether units may move: our own rules, and the chain's own answer at the same block.

The database is read first and let go; then the node is asked, at exactly the projected block.
Where the two do not agree, either our rules or the projection are wrong, or somebody changed a
module past us: that is an alarm, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlmodel import Session

from chain.contracts.abi import contract, read_revert
from chain.contracts.platform import ZERO_ADDRESS, platform_contract
from chain.errors import Reverted, RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, bytes_of, call_params, hex_of
from registry.captable.blocks import AsOfBlock
from registry.compliance.facts import Claim, Lot, Movement, TokenFacts, WalletFacts
from registry.compliance.rules import Answer, Keeper, judge, passes
from registry.eligibility.service import Known, Question, gather
from registry.investor.service import KYC_TOPIC
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Unavailable
from registry.tokenization.title_status import TitleStatus

log = structlog.get_logger()

CONTRACTS = (
    "TitleStatusModule",
    "LockupModule",
    "ClaimStore",
    "ClaimIssuer",
    "CaseAgent",
    "TREXFactory",
)
_ON_CHAIN = (Keeper.IDENTITY, Keeper.COMPLIANCE, Keeper.TOKEN)


@dataclass(frozen=True, slots=True)
class ChainAnswer:
    """What the chain itself says.

    Parameters
    ----------
    is_verified : bool
        `IdentityRegistry.isVerified` of the receiver.
    can_transfer : bool
        `ModularCompliance.canTransfer`.
    refusal : Reverted | None
        Why the call itself (the holder's transfer, the agent's mint) would revert; None if it
        would go through.
    """

    is_verified: bool
    can_transfer: bool
    refusal: Reverted | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every rule, and the chain beside them.

    Parameters
    ----------
    differences : Sequence[str]
        Which answers of the chain are not ours; empty is as it should be.
    """

    block: AsOfBlock
    answers: tuple[Answer, ...]
    chain: ChainAnswer
    differences: Sequence[str]

    @property
    def eligible(self) -> bool:
        return all(answer.passed for answer in self.answers)


def explain(database: Database, client: ChainClient, question: Question) -> Explanation:
    """Answer a question by every rule, and ask the chain the same.

    Raises
    ------
    NotFound
        There is no such token (yet).
    Unavailable
        ``sync_not_started``, ``chain_unavailable``, ``block_state_unavailable``,
        ``platform_not_deployed``.
    """
    with database.reading() as session:
        known = gather(session, client.chain_id, question)
        places = platform_places(session, client.chain_id)
    return explain_known(client, known, places, question.units)


def platform_places(
    session: Session, chain_id: int, names: Sequence[str] = CONTRACTS
) -> dict[str, bytes]:
    """Return where the contracts stand that are asked.

    Raises
    ------
    Unavailable
        ``platform_not_deployed``.
    """
    found = {name: platform_contract(session, chain_id, name) for name in names}
    places = {name: row.address for name, row in found.items() if row is not None}
    if missing := sorted(set(names) - places.keys()):
        raise Unavailable(
            "platform_not_deployed",
            f"Not on chain yet: {', '.join(missing)}.",
            remedy="The worker deploys the platform's contracts; try again when it has.",
        )
    return places


def explain_known(
    client: ChainClient, known: Known, places: dict[str, bytes], units: int
) -> Explanation:
    """Add what only the chain knows, ask every rule, and hold the answers against the chain's."""
    try:
        token, receiver, sender = _complete(client, known, places)
        movement = Movement(receiver=receiver, sender=sender, units=units)
        answers = judge(token, movement, now())
        chain = _ask(client, known, places, movement)
    except RpcUnavailable as error:
        raise node_away(error) from error
    except (RpcRefused, RpcInconsistent) as error:
        raise Unavailable(
            "block_state_unavailable",
            f"The node does not answer for block {known.block.number}: {error}.",
            remedy="Try again in a moment; the next block may be projected by then.",
        ) from error
    differences = _differences(answers, chain, movement)
    if differences:
        log.error(
            "eligibility_differs",
            token=hex_of(known.token_address),
            block=known.block.number,
            receiver=hex_of(receiver.address),
            sender=hex_of(sender.address) if sender else None,
            units=str(units),
            differences=differences,
            failed=[answer.rule.id for answer in answers if not answer.passed],
        )
    return Explanation(known.block, answers, chain, differences)


def node_away(error: RpcUnavailable) -> Unavailable:
    """Say to a client that the node is away, without saying where it is."""
    log.warning("chain_unavailable", reason=str(error))
    return Unavailable("chain_unavailable", "The chain's node does not answer; try again soon.")


def _complete(
    client: ChainClient, known: Known, places: dict[str, bytes]
) -> tuple[TokenFacts, WalletFacts, WalletFacts | None]:
    """Read what is not projected: the title's status, the claim, and locked lots."""
    compliance, receiver, sender = hex_of(known.compliance), known.receiver, known.sender
    asks = [_View("TitleStatusModule", places["TitleStatusModule"], "titleOf", (compliance,))]
    if receiver.identity is not None:
        subject = (hex_of(places["ClaimIssuer"]), hex_of(receiver.identity), KYC_TOPIC)
        asks.append(_View("ClaimStore", places["ClaimStore"], "claimOf", subject))
    terms = known.token.terms
    if terms is not None and terms.lockup_s:
        whose = hex_of((sender or receiver).address)
        asks.append(_View("LockupModule", places["LockupModule"], "lotsOf", (compliance, whose)))
    said = dict(
        zip((ask.function for ask in asks), _read(client, asks, known.block.hash), strict=True)
    )
    status = list(TitleStatus)[said["titleOf"][1]]
    token = replace(
        known.token,
        is_halted=status == TitleStatus.HALT,
        is_mint_stopped=status == TitleStatus.NO_MINT,
    )
    if claim := said.get("claimOf"):
        issued_at, expires_at, revoked_at, *_ = claim
        receiver = replace(receiver, claim=Claim(issued_at, expires_at, revoked_at))
    lots = tuple(Lot(units, release_at) for units, release_at in said.get("lotsOf", ()))
    if sender is None:
        return token, replace(receiver, lots=lots), None
    return token, receiver, replace(sender, lots=lots)


@dataclass(frozen=True, slots=True)
class _View:
    """A question to a contract that changes nothing."""

    contract: str
    address: bytes
    function: str
    arguments: tuple[Any, ...]


def _read(client: ChainClient, asks: Sequence[_View], block: bytes) -> list[Any]:
    functions = [contract(ask.contract).functions[ask.function] for ask in asks]
    answers = client.batch(
        [
            ("eth_call", call_params(ask.address, function.encode(*ask.arguments), None, block))
            for ask, function in zip(asks, functions, strict=True)
        ]
    )
    return [
        function.decode(bytes_of(answer))
        for function, answer in zip(functions, answers, strict=True)
    ]


def _ask(
    client: ChainClient, known: Known, places: dict[str, bytes], movement: Movement
) -> ChainAnswer:
    to, units = hex_of(movement.receiver.address), movement.units
    source = hex_of(movement.sender.address) if movement.sender else ZERO_ADDRESS
    is_verified, can_transfer, owner = _read(
        client,
        [
            _View("IdentityRegistry", known.identity_registry, "isVerified", (to,)),
            _View("ModularCompliance", known.compliance, "canTransfer", (source, to, units)),
            _View("TREXFactory", places["TREXFactory"], "owner", ()),
        ],
        known.block.hash,
    )
    if movement.sender is not None:
        data = contract("Token").functions["transfer"].encode(to, units)
        target, sender = known.token_address, movement.sender.address
    else:
        data = (
            contract("CaseAgent").functions["mint"].encode(hex_of(known.token_address), to, units)
        )
        target, sender = places["CaseAgent"], bytes_of(owner)
    return ChainAnswer(
        is_verified, can_transfer, _refusal(client, target, data, sender, known.block.hash)
    )


def _refusal(
    client: ChainClient, target: bytes, data: bytes, sender: bytes, block: bytes
) -> Reverted | None:
    try:
        client.call(target, data, sender=sender, block=block)
    except RpcRefused as refused:
        if not refused.is_revert:
            raise
        return read_revert(bytes_of(refused.data or ""), refused.message)
    return None


def _differences(answers: tuple[Answer, ...], chain: ChainAnswer, movement: Movement) -> list[str]:
    found = []
    if passes(answers, Keeper.IDENTITY) != chain.is_verified:
        found.append("is_verified")
    # Whether a wallet that holds nothing is known to a module as one of its person's, only the
    # module knows; the token refuses to take from it in any case, as the call below shows.
    is_comparable = movement.sender is None or movement.sender.balance_units > 0
    if is_comparable and passes(answers, Keeper.COMPLIANCE) != chain.can_transfer:
        found.append("can_transfer")
    if passes(answers, *_ON_CHAIN) != (chain.refusal is None):
        found.append("call")
    return found
