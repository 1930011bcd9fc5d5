"""Deciding on a dossier: approvals of its hash, or back, or no, or taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.law import law_of
from registry.asset.models import Asset, AssetState
from registry.document import service as documents
from registry.document.models import DocumentState
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict
from registry.lifecycle.service import fire
from registry.onboarding import approvals, claims, guards, standing
from registry.onboarding.dossier import dossier_hash
from registry.title import service as titles
from registry.title.models import TitleState
from registry.valuation import service as valuations
from registry.valuation.models import ValuationState

REQUISITION_LIFETIME = timedelta(days=60)


def required_approvals(session: Session, asset: Asset) -> Counter[Role]:
    """Return how many different people of each role must approve (`registry-domain` 1.6)."""
    law = law_of(asset)
    required = Counter(law.spec.approvals)
    valuation = valuations.standing_valuation(session, asset.id)
    threshold = law.jurisdiction.policy.second_checker_above_paisa
    if valuation is not None and (valuation.amount_paisa > threshold or valuation.changed_much):
        required[Role.REGISTRAR_CHECKER] += 1
    return required


def missing_approvals(session: Session, asset: Asset, digest: bytes) -> Counter[Role]:
    """Return how many of each role have not approved the dossier of this hash."""
    given = approvals.live_approvals(session, asset.id, digest)
    return required_approvals(session, asset) - Counter(Role(item.role) for item in given)


def approve_dossier(
    session: Session, actor: Actor, asset_id: UUID, *, role: Role, seen_hash: bytes
) -> Asset:
    """Approve the dossier in one role; the last approval registers the asset.

    Parameters
    ----------
    seen_hash
        Hash of the dossier that the person read; an edit since then is refused.

    Raises
    ------
    Conflict
        ``dossier_changed``, ``asset_not_in_review``, ``documents_pending``,
        ``valuation_missing``, or as `approvals.approve`.
    RulesRefused
        The rules of registration, asked once more at the decision.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    if asset.state != AssetState.IN_REVIEW:
        raise Conflict("asset_not_in_review", f"The dossier is {asset.state}, not under review.")
    digest = dossier_hash(session, asset)
    if digest != seen_hash:
        raise Conflict(
            "dossier_changed",
            "The dossier is not the one that you read.",
            remedy="Read it again and approve the dossier_hash that you then see.",
        )
    _require_own_work(session, asset, role)
    missing = approvals.approve(
        session,
        actor,
        subject=("asset", asset.id),
        role=role,
        maker=asset.maker,
        dossier_hash=digest,
        required=required_approvals(session, asset),
        hands=_hands(session, asset),
    )
    if not missing:
        _register(session, actor, asset, digest)
    session.flush()
    return asset


def _require_own_work(session: Session, asset: Asset, role: Role) -> None:
    """Refuse an approval by somebody whose own part is not done."""
    pending = [
        document.kind
        for document in documents.list_documents(session, asset.id)
        if document.state == DocumentState.PENDING_VERIFICATION
    ]
    if role == Role.DOCUMENT_VERIFIER and pending:
        raise Conflict(
            "documents_pending", f"Papers wait for verification: {', '.join(sorted(pending))}."
        )
    if role == Role.VALUATION_CHECKER and not valuations.accepted_valuation(session, asset.id):
        raise Conflict("valuation_missing", "No valuation of this asset is accepted.")


def _hands(session: Session, asset: Asset) -> Iterator[tuple[str, Role]]:
    """Give who had a part in the dossier, once for each role: all are different people."""
    for paper in documents.list_documents(session, asset.id):
        yield paper.uploaded_by, Role.REGISTRAR_MAKER
        if paper.verified_by is not None:
            yield paper.verified_by, Role.DOCUMENT_VERIFIER
    for valuation in valuations.list_valuations(session, asset.id):
        if valuation.state == ValuationState.REJECTED:
            continue
        yield valuation.valuer, Role.VALUER
        for checker in filter(None, (valuation.checker, valuation.second_checker)):
            yield checker, Role.VALUATION_CHECKER


def _register(session: Session, actor: Actor, asset: Asset, digest: bytes) -> None:
    given = {"dossier_hash": digest, "missing": missing_approvals(session, asset, digest)}
    fire(
        session,
        actor,
        guards.MACHINE,
        asset,
        "approve",
        given=given,
        dossier_hash=digest.hex(),
    )
    asset.dossier_hash = digest
    title = titles.title_of_asset(session, asset.id)
    # A title that came out of a partition or consolidation is active by that mutation.
    if title.state != TitleState.ACTIVE:
        titles.current_version(session, title.id).checker = actor.subject
        titles.fire(session, actor, title, "activate")
    standing.suspend_if_caused(session, asset)


def return_dossier(session: Session, actor: Actor, asset_id: UUID, *, reason: str) -> Asset:
    """Send the dossier back to its maker with what is missing.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    asset = _decide(session, actor, asset_id, "requisition", reason)
    asset.requisitioned_at = now()
    session.flush()
    return asset


def reject_dossier(session: Session, actor: Actor, asset_id: UUID, *, reason: str) -> Asset:
    """Refuse the asset and its title for good, and let its keys go.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    asset = _decide(session, actor, asset_id, "reject", reason)
    title = titles.title_of_asset(session, asset.id)
    titles.fire(session, actor, title, "refuse", given={"reason": reason})
    claims.release(session, asset)
    return asset


def _decide(session: Session, actor: Actor, asset_id: UUID, event: str, reason: str) -> Asset:
    asset = assets.get_asset(session, asset_id, lock=True)
    fire(session, actor, guards.MACHINE, asset, event, given={"reason": reason}, reason=reason)
    return asset


def withdraw_dossier(session: Session, actor: Actor, asset_id: UUID) -> Asset:
    """Take one's own dossier back, and let its keys go.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    fire(session, actor, guards.MACHINE, asset, "withdraw")
    claims.release(session, asset)
    return asset


def lapse_dossier(session: Session, asset_id: UUID) -> Asset:
    """Withdraw a dossier that its maker has left lying since it was sent back.

    Raises
    ------
    Conflict
        ``requisition_fresh``, ``transition_refused``.
    """
    asset = assets.get_asset(session, asset_id, lock=True)
    given = {"lifetime": REQUISITION_LIFETIME}
    fire(session, THE_SYSTEM, guards.MACHINE, asset, "lapse", given=given)
    claims.release(session, asset)
    return asset


def list_forgotten(session: Session) -> Sequence[UUID]:
    """List the dossiers that were sent back longer ago than they may lie."""
    return session.exec(
        select(Asset.id)
        .where(
            col(Asset.state) == AssetState.REQUISITIONED,
            col(Asset.requisitioned_at) < now() - REQUISITION_LIFETIME,
        )
        .order_by(col(Asset.id))
    ).all()
