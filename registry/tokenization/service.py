"""Use cases on tokenizations: structured, approved, deployed, minted, live, paused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.compliance.terms import ComplianceTerms, check_compliance_terms
from registry.investor import service as investors
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.kernel.rows import get_row
from registry.lifecycle import service as lifecycle
from registry.lifecycle.reasons import check_reason
from registry.onboarding import approvals
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.rulebook import service as rulebook
from registry.rulebook.models import RuleRun
from registry.rulebook.service import Moment
from registry.tokenization import custody, guards, title_status
from registry.tokenization.gate import gate_facts, require_open_gate
from registry.tokenization.models import ENDED, Tokenization, TokenizationState
from registry.wrapper import service as wrappers

STRUCTURER = "structurer"
"""What the state machine calls the issuer who writes the terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTermsProposal:
    """The terms of a token.

    Parameters
    ----------
    declared_fractions
        Whole tokens that will ever exist; decimals are 0.
    price_paisa
        Price of one fraction at issue.
    economic_share
        Part of the asset's economics that the tokens carry together.
    compliance
        Rules that the token is deployed with, besides the cap on its supply.
    """

    symbol: str
    name: str
    declared_fractions: int
    price_paisa: int
    economic_share: Fraction
    maturity: date | None = None
    compliance: ComplianceTerms = field(default_factory=ComplianceTerms)


def structure_tokenization(
    session: Session, actor: Actor, asset_id: UUID, terms: TokenTermsProposal
) -> Tokenization:
    """Propose a token of an asset and structure it, if the gate is open.

    Raises
    ------
    Invalid
        ``token_terms_invalid``, ``compliance_terms_invalid``, ``country_unknown``.
    RulesRefused
        A rule of tokenization fails; nothing is recorded.
    Forbidden
        ``not_the_issuer``: the caller does not act for the wrapper.
    Conflict
        ``asset_not_registered``, ``title_not_active``, ``symbol_taken``.
    """
    guards.check_terms(terms.declared_fractions, terms.price_paisa, terms.economic_share)
    check_compliance_terms(terms.compliance)
    asset = assets.get_asset(session, asset_id, lock=True)
    tokenization = Tokenization(
        asset_id=asset_id,
        symbol=terms.symbol,
        name=terms.name,
        declared_fractions=terms.declared_fractions,
        price_paisa=terms.price_paisa,
        economic_share_num=terms.economic_share.numerator,
        economic_share_den=terms.economic_share.denominator,
        maturity=terms.maturity,
        compliance=terms.compliance.record(),
        structured_by=actor.subject,
    )
    rulebook.require(Moment.TOKENIZATION, gate_facts(session, asset, tokenization))
    _require_issuer(session, actor, tokenization)
    require_open_gate(session, tokenization)
    _refuse_taken_symbol(session, terms.symbol)
    session.add(tokenization)
    session.flush()
    fire(session, _as_structurer(actor), tokenization, "structure")
    return tokenization


def _as_structurer(actor: Actor) -> Actor:
    return Actor(actor.subject, actor.roles | {STRUCTURER}) if actor.has(Role.ISSUER) else actor


def _require_issuer(session: Session, actor: Actor, tokenization: Tokenization) -> None:
    wrapper = wrappers.find_wrapper(session, tokenization.asset_id)
    assert wrapper is not None, "WRP-01 passed without a wrapper"
    investor = investors.find_investor_of(session, actor.subject)
    if investor is None or investor.party_id != wrapper.party_id:
        raise Forbidden(
            "not_the_issuer",
            "You do not act for the wrapper of this asset.",
            remedy="Enrol for the company at /v1/investors and pass its KYC.",
        )
    if not investors.may_hold(investor):
        raise Conflict("kyc_not_passed", "The KYC of the wrapper's company is not passed.")


def _refuse_taken_symbol(session: Session, symbol: str) -> None:
    query = select(Tokenization).where(
        col(Tokenization.symbol) == symbol, col(Tokenization.state).not_in(ENDED)
    )
    if session.exec(query).first() is not None:
        raise Conflict("symbol_taken", f"The symbol {symbol} names another token.")


def terms_hash(tokenization: Tokenization) -> bytes:
    """Return the SHA-256 of the terms, to which approvals bind."""
    said: dict[str, Any] = {
        "asset_id": str(tokenization.asset_id),
        "symbol": tokenization.symbol,
        "name": tokenization.name,
        "declared_fractions": str(tokenization.declared_fractions),
        "price_paisa": str(tokenization.price_paisa),
        "economic_share": [
            str(tokenization.economic_share_num),
            str(tokenization.economic_share_den),
        ],
        "maturity": tokenization.maturity.isoformat() if tokenization.maturity else None,
    }
    if tokenization.compliance is not None:
        # Terms from before compliance was asked for keep the hash that was approved.
        said["compliance"] = tokenization.compliance
    return record_hash(said)


def approve_tokenization(
    session: Session, actor: Actor, tokenization_id: UUID, *, role: Role, seen_hash: bytes
) -> Tokenization:
    """Approve the terms in one role; compliance and a registrar's checker must agree.

    Raises
    ------
    RulesRefused
        The gate has closed.
    Conflict
        ``terms_changed``, ``transition_refused``, or as `approvals.approve`.
    """
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    digest = terms_hash(tokenization)
    if seen_hash != digest:
        raise Conflict("terms_changed", "The terms are not the ones that you read.")
    # Of two who must agree the first one is judged as the last one is: the gate is asked.
    lifecycle.ask(session, actor, guards.MACHINE, tokenization, "approve")
    missing = approvals.approve(
        session,
        actor,
        subject=("tokenization", tokenization.id),
        role=role,
        maker=tokenization.structured_by,
        dossier_hash=digest,
        required=approvals.PAIR,
    )
    if not missing:
        fire(session, actor, tokenization, "approve")
        custody.lock(session, actor, tokenization.asset_id)
    return tokenization


def deploy_token(session: Session, actor: Actor, tokenization_id: UUID) -> Operation:
    """Have the token's contracts deployed.

    Raises
    ------
    RulesRefused
        The gate has closed, or the lint finds an error in the compliance terms.
    Conflict
        ``transition_refused``.
    """
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    fire(session, THE_SYSTEM, tokenization, "deploy")
    journal.record(session, actor, "deploy_asked", "tokenization", tokenization.id)
    return operations.plan(
        session,
        actor,
        OperationKind.DEPLOY_SUITE,
        key=f"deploy_suite:{tokenization.id}",
        subject=("tokenization", tokenization.id),
        params={"tokenization_id": str(tokenization.id)},
    )


def confirm_deployment(session: Session, tokenization_id: UUID, suite: dict[str, str]) -> None:
    """Record where the contracts stand, once that is final; a repeat changes nothing.

    Parameters
    ----------
    suite
        Addresses as 0x-hex by role: token, identity_registry, identity_registry_storage,
        trusted_issuers_registry, claim_topics_registry, compliance.
    """
    tokenization = get_tokenization(session, tokenization_id)
    # The asset first, as whoever puts something in force on its title.
    assets.get_asset(session, tokenization.asset_id, lock=True)
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state == TokenizationState.DEPLOYING:
        fire(session, THE_SYSTEM, tokenization, "deploy_confirmed", given={"suite": suite})
        tokenization.suite = suite
        tokenization.token_address = bytes.fromhex(suite["token"].removeprefix("0x"))
        session.flush()
        title_status.tell_asset(session, tokenization.asset_id)


def fail_deployment(session: Session, tokenization_id: UUID) -> None:
    """Take the tokenization back to approved: nothing stands on chain."""
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state == TokenizationState.DEPLOYING:
        fire(session, THE_SYSTEM, tokenization, "deploy_failed")


def pause_token(session: Session, actor: Actor, tokenization_id: UUID, *, reason: str) -> Operation:
    """Stop the token's transfers.

    Raises
    ------
    Conflict
        ``transition_refused``: it is not live.
    """
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    fire(session, actor, tokenization, "pause", given={"reason": reason}, reason=reason)
    return plan_pause(session, actor, tokenization)


def plan_pause(session: Session, actor: Actor, tokenization: Tokenization) -> Operation:
    """Have the chain pause a token whose row is locked."""
    earlier = len(_pauses(session, tokenization.id))
    return operations.plan(
        session,
        actor,
        OperationKind.PAUSE,
        key=f"pause:{tokenization.id}:{earlier}",
        subject=("tokenization", tokenization.id),
        params={"tokenization_id": str(tokenization.id)},
    )


def last_pause(session: Session, tokenization_id: UUID) -> Operation | None:
    """Return the operation that paused the token last."""
    return next(iter(_pauses(session, tokenization_id)), None)


def _pauses(session: Session, tokenization_id: UUID) -> Sequence[Operation]:
    """List the pauses of a token, newest first."""
    return session.exec(
        select(Operation)
        .where(
            col(Operation.kind) == OperationKind.PAUSE,
            col(Operation.subject_id) == str(tokenization_id),
        )
        .order_by(col(Operation.id).desc())
    ).all()


def cancel_tokenization(
    session: Session, actor: Actor, tokenization_id: UUID, *, reason: str
) -> Tokenization:
    """Give a token up of which no fraction exists; its contracts are closed for ever.

    Raises
    ------
    Forbidden
        ``not_the_issuer``, ``transition_forbidden``.
    Conflict
        ``token_on_chain``, ``transition_refused``.
    Invalid
        ``reason_missing``.
    """
    tokenization = get_tokenization(session, tokenization_id, lock=True)
    if tokenization.state == TokenizationState.STRUCTURED:
        _require_issuer(session, actor, tokenization)
    check_reason(reason, "cancel")
    fire(session, _as_structurer(actor), tokenization, "cancel", reason=reason)
    if tokenization.token_address is not None:
        close_on_chain(session, actor, tokenization)
    return tokenization


def close_on_chain(session: Session, actor: Actor, tokenization: Tokenization) -> Operation:
    """Have the contracts of a token that ended lose their agent: it stays paused for ever."""
    return operations.plan(
        session,
        actor,
        OperationKind.CLOSE_SUITE,
        key=f"close_suite:{tokenization.id}",
        subject=("tokenization", tokenization.id),
        params={"tokenization_id": str(tokenization.id)},
    )


def fire(
    session: Session,
    actor: Actor,
    tokenization: Tokenization,
    event: str,
    *,
    given: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Fire an event of the tokenization, and journal it.

    Raises
    ------
    Conflict
        ``transition_refused``, or what a guard says.
    Forbidden
        ``transition_forbidden``, or what a guard says.
    """
    lifecycle.fire(session, actor, guards.MACHINE, tokenization, event, given=given, **facts)


def run_gate(session: Session, actor: Actor, asset_id: UUID) -> RuleRun:
    """Ask and store every rule of tokenization on an asset."""
    asset = assets.get_asset(session, asset_id)
    facts = gate_facts(session, asset, guards.find_alive(session, asset_id))
    found = rulebook.run(session, actor, asset_id, Moment.TOKENIZATION, facts)
    journal.record(
        session, actor, "rules_run", "asset", asset_id, run=str(found.id), blocked=found.blocked
    )
    return found


def get_tokenization(
    session: Session, tokenization_id: UUID, *, lock: bool = False
) -> Tokenization:
    """Return the tokenization.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Tokenization, tokenization_id, kind="tokenization", lock=lock)


def get_deployed(session: Session, tokenization_id: UUID) -> Tokenization:
    """Return a tokenization whose token stands on chain.

    Raises
    ------
    NotFound
        There is none of that id, or it has no token yet.
    """
    tokenization = get_tokenization(session, tokenization_id)
    if tokenization.token_address is None:
        raise NotFound("token", tokenization_id)
    return tokenization


def find_by_address(session: Session, token_address: bytes) -> Tokenization | None:
    """Return the tokenization whose token stands at an address."""
    return session.exec(
        select(Tokenization).where(col(Tokenization.token_address) == token_address)
    ).first()


def list_tokenizations(session: Session, asset_id: UUID) -> Sequence[Tokenization]:
    """List the tokenizations of an asset, oldest first."""
    return session.exec(
        select(Tokenization)
        .where(col(Tokenization.asset_id) == asset_id)
        .order_by(col(Tokenization.id))
    ).all()
