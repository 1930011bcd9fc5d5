"""What happens to an asset that is registered: suspended for causes, reinstated, retired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState
from registry.document import sources
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row
from registry.lifecycle.service import fire
from registry.onboarding import approvals, claims, guards
from registry.onboarding.dossier import dossier_hash
from registry.onboarding.models import CauseKind, SuspensionCause

BY_THEIR_OWN_ACT = frozenset({CauseKind.ENCUMBRANCE, CauseKind.COURT_ORDER})
"""Causes that nobody closes by hand: the discharge does, or the lifting of the order."""


def open_cause(
    session: Session,
    actor: Actor,
    asset: Asset,
    kind: CauseKind,
    *,
    reference: str,
    reason: str,
    by_court: bool = False,
) -> SuspensionCause:
    """Record why dealings must stop, and stop them; a registered asset is suspended.

    An asset that is not registered now is suspended as soon as it is. A cause that is open
    already stays as it is.
    """
    causes = list_causes(session, asset.id)
    known = (item for item in causes if (item.kind, item.reference) == (kind, reference))
    cause = next((item for item in known if item.closed_at is None), None)
    if cause is None:
        cause = SuspensionCause(
            asset_id=asset.id,
            kind=kind,
            reference=reference,
            reason=reason,
            by_court=by_court,
            opened_by=actor.subject,
        )
        session.add(cause)
        session.flush()
        journal.record(
            session,
            actor,
            "suspension_cause_opened",
            "asset",
            asset.id,
            kind=kind,
            reference=reference,
        )
    suspend_if_caused(session, asset, actor)
    return cause


def suspend_if_caused(session: Session, asset: Asset, actor: Actor = THE_SYSTEM) -> None:
    """Suspend a registered asset for which a cause is open."""
    causes = [cause for cause in list_causes(session, asset.id) if cause.closed_at is None]
    if asset.state == AssetState.REGISTERED and causes:
        by = actor if actor.has(Role.COMPLIANCE) else THE_SYSTEM
        given = {"causes": causes}
        fire(session, by, guards.MACHINE, asset, "suspend", given=given, cause=causes[0].kind)


def suspend_asset(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    kind: CauseKind,
    reference: str,
    reason: str,
) -> Asset:
    """Stop every dealing in a registered asset, by compliance; a further cause may be added.

    Raises
    ------
    Invalid
        ``cause_not_yours``: an order or a lien is lodged as what it is.
    Conflict
        ``transition_refused``: it is not registered.
    """
    if kind in BY_THEIR_OWN_ACT:
        raise Invalid(
            "cause_not_yours",
            f"An asset is suspended for {kind} when that itself is put in force.",
            field="/kind",
        )
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.state != AssetState.SUSPENDED:
        given = {"causes": [kind]}
        fire(session, actor, guards.MACHINE, asset, "suspend", given=given, cause=kind)
    open_cause(session, actor, asset, kind, reference=reference, reason=reason)
    return asset


def close_cause(
    session: Session,
    actor: Actor,
    asset: Asset,
    kind: CauseKind,
    *,
    reference: str,
    closing: str,
) -> None:
    """Record that a cause is gone; whoever is not told of it changes nothing."""
    for cause in list_causes(session, asset.id):
        if (cause.kind, cause.reference) == (kind, reference) and cause.closed_at is None:
            _close(session, actor, cause, closing)


def close_cause_by_hand(
    session: Session, actor: Actor, cause_id: UUID, *, closing: str
) -> SuspensionCause:
    """Record that a cause is gone: insured again, verified again.

    Raises
    ------
    Conflict
        ``cause_closed``, ``cause_ends_by_itself``.
    """
    cause = get_row(session, SuspensionCause, cause_id, kind="suspension cause")
    assets.get_asset(session, cause.asset_id, lock=True)
    cause = get_row(session, SuspensionCause, cause_id, kind="suspension cause", lock=True)
    if cause.kind in BY_THEIR_OWN_ACT:
        raise Conflict(
            "cause_ends_by_itself",
            f"A {cause.kind} is closed by its own discharge or lifting.",
        )
    if cause.closed_at is not None:
        raise Conflict("cause_closed", "This cause is closed already.")
    _close(session, actor, cause, closing)
    return cause


def _close(session: Session, actor: Actor, cause: SuspensionCause, closing: str) -> None:
    cause.closed_at, cause.closed_by, cause.closing = now(), actor.subject, closing
    session.flush()
    journal.record(
        session,
        actor,
        "suspension_cause_closed",
        "asset",
        cause.asset_id,
        kind=cause.kind,
        reference=cause.reference,
    )


def list_causes(session: Session, asset_id: UUID) -> Sequence[SuspensionCause]:
    """List the causes of the present suspension, closed ones included."""
    return session.exec(
        select(SuspensionCause)
        .where(
            col(SuspensionCause.asset_id) == asset_id,
            col(SuspensionCause.reinstated_at).is_(None),
        )
        .order_by(col(SuspensionCause.id))
    ).all()


def standing_hash(session: Session, asset: Asset) -> bytes:
    """Return the SHA-256 of what a reinstatement is judged by: the dossier and the causes."""
    return record_hash(
        {
            "asset_id": str(asset.id),
            "dossier_hash": dossier_hash(session, asset).hex(),
            "causes": [
                [str(cause.id), cause.kind, cause.reference, str(cause.closed_at)]
                for cause in list_causes(session, asset.id)
            ],
        }
    )


def required_for_reinstatement(session: Session, asset: Asset) -> Counter[Role]:
    """Return who must agree: a pair, and one more checker after a court's order."""
    by_court = any(cause.by_court for cause in list_causes(session, asset.id))
    return Counter({Role.COMPLIANCE: 1, Role.REGISTRAR_CHECKER: 2 if by_court else 1})


def reinstate_asset(
    session: Session, actor: Actor, asset_id: UUID, *, role: Role, seen_hash: bytes
) -> Asset:
    """Agree to a reinstatement in one role; the last approval lets dealings go on.

    Parameters
    ----------
    seen_hash
        Hash of the standing that the person read.

    Raises
    ------
    Conflict
        ``asset_not_suspended``, ``causes_open``, ``standing_changed``, or as
        `approvals.approve`.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.state != AssetState.SUSPENDED:
        raise Conflict("asset_not_suspended", f"The asset is {asset.state}, not suspended.")
    digest = standing_hash(session, asset)
    if digest != seen_hash:
        raise Conflict(
            "standing_changed",
            "The standing of the asset is not the one that you read.",
            remedy="Read it again and approve the standing_hash that you then see.",
        )
    causes = list_causes(session, asset.id)
    guards.require_closed(causes)
    missing = approvals.approve(
        session,
        actor,
        subject=("reinstatement", asset.id),
        role=role,
        maker=asset.maker,
        dossier_hash=digest,
        required=required_for_reinstatement(session, asset),
    )
    if not missing:
        given = {"causes": causes, "missing": missing}
        fire(session, actor, guards.MACHINE, asset, "reinstate", given=given)
        for cause in causes:
            cause.reinstated_at = now()
    session.flush()
    return asset


def retire_asset(
    session: Session,
    actor: Actor,
    asset_id: UUID,
    *,
    reason: str,
    loss_document_id: UUID | None = None,
) -> Asset:
    """Take an asset out of the register for good, and let its keys go.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Conflict
        ``asset_encumbered``, ``encumbrances_not_closed``, ``title_disputed``, ``mutation_open``,
        ``order_pending``, ``loss_not_shown``, ``token_alive``, ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    loss = None
    if loss_document_id is not None:
        loss = sources.paper_of(session, asset.id, loss_document_id, field="/loss_document_id")
    given = {"reason": reason, "loss": loss}
    fire(session, actor, guards.MACHINE, asset, "retire", given=given, reason=reason)
    claims.release(session, asset)
    return asset
