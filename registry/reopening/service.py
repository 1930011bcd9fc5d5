"""Opening the transfers of a token again that was paused: two people, then the chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.errors import Conflict, Forbidden
from registry.lifecycle import service as lifecycle
from registry.lifecycle.reasons import check_reason
from registry.onboarding import approvals
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.reopening import guards  # noqa: F401  (the guards of the event)
from registry.tokenization import service as tokenizations
from registry.tokenization.gate import require_open_gate
from registry.tokenization.guards import MACHINE
from registry.tokenization.models import Tokenization, TokenizationState

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reopening:
    """How far it is.

    Parameters
    ----------
    missing
        Roles that have not agreed yet.
    operation
        What opens the token on chain, once everybody has.
    """

    missing: Counter[Role]
    operation: Operation | None


def agree_to_unpause(
    session: Session, actor: Actor, tokenization_id: UUID, *, role: Role, reason: str
) -> Reopening:
    """Agree that transfers go on; compliance first, then a registrar's checker decides.

    Neither may have paused it. What they agree to is the end of exactly this pause: another one
    asks again. If the chain refused, the last of them may ask once more.

    Raises
    ------
    Conflict
        ``asset_not_registered``, ``title_not_active``, ``wrapper_not_owner`` (WRP-01),
        ``break_open``, ``redemption_under_way``, ``transition_refused``,
        ``approvals_missing``, ``already_approved``.
    Forbidden
        ``checker_is_maker``, ``approval_not_yours``.
    Invalid
        ``reason_missing``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    check_reason(reason, "unpause")
    # Of two who must agree the first one is judged as the last one is.
    lifecycle.ask(session, actor, MACHINE, tokenization, "unpause")
    pause = tokenizations.last_pause(session, tokenization_id)
    assert pause is not None, "a PAUSED token was paused by an operation"
    digest = record_hash({"tokenization": str(tokenization_id), "pause": str(pause.id)})
    given = approvals.live_approvals(session, pause.id, digest)
    missing = approvals.PAIR - Counter(Role(approval.role) for approval in given)
    if not missing:
        _require_may_agree(actor, role, pause)
    else:
        missing = approvals.approve(
            session,
            actor,
            subject=("unpause", pause.id),
            role=role,
            maker=pause.requested_by,
            dossier_hash=digest,
            required=approvals.PAIR,
        )
        journal.record(
            session, actor, "unpause_agreed", "tokenization", tokenization_id, reason=reason
        )
    if missing:
        return Reopening(missing, None)
    return Reopening(missing, _plan(session, actor, tokenization, pause))


def _require_may_agree(actor: Actor, role: Role, pause: Operation) -> None:
    """Ask of who asks once more what was asked of those who agreed."""
    if role not in approvals.PAIR:
        raise Forbidden("approval_not_yours", f"You do not agree as {role}.")
    approvals.require_may_approve(actor, role, pause.requested_by)


def _plan(
    session: Session, actor: Actor, tokenization: Tokenization, pause: Operation
) -> Operation:
    return operations.plan(
        session,
        actor,
        OperationKind.UNPAUSE,
        key=f"unpause:{pause.id}",
        subject=("tokenization", tokenization.id),
        params={"tokenization_id": str(tokenization.id)},
        after=[pause],
    )


def require_openable(session: Session, tokenization_id: UUID) -> None:
    """Ask again, before it is signed, whether the token's transfers may be opened.

    Raises
    ------
    RulesRefused
        For the first time, and the gate has closed.
    Conflict
        As `agree_to_unpause`; ``asset_not_registered``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id)
    if tokenization.state == TokenizationState.MINTING:
        require_open_gate(session, tokenization)
    elif tokenization.state == TokenizationState.PAUSED:
        lifecycle.ask(session, _decider(None), MACHINE, tokenization, "unpause")
    elif assets.get_asset(session, tokenization.asset_id).state != AssetState.REGISTERED:
        raise Conflict("asset_not_registered", "The asset is not registered any more.")


def confirm_unpause(session: Session, operation: Operation, tokenization_id: UUID) -> None:
    """Mark the token live once its unpause is final; a repeat changes nothing.

    A token whose asset was suspended meanwhile is paused at once (ENC-02); and so is one that a
    break or an approved redemption holds since.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    pause = tokenizations.last_pause(session, tokenization_id)
    if tokenization.state != TokenizationState.PAUSED or pause is None:
        return
    if operation.key != f"unpause:{pause.id}":
        return
    # Locked: what suspends it comes before this, or finds a live token.
    assets.get_asset(session, tokenization.asset_id, lock=True)
    try:
        tokenizations.fire(session, _decider(operation), tokenization, "unpause")
    except Conflict as refused:
        # It came while the unpause was on its way: the chain is open, and must not stay so.
        log.warning("unpaused_in_vain", tokenization=str(tokenization.id), code=refused.code)
        tokenizations.plan_pause(session, THE_SYSTEM, tokenization)


def _decider(operation: Operation | None) -> Actor:
    subject = operation.requested_by if operation else THE_SYSTEM.subject
    return Actor(subject, frozenset({Role.REGISTRAR_CHECKER}))
