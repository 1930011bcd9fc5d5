"""Whether units may move, from what is projected and recorded; beside it the plans of others.

What is not projected (locked lots, a claim as its store has it, the status of the title on chain)
is for `chain.eligibility` to read at the same block.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import entries, portfolio
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.holders import count_holders
from registry.captable.models import Token
from registry.compliance.facts import TokenFacts, WalletFacts
from registry.compliance.lint import Sale, lint
from registry.compliance.terms import ComplianceTerms, check_compliance_terms
from registry.compliance.what_if import HeldWallet, WhatIf, what_if
from registry.eligibility import repository
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Wallet, WalletState
from registry.kernel.actor import OVERSIGHT, Actor
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.rows import among
from registry.offering import orders
from registry.rulebook.service import RuleResult
from registry.tokenization import compliance
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether these units may go to this wallet.

    Parameters
    ----------
    receiver, sender : bytes
        20 bytes; no sender asks of a mint.
    own : bool
        Whether the receiving wallet is the asker's, or the asker may know of everybody's.
    concerns : frozenset[UUID]
        The investors whose wallets these are: whoever is told of them is noted.
    """

    tokenization_id: UUID
    receiver: bytes
    sender: bytes | None
    units: int
    own: bool = True
    concerns: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database knows of a question, at one block.

    Parameters
    ----------
    token_address, identity_registry, compliance : bytes
        Where the chain is asked the same.
    """

    block: AsOfBlock
    token: TokenFacts
    receiver: WalletFacts
    sender: WalletFacts | None
    token_address: bytes
    identity_registry: bytes
    compliance: bytes


def pose(
    session: Session,
    actor: Actor,
    tokenization_id: UUID,
    *,
    wallet: bytes | None,
    investor_id: UUID | None,
    sender: bytes | None,
    units: int,
) -> Question:
    """Make sure that the caller may ask this, and find the wallet of an investor.

    Raises
    ------
    NotFound
        There is no such investor, or the movement is none of the caller's.
    Conflict
        ``wallet_not_proven``: the investor has no wallet to receive with.
    """
    mine = own_wallets(session, actor)
    sees_all = sees_everybody(actor)
    if wallet is None:
        assert investor_id is not None, "the schema asks for one of the two"
        own = investors.find_investor_of(session, actor.subject)
        if not sees_all and (own is None or own.id != investor_id):
            raise NotFound("investor", investor_id)
        wallet = _wallet_of(session, investor_id)
    if not sees_all and wallet not in mine and sender not in mine:
        raise NotFound("wallet", f"0x{wallet.hex()}")
    return Question(
        tokenization_id=tokenization_id,
        receiver=wallet,
        sender=sender,
        units=units,
        own=sees_all or wallet in mine,
        concerns=owners_of(session, [it for it in (wallet, sender) if it]),
    )


def sees_everybody(actor: Actor) -> bool:
    """Tell whether the caller may know what is true of wallets that are not theirs.

    Anybody else asks about movements of their own alone.
    """
    return actor.has(*OVERSIGHT)


def own_wallets(session: Session, actor: Actor) -> set[bytes]:
    """Return the addresses that the caller has proven."""
    investor = investors.find_investor_of(session, actor.subject)
    return set() if investor is None else set(_proven(session, investor.id))


def owners_of(session: Session, addresses: Collection[bytes]) -> frozenset[UUID]:
    """Return the investors whose wallets these are; many a wallet is nobody's."""
    found = select(Wallet.investor_id).where(among(col(Wallet.address), addresses))
    return frozenset(session.exec(found))


def _proven(session: Session, investor_id: UUID) -> dict[bytes, Wallet]:
    return {
        wallet.address: wallet
        for wallet in wallets.list_wallets(session, investor_id)
        if wallet.state == WalletState.PROVEN
    }


def _wallet_of(session: Session, investor_id: UUID) -> bytes:
    investors.get_investor(session, investor_id)
    proven = _proven(session, investor_id)
    if not proven:
        raise Conflict(
            "wallet_not_proven",
            "The investor has proven no wallet to receive with.",
            remedy="Sign a challenge at /v1/investors/{id}/wallets first.",
        )
    return next(
        (address for address, wallet in proven.items() if wallet.identity is not None),
        next(iter(proven)),
    )


def gather(session: Session, chain_id: int, question: Question) -> Known:
    """Read what the projection and the register know, as of the newest projected block.

    Raises
    ------
    NotFound
        There is no such tokenization, or no token of it yet.
    Unavailable
        ``sync_not_started``.
    """
    tokenization = tokenizations.get_tokenization(session, question.tokenization_id)
    if tokenization.token_address is None:
        raise NotFound("token", question.tokenization_id)
    token = captable.get_token(session, tokenization.token_address)
    return gather_of(
        session,
        captable.block_at(session, chain_id, None),
        token,
        question,
        terms=compliance.terms_of(tokenization),
        declared_units=tokenization.declared_fractions,
    )


def gather_of(
    session: Session,
    block: AsOfBlock,
    token: Token,
    question: Question,
    *,
    terms: ComplianceTerms | None,
    declared_units: int,
) -> Known:
    """Read what is known of a question on a projected token; the block is the newest one."""
    return Known(
        block=block,
        token=TokenFacts(
            terms=terms,
            declared_units=declared_units,
            supply_units=int(token.supply_units),
            holders=count_holders(session, token),
            paused=token.paused,
            was_opened=repository.was_opened(session, token),
            timestamp=int(block.mined_at.timestamp()),
        ),
        receiver=_facts(session, token, question.receiver),
        sender=_facts(session, token, question.sender) if question.sender else None,
        token_address=token.address,
        identity_registry=token.identity_registry,
        compliance=token.compliance,
    )


def _facts(session: Session, token: Token, address: bytes) -> WalletFacts:
    found = repository.standing_of(session, token, address)
    owner_units, owner_wallets = repository.owned(session, token, found.identity, address)
    wallet = wallets.find_wallet(session, address)
    investor = investors.get_investor(session, wallet.investor_id) if wallet else None
    return WalletFacts(
        address=address,
        identity=found.identity,
        country=found.country,
        frozen=portfolio.is_frozen(session, token, address),
        balance_units=found.balance_units,
        frozen_units=found.frozen_units,
        owner_units=owner_units,
        owner_wallets=owner_wallets,
        kyc_until=investor.kyc_valid_until
        if investor is not None and investors.may_hold(investor)
        else None,
    )


def lint_tokenization(session: Session, tokenization_id: UUID) -> tuple[RuleResult, ...]:
    """Return what the lint says of a tokenization, with its sale where one was opened.

    Raises
    ------
    NotFound
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    offering = orders.find_offering_of(session, tokenization_id)
    sale = None
    if offering is not None:
        sale = Sale(
            offered_units=offering.offered_units,
            minimum_units=offering.minimum_units,
            min_ticket_units=offering.min_ticket_units,
        )
    return lint(
        compliance.terms_of(tokenization), compliance.lint_facts(session, tokenization, sale)
    )


@dataclass(frozen=True, slots=True)
class Consequences:
    """What proposed rules would do to a token as it is held, and what the lint says of them."""

    block: AsOfBlock
    found: WhatIf
    findings: Sequence[RuleResult]


def what_if_of(
    session: Session, chain_id: int, tokenization_id: UUID, proposed: ComplianceTerms
) -> Consequences:
    """Hold the present holders of a token against proposed rules.

    Raises
    ------
    Invalid
        ``compliance_terms_invalid``, ``country_unknown``.
    NotFound
        There is no token of that id (yet).
    Unavailable
        ``sync_not_started``.
    """
    check_compliance_terms(proposed)
    tokenization: Tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if tokenization.token_address is None:
        raise NotFound("token", tokenization_id)
    token = captable.get_token(session, tokenization.token_address)
    block = captable.block_at(session, chain_id, None)
    held = [
        HeldWallet(entry.address, entry.identity, entry.country, entry.balance_units)
        for entry in entries.list_holders(session, token, block)
    ]
    found = what_if(
        held,
        compliance.terms_of(tokenization),
        proposed,
        timestamp=int(block.mined_at.timestamp()),
    )
    return Consequences(block, found, lint(proposed, compliance.lint_facts(session, tokenization)))
